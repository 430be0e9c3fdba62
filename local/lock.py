"""Resolve every `*.in` into its lock file: all versions and hashes, for every Python and platform.

Run as `make lock`. The files name no package host: they install from wherever the user's uv looks.
"""

import subprocess

from local import paths

# In this order: the development environment takes over the layer's pins.
LOCKED = (
    "layers/dependencies/requirements",
    "requirements/uv",
    "requirements/emulator",
    "requirements/sam",
    "requirements/policy",
    "requirements/audit",
    "requirements/bench",
    "requirements/dev",
)
OLDEST_PYTHON = "3.11"


def lock() -> None:
    """Write all lock files. What is pinned already stays, unless its `.in` says otherwise."""
    uv = str(paths.executable(paths.DEV_ENVIRONMENT, "uv"))
    for name in LOCKED:
        print(f"resolving {name}.in", flush=True)
        source = paths.ROOT / f"{name}.in"
        options = (
            *("--universal", "--python-version", OLDEST_PYTHON),
            *("--generate-hashes", "--only-binary", ":all:"),
        )
        quiet = ("--quiet", "--no-emit-index-url", "--custom-compile-command", "make lock")
        subprocess.run(
            (uv, "pip", "compile", *options, *quiet, source.name, "-o", f"{source.stem}.txt"),
            cwd=source.parent,
            check=True,
        )


if __name__ == "__main__":
    lock()
