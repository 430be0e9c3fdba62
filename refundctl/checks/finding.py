"""What a check found, and what to do about it."""

from dataclasses import dataclass
from enum import IntEnum

from deployed.command_lines import Spelt


class Level(IntEnum):
    """How bad a finding is: a greater number is worse."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True)
class Finding:
    """One line of the report of `refundctl doctor`.

    Attributes:
        check: what was checked.
        found: what the check found; never a secret.
        todo: what to do about it, if anything.
        commands: commands of `refundctl` that help; one that changes something has `--dry-run`
            where it can.
    """

    check: str
    level: Level
    found: str
    todo: str = ""
    commands: tuple[Spelt, ...] = ()


def fine(check: str, found: str) -> Finding:
    """A finding that all is as it should be."""
    return Finding(check, Level.OK, found)


def warn(check: str, found: str, todo: str, *commands: Spelt) -> Finding:
    """A finding that something is not as it should be, but nothing is broken now."""
    return Finding(check, Level.WARN, found, todo, commands)


def fail(check: str, found: str, todo: str, *commands: Spelt) -> Finding:
    """A finding that something is broken, or that a person must act."""
    return Finding(check, Level.FAIL, found, todo, commands)
