"""Every line of refunds' histories is published on the bus at least once, whatever fails."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest

from deployed.polling import wait_for
from local.event_client import EventListener, EventProducer, listening
from local.event_schemas import schemas
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from local.workers import kill_worker, worker_pids
from tests.integration.bus import forbidden, owed, said, wait_until_all_is_told

SOON = 90.0
LONGER = 120.0
PUBLISHERS = 3
TELLERS = ("PublishEvents", "SettleRefunds")


@pytest.fixture
def listener(stack: RunningStack) -> Iterator[EventListener]:
    with listening(stack.clients, stack.outputs["EventBusName"]) as listener:
        yield listener


@pytest.fixture
def hasty_listener(hasty_stack: RunningStack) -> Iterator[EventListener]:
    with listening(hasty_stack.clients, hasty_stack.outputs["EventBusName"]) as listener:
        yield listener


def paid(stack: RunningStack, name: str) -> DemoPayment:
    """A payment of the test's own."""
    payment = DemoPayment(name, 5000)
    stack.control.seed(seed_of(payment))
    return payment


def heard_names(listener: EventListener, refund_id: str) -> list[str]:
    """What was heard of a refund, in the order of its history."""
    events = {event.detail["sequence"]: event.name for event in listener.of(refund_id)}
    return [name for _, name in sorted(events.items())]


def wait_until_heard(listener: EventListener, refund_id: str, name: str) -> None:
    """That event of the refund has come."""
    wait_for(
        lambda: name in heard_names(listener, refund_id),
        f"{name} of {refund_id}",
        at_most=LONGER,
        every=0.2,
    )


def test_a_refund_that_succeeds_and_is_reported(
    stack: RunningStack, api: RefundApiClient, listener: EventListener
) -> None:
    # Given a subscriber
    payment = paid(stack, "out_success")
    # When a refund is made, and Stripe has heard of it
    answer = api.create_refund(
        "out-success", payment_record=payment.record_id, amount=2000, metadata={"order": "7"}
    )
    refund_id = answer.body["id"]
    wait_until_heard(listener, refund_id, "Refund Reported")
    # Then both are told, under ids of refund and line
    heard = wait_until_all_is_told(stack, listener, refund_id)
    assert heard_names(listener, refund_id) == ["Refund Succeeded", "Refund Reported"]
    success = next(event for event in heard if event.name == "Refund Succeeded")
    assert success.envelope["source"] == "refund-bridge"
    assert success.id == f"{refund_id}:{success.detail['sequence']}"
    # And the detail is the refund object, nothing more and nothing less
    assert set(success.detail) == set(answer.body) | {"event_id", "sequence"}
    assert success.detail["metadata"] == {"order": "7"}
    assert success.detail["payment"]["refunded_amount"] == 2000
    assert set(success.detail) <= set(schemas()["refund-event.json"]["properties"])


def test_every_other_event(
    hasty_stack: RunningStack, hasty_api: RefundApiClient, hasty_listener: EventListener
) -> None:
    stack, api, listener = hasty_stack, hasty_api, hasty_listener
    # A scheduled refund waits
    waits = api.create_refund(
        "out-waits",
        payment_record=paid(stack, "out_waits").record_id,
        refund_type="scheduled",
    ).body["id"]
    # HitPay refuses one
    refused = paid(stack, "out_refused")
    stack.control.add_fault(
        "hitpay",
        "refund.create",
        "status",
        match=refused.charge_id,
        status=422,
        body={"message": "Insufficient balance."},
    )
    rejected = api.create_refund("out-refused", payment_record=refused.record_id)
    assert rejected.status == 402, rejected.text
    failed = rejected.body["error"]["details"]["refund"]
    # An instruction is lost, and two refunds of its amount are made in the dashboard
    lost = paid(stack, "out_lost")
    stack.control.add_fault("hitpay", "refund.create", "lost_request", match=lost.charge_id)
    unclear = api.create_refund("out-lost", payment_record=lost.record_id, amount=1000).body["id"]
    for _ in range(2):
        stack.control.dashboard_refund(lost.charge_id, "10.00")
    # Stripe refuses a report
    unbooked = paid(stack, "out_unbooked")
    stack.control.add_fault(
        "stripe",
        "payment_record.report_refund",
        "status",
        times=None,
        match=unbooked.record_id,
        status=400,
        body={"error": {"type": "invalid_request_error", "message": "No."}},
    )
    unreported = api.create_refund("out-unbooked", payment_record=unbooked.record_id).body["id"]
    # A success is taken back
    taken = paid(stack, "out_taken")
    stack.control.set_hitpay(webhook_url=stack.webhook_url)
    reversed_id = api.create_refund("out-taken", payment_record=taken.record_id).body["id"]
    wait_until_heard(listener, reversed_id, "Refund Reported")
    (processor_refund,) = stack.control.refunds(taken.charge_id)
    stack.control.set_refund_status(processor_refund.id, "failed")
    # When settling has looked at what is due
    all_ids = (waits, failed, unclear, unreported, reversed_id)
    endings = {
        waits: "Refund Reported",
        failed: "Refund Failed",
        unclear: "Refund Needs Review",
        unreported: "Refund Report Failed",
        reversed_id: "Refund Reversed",
    }
    for refund_id, ending in endings.items():
        wait_until_heard(listener, refund_id, ending)
    stack.control.set_hitpay(webhook_url=None)
    # Then exactly what the ledger's history says is told, line by line
    wait_until_all_is_told(stack, listener, *all_ids)
    assert heard_names(listener, waits)[:2] == ["Refund Pending", "Refund Succeeded"]
    assert heard_names(listener, unclear) == ["Refund Pending", "Refund Needs Review"]


def test_a_bus_that_is_away_loses_nothing(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    bus = hasty_stack.outputs["EventBusName"]
    with listening(hasty_stack.clients, bus) as listener:
        # Given a bus that takes nothing
        with forbidden(hasty_stack, "events:PutEvents", *TELLERS):
            made = []
            for number in range(5):
                payment = paid(hasty_stack, f"out_away_{number}")
                answer = hasty_api.create_refund(
                    f"out-away-{number}", payment_record=payment.record_id
                )
                assert answer.status == 201, answer.text
                made.append(str(answer.body["id"]))
            # When all of it is known to be owed, and nothing was heard
            wait_for(
                lambda: all(owed(hasty_stack, one) for one in made), "all owed", at_most=LONGER
            )
            assert listener.heard() == []
        # Then after its return everything is told, from the ledger, and nothing is owed any more
        wait_until_all_is_told(hasty_stack, listener, *made, at_most=LONGER)
        wait_for(
            lambda: not any(owed(hasty_stack, one) for one in made), "nothing owed", at_most=SOON
        )


def test_with_bus_and_ledger_away_the_stream_itself_shows_it_again(
    stack: RunningStack, api: RefundApiClient, listener: EventListener
) -> None:
    # Given a publisher that can neither publish nor write to the ledger
    payment = paid(stack, "out_both")
    with (
        forbidden(stack, "events:PutEvents", "PublishEvents"),
        forbidden(stack, "dynamodb:UpdateItem", "PublishEvents"),
    ):
        refund_id = api.create_refund("out-both", payment_record=payment.record_id).body["id"]
        wait_for(
            lambda: said(stack, "PublishEvents", "bus_away", "AccessDenied") >= 2,
            "it is shown twice",
            at_most=LONGER,
        )
        assert owed(stack, refund_id) is None
    # When it can again, then all is told
    wait_until_all_is_told(stack, listener, refund_id, at_most=LONGER)


def test_a_publisher_that_is_killed_again_and_again_swallows_nothing(
    stack: RunningStack, api: RefundApiClient, listener: EventListener
) -> None:
    # Given somebody who kills every publisher that runs
    function = stack.outputs["PublishEventsFunctionName"]
    over = Event()
    killed: list[int] = []

    def kill() -> None:
        while not over.wait(0.3):
            killed.extend(pid for pid in worker_pids(stack.emulator, function) if kill_worker(pid))

    killer = Thread(target=kill)
    killer.start()
    try:
        # When refunds are made, until three were killed: each starts another one
        made = list[str]()
        while len(killed) < PUBLISHERS:
            payment = paid(stack, f"out_killed_{len(made)}")
            key = f"out-killed-{len(made)}"
            answer = api.create_refund(key, payment_record=payment.record_id)
            made.append(str(answer.body["id"]))
            before = len(killed)
            wait_for(lambda before=before: len(killed) > before, "a kill", at_most=LONGER)  # type: ignore[misc]
    finally:
        over.set()
        killer.join()
    # Then everything is told all the same
    wait_until_all_is_told(stack, listener, *made, at_most=LONGER)


def test_a_refund_by_event_is_told_from_its_acceptance_on(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    bus = hasty_stack.outputs["EventBusName"]
    payment = paid(hasty_stack, "out_asked")
    with listening(hasty_stack.clients, bus) as listener:
        EventProducer(hasty_stack.clients, bus).ask(
            {"idempotency_key": "out-asked", "payment_record": payment.record_id}
        )
        wait_for(
            lambda: "Refund Reported" in [event.name for event in listener.heard()],
            "the report",
            at_most=LONGER,
            every=0.2,
        )
        (refund_id,) = {event.detail["id"] for event in listener.heard()}
        wait_until_all_is_told(hasty_stack, listener, refund_id)
        assert heard_names(listener, refund_id) == [
            "Refund Pending",
            "Refund Succeeded",
            "Refund Reported",
        ]
