"""The intention to make a refund, as a caller has it."""

from dataclasses import dataclass, field

from refund_bridge.domain.refund_request import RefundRequest, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRefund:
    """The intention: this request, under this id, asked for by this caller.

    Attributes:
        token: names this very call, so that it recognises its own write when a reply is lost.
        idempotency_key: what ``refund_id`` is derived from; ``None`` where it is not at hand.
    """

    refund_id: str
    request: RefundRequest
    source: Source
    actor: str
    token: str
    idempotency_key: str | None = field(default=None, repr=False)
