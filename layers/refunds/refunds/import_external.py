"""A movement that somebody else made, as a refund of its own: pure."""

from dataclasses import dataclass, replace
from typing import Final

from refunds.outcome import evidence_of, owing_report, report_parameters
from refunds.payment import PaymentKey
from refunds.ports import Movement, MovementStatus
from refunds.refund import (
    BEFORE_ADOPTION,
    ReferenceType,
    Refund,
    RefundRequest,
    Report,
    ReportCause,
    Source,
    Why,
    born,
    imported_refund_id,
)
from refunds.state_machine import Event, State

ACTOR: Final = "refund-bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What is known where a movement is imported.

    Attributes:
        since_ms: when this stage began to look, less a day. What succeeded before then may have
            been told to Stripe by whoever made it, so it is not owed.
    """

    stage: str
    key: PaymentKey
    payment_record: str | None
    since_ms: int
    now_ms: int

    def refund_of(self, movement: Movement, *, contradicts: str | None = None) -> Refund:
        """The refund that stands for ``movement``, bound to it, its report due if one is owed.

        It is due for settling at once, which rings when whoever made it had time to report it.
        """
        is_old = contradicts is None and self._is_old(movement)
        why = Why(
            at_ms=self.now_ms,
            cause=BEFORE_ADOPTION if is_old else "found_on_charge",
            actor=ACTOR,
            evidence=evidence_of(movement),
        )
        refund = Refund(
            id=imported_refund_id(self.key.processor, movement.id, self.stage),
            request=RefundRequest(
                reference_type=ReferenceType.PAYMENT_RECORD,
                reference_id=self.payment_record or "",
                amount=movement.money.amount,
                currency=movement.money.currency,
            ),
            source=Source.PROCESSOR,
            state=State.SUCCEEDED,
            processor=self.key.processor,
            processor_payment_id=self.key.charge_id,
            payment_record=self.payment_record,
            payment_intent=None,
            invoice=None,
            amount=movement.money.amount,
            currency=movement.money.currency,
            created_at_ms=made_ms(movement) or self.now_ms,
            updated_at_ms=self.now_ms,
            processor_refund_id=movement.id,
            contradicts=contradicts,
        )
        if movement.status is MovementStatus.PENDING:
            return replace(born(refund, Event.IMPORT_PENDING, why), next_check_ms=self.now_ms)
        succeeded = born(refund, Event.IMPORT_SUCCEEDED, why)
        if is_old:
            return replace(succeeded, report=self._not_owed(succeeded, movement))
        return owing_report(succeeded, movement, why)

    def _is_old(self, movement: Movement) -> bool:
        """By a clock that may be off, in a zone that may be another: a day is the margin."""
        at_ms = made_ms(movement)
        return (
            movement.status is MovementStatus.SUCCEEDED
            and at_ms is not None
            and at_ms < self.since_ms
        )

    def _not_owed(self, refund: Refund, movement: Movement) -> Report:
        """Frozen all the same: a person may say that Stripe is owed it."""
        parameters = None
        if refund.payment_record is not None:
            parameters = report_parameters(refund, movement, at_ms=self.now_ms)
        return Report(cause=ReportCause.BEFORE_ADOPTION, parameters=parameters)


def made_ms(movement: Movement) -> int | None:
    """When the processor says that the movement was made, Unix milliseconds."""
    return movement.created_at_ms or movement.refunded_at_ms


def is_importable(movement: Movement, currency: str) -> bool:
    """Whether the movement moved money, or may yet, in the payment's currency."""
    return (
        movement.status is not MovementStatus.FAILED
        and movement.money.amount > 0
        and movement.money.currency == currency
    )
