"""Who decides, and why, as the history keeps it for ever.

The history has the identity that AWS checked, and beside it the name that the person gave.
"""

import argparse
import getpass
import re
from typing import TYPE_CHECKING

from deployed.command_lines import WORDS
from refundctl.exits import MisusedError
from refundctl.options import Call

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

REASON_MAX = 300
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the option that says who decides."""
    parser.add_argument(
        "--as",
        dest="who",
        type=_name,
        metavar="NAME",
        help="who decides; the name at this machine. Kept beside AWS's name for you",
    )


def actor_of(call: Call) -> str:
    """Who decides, as the history keeps it: their identity at AWS, and the name of `--as`.

    Without `--as` the name is the user's on this machine.

    Raises:
        MisusedError: the machine does not tell a usable name.
    """
    name = call.arguments.who or _somebody()
    sts: STSClient = call.target.client("sts")
    return f"operator:{sts.get_caller_identity()['Arn']} as {name}"


def reason(text: str) -> str:
    """Read a reason; for argparse."""
    if text.strip() and text.isprintable() and len(text) <= REASON_MAX:
        return text.strip()
    raise argparse.ArgumentTypeError(f"one line of at most {REASON_MAX} characters is needed")


def require_own_words(asked: argparse.Namespace) -> None:
    """Refuse to keep the placeholder of a command that we proposed as somebody's reason or note.

    Raises:
        MisusedError: the reason or note is the placeholder, and this is not a dry run.
    """
    given = (getattr(asked, "reason", None), getattr(asked, "note", None))
    # A command that has no option --dry-run only reads: its --reason is a filter.
    if WORDS in given and not getattr(asked, "dry_run", True):
        raise MisusedError(f"Write your own words in place of {WORDS!r}; they are kept for ever.")


def _somebody() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    if not _NAME.fullmatch(name):
        raise MisusedError("This machine does not tell your name; say who you are: --as NAME.")
    return name


def _name(text: str) -> str:
    if _NAME.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r}: letters, digits, . _ @ and -, up to 64")
