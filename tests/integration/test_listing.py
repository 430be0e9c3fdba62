"""Refunds can be read: by pages, by payment, and in the state that the processor shows now."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from deployed.polling import wait_for
from local.http_client import Answer, RefundApiClient
from local.simulators import payments
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refund_bridge.adapters.dynamodb.items import payment_item, refund_item
from refund_bridge.adapters.dynamodb.keys import Item, claim_holder, claim_key
from refund_bridge.adapters.dynamodb.values import encode_item
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund, refund_id_of
from refund_bridge.domain.refund_request import ReferenceType, RefundRequest, Source
from refund_bridge.domain.report import Report
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import RecordClaim
from tests.integration.background import causes, ledger_refund

MANY = 500
# Long ago, where no other test has refunds: 2015-03-01 and the 100 days after.
FIRST_MS = 1_425_168_000_000
STEP_MS = 864_000
BATCH = 25  # DynamoDB's own limit on one BatchWriteItem


@dataclass(frozen=True)
class Population:
    """Many refunds of one payment, newest first."""

    record: str
    refunds: Sequence[Refund]

    def ids(self) -> list[str]:
        return [refund.id for refund in self.refunds]


def a_refund(number: int, key: PaymentKey, record: str) -> Refund:
    """The refund of that number; each moment has ten of them."""
    created_at_ms = FIRST_MS + number // 10 * 10 * STEP_MS
    return Refund(
        id=refund_id_of(f"listing-{number}", "local"),
        request=RefundRequest(reference_type=ReferenceType.PAYMENT_RECORD, reference_id=record),
        source=Source.API,
        state=State.FAILED if number % 1000 == 0 else State.SUCCEEDED,
        processor=key.processor,
        processor_payment_id=key.charge_id,
        payment_record=record,
        payment_intent=None,
        invoice=None,
        amount=1,
        currency="sgd",
        created_at_ms=created_at_ms,
        updated_at_ms=created_at_ms,
        processor_refund_id=f"hp_{number}",
        report=Report(state=ReportState.REPORTED, attempts=1, reported_at_ms=created_at_ms),
        revision=1,
    )


@pytest.fixture(scope="module")
def population(stack: RunningStack) -> Iterator[Population]:
    """Refunds as if made years ago; removed afterwards, since other tests scan the table."""
    key, record = PaymentKey("hitpay", "charge-listing-many"), "pr_listing_many"
    refunds = [a_refund(number, key, record) for number in range(MANY)]
    payment = Payment(
        key=key,
        payment_record=record,
        currency="sgd",
        captured=2 * MANY,
        held=MANY - 10,
        moved=MANY - 10,
        bound_amount=MANY - 10,
        booked=MANY - 10,
        revision=1,
    )
    claim = RecordClaim(record, key)
    items = [
        *(refund_item(refund) for refund in refunds),
        payment_item(payment),
        claim_key(claim) | {"holder": claim_holder(claim), "schema_version": 1},
    ]
    write(stack, [{"PutRequest": {"Item": encode_item(item)}} for item in items])
    order = sorted(refunds, key=lambda one: (one.created_at_ms, one.id), reverse=True)
    yield Population(record, order)
    write(stack, [{"DeleteRequest": {"Key": encode_item(key_of(item))}} for item in items])


def key_of(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}


def write(stack: RunningStack, requests: Sequence[Mapping[str, Any]]) -> None:
    """Write items directly to the table; the product's own roles may not write in batches."""
    dynamodb, table = stack.client("dynamodb"), stack.outputs["LedgerTable"]

    def some(batch: Sequence[Mapping[str, Any]]) -> None:
        answer = dynamodb.batch_write_item(RequestItems={table: list(batch)})
        assert not answer["UnprocessedItems"]

    batches = [requests[start : start + BATCH] for start in range(0, len(requests), BATCH)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(some, batches))


def listed(api: RefundApiClient, **parameters: object) -> Answer:
    return api.request("GET", f"/v1/refunds?{urlencode(parameters)}")


def page(api: RefundApiClient, **parameters: object) -> dict[str, Any]:
    answer = listed(api, **parameters)
    assert answer.status == 200, answer.text
    body: dict[str, Any] = answer.body
    assert set(body) == {"object", "data", "has_more", "url"}
    return body


def ids(body: Mapping[str, Any]) -> list[str]:
    return [refund["id"] for refund in body["data"]]


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.text
    details: dict[str, Any] = answer.body["error"]["details"]
    return details


def paid(stack: RunningStack, name: str, **more: Any) -> DemoPayment:
    """A payment of the test's own."""
    payment = DemoPayment(name, 5000, **more)
    stack.control.seed(seed_of(payment))
    return payment


class TestLists:
    """Pages of refunds."""

    def test_hundreds_of_refunds_of_one_payment_are_paged_through(
        self, api: RefundApiClient, population: Population
    ) -> None:
        # Given a payment with hundreds of refunds, ten of them made in each moment
        body = page(api, payment_record=population.record, limit=100)
        found = ids(body)
        # When somebody pages through them
        while body["has_more"]:
            body = page(api, payment_record=population.record, limit=100, starting_after=found[-1])
            found += ids(body)
        # Then each was there once, newest first
        assert found == population.ids()

    def test_a_refund_made_just_now_heads_the_list_of_all(
        self, stack: RunningStack, api: RefundApiClient
    ) -> None:
        payment = paid(stack, "listing_new")
        made = api.create_refund("listing-new", payment_record=payment.record_id, amount=100)
        assert made.status == 201, made.text
        refund_id = made.body["id"]
        for filters in ({}, {"status": "succeeded"}, {"payment_record": payment.record_id}):
            wait_for(
                lambda filters=filters: refund_id in ids(page(api, **filters)),  # type: ignore[misc]
                "the index shows it",
                at_most=60,
            )


class TestBadInput:
    """Whatever a caller sends, the answer is the contract's, and names what is wrong."""

    @pytest.mark.parametrize(
        ("query", "path"),
        [
            ("limit=5&limit=5", "limit"),
            ("limit", "limit"),
            ("limit%5B%5D=5", "limit[]"),
            ("payment_record=%ED%A0%80", "payment_record"),
            ("invoice=%FF", "invoice"),
            ("starting_after=%00", "starting_after"),
        ],
    )
    def test_parameters_that_are_not_the_contracts(
        self, api: RefundApiClient, query: str, path: str
    ) -> None:
        answer = api.request("GET", f"/v1/refunds?{query}")
        fields = refused(answer, 400, "invalid_request")["fields"]
        assert [field["path"] for field in fields] == [path]


class TestPayments:
    """What was captured and refunded, and the refundable balance."""

    def test_one_with_many_refunds_shows_the_newest_hundred(
        self, api: RefundApiClient, population: Population
    ) -> None:
        answer = api.request("GET", f"/v1/payments/{population.record}")
        assert answer.status == 200, answer.text
        body = answer.body
        refunds = body.pop("refunds")
        assert body == {
            "object": "payment",
            "payment_record": population.record,
            "processor": "hitpay",
            "processor_payment_id": "charge-listing-many",
            "currency": "sgd",
            "amount": 2 * MANY,
            "refunded_amount": MANY - 10,
            "refundable_amount": MANY + 10,
            "status": "partially_refunded",
        }
        assert (ids(refunds), refunds["has_more"]) == (population.ids()[:100], True)

    @pytest.mark.parametrize(
        ("record", "status", "code"),
        [
            ("pr_nowhere", 404, "payment_not_found"),
            ("x" * 256, 404, "payment_not_found"),
            ("pr%20x", 404, "payment_not_found"),
            ("%00", 404, "payment_not_found"),
            ("%ED%A0%80", 404, "payment_not_found"),
            (payments.WITHOUT_LINK.record_id, 400, "payment_not_linked"),
            (payments.NEVER_CAPTURED.record_id, 412, "payment_not_refundable"),
            (payments.OTHER_CURRENCY.record_id, 422, "currency_mismatch"),
        ],
    )
    def test_one_that_cannot_be_refunded_is_answered_as_a_refund_of_it_would_be(
        self, api: RefundApiClient, record: str, status: int, code: str
    ) -> None:
        refused(api.request("GET", f"/v1/payments/{record}"), status, code)


class TestSync:
    """With sync, a reader does not have to wait for settling."""

    def test_an_unknown_outcome_is_known_at_once(
        self, stack: RunningStack, api: RefundApiClient
    ) -> None:
        # Given a HitPay that executes a refund and then resets the connection
        payment = paid(stack, "listing_sync_unknown")
        stack.control.add_fault(
            "hitpay", "refund.create", "commit_then_reset", match=payment.charge_id
        )
        answer = api.create_refund("listing-sync-unknown", payment_record=payment.record_id)
        assert (answer.status, answer.body["status"]) == (202, "pending"), answer.text
        refund_id = answer.body["id"]
        # When it is read with a look at HitPay, then it is final
        answer = api.request("GET", f"/v1/refunds/{refund_id}?sync=true")
        assert (answer.status, answer.body["status"]) == (200, "succeeded"), answer.text
        (made,) = stack.control.refunds(payment.charge_id)
        assert answer.body["processor_refund_id"] == made.id
        assert causes(ledger_refund(stack, refund_id))[:3] == [
            "reserved",
            "no_usable_answer",
            "found",
        ]
