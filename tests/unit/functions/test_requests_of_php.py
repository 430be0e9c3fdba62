"""What PHP's SDK of Stripe wrote to a socket, byte by byte, through the handler of API Gateway.

Which call wrote which bytes stands in ``tests/sdks/php/README.md``.
"""

import json
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from functions.refund_api.app import handler
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.http.address_throttle import AddressThrottle
from refund_bridge.http.callers import READ, WRITE, ApiKeyHolder, KeyCallers
from tests.fakes.api import api_on
from tests.fakes.world import STAGE, World
from tests.sdks.recorded import KEY, PHP, Recorded

CONTEXT: Any = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1024, invoked_function_arn="a", aws_request_id="l"
)
# The last parts of the PaymentIntents that the calls name.
PAYMENTS = ("whole", "part", "list", "scheduled", "repeated", "lost")
FILES = sorted(path.stem for path in PHP.glob("*.http"))


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    body: dict[str, Any]
    headers: dict[str, list[str]]

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error


class Ring:
    """Knows the key that was recorded, and no other."""

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        return ApiKeyHolder("shop", frozenset({READ, WRITE})) if bearer_token == KEY else None


class Api:
    """The function on a world in memory, with the payments that the calls are about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world = World()
        for name in PAYMENTS:
            record = world.pay(f"php_{name}")
            world.stripe.add_reference(f"pi_php_{name}", {"stripe_payment_record_id": record})
        callers = KeyCallers(Ring(), AddressThrottle(world.clock), world.telemetry)
        function = api_on(world, callers)
        monkeypatch.setattr("functions.refund_api.app.refund_api", lambda _: function)

    def told(self, name: str) -> Told:
        """The answer to the recorded request, which comes a second after the one before."""
        self.world.clock.advance(1000)
        answer = handler(Recorded.of_php(name).event, CONTEXT)
        return Told(answer["statusCode"], json.loads(answer["body"]), answer["multiValueHeaders"])

    @property
    def moved(self) -> list[int]:
        """The amounts that the processor was asked to move."""
        return [instruction.money.amount for instruction in self.world.processor.instructions]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "RefundBridge/test")
    return Api(monkeypatch)


# --- the verbs ------------------------------------------------------------------------------------


def test_a_whole_payment_is_refunded_by_its_payment_intent(api: Api) -> None:
    told = api.told("create_whole")
    assert (told.status, told.body["object"], told.body["amount"]) == (201, "refund", 9999)
    assert told.body["payment_intent"] == "pi_php_whole"
    assert api.moved == [9999]


def test_a_part_is_refunded_with_its_reason_and_metadata_and_read_again(api: Api) -> None:
    made = api.told("create_part")
    # Then every member is what the PHP line says
    assert (made.status, made.body["status"], made.body["amount"]) == (201, "succeeded", 2500)
    assert made.body["reason"] == "requested_by_customer"
    metadata = {"order": "1007", "Größe & Farbe": "a+b = [100 %] ü", "note": ""}
    assert made.body["metadata"] == metadata
    assert api.moved == [2500]
    # And it is read under the id that the SDK was told
    read = api.told("retrieve")
    assert (read.status, read.body["id"], read.body["metadata"]) == (
        200,
        made.body["id"],
        metadata,
    )
    assert read.body["idempotency_key"] == "order-1008-refund-1"


def test_a_list_is_walked_page_by_page(api: Api) -> None:
    # Given four refunds of SGD 0.01 to 0.04
    for amount in range(1, 5):
        assert api.told(f"create_listed_{amount}").status == 201
    # When the SDK asks for three at a time
    first, second = api.told("list"), api.told("list_next_page")
    # Then each page has Stripe's form, the newest first
    for page, amounts, has_more in ((first, [4, 3, 2], True), (second, [1], False)):
        assert [one["amount"] for one in page.body.pop("data")] == amounts
        assert (page.status, page.body) == (
            200,
            {"object": "list", "url": "/v1/refunds", "has_more": has_more},
        )
    # And the page before is found from its last
    backwards = api.told("list_backwards")
    assert [one["amount"] for one in backwards.body["data"]] == [4, 3]


def test_a_scheduled_refund_is_canceled_by_a_request_without_a_body(api: Api) -> None:
    due = api.told("create_scheduled")
    assert (due.status, due.body["status"]) == (202, "pending")
    for _ in range(2):
        canceled = api.told("cancel")
        assert (canceled.status, canceled.body["status"]) == (200, "canceled")
        assert canceled.body["id"] == due.body["id"]
    api.world.settle_due()
    assert api.moved == []


def test_every_answer_names_itself_and_the_version_that_was_asked_for(api: Api) -> None:
    for name in FILES:
        told = api.told(name)
        assert told.headers["Request-Id"] == ["c6af9ac6-7b61-11e6-9a41-93e8deadbeef"]
        assert told.headers["Stripe-Version"] == ["2026-06-24.dahlia"]


# --- the errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code", "param"),
    [
        ("create_bad_amount", "invalid_request", "amount"),
        ("create_too_much", "refund_amount_exceeded", "amount"),
        ("create_boolean", "invalid_request", "reverse_transfer"),
        ("create_brackets", "invalid_request", "metadata[paid [in part]]"),
        ("create_without_key", "idempotency_key_required", None),
        ("update", "method_not_allowed", None),
    ],
)
def test_what_cannot_be_asked_is_an_invalid_request(
    api: Api, name: str, code: str, param: str | None
) -> None:
    told = api.told(name)
    assert (told.status, told.error["type"]) == (400, "invalid_request_error")
    assert (told.error["code"], told.error["param"]) == (code, param)
    assert told.headers["Stripe-Should-Retry"] == ["false"]
    assert api.moved == []


# --- its repeats ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["create_told_to_repeat", "create_closed", "create_timed_out", "create_own_key"]
)
def test_a_repeat_has_the_same_key_and_makes_no_second_refund(api: Api, name: str) -> None:
    # Given the two requests of one call
    first, second = (Recorded.of_php(f"{name}_{number}") for number in (1, 2))
    assert first.idempotency_key
    assert first.idempotency_key == second.idempotency_key
    assert first.body == second.body
    # When the first was executed, though its answer never came
    made, repeated = api.told(f"{name}_1"), api.told(f"{name}_2")
    # Then the second is told of the same refund
    assert (made.status, repeated.status) == (201, 200)
    assert made.body["id"] == repeated.body["id"] == refund_id_of(first.idempotency_key, STAGE)
    assert "Idempotent-Replayed" not in made.headers
    assert repeated.headers["Idempotent-Replayed"] == ["true"]
    assert api.moved == [made.body["amount"]]


def test_only_a_setting_for_all_clients_makes_the_sdk_send_a_key_of_its_own() -> None:
    assert Recorded.of_php("create_without_key").idempotency_key is None
    assert Recorded.of_php("create_own_key_1").idempotency_key is not None


# --- the files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_a_whole_request_as_it_was_sent(name: str) -> None:
    recorded = Recorded.of_php(name)
    assert len(recorded.body.encode()) == int(recorded.headers["Content-Length"] or 0)
    assert b"\n" not in recorded.raw.replace(b"\r\n", b"")
    assert recorded.headers["User-Agent"] == "Stripe/v1 PhpBindings/21.0.0"
    # And it tells nothing about the machine that sent it
    about = json.loads(recorded.headers["X-Stripe-Client-User-Agent"])
    assert (about["lang_version"], about["platform"]) == ("8.2.36", "(disabled)")
    assert "telemetry_id" not in about


def test_which_call_wrote_a_file_is_told_of_each() -> None:
    told = set(re.findall(r"`([a-z0-9_]+)`", (PHP / "README.md").read_text()))
    named = {*told, *(f"create_listed_{number}" for number in (2, 3))}
    assert set(FILES) - named == set()
