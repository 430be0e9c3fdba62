"""The claim by which a refund owns its processor refund."""

from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import ProcessorRefundClaim


def claims_of(refund: Refund) -> tuple[ProcessorRefundClaim, ...]:
    """The claim that binds the refund to its processor refund, if it is bound."""
    if refund.processor_refund_id is None:
        return ()
    return (ProcessorRefundClaim(refund.processor, refund.processor_refund_id, refund.id),)
