"""A movement that somebody else made, as a refund of its own: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from refunds.outcome import evidence_of, owing_report
from refunds.payment import PaymentKey
from refunds.ports import Movement, MovementStatus
from refunds.refund import (
    BEFORE_ADOPTION,
    ReferenceType,
    Refund,
    RefundRequest,
    Source,
    Why,
    born,
    imported_refund_id,
)
from refunds.state_machine import Event, ReportState, State

ACTOR: Final = "refund-bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What is known where a movement is imported.

    Attributes:
        first_seen_ms: when the payment was first seen; a movement from before then is taken to be
            in Stripe's book already. ``None``: it is first seen now, and so is all that it lists.
        owed: of what is first seen now, the movements that Stripe does not know
            (``owed_at_first_sight``).
    """

    stage: str
    key: PaymentKey
    payment_record: str | None
    first_seen_ms: int | None
    now_ms: int
    owed: frozenset[str] = frozenset()

    def refund_of(self, movement: Movement, *, contradicts: str | None = None) -> Refund:
        """The refund that stands for ``movement``, bound to it, its report due if one is owed.

        It is due for settling at once: nobody has rung for it yet.
        """
        why = Why(
            at_ms=self.now_ms,
            cause=BEFORE_ADOPTION if self._is_old(movement) else "found_on_charge",
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
            created_at_ms=movement.created_at_ms or movement.refunded_at_ms or self.now_ms,
            updated_at_ms=self.now_ms,
            processor_refund_id=movement.id,
            contradicts=contradicts,
        )
        if movement.status is MovementStatus.PENDING:
            return replace(born(refund, Event.IMPORT_PENDING, why), next_check_ms=self.now_ms)
        succeeded = born(refund, Event.IMPORT_SUCCEEDED, why)
        owing = owing_report(succeeded, movement, why)
        if owing.report.state is not ReportState.DUE:
            return owing
        unrung = replace(owing.report, last_ring_ms=None)
        return replace(owing, report=unrung, next_check_ms=self.now_ms)

    def _is_old(self, movement: Movement) -> bool:
        if self.first_seen_ms is None:
            return movement.id not in self.owed
        made_ms = _made_ms(movement)
        return made_ms is not None and made_ms <= self.first_seen_ms


def owed_at_first_sight(
    movements: Sequence[Movement], in_book: int | None, since_ms: int
) -> frozenset[str]:
    """Of the movements on a charge that is first seen, the ids of those that Stripe is owed.

    They were made after ``since_ms`` (Unix milliseconds), when this service began to look, and
    Stripe's sum ``in_book`` (minor units) lacks just the newest of all, which are then the ones
    that were not reported. Where the sums do not fit nobody can tell which are missing, so none is
    owed. ``None``: nothing is in Stripe's book, since no record books the charge.
    """
    recent = {one.id for one in movements if (_made_ms(one) or 0) > since_ms}
    pending = {one.id for one in movements if one.status is MovementStatus.PENDING}
    booked = in_book or 0
    done = [one for one in movements if one.status is MovementStatus.SUCCEEDED]
    done.sort(key=lambda one: _made_ms(one) or 0)
    told = 0
    while done and told < booked:
        told += done.pop(0).money.amount
    missing = {one.id for one in done} if told == booked else set()
    return frozenset(recent & (pending | missing))


def _made_ms(movement: Movement) -> int | None:
    return movement.created_at_ms or movement.refunded_at_ms


def is_importable(movement: Movement, currency: str) -> bool:
    """Whether the movement moved money, or may yet, in the payment's currency."""
    return (
        movement.status is not MovementStatus.FAILED
        and movement.money.amount > 0
        and movement.money.currency == currency
    )
