"""What waits is taken back, and what Stripe would not issue is tried again, by name and reason."""

import getpass
from dataclasses import replace

import pytest

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.report import CreditNote
from refund_bridge.domain.state_machine import CreditNoteState, State
from refundctl.exits import Exit
from refundctl.output import Output
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import World
from tests.unit.refundctl.operator import WHO, Operator


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")


@pytest.fixture
def waits(world: World) -> Refund:
    """SGD 25.00 that waits for its turn, beside SGD 3.00 that moved."""
    world.refund("other", amount=300)
    return world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED).refund


class TestWithdraw:
    def test_it_says_what_becomes_true_and_is_done(
        self, world: World, operator: Operator, waits: Refund
    ) -> None:
        line = f"withdraw {waits.id} --reason 'made by hand' --yes --json"
        ended = operator.done(line)
        assert ended.value == {
            "id": waits.id,
            "written": True,
            "actor": f"operator:{WHO} as kim",
            "state": "failed",
            "refundable": 9699,
        }
        for fact in ("SGD 25.00 of pr_1", "never sent", "SGD 96.99 may be refunded in all"):
            assert fact in ended.err
        entry = world.stored("k").history[-1]
        assert (entry.actor, entry.evidence) == (
            f"operator:{WHO} as kim",
            {"reason": "made by hand"},
        )
        # And again is harmless
        assert operator.done(line).value["written"] is False
        assert "withdrawn already" in operator.done(f"withdraw {waits.id} --reason x").out

    def test_a_dry_run_writes_nothing(
        self, world: World, operator: Operator, waits: Refund
    ) -> None:
        told = operator.json(f"withdraw {waits.id} --reason x --as night.shift --dry-run")
        assert (told["written"], told["actor"]) == (False, f"operator:{WHO} as night.shift")
        assert world.stored("k") == waits

    def test_somebody_is_asked_before_it_is_written(
        self, world: World, operator: Operator, waits: Refund, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert operator(f"withdraw {waits.id} --reason x").exit_code == Exit.REFUSED
        assert world.stored("k") == waits
        monkeypatch.setattr(Output, "confirm", lambda *_: True)
        assert "is withdrawn" in operator.done(f"withdraw {waits.id} --reason x").out

    def test_what_was_sent_is_refused(self, world: World, operator: Operator) -> None:
        world.processor.fates.append(RequestLost())
        lost = world.refund("k", amount=100).refund
        ended = operator(f"withdraw {lost.id} --reason x --yes")
        assert (ended.exit_code, ended.out) == (Exit.REFUSED, "")
        assert "is unknown" in ended.err
        assert operator("withdraw rfd_nobody --reason x").exit_code == Exit.REFUSED


class TestReplayNotes:
    @pytest.fixture
    def failed(self, world: World) -> Refund:
        """A refund whose credit note Stripe refused."""
        refund = world.refund("k", amount=100).refund
        note = CreditNote(state=CreditNoteState.FAILED, attempts=8, last_error="refused: void")
        world.ledger.refunds[refund.id] = replace(refund, credit_note=note)
        return world.stored("k")

    def test_it_is_due_again_and_again_is_harmless(
        self, world: World, operator: Operator, failed: Refund
    ) -> None:
        told = operator.json(f"notes replay {failed.id} {failed.id} --as night.shift")
        assert told == {"dry_run": False, "replayed": [failed.id], "due": [], "refused": {}}
        stored = world.stored("k")
        assert stored.credit_note.state is CreditNoteState.DUE
        assert stored.history[-1].actor == f"operator:{WHO} as night.shift"
        ended = operator.done(f"notes replay {failed.id}")
        assert "Made 0 credit notes due again; 1 were due already." in ended.out
        assert world.stored("k") == stored

    def test_a_dry_run_writes_nothing(
        self, world: World, operator: Operator, failed: Refund
    ) -> None:
        told = operator.json(f"notes replay {failed.id} --dry-run")
        assert (told["dry_run"], told["replayed"]) == (True, [failed.id])
        assert world.stored("k") == failed

    def test_what_has_nothing_to_replay_is_said_and_stops_nothing_else(
        self, world: World, operator: Operator, failed: Refund
    ) -> None:
        other = world.refund("other", amount=100).refund
        ended = operator(f"notes replay {other.id} rfd_nobody {failed.id} --json")
        assert ended.exit_code == Exit.REFUSED
        assert ended.value["replayed"] == [failed.id]
        assert set(ended.value["refused"]) == {other.id, "rfd_nobody"}
        assert f"{other.id} owes no credit note" in ended.err

    def test_where_notes_are_off_that_is_said(self, operator: Operator, failed: Refund) -> None:
        operator.parameters["CreditNotes"] = "off"
        assert "CreditNotes is off" in operator.done(f"notes replay {failed.id}").err


def test_connections_are_let_go_of_however_a_command_ends(operator: Operator) -> None:
    operator.done("review")
    assert operator("review rfd_nobody").exit_code == Exit.REFUSED
    assert operator.closed == [True, True]


def test_a_refund_that_is_withdrawn_is_final(
    world: World, operator: Operator, waits: Refund
) -> None:
    operator.done(f"withdraw {waits.id} --reason x --yes")
    assert world.stored("k").state is State.FAILED
    assert [one["id"] for one in operator.json("list --status canceled")] == [waits.id]
