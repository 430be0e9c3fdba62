"""Refunds that are asked for by events: accepted as scheduled, or put among the dead letters."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deployed.polling import wait_for
from local.event_client import DeadLetters, EventListener, EventProducer, listening, reasons
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refund_bridge.domain.refund import refund_id_of
from tests.integration.background import ledger_refund, start_settling
from tests.integration.bus import SOON, said

LONGER = 90.0


@pytest.fixture
def producer(stack: RunningStack) -> EventProducer:
    return EventProducer(stack.clients, stack.outputs["EventBusName"])


@pytest.fixture
def listener(stack: RunningStack) -> Iterator[EventListener]:
    with listening(stack.clients, stack.outputs["EventBusName"]) as listener:
        yield listener


def paid(stack: RunningStack, name: str, **more: Any) -> DemoPayment:
    """A payment of the test's own."""
    payment = DemoPayment(name, 5000, **more)
    stack.control.seed(seed_of(payment))
    return payment


def key_id(key: str) -> str:
    """The id of the refund that a key names."""
    return refund_id_of(key, "local")


def seen(api: RefundApiClient, key: str, *statuses: str) -> dict[str, Any]:
    """The refund of that key, once it is there and has one of these statuses."""

    def look() -> dict[str, Any] | None:
        answer = api.read_refund(key_id(key))
        is_it = answer.status == 200 and answer.body["status"] in statuses
        body: dict[str, Any] = answer.body
        return body if is_it else None

    return wait_for(look, f"the refund of {key}", at_most=LONGER)


def set_aside(stack: RunningStack, event_id: str, *, at_most: float = SOON) -> dict[str, Any]:
    """The dead letter of an event, once it is there; it is taken out of the queue."""
    letters = DeadLetters(stack.clients, stack.outputs["RefundRequestDeadLetterQueueUrl"])
    what = f"the dead letter of {event_id}"
    return wait_for(lambda: letters.take(event_id), what, at_most=at_most)


def test_an_event_becomes_a_scheduled_refund_and_reaches_stripe(
    stack: RunningStack, api: RefundApiClient, producer: EventProducer
) -> None:
    # Given a payment
    payment = paid(stack, "event_in")
    # When a producer asks for a refund of it
    producer.ask(
        {"idempotency_key": "event-in", "payment_record": payment.record_id, "amount": 2500}
    )
    # Then it is accepted, waits for its turn, and says where it comes from
    waiting = seen(api, "event-in", "pending", "succeeded")
    assert (waiting["source"], waiting["refund_type"]) == ("event", "scheduled")
    assert ledger_refund(stack, key_id("event-in"))["history"][0]["actor"] == "event:demo.orders"
    # And it is executed in the background, once
    start_settling(stack)
    seen(api, "event-in", "succeeded")
    wait_for(lambda: stack.control.reports(payment.record_id), "the report", at_most=LONGER)
    assert [str(made.amount) for made in stack.control.refunds(payment.charge_id)] == ["25.00"]


BAD = {
    "no_key": ({"payment_record": "pr_event_bad"}, "idempotency_key_required"),
    "unknown_field": (
        {"idempotency_key": "bad-1", "payment_record": "pr_event_bad", "amuont": 1},
        "invalid_request",
    ),
    "float": (
        {"idempotency_key": "bad-2", "payment_record": "pr_event_bad", "amount": 1.5},
        "invalid_request",
    ),
    "not_an_object": ([1], "invalid_request"),
    "not_json": ("not json", "invalid_request"),
    "unknown_payment": (
        {"idempotency_key": "bad-3", "payment_record": "pr_nobody"},
        "payment_not_found",
    ),
    "not_linked": (
        {"idempotency_key": "bad-4", "payment_record": "pr_event_unlinked"},
        "payment_not_linked",
    ),
    "too_much": (
        {"idempotency_key": "bad-5", "payment_record": "pr_event_bad", "amount": 5001},
        "refund_amount_exceeded",
    ),
    "other_currency": (
        {"idempotency_key": "bad-6", "payment_record": "pr_event_bad", "currency": "usd"},
        "currency_mismatch",
    ),
}


def test_what_cannot_be_accepted_is_set_aside_with_its_reason_and_told(
    stack: RunningStack, producer: EventProducer, listener: EventListener
) -> None:
    # Given requests of which none can be accepted, each for a reason of its own
    paid(stack, "event_bad")
    paid(stack, "event_unlinked", linked_by="nothing")
    asked = {name: producer.ask(detail) for name, (detail, _) in BAD.items()}
    for name, (detail, code) in BAD.items():
        # Then each is among the dead letters, as it came, with that reason
        letter = set_aside(stack, asked[name])
        assert json.loads(letter["Body"])["detail"] == detail, name
        told = reasons(letter)
        assert (told["reason_code"], told["outcome"]) == (code, "nothing_executed"), name
        assert told["reason"]
        assert told["published"] == "true"
        # And its refusal was told to whoever listens, under an id that follows from the event's
        (refusal,) = [
            event
            for event in listener.heard()
            if event.detail.get("request_event_id") == asked[name]
        ]
        assert (refusal.name, refusal.id) == (
            "Refund Request Refused",
            f"{asked[name]}:refused",
        )
        assert refusal.detail["error"]["code"] == code
    assert stack.control.refunds(DemoPayment("event_bad", 5000).charge_id) == []


def test_a_request_that_comes_again_is_one_refund(
    stack: RunningStack, api: RefundApiClient, producer: EventProducer
) -> None:
    # Given a request that is sent three times, once by another producer
    payment = paid(stack, "event_again")
    detail = {"refund_id": "event-again", "payment_record": payment.record_id, "amount": 1000}
    asked = [producer.ask(detail) for _ in range(2)]
    asked.append(producer.ask(detail, source="demo.support"))
    # When all have been handled
    wait_for(
        lambda: all(said(stack, "RefundRequested", "request_accepted", one) for one in asked),
        "all three handled",
        at_most=LONGER,
    )
    start_settling(stack)
    seen(api, "event-again", "succeeded")
    # Then HitPay has moved once
    assert len(stack.control.refunds(payment.charge_id)) == 1


def test_a_message_that_is_no_event_is_set_aside(stack: RunningStack) -> None:
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["RefundRequestQueueUrl"], MessageBody="poison-of-this-test"
    )
    assert reasons(set_aside(stack, "poison-of-this-test"))["reason_code"] == "invalid_request"


def test_only_the_allowed_sources_are_obeyed(
    stack: RunningStack, api: RefundApiClient, producer: EventProducer
) -> None:
    # Given one request by a stranger, and after it one by a producer that is obeyed
    payment = paid(stack, "event_source")
    body = {"payment_record": payment.record_id, "amount": 1000}
    producer.ask(body | {"idempotency_key": "stranger"}, source="somebody.else")
    producer.ask(body | {"idempotency_key": "known"})
    producer.ask(body | {"idempotency_key": "misnamed"}, name="Refund Asked")
    # When the second is there, then the first is not, nor is one of another name
    seen(api, "known", "pending", "succeeded")
    assert api.read_refund(key_id("stranger")).status == 404
    assert api.read_refund(key_id("misnamed")).status == 404


def test_a_request_that_cannot_be_tried_for_ever_is_set_aside_and_can_be_redriven(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    # Given a Stripe that stays away for longer than requests are tried
    payment = paid(hasty_stack, "event_spent")
    hasty_stack.control.add_fault("stripe", "payment_record.read", "status", times=None, status=503)
    producer = EventProducer(hasty_stack.clients, hasty_stack.outputs["EventBusName"])
    with listening(hasty_stack.clients, hasty_stack.outputs["EventBusName"]) as listener:
        asked = producer.ask({"idempotency_key": "spent", "payment_record": payment.record_id})
        # Then it is set aside with its reason, and told
        letter = set_aside(hasty_stack, asked, at_most=LONGER)
        assert reasons(letter)["reason_code"] == "stripe_unavailable"
        assert [event.name for event in listener.heard()] == ["Refund Request Refused"]
    # And when Stripe is back and the message is moved back, it is a refund
    hasty_stack.control.clear_faults()
    hasty_stack.client("sqs").send_message(
        QueueUrl=hasty_stack.outputs["RefundRequestQueueUrl"], MessageBody=letter["Body"]
    )
    seen(hasty_api, "spent", "succeeded")
    assert len(hasty_stack.control.refunds(payment.charge_id)) == 1
