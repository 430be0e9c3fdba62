"""Checks an event that asks for a refund: from EventBridge's message to a request with its key."""

import hashlib
import re
from collections.abc import Collection
from typing import Final

from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent
from pydantic import ConfigDict
from pydantic.config import JsonValue

from refund_bridge.contract.documents import parse_json
from refund_bridge.contract.requests import Key, RefundBody, idempotency_key, validate
from refund_bridge.domain.errors import (
    IdempotencyKeyRequiredError,
    InvalidRequestError,
    RefundBridgeError,
)
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.events.accept import Asked, Letter

DETAIL_TYPE: Final = "Refund Requested"

# Stricter than EventBridge's own limits, because the source is written to the refund's history.
_NAME: Final = re.compile(r"[ -~]{1,256}", re.ASCII)
_ENVELOPE: Final = ("id", "source", "detail-type")
_ONE_REFERENCE: Final[list[JsonValue]] = [
    {"required": ["payment_record"], "not": {"required": ["payment_method"]}},
    {"required": ["payment_intent"]},
    {"required": ["invoice"]},
    {"required": ["charge"], "not": {"required": ["payment_intent"]}},
    {"required": ["payment_method"]},
]
_SOME_KEY: Final[list[JsonValue]] = [
    {"required": [name]} for name in ("idempotency_key", "refund_id", "merchant_transaction_id")
]


class RefundRequestedDetail(RefundBody):
    """The ``detail`` of a ``Refund Requested`` event: the body of ``POST /v1/refunds`` and a key.

    ``idempotency_key``, ``refund_id`` or ``merchant_transaction_id`` is required, and if several
    are given they must be equal: the event's own id would be another one when its sender repeats
    it. Whatever ``refund_type`` says, the refund is executed in the background.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": _ONE_REFERENCE,
            "anyOf": _SOME_KEY,
            "dependentRequired": {
                "payment_method": ["customer", "amount", "currency", "processor"],
                "customer": ["payment_method"],
            },
        }
    )

    idempotency_key: Key | None = None


def parse_event(body: str) -> EventBridgeEvent:
    """Read the event in a message of the queue.

    Raises:
        InvalidRequestError: the message is no event; ``details.fields`` says why.
    """
    data = parse_json(body)
    if not isinstance(data, dict):
        raise _not_an_event([{"path": "", "reason": "must be an object"}])
    wrong = [name for name in _ENVELOPE if not _is_name(data.get(name))]
    if wrong or "detail" not in data:
        names = [*wrong, *(["detail"] if "detail" not in data else [])]
        raise _not_an_event([{"path": name, "reason": "missing or malformed"} for name in names])
    return EventBridgeEvent(data)


def asked_by(event: EventBridgeEvent) -> Asked:
    """The request that an event makes.

    Raises:
        InvalidRequestError: it is another kind of event, or its detail is not of the contract's
            form.
        IdempotencyKeyRequiredError: its detail names no key.
    """
    if event.detail_type != DETAIL_TYPE:
        raise _not_an_event([{"path": "detail-type", "reason": f"must be {DETAIL_TYPE}"}])
    detail = validate(event["detail"], RefundRequestedDetail)
    try:
        key = idempotency_key(None, detail)
    except IdempotencyKeyRequiredError:
        raise IdempotencyKeyRequiredError(
            "Name the refund in the event's detail: idempotency_key or refund_id."
        ) from None
    return Asked(
        id=event.get_id, source=event.source, idempotency_key=key, request=detail.normalised()
    )


def require_source(asked: Asked, sources: Collection[str]) -> None:
    """Refuse a source that may not ask; its message was sent to the queue without the bus.

    Raises:
        InvalidRequestError: the event's source is not among ``sources``.
    """
    if asked.source not in sources:
        raise InvalidRequestError.at(
            "source",
            "is not one that may ask",
            "This source may not ask for refunds.",
        )


def letter_of(body: str, *, receive: int, stage: str) -> Letter:
    """The message with what can be read of it, even if its request cannot be accepted."""
    digest = hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
    unreadable = Letter(
        body=body, id=f"sha256:{digest}", source=None, refund_id=None, receive=receive
    )
    try:
        event = parse_event(body)
    except RefundBridgeError:
        return unreadable
    try:
        refund_id = refund_id_of(asked_by(event).idempotency_key, stage)
    except RefundBridgeError:
        refund_id = None
    return Letter(
        body=body, id=event.get_id, source=event.source, refund_id=refund_id, receive=receive
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _not_an_event(fields: list[dict[str, str]]) -> InvalidRequestError:
    return InvalidRequestError(
        f"The message is not a {DETAIL_TYPE!r} event.", details={"fields": fields}
    )
