"""Prints shell lines that make the AWS CLI use the stack of `make run`.

`eval "$(.venv/bin/python -m local.aws_environment)"`; another stack's file may be named. The key is
the embedded cloud's own; it is useless when that has ended.
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
# Variables that would override these, and lead to AWS.
OTHERS = ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN")


def exports(file: Path) -> str:
    """The lines, from the file by which a stack can be found.

    Raises:
        FileNotFoundError: there is no such file: no stack runs.
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
