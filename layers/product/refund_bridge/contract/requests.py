"""Checks what a caller asks: from a document to the normalised request that the ledger stores.

HTTP and events, JSON and forms use the same model. Nothing is guessed: an unknown field, an
explicit null or an amount that is not an integer is refused, because each of them could turn a
caller's mistake into a full refund.
"""

import re
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from refund_bridge.contract.form import NAME_SHOWN_MAX
from refund_bridge.domain.errors import IdempotencyKeyRequiredError, InvalidRequestError
from refund_bridge.domain.money import AMOUNT_MAX
from refund_bridge.domain.refund_request import (
    PaymentMethodKind,
    ReferenceType,
    RefundRequest,
    RefundType,
)

# A caller learns which field is wrong, in an answer and in an event of bounded size.
FIELDS_REPORTED_MAX: Final = 20
# A refund is one item of the ledger and needs room for its history. 50 values of 500 characters fit
# in most scripts; what does not fit is refused here, not after the money has moved.
METADATA_BYTES_MAX: Final = 48 * 1024
REASON_ALIASES: Final = {"customer_requested": "requested_by_customer"}

# Printable ASCII without a space at either end, because headers lose such spaces: so a key means
# the same in a header, a body and an event.
_KEY: Final = r"^[!-~]([ -~]*[!-~])?$"
Key = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_KEY)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
# Control characters, line breaks included: a terminal obeys them, and no text here needs them.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _without_controls(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not hold control characters")
    return text


_NoControls = AfterValidator(_without_controls)
_Documented = Field(json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"})
_Text = Annotated[str, StringConstraints(min_length=1, max_length=255), _NoControls, _Documented]
# The reason, in the caller's words or one of Stripe's.
Reason = _Text
_MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=40), _NoControls]
_MetadataValue = Annotated[str, StringConstraints(max_length=500), _NoControls, _Documented]
_Currency = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_lower=True)]
_ProcessorName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_Form = TypeVar("_Form", bound=BaseModel)
_SENTENCES: Final = {
    "extra_forbidden": "is not a field of this request",
    "model_type": "must be an object",
}
_PAYMENTS: Final = (
    ReferenceType.PAYMENT_RECORD,
    ReferenceType.PAYMENT_INTENT,
    ReferenceType.INVOICE,
    ReferenceType.CHARGE,
)
_UNLINKED_NEEDS: Final = ("processor", "customer", "amount", "currency")
# Members of Stripe's refund that it can expand, and that are null here.
Expandable = Literal["balance_transaction", "charge"]
_KEY_FIELDS: Final = ("idempotency_key", "refund_id", "merchant_transaction_id")


class PaymentMethodBody(BaseModel):
    """Where the money of an unlinked refund goes, by the processor's id."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    id: Reference
    type: Annotated[PaymentMethodKind, Field(strict=False)] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _no_nulls(cls, value: Any) -> Any:
        return _not_null(value)


class RefundBody(BaseModel):
    """The body of ``POST /v1/refunds``; an event adds its key (``events/requested.py``)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    payment_record: Reference | None = None
    payment_intent: Reference | None = None
    invoice: Reference | None = None
    charge: Reference | None = None
    amount: Annotated[int, Field(ge=1, le=AMOUNT_MAX)] | None = None
    currency: _Currency | None = None
    reason: _Text | None = None
    metadata: Annotated[dict[_MetadataKey, _MetadataValue], Field(max_length=50)] | None = None
    refund_type: Annotated[RefundType, Field(strict=False)] = RefundType.INSTANT
    processor: _ProcessorName | None = None
    payment_method: PaymentMethodBody | None = None
    # Identifiers only, so no spaces: names and addresses do not belong here or in the ledger.
    customer: (
        Annotated[dict[_MetadataKey, Reference], Field(min_length=1, max_length=10)] | None
    ) = None
    refund_id: Key | None = None
    merchant_transaction_id: Key | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _no_nulls(cls, value: Any) -> Any:
        return _not_null(value)

    @field_validator("metadata")
    @classmethod
    def _not_too_large(cls, metadata: dict[str, str] | None) -> dict[str, str] | None:
        size = sum(len(key.encode()) + len(text.encode()) for key, text in (metadata or {}).items())
        if size > METADATA_BYTES_MAX:
            raise ValueError(f"must not be larger than {METADATA_BYTES_MAX // 1024} KB in UTF-8")
        return metadata

    @model_validator(mode="after")
    def _names_what_is_refunded(self) -> Self:
        if self.payment_method is not None:
            self._require_unlinked()
        elif self.customer is not None:
            raise ValueError("customer belongs to a payment_method")
        elif len(self._payments()) != 1:
            raise ValueError(
                "give exactly one of payment_record, payment_intent, invoice and charge, or a "
                "charge beside its payment_intent"
            )
        return self

    def _require_unlinked(self) -> None:
        """Refuse an unlinked refund that lacks a member: no payment can supply it."""
        if (self.payment_intent, self.invoice, self.charge) != (None, None, None):
            raise ValueError("beside a payment_method only a payment_record can be named")
        missing = [name for name in _UNLINKED_NEEDS if getattr(self, name) is None]
        if missing:
            raise ValueError(f"with a payment_method {', '.join(missing)} must be given too")

    def _payments(self) -> list[tuple[ReferenceType, str]]:
        """The references that the body names; a charge beside its PaymentIntent is not counted."""
        given = ((kind, getattr(self, kind.value)) for kind in _PAYMENTS)
        return [
            (kind, value)
            for kind, value in given
            if value is not None
            and not (kind is ReferenceType.CHARGE and self.payment_intent is not None)
        ]

    def normalised(self) -> RefundRequest:
        """The request as it is stored and compared: aliases resolved, defaults filled."""
        if self.payment_method is not None:
            reference_type, reference_id = ReferenceType.PAYMENT_METHOD, self.payment_method.id
        else:
            ((reference_type, reference_id),) = self._payments()
        method = self.payment_method
        return RefundRequest(
            reference_type=reference_type,
            reference_id=reference_id,
            amount=self.amount,
            currency=self.currency,
            reason=None if self.reason is None else REASON_ALIASES.get(self.reason, self.reason),
            metadata=dict(self.metadata or {}),
            refund_type=self.refund_type,
            processor=self.processor,
            payment_method_type=None if method is None else method.type,
            customer=dict(self.customer or {}),
            report_to=None if method is None else self.payment_record,
            charge=self.charge if reference_type is ReferenceType.PAYMENT_INTENT else None,
        )


class CallBody(RefundBody):
    """The body of ``POST /v1/refunds``: what is asked, and what Stripe's SDKs ask to be expanded.

    Of the members that they may name those can be taken that are always null here.
    """

    expand: list[Expandable] | None = None


class CancelBody(BaseModel):
    """The body of ``POST /v1/refunds/{id}/cancel``."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    expand: list[Expandable] = []


def validate_body(data: object) -> CallBody:
    """Check a parsed document as the body of a call; raises as ``validate`` does."""
    return validate(data, CallBody)


def validate(data: object, form: type[_Form]) -> _Form:
    """Check a parsed document against a model, and return it as that.

    Raises:
        InvalidRequestError: it does not fit the model; ``details.fields`` says where.
    """
    if not isinstance(data, dict):
        raise InvalidRequestError.at(
            "",
            "must be an object",
            "The body must be an object.",
        )
    try:
        return form.model_validate(data)
    except ValidationError as error:
        raise InvalidRequestError(
            "The request is not of the contract's form.",
            details={"fields": fields_of(error)},
        ) from error


def idempotency_key(header: str | None, body: RefundBody) -> str:
    """The one key that names the refund, from the header or the body.

    Raises:
        IdempotencyKeyRequiredError: none was given.
        InvalidRequestError: not 1–255 printable ASCII characters, or several that differ.
    """
    fields = {name: getattr(body, name, None) for name in _KEY_FIELDS}
    given = {name: key for name, key in fields.items() if key is not None}
    if header is not None:
        if not (len(header) <= 255 and re.fullmatch(_KEY, header)):
            raise InvalidRequestError.at(
                "Idempotency-Key",
                "not printable ASCII",
                "The Idempotency-Key must be 1 to 255 printable ASCII characters, not a space at "
                "either end.",
            )
        given["Idempotency-Key"] = header
    if not given:
        raise IdempotencyKeyRequiredError(
            "Name the refund with an Idempotency-Key header, or refund_id in the body."
        )
    if len(set(given.values())) > 1:
        raise InvalidRequestError(
            "The keys that name the refund differ.",
            details={"fields": [{"path": name, "reason": "differs"} for name in sorted(given)]},
        )
    return str(next(iter(given.values())))


def _not_null(value: Any) -> Any:
    if value is None:
        raise ValueError("must not be null; leave it out instead")
    return value


def _shown(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The path to show; below ``customer`` nothing is shown, not even a name: it may be data."""
    return place[:1] if place[:1] == ("customer",) else place


def _name(part: int | str) -> str:
    return _CONTROL.sub("?", str(part)[:NAME_SHOWN_MAX])


def fields_of(error: ValidationError) -> list[dict[str, str]]:
    """What is wrong with which field, for ``details.fields``; no value is repeated."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        {
            "path": ".".join(_name(part) for part in _shown(problem["loc"])),
            "reason": _SENTENCES.get(problem["type"], problem["msg"].removeprefix("Value error, ")),
        }
        for problem in problems[:FIELDS_REPORTED_MAX]
    ]
