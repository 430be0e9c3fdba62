"""What Stripe's answers mean to a read."""

from typing import Any
from urllib.parse import unquote

import pytest

from refund_bridge.domain.payment_record import InvoicePayment, InvoicePaymentKind, PaymentRecord
from refund_bridge.ports.processor import ProviderUnavailableError, UnreadableAnswerError
from refund_bridge.ports.stripe import StripeObjectNotFoundError
from tests.unit.adapters.test_stripe.bodies import error_body, record_body
from tests.unit.adapters.test_stripe.conftest import MakeReports
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import (
    RawServer,
    Script,
    answer,
    drip,
    hang_up,
    reset,
    silence,
)


def test_a_payment_record_is_read(make_reports: MakeReports, clock: FrozenWallClock) -> None:
    with RawServer(answer(200, record_body(amount_canceled=None))) as server:
        record = make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert (record.id, record.livemode, record.currency) == ("pr_1", False, "sgd")
    assert (record.amount_requested, record.captured) == (9999, 9999)
    assert (record.amount_refunded, record.amount_canceled) == (2500, 0)
    assert record.metadata == {"hitpay_payment_id": "pay-1"}
    assert record.payment_reference == "pay-1"
    assert server.requests == ["GET /v1/payment_records/pr_1"]
    assert server.arrived[0].headers["authorization"] == "Bearer sk_test_one"


@pytest.mark.parametrize("details", [None, {}, {"type": "custom", "custom": None}])
def test_a_record_may_be_without_a_reference(
    make_reports: MakeReports, clock: FrozenWallClock, details: Any
) -> None:
    body = record_body(processor_details=details, metadata=None)
    with RawServer(answer(200, body)) as server:
        record = make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert (record.payment_reference, record.metadata) == (None, {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"id": "pr_1", "amount_requ',
        record_body(id="pr_2"),
        record_body(id=None),
        record_body(livemode=None),
        record_body(livemode="false"),
        record_body(amount_requested=None),
        record_body(amount_requested={"value": 1}),
        record_body(amount_requested={"currency": "sgd"}),
        record_body(amount_requested={"currency": "sgd", "value": 99.99}),
        record_body(amount_requested={"currency": "sgd", "value": "9999"}),
        record_body(amount_requested={"currency": "sgd", "value": True}),
        record_body(amount_guaranteed={"currency": "sgd", "value": -1}),
        record_body(amount_guaranteed={"currency": "usd", "value": 7499}),
        record_body(amount_guaranteed=7499),
        record_body(metadata=[]),
        record_body(metadata={"a": 1}),
        record_body(processor_details={"custom": {"payment_reference": 7}}),
    ],
)
def test_a_record_without_its_facts_is_unreadable(
    make_reports: MakeReports, clock: FrozenWallClock, body: Any
) -> None:
    with RawServer(answer(200, body)) as server, pytest.raises(UnreadableAnswerError):
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert len(server.arrived) == 1


def test_an_intent_and_an_invoice_are_read_for_where_they_lead(
    make_reports: MakeReports, clock: FrozenWallClock
) -> None:
    intent = {"id": "pi_1", "object": "payment_intent", "livemode": True, "metadata": {"a": "b"}}
    invoice = {"id": "in_1", "object": "invoice", "livemode": False, "metadata": None}
    with RawServer(answer(200, intent), answer(200, invoice)) as server:
        reports = make_reports(server.url)
        assert reports.payment_intent("pi_1", clock.deadline()).metadata == {"a": "b"}
        assert reports.invoice("in_1", clock.deadline()).metadata == {}
    assert [unquote(request) for request in server.requests] == [
        "GET /v1/payment_intents/pi_1?expand[0]=payment_record&expand[1]=latest_charge",
        "GET /v1/invoices/in_1?expand[0]=payments",
    ]


INTENT = {"id": "pi_1", "object": "payment_intent", "livemode": False, "metadata": {}}
CHARGE = {"id": "ch_1", "status": "succeeded", "captured": True, "amount_captured": 9999}


@pytest.mark.parametrize(
    ("members", "record", "captured"),
    [
        ({"payment_record": None, "latest_charge": None}, None, None),
        ({"payment_record": "pr_1"}, "pr_1", None),
        ({"payment_record": record_body(reported_by="self")}, "self", None),
        ({"payment_record": record_body(reported_by="stripe")}, "stripe", None),
        ({"latest_charge": CHARGE}, None, "ch_1"),
        ({"latest_charge": "ch_1"}, None, None),
        ({"latest_charge": CHARGE | {"captured": False}}, None, None),
        ({"latest_charge": CHARGE | {"amount_captured": 0}}, None, None),
        ({"latest_charge": CHARGE | {"status": "failed"}}, None, None),
    ],
)
def test_an_intent_says_its_record_and_what_stripe_captured(
    make_reports: MakeReports,
    clock: FrozenWallClock,
    members: dict[str, Any],
    record: str | None,
    captured: str | None,
) -> None:
    with RawServer(answer(200, INTENT | members)) as server:
        found = make_reports(server.url).payment_intent("pi_1", clock.deadline())
    shown = found.payment_record
    assert (shown.reported_by if isinstance(shown, PaymentRecord) else shown) == record
    assert found.captured_charge == captured


def paid_by(kind: str, named: object, status: str = "paid", amount: object = 9999) -> Any:
    """An item of an invoice's payments, as the SDK's ``InvoicePayment`` describes it."""
    payment = {"type": kind, kind: named}
    return {"id": "inpay_1", "status": status, "amount_paid": amount, "payment": payment}


def test_of_an_invoices_payments_those_that_are_paid_count(
    make_reports: MakeReports, clock: FrozenWallClock
) -> None:
    payments = [
        paid_by("payment_intent", "pi_open", "open", None),
        paid_by("payment_intent", "pi_gone", "canceled", None),
        paid_by("payment_record", "pr_1", amount=5000),
        paid_by("charge", {"id": "ch_1", "object": "charge"}, amount=None),
    ]
    listed = {"object": "list", "data": payments, "has_more": True}
    invoice = {"id": "in_1", "livemode": False, "metadata": {}, "payments": listed}
    with RawServer(answer(200, invoice)) as server:
        found = make_reports(server.url).invoice("in_1", clock.deadline())
    assert found.has_more_payments
    assert found.payments == (
        InvoicePayment(InvoicePaymentKind.PAYMENT_RECORD, "pr_1", 5000),
        InvoicePayment(InvoicePaymentKind.CHARGE, "ch_1", None),
    )


@pytest.mark.parametrize(
    "payments",
    [
        [],
        {"data": None},
        {"data": ["inpay_1"]},
        {"data": [paid_by("gift_card", "x")]},
        {"data": [paid_by("payment_record", None)]},
        {"data": [{"status": "paid", "payment": "pr_1"}]},
    ],
)
def test_payments_that_cannot_be_read_are_not_guessed(
    make_reports: MakeReports, clock: FrozenWallClock, payments: Any
) -> None:
    invoice: dict[str, Any] = {"id": "in_1", "livemode": False, "metadata": {}}
    invoice["payments"] = payments or [1]
    with RawServer(answer(200, invoice)) as server, pytest.raises(UnreadableAnswerError):
        make_reports(server.url).invoice("in_1", clock.deadline())


def test_an_unknown_record_is_not_found_in_stripes_words(
    make_reports: MakeReports, clock: FrozenWallClock
) -> None:
    words = "No such payment_record: 'pr_1'; a similar object exists in live mode"
    body = error_body(code="resource_missing", message=words)
    with (
        RawServer(answer(404, body)) as server,
        pytest.raises(StripeObjectNotFoundError, match="exists in live mode"),
    ):
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert len(server.arrived) == 1


def test_a_404_that_is_not_stripes_says_nothing_about_the_record(
    make_reports: MakeReports, clock: FrozenWallClock
) -> None:
    with (
        RawServer(answer(404, "<html>nginx</html>")) as server,
        pytest.raises(ProviderUnavailableError) as caught,
    ):
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert "nginx" not in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "..", "pr_1/../x", "pr 1", "pr_é", "x" * 256, "a\nb"])
def test_what_cannot_be_an_id_is_not_asked_for(
    make_reports: MakeReports, clock: FrozenWallClock, name: str
) -> None:
    with RawServer() as server, pytest.raises(StripeObjectNotFoundError):
        make_reports(server.url).payment_record(name, clock.deadline())
    assert server.connections == 0


@pytest.mark.parametrize("first", [hang_up, reset, answer(500, error_body("api_error"))])
def test_a_read_that_failed_is_repeated_once_on_a_fresh_connection(
    make_reports: MakeReports, clock: FrozenWallClock, first: Script
) -> None:
    with RawServer(first, answer(200, record_body())) as server:
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert [arrival.connection for arrival in server.arrived] == [1, 2]


@pytest.mark.parametrize("script", [hang_up, answer(503, "<html>busy</html>")])
def test_a_read_is_not_tried_a_third_time(
    make_reports: MakeReports, clock: FrozenWallClock, script: Script
) -> None:
    with (
        RawServer(script, script, answer(200, record_body())) as server,
        pytest.raises(ProviderUnavailableError),
    ):
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert len(server.arrived) == 2


@pytest.mark.parametrize("script", [silence, drip(b"HTTP/1.1 200 OK\r\nX: ", b"x")])
def test_a_read_ends_with_its_deadline(
    make_reports: MakeReports, clock: FrozenWallClock, script: Script
) -> None:
    with (
        RawServer(script, answer(200, record_body())) as server,
        pytest.raises(ProviderUnavailableError),
    ):
        make_reports(server.url).payment_record("pr_1", clock.deadline(1_000))
    assert len(server.arrived) == 1


def test_a_rate_limit_is_passed_on_and_not_met_with_haste(
    make_reports: MakeReports, clock: FrozenWallClock
) -> None:
    limited = answer(429, error_body(code="rate_limit"), {"Retry-After": "2"})
    with (
        RawServer(limited) as server,
        pytest.raises(ProviderUnavailableError) as caught,
    ):
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert caught.value.retry_after_s == 2
    assert len(server.arrived) == 1


def test_a_read_is_asked_again_with_a_rotated_key(
    make_reports: MakeReports, clock: FrozenWallClock, key: StoredKey
) -> None:
    key.rotate("sk_test_two")
    with RawServer(answer(401, error_body()), answer(200, record_body())) as server:
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    sent = [arrival.headers["authorization"] for arrival in server.arrived]
    assert sent == ["Bearer sk_test_one", "Bearer sk_test_two"]
