"""Somebody else writes while a person decides a review."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import LedgerConflictError, LedgerUnavailableError
from refund_bridge.refunding.record_outcome import Stored
from refundctl.deciding.resolve import (
    EvidenceChangedError,
    ItFailed,
    ItSucceeded,
    Resolution,
    ResolutionRefusedError,
)
from tests.fakes.ledger import MemoryLedger
from tests.fakes.processor_fates import Conduct, ReplyLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.deciding.reviews import decide, ours, resolver, tamper


class Meanwhile(MemoryLedger):
    """A ledger in which something happens just before a commit."""

    happens: Callable[[], None] | None = None

    def commit(self, commit: object) -> None:
        if (happens := self.happens) is not None:
            self.happens = None
            happens()
        super().commit(commit)  # type: ignore[arg-type]


@pytest.fixture
def busy() -> World:
    """As ``doubtful``, with such a ledger."""
    world = World(ledger=Meanwhile())
    world.pay()
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    world.in_dashboard(2500)
    world.settle_due()
    return world


def meanwhile(world: World, happens: Callable[[], None]) -> None:
    assert isinstance(world.ledger, Meanwhile)
    world.ledger.happens = happens


def touch(world: World) -> None:
    refund = world.stored("k")
    tamper(world, looked_at_ms=5, revision=refund.revision + 1)


def discard(_: Resolution) -> None:
    """For its effect only."""


class TestRaces:
    """Somebody else writes between the reading and the writing."""

    def test_another_write_of_the_same_refund_is_read_and_weighed_anew(self, busy: World) -> None:
        meanwhile(busy, lambda: touch(busy))
        assert decide(busy, ItSucceeded(ours(busy).id)).after.state is State.SUCCEEDED
        assert busy.stored("k").looked_at_ms == 5

    def test_another_write_of_the_payment_is_read_and_weighed_anew(self, busy: World) -> None:
        def other() -> None:
            payment = busy.payment()
            busy.ledger.payments[payment.key] = replace(payment, revision=payment.revision + 1)

        meanwhile(busy, other)
        assert decide(busy, ItSucceeded(ours(busy).id)).after.state is State.SUCCEEDED

    def test_two_people_who_decide_alike_decide_once(self, busy: World) -> None:
        decision = ItSucceeded(ours(busy).id)
        meanwhile(busy, lambda: discard(decide(busy, decision)))
        assert decide(busy, decision).is_done
        assert [one.cause for one in busy.stored("k").history].count("resolved") == 2
        assert busy.doorbell.rung == [busy.stored("k").id]

    def test_of_two_people_who_decide_differently_the_first_has_decided(self, lost: World) -> None:
        processor_refund = lost.in_dashboard(2500)
        resolve, refund_id = resolver(lost), lost.stored("k").id
        decision = ItFailed("sure", despite_evidence=True)
        agreed = resolve.weigh(refund_id, decision, lost.deadline())
        decide(lost, ItSucceeded(processor_refund.id))
        with pytest.raises(ResolutionRefusedError, match="has succeeded"):
            resolve.carry_out(refund_id, decision, agreed, lost.deadline())

    def test_a_processor_refund_that_another_refund_claims_meanwhile_is_refused(
        self, busy: World
    ) -> None:
        def claim() -> None:
            busy.ledger.processor_refunds["hitpay", ours(busy).id] = "rfd_other"

        meanwhile(busy, claim)
        with pytest.raises(ResolutionRefusedError, match="belongs to rfd_other"):
            decide(busy, ItSucceeded(ours(busy).id))
        assert busy.stored("k").state is State.REVIEW

    def test_evidence_that_changes_after_it_was_agreed_to_writes_nothing(self, lost: World) -> None:
        # Given a person who agrees to a failure with nothing against it
        resolve, refund_id = resolver(lost), lost.stored("k").id
        decision = ItFailed("sure", despite_evidence=True)
        agreed = resolve.weigh(refund_id, decision, lost.deadline())
        # When a processor refund appears that can be ours
        lost.in_dashboard(2500)
        # Then that is not what was agreed to
        with pytest.raises(EvidenceChangedError):
            resolve.carry_out(refund_id, decision, agreed, lost.deadline())
        assert lost.stored("k").state is State.REVIEW

    @pytest.mark.parametrize("record", ["pr_1", None])
    def test_a_processor_refund_that_ends_after_it_was_agreed_to_writes_nothing(
        self, lost: World, record: str | None
    ) -> None:
        tamper(lost, payment_record=record)
        lost.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        decision = ItSucceeded(lost.in_dashboard(2500).id)
        resolve, refund_id = resolver(lost), lost.stored("k").id
        agreed = resolve.weigh(refund_id, decision, lost.deadline())
        lost.processor.books.set_status(
            decision.processor_refund_id, ProcessorRefundStatus.SUCCEEDED
        )
        with pytest.raises(EvidenceChangedError):
            resolve.carry_out(refund_id, decision, agreed, lost.deadline())

    def test_a_report_that_comes_to_be_owed_after_it_was_agreed_to_writes_nothing(
        self, doubtful: World
    ) -> None:
        tamper(doubtful, payment_record=None)
        resolve, refund_id = resolver(doubtful), doubtful.stored("k").id
        decision = ItSucceeded(ours(doubtful).id)
        agreed = resolve.weigh(refund_id, decision, doubtful.deadline())
        tamper(doubtful, payment_record="pr_1")
        with pytest.raises(EvidenceChangedError):
            resolve.carry_out(refund_id, decision, agreed, doubtful.deadline())

    def test_a_refund_that_keeps_changing_is_left_alone(
        self, doubtful: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries: list[Stored] = []

        def conflict(_: object, current: Stored, after: Refund, **__: object) -> Stored:
            tries.append(current)
            raise LedgerConflictError(after.id)

        resolve, refund_id = resolver(doubtful), doubtful.stored("k").id
        decision = ItSucceeded(ours(doubtful).id)
        agreed = resolve.weigh(refund_id, decision, doubtful.deadline())
        monkeypatch.setattr(type(resolve.recorder), "write", conflict)
        with pytest.raises(EvidenceChangedError, match="keeps changing"):
            resolve.carry_out(refund_id, decision, agreed, doubtful.deadline())
        assert len(tries) == 5

    def test_a_write_whose_reply_was_lost_is_found_when_it_is_done_again(self, busy: World) -> None:
        # Given a commit that is applied, and its reply lost
        decision = ItSucceeded(ours(busy).id)
        original = busy.ledger.commit

        def reply_lost(commit: object) -> None:
            original(commit)  # type: ignore[arg-type]
            busy.ledger.commit = original  # type: ignore[method-assign]
            raise LedgerUnavailableError("no answer")

        busy.ledger.commit = reply_lost  # type: ignore[method-assign]
        with pytest.raises(LedgerUnavailableError):
            decide(busy, decision)
        # When it is done again, then it is found done, and the report is still rung for
        assert decide(busy, decision).is_done
        busy.settle_for(STEP_MS)
        assert busy.doorbell.rung == [busy.stored("k").id]
