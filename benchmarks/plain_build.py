"""Builds the plainly written functions with plain `sam build`: all dependencies in each function.

The dependencies have the same versions, from the layer's lock file; nothing is left out, and no
bytecode is compiled.
"""

import re
import shutil
from pathlib import Path

from deployed import paths
from deploying.build import sam, this_machine

PIN = re.compile(r"^([A-Za-z0-9._-]+==[^\s;\\]+)", re.MULTILINE)
FUNCTIONS = {"RefundApi": "refund_api", "ReportRefund": "report_refund"}
TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
"""
FUNCTION = """\
  {name}:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: {folder}
      Handler: app.handler
      Runtime: {runtime}
      Architectures: [{architecture}]
"""


def plain_build(directory: Path) -> dict[str, Path]:
    """Build both in ``directory``; returns the folder of each, by its name in ``FUNCTIONS``."""
    locked = paths.LAYER_LOCK.read_text()
    target, source = this_machine(), directory / "source"
    template = TEMPLATE
    for name, folder in FUNCTIONS.items():
        shutil.copytree(paths.ROOT / "benchmarks" / "plain" / folder, source / folder)
        (source / folder / "requirements.txt").write_text("\n".join(PIN.findall(locked)) + "\n")
        template += FUNCTION.format(
            name=name, folder=folder, runtime=target.runtime, architecture=target.architecture
        )
    (source / "template.yaml").write_text(template)
    built = directory / "built"
    sam(
        *("build", "--template-file", str(source / "template.yaml"), "--build-dir", str(built)),
        *("--region", "ap-southeast-1"),
    )
    return {name: built / name for name in FUNCTIONS}
