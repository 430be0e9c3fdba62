"""Messages and small items of the former forms are understood: they may have waited for weeks.

A request may lie among the dead letters for 14 days, an event for subscribers is theirs for ever.
"""

import json
from typing import Any

import pytest

from refund_bridge.adapters.dynamodb.backlog import DynamoDbBacklog
from refund_bridge.adapters.dynamodb.sweeps import DynamoDbSweeps
from refund_bridge.adapters.sqs.doorbell import SqsDoorbell, parse_doorbell
from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.events.announcements import announcements_of
from refund_bridge.events.requested import asked_by, parse_event
from refund_bridge.ports.sweeps import Sweep
from tests.contract.ledger.conftest import Table
from tests.contract.releases import story
from tests.contract.releases.conftest import sample
from tests.fakes.world import STAGE, World

DUE_MS = 1_700_000_000_000
DUE = refund_id_of("due", STAGE)


@pytest.fixture(scope="module")
def messages() -> Any:
    return sample("messages")


def test_a_doorbell_names_its_refund_and_is_still_written_so(messages: Any) -> None:
    assert parse_doorbell(messages["doorbell"]) == DUE

    class Queue:
        def send_message(self, **asked: str) -> None:
            self.sent = asked["MessageBody"]

    queue: Any = Queue()
    SqsDoorbell(queue, "queue").ring(DUE)
    assert json.loads(queue.sent) == json.loads(messages["doorbell"])


def test_a_request_by_event_asks_for_the_same_refund(messages: Any) -> None:
    asked = asked_by(parse_event(messages["request"]))
    request = asked.request
    assert (asked.id, asked.source) == ("53dc4d37-cffa-4f76-80c9-8b7d4a4d2eab", "com.shop.orders")
    assert asked.idempotency_key == "order-1008"
    assert (request.reference_type, request.reference_id) == (ReferenceType.PAYMENT_RECORD, "pr_1")
    assert (request.amount, request.currency) == (2500, "sgd")
    assert (request.reason, request.metadata) == ("requested_by_customer", {"order": "1008"})


def test_what_is_owed_to_the_bus_is_found_and_taken(messages: Any, fresh_table: Table) -> None:
    fresh_table.client.put_item(TableName=fresh_table.name, Item=messages["backlog"])
    backlog = DynamoDbBacklog(fresh_table.client, fresh_table.name)
    shard = int(messages["backlog"]["due_shard"]["S"].partition("#")[2])
    assert backlog.owing(shard, before_ms=DUE_MS + 1, limit=10) == [DUE]
    taken = backlog.take(DUE, now_ms=DUE_MS, until_ms=DUE_MS + 1000)
    assert taken is not None
    assert (taken.from_seq, taken.tries, taken.revision) == (2, 3, 4)


def test_a_sweep_goes_on_where_it_was(messages: Any, fresh_table: Table) -> None:
    fresh_table.client.put_item(TableName=fresh_table.name, Item=messages["sweep"])
    sweeps = DynamoDbSweeps(fresh_table.client, fresh_table.name)
    found = sweeps.sweep("hitpay", begin_ms=0)
    assert found == Sweep(processor="hitpay", since_ms=DUE_MS, cursor="page=3", revision=7)
    assert sweeps.move_sweep(found, None).revision == 8


def test_subscribers_hear_all_that_they_heard_before(messages: Any) -> None:
    """Whatever is added: the same events, ids and members, with the same values."""
    world = World()
    story.tell(world)
    for name in ("reported", "rejected", "two_alike", "report_failed"):
        refund = world.stored(name)
        payment = world.ledger.payments[payment_key_of(refund)]
        before = [event for event in messages["events"] if event["of"] == name]
        now = announcements_of(refund, payment, after_seq=0)
        assert [(one.name, one.at_ms) for one in now] == [
            (event["name"], event["at_ms"]) for event in before
        ]
        for one, event in zip(now, before, strict=True):
            assert story.known_to(event["detail"], one.detail) == event["detail"]
