"""How a command ends, as scripts see it, and the errors that end it."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    DONE = 0
    """It is as was asked, whether or not there was anything left to do."""

    REFUSED = 1
    """Nothing was changed, or something was found that a person must look at."""

    MISUSED = 2
    """The command line is not understood."""

    UNREACHABLE = 3
    """The cloud could not be asked: no stack, no credentials, no right, no answer."""

    STOPPED = 130
    """By the keyboard; what was done until then is done."""

    UNREAD = 141
    """Nobody read the result to its end (`| head`), as a shell says it."""


class CommandError(Exception):
    """Ends the command with one sentence."""

    exit = Exit.REFUSED


class RefusedError(CommandError):
    """The command refuses, since doing it would be wrong; the sentence says why and what to do."""


class MisusedError(CommandError):
    """The command line does not say enough."""

    exit = Exit.MISUSED


class UnreachableError(CommandError):
    """The cloud could not be asked."""

    exit = Exit.UNREACHABLE
