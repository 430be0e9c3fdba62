"""Stripe will not book the report: was it booked before?"""

from dataclasses import replace

import pytest

from refunds.payment import PaymentKey
from refunds.ports import (
    Deadline,
    PaymentRecord,
    ProviderUnavailableError,
    StripeObjectNotFoundError,
)
from refunds.refund import Refund
from refunds.report import (
    ReportDeferredError,
    Reported,
    ReportFailedError,
)
from refunds.state_machine import ReportState
from tests.fakes.book_fates import AnswerLost, Arrives, Fails, ReportLost
from tests.fakes.world import World
from tests.unit.reporting import booked, report_elsewhere

CHARGE = PaymentKey("hitpay", "charge-1")


def test_a_refusal_that_the_record_does_not_explain_is_for_a_person(world: World) -> None:
    # Given a record on which somebody else has reported all of it meanwhile
    refund = world.refund("k", amount=9999).refund
    report_elsewhere(world, 5000)
    # When ours is refused
    with pytest.raises(ReportFailedError):
        world.report(refund.id)
    # Then it is failed, and no further receive of that message asks again
    assert world.stored("k").report.state is ReportState.FAILED
    with pytest.raises(ReportFailedError):
        world.report(refund.id, receive=2)
    assert len(world.book.asked) == 1


def test_a_refusal_is_not_judged_while_another_report_of_the_payment_is_due(world: World) -> None:
    # Given two reports due on one payment, one of which Stripe booked without telling
    one, two = (world.refund(key, amount=1000).refund for key in ("one", "two"))
    world.book.fates.extend([AnswerLost(), Arrives()])
    with pytest.raises(ReportDeferredError):
        world.report(one.id)
    world.book.forget_keys()
    # When the first is refused as a repeat, then it waits for the second
    with pytest.raises(ReportDeferredError):
        world.report(one.id, receive=2)
    assert world.report(two.id) is Reported.REPORTED
    # And is then found to be booked
    assert world.report(one.id, receive=3) is Reported.REPORTED
    assert [item.amount for item in booked(world)] == [1000, 1000]


def test_two_reports_of_one_payment_that_stripe_booked_without_telling_end_reported(
    world: World,
) -> None:
    # Given two reports of one payment, both booked and answered with a 500
    one, two = (world.refund(key, amount=1000).refund for key in ("one", "two"))
    world.book.fates.extend([Fails(booked=True), Fails(booked=True)])
    for refund in (one, two):
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
    # When each is refused as a repeat, then the sum tells that both are booked
    assert world.report(one.id, receive=2) is Reported.REPORTED
    assert world.report(two.id, receive=2) is Reported.REPORTED
    assert len(world.book.books.reports_of("pr_1")) == 2


def test_what_others_reported_is_not_taken_for_a_report_that_was_refused(world: World) -> None:
    # Given a report that is due, and much that somebody else has reported of the same payment
    due = world.refund("one", amount=1000).refund
    assert due.report.parameters is not None
    world.book.report_elsewhere(
        replace(due.report.parameters, amount=9500, refund_reference="somebody-else")
    )
    # And that was learnt while nobody could say whether our report was part of Stripe's sum
    second = world.refund("two", amount=1).refund
    world.report(second.id)
    # When the report gets no answer, and is then refused since too little is left
    world.book.fates.append(ReportLost())
    with pytest.raises(ReportDeferredError):
        world.report(due.id)
    # Then it is not taken for booked, though the sum has risen by just as much
    with pytest.raises(ReportFailedError):
        world.report(due.id, receive=2)
    assert world.stored("one").report.state is ReportState.FAILED


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
        assert len(world.book.books.reports_of("pr_1")) == 1

    def test_what_others_had_booked_before_is_not_taken_for_ours(self, world: World) -> None:
        # Given a part that somebody else had booked before we came, and a refund of ours
        report_elsewhere(world, 1000)
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
        report_elsewhere(world, 1)
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
