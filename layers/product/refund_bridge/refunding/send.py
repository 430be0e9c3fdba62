"""Step 4: make the instruction from the stored refund and send it to the processor.

The instruction depends only on what is stored, so a repeated one says the same.
"""

from collections.abc import Callable

from refund_bridge.domain.instruction import (
    CredentialRefused,
    Instruction,
    Outcome,
    UnlinkedInstruction,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.runtime import Deadline


def sent_with_a_valid_credential(send: Callable[[], Outcome]) -> Outcome:
    """Call ``send``; once more if the credential was refused and a new one has been read.

    ``send`` itself checks each time whether it may still send.
    """
    outcome = send()
    if isinstance(outcome, CredentialRefused) and outcome.replaced:
        return send()
    return outcome


def place(
    processor: Processor,
    refund: Refund,
    deadline: Deadline,
    *,
    listed: frozenset[str] | None = None,
    repeated: bool = False,
) -> Outcome:
    """Ask the processor, exactly once, to move the refund's money; see ``Processor.refund``.

    ``listed`` are the ids of the refunds that the payment listed just before, if it was read.
    ``repeated``: the processor may already have received this instruction.
    """
    request, money = refund.request, Money(refund.amount, refund.currency)
    if request.is_unlinked:
        unlinked = UnlinkedInstruction(
            refund_id=refund.id,
            money=money,
            payment_method=request.reference_id,
            kind=request.payment_method_type,
            customer=request.customer,
            reason=request.reason,
            metadata=request.metadata,
            repeated=repeated,
        )
        return processor.refund_unlinked(unlinked, deadline)
    instruction = Instruction(
        refund_id=refund.id,
        payment_id=refund.processor_payment_id,
        money=money,
        reason=request.reason,
        metadata=request.metadata,
        listed_before=listed,
        repeated=repeated,
    )
    return processor.refund(instruction, deadline)
