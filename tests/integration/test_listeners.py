"""All of our servers that listen on this machine, as the kernel lists them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deployed import paths
from deployed.polling import wait_for
from local.stack import RunningStack, announced
from local.webhook_receiver import WebhookReceiver
from tests.sdks.tls_proxy import TlsProxy
from tests.unit.local.foreign_callers import let_in

REFUNDCTL = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")
LISTENING = "0A"  # https://docs.kernel.org/networking/proc_net_tcp.html
LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def console(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a console beside the stack."""
    directory = tmp_path_factory.mktemp("listeners")
    file, told = directory / "stack.json", directory / "told"
    with announced(stack, file), told.open("w") as out:
        command: list[str | Path] = [REFUNDCTL, "console", "--json", "--stack-file", file]
        with subprocess.Popen(command, stdout=out, cwd=paths.ROOT) as process:  # noqa: S603
            try:
                port = wait_for(lambda: re.search(r":(\d+)/", told.read_text()), "it", at_most=60)
                yield int(port[1])
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    """A merchant's backend, as the tour opens one."""
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def proxy(stack: RunningStack) -> Iterator[TlsProxy]:
    """The TLS proxy with the custom domain that the SDKs call."""
    with TlsProxy(stack.api_url, lambda _: None) as proxy:
        yield proxy


def test_no_listener_lets_a_page_of_another_site_in(
    stack: RunningStack, console: int, receiver: WebhookReceiver, proxy: TlsProxy
) -> None:
    # Given all that listens, of this process and of what it has started
    found = dict(listeners(family_of(os.getpid())))
    known = (stack.emulator.url, receiver.url, *stack.control.urls.values())
    assert {console, proxy.port, *(urlsplit(url).port for url in known)} <= found.keys()
    # Then it is reached on this machine only, and lets in nobody who names another address
    assert set(found.values()) == {LOOPBACK}
    urls = [f"{'https' if port == proxy.port else 'http'}://{LOOPBACK}:{port}/" for port in found]
    assert [one for url in urls for one in let_in(url)] == []


def family_of(pid: int) -> set[int]:
    """A process, and all that it and they have started."""
    listed = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    rows = [row.split() for row in listed.stdout.splitlines()]
    parents = {int(child): int(parent) for child, parent in rows}
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def listeners(pids: set[int]) -> Iterator[tuple[int, str]]:
    """The ports that these processes listen on, each with its address."""
    if Path("/proc/net/tcp").exists():
        yield from _listeners_by_proc(pids)
        return
    named = ",".join(map(str, pids))
    listed = subprocess.run(  # noqa: S603
        ["/usr/sbin/lsof", "-nP", "-a", "-p", named, "-iTCP", "-sTCP:LISTEN", "-Fn"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listed.stdout.splitlines():
        if line.startswith("n"):
            address, _, port = line[1:].rpartition(":")
            yield int(port), address


def _listeners_by_proc(pids: set[int]) -> Iterator[tuple[int, str]]:
    sockets = {link for pid in pids for link in _open_files(pid) if link.startswith("socket:")}
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            column = row.split()
            if column[3] == LISTENING and f"socket:[{column[9]}]" in sockets:
                address, port = column[1].split(":")
                loopback = table == "tcp" and address == "0100007F"
                yield int(port, 16), LOOPBACK if loopback else address


def _open_files(pid: int) -> Iterator[str]:
    try:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            yield os.readlink(file)
    except FileNotFoundError:
        return  # it has ended meanwhile
