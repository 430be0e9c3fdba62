"""The lines of `refundctl` that a command tells somebody, and whether each can be pasted."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from refundctl import who
from refundctl.command import parser

_LINE = re.compile(r"(?:^|\s)((?:\S*/)?refundctl\b.*)$")


def require_pastable(out: str, err: str) -> None:
    """Parse every line that is told, as a shell and then the program would."""
    for line in [*told_lines(out), *told_lines(err)]:
        require_parsed(shlex.split(line)[1:], line)


def require_parsed(words: list[str], line: str) -> None:
    """What the real parser takes, and what does not do anything before it was tried."""
    try:
        asked = parser().parse_args(words)
    except SystemExit as ended:
        raise AssertionError(f"nobody can paste: {line}") from ended
    who.require_own_words(asked)
    # `refund` shows what it does and asks; a line of it repeats what was agreed to.
    is_tried = getattr(asked, "dry_run", True) or words[0] == "refund"
    assert is_tried, f"not tried first: {line}"


def told_lines(text: str) -> list[str]:
    """The lines for a shell in what was written."""
    try:
        return list(_commands_in(json.loads(text)))
    except ValueError:
        return [found[1] for one in text.splitlines() if (found := _LINE.search(one))]


def _commands_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _commands_in(one)
    elif isinstance(value, dict):
        yield from value.get("commands", ())
        for one in value.values():
            yield from _commands_in(one)
