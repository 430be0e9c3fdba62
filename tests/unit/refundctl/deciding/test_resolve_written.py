"""A person decides a review: all that is written then, and what a person has agreed to."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.external_refund import Import
from refund_bridge.domain.money import Money
from refund_bridge.domain.outcome import evidence_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import PaymentMethodKind, ReferenceType
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.refunding.record_outcome import SUMS_CHECK_MS
from refundctl.deciding.resolve import (
    FAILURE,
    Decision,
    EvidenceChangedError,
    ItFailed,
    ItSucceeded,
    ResolutionRefusedError,
)
from tests.fakes.processor_fates import Conduct, ReplyLost, RequestLost
from tests.fakes.world import HOLD_MS, STEP_MS, World
from tests.unit.refundctl.deciding.reviews import (
    CHARGE,
    HOUR_MS,
    NO_MONEY,
    decide,
    ours,
    refused,
    resolver,
    tamper,
)
from tests.unit.refunding.paid_world import unreadable

CERTAIN = ItFailed("their support says so", despite_evidence=True)
PENDING, SUCCEEDED = ProcessorRefundStatus.PENDING, ProcessorRefundStatus.SUCCEEDED
# USD 25.00 to a card.
UNLINKED: dict[str, Any] = {
    "record": "method-1",
    "reference_type": ReferenceType.PAYMENT_METHOD,
    "customer": {"hsid": "1"},
    "amount": 2500,
    "currency": "usd",
    "processor": "ccg",
}


def becomes(world: World, **facts: Any) -> ProcessorRefund:
    """What the refund under ``k`` is bound to shows that from now on."""
    kept = world.processor.books.refunds[world.stored("k").processor_refund_id or ""]
    kept.processor_refund = replace(kept.processor_refund, **facts)
    return kept.processor_refund


def pending(world: World) -> World:
    """The refund under ``k`` is bound to what the processor holds back."""
    world.processor.books.conduct = Conduct(PENDING)
    decide(world, ItSucceeded(world.in_dashboard(2500).id))
    return world


class TestSucceeded:
    """What a success is, by the processor or by a person's word."""

    def test_what_is_known_from_a_dashboard_only_is_kept_as_told_by_a_person(
        self, lost: World
    ) -> None:
        decide(lost, ItSucceeded("hitpay-refund-9", "seen there", despite_evidence=True))
        entry = next(one for one in lost.stored("k").history if one.after == State.SUCCEEDED)
        assert entry.evidence == {
            "processor_refund_id": "hitpay-refund-9",
            "amount": 2500,
            "currency": "sgd",
            "processor_status": "told by a person",
            "refunded_at_ms": None,
            "created_at_ms": None,
            "reason": "seen there",
        }

    def test_what_is_pending_has_succeeded_only_by_a_persons_word(self, lost: World) -> None:
        pending(lost)
        bound_to = lost.stored("k").processor_refund_id or ""
        assert decide(lost, ItSucceeded(bound_to, "sure")).is_done
        done = decide(lost, ItSucceeded(bound_to, "sure", despite_evidence=True))
        assert (done.after.state, done.after.processor_refund_id) == (State.SUCCEEDED, bound_to)
        assert lost.doorbell.rung == [done.after.id]

    def test_what_is_shown_as_ended_is_taken_as_it_is_shown(self, lost: World) -> None:
        shown = lost.in_dashboard(2500)
        done = decide(lost, ItSucceeded(shown.id, "x" * 1000, despite_evidence=True))
        assert done.processor_refund == shown
        entry = next(one for one in done.after.history if one.after == State.SUCCEEDED)
        assert entry.evidence == evidence_of(shown) | {"reason": "x" * 300}

    def test_an_unlinked_one_belongs_to_no_payment(self) -> None:
        # Given an unlinked refund in review, of which the processor shows nothing
        world = World(doors=("ccg",))
        world.processor.decide = lambda _: RequestLost()
        world.refund("k", **UNLINKED)
        world.settle_for(3 * HOLD_MS, every_ms=HOUR_MS)
        assert world.stored("k").state is State.REVIEW
        # When a person knows that it moved
        done = decide(world, ItSucceeded("ccg-9", "their support", despite_evidence=True))
        assert (done.after.state, done.after.processor_refund_id) == (State.SUCCEEDED, "ccg-9")

    def test_an_old_one_is_ours_if_it_was_not_there_before(self, lost: World) -> None:
        shown = lost.in_dashboard(2500)
        tamper(lost, snapshot=("another",))
        kept = lost.processor.books.refunds[shown.id]
        kept.processor_refund = replace(shown, created_at_ms=1000, refunded_at_ms=1000)
        assert decide(lost, ItSucceeded(shown.id)).after.state is State.SUCCEEDED


class TestFailed:
    """What a failure is, and what becomes of what moved instead."""

    def imported(self, world: World, shown: ProcessorRefund) -> Refund:
        importing = Import(
            stage="test",
            key=CHARGE,
            payment_record="pr_1",
            since_ms=0,
            now_ms=world.clock.now_ms(),
        )
        return importing.refund_of(shown)

    def test_nothing_of_it_is_left_to_do(self, lost: World) -> None:
        before = lost.stored("k")
        agreed = resolver(lost).weigh(before.id, NO_MONEY, lost.deadline())
        assert (agreed.after.failure, agreed.after.next_check_ms) == (FAILURE, None)
        assert (agreed.processor_refund, agreed.left_over, agreed.imported) == (None, (), None)
        decide(lost, NO_MONEY)
        assert lost.noted("refund_resolved") == [{"refund_id": before.id, "state": "failed"}]
        assert lost.noted("report_failed") == []
        now_ms = lost.clock.now_ms()
        assert lost.stored("k").next_check_ms == now_ms + SUMS_CHECK_MS

    @pytest.mark.parametrize("decision", [NO_MONEY, CERTAIN])
    def test_what_shows_another_amount_is_kept_as_evidence_and_imported(
        self, lost: World, decision: ItFailed
    ) -> None:
        shown = becomes(pending(lost), money=Money(2000, "sgd"), status=SUCCEEDED)
        agreed = resolver(lost).weigh(lost.stored("k").id, decision, lost.deadline())
        done = decide(lost, decision)
        # Then that is all of the evidence, and the import is as any other
        evidence: dict[str, Any] = {"reason": decision.reason}
        if decision.despite_evidence:
            evidence |= {"despite": []}
        assert lost.stored("k").history[-1].evidence == evidence | evidence_of(shown)
        assert (done.processor_refund, done.left_over) == (shown, ())
        assert done.imported == self.imported(lost, shown)
        assert lost.imported() == [replace(self.imported(lost, shown), revision=1)]
        assert lost.ledger.claimed("hitpay", [shown.id]) == {shown.id: lost.imported()[0].id}
        assert done.payment == lost.payment()
        # And that is the payment that the person has been shown before
        assert replace(agreed.payment, revision=done.payment.revision) == done.payment

    def test_what_waits_at_the_processor_stays_bound_and_nothing_else_may_be_it(
        self, lost: World
    ) -> None:
        bound_to = pending(lost).stored("k").processor_refund_id
        done = decide(lost, CERTAIN)
        assert (done.after.state, done.after.processor_refund_id) == (State.FAILED, bound_to)
        assert (done.processor_refund, done.left_over, done.imported) == (None, (), None)
        evidence = {"reason": CERTAIN.reason, "despite": []}
        assert lost.stored("k").history[-1].evidence == evidence

    def test_what_it_is_bound_to_is_imported_also_if_the_payment_lists_nothing(
        self, lost: World
    ) -> None:
        shown = becomes(pending(lost), money=Money(2000, "sgd"), status=SUCCEEDED)
        lost.processor.lists_refunds = False
        assert decide(lost, NO_MONEY).imported == self.imported(lost, shown)

    @pytest.mark.parametrize("facts", [{"payment_id": "charge-2"}, {"money": Money(2500, "usd")}])
    def test_what_moved_nothing_of_its_payment_is_not_imported(
        self, lost: World, facts: dict[str, Any]
    ) -> None:
        lost.processor.add_charge("charge-2", Money(9999, "sgd"))
        lost.processor.lists_refunds = False
        shown = becomes(pending(lost), status=SUCCEEDED, **facts)
        done = decide(lost, NO_MONEY)
        assert (done.after.processor_refund_id, done.imported) == (None, None)
        assert done.processor_refund == shown
        assert lost.imported() == []

    def test_what_failed_at_the_processor_stays_bound_to_it(self, lost: World) -> None:
        shown = becomes(pending(lost), status=ProcessorRefundStatus.FAILED)
        done = decide(lost, NO_MONEY)
        assert (done.after.state, done.after.processor_refund_id) == (State.FAILED, shown.id)
        assert (done.processor_refund, done.left_over, done.imported) == (None, (), None)

    def test_what_failed_under_its_instruction_does_not_stand_against_it(self, lost: World) -> None:
        shown = lost.in_dashboard(2500)
        facts: dict[str, Any] = {"instruction_id": lost.stored("k").id}
        kept = lost.processor.books.refunds[shown.id]
        kept.processor_refund = replace(shown, status=PENDING, **facts)
        assert refused(lost, NO_MONEY).processor_refunds == (shown.id,)
        kept.processor_refund = replace(shown, status=ProcessorRefundStatus.FAILED, **facts)
        assert decide(lost, NO_MONEY).after.state is State.FAILED

    def test_what_its_instruction_moved_as_asked_is_named_as_what_may_be_ours(
        self, lost: World
    ) -> None:
        shown = lost.in_dashboard(2500)
        kept = lost.processor.books.refunds[shown.id]
        kept.processor_refund = replace(shown, instruction_id=lost.stored("k").id)
        done = decide(lost, CERTAIN)
        assert (done.processor_refund, done.imported) == (None, None)
        assert done.left_over == (kept.processor_refund,)

    def test_of_a_processor_that_shows_no_payments_none_is_asked_for(self) -> None:
        # Given a refund that shows another amount, at a processor that shows no payments
        world = World(doors=("ccg",))
        world.pay()
        world.processor.books.conduct = Conduct(PENDING)
        world.refund("k", amount=2500)
        shown = becomes(world, money=Money(2000, "sgd"), status=SUCCEEDED)
        tamper(world, state=State.REVIEW)

        def charge(*_: object) -> Charge:
            raise AssertionError

        world.processor.charge = charge  # type: ignore[method-assign, assignment]
        done = decide(world, NO_MONEY)
        assert done.imported is not None
        assert (done.imported.amount, done.processor_refund) == (2000, shown)

    def test_another_amount_that_went_to_a_card_is_imported_too(self) -> None:
        world = World(doors=("ccg",))
        world.processor.books.methods["method-1"] = PaymentMethodKind.CARD
        world.processor.books.conduct = Conduct(PENDING)
        world.refund("k", **UNLINKED)
        becomes(world, money=Money(2000, "usd"), status=SUCCEEDED)
        tamper(world, state=State.REVIEW)
        done = decide(world, NO_MONEY)
        assert done.imported is not None
        assert (done.imported.amount, done.imported.currency) == (2000, "usd")

    def test_another_amount_under_its_instruction_is_told_from_what_may_be_ours(self) -> None:
        # Given a refund whose instruction moved another amount, beside a colleague's of its own
        world = World(doors=("hedge",))
        world.pay()
        world.processor.books.names_instructions = True
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        moved = world.processor.books.refunds["hedge-refund-1"]
        moved.processor_refund = replace(moved.processor_refund, money=Money(2400, "sgd"))
        world.processor.books.names_instructions = False
        theirs = world.in_dashboard(2500)
        world.settle_for(2 * HOLD_MS, every_ms=HOUR_MS)
        assert world.stored("k").state is State.REVIEW
        # When a person says that ours failed
        done = decide(world, CERTAIN)
        # Then the one is imported as what it is, and the other is named as what may be ours
        assert done.processor_refund == moved.processor_refund
        assert done.left_over == (theirs,)
        assert [one.amount for one in world.imported()] == [2400]
        assert world.stored("k").history[-1].evidence == {
            "reason": CERTAIN.reason,
            "despite": [theirs.id],
        } | evidence_of(moved.processor_refund)


class TestWhoMayDecide:
    """What settling finds out by itself is no person's, unless it has lasted for long."""

    @pytest.mark.parametrize(
        "state", [one for one in State if one not in (State.REVIEW, State.UNKNOWN, State.PENDING)]
    )
    def test_however_long_it_has_been_what_is_certain_or_sent_is_not_decided(
        self, lost: World, state: State
    ) -> None:
        tamper(lost, state=state)
        lost.clock.advance(3 * HOLD_MS)
        decisions: list[Decision] = [ItSucceeded("m", despite_evidence=True)]
        if state is not State.FAILED:
            decisions.append(CERTAIN)
        for decision in decisions:
            assert lost.stored("k").id in str(refused(lost, decision))

    def test_a_pending_one_is_decided_once_it_has_been_so_for_the_hold(self) -> None:
        world = World()
        world.pay()
        world.processor.books.conduct = Conduct(PENDING)
        world.refund("k", amount=2500)
        began_ms = world.stored("k").entered_at_ms
        world.clock.advance(began_ms + HOLD_MS - 1 - world.clock.now_ms())
        assert "is accepted" in str(refused(world, CERTAIN))
        world.clock.advance(1)
        assert "is accepted" in str(refused(world, NO_MONEY))
        assert decide(world, CERTAIN).after.state is State.FAILED

    def test_an_unknown_one_after_twice_the_hold_since_it_was_last_sent(self) -> None:
        world = World()
        world.pay()
        world.clock.advance(HOLD_MS)
        world.processor.fates.append(RequestLost())
        sent_ms = world.refund("k", amount=2500).refund.last_sent_at_ms
        world.clock.advance(sent_ms + 2 * HOLD_MS - 1 - world.clock.now_ms())
        assert "is looked up" in str(refused(world, CERTAIN))
        world.clock.advance(1)
        assert "is looked up" in str(refused(world, NO_MONEY))
        assert decide(world, CERTAIN).after.state is State.FAILED

    @pytest.mark.parametrize("account", [None, "account-1", "account-2"])
    def test_another_account_of_the_processor_shows_no_evidence(
        self, lost: World, account: str | None
    ) -> None:
        tamper(lost, account=account)
        if account == "account-2":
            assert "no evidence" in str(refused(lost, NO_MONEY))
            told = str(refused(lost, ItSucceeded(lost.in_dashboard(2500).id)))
            assert "in a form that can be read" in told
        else:
            assert decide(lost, NO_MONEY).after.state is State.FAILED

    @pytest.mark.parametrize("is_certain", [True, False])
    def test_no_answer_counts_as_nothing_shown_only_for_who_is_certain_after_the_hold(
        self, lost: World, is_certain: bool
    ) -> None:
        decision = ItFailed("gone", despite_evidence=is_certain)
        lost.processor.is_down = True
        entered_ms = lost.stored("k").entered_at_ms
        lost.clock.advance(entered_ms + HOLD_MS - 1 - lost.clock.now_ms())
        refund_id = lost.stored("k").id
        with pytest.raises(ProviderUnavailableError):
            resolver(lost).weigh(refund_id, decision, lost.deadline())
        lost.clock.advance(1)
        if is_certain:
            assert decide(lost, decision).after.state is State.FAILED
        else:
            with pytest.raises(ProviderUnavailableError):
                resolver(lost).weigh(refund_id, decision, lost.deadline())

    def test_an_answer_that_cannot_be_read_shows_nothing(self, lost: World) -> None:
        lost.processor.processor_refund = unreadable  # type: ignore[method-assign, assignment]
        told = str(refused(lost, ItSucceeded("hitpay-refund-9")))
        assert "does not show hitpay-refund-9 in a form that can be read" in told
        lost.processor.charge = unreadable  # type: ignore[method-assign, assignment]
        assert "no evidence" in str(refused(lost, NO_MONEY))

    def test_until_when_an_instruction_may_arrive_is_said_to_the_second(self, lost: World) -> None:
        # 2023-11-14T22:13:20.999Z
        tamper(lost, started_at_ms=1_700_000_000_999 + HOLD_MS)
        lost.clock.wall_ms = 1_700_000_000_999 + HOLD_MS
        assert "until 2023-11-16T22:13:20Z:" in str(refused(lost, NO_MONEY))


class TestWhatWasAgreedTo:
    """Anything else is not written."""

    def test_a_state_that_would_be_another(self) -> None:
        # Given a refund of Stripe's own dashboard, which is never reported, and waits for a person
        world = World(doors=("stripe",))
        world.pay_at_stripe()
        world.processor.books.conduct = Conduct(PENDING)
        moved = world.processor.refund_in_dashboard("ch_1", 2500)
        assert isinstance(moved, ProcessorRefund)
        world.refund("k", record="ch_1", reference_type=ReferenceType.CHARGE, amount=100)
        (imported,) = world.imported()
        world.ledger.refunds[imported.id] = replace(imported, state=State.REVIEW)
        decision = ItSucceeded(moved.id)
        agreed = resolver(world).weigh(imported.id, decision, world.deadline())
        # When it ends after a person has seen that it is pending
        world.processor.books.set_status(moved.id, SUCCEEDED)
        # Then that is not what was agreed to
        with pytest.raises(EvidenceChangedError):
            resolver(world).carry_out(imported.id, decision, agreed, world.deadline())

    def test_an_import_that_would_be_none(self, lost: World) -> None:
        becomes(pending(lost), money=Money(2000, "sgd"), status=SUCCEEDED)
        refund_id = lost.stored("k").id
        agreed = resolver(lost).weigh(refund_id, NO_MONEY, lost.deadline())
        assert agreed.imported is not None
        # When the payment lists it by another id, so that it is imported from there
        lost.processor.books.lists_other_ids = True
        with pytest.raises(EvidenceChangedError):
            resolver(lost).carry_out(refund_id, NO_MONEY, agreed, lost.deadline())

    def test_but_the_time_at_which_it_is_written(self, doubtful: World) -> None:
        refund_id, decision = doubtful.stored("k").id, ItSucceeded(ours(doubtful).id)
        agreed = resolver(doubtful).weigh(refund_id, decision, doubtful.deadline())
        doubtful.clock.advance(STEP_MS)
        done = resolver(doubtful).carry_out(refund_id, decision, agreed, doubtful.deadline())
        assert done.after == doubtful.stored("k")
        assert done.before == agreed.before
        assert done.after.updated_at_ms == doubtful.clock.now_ms()

    def test_what_has_failed_meanwhile_is_left_as_it_is(self, lost: World) -> None:
        shown = lost.in_dashboard(2500)
        decision = ItSucceeded(shown.id)
        agreed = resolver(lost).weigh(lost.stored("k").id, decision, lost.deadline())
        decide(lost, CERTAIN)
        with pytest.raises(ResolutionRefusedError, match="failed"):
            resolver(lost).carry_out(lost.stored("k").id, decision, agreed, lost.deadline())
