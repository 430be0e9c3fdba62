"""A processor refund that somebody else made, as a refund of its own."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.external_refund import Import, is_importable
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund, imported_refund_id
from refund_bridge.domain.refund_request import ReferenceType, Source
from refund_bridge.domain.report import BEFORE_ADOPTION, Report, ReportCause
from refund_bridge.domain.state_machine import ReportState, State

CHARGE = PaymentKey("hitpay", "charge-1")
NOW = 1_709_251_199_999
SEEN = NOW - 3_600_000


def processor_refund(**facts: Any) -> ProcessorRefund:
    plain = ProcessorRefund(
        id="m1",
        payment_id="charge-1",
        money=Money(2500, "sgd"),
        status=ProcessorRefundStatus.SUCCEEDED,
        processor_status="succeeded",
        created_at_ms=SEEN + 1,
        refunded_at_ms=SEEN + 2,
    )
    return replace(plain, **facts)


class TestImport:
    """The refund that stands for a processor refund."""

    def of(self, seen: ProcessorRefund, **facts: Any) -> Refund:
        plain = Import(stage="test", key=CHARGE, payment_record="pr_1", since_ms=SEEN, now_ms=NOW)
        return replace(plain, **facts).refund_of(seen)

    def test_it_is_bound_and_owes_a_report_for_which_nobody_was_rung(self) -> None:
        refund = self.of(processor_refund())
        assert refund.id == imported_refund_id("hitpay", "m1", "test")
        assert (refund.state, refund.source) == (State.SUCCEEDED, Source.PROCESSOR)
        assert (refund.processor, refund.processor_payment_id) == ("hitpay", "charge-1")
        assert (refund.amount, refund.currency) == (2500, "sgd")
        assert (refund.payment_record, refund.processor_refund_id) == ("pr_1", "m1")
        assert (refund.created_at_ms, refund.updated_at_ms) == (SEEN + 1, NOW)
        assert refund.contradicts is None
        assert (refund.report.state, refund.report.last_ring_ms) == (ReportState.DUE, None)
        assert refund.next_check_ms == NOW

    def test_the_fee_that_the_processor_names_is_kept_with_it(self) -> None:
        assert self.of(processor_refund()).fee is None
        assert self.of(processor_refund(fee=Money(65, "sgd"))).fee == Money(65, "sgd")

    def test_its_request_is_what_a_caller_would_have_asked_for(self) -> None:
        request = self.of(processor_refund()).request
        assert request.reference_type is ReferenceType.PAYMENT_RECORD
        assert (request.reference_id, request.amount, request.currency) == ("pr_1", 2500, "sgd")
        assert self.of(processor_refund(), payment_record=None).request.reference_id == ""

    def test_its_history_says_who_found_what(self) -> None:
        line = self.of(processor_refund()).history[0]
        assert (line.cause, line.actor, line.at_ms) == ("found_on_charge", "refund-bridge", NOW)
        assert line.evidence["processor_refund_id"] == "m1"

    def test_one_that_is_not_done_is_pending_and_due_at_once(self) -> None:
        refund = self.of(processor_refund(status=ProcessorRefundStatus.PENDING))
        assert (refund.state, refund.next_check_ms) == (State.PENDING, NOW)
        assert refund.report.state is ReportState.NOT_DUE

    def test_one_that_no_record_books_has_failed_to_be_reported(self) -> None:
        refund = self.of(processor_refund(), payment_record=None)
        assert (refund.report.state, refund.next_check_ms) == (ReportState.FAILED, None)
        assert refund.report.last_error == "payment_not_linked"
        assert [entry.after for entry in refund.history] == [
            "succeeded",
            "report:due",
            "report:failed",
        ]

    @pytest.mark.parametrize(
        ("made", "expected_ms"),
        [
            ({"created_at_ms": None}, SEEN + 2),
            ({"created_at_ms": None, "refunded_at_ms": None}, NOW),
        ],
    )
    def test_without_its_beginning_its_end_counts_and_without_both_the_present(
        self, made: dict[str, Any], expected_ms: int
    ) -> None:
        assert self.of(processor_refund(**made)).created_at_ms == expected_ms

    @pytest.mark.parametrize(
        ("made", "is_old"),
        [
            ({"created_at_ms": SEEN - 1, "refunded_at_ms": None}, True),
            ({"created_at_ms": SEEN, "refunded_at_ms": None}, False),
            # Made before, and succeeded since
            ({"created_at_ms": SEEN - 1, "refunded_at_ms": SEEN}, False),
            ({"created_at_ms": SEEN - 2, "refunded_at_ms": SEEN - 1}, True),
            ({"created_at_ms": None, "refunded_at_ms": SEEN - 1}, True),
            ({"created_at_ms": None, "refunded_at_ms": None}, False),
        ],
    )
    def test_what_is_older_than_this_service_is_not_owed(
        self, made: dict[str, Any], is_old: bool
    ) -> None:
        refund = self.of(processor_refund(**made))
        assert (refund.history[0].cause == BEFORE_ADOPTION) is is_old
        assert (refund.report.state is ReportState.NOT_DUE) is is_old
        assert refund.is_before_adoption is is_old

    def test_a_person_may_say_that_an_old_one_is_owed_so_what_is_told_is_frozen(self) -> None:
        made = processor_refund(refunded_at_ms=SEEN - 1)
        old = self.of(made)
        assert old.report.cause is ReportCause.BEFORE_ADOPTION
        assert old.report.parameters is not None
        assert old.report.parameters.refund_reference == "m1"
        not_linked = self.of(made, payment_record=None)
        assert not_linked.report == Report(cause=ReportCause.BEFORE_ADOPTION)

    def test_what_is_pending_or_contradicts_a_failure_is_never_old(self) -> None:
        pending = processor_refund(
            created_at_ms=SEEN - 1, refunded_at_ms=None, status=ProcessorRefundStatus.PENDING
        )
        assert not self.of(pending).is_before_adoption
        assert self.of(pending).history[0].cause == "found_on_charge"
        plain = Import(stage="test", key=CHARGE, payment_record="pr_1", since_ms=SEEN, now_ms=NOW)
        refund = plain.refund_of(processor_refund(refunded_at_ms=SEEN - 1), contradicts="rfd_1")
        assert (refund.contradicts, refund.report.state) == ("rfd_1", ReportState.DUE)

    def test_only_what_moves_money_in_the_payments_currency_is_imported(self) -> None:
        assert is_importable(processor_refund(), "sgd")
        assert is_importable(processor_refund(status=ProcessorRefundStatus.PENDING), "sgd")
        assert is_importable(processor_refund(money=Money(1, "sgd")), "sgd")
        assert not is_importable(processor_refund(status=ProcessorRefundStatus.FAILED), "sgd")
        assert not is_importable(processor_refund(money=Money(0, "sgd")), "sgd")
        assert not is_importable(processor_refund(), "myr")
