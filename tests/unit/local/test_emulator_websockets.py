"""Pages may open web sockets to any address, and a browser asks nobody first."""

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from local.emulator_gate import EmulatorGate


def test_no_web_socket_reaches_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a gate, and a page that opens a web socket with this machine's own address
    router = SimpleNamespace(extract_access_key_id=lambda *_: "")
    monkeypatch.setitem(sys.modules, "ministack.core.router", router)
    passed_on: list[Any] = []
    told: list[dict[str, Any]] = []

    async def emulator(scope: Any, _receive: Any, _send: Any) -> None:
        passed_on.append(scope)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    gate = EmulatorGate(emulator, port=4566, root_key="AKIAROOT", issued=lambda _: True)
    scope = {"type": "websocket", "path": "/", "headers": [(b"host", b"127.0.0.1:4566")]}
    # When it asks
    asyncio.run(gate(scope, receive, send))
    # Then it is closed before it was opened
    assert passed_on == []
    assert [message["type"] for message in told] == ["websocket.close"]
