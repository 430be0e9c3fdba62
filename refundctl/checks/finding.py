"""What a check found, and what to do about it."""

from dataclasses import dataclass
from enum import IntEnum

from deployed.command_lines import Spelt


class Level(IntEnum):
    """How bad it is; the greater the worse."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True)
class Finding:
    """One line of a doctor's report.

    Attributes:
        check: what was looked at.
        found: what it is like; never a secret.
        todo: what to do about it, if anything.
        commands: of `refundctl`, which help; one that changes something is tried first.
    """

    check: str
    level: Level
    found: str
    todo: str = ""
    commands: tuple[Spelt, ...] = ()


def fine(check: str, found: str) -> Finding:
    """As it should be."""
    return Finding(check, Level.OK, found)


def warn(check: str, found: str, todo: str, *commands: Spelt) -> Finding:
    """Not as it should be, and nothing is broken by it now."""
    return Finding(check, Level.WARN, found, todo, commands)


def fail(check: str, found: str, todo: str, *commands: Spelt) -> Finding:
    """Broken, or for a person to look at."""
    return Finding(check, Level.FAIL, found, todo, commands)
