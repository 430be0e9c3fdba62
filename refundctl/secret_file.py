"""Writes a secret to a file of its own, for people who do not want it on the screen."""

import os
from pathlib import Path

from refundctl.exits import RefusedError


def keep_secret(file: Path, text: str) -> None:
    """Write a new file that its owner alone can read.

    Raises:
        RefusedError: the file cannot be made, or there is one of that name; it never overwrites.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(f"{text}\n")
    except OSError as error:
        told = f"{file} cannot be written: {os.strerror(error.errno or 0)}. Nothing was changed."
        raise RefusedError(told) from error
