"""Commands of `refundctl` as lines that are told to somebody, to be pasted at a shell as they are.

The only place that spells one: the program is called by what the shell finds it under, every value
is quoted, and the line is for the deployment that is meant.
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
    """An option with its value; in one word where the value would be taken for an option.

    >>> option("--key", "-1")
    ('--key=-1',)
    """
    return (f"{name}={value}",) if value.startswith("-") else (name, value)


def line(command: Spelt, where: Sequence[str] = (), *, anywhere: bool = False) -> str:
    """A command as a line for a shell.

    Args:
        command: what `spelt` made of it.
        where: the options that say which deployment is meant.
        anywhere: whether the shell may be in another directory than this process.
    """
    return " ".join([program(anywhere=anywhere), command, *map(shlex.quote, where)])


def program(*, anywhere: bool = False) -> str:
    """What this checkout's `refundctl` is called at a shell, quoted."""
    launcher = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")
    found = shutil.which("refundctl")
    if found is not None and Path(found).absolute() == launcher:
        return "refundctl"
    here = Path.cwd()
    is_near = not anywhere and launcher.is_relative_to(here)
    return shlex.quote(str(launcher.relative_to(here) if is_near else launcher))
