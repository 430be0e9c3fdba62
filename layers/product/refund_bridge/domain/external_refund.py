"""Imports an external refund: makes a refund of our own kind from a processor refund. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.outcome import (
    evidence_of,
    owing_report,
    report_at_birth,
    report_parameters,
)
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund, imported_refund_id
from refund_bridge.domain.refund_request import ReferenceType, RefundRequest, Source
from refund_bridge.domain.report import BEFORE_ADOPTION, Report, ReportCause
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import Why, born

ACTOR: Final = "refund-bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """Imports the external refunds of one payment.

    Attributes:
        payment_intent: the PaymentIntent of a payment that Stripe itself took, if any.
        since_ms: when this stage began to watch the processor, less a day. Those who made a refund
            that succeeded before then may have told Stripe of it, so its report is not due.
    """

    stage: str
    key: PaymentKey
    payment_record: str | None
    payment_intent: str | None = None
    since_ms: int
    now_ms: int

    def refund_of(
        self, processor_refund: ProcessorRefund, *, contradicts: str | None = None
    ) -> Refund:
        """The refund for this processor refund, bound to it, with its report due if it is owed.

        It is due for settling at once. Settling rings after the grace, in which those who made the
        refund may report it themselves.
        """
        is_old = contradicts is None and self._is_old(processor_refund)
        why = Why(
            at_ms=self.now_ms,
            cause=BEFORE_ADOPTION if is_old else "found_on_charge",
            actor=ACTOR,
            evidence=evidence_of(processor_refund),
        )
        refund = Refund(
            id=imported_refund_id(self.key.processor, processor_refund.id, self.stage),
            request=RefundRequest(
                reference_type=self._reference_type,
                reference_id=self._reference_id,
                amount=processor_refund.money.amount,
                currency=processor_refund.money.currency,
            ),
            source=Source.PROCESSOR,
            state=State.SUCCEEDED,
            processor=self.key.processor,
            processor_payment_id=self.key.charge_id,
            payment_record=self.payment_record,
            payment_intent=self.payment_intent,
            invoice=None,
            amount=processor_refund.money.amount,
            currency=processor_refund.money.currency,
            created_at_ms=made_ms(processor_refund) or self.now_ms,
            updated_at_ms=self.now_ms,
            processor_refund_id=processor_refund.id,
            fee=processor_refund.fee,
            contradicts=contradicts,
            report=report_at_birth(self.key),
        )
        if processor_refund.status is ProcessorRefundStatus.PENDING:
            return replace(born(refund, Event.IMPORT_PENDING, why), next_check_ms=self.now_ms)
        succeeded = born(refund, Event.IMPORT_SUCCEEDED, why)
        if is_old and not self.key.is_stripes_own:
            return replace(succeeded, report=self._not_owed(succeeded, processor_refund))
        return owing_report(succeeded, processor_refund, why)

    @property
    def _reference_type(self) -> ReferenceType:
        return ReferenceType.CHARGE if self.key.is_stripes_own else ReferenceType.PAYMENT_RECORD

    @property
    def _reference_id(self) -> str:
        return self.key.charge_id if self.key.is_stripes_own else self.payment_record or ""

    def _is_old(self, processor_refund: ProcessorRefund) -> bool:
        """Whether it succeeded before ``since_ms``, whose day of margin covers clocks and zones."""
        at_ms = processor_refund.refunded_at_ms or processor_refund.created_at_ms
        return (
            processor_refund.status is ProcessorRefundStatus.SUCCEEDED
            and at_ms is not None
            and at_ms < self.since_ms
        )

    def _not_owed(self, refund: Refund, processor_refund: ProcessorRefund) -> Report:
        """A report that is not due, with parameters: a person may still decide to report it."""
        parameters = None
        if refund.payment_record is not None:
            parameters = report_parameters(refund, processor_refund, at_ms=self.now_ms)
        return Report(cause=ReportCause.BEFORE_ADOPTION, parameters=parameters)


def made_ms(processor_refund: ProcessorRefund) -> int | None:
    """When the processor refund was made, as the processor says; Unix milliseconds."""
    return processor_refund.created_at_ms or processor_refund.refunded_at_ms


def is_importable(processor_refund: ProcessorRefund, currency: str) -> bool:
    """Whether the processor refund moved money in the payment's currency, or still may."""
    return (
        processor_refund.status is not ProcessorRefundStatus.FAILED
        and processor_refund.money.amount > 0
        and processor_refund.money.currency == currency
    )
