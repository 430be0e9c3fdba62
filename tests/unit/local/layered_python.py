"""A program run as Lambda runs a function: on what was built, and on nothing else."""

import os
import subprocess
import textwrap

from deployed import paths
from deploying.build import Build

# Lambda's order of search; no socket may be opened, as before a snapshot, and no secret is there.
PREPARED = """
import socket, sys
def forbidden(*_args, **_kwargs):
    raise AssertionError("the program wants the network")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = forbidden
sys.path[:0] = sys.argv[1:]
"""
LAYERS = ("DependenciesLayer", "RefundsLayer")


def run_on_layers(built: Build, program: str, *, function: str | None = None) -> str:
    """What the program prints; it finds the layers and the function's own folder.

    Raises:
        AssertionError: it failed; the message holds its last words.
    """
    folders = [built.directory / function] if function else []
    folders += [built.directory / layer / "python" for layer in LAYERS]
    python = paths.executable(paths.FUNCTIONS_ENVIRONMENT, "python")
    finished = subprocess.run(  # noqa: S603 - our own interpreter and program
        [
            *(str(python), "-I", "-S", "-B", "-c", PREPARED + textwrap.dedent(program)),
            *map(str, folders),
        ],
        env=function_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def function_environment() -> dict[str, str]:
    """What Lambda sets by itself; none of our own variables, no key and no endpoint."""
    return {"PATH": os.defpath, "AWS_REGION": "ap-southeast-1", "LAMBDA_TASK_ROOT": "/var/task"}
