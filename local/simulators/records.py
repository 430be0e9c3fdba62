"""What the control client reads back: calls, refunds made, reports accepted."""

from dataclasses import dataclass
from decimal import Decimal

from local.simulators import fields
from local.simulators.json_text import JsonObject, MalformedError


@dataclass(frozen=True)
class RecordedCall:
    """One API call. Status None: nothing was answered. Processed: the provider acted on it."""

    number: int
    at: str
    monotonic_ms: int
    provider: str
    operation: str
    method: str
    path: str
    parameters: JsonObject
    idempotency_key: str | None
    status: int | None
    fault: str | None
    processed: bool
    replayed: bool
    finished: bool
    duration_ms: int

    @classmethod
    def read(cls, source: JsonObject) -> "RecordedCall":
        """Read one from the journal."""
        parameters = source["parameters"]
        if not isinstance(parameters, dict):
            raise MalformedError("parameters must be an object")
        return cls(
            number=fields.whole(source, "number"),
            at=fields.text(source, "at"),
            monotonic_ms=fields.whole(source, "monotonic_ms"),
            provider=fields.text(source, "provider"),
            operation=fields.text(source, "operation"),
            method=fields.text(source, "method"),
            path=fields.text(source, "path"),
            parameters=parameters,
            idempotency_key=fields.optional_text(source, "idempotency_key"),
            status=None if source["status"] is None else fields.whole(source, "status"),
            fault=fields.optional_text(source, "fault"),
            processed=fields.flag(source, "processed"),
            replayed=fields.flag(source, "replayed"),
            finished=fields.flag(source, "finished"),
            duration_ms=fields.whole(source, "duration_ms"),
        )


@dataclass(frozen=True)
class MadeRefund:
    """One refund at HitPay; `made_in` is api, dashboard or seed."""

    id: str
    payment_id: str
    amount: Decimal
    currency: str
    status: str
    made_in: str

    @classmethod
    def read(cls, source: JsonObject) -> "MadeRefund":
        """Read one from HitPay's state."""
        return cls(
            id=fields.text(source, "id"),
            payment_id=fields.text(source, "payment_id"),
            amount=fields.amount(source, "amount_refunded"),
            currency=fields.text(source, "currency"),
            status=fields.text(source, "status"),
            made_in=fields.text(source, "made_in"),
        )


@dataclass(frozen=True)
class SimulatedRefund:
    """One refund at a processor other than HitPay, its amount in that processor's own unit.

    `key` is the id that the merchant gave it, where the processor takes one.
    """

    id: str
    key: str | None
    payment_id: str | None
    payment_method: str | None
    amount: int
    currency: str
    status: str
    made_in: str
    reason: str | None
    metadata: JsonObject

    @classmethod
    def read(cls, source: JsonObject) -> "SimulatedRefund":
        """Read one from a processor's state."""
        metadata = source["metadata"]
        return cls(
            id=fields.text(source, "id"),
            key=fields.optional_text(source, "key"),
            payment_id=fields.optional_text(source, "payment_id"),
            payment_method=fields.optional_text(source, "payment_method"),
            amount=fields.whole(source, "amount"),
            currency=fields.text(source, "currency"),
            status=fields.text(source, "status"),
            made_in=fields.text(source, "made_in"),
            reason=fields.optional_text(source, "reason"),
            metadata=metadata if isinstance(metadata, dict) else {},
        )


@dataclass(frozen=True)
class RecordedReport:
    """One report of a refund to Stripe; amount in minor units, times in seconds."""

    payment_record: str
    refund_reference: str
    amount: int
    currency: str
    refunded_at: int
    initiated_at: int | None
    metadata: dict[str, str]
    idempotency_key: str | None
    livemode: bool
    accepted_at: int
    seeded: bool

    @classmethod
    def read(cls, source: JsonObject) -> "RecordedReport":
        """Read one from Stripe's list of reports."""
        initiated = source["initiated_at"]
        return cls(
            payment_record=fields.text(source, "payment_record"),
            refund_reference=fields.text(source, "refund_reference"),
            amount=fields.whole(source, "amount"),
            currency=fields.text(source, "currency"),
            refunded_at=fields.whole(source, "refunded_at"),
            initiated_at=None if initiated is None else fields.whole(source, "initiated_at"),
            metadata=fields.texts(source, "metadata"),
            idempotency_key=fields.optional_text(source, "idempotency_key"),
            livemode=fields.flag(source, "livemode"),
            accepted_at=fields.whole(source, "accepted_at"),
            seeded=fields.flag(source, "seeded"),
        )
