"""What one message to the reporter writes down, and whom it lets go first."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest

from refunds.payment import PaymentKey
from refunds.ports import (
    Commit,
    Deadline,
    LedgerConflictError,
    PaymentRecord,
    ProviderUnavailableError,
    StripeObjectNotFoundError,
)
from refunds.refund import Refund, ReportParameters
from refunds.report import (
    ReportDeferredError,
    Reported,
    ReportFailedError,
    UnknownRefundError,
    idempotency_key_of,
)
from refunds.state_machine import ReportState
from tests.fakes.book_fates import AnswerLost, Fails, ReportLost, TurnedAway
from tests.fakes.processor_fates import NotSent
from tests.fakes.world import REPORT_LEASE_MS, World

CHARGE = PaymentKey("hitpay", "charge-1")


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


@pytest.fixture
def refund(world: World) -> Refund:
    """A refund of SGD 25.00 that succeeded a moment ago, and owes its report."""
    refund = world.refund("k", amount=2500).refund
    world.clock.advance(1_000)
    return refund


def mishaps(world: World) -> deque[Callable[[], object]]:
    """What happens before each of the next commits, one after the other."""
    commit, queue = world.ledger.commit, deque[Callable[[], object]]()

    def interrupted(written: Commit) -> None:
        if queue:
            queue.popleft()()
        commit(written)

    world.ledger.commit = interrupted  # type: ignore[method-assign, assignment]
    return queue


def raced() -> None:
    raise LedgerConflictError("race")


def somebody_else(world: World, amount: int) -> None:
    """Another report of the payment is made in Stripe's dashboard."""
    at_s = world.clock.now_ms() // 1000
    world.book.report_elsewhere(
        ReportParameters(
            payment_record="pr_1",
            amount=amount,
            currency="sgd",
            refund_reference="somebody-else",
            initiated_at_s=at_s,
            refunded_at_s=at_s,
        )
    )


class TestTaking:
    """One worker has the report at a time."""

    def test_its_lease_is_as_long_as_it_was_set(self, world: World, refund: Refund) -> None:
        # Given a worker that dies while it tells Stripe
        def dies(*_: object) -> object:
            raise KeyboardInterrupt

        world.book.report_refund = dies  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            world.report(refund.id)
        # Then the report is its own until then, and another one is told so
        report = world.stored("k").report
        assert report.lease_until_ms == world.clock.now_ms() + REPORT_LEASE_MS
        with pytest.raises(ReportDeferredError) as deferred:
            world.report(refund.id, receive=2)
        assert deferred.value.leased
        assert deferred.value.reason == "another worker has this report"
        assert deferred.value.retry_after_s is None

    def test_where_nothing_is_due_the_log_says_where_the_report_stands(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        refund = world.refund("k").refund
        assert world.report(refund.id) is Reported.NOTHING_DUE
        facts = {"refund_id": refund.id, "report": ReportState.NOT_DUE}
        assert world.noted("nothing_due") == [facts]

    def test_a_message_for_no_refund_says_which(self, world: World) -> None:
        with pytest.raises(UnknownRefundError, match="rfd_nowhere"):
            world.report("rfd_nowhere")

    def test_a_report_without_parameters_is_for_a_person(
        self, world: World, refund: Refund
    ) -> None:
        report = replace(world.stored("k").report, parameters=None)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), report=report)
        with pytest.raises(ReportFailedError, match=refund.id):
            world.report(refund.id)
        assert world.book.asked == []


class TestConfirming:
    """Stripe has booked it."""

    def test_the_history_says_by_whom_and_when(self, world: World, refund: Refund) -> None:
        world.report(refund.id)
        stored = world.stored("k")
        assert stored.report.reported_at_ms == world.clock.now_ms()
        assert (stored.report.lease_until_ms, stored.report.attempts) == (None, 1)
        line = stored.history[-1]
        assert (line.after, line.cause) == ("report:reported", "stripe_accepted")
        assert (line.actor, line.at_ms) == ("report_refund", world.clock.now_ms())

    def test_it_is_written_over_what_others_wrote_meanwhile(
        self, world: World, refund: Refund
    ) -> None:
        # Given the payment and the refund, both written by others just before
        def others() -> None:
            payment, stored = world.payment(), world.stored("k")
            world.ledger.payments[CHARGE] = replace(payment, revision=payment.revision + 1)
            world.ledger.refunds[refund.id] = replace(
                stored, last_look="others", revision=stored.revision + 1
            )

        mishaps(world).extend([others, raced])
        # When the report is confirmed, then what they wrote is kept
        assert world.report(refund.id) is Reported.REPORTED
        stored = world.stored("k")
        assert (stored.report.state, stored.last_look) == (ReportState.REPORTED, "others")
        assert (world.payment().report_due_count, world.payment().booked) == (0, 2500)

    def test_what_another_worker_confirmed_is_not_confirmed_twice(
        self, world: World, refund: Refund
    ) -> None:
        def confirmed() -> None:
            stored = world.stored("k")
            report = replace(stored.report, state=ReportState.REPORTED)
            world.ledger.refunds[refund.id] = replace(
                stored, report=report, revision=stored.revision + 1
            )

        mishaps(world).append(confirmed)
        lines = len(refund.history)
        assert world.report(refund.id) is Reported.REPORTED
        assert len(world.stored("k").history) == lines

    def test_a_refund_that_vanishes_is_not_written(self, world: World, refund: Refund) -> None:
        mishaps(world).append(world.ledger.refunds.clear)
        assert world.report(refund.id) is Reported.REPORTED
        assert world.ledger.refunds == {}

    def test_a_payment_that_vanishes_is_not_written(self, world: World, refund: Refund) -> None:
        world.ledger.payments.clear()
        with pytest.raises(ReportDeferredError, match="too busy"):
            world.report(refund.id)
        assert world.stored("k").report.state is ReportState.DUE

    def test_twenty_four_lost_races_are_no_reason_to_give_up(
        self, world: World, refund: Refund
    ) -> None:
        mishaps(world).extend([raced] * 24)
        assert world.report(refund.id) is Reported.REPORTED

    def test_twenty_five_are(self, world: World, refund: Refund) -> None:
        mishaps(world).extend([raced] * 25)
        with pytest.raises(ReportDeferredError, match="too busy"):
            world.report(refund.id)
        assert world.stored("k").report.state is ReportState.DUE


class TestUnclear:
    """Stripe gives no usable answer."""

    def test_the_lease_is_given_back_with_the_reason(self, world: World, refund: Refund) -> None:
        world.book.fates.append(TurnedAway(3))
        with pytest.raises(ReportDeferredError) as deferred:
            world.report(refund.id)
        assert (deferred.value.reason, deferred.value.retry_after_s) == (
            "Stripe limits the rate",
            3,
        )
        assert not deferred.value.leased
        assert str(deferred.value) == "Stripe limits the rate"
        stored = world.stored("k")
        assert (stored.report.lease_until_ms, stored.report.epoch) == (None, 0)
        assert stored.report.last_error == "Stripe limits the rate"
        assert stored.updated_at_ms == world.clock.now_ms()
        assert stored.report.attempts == 1

    def test_an_answer_that_stripe_keeps_opens_the_next_epoch(
        self, world: World, refund: Refund
    ) -> None:
        world.book.fates.append(Fails())
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        assert world.stored("k").report.epoch == 1
        assert idempotency_key_of(world.stored("k")) == f"{refund.id}:1"

    def test_a_lease_that_cannot_be_given_back_ends_by_itself(
        self, world: World, refund: Refund
    ) -> None:
        world.book.fates.append(ReportLost())
        mishaps(world).append(raced)
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        assert world.noted("lease_not_released") == [{"refund_id": refund.id}]
        assert world.stored("k").report.lease_until_ms is not None

    def test_on_the_last_receive_it_is_failed_with_the_reason(
        self, world: World, refund: Refund
    ) -> None:
        world.book.fates.append(ReportLost())
        with pytest.raises(ReportFailedError, match="no whole answer"):
            world.report(refund.id, receive=8, last=True)
        stored = world.stored("k")
        reason = "unclear: Stripe: no whole answer: TimeoutError"
        assert (stored.report.last_error, stored.history[-1].cause) == (reason, reason)
        assert (stored.report.lease_until_ms, stored.next_check_ms) == (None, None)
        assert world.noted("report_failed") == [{"refund_id": refund.id, "reason": reason}]
        # And the same message, should it come again, is told so
        with pytest.raises(ReportFailedError, match=reason):
            world.report(refund.id, receive=9)

    def test_a_failure_without_a_reason_is_a_failure(self, world: World, refund: Refund) -> None:
        stored = world.stored("k")
        failed = replace(stored.report, state=ReportState.FAILED, last_error=None)
        world.ledger.refunds[refund.id] = replace(stored, report=failed)
        with pytest.raises(ReportFailedError, match="failed before"):
            world.report(refund.id, receive=2)

    def test_a_redrive_of_what_came_back_meanwhile_tells_nothing(
        self, world: World, refund: Refund
    ) -> None:
        world.book.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        stored = world.stored("k")
        world.ledger.refunds[refund.id] = replace(stored, late_failure_at_ms=1)
        assert world.report(refund.id) is Reported.NOTHING_DUE
        facts = {"refund_id": refund.id, "report": "taken back"}
        assert world.noted("nothing_due") == [facts]

    def test_a_redriven_report_counts_as_rung_for_and_is_looked_at_again(
        self, world: World, refund: Refund
    ) -> None:
        # Given a failed report that is redriven, and no answer again
        world.book.fates.extend([ReportLost(), ReportLost()])
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        world.clock.advance(1_000)
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        # Then it is due, and settling looks at it should its message be lost
        stored = world.stored("k")
        now_ms = world.clock.now_ms()
        assert (stored.report.state, stored.report.last_ring_ms) == (ReportState.DUE, now_ms)
        assert stored.next_check_ms == now_ms + 15_000

    def test_a_redrive_says_so_in_the_history(self, world: World, refund: Refund) -> None:
        world.book.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        assert world.report(refund.id) is Reported.REPORTED
        assert [line.cause for line in world.stored("k").history][-2:] == [
            "redriven",
            "stripe_accepted",
        ]


class TestRefused:
    """Stripe will not book it; was it booked before?"""

    def repeated(self, world: World, refund: Refund) -> None:
        """Stripe has booked the report, its answer was lost, and its key is forgotten."""
        world.book.fates.append(AnswerLost())
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        world.book.forget_keys()

    def unreadable(self, world: World, error: Exception) -> None:
        def fails(*_: object) -> PaymentRecord:
            raise error

        world.book.payment_record = fails  # type: ignore[method-assign, assignment]

    def test_a_sum_that_rose_by_the_refund_means_that_it_was(
        self, world: World, refund: Refund
    ) -> None:
        self.repeated(world, refund)
        assert world.report(refund.id, receive=2) is Reported.REPORTED
        facts = {"refund_id": refund.id, "risen": 2500, "unchanged": True}
        assert world.noted("refusal_judged") == [facts]

    def test_what_others_had_booked_before_is_not_taken_for_ours(self, world: World) -> None:
        # Given a part that somebody else had booked before we came, and a refund of ours
        somebody_else(world, 1000)
        refund = world.refund("k", amount=2500).refund
        assert world.payment().foreign_in_book == 1000
        # When ours was booked and its answer lost, then that is seen beside it
        self.repeated(world, refund)
        assert world.report(refund.id, receive=2) is Reported.REPORTED

    def test_what_we_had_booked_before_is_not_taken_for_it(self, world: World) -> None:
        first = world.refund("first", amount=1000).refund
        world.report(first.id)
        refund = world.refund("k", amount=2500).refund
        self.repeated(world, refund)
        assert world.report(refund.id, receive=2) is Reported.REPORTED

    def test_a_sum_that_rose_by_anything_else_is_for_a_person(
        self, world: World, refund: Refund
    ) -> None:
        self.repeated(world, refund)
        somebody_else(world, 1)
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=2)
        stored = world.stored("k").report
        assert stored.state is ReportState.FAILED
        assert stored.last_error == "refused: The reference has already been reported"

    def test_a_first_refusal_is_no_repeat(self, world: World, refund: Refund) -> None:
        # Given a record that rose by just the amount, though we were never heard
        world.book.fates.append(Fails(booked=True))
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        report = replace(world.stored("k").report, attempts=0)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), report=report)
        # Then the first attempt's refusal is for a person
        with pytest.raises(ReportFailedError):
            world.report(refund.id)
        assert world.noted("refusal_judged") == []

    def test_the_last_receive_asks_the_record_even_at_the_first_attempt(
        self, world: World, refund: Refund
    ) -> None:
        world.book.fates.append(AnswerLost())
        assert world.report(refund.id, receive=8, last=True) is Reported.REPORTED

    def test_beside_a_failed_report_no_sum_proves_anything(self, world: World) -> None:
        # Given a report of the payment that failed, and may be booked all the same
        failed = world.refund("failed", amount=1).refund
        world.book.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(failed.id, receive=8, last=True)
        # Then another one's refusal is for a person
        refund = world.refund("k", amount=2500).refund
        self.repeated(world, refund)
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=2)

    def test_a_refusal_with_a_code_is_kept_by_its_code(self, world: World, refund: Refund) -> None:
        world.book.books.records.pop("pr_1")
        with pytest.raises(ReportFailedError, match="refused: resource_missing"):
            world.report(refund.id)
        assert world.stored("k").report.last_error == "refused: resource_missing"

    def test_while_another_report_is_due_it_is_not_judged_before_the_last_receive(
        self, world: World
    ) -> None:
        # Given two reports due on one payment, one of which Stripe has booked
        refund = world.refund("k", amount=1000).refund
        world.refund("other", amount=1000)
        self.repeated(world, refund)
        # When it is refused as a repeat, then it waits under the same key
        with pytest.raises(ReportDeferredError, match="another report of the payment"):
            world.report(refund.id, receive=2)
        report = world.stored("k").report
        assert (report.lease_until_ms, report.epoch) == (None, 0)
        assert report.last_error == "refused while another report is due"
        # And at the end of its receives it is for a person: the sum proves nothing
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)

    @pytest.mark.parametrize(
        "error", [ProviderUnavailableError("down"), StripeObjectNotFoundError("gone")]
    )
    def test_a_record_that_cannot_be_read_is_read_later(
        self, world: World, refund: Refund, error: Exception
    ) -> None:
        self.repeated(world, refund)
        self.unreadable(world, error)
        with pytest.raises(ReportDeferredError, match="could not be read"):
            world.report(refund.id, receive=2)
        report = world.stored("k").report
        assert (report.lease_until_ms, report.epoch) == (None, 0)
        assert report.last_error == "refused, record not readable"
        # And on the last receive it is for a person
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        assert world.stored("k").report.state is ReportState.FAILED

    def test_a_payment_that_changed_while_the_record_was_read_proves_nothing(
        self, world: World, refund: Refund
    ) -> None:
        # Given another write of the payment while Stripe is asked for the record
        self.repeated(world, refund)
        read = world.book.payment_record

        def meanwhile(name: str, deadline: Deadline) -> PaymentRecord:
            payment = world.payment()
            world.ledger.payments[CHARGE] = replace(payment, revision=payment.revision + 1)
            return read(name, deadline)

        world.book.payment_record = meanwhile  # type: ignore[method-assign, assignment]
        # Then the sum is not trusted
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=2)
        assert [facts["unchanged"] for facts in world.noted("refusal_judged")] == [False]

    @pytest.mark.parametrize("missing", ["payment", "record"])
    def test_without_a_payment_or_a_record_nothing_is_proved(
        self, world: World, refund: Refund, missing: str
    ) -> None:
        self.repeated(world, refund)
        stored = world.stored("k")
        if missing == "record":
            world.ledger.refunds[refund.id] = replace(stored, payment_record=None)
            with pytest.raises(ReportFailedError):
                world.report(refund.id, receive=2)
        else:
            world.ledger.payments.clear()
            with pytest.raises(ReportDeferredError):
                world.report(refund.id, receive=2)
        assert world.noted("refusal_judged") == []
