"""The embedded cloud: MiniStack as a child process, with IAM enforced, on a port of its own."""

import hashlib
import json
import secrets
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deployed import paths
from deployed.clients import AccessKey, CloudClients
from deployed.polling import NotInTimeError, wait_for
from local.child_process import ChildProcess, clean_environment

REGION = "ap-southeast-1"
START_SECONDS = 30.0
ATTEMPTS = 3


class EmulatorError(RuntimeError):
    """The emulator did not start; the message has the end of its log."""


def new_root_key() -> AccessKey:
    """Make an access key for root that nobody can guess: its id alone gives all rights there."""
    return AccessKey(f"AKIA{secrets.token_hex(16).upper()}", secrets.token_urlsafe(30))


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    Attributes:
        root: the root access key. Only requests to the API need neither this nor a role's key.
    """

    port: int
    process: ChildProcess
    root: AccessKey = field(repr=False)

    @property
    def url(self) -> str:
        """The emulator's address, for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"

    def clients(self) -> CloudClients:
        """Clients of the emulator with all rights."""
        return CloudClients(REGION, self.url, self.root)


@contextmanager
def running_emulator(directory: Path, *, webhook_host: str = "") -> Iterator[Emulator]:
    """Start an emulator, wait until it is healthy, and stop it with all its workers at the end.

    Args:
        directory: where its files go.
        webhook_host: one more value of `Host` that requests to the webhooks' address, and to no
            other, may have: the name of a tunnel that ends here.
    """
    for attempt in range(1, ATTEMPTS + 1):
        # A new key for each try: if another program took the port, only that one sees the last key.
        port, root = _free_port(), new_root_key()
        child = _child(port, root, directory, webhook_host)
        with child:
            if not _became_healthy(child, port, root):
                if attempt < ATTEMPTS and "already in use" in child.last_words():
                    continue  # another program took the port between our choice and our use of it
                raise EmulatorError(
                    f"the emulator ended with {child.exit_code}:\n{child.last_words()}"
                )
            yield Emulator(port, child, root)
            return


def _child(port: int, root: AccessKey, directory: Path, webhook_host: str) -> ChildProcess:
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
        **root.environment,
        "WEBHOOK_HOST": webhook_host,
        # Comes back in the health answer, so that we know that it is our emulator on this port.
        "MINISTACK_EDITION": _name(root),
        "FUNCTIONS_PYTHON": str(paths.executable(paths.FUNCTIONS_ENVIRONMENT, "python")),
    }
    return ChildProcess(
        paths.executable(paths.EMULATOR_ENVIRONMENT, "python"),
        ["local.emulator_process"],
        clean_environment(temporary) | settings,
        directory / "emulator.log",
        patience_seconds=0,  # it has no state that must be saved
    )


def _name(root: AccessKey) -> str:
    return hashlib.sha256(root.id.encode()).hexdigest()[:16]


def _became_healthy(child: ChildProcess, port: int, root: AccessKey) -> bool:
    def look() -> str | None:
        if child.exit_code is not None:
            return "ended"
        return "healthy" if _health(port, root).get("edition") == _name(root) else None

    try:
        return wait_for(look, "the emulator's health", at_most=START_SECONDS) == "healthy"
    except NotInTimeError:
        return False


def _health(port: int, root: AccessKey) -> dict[str, object]:
    # Not signed: the emulator does not check root's signatures.
    credentials = {"Authorization": f"AWS4-HMAC-SHA256 Credential={root.id}/"}
    try:
        url = f"http://127.0.0.1:{port}/_ministack/health"
        request = urllib.request.Request(url, headers=credentials)
        with urllib.request.urlopen(request, timeout=1) as response:  # noqa: S310 - http, above
            answer = json.load(response)
    except (urllib.error.URLError, OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
