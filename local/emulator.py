"""The embedded cloud: MiniStack as a child process, with IAM enforced, on a port of its own."""

import json
import secrets
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import paths
from local.child_process import ChildProcess, clean_environment
from local.polling import NotInTimeError, wait_for

REGION = "ap-southeast-1"
START_SECONDS = 30.0
ATTEMPTS = 3


class EmulatorError(RuntimeError):
    """The emulator did not come up; the message holds the end of its log."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    port: int
    process: ChildProcess

    @property
    def url(self) -> str:
        """Its address, for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running_emulator(directory: Path) -> Iterator[Emulator]:
    """Start it, wait until it is healthy, stop it and all its function workers at the end."""
    for attempt in range(1, ATTEMPTS + 1):
        port = _free_port()
        name = secrets.token_hex(8)
        child = _child(port, name, directory)
        with child:
            if not _became_healthy(child, port, name):
                if attempt < ATTEMPTS and "already in use" in child.last_words():
                    continue  # somebody took the port in the moment between choosing and using it
                raise EmulatorError(
                    f"the emulator ended with {child.exit_code}:\n{child.last_words()}"
                )
            yield Emulator(port, child)
            return


def _child(port: int, name: str, directory: Path) -> ChildProcess:
    temporary = directory / "emulator"
    temporary.mkdir(exist_ok=True)
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",  # it would listen on a fixed port
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{temporary}/no-docker",  # never touch the developer's
        # Comes back in the health answer: on a port that was free, somebody else may have started.
        "MINISTACK_EDITION": name,
        "FUNCTIONS_PYTHON": str(paths.executable(paths.FUNCTIONS_ENVIRONMENT, "python")),
    }
    return ChildProcess(
        paths.executable(paths.EMULATOR_ENVIRONMENT, "python"),
        [str(paths.ROOT / "local" / "emulator_process.py")],
        clean_environment(temporary) | settings,
        directory / "emulator.log",
        patience_seconds=0,  # it holds nothing that is worth a goodbye
    )


def _became_healthy(child: ChildProcess, port: int, name: str) -> bool:
    def look() -> str | None:
        if child.exit_code is not None:
            return "ended"
        return "healthy" if _health(port).get("edition") == name else None

    try:
        return wait_for(look, "the emulator's health", at_most=START_SECONDS) == "healthy"
    except NotInTimeError:
        return False


def _health(port: int) -> dict[str, object]:
    try:
        url = f"http://127.0.0.1:{port}/_ministack/health"
        with urllib.request.urlopen(url, timeout=1) as response:
            answer = json.load(response)
    except (urllib.error.URLError, OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
