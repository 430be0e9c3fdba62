"""Whatever was refunded can be read: by pages, by payment, and as the processor knows it now."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from local.http_client import Answer, RefundApiClient
from local.polling import wait_for
from local.simulators import payments
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refunds.adapters.attribute_values import encode_item
from refunds.adapters.ledger_items import payment_item, refund_item
from refunds.adapters.ledger_keys import Item, claim_holder, claim_key
from refunds.payment import Payment, PaymentKey
from refunds.ports import RecordClaim
from refunds.refund import (
    ReferenceType,
    Refund,
    RefundRequest,
    Report,
    Source,
    refund_id_of,
)
from refunds.state_machine import ReportState, State
from tests.integration.background import causes, ledger_refund

MANY = 10_000
# Long ago, where nobody else's refunds are listed: 2015-03-01 and 100 days on.
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
    """The one of that number; ten of them share each moment."""
    created_at_ms = FIRST_MS + number // 10 * 10 * STEP_MS
    return Refund(
        id=refund_id_of(f"listing-{number}", "local"),
        request=RefundRequest(reference_type=ReferenceType.PAYMENT_RECORD, reference_id=record),
        source=Source.API,
        state=State.FAILED if number % 1000 == 0 else State.SUCCEEDED,
        processor=key.processor,
        processor_payment_id=key.charge_id,
        payment_record=record,
        payment_intent="pi_listing_many" if number % 50 == 0 else None,
        invoice="in_listing_many" if number % 100 == 1 else None,
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
    """As if they had been made here years ago; taken away afterwards, for others scan the table."""
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
    """Write them behind the product's back, whose roles may not write in batches."""
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
    assert set(body) == {"object", "data", "has_more"}
    return body


def ids(body: Mapping[str, Any]) -> list[str]:
    return [refund["id"] for refund in body["data"]]


def rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


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

    def test_ten_thousand_refunds_of_one_payment_are_paged_through(
        self, api: RefundApiClient, population: Population
    ) -> None:
        # Given a payment with ten thousand refunds, ten of them made in each moment
        body = page(api, payment_record=population.record, limit=100)
        found = ids(body)
        # When somebody pages through them
        while body["has_more"]:
            body = page(api, payment_record=population.record, limit=100, starting_after=found[-1])
            found += ids(body)
        # Then each was there once, newest first
        assert found == population.ids()

    def test_a_page_has_ten_refunds_unless_asked_otherwise(
        self, api: RefundApiClient, population: Population
    ) -> None:
        body = page(api, payment_record=population.record)
        assert ids(body) == population.ids()[:10]
        assert body["has_more"] is True
        (alone,) = page(api, payment_record=population.record, limit=1)["data"]
        assert alone == api.read_refund(alone["id"]).body

    def test_a_payment_intent_and_an_invoice_list_what_was_asked_for_by_them(
        self, api: RefundApiClient, population: Population
    ) -> None:
        of_intent = [one.id for one in population.refunds if one.payment_intent]
        of_invoice = [one.id for one in population.refunds if one.invoice]
        assert ids(page(api, payment_intent="pi_listing_many", limit=100)) == of_intent[:100]
        body = page(api, invoice="in_listing_many", limit=100)
        assert (ids(body), body["has_more"]) == (of_invoice, False)

    def test_a_status_and_a_time_list_what_they_say(
        self, api: RefundApiClient, population: Population
    ) -> None:
        # Given a span of a year around all of them, of which 2015 has months without any
        span = {"created_after": rfc3339(FIRST_MS - 1), "created_before": "2016-02-29T00:00:00Z"}
        body = page(api, status="failed", limit=100, **span)
        failed = [one.id for one in population.refunds if one.state is State.FAILED]
        assert (ids(body), body["has_more"]) == (failed, False)
        assert ids(page(api, limit=5, **span)) == population.ids()[:5]
        assert ids(page(api, status="review", **span)) == []
        # And both ends are excluded
        third = FIRST_MS + 20 * STEP_MS
        between = {"created_after": rfc3339(FIRST_MS), "created_before": rfc3339(third)}
        second = [one.id for one in population.refunds if FIRST_MS < one.created_at_ms < third]
        assert len(second) == 10
        assert ids(page(api, limit=100, **between)) == second
        assert ids(page(api, limit=100, payment_record=population.record, **between)) == second

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
                at_most=10,
            )

    def test_nothing_is_known_of_a_payment_that_was_never_refunded(
        self, api: RefundApiClient
    ) -> None:
        for name in ("payment_record", "payment_intent", "invoice"):
            body = page(api, **{name: "x_nowhere"})
            assert body == {"object": "list", "data": [], "has_more": False}


class TestBadInput:
    """Whatever a caller sends, the answer is the contract's, and names what is wrong."""

    def test_cursors_from_elsewhere(
        self, stack: RunningStack, api: RefundApiClient, population: Population
    ) -> None:
        payment = paid(stack, "listing_elsewhere")
        made = api.create_refund("listing-elsewhere", payment_record=payment.record_id, amount=100)
        elsewhere, here = made.body["id"], population.ids()[0]
        for name, value in (
            ("payment_record", population.record),
            ("payment_intent", "pi_listing_many"),
            ("invoice", "in_listing_many"),
        ):
            for cursor in (elsewhere, "rfd_nowhere", population.record, "charge-listing-many"):
                answer = listed(api, **{name: value, "starting_after": cursor})
                (field,) = refused(answer, 400, "invalid_request")["fields"]
                assert field["path"] == "starting_after"
        answer = listed(api, payment_record="pr_nowhere", starting_after=here)
        assert refused(answer, 400, "invalid_request")
        # A list of all has every refund in it, though not on every page
        assert ids(page(api, starting_after=here)) == []

    @pytest.mark.parametrize(
        ("query", "path"),
        [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=1e1", "limit"),
            ("limit=%00", "limit"),
            ("limit=" + "9" * 3000, "limit"),
            ("limit=5&limit=5", "limit"),
            ("limit=", "limit"),
            ("limit", "limit"),
            ("page=2", "page"),
            ("limit%5B%5D=5", "limit[]"),
            ("status=open", "status"),
            ("status=%ED%A0%80", "status"),
            ("payment_record=%ED%A0%80", "payment_record"),
            ("payment_record=pr%20x", "payment_record"),
            ("payment_record=" + "x" * 256, "payment_record"),
            ("invoice=%FF", "invoice"),
            ("starting_after=%00", "starting_after"),
            ("starting_after=%F0%9F%98%80", "starting_after"),
            ("created_after=yesterday", "created_after"),
            ("created_after=0000-01-01T00:00:00Z", "created_after"),
            ("created_after=2015-02-29T00:00:00Z", "created_after"),
            ("created_after=2015-03-01T00:00:00+08:00", "created_after"),
            ("created_after=0001-01-01T00:00:00Z", "created_after"),
            ("created_before=2015-03-01T00:00:60Z", "created_before"),
            ("payment_record=pr_1&status=failed", ""),
        ],
    )
    def test_parameters_that_are_not_the_contracts(
        self, api: RefundApiClient, query: str, path: str
    ) -> None:
        answer = api.request("GET", f"/v1/refunds?{query}")
        fields = refused(answer, 400, "invalid_request")["fields"]
        assert [field["path"] for field in fields] == [path]

    @pytest.mark.parametrize(
        "query",
        [
            "created_before=0001-01-01T00:00:00%2B23:59",
            "created_before=1970-01-01T00:00:00Z",
            "created_after=9999-12-31T23:59:60Z",
            "created_after=9999-12-31T23:59:59-23:59",
            "created_after=9999-12-31T23:59:59Z&created_before=9999-12-31T23:59:60Z",
            "payment_record=pr_1&created_after=0001-01-01T00:00:00Z",
            "invoice=in_1&created_after=0001-01-01T00:00:00Z&created_before=9999-12-31T23:59:60Z",
        ],
    )
    def test_the_ends_of_the_calendar(self, api: RefundApiClient, query: str) -> None:
        answer = api.request("GET", f"/v1/refunds?{query}")
        assert (answer.status, answer.body["data"]) == (200, []), answer.text

    def test_a_route_that_takes_no_parameters(self, api: RefundApiClient) -> None:
        record = payments.CARD_SGD.record_id
        for method, path, body in (
            ("GET", f"/v1/payments/{record}?limit=5", None),
            ("POST", "/v1/refunds?amount=100", {"payment_record": record}),
        ):
            headers = {"Idempotency-Key": "listing-parameters"}
            answer = api.request(method, path, body=body, headers=headers)
            (field,) = refused(answer, 400, "invalid_request")["fields"]
            assert field["path"] in ("limit", "amount")


class TestPayments:
    """What was captured, what went back, and what is left."""

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

    def test_one_that_is_not_known_is_looked_at_and_left_alone(
        self, stack: RunningStack, api: RefundApiClient
    ) -> None:
        # Given a payment of which SGD 20.00 were refunded before this product was there
        payment = paid(stack, "listing_unknown", refunded=2000)
        # When it is read
        answer = api.request("GET", f"/v1/payments/{payment.record_id}")
        # Then its sums are right, and nothing was written
        assert answer.status == 200, answer.text
        assert answer.body["processor_payment_id"] == payment.charge_id
        amounts = ("amount", "refunded_amount", "refundable_amount")
        assert [answer.body[name] for name in amounts] == [5000, 2000, 3000]
        assert answer.body["status"] == "partially_refunded"
        assert answer.body["refunds"] == {"object": "list", "data": [], "has_more": False}
        assert page(api, payment_record=payment.record_id)["data"] == []
        # And once it is refunded here, what others refunded is listed, too
        made = api.create_refund("listing-known", payment_record=payment.record_id, amount=500)
        assert made.status == 201, made.text
        refunds = wait_for(
            lambda: (
                found
                if len(
                    found := api.request("GET", f"/v1/payments/{payment.record_id}").body[
                        "refunds"
                    ]["data"]
                )
                == 2
                else None
            ),
            "both refunds in the index",
            at_most=10,
        )
        assert {refund["source"]: refund["amount"] for refund in refunds} == {
            "api": 500,
            "processor": 2000,
        }

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

    def test_providers_that_give_no_answer(self, stack: RunningStack, api: RefundApiClient) -> None:
        payment = paid(stack, "listing_unavailable")
        stack.control.set_listening("stripe", False)
        try:
            answer = api.request("GET", f"/v1/payments/{payment.record_id}")
        finally:
            stack.control.set_listening("stripe", True)
        refused(answer, 503, "stripe_unavailable")
        assert int(answer.headers["Retry-After"]) > 0


class TestScopes:
    """Reading takes the right to read; a look at the processor, the right to write."""

    def test_a_key_that_may_only_read(self, stack: RunningStack) -> None:
        key = stack.new_api_key("listing-reader", ("refunds:read",))
        reader = RefundApiClient(stack.api_url, key)
        made = RefundApiClient(stack.api_url, stack.api_key).create_refund(
            "listing-reader", payment_record=paid(stack, "listing_reader").record_id
        )
        path = f"/v1/refunds/{made.body['id']}"
        wait_for(lambda: listed(reader).status == 200, "the key known", at_most=30)
        assert reader.request("GET", f"{path}?sync=false").status == 200
        assert reader.request("GET", "/v1/payments/pr_listing_reader").status == 200
        refused(reader.request("GET", f"{path}?sync=true"), 403, "forbidden")

    def test_a_key_that_may_not_read(self, stack: RunningStack) -> None:
        key = stack.new_api_key("listing-writer", ("refunds:write",))
        writer = RefundApiClient(stack.api_url, key)
        wait_for(lambda: listed(writer).status == 403, "the key known", at_most=30)
        for path in ("/v1/refunds", "/v1/refunds/rfd_x", "/v1/payments/pr_listing_reader"):
            refused(writer.request("GET", path), 403, "forbidden")


class TestSync:
    """A reader need not wait for settling."""

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

    def test_a_pending_refund_is_final_as_soon_as_the_wallet_has_the_money(
        self, stack: RunningStack, api: RefundApiClient
    ) -> None:
        # Given a PayNow refund that HitPay has accepted
        payment = paid(stack, "listing_sync_pending", on_charge={"refunds_come_back": "pending"})
        answer = api.create_refund("listing-sync-pending", payment_record=payment.record_id)
        assert (answer.status, answer.body["status"]) == (202, "pending"), answer.text
        path = f"/v1/refunds/{answer.body['id']}?sync=true"
        (made,) = stack.control.refunds(payment.charge_id)
        stack.control.set_refund_status(made.id, "succeeded")
        # When it is read with a look at HitPay, then it is final
        answer = api.request("GET", path)
        assert (answer.status, answer.body["status"]) == (200, "succeeded"), answer.text

    def test_who_asks_again_at_once_is_answered_without_hitpay(
        self, stack: RunningStack, api: RefundApiClient
    ) -> None:
        payment = paid(stack, "listing_sync_again", on_charge={"refunds_come_back": "pending"})
        answer = api.create_refund("listing-sync-again", payment_record=payment.record_id)
        refund_id = answer.body["id"]
        path = f"/v1/refunds/{refund_id}?sync=true"
        assert api.request("GET", path).body["status"] == "pending"
        looked_at_ms = ledger_refund(stack, refund_id)["looked_at_ms"]
        assert api.request("GET", path).body["status"] == "pending"
        assert ledger_refund(stack, refund_id)["looked_at_ms"] == looked_at_ms

    def test_a_hitpay_that_does_not_answer_leaves_the_ledgers_answer(
        self, stack: RunningStack, api: RefundApiClient
    ) -> None:
        payment = paid(stack, "listing_sync_down")
        stack.control.add_fault(
            "hitpay", "refund.create", "commit_then_reset", match=payment.charge_id
        )
        answer = api.create_refund("listing-sync-down", payment_record=payment.record_id)
        path = f"/v1/refunds/{answer.body['id']}?sync=true"
        stack.control.set_listening("hitpay", False)
        try:
            answer = api.request("GET", path)
        finally:
            stack.control.set_listening("hitpay", True)
        assert (answer.status, answer.body["status"]) == (200, "pending"), answer.text

    def test_parameters_that_are_not_the_contracts(self, api: RefundApiClient) -> None:
        for query in ("sync=TRUE", "sync=1", "sync=", "sync=true&sync=true", "limit=5"):
            answer = api.request("GET", f"/v1/refunds/rfd_x?{query}")
            assert refused(answer, 400, "invalid_request")["fields"]
        answer = api.request("GET", "/v1/refunds/rfd_x?sync=true")
        refused(answer, 404, "refund_not_found")
