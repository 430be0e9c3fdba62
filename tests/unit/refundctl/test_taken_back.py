"""A refund that the processor took back is shown first until a person has handled it."""

import getpass

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.refund import Refund
from refundctl.checks import ledger
from refundctl.checks.finding import Level
from refundctl.exits import Exit
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.operator import WHO, Operator

YEAR_MS = 366 * 24 * 60 * STEP_MS


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")


def show(world: World, refund: Refund, status: ProcessorRefundStatus) -> None:
    """The processor shows its processor refund so, and the charge is read."""
    world.processor.books.set_status(refund.processor_refund_id or "", status)
    world.observe(world.payment().key, world.deadline())


@pytest.fixture
def back(world: World) -> Refund:
    """SGD 25.00 that Stripe was told of, and that then came back."""
    refund = world.refund("k", amount=2500).refund
    world.report(refund.id)
    show(world, refund, ProcessorRefundStatus.FAILED)
    return world.stored("k")


def test_it_is_listed_first_however_old_it_is(
    world: World, operator: Operator, back: Refund
) -> None:
    # Given one that was taken back long ago, and one that has been stuck for longer than a day
    world.clock.advance(YEAR_MS)
    world.pay("2")
    world.processor.fates.append(RequestLost())
    lost = world.refund("lost", record="pr_2", amount=100).refund
    world.clock.advance(STEP_MS)
    # Then it stands before what is stuck, as failed for callers
    first, second = operator.json("list")
    assert (first["id"], second["id"]) == (back.id, lost.id)
    assert (first["status"], first["failure"]["code"]) == ("failed", "taken_back")
    assert (first["ledger"]["state"], first["ledger"]["stuck"]) == ("succeeded", True)
    assert "taken_back" in operator.done("list").out.splitlines()[1]
    # And it is among what needs a person, with the line that ends that
    assert [one["refund"]["id"] for one in operator.json("review")] == [back.id]
    assert f"handle {back.id} --note" in operator.done("review").out
    assert f"handle {back.id} --note" in operator.done(f"show {back.id}").out


def test_the_doctor_fails_for_it_until_it_is_handled(
    world: World, operator: Operator, back: Refund
) -> None:
    found = ledger.taken_back([back, back])
    assert (found.level, found.commands) == (Level.FAIL, (f"show {back.id}",))
    operator.done(f"handle {back.id} --note 'paid by bank transfer'")
    assert ledger.taken_back([world.stored("k")]).level is Level.OK


def test_handled_it_is_shown_first_no_more_and_its_history_keeps_who_and_why(
    world: World, operator: Operator, back: Refund
) -> None:
    newer = world.refund("newer", amount=100).refund
    world.report(newer.id)
    ended = operator.done(f"handle {back.id} --note 'paid by bank transfer' --json")
    assert ended.value == {
        "id": back.id,
        "written": True,
        "actor": f"operator:{WHO} as kim",
        "status": "failed",
        "handled": True,
    }
    assert "hitpay took SGD 25.00 of pr_1 back" in ended.err
    entry = world.stored("k").history[-1]
    assert (entry.cause, entry.actor) == ("handled", f"operator:{WHO} as kim")
    assert entry.evidence == {"note": "paid by bank transfer"}
    assert [one["id"] for one in operator.json("list")] == [newer.id, back.id]
    assert operator.json("review") == []
    # And again is harmless
    assert operator.json(f"handle {back.id} --note x")["written"] is False


def test_a_dry_run_writes_nothing(world: World, operator: Operator, back: Refund) -> None:
    told = operator.json(f"handle {back.id} --note x --dry-run")
    assert (told["written"], told["handled"]) == (False, False)
    assert world.stored("k") == back


def test_what_was_not_taken_back_is_refused(world: World, operator: Operator) -> None:
    done = world.refund("k", amount=100).refund
    ended = operator(f"handle {done.id} --note x")
    assert (ended.exit_code, ended.out) == (Exit.REFUSED, "")
    assert "did not take it back" in ended.err
    assert operator("handle rfd_nobody --note x").exit_code == Exit.REFUSED
    assert world.stored("k") == done


def test_taken_back_anew_it_waits_for_a_person_anew(
    world: World, operator: Operator, back: Refund
) -> None:
    operator.done(f"handle {back.id} --note x")
    show(world, back, ProcessorRefundStatus.SUCCEEDED)
    assert world.stored("k").public_status == "succeeded"
    show(world, back, ProcessorRefundStatus.FAILED)
    assert [one["refund"]["id"] for one in operator.json("review")] == [back.id]


def test_reconcile_tells_it_until_it_is_handled(
    world: World, operator: Operator, back: Refund
) -> None:
    world.clock.advance(20 * STEP_MS)
    line = "reconcile --since 7d --charges 0 --json"
    ended = operator(line)
    assert ended.exit_code == Exit.REFUSED
    assert [one["kind"] for one in ended.value["differences"]] == ["taken_back"]
    operator.done(f"handle {back.id} --note x")
    assert operator.json(line)["differences"] == []
