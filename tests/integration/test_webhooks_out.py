"""A merchant's own backend hears, signed, of all that happens, whatever it does to us."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.http_client import RefundApiClient
from local.polling import wait_for
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from local.webhook_receiver import WebhookReceiver, down_a_third_of_the_time
from refunds.adapters.sqs_webhook_bell import SqsWebhookBell
from refunds.delivering.address import WebhookAddress
from refunds.delivering.ports import Status

SOON = 90.0
LONGER = 240.0
BOTH = ["refund.created", "refund_bridge.refund.reported"]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def address(stack: RunningStack, receiver: WebhookReceiver) -> Iterator[WebhookAddress]:
    """The receiver's address, for as long as the test lasts."""
    added = stack.add_webhook(receiver.url)
    yield added
    stack.remove_webhook(added.id)


def refunded(stack: RunningStack, api: RefundApiClient, name: str) -> str:
    """A refund of a payment of the test's own."""
    payment = DemoPayment(name, 5000)
    stack.control.seed(seed_of(payment))
    answer = api.create_refund(f"webhooks-{name}", payment_record=payment.record_id, amount=1000)
    assert answer.status == 201, answer.text
    return str(answer.body["id"])


def first_taken(receiver: WebhookReceiver, address: WebhookAddress) -> Mapping[str, list[Any]]:
    """What was taken of each refund, in the order of its first coming."""
    found: dict[str, dict[str, Any]] = {}
    for delivery in receiver.deliveries:
        if delivery.answered == 200:
            event = json.loads(delivery.body)
            found.setdefault(event["data"]["object"]["id"], {}).setdefault(event["id"], event)
    return {refund_id: list(events.values()) for refund_id, events in found.items()}


def types_of(events: Mapping[str, list[Any]], refund_id: str) -> list[str]:
    return [event["type"] for event in events.get(refund_id, [])]


def test_it_is_told_in_order_and_stripes_library_takes_it(
    stack: RunningStack, api: RefundApiClient, receiver: WebhookReceiver, address: WebhookAddress
) -> None:
    # When a refund is made, and Stripe has heard of it
    refund_id = refunded(stack, api, "webhook_order")
    wait_for(
        lambda: types_of(first_taken(receiver, address), refund_id) == BOTH,
        "both events",
        at_most=SOON,
    )
    # Then each event verifies, and shows the refund without the caller's key
    secret = address.secrets[0].text
    events = [one for one in receiver.taken(secret) if one.data.object["id"] == refund_id]
    assert [event.type for event in events] == BOTH
    assert events[0].data.object["amount"] == 1000
    assert not any(b"webhooks-webhook_order" in one.body for one in receiver.deliveries)
    # And a message that comes again sends nothing again
    before = len(receiver.deliveries)
    bell = SqsWebhookBell(stack.client("sqs"), stack.outputs["WebhookQueueUrl"])
    assert bell.ring([(refund_id, address.id)] * 3) == []
    after = refunded(stack, api, "webhook_after")
    wait_for(
        lambda: types_of(first_taken(receiver, address), after) == BOTH, "the next", at_most=SOON
    )
    ours = [one for one in receiver.deliveries[before:] if refund_id.encode() in one.body]
    assert ours == []


def test_the_receiver_is_down_a_third_of_the_time_and_misses_nothing(
    stack: RunningStack, api: RefundApiClient, receiver: WebhookReceiver, address: WebhookAddress
) -> None:
    # Given a receiver that fails and hangs up at a third of all attempts
    receiver.answer = down_a_third_of_the_time()
    # When refunds are made all the while
    refunds = [refunded(stack, api, f"webhook_chaos_{number}") for number in range(12)]
    # Then it takes every event of each refund, in the order of the refund's history
    wait_for(
        lambda: all(types_of(first_taken(receiver, address), one) == BOTH for one in refunds),
        "all events of all refunds",
        at_most=LONGER,
    )
    for refund_id in refunds:
        events = first_taken(receiver, address)[refund_id]
        sequences = [event["refund_bridge"]["sequence"] for event in events]
        assert sequences == sorted(sequences)
        assert len({event["id"] for event in events}) == len(BOTH)
    # And it did fail meanwhile
    assert any(one.answered != 200 for one in receiver.deliveries)


def test_gone_is_believed_and_a_person_is_told(
    stack: RunningStack, api: RefundApiClient, receiver: WebhookReceiver, address: WebhookAddress
) -> None:
    # Given an address that says that it is gone
    receiver.answer = lambda _body, _headers: 410
    # When something happens
    refunded(stack, api, "webhook_gone")
    # Then it is disabled, and a dead letter says so
    wait_for(
        lambda: _status(stack, address) is Status.DISABLED, "the address disabled", at_most=SOON
    )
    letter = wait_for(lambda: _letter(stack, address), "the dead letter", at_most=SOON)
    assert letter["MessageAttributes"]["reason"]["StringValue"].endswith("it answered 410 Gone")
    assert len(receiver.deliveries) == 1


def test_a_redirect_is_not_followed_and_a_test_event_says_why(
    stack: RunningStack, receiver: WebhookReceiver, address: WebhookAddress
) -> None:
    # Given an address that redirects
    receiver.answer = lambda _body, _headers: 307
    # When a test event is asked for
    told = _tried(stack, address)
    # Then it was sent once, and the answer says what came of it
    assert (told["taken"], told["reason"]) == (False, "it answered 307")
    assert len(receiver.deliveries) == 1
    # And one that takes it does
    receiver.answer = lambda _body, _headers: 200
    assert _tried(stack, address)["taken"] is True
    events = receiver.taken(address.secrets[0].text)
    assert [event.type for event in events] == ["refund_bridge.test"]


def _status(stack: RunningStack, address: WebhookAddress) -> Status | None:
    state = stack.webhook_states.state(address.id)
    return None if state is None else state.status


def _letter(stack: RunningStack, address: WebhookAddress) -> Any:
    """The dead letter about an address; others' are taken away with it."""
    url = stack.outputs["WebhookDeadLetterQueueUrl"]
    sqs = stack.client("sqs")
    found = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", [])
    for one in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return next((one for one in found if address.id in one["Body"]), None)


def _tried(stack: RunningStack, address: WebhookAddress) -> Any:
    answer = stack.clients.caller_of_functions().invoke(
        FunctionName=stack.outputs["DeliverWebhooksFunctionName"],
        Qualifier="live",
        Payload=json.dumps({"test_address": address.id}).encode(),
    )
    return json.loads(answer["Payload"].read())
