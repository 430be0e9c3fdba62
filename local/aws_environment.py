"""What makes the AWS CLI of a shell speak to the stack of `make run`, as lines for that shell.

`eval "$(.venv/bin/python -m local.aws_environment)"`; another stack's file may be named. The key is
that of the embedded cloud, which dies with it.
"""

import json
import shlex
import sys
from pathlib import Path

from deployed import paths

FACTS = {
    "AWS_ENDPOINT_URL": "aws_endpoint_url",
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_DEFAULT_REGION": "region",
}
# What would be stronger, and lead to AWS.
OTHERS = ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN")


def exports(file: Path) -> str:
    """The lines, from what a stack left to be found by.

    Raises:
        FileNotFoundError: nothing runs that left it.
    """
    facts = json.loads(file.read_text())
    set_to = [f"{name}={shlex.quote(facts[fact])}" for name, fact in FACTS.items()]
    return f"unset {' '.join(OTHERS)}\nexport {' '.join(set_to)}"


def main(arguments: list[str]) -> int:
    """Print the lines; 1 if nothing runs here."""
    try:
        print(exports(Path(arguments[0]) if arguments else paths.STACK_FILE))
    except FileNotFoundError:
        print("Nothing runs here; start it: make run.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
