"""Parses a body, JSON or a form, before it is checked as a request."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from refund_bridge.contract.form import parse_form
from refund_bridge.domain.errors import InvalidRequestError, UnsupportedMediaTypeError

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
# Bodies are always UTF-8; a caller may say so, in either of HTTP's spellings.
_CHARSETS: Final = ("", "charset=utf-8", 'charset="utf-8"')


def parse_document(text: str, content_type: str | None) -> object:
    """Parse the text as its content type says.

    Raises:
        UnsupportedMediaTypeError: it is declared as neither JSON nor a form, or not as UTF-8.
        InvalidRequestError: it is not of the declared form; ``details.fields`` says where.
    """
    parse = _PARSERS.get(media_type_of(content_type))
    parameters = (content_type or "").partition(";")[2]
    if parse is None or parameters.strip().lower() not in _CHARSETS:
        raise UnsupportedMediaTypeError(f"Send Content-Type: {JSON} or {FORM}, in UTF-8.")
    return parse(text)


def media_type_of(content_type: str | None) -> str:
    """The header's media type, without its parameters; empty if there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def parse_json(text: str) -> object:
    """Parse the text as JSON; a member that is given twice is refused.

    Raises:
        InvalidRequestError: it is no such JSON; ``details.fields`` says where.
    """
    try:
        data: object = json.loads(
            text, object_pairs_hook=_members_given_once, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError.at(
            "",
            _reason_of(error),
            "The body is not valid JSON.",
        ) from error
    return data


_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {JSON: parse_json, FORM: parse_form}


def _members_given_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _reason_of(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
