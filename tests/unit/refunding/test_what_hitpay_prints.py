"""What a caller is told, by what HitPay prints: the use cases and HitPay's adapter on real sockets.

Forms and words are those of HitPay's reference, of its troubleshooting page and of older samples.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.providers.breaker import Breaker
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.adapters.providers.guarded import GuardedProcessor
from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.domain.state_machine import State
from refund_bridge.http.answers import ApiAnswer, answer_of, error_answer
from refund_bridge.processors.hitpay.adapter import HitPay
from tests.fakes.world import World
from tests.unit.processors.doubles import StoredKey
from tests.unit.processors.raw_server import RawServer, Script, answer

INSTRUCTION, READ = "POST /v1/refund", "GET /v1/charges/charge-1"
WRONG_KEY = answer(403, {"message": "Invalid business api key"})
TOO_MUCH = "Total refund amount must be less than payment amount."
LISTED = {"id": "ref-1", "amount_refunded": "99.99", "status": None}


def charge(**changes: Any) -> Script:
    """A charge of SGD 99.99 that nothing was refunded of."""
    shown = {"id": "charge-1", "status": "succeeded", "amount": 99.99, "currency": "sgd"}
    return answer(200, shown | {"refunded_amount": 0, "refunds": []} | changes)


def refund(**changes: Any) -> Script:
    """A refund of all of it."""
    made = {"id": "ref-1", "payment_id": "charge-1", "amount_refunded": 99.99, "currency": "sgd"}
    times = {"refunded_at": "2024-05-01T02:03:04.000000Z", "created_at": "2024-05-01T10:03:04"}
    return answer(200, made | {"status": "succeeded"} | times | changes)


class Shop:
    """A payment, somebody who refunds it, and HitPay at the other end."""

    def __init__(self) -> None:
        self.world = World()
        self.key = StoredKey()
        self.http = DeadlineHttp(self.world.clock)

    def refunds(self, *scripts: Script) -> tuple[ApiAnswer, RawServer]:
        """A call for all of the payment, always with one idempotency key; HitPay answers so."""
        with RawServer(*scripts) as hitpay:
            adapter = HitPay(base_url=hitpay.url, key=self.key, http=self.http)
            calls = ProviderCalls("hitpay", self.world.clock, self.world.telemetry)
            doors: dict[str, Any] = self.world.doors
            doors["hitpay"] = GuardedProcessor(
                adapter, Breaker("hitpay", self.world.clock, self.world.telemetry), calls
            )
            try:
                told = answer_of(self.world.refund("k"), "request-1")
            except RefundBridgeError as error:
                told = error_answer(error, "request-1")
        return told, hitpay

    def ends(self) -> set[object]:
        """How the calls to HitPay have ended."""
        return {facts["outcome"] for facts in self.world.noted("provider_called")}


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    shop.world.pay()
    yield shop
    shop.http.close()


def code_of(told: ApiAnswer) -> tuple[int, str]:
    return told.status, told.body["error"]["code"]


@pytest.mark.parametrize(
    "scripts", [(WRONG_KEY, charge(), refund()), (charge(), WRONG_KEY, refund())]
)
def test_a_wrong_key_beside_a_new_one_costs_the_caller_nothing(
    shop: Shop, scripts: tuple[Script, ...]
) -> None:
    # Given that the new key lies where keys are read, and HitPay refuses the old one
    shop.key.rotate("key-two")
    told, hitpay = shop.refunds(*scripts)
    assert (told.status, told.body["status"]) == (201, "succeeded")
    assert hitpay.arrived[-1].headers["x-business-api-key"] == "key-two"


@pytest.mark.parametrize("scripts", [(WRONG_KEY,), (charge(), WRONG_KEY, WRONG_KEY)])
def test_a_wrong_key_without_another_spends_nothing_and_rings(
    shop: Shop, scripts: tuple[Script, ...]
) -> None:
    # Given that HitPay refuses the key, before the instruction or at the instruction
    told, _ = shop.refunds(*scripts)
    assert code_of(told) == (503, "processor_unavailable")
    assert "credential_refused" in shop.ends()

    # When the right key was put, then the same call succeeds
    shop.key.rotate("key-two")
    told, _ = shop.refunds(WRONG_KEY, charge(), refund())
    assert (told.status, told.body["status"]) == (201, "succeeded")


@pytest.mark.parametrize(
    ("scripts", "sentence"),
    [
        ((answer(403, {"message": TOO_MUCH}), charge()), TOO_MUCH),
        ((answer(400, {"detail": "Insufficient balance"}),), "Insufficient balance"),
    ],
)
def test_a_refusal_is_told_in_hitpays_words_and_holds_nothing(
    shop: Shop, scripts: tuple[Script, ...], sentence: str
) -> None:
    told, hitpay = shop.refunds(charge(), *scripts)
    assert code_of(told) == (402, "refund_rejected")
    assert sentence in told.body["error"]["message"]
    assert hitpay.requests.count(INSTRUCTION) == 1
    assert shop.world.payment().refundable == 9999


def test_a_refund_of_the_older_form_has_happened_if_its_charge_holds_it(shop: Shop) -> None:
    # Given an answer that says neither status nor time, twice, and a charge that lists the refund
    silent: dict[str, Any] = {"status": None, "refunded_at": None, "currency": "SGD"}
    made = refund(amount_refunded="99.99", created_at="2023-01-30T16:10:17", **silent)
    partly = {"status": "refunded", "refunded_amount": "99.99", "refunds": [LISTED]}
    told, hitpay = shop.refunds(charge(), made, made, charge(**partly))
    assert (told.status, told.body["status"]) == (201, "succeeded")
    assert hitpay.requests == [READ, INSTRUCTION, "GET /v1/refund/ref-1", READ]


def test_on_a_charge_that_contradicts_itself_nothing_is_sent_and_it_rings(shop: Shop) -> None:
    partly = {"status": "partially_refunded", "amount": 100, "refunded_amount": None}
    told, hitpay = shop.refunds(charge(**partly))
    assert code_of(told) == (503, "processor_unavailable")
    assert hitpay.requests == [READ]
    assert shop.ends() == {"unreadable"}
    told, _ = shop.refunds(charge(), refund())
    assert told.status == 201


def test_thousands_may_be_grouped(shop: Shop) -> None:
    shop.world.pay(amount=500_000)
    grouped = refund(amount_refunded="5,000.00", total_amount="5,000.00")
    told, hitpay = shop.refunds(charge(amount="5,000.00"), grouped)
    assert (told.status, told.body["amount"]) == (201, 500_000)
    assert parse_qs(hitpay.arrived[1].body.decode())["amount"] == ["5000.00"]


def test_a_payment_requests_id_leads_to_its_one_payment(shop: Shop) -> None:
    shop.world.stripe.books.records["pr_1"].metadata = {"hitpay_payment_id": "req-1"}
    unknown = answer(404, {"message": "No query results for model [App\\Business\\Charge] req-1"})
    paid = {"id": "charge-1", "status": "succeeded", "amount": "99.99", "currency": "sgd"}
    asked_for = answer(
        200, {"id": "req-1", "payments": [paid | {"id": "x", "status": "failed"}, paid]}
    )
    told, hitpay = shop.refunds(unknown, asked_for, charge(), refund())
    assert told.status == 201
    assert hitpay.requests[1:] == ["GET /v1/payment-requests/req-1", READ, INSTRUCTION]
    assert shop.world.stored("k").state is State.SUCCEEDED
