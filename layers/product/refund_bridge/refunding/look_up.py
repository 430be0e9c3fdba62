"""Finds out at the processor what became of a refund, in the ways that the processor offers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from refund_bridge.domain.charge import (
    PROCESSOR_REFUNDS_MAX,
    Charge,
    ChargeStatus,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.evidence import (
    LISTED_OTHERWISE,
    TAKEN,
    Ambiguous,
    Found,
    KeyNotShown,
    NoneYet,
    Verdict,
    judge,
    of_our_instruction,
)
from refund_bridge.domain.listed_refunds import any_listed_otherwise
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
    """The processor refund of that id; ``None`` if the processor shows none.

    If the processor shows no single refunds, or none of that id, the refund is searched in the list
    of its payment ``payment_id`` (``None`` if it belongs to none): a payment may list refunds by
    ids under which the processor does not show them singly.

    Raises:
        UnreadableAnswerError: the processor shows refunds in no form that can be read.
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
    """The refunds that the payment lists; ``None`` if there is no payment or list to read."""
    if not processor.capabilities.shows_payments or payment_id is None:
        return None
    try:
        return processor.charge(payment_id, deadline).processor_refunds
    except ChargeNotFoundError:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRefunds:
    """How the ledger tells which refunds of ours there are beside one.

    Attributes:
        claimed: ``Ledger.claimed``.
        of_payment: reads all refunds of the payment; called only if nothing but its amount tells
            that a processor refund is the refund's.
    """

    claimed: Callable[[str, Sequence[str]], Mapping[str, str]]
    of_payment: Callable[[], Sequence[Refund]]


def look_for(
    processor: Processor,
    refund: Refund,
    known: KnownRefunds,
    deadline: Deadline,
    *,
    learn: Callable[[Charge], object],
) -> Verdict:
    """Check at the processor a refund whose outcome is not known.

    If the charge is read for this, ``learn`` is called with it.

    Raises:
        ChargeNotFoundError: the processor does not show the payment.
        ProviderUnavailableError: no usable answer after at most two attempts.
        LedgerUnavailableError: the ledger could not be read.
    """
    can, payment_id = processor.capabilities, refund.refunded_payment
    if can.keeps_keys:
        return _of_key(refund, found_by_key(processor, refund, deadline), known)
    if can.dedupes is Dedupe.NOT_AT_ALL or not can.shows_payments or payment_id is None:
        return Ambiguous("the processor shows nobody what became of an instruction", ())
    charge = processor.charge(payment_id, deadline)
    learn(charge)
    listed = [processor_refund.id for processor_refund in charge.processor_refunds or ()][
        :PROCESSOR_REFUNDS_MAX
    ]
    verdict = judge(refund, charge, known.claimed(refund.processor, listed))
    match verdict:
        case Found(one) if one.instruction_id is None and any_listed_otherwise(
            one.money, charge, known.of_payment()
        ):
            return Ambiguous(LISTED_OTHERWISE, (one.id,))
    return verdict


def _of_key(
    refund: Refund, shown: tuple[ProcessorRefund, ...] | None, known: KnownRefunds
) -> Verdict:
    if shown is None:
        return KeyNotShown()
    if not shown:
        return NoneYet()
    (made,) = shown
    if known.claimed(refund.processor, [made.id]).get(made.id, refund.id) != refund.id:
        # As after a restore: it was imported while the ledger did not know our instruction.
        return Ambiguous(TAKEN, (made.id,))
    return of_our_instruction(refund, made)


def found_by_key(
    processor: Processor, refund: Refund, deadline: Deadline
) -> tuple[ProcessorRefund, ...] | None:
    """The processor refund with our key, in a tuple of one or none; where keys are kept.

    ``None``: the processor does not show it in a form that can be read, so nothing is known of the
    instruction.

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
    """The payment's charge, to compare with the ledger.

    If the processor shows no payments, or the payment exists only in the ledger, a charge is built
    from the ledger's payment and from what the processor shows of our ``refunds``, with one call
    for each. External refunds are then missing from it.

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
