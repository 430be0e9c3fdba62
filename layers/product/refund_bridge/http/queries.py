"""Checks what a caller asks to read: from a URL's parameters to a query.

A parameter that is unknown, given twice or empty is refused. If it were ignored, the caller would
believe that it had an effect.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from refund_bridge.contract.form import NAME_SHOWN_MAX, path_of
from refund_bridge.contract.requests import (
    FIELDS_REPORTED_MAX,
    REASON_ALIASES,
    Expandable,
    Reason,
    Reference,
    fields_of,
)
from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.domain.money import is_currency
from refund_bridge.domain.refund import PUBLIC_STATUSES
from refund_bridge.reading.listing import LIMIT_DEFAULT, LIMIT_MAX, ListQuery

# Every parameter of a URL with all its values.
Parameters = Mapping[str, Sequence[str]]

_LIMIT: Final = re.compile(r"[1-9]\d{0,2}", re.ASCII)
# Until the year 9999.
_SECONDS: Final = re.compile(r"0|[1-9]\d{0,11}", re.ASCII)
_AMOUNT: Final = re.compile(r"[1-9]\d{0,11}", re.ASCII)
_LIMIT_FORM: Final = f"must be a whole number from 1 to {LIMIT_MAX}"
# RFC 3339, section 5.6, with at most nine digits of a second (nanoseconds).
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_TIME_FORM: Final = "must be a time such as 2024-02-29T23:59:59Z (RFC 3339; write + as %2B)"
_DAY_S: Final = 86_400
_FIRST_DAY: Final = date(1970, 1, 1).toordinal()


def parameters_of(event: Mapping[str, Any]) -> Parameters:
    """The parameters of a request, from API Gateway's event."""
    given = event.get("multiValueQueryStringParameters") or {}
    return {name: [value or "" for value in values or ("",)] for name, values in given.items()}


def parse_list(parameters: Parameters) -> ListQuery:
    """The query of ``GET /v1/refunds``.

    Raises:
        InvalidRequestError: ``details.fields`` says which parameter is wrong, and why.
    """
    expand = tuple(f"data.{name}" for name in get_args(Expandable))
    known = {field.alias or name for name, field in _ListParameters.model_fields.items()}
    given = _given_once(_without_expand(parameters, expand), known)
    try:
        asked = _ListParameters.model_validate(given)
    except ValidationError as error:
        raise _refused(fields_of(error)) from error
    return ListQuery(
        payment_record=asked.payment_record,
        payment_intent=asked.payment_intent,
        invoice=asked.invoice,
        charge=asked.charge,
        statuses=asked.status,
        amount=asked.amount,
        currency=asked.currency,
        processor=asked.processor,
        reason=None if asked.reason is None else REASON_ALIASES.get(asked.reason, asked.reason),
        created_after_ms=asked.after_ms,
        created_before_ms=asked.before_ms,
        limit=asked.limit,
        starting_after=asked.starting_after,
        ending_before=asked.ending_before,
    )


def parse_sync(parameters: Parameters) -> bool:
    """Whether the caller wants the processor to be asked first (``sync``).

    Raises:
        InvalidRequestError: as ``parse_list``.
    """
    parameters = _without_expand(parameters, get_args(Expandable))
    sync = _given_once(parameters, ("sync",)).get("sync", "false")
    if sync not in ("true", "false"):
        raise _refused([{"path": "sync", "reason": "must be true or false"}])
    return sync == "true"


def require_no_parameters(parameters: Parameters) -> None:
    """Refuse any parameter of a route that takes none.

    Raises:
        InvalidRequestError: as ``parse_list``.
    """
    _given_once(parameters, ())


def is_reference(text: str) -> bool:
    """Whether the text can be the id of a Stripe object, so that it is worth a search."""
    return 1 <= len(text) <= 255 and all("!" <= letter <= "~" for letter in text)


def _without_expand(parameters: Parameters, expandable: Collection[str]) -> Parameters:
    """The parameters without ``expand``, which may only name members that are always null here."""
    asked = {name for name in parameters if (path_of(name) or ("",))[0] == "expand"}
    for name in asked:
        if path_of(name) == ("expand",) or not set(parameters[name]) <= set(expandable):
            reason = f"can only be a list of {', '.join(expandable)}"
            raise _refused([{"path": name[:NAME_SHOWN_MAX], "reason": reason}])
    return {name: values for name, values in parameters.items() if name not in asked}


def _given_once(parameters: Parameters, known: Collection[str]) -> dict[str, str]:
    """The parameters; raises if one is unknown, given twice or empty."""
    problems = []
    for name, values in parameters.items():
        if name not in known:
            problems.append({"path": name[:NAME_SHOWN_MAX], "reason": "is not a parameter here"})
        elif len(values) != 1:
            problems.append({"path": name, "reason": "is given more than once"})
        elif not values[0]:
            problems.append({"path": name, "reason": "must not be empty"})
    if problems:
        raise _refused(problems[:FIELDS_REPORTED_MAX])
    return {name: values[0] for name, values in parameters.items()}


def _refused(fields: Sequence[Mapping[str, str]]) -> InvalidRequestError:
    return InvalidRequestError(
        "The parameters are not of the contract's form.", details={"fields": list(fields)}
    )


def _limit(text: Any) -> int:
    if _LIMIT.fullmatch(text) and int(text) <= LIMIT_MAX:
        return int(text)
    raise ValueError(_LIMIT_FORM)


def _nanoseconds(text: str) -> int:
    """The time in nanoseconds since 1970, exactly; negative before.

    Computed with integers, because an offset can lead out of the calendar at its ends.
    """
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise ValueError(_TIME_FORM)
    day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = parts.groups()
    try:
        days = date.fromisoformat(day).toordinal() - _FIRST_DAY
    except ValueError:
        raise ValueError(_TIME_FORM) from None
    seconds = days * _DAY_S + int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign is not None:
        offset = int(offset_hours) * 3600 + int(offset_minutes) * 60
        seconds -= offset if sign == "+" else -offset
    # A leap second is the last of a UTC day; Unix time counts it as the first of the next day.
    if second == "60" and seconds % _DAY_S:
        raise ValueError(_TIME_FORM)
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def _after_ms(text: str) -> int:
    """The last millisecond that is not after that time."""
    return _nanoseconds(text) // 10**6


def _before_ms(text: str) -> int:
    """The first millisecond that is not before that time."""
    return -(-_nanoseconds(text) // 10**6)


def _seconds(text: Any) -> int:
    """Whole Unix seconds, as Stripe has them."""
    if _SECONDS.fullmatch(text):
        return int(text)
    raise ValueError("must be a time in whole seconds since 1970")


def _statuses(text: Any) -> tuple[str, ...]:
    """One status or several, separated by commas."""
    found = tuple(dict.fromkeys(text.split(",")))
    if set(found) <= PUBLIC_STATUSES:
        return found
    raise ValueError(f"must be some of {', '.join(sorted(PUBLIC_STATUSES))}, separated by commas")


def _amount(text: Any) -> int:
    if _AMOUNT.fullmatch(text):
        return int(text)
    raise ValueError("must be a whole number of the currency's minor unit, from 1 on")


def _currency(text: Any) -> str:
    if is_currency(text.lower()):
        return str(text.lower())
    raise ValueError("must be a currency of three letters")


_Created = Annotated[int | None, BeforeValidator(_seconds)]


class _ListParameters(BaseModel):
    """The parameters of ``GET /v1/refunds``."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    payment_record: Reference | None = None
    payment_intent: Reference | None = None
    invoice: Reference | None = None
    charge: Reference | None = None
    status: Annotated[tuple[str, ...], BeforeValidator(_statuses)] = ()
    amount: Annotated[int | None, BeforeValidator(_amount)] = None
    currency: Annotated[str | None, BeforeValidator(_currency)] = None
    processor: Reference | None = None
    reason: Reason | None = None
    created_after: Annotated[int, BeforeValidator(_after_ms)] | None = None
    created_before: Annotated[int, BeforeValidator(_before_ms)] | None = None
    limit: Annotated[int, BeforeValidator(_limit)] = LIMIT_DEFAULT
    starting_after: Reference | None = None
    ending_before: Reference | None = None
    created_gt: _Created = Field(None, alias="created[gt]")
    created_gte: _Created = Field(None, alias="created[gte]")
    created_lt: _Created = Field(None, alias="created[lt]")
    created_lte: _Created = Field(None, alias="created[lte]")

    @property
    def after_ms(self) -> int | None:
        """The last millisecond that is too early."""
        gt, gte = self.created_gt, self.created_gte
        bounds = [
            self.created_after,
            None if gt is None else gt * 1000 + 999,
            None if gte is None else gte * 1000 - 1,
        ]
        return max((bound for bound in bounds if bound is not None), default=None)

    @property
    def before_ms(self) -> int | None:
        """The first millisecond that is too late."""
        lt, lte = self.created_lt, self.created_lte
        bounds = [
            self.created_before,
            None if lt is None else lt * 1000,
            None if lte is None else (lte + 1) * 1000,
        ]
        return min((bound for bound in bounds if bound is not None), default=None)

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        ours = (self.created_after, self.created_before)
        stripes = (self.created_gt, self.created_gte, self.created_lt, self.created_lte)
        if ours.count(None) < len(ours) and stripes.count(None) < len(stripes):
            raise ValueError("give either created_after and created_before, or created[…]")
        if self.starting_after is not None and self.ending_before is not None:
            raise ValueError("give either starting_after or ending_before")
        return self

    @model_validator(mode="after")
    def _at_most_one_reference(self) -> Self:
        filters = (self.payment_record, self.payment_intent, self.invoice, self.charge)
        if len(filters) - filters.count(None) > 1:
            raise ValueError(
                "give at most one of payment_record, payment_intent, invoice and charge"
            )
        return self
