"""`refundctl console` as far as it goes before somebody opens the page."""

import socket

import pytest

from refundctl.exits import Exit
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator
from tests.unit.refundctl.queues import FakeSqs


@pytest.fixture
def operator(capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(World(), capsys, clients={"sqs": FakeSqs()})


def test_a_port_that_is_taken_is_one_sentence(operator: Operator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = operator(f"console --port {port}")
    assert (ended.exit_code, ended.out) == (Exit.REFUSED, "")
    assert ended.err == f"127.0.0.1:{port} cannot be served at: Address already in use.\n"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_port_that_there_cannot_be_is_misuse(operator: Operator, port: str) -> None:
    with pytest.raises(SystemExit) as ended:
        operator(f"console --port={port}")
    assert ended.value.code == Exit.MISUSED
