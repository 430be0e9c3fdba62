"""One refund from intention to doorbell, step by step, in a world in memory."""

from typing import Any

import pytest

from refunds.errors import (
    AmountRefusedError,
    CurrencyMismatchError,
    IdempotencyKeyReusedError,
    KeyInUseError,
    PaymentBusyError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    ProcessorUnavailableError,
    RefundAmountExceededError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refunds.link import VerifyCharge
from refunds.money import Money
from refunds.ports import MovementStatus
from refunds.refund import ReferenceType
from refunds.state_machine import ReportState, State
from tests.fakes.book_records import FakeRecord
from tests.fakes.processor_fates import (
    Answered,
    Conduct,
    ExecutedLate,
    NotSent,
    ReplyLost,
    RequestLost,
)
from tests.fakes.world import LEASE_MS, World


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


def test_a_success_is_entered_together_with_the_report_that_it_owes(world: World) -> None:
    # When a refund succeeds
    answer = world.refund("k", amount=2500)
    # Then the refund, its movement and its report's parameters are one
    refund = answer.refund
    assert (refund.state, refund.report.state) == (State.SUCCEEDED, ReportState.DUE)
    (movement,) = world.processor.moved_by(refund.id)
    assert refund.processor_refund_id == movement.id
    assert refund.report.parameters is not None
    assert refund.report.parameters.refund_reference == movement.id
    assert refund.report.parameters.amount == 2500
    # And Stripe's times are seconds, the refund's not before its start
    assert refund.started_at_ms is not None
    assert refund.report.parameters.initiated_at_s == refund.started_at_ms // 1000
    assert refund.report.parameters.refunded_at_s >= refund.report.parameters.initiated_at_s
    # And the reporter was rung for
    assert world.doorbell.rung == [refund.id]
    assert [entry.after for entry in refund.history] == ["submitting", "succeeded", "report:due"]
    assert refund == world.ledger.refund(refund.id)
    assert answer.payment == world.payment()


def test_the_intent_is_durable_before_the_processor_is_asked(world: World) -> None:
    seen = []

    def look(_: object) -> NotSent:
        seen.append((world.stored("k").state, world.payment().slot, world.payment().held))
        return NotSent()

    world.processor.decide = look
    world.refund("k", amount=2500)
    assert seen == [(State.SUBMITTING, world.stored("k").id, 2500)]


def test_a_known_key_is_answered_from_the_ledger_with_both_providers_down(world: World) -> None:
    first = world.refund("k")
    world.processor.is_down = world.book.is_down = True
    again = world.refund("k")
    assert again.replayed
    assert again.refund == first.refund
    assert len(world.processor.orders) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 1},
        {"amount": 2500, "reason": "duplicate"},
        {"amount": 2500, "metadata": {"a": "b"}},
    ],
)
def test_a_key_that_comes_with_another_request_is_refused(
    world: World, other: dict[str, Any]
) -> None:
    world.refund("k", amount=2500)
    with pytest.raises(IdempotencyKeyReusedError):
        world.refund("k", **other)
    assert len(world.processor.orders) == 1


@pytest.mark.parametrize("fate", [RequestLost(), ReplyLost(), ExecutedLate(5_000), Answered(500)])
def test_an_answer_that_says_nothing_leaves_the_refund_unknown_with_its_money_held(
    world: World, fate: object
) -> None:
    world.processor.fates.append(fate)  # type: ignore[arg-type]
    answer = world.refund("k", amount=2500)
    assert answer.refund.state is State.UNKNOWN
    assert world.payment().refundable == 7499
    assert world.payment().slot == answer.refund.id
    # And nothing that the caller does sends it again
    world.clock.advance(3 * LEASE_MS)
    assert world.refund("k", amount=2500).refund.state is State.UNKNOWN
    assert len(world.processor.orders) == 1
    assert world.doorbell.rung == []


def test_another_refund_waits_while_one_may_be_moving_money(world: World) -> None:
    world.processor.fates.append(RequestLost())
    first = world.refund("k", amount=2500)
    with pytest.raises(PaymentBusyError) as busy:
        world.refund("other", amount=99_999_999)  # tested before the amounts
    assert busy.value.details == {"blocking_refund": {"id": first.refund.id, "status": "pending"}}
    assert len(world.processor.orders) == 1


def test_a_refusal_frees_the_money_and_spends_the_key(world: World) -> None:
    world.processor.fates.append(Answered(422, "Insufficient balance."))
    refused = world.refund("k")
    assert refused.refund.state is State.REJECTED
    assert refused.refund.failure is not None
    assert refused.refund.failure.message == "Insufficient balance."
    assert (world.payment().refundable, world.payment().slot) == (9999, None)
    assert world.refund("k").refund.state is State.REJECTED
    assert len(world.processor.orders) == 1


@pytest.mark.parametrize("fate", [NotSent(), Answered(429), Answered(401), Answered(404)])
def test_what_was_certainly_not_executed_may_be_tried_again_with_the_same_key(
    world: World, fate: object
) -> None:
    # Given a refund that certainly was not executed
    world.processor.fates.append(fate)  # type: ignore[arg-type]
    first = world.refund("k", amount=2500)
    assert first.refund.state is State.ABORTED
    assert (world.payment().held, world.payment().slot) == (0, None)
    # When the same key comes again
    again = world.refund("k", amount=2500)
    # Then it is executed, once, as a second attempt
    assert (again.refund.state, again.refund.attempt) == (State.SUCCEEDED, 2)
    assert not again.replayed
    assert again.refund.failure is None
    assert world.payment().held == 2500
    assert len(world.processor.moved_by(first.refund.id)) == 1


def test_an_aborted_refund_of_everything_keeps_the_amount_that_it_resolved(world: World) -> None:
    # Given a full refund that was aborted, and a part of the payment refunded since
    world.processor.fates.append(NotSent())
    world.refund("k")
    world.refund("part", amount=1)
    # When its key comes again, then the same amount is asked for, which is too much now
    with pytest.raises(RefundAmountExceededError):
        world.refund("k")
    assert world.stored("k").amount == 9999


def test_an_omitted_amount_is_what_is_left(world: World) -> None:
    world.refund("part", amount=2500)
    assert world.refund("rest").refund.amount == 7499
    with pytest.raises(PaymentNotRefundableError):
        world.refund("more")


def test_a_pending_refund_is_bound_but_not_reported(world: World) -> None:
    world.processor.books.conduct = Conduct(MovementStatus.PENDING)
    answer = world.refund("k", amount=2500)
    assert answer.refund.state is State.PENDING
    assert answer.refund.processor_refund_id is not None
    assert answer.refund.report.state is ReportState.NOT_DUE
    assert (world.payment().held, world.payment().slot) == (2500, None)
    assert world.doorbell.rung == []


def test_a_refund_that_is_done_when_it_is_looked_at_once_more_succeeds_at_once(
    world: World,
) -> None:
    world.processor.books.conduct = Conduct(
        MovementStatus.PENDING, last=MovementStatus.SUCCEEDED, after_ms=0
    )
    answer = world.refund("k", amount=2500)
    assert answer.refund.state is State.SUCCEEDED
    assert world.doorbell.rung == [answer.refund.id]


def test_a_lost_doorbell_loses_no_report(world: World) -> None:
    world.doorbell.is_broken = True
    answer = world.refund("k")
    assert answer.refund.state is State.SUCCEEDED
    assert answer.refund.report.state is ReportState.DUE
    assert answer.refund.next_check_ms is not None
    assert "doorbell_lost" in world.trail.events


def test_while_a_call_is_sending_the_same_key_is_told_to_wait(world: World) -> None:
    told: list[RefundBridgeError] = []

    def meanwhile(_: object) -> NotSent:
        with pytest.raises(KeyInUseError) as in_use:
            world.refund("k")
        told.append(in_use.value)
        return NotSent()

    world.processor.decide = meanwhile
    world.refund("k")
    assert [error.details["outcome"] for error in told] == ["unknown"]
    assert all(error.retry_after_s for error in told)


def test_a_call_that_was_paused_past_its_lease_does_not_send(world: World) -> None:
    # Given a call that is paused just after its intent became durable
    commit = world.ledger.commit

    def commit_then_pause(written: object) -> None:
        commit(written)  # type: ignore[arg-type]
        world.clock.advance(LEASE_MS)

    world.ledger.commit = commit_then_pause  # type: ignore[method-assign, assignment]
    # When it goes on
    answer = world.refund("k")
    # Then nothing is sent
    assert answer.refund.state is State.ABORTED
    assert world.processor.orders == []


class TestBeforeAnythingIsWritten:
    """What is refused before the reservation leaves no trace."""

    @pytest.fixture(autouse=True)
    def no_trace(self, world: World) -> object:
        yield
        assert world.ledger.payment_of_record("pr_1") is None
        assert world.processor.orders == []

    def test_more_than_was_paid(self, world: World) -> None:
        with pytest.raises(RefundAmountExceededError) as refused:
            world.refund("k", amount=10_000)
        assert refused.value.details == {
            "original_amount": 9999,
            "already_refunded": 0,
            "remaining_refundable": 9999,
            "requested_refund": 10_000,
        }

    def test_another_currency(self, world: World) -> None:
        with pytest.raises(CurrencyMismatchError):
            world.refund("k", currency="usd")

    def test_a_charge_in_another_currency(self, world: World) -> None:
        world.processor.add_charge("charge-1", Money(9999, "usd"))
        with pytest.raises(CurrencyMismatchError):
            world.refund("k")

    def test_a_charge_of_another_amount(self, world: World) -> None:
        world.processor.add_charge("charge-1", Money(9998, "sgd"))
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k")

    @pytest.mark.parametrize("status", ["pending", "failed", "void"])
    def test_a_charge_that_never_succeeded(self, world: World, status: str) -> None:
        world.processor.add_charge("charge-1", Money(9999, "sgd"), status=status)
        with pytest.raises(PaymentNotRefundableError):
            world.refund("k")

    def test_a_charge_that_the_processor_does_not_know(self, world: World) -> None:
        world.processor.books.charges.clear()
        with pytest.raises(PaymentNotFoundError):
            world.refund("k")

    def test_a_record_without_a_link(self, world: World) -> None:
        world.book.add_record(FakeRecord("pr_1", "sgd", 9999, 9999))
        with pytest.raises(PaymentNotLinkedError) as refused:
            world.refund("k")
        details = refused.value.details
        assert (details["object"], details["missing"]) == ("pr_1", "processor payment id")

    def test_a_record_that_was_never_captured(self, world: World) -> None:
        world.book.books.records["pr_1"].guaranteed = 0
        with pytest.raises(PaymentNotRefundableError):
            world.refund("k")

    def test_an_intent_that_names_no_record(self, world: World) -> None:
        world.book.add_reference("pi_1", {})
        with pytest.raises(PaymentNotLinkedError) as refused:
            world.refund("k", record="pi_1", reference_type=ReferenceType.PAYMENT_INTENT)
        assert refused.value.details == {
            "object": "pi_1",
            "missing": "Payment Record id",
            "expected_in": ["metadata.stripe_payment_record_id"],
        }

    def test_an_invoice_that_names_another_charge_than_its_record(self, world: World) -> None:
        world.processor.add_charge("charge-2", Money(9999, "sgd"))
        world.book.add_reference(
            "in_1", {"stripe_payment_record_id": "pr_1", "hitpay_payment_id": "charge-2"}
        )
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k", record="in_1", reference_type=ReferenceType.INVOICE)

    def test_an_amount_that_stripe_could_not_be_told(self, world: World) -> None:
        world.pay("kwd", 5000, "kwd")
        with pytest.raises(AmountRefusedError):
            world.refund("k", record="pr_kwd", amount=1001)

    def test_stripe_down(self, world: World) -> None:
        world.book.is_down = True
        with pytest.raises(StripeUnavailableError) as told:
            world.refund("k")
        assert told.value.retry_after_s

    def test_the_processor_down(self, world: World) -> None:
        world.processor.is_down = True
        with pytest.raises(ProcessorUnavailableError) as told:
            world.refund("k")
        assert told.value.retry_after_s

    def test_providers_too_slow_to_leave_time_for_the_refund(self, world: World) -> None:
        charge = world.processor.charge

        def slowly(*arguments: object) -> object:
            world.clock.advance(13_000)
            return charge(*arguments)  # type: ignore[arg-type]

        world.processor.charge = slowly  # type: ignore[method-assign, assignment]
        with pytest.raises(ProcessorUnavailableError):
            world.refund("k")


class TestLinks:
    """A record and a charge claim each other for ever."""

    def test_a_second_record_cannot_have_the_charge(self, world: World) -> None:
        world.refund("k", amount=1)
        world.book.add_record(
            FakeRecord("pr_2", "sgd", 9999, 9999, metadata={"hitpay_payment_id": "charge-1"})
        )
        with pytest.raises(PaymentLinkConflictError):
            world.refund("other", record="pr_2", amount=1)

    def test_a_record_cannot_move_to_another_charge(self, world: World) -> None:
        world.refund("k", amount=1)
        world.processor.add_charge("charge-2", Money(9999, "sgd"))
        world.book.books.records["pr_1"].metadata = {"hitpay_payment_id": "charge-2"}
        with pytest.raises(PaymentLinkConflictError):
            world.refund("other", amount=1)
        assert len(world.processor.orders) == 1

    def test_an_aborted_refund_stays_with_the_charge_that_it_was_reserved_on(
        self, world: World
    ) -> None:
        # Given an aborted refund by an intent, which then leads to another record and charge
        world.pay("2")
        world.book.add_reference("pi_1", {"stripe_payment_record_id": "pr_1"})
        by_intent: dict[str, Any] = {
            "record": "pi_1",
            "reference_type": ReferenceType.PAYMENT_INTENT,
        }
        world.processor.fates.append(NotSent())
        world.refund("k", amount=1, **by_intent)
        world.book.add_reference("pi_1", {"stripe_payment_record_id": "pr_2"})
        # When its key comes again, then nothing is sent
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k", amount=1, **by_intent)
        assert len(world.processor.orders) == 1

    @pytest.mark.parametrize("verify", list(VerifyCharge))
    def test_the_charge_is_read_as_often_as_the_stage_wants(self, verify: VerifyCharge) -> None:
        world = World(verify_charge=verify)
        world.pay()
        reads = []
        charge = world.processor.charge

        def counted(charge_id: str, deadline: object) -> object:
            reads.append(charge_id)
            return charge(charge_id, deadline)  # type: ignore[arg-type]

        world.processor.charge = counted  # type: ignore[method-assign, assignment]
        for key in ("one", "two"):
            assert world.refund(key, amount=1).refund.state is State.SUCCEEDED
        expected = {VerifyCharge.ALWAYS: 2, VerifyCharge.FIRST: 1, VerifyCharge.NEVER: 0}
        assert len(reads) == expected[verify]


class TestRefundsOfOthers:
    """What was refunded in the processor's dashboard counts, once."""

    def test_before_the_payment_was_first_seen(self, world: World) -> None:
        world.processor.refund_in_dashboard("charge-1", 2500)
        answer = world.refund("rest")
        assert answer.refund.amount == 7499
        assert world.payment().moved == 9999
        assert world.payment().refundable == 0

    def test_between_two_of_ours(self, world: World) -> None:
        world.refund("one", amount=1000)
        world.processor.refund_in_dashboard("charge-1", 2500)
        answer = world.refund("rest")
        assert answer.refund.amount == 9999 - 1000 - 2500
        assert answer.refund.snapshot == ()

    def test_shown_only_as_a_sum(self, world: World) -> None:
        world.processor.lists_refunds = False
        world.refund("one", amount=1000)
        world.processor.refund_in_dashboard("charge-1", 2500)
        answer = world.refund("rest")
        assert answer.refund.amount == 9999 - 1000 - 2500
        assert world.payment().foreign == 2500

    def test_too_many_for_one_transaction(self, world: World) -> None:
        for _ in range(95):
            world.processor.refund_in_dashboard("charge-1", 100)
        assert world.refund("rest").refund.amount == 9999 - 9500
        assert len(world.ledger.movements) == 96
