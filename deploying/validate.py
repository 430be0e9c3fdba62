"""`sam validate --lint` on the templates; part of `make lint`."""

import sys

from deployed.stages import load_stage
from deploying.build import BuildError, validate

if __name__ == "__main__":
    try:
        validate(load_stage("local").region)
    except BuildError as error:
        sys.exit(str(error))
    print("template.yaml and monitoring/template.yaml are valid")
