"""What does not fit one of the types by which Stripe's SDK describes parameters and objects.

Its parameters are ``TypedDict``s, its objects classes with annotated members; both are generated
from Stripe's own description of its API.
"""

import re
import types
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal, Union, get_args, get_origin, get_type_hints

import stripe
from stripe import StripeObject
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import is_typeddict

# In a form every value is a text.
_IN_A_FORM: Final[Mapping[type, str]] = {
    int: r"-?[0-9]+",
    bool: r"true|false",
    float: r"-?[0-9]+(\.[0-9]+)?",
    Decimal: r"-?[0-9]+(\.[0-9]+)?",
    str: r".*",
}


class _Names(dict[str, Any]):
    """The SDK's classes, some of which are imported for type checkers only, or as ``…Resource``."""

    def __missing__(self, name: str) -> Any:
        name = name.removesuffix("Resource")
        for module in (stripe, stripe.test_helpers):
            if hasattr(module, name):
                return getattr(module, name)
        raise KeyError(name)


def misfits(value: object, kind: Any, at: str, *, in_form: bool) -> Iterator[str]:
    """Each place of ``value`` that is not of the type ``kind``, in words; none if all is.

    ``in_form`` says that it came as a form, in which ``5`` is the text ``"5"``.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        yield from _none_fits(value, get_args(kind), at, in_form=in_form)
    elif origin is Literal:
        if value not in get_args(kind):
            yield f"{at} is {value!r}, not one of {get_args(kind)}"
    elif origin is list:
        yield from _items(value, get_args(kind)[0], at, in_form=in_form)
    elif dict in (origin, kind) or UntypedStripeObject in (origin, kind):
        if not isinstance(value, dict):
            yield f"{at} is no object"
    elif origin is not None and issubclass(origin, StripeObject):
        yield from _generic(value, origin, get_args(kind), at, in_form=in_form)
    elif is_typeddict(kind) or (isinstance(kind, type) and issubclass(kind, StripeObject)):
        yield from _members(value, kind, at, in_form=in_form)
    elif kind is not Any and not _is_plain(value, kind, in_form=in_form):
        yield f"{at} is {value!r}, not of type {getattr(kind, '__name__', kind)}"


def _none_fits(value: object, kinds: tuple[Any, ...], at: str, *, in_form: bool) -> Iterator[str]:
    found = [list(misfits(value, kind, at, in_form=in_form)) for kind in kinds]
    if all(found):
        # What came closest says most: of an object its members rather than "is no text".
        yield from max(found, key=lambda said: max(one.count(".") for one in said))


def _items(value: object, kind: Any, at: str, *, in_form: bool) -> Iterator[str]:
    if in_form and isinstance(value, dict) and list(value) == [str(n) for n in range(len(value))]:
        value = list(value.values())
    if not isinstance(value, list):
        yield f"{at} is no list"
        return
    for number, item in enumerate(value):
        yield from misfits(item, kind, f"{at}.{number}", in_form=in_form)


def _generic(
    value: object, origin: Any, of: tuple[Any, ...], at: str, *, in_form: bool
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
    elif issubclass(origin, stripe.ListObject):
        if value.get("object") != "list" or not isinstance(value.get("has_more"), bool):
            yield f"{at} is no list of Stripe's"
        yield from _items(value.get("data"), of[0], f"{at}.data", in_form=in_form)


def _members(value: object, kind: Any, at: str, *, in_form: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    known = _members_of(kind)
    for name in value:
        if name in known:
            yield from misfits(value[name], known[name], f"{at}.{name}", in_form=in_form)
        else:
            yield f"{at}.{name} is no member of {kind.__name__}"
    for name in getattr(kind, "__required_keys__", frozenset()) - set(value):
        yield f"{at}.{name} is missing"


def _members_of(kind: Any) -> Mapping[str, Any]:
    """The members by which the SDK describes a hash, with their types."""
    # Options of a request, such as its key, are no parameters, though the SDK types them together.
    options = set(stripe.RequestOptions.__annotations__) if is_typeddict(kind) else set()
    found = get_type_hints(kind, localns=_Names(Mapping=Mapping))
    return {
        name: hint
        for name, hint in found.items()
        if name not in options and not name.startswith("_") and get_origin(hint) is not ClassVar
    }


def _is_plain(value: object, kind: Any, *, in_form: bool) -> bool:
    if kind is type(None):
        return value is None
    if in_form:
        return isinstance(value, str) and bool(re.fullmatch(_IN_A_FORM[kind], value, re.DOTALL))
    if kind is Decimal:
        return isinstance(value, str)
    return type(value) is kind or (kind is float and type(value) is int)
