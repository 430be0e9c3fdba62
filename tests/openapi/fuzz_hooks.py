"""Hooks of schemathesis: give its calls something to find, and count what they are answered.

Loaded by its program, in a process of its own; `FUZZ_WORLD` names a file that says what is there.
Three of four calls that keep to the document get a payment, refund or signature that exists, the
fourth stays as it was made up; all of them are made to keep to what a schema cannot say. Calls that
break the document stay broken.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote_plus

import requests
import schemathesis
from requests.auth import AuthBase
from schemathesis.core.parameters import ParameterLocation

from tests.openapi.document import FORM, form_document, problems

REFERENCES = ("payment_record", "payment_intent", "invoice", "charge")
# What no index knows is listed of a reference, or of a short span.
PICKED = ("amount", "currency", "processor", "reason")
KEYS = ("refund_id", "merchant_transaction_id")
KEY_HEADER = "Idempotency-Key"
CURSORS = ("starting_after", "ending_before")
TIMES = ("created_after", "created_before")
AT_MOST_S = 60


@dataclass
class World:
    """What is there, and what has been made of it so far."""

    payments: Iterator[str]
    charges: Iterator[str]
    card: str
    salt: str
    tally: Path
    refunds: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    calls: int = 0


def _world() -> World:
    told = json.loads(Path(os.environ["FUZZ_WORLD"]).read_text())
    # Each payment once: a second refund would often find nothing left.
    return World(
        payments=iter(told["payments"]),
        charges=cycle(told["charges"]),
        card=told["card"],
        salt=told["salt"],
        tally=Path(told["tally"]),
    )


WORLD = _world()


@dataclass(frozen=True)
class Signed(AuthBase):
    """Signs the very bytes that are sent, as HitPay does."""

    salt: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body
        raw = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b""
        signature = hmac.new(self.salt.encode(), raw, hashlib.sha256).hexdigest()
        request.headers["Hitpay-Signature"] = signature
        return request


@schemathesis.hook
def before_load_schema(_: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Leave out which members of a body exclude or need each other: unit tests know that.

    Bodies with all members at once would be looked for, which nothing fits, until the budget is
    used up. What is sent gets one reference instead; see ``create_refund``.
    """
    body = raw_schema["components"]["schemas"]["RefundRequest"]
    del body["oneOf"], body["dependentRequired"]


@schemathesis.serializer(FORM)
def in_stripes_nesting(_: Any, value: Any) -> bytes:
    """A body as a form; what is no object has no such form, and is sent as JSON says it."""
    return form_of(value) if isinstance(value, dict) else json.dumps(value).encode()


def form_of(body: dict[str, Any]) -> bytes:
    """Members of members, and of lists, in brackets."""
    pairs: list[tuple[str, Any]] = []
    for name, value in body.items():
        if isinstance(value, dict):
            pairs += [(f"{name}[{key}]", each) for key, each in value.items()]
        elif isinstance(value, list):
            pairs += [(f"{name}[{place}]", each) for place, each in enumerate(value)]
        else:
            pairs.append((name, value))
    return "&".join(
        f"{quote_plus(name)}={quote_plus(_text(each))}" for name, each in pairs
    ).encode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: "schemathesis.Case[Any]") -> bool:
    """Leave out what is broken in its types alone: a form has none, so there it is not broken."""
    if case.media_type != FORM or _broken(case) != {ParameterLocation.BODY}:
        return True
    try:
        sent = form_document(form_of(case.body).decode()) if isinstance(case.body, dict) else None
    except ValueError:
        return True
    definition = case.operation.definition.raw["requestBody"]
    if sent is None:
        return True
    if not sent and not definition.get("required"):
        return False
    return bool(problems(definition["content"][FORM]["schema"], sent))


@schemathesis.hook
def before_call(
    _: schemathesis.HookContext, case: "schemathesis.Case[Any]", kwargs: dict[str, Any]
) -> None:
    """Make the call fit the world."""
    WORLD.calls += 1
    # Each from an address of its own: calls without a key are counted by where they come from.
    high, low = divmod(WORLD.calls, 250)
    case.headers["X-Forwarded-For"] = f"10.1.{high % 250}.{low + 1}"
    broken = _broken(case)
    is_fitting = WORLD.calls % 4 != 0
    fit = FITTING.get(case.operation.definition.raw["operationId"])
    if fit is not None and not broken and case.method == case.operation.method.upper():
        fit(case, is_fitting)
    if case.path == "/v1/webhooks/hitpay" and is_fitting and broken <= {ParameterLocation.BODY}:
        # A broken body is signed, too: what is not signed is not even looked at.
        kwargs["auth"] = Signed(WORLD.salt)
        if broken:
            case.headers["Hitpay-Event-Object"] = "charge"


@schemathesis.hook
def after_call(
    _: schemathesis.HookContext, case: "schemathesis.Case[Any]", response: schemathesis.Response
) -> None:
    """Count the answer, and remember what was made."""
    with WORLD.tally.open("a") as tally:
        tally.write(f"{case.method} {case.path}\t{response.status_code}\n")
    made = case.path == "/v1/refunds" and case.method == "POST"
    if made and response.status_code in (200, 201, 202):
        WORLD.refunds.append(str(response.json()["id"]))


def _broken(case: "schemathesis.Case[Any]") -> set[ParameterLocation]:
    """Which parts of the call break the document, on purpose."""
    components = {} if case.meta is None else case.meta.components
    return {part for part, how in components.items() if how.mode.is_negative}


def create_refund(case: "schemathesis.Case[Any]", is_fitting: bool) -> None:
    """One reference, one key, however often it is given; and a payment not refunded yet.

    A processor is one that is set up, and that can do what it is asked.
    """
    body = cast("dict[str, Any]", case.body)
    # Where the money goes is said at /v1/payouts only; here it is refused by name.
    body.pop("payment_method", None)
    body.pop("customer", None)
    given = [name for name in REFERENCES if name in body] or ["payment_record"]
    body.setdefault(given[0], "pr_1")
    for name in given[1:]:
        body.pop(name)
    is_fitting = _fits_a_form(case, body, is_fitting)
    _one_key(case, body, is_fitting, is_unlinked=False)


def create_payout(case: "schemathesis.Case[Any]", is_fitting: bool) -> None:
    """The same, to the one card that there is."""
    body = cast("dict[str, Any]", case.body)
    for name in REFERENCES[1:]:
        body.pop(name, None)
    body |= {"amount": 1, "currency": "usd", "customer": {"hsid": "hs_1"}} | body
    is_fitting = _fits_a_form(case, body, is_fitting)
    if is_fitting:
        body |= {"customer": {"hsid": "hs_1"}, "amount": 1 + int(body.get("amount", 1)) % 1000}
        body["payment_method"] = {"id": WORLD.card, "type": "card"}
    _one_key(case, body, is_fitting, is_unlinked="payment_method" in body)


def _fits_a_form(case: "schemathesis.Case[Any]", body: dict[str, Any], is_fitting: bool) -> bool:
    # Who sends a form is told 400 for much that others are told otherwise, so it always fits.
    if case.media_type == FORM and "metadata" in body:
        # Brackets in a name nest there, so a key that has some can only be sent as JSON.
        body["metadata"] = {
            key: text for key, text in body["metadata"].items() if not set(key) & set("[]")
        }
    return is_fitting or case.media_type == FORM


def _one_key(
    case: "schemathesis.Case[Any]", body: dict[str, Any], is_fitting: bool, *, is_unlinked: bool
) -> None:
    if is_unlinked or "processor" in body:
        body["processor"] = "ccg" if is_unlinked else "hitpay"
    if "amount" in body:
        body["amount"] = int(body["amount"])  # 1.0 is an integer to a schema, and refused here
    given = [case.headers.get(KEY_HEADER), *(body.get(name) for name in KEYS)]
    key = next((each for each in given if each is not None), f"key-{WORLD.calls}")
    if is_fitting and is_unlinked:
        body.pop("payment_record", None)
        body["payment_method"] = {"id": WORLD.card, "type": "card"}
        body["currency"] = "usd"
    elif is_fitting:
        for name in REFERENCES:
            body.pop(name, None)
        name = next(WORLD.payments)
        body |= (
            {"payment_intent": f"pi_{name}"}
            if WORLD.calls % 3 == 0
            else {"payment_record": f"pr_{name}"}
        )
        if "amount" in body:
            body["amount"] = 1 + body["amount"] % 1000
        if "currency" in body:
            body["currency"] = "sgd"
    if is_fitting and key in WORLD.keys:
        key = f"{key[:200]}-{WORLD.calls}"
    WORLD.keys.add(key)
    for name in KEYS:
        if name in body:
            body[name] = key
    if KEY_HEADER in case.headers or not any(name in body for name in KEYS):
        case.headers[KEY_HEADER] = key


def cancel_refund(case: "schemathesis.Case[Any]", is_fitting: bool) -> None:
    """A refund that was scheduled a moment ago; else none that there is, as that would be sent."""
    if not is_fitting:
        case.path_parameters["refund_id"] = f"rfd_{'a' * 32}"
        return
    asked = {"payment_record": f"pr_{next(WORLD.payments)}", "refund_type": "scheduled"}
    made = requests.post(
        f"{os.environ['API_URL']}/v1/refunds",
        json=asked,
        headers={
            "Authorization": f"Bearer {os.environ['API_KEY']}",
            KEY_HEADER: f"to-cancel-{WORLD.calls}",
        },
        timeout=AT_MOST_S,
    )
    case.path_parameters["refund_id"] = made.json()["id"]


def list_refunds(case: "schemathesis.Case[Any]", _: bool) -> None:
    """One reference at most; a span that is not too wide; one cursor of this list."""
    query = case.query
    kept = next((name for name in REFERENCES if name in query), None)
    cursor = next((name for name in CURSORS if name in query), None)
    for name in CURSORS:
        query.pop(name, None)
    if cursor is not None:
        kept = None
        if WORLD.refunds:
            query[cursor] = WORLD.refunds[WORLD.calls % len(WORLD.refunds)]
    for name in REFERENCES:
        if name != kept:
            query.pop(name, None)
    if kept is None:
        for name in PICKED:
            query.pop(name, None)
        query.pop("created_after", None)
        if isinstance(query.get("created"), dict):
            query["created"] = {
                name: each for name, each in query["created"].items() if name[0] != "g"
            }
    if any(name in query for name in TIMES):
        # By its parts, where these were written out before.
        for name in [each for each in query if each.partition("[")[0] == "created"]:
            query.pop(name)


def read_refund(case: "schemathesis.Case[Any]", is_fitting: bool) -> None:
    """A refund that was made in this run."""
    if is_fitting and WORLD.refunds:
        refunds = WORLD.refunds
        case.path_parameters["refund_id"] = refunds[WORLD.calls % len(refunds)]


def read_payment(case: "schemathesis.Case[Any]", is_fitting: bool) -> None:
    """A payment that is there, whether it was refunded or not."""
    if is_fitting:
        case.path_parameters["payment_record"] = f"pr_{next(WORLD.payments)}"


def hear_hitpay(case: "schemathesis.Case[Any]", is_fitting: bool) -> None:
    """A charge that is there."""
    if is_fitting:
        cast("dict[str, Any]", case.body)["id"] = next(WORLD.charges)


FITTING: dict[str, Callable[["schemathesis.Case[Any]", bool], None]] = {
    "createPayout": create_payout,
    "createRefund": create_refund,
    "listRefunds": list_refunds,
    "cancelRefund": cancel_refund,
    "readRefund": read_refund,
    "readPayment": read_payment,
    "hearHitPay": hear_hitpay,
}
