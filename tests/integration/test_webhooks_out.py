"""A merchant's own backend gets signed webhooks for all events, however badly it answers."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import count
from threading import Event
from typing import Any

import pytest

from deployed.polling import wait_for
from deployed.webhook_addresses import WebhookAddressStore
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from local.webhook_receiver import WebhookReceiver, down_a_third_of_the_time
from refund_bridge.adapters.sqs.webhook_bell import SqsWebhookBell
from refund_bridge.delivering.address import WebhookAddress
from refund_bridge.delivering.ports import Status
from tests.unit.processors.raw_server import Arrival, RawServer, Script, answer, drip, hang_up

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
    """The accepted events of each refund, in the order of their first arrival."""
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


def late(arrival: Arrival) -> None:
    """Accept the webhook, a second after the sender's timeout."""
    Event().wait(11)
    answer(200)(arrival)


def flood(arrival: Arrival) -> None:
    """Accept the webhook, with an answer of ten megabytes."""
    arrival.wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
    for _ in range(160):
        arrival.wire.sendall(b"x" * 65_536)  # OSError once the client is gone


ALL_SORTS: Mapping[str, tuple[Script, str | None]] = {
    "a byte a second": (drip(b"HTTP/1.1 200 OK\r\n", b"X", every_s=1), "no whole answer in time"),
    "200 after 11 s": (late, "no whole answer in time"),
    "closes": (hang_up, "no whole answer: RemoteDisconnected"),
    "sends 10 MB": (flood, None),
}


def test_whatever_an_address_does_an_attempt_ends_and_says_why(stack: RunningStack) -> None:
    # Given a server for each of the things that a merchant's may do, one of them without TLS, and
    # a name that leads to this very machine
    with ExitStack() as servers, ThreadPoolExecutor(len(ALL_SORTS) + 2) as pool:
        urls = {
            what: servers.enter_context(RawServer(script)).url
            for what, (script, _) in ALL_SORTS.items()
        }
        plain = servers.enter_context(WebhookReceiver())
        urls["no TLS"] = plain.url.replace("http:", "https:")
        urls["a name that leads inside"] = "https://0x7f.1/"
        added = {what: stack.add_webhook(url) for what, url in urls.items()}
        try:
            # When each is sent a test event
            answers = dict(
                zip(added, pool.map(partial(_tried, stack), added.values()), strict=True)
            )
        finally:
            for one in added.values():
                stack.remove_webhook(one.id)
    # Then each attempt ended in time, and says what came of it
    told = {what: one["reason"] for what, one in answers.items()}
    assert told.pop("no TLS").startswith("TLS failed")
    inside = told.pop("a name that leads inside")
    assert inside == "its name leads to no address that may be sent to"
    assert told == {what: reason for what, (_, reason) in ALL_SORTS.items()}


def test_a_black_hole_delays_no_other_address_and_hears_all_in_order_later(
    stack: RunningStack, api: RefundApiClient, receiver: WebhookReceiver, address: WebhookAddress
) -> None:
    # Given another address, which takes every connection and never answers
    is_there, came = Event(), count()

    def nothing(_body: bytes, _headers: Mapping[str, str]) -> int:
        if is_there.is_set():
            return 200
        next(came)
        is_there.wait(LONGER)
        return 0

    with WebhookReceiver(nothing) as hole:
        silent = stack.add_webhook(hole.url)
        try:
            # When refunds are made
            refunds = [refunded(stack, api, f"webhook_hole_{number}") for number in range(8)]
            # Then the first address hears of all of them meanwhile
            wait_for(
                lambda: all(
                    types_of(first_taken(receiver, address), one) == BOTH for one in refunds
                ),
                "all events at the address that answers",
                at_most=SOON,
            )
            # And the hole was not asked for each line: at most five at once, then left alone
            assert 1 <= next(came) <= 10
            # And when it answers, it is told everything, in its order
            is_there.set()
            wait_for(
                lambda: all(types_of(first_taken(hole, silent), one) == BOTH for one in refunds),
                "all events at the address that answers at last",
                at_most=LONGER,
            )
        finally:
            is_there.set()
            stack.remove_webhook(silent.id)


def test_a_secret_that_is_deleted_while_in_use_delays_its_address_alone(
    stack: RunningStack, api: RefundApiClient, receiver: WebhookReceiver, address: WebhookAddress
) -> None:
    # Given an address whose parameter somebody deleted
    store = WebhookAddressStore(stack.client("ssm"), stack.stage.secrets_prefix)
    store.remove(address.id)
    assert _tried(stack, address)["reason"] == "no parameter holds this address"
    # When a refund is made, then it is made, and nothing unsigned is sent
    refund_id = refunded(stack, api, "webhook_no_secret")
    wait_for(
        lambda: stack.control.reports("pr_webhook_no_secret"), "the report at Stripe", at_most=SOON
    )
    assert receiver.deliveries == []
    # And when the parameter is back, the address hears of it
    store.put(address)
    wait_for(
        lambda: types_of(first_taken(receiver, address), refund_id) == BOTH,
        "both events",
        at_most=LONGER,
    )
    assert len(receiver.taken(address.secrets[0].text)) == len(receiver.deliveries)


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
