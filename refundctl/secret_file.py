"""A secret in a file of its own, for whoever does not want it on the screen."""

import os
from pathlib import Path


def keep_secret(file: Path, text: str) -> None:
    """Write a new file that its owner alone can read.

    Raises:
        FileExistsError: there is one of that name; nothing is written over.
        OSError: it cannot be made.
    """
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(f"{text}\n")
