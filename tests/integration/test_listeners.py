"""Everything of ours that listens on this machine, as the machine itself lists it."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from local import paths
from local.polling import wait_for
from local.stack import RunningStack, announced

REFUNDCTL = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")
FOREIGN = {
    "another host": ({"Host": "evil.example"}, 421),
    "another origin": ({"Origin": "https://evil.example"}, 403),
    "another site": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "another port": ({"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, 403),
}
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


def test_no_listener_lets_a_page_of_another_site_in(stack: RunningStack, console: int) -> None:
    # Given all that listens, of this process and of what it has started
    found = dict(listeners(family_of(os.getpid())))
    known = {url.rpartition(":")[2] for url in (stack.emulator.url, *stack.control.urls.values())}
    assert {console, *map(int, known)} <= found.keys()
    # Then it is reached on this machine only, and lets in nobody who names another address
    assert set(found.values()) == {LOOPBACK}
    let_in = []
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        for port in found:
            for what, (headers, status) in FOREIGN.items():
                for method in ("GET", "POST", "OPTIONS"):
                    url = f"http://{LOOPBACK}:{port}/"
                    answer = pool.request(method, url, headers=headers, redirect=False)
                    shared = "Access-Control-Allow-Origin" in answer.headers
                    if answer.status != status or shared:
                        let_in.append((port, what, method, answer.status))
    assert let_in == []


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
    """The ports that these processes listen on, and at which address."""
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
