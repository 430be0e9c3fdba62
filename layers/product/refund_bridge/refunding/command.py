"""What a caller asks for: one refund, under one id."""

from dataclasses import dataclass, field

from refund_bridge.domain.refund_request import RefundRequest, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRefund:
    """A caller's request for a refund, with the refund's id.

    Attributes:
        token: identifies this one call. If the ledger's reply to a write is lost, the call finds
            out by the token whether the write was its own.
        idempotency_key: what ``refund_id`` is derived from; ``None`` where it is not at hand.
    """

    refund_id: str
    request: RefundRequest
    source: Source
    actor: str
    token: str
    idempotency_key: str | None = field(default=None, repr=False)
