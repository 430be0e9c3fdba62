"""Commands of `refundctl` as lines for a person, who can paste them into a shell as they are.

All such lines are made here: with a program name or path that the shell finds, with every value
quoted, and with the options that name the deployment.
"""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NewType

from deployed import paths

Spelt = NewType("Spelt", str)
"""A command of `refundctl`, every word of it quoted; without its name and the deployment."""

WORDS: Final = "ticket NUMBER: why"
"""Stands where only a person knows what to write; such a line says --dry-run, and is refused
without."""


def spelt(*words: str) -> Spelt:
    """A command of `refundctl` by its words.

    >>> spelt("handle", "rfd_1", "--note", WORDS)
    "handle rfd_1 --note 'ticket NUMBER: why'"
    """
    return Spelt(shlex.join(words))


def option(name: str, value: str) -> tuple[str, ...]:
    """An option with its value; as one word if the value looks like an option.

    >>> option("--key", "-1")
    ('--key=-1',)
    """
    return (f"{name}={value}",) if value.startswith("-") else (name, value)


def line(command: Spelt, where: Sequence[str] = (), *, anywhere: bool = False) -> str:
    """A command as a line for a shell.

    Args:
        command: the command, as `spelt` wrote it.
        where: the options that name the deployment.
        anywhere: whether the shell may be in another directory than this process.
    """
    return " ".join([program(anywhere=anywhere), command, *map(shlex.quote, where)])


def program(*, anywhere: bool = False) -> str:
    """The name or path of this checkout's `refundctl` for a shell, quoted."""
    launcher = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")
    found = shutil.which("refundctl")
    if found is not None and Path(found).absolute() == launcher:
        return "refundctl"
    here = Path.cwd()
    is_near = not anywhere and launcher.is_relative_to(here)
    return shlex.quote(str(launcher.relative_to(here) if is_near else launcher))
