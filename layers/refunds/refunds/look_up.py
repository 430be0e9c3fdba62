"""What a refund that we are bound to has come to, by whatever look-up its processor offers."""

from refunds.ports import (
    ChargeNotFoundError,
    Deadline,
    LookUp,
    Movement,
    Processor,
    UnreadableAnswerError,
)


def movement_of(
    processor: Processor, processor_refund_id: str, payment_id: str, deadline: Deadline
) -> Movement | None:
    """The processor's refund of that id, ``None`` if it shows none.

    ``payment_id`` is the payment that it belongs to, by which it is found where the processor shows
    refunds only in their payments.

    Raises:
        UnreadableAnswerError: it shows them in no form that can be read.
        ProviderUnavailableError: no usable answer after at most two attempts.
    """
    if LookUp.BY_REFUND in processor.capabilities.looks_up:
        return processor.movement(processor_refund_id, deadline)
    try:
        listed = processor.charge(payment_id, deadline).movements
    except ChargeNotFoundError:
        return None
    if listed is None:
        raise UnreadableAnswerError("the payment lists no refunds")
    return next((item for item in listed if item.id == processor_refund_id), None)
