"""HitPay's API by a JSON Schema of the members that are used here, each with its source.

https://docs.hitpayapp.com/openapi.json; where HitPay's documents say nothing, the schema says so.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

from local.simulators.hitpay import ROUTES
from local.simulators.json_text import JsonObject
from tests.descriptions.description import Description

SCHEMA: Final = Path(__file__).with_name("hitpay_api.json")
# Definitions of what is asked with, and of a success.
OPERATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "charge.list": ("list_query", "page"),
    "charge.read": ("nothing", "charge"),
    "payment_request.read": ("nothing", "payment_request"),
    "refund.create": ("instruction", "refund"),
    "refund.read": ("nothing", "refund"),
}


class HitPayApi(Description):
    """HitPay's."""

    provider = "hitpay"

    def __init__(self) -> None:
        super().__init__(ROUTES)

    def parameters(self, operation: str, given: JsonObject, *, in_form: bool) -> Iterator[str]:
        """What does not fit the operation's query or body."""
        yield from _unlike(OPERATIONS[operation][0], given)

    def shown(self, operation: str, body: JsonObject) -> Iterator[str]:
        """What does not fit the operation's object."""
        yield from _unlike(OPERATIONS[operation][1], body)

    def refused(self, status: int, body: JsonObject) -> Iterator[str]:
        """What does not fit HitPay's errors."""
        yield from _unlike("refusal", body)

    def headers(self, headers: JsonObject) -> Iterator[str]:
        """The key, and that no page of a browser is wanted."""
        wanted = ("x-business-api-key", "x-requested-with")
        yield from (f"{name} is missing" for name in wanted if not headers.get(name))


def schema() -> dict[str, Any]:
    """The whole description."""
    read: dict[str, Any] = json.loads(SCHEMA.read_text())
    return read


def _unlike(name: str, value: object) -> Iterator[str]:
    for error in _validator(name).iter_errors(value):
        yield f"{name}{''.join(f'.{step}' for step in error.instance_path)}: {error.message}"


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    whole = schema() | {"$ref": f"#/$defs/{name}"}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
