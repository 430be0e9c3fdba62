"""Converts a form to the JSON document that it means, in Stripe's nesting (``metadata[order]=1``).

Stripe's SDKs send ``application/x-www-form-urlencoded``. The resulting document is checked by the
same model as JSON, so that both mean the same request. Nothing is guessed here either.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from refund_bridge.domain.errors import InvalidRequestError

NAME_SHOWN_MAX: Final = 100
# Members that are numbers in JSON, and members that are lists; everything else is text.
_INTEGERS: Final = ("amount",)
_LISTS: Final = ("expand",)
# JSON's own spelling of an integer, short enough to be one of ours: 2500, but not 2500.0 or 2_500.
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NAME: Final = re.compile(r"([^\[\]]+)(?:\[([^\[\]]*)\])?")
_BRACKET: Final = re.compile(r"\[|%5B", re.IGNORECASE)
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_Path = tuple[str, ...]


def parse_form(text: str) -> dict[str, Any]:
    """Convert the form to a document.

    ``+`` is a space; names and values are UTF-8. Indices of a list are 0 … n, or left out
    (``expand[]=…``).

    Raises:
        InvalidRequestError: the form is not unambiguous; ``details.fields`` names the member.
    """
    document: dict[str, Any] = {}
    for name, path, value in _pairs(text):
        _put(document, name, path, value)
    for name in _LISTS:
        if isinstance(members := document.get(name), dict):
            document[name] = _list_of(name, members)
    for name in _INTEGERS:
        if isinstance(digits := document.get(name), str) and _INTEGER.fullmatch(digits):
            document[name] = int(digits)
    return document


def path_of(name: str) -> _Path | None:
    """The path of members in a name like ``metadata[order]``; ``None``: it is no valid name.

    An empty pair of brackets is the next place of a list, and only lists have one.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        return None
    head, below = parts.groups()
    if below is None:
        return (head,)
    return (head, below) if below or head in _LISTS else None


def _pairs(text: str) -> Iterator[tuple[str, _Path, str]]:
    for pair in filter(None, text.split("&")):
        sent_name, equals, sent_value = pair.partition("=")
        name = _decoded(sent_name, _BRACKET.split(sent_name, maxsplit=1)[0])
        path = path_of(name)
        if path is None:
            raise _refused(name, "is not a name such as amount or metadata[order]")
        if not equals:
            raise _refused(name, "is given without a value")
        yield name, path, _decoded(sent_value, name)


def _decoded(sent: str, name: str) -> str:
    if _BROKEN_ESCAPE.search(sent):
        raise _refused(name, "is not percent-encoded: a % stands alone")
    try:
        return unquote_to_bytes(sent.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise _refused(name, "is not UTF-8 once it is percent-decoded") from None


def _put(document: dict[str, Any], name: str, path: _Path, value: str) -> None:
    members = document
    for part in path[:-1]:
        members = members.setdefault(part, {})
        if not isinstance(members, dict):
            raise _refused(path[0], "is given twice")
    last = path[-1] or str(len(members))
    if last in members:
        raise _refused(name, "is given twice")
    members[last] = value


def _list_of(name: str, members: dict[str, Any]) -> list[Any]:
    if set(members) != {str(place) for place in range(len(members))}:
        raise _refused(name, "must have the indices 0, 1, 2 and so on")
    return [members[str(place)] for place in range(len(members))]


def _refused(name: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError.at(
        _shown(name),
        reason,
        "The body is not a form that can be understood.",
    )


def _shown(name: str) -> str:
    """The name for ``details.fields``: ``metadata.order``; below ``customer`` nothing is shown."""
    path = path_of(name) or (name,)
    return ".".join(path[:1] if path[0] == "customer" else path)[:NAME_SHOWN_MAX]
