"""A caller's words about a customer are taken out of a refund, by name."""

import getpass

import pytest

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import RefundType
from refundctl.exits import Exit
from refundctl.output import Output
from tests.fakes.world import World
from tests.unit.refundctl.operator import WHO, Operator


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")


@pytest.fixture
def refund(world: World) -> Refund:
    """SGD 25.00 that moved, with a name in its words."""
    return world.refund("k", amount=2500, reason="Kim Tan", metadata={"name": "Kim Tan"}).refund


def test_it_says_what_goes_and_is_done(world: World, operator: Operator, refund: Refund) -> None:
    line = f"forget {refund.id} --yes --json"
    ended = operator.done(line)
    assert ended.value == {
        "id": refund.id,
        "written": True,
        "actor": f"operator:{WHO} as kim",
        "forgotten": ["metadata", "reason"],
    }
    assert "metadata and reason" in ended.err
    assert "Kim Tan" not in operator.done(f"show {refund.id} --json").out
    assert world.stored("k").history[-1].actor == f"operator:{WHO} as kim"
    # And again is harmless
    assert operator.done(line).value == ended.value | {"written": False, "forgotten": []}
    assert "has nothing to forget" in operator.done(f"forget {refund.id}").out


def test_a_dry_run_writes_nothing(world: World, operator: Operator, refund: Refund) -> None:
    told = operator.json(f"forget {refund.id} --as night.shift --dry-run")
    assert (told["written"], told["forgotten"]) == (False, ["metadata", "reason"])
    assert told["actor"] == f"operator:{WHO} as night.shift"
    assert world.stored("k") == refund


def test_somebody_is_asked_before_it_is_written(
    world: World, operator: Operator, refund: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert operator(f"forget {refund.id}").exit_code == Exit.REFUSED
    assert world.stored("k") == refund
    monkeypatch.setattr(Output, "confirm", lambda *_: True)
    assert "are gone" in operator.done(f"forget {refund.id}").out


def test_what_may_still_be_sent_is_refused(world: World, operator: Operator) -> None:
    waits = world.refund("k", amount=1, refund_type=RefundType.SCHEDULED, reason="Kim").refund
    ended = operator(f"forget {waits.id} --yes")
    assert ended.exit_code == Exit.REFUSED
    assert "may still be sent" in ended.err
    assert operator("forget rfd_never --yes").exit_code == Exit.REFUSED
