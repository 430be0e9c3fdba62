"""What became of a refund at its processor, by whatever look-up the processor offers."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from refund_bridge.domain.charge import (
    PROCESSOR_REFUNDS_MAX,
    Charge,
    ChargeStatus,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.evidence import (
    TAKEN,
    Ambiguous,
    KeyNotShown,
    NoneYet,
    Verdict,
    judge,
    of_our_instruction,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.processor import (
    ChargeNotFoundError,
    Dedupe,
    Processor,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline


def processor_refund_of(
    processor: Processor, processor_refund_id: str, payment_id: str | None, deadline: Deadline
) -> ProcessorRefund | None:
    """The processor's refund of that id, ``None`` if it shows none.

    ``payment_id`` is the payment that it belongs to, ``None`` if to none: where the processor shows
    refunds only in their payments, or none of that id, it is looked for there. What a payment lists
    may have ids that cannot be asked for.

    Raises:
        UnreadableAnswerError: it shows them in no form that can be read.
        ProviderUnavailableError: no usable answer after at most two attempts.
    """
    can = processor.capabilities
    shown = processor.processor_refund(processor_refund_id, deadline) if can.shows_refunds else None
    if shown is not None:
        return shown
    listed = _listed(processor, payment_id, deadline)
    if listed is None and not can.shows_refunds:
        raise UnreadableAnswerError("the processor shows no refunds of it")
    return next((item for item in listed or () if item.id == processor_refund_id), None)


def _listed(
    processor: Processor, payment_id: str | None, deadline: Deadline
) -> tuple[ProcessorRefund, ...] | None:
    """What the payment lists; ``None`` if nobody shows it, or it lists nothing."""
    if not processor.capabilities.shows_payments or payment_id is None:
        return None
    try:
        return processor.charge(payment_id, deadline).processor_refunds
    except ChargeNotFoundError:
        return ()


def look_for(
    processor: Processor,
    refund: Refund,
    claimed: Callable[[str, Sequence[str]], Mapping[str, str]],
    deadline: Deadline,
    *,
    learn: Callable[[Charge], object],
) -> Verdict:
    """What the processor says of a refund whose outcome is not known.

    ``claimed`` is ``Ledger.claimed``; ``learn`` is given the charge, if it is read for this.

    Raises:
        ChargeNotFoundError: the processor does not show the payment.
        ProviderUnavailableError: no usable answer after at most two attempts.
        LedgerUnavailableError: the ledger could not be read.
    """
    can, payment_id = processor.capabilities, refund.refunded_payment
    if can.keeps_keys:
        shown = found_by_key(processor, refund, deadline)
        if shown is None:
            return KeyNotShown()
        if not shown:
            return NoneYet()
        (made,) = shown
        if claimed(refund.processor, [made.id]).get(made.id, refund.id) != refund.id:
            # As after a restore: imported when nobody here knew of our instruction.
            return Ambiguous(TAKEN, (made.id,))
        return of_our_instruction(refund, made)
    if can.dedupes is Dedupe.NOT_AT_ALL or not can.shows_payments or payment_id is None:
        return Ambiguous("the processor shows nobody what became of an instruction", ())
    charge = processor.charge(payment_id, deadline)
    learn(charge)
    listed = [processor_refund.id for processor_refund in charge.processor_refunds or ()][
        :PROCESSOR_REFUNDS_MAX
    ]
    return judge(refund, charge, claimed(refund.processor, listed))


def found_by_key(
    processor: Processor, refund: Refund, deadline: Deadline
) -> tuple[ProcessorRefund, ...] | None:
    """What our instruction came to, one processor refund or none, where the processor keeps keys.

    ``None``: it keeps them and does not show them, so that nothing is known of the instruction.

    Raises:
        ProviderUnavailableError: no usable answer after at most two attempts.
    """
    try:
        made = processor.find_by_key(refund.id, refund.refunded_payment, deadline)
    except UnreadableAnswerError:
        return None
    return () if made is None else (made,)


def charge_of(
    processor: Processor, payment: Payment, refunds: Sequence[Refund], deadline: Deadline
) -> Charge:
    """The payment as the processor shows it, for whoever compares.

    Where it shows no payments, or this one is none, a charge of what the ledger knows is made from
    what it shows of our ``refunds``, one call for each; what others made is not in it then.

    Raises:
        ChargeNotFoundError: the processor shows payments, and knows none of that id.
        ProviderUnavailableError: no usable answer after at most two attempts each.
    """
    key = payment.key
    if processor.capabilities.shows_payments and not key.is_unlinked:
        return processor.charge(key.charge_id, deadline)
    processor_refunds = tuple(_shown_of(processor, refunds, deadline))
    moved = (one for one in processor_refunds if one.status is ProcessorRefundStatus.SUCCEEDED)
    return Charge(
        id=key.charge_id,
        status=ChargeStatus.REFUNDABLE,
        processor_status="not shown",
        money=Money(payment.captured, payment.currency),
        refunded=sum(one.money.amount for one in moved),
        processor_refunds=processor_refunds,
    )


def _shown_of(
    processor: Processor, refunds: Sequence[Refund], deadline: Deadline
) -> Iterator[ProcessorRefund]:
    for refund in refunds:
        if refund.processor_refund_id is not None:
            bound_to, payment_id = refund.processor_refund_id, refund.refunded_payment
            shown = processor_refund_of(processor, bound_to, payment_id, deadline)
            yield from () if shown is None else (shown,)
        elif processor.capabilities.keeps_keys:
            yield from found_by_key(processor, refund, deadline) or ()
