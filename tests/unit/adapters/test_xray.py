"""Calls are drawn into the trace of their invocation by one datagram, or not at all."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from refund_bridge.adapters.telemetry.xray import XRay
from tests.fakes.virtual_clock import VirtualClock

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0"


class Daemon:
    """X-Ray's daemon, as far as it listens."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def heard(self) -> list[bytes]:
        """What has arrived; on loopback that is everything that was sent."""
        datagrams = []
        while True:
            try:
                datagrams.append(self._socket.recv(65_536))
            except BlockingIOError:
                return datagrams

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    listening = Daemon()
    yield listening
    listening.close()


def add(environment: dict[str, str]) -> None:
    """A call that ended now, 1.25 s after it began."""
    clock = VirtualClock(1_700_000_000_500)
    tracing = XRay(clock, environment=environment, new_id=lambda: "70de5b6f19ff9a0c")
    tracing.add("hitpay", operation="refund", outcome="unknown", failed=True, took_ms=1_250)


def test_a_call_is_a_subsegment_of_the_functions_own_segment(daemon: Daemon) -> None:
    add({"_X_AMZN_TRACE_ID": TRACE, "AWS_XRAY_DAEMON_ADDRESS": daemon.address})
    (datagram,) = daemon.heard()
    header, _, document = datagram.partition(b"\n")
    assert json.loads(header) == {"format": "json", "version": 1}
    assert json.loads(document) == {
        "name": "hitpay",
        "id": "70de5b6f19ff9a0c",
        "trace_id": "1-5759e988-bd862e3fe1be46a994272793",
        "parent_id": "53995c3f42cd8ad8",
        "type": "subsegment",
        "namespace": "remote",
        "start_time": 1_699_999_999.25,
        "end_time": 1_700_000_000.5,
        "fault": True,
        "annotations": {"operation": "refund", "outcome": "unknown"},
    }


@pytest.mark.parametrize(
    "trace",
    [
        None,
        "",
        "nonsense",
        TRACE.replace("Sampled=1", "Sampled=0"),
        TRACE.replace("Sampled=1;", ""),
        TRACE.replace("Parent", "Other"),
        TRACE.replace("Root", "Other"),
    ],
)
def test_an_invocation_that_is_not_traced_sends_nothing(daemon: Daemon, trace: str | None) -> None:
    environment = {"AWS_XRAY_DAEMON_ADDRESS": daemon.address}
    add(environment if trace is None else environment | {"_X_AMZN_TRACE_ID": trace})
    assert daemon.heard() == []


@pytest.mark.parametrize("address", ["", "localhost:2000", "127.0.0.1", "127.0.0.1:x", ":2000"])
def test_no_address_is_asked_for_and_none_invented(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> Any:
        raise AssertionError("nobody is to be called")

    monkeypatch.setattr(socket, "socket", forbidden)
    add({"_X_AMZN_TRACE_ID": TRACE, "AWS_XRAY_DAEMON_ADDRESS": address})
    assert socket.socket is forbidden


def test_a_kernel_that_does_not_take_it_is_not_waited_for(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocking: list[bool] = []

    class Full(socket.socket):
        def setblocking(self, flag: bool) -> None:
            blocking.append(flag)
            super().setblocking(flag)

        def sendto(self, *_: Any) -> int:
            raise BlockingIOError("the buffer is full")

    monkeypatch.setattr(socket, "socket", Full)
    add({"_X_AMZN_TRACE_ID": TRACE, "AWS_XRAY_DAEMON_ADDRESS": daemon.address})
    assert blocking == [False]


def test_every_call_has_an_id_of_its_own(daemon: Daemon) -> None:
    clock = VirtualClock()
    tracing = XRay(
        clock, environment={"_X_AMZN_TRACE_ID": TRACE, "AWS_XRAY_DAEMON_ADDRESS": daemon.address}
    )
    for _ in range(5):
        tracing.add("stripe", operation="invoice", outcome="answered", failed=False, took_ms=1)
    ids = {json.loads(datagram.partition(b"\n")[2])["id"] for datagram in daemon.heard()}
    assert len(ids) == 5
    assert {len(one) for one in ids} == {16}
