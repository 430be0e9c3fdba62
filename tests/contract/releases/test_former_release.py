"""What the former release wrote is understood: told, listed, published, and brought to its end."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from refund_bridge.adapters.dynamodb.items import payment_of, refund_of
from refund_bridge.adapters.dynamodb.stream import changes_in
from refund_bridge.adapters.dynamodb.values import decode_item
from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.state_machine import State
from refund_bridge.events.announcements import announcements_of
from refund_bridge.reading.listing import ListQuery, ListRefunds
from tests.contract.ledger.conftest import Table
from tests.contract.releases import story
from tests.contract.releases.story import Sample
from tests.fakes.ledger import MemoryLedger
from tests.fakes.listing import MemoryListing
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import STAGE, World


def put(table: Table, sample: Sample) -> None:
    """Store all of it as it was, beside the mark that every write of the real ledger leaves."""
    mark = {"write_id": {"S": "of-the-former-release"}}
    for kind in ("refunds", "payments", "claims"):
        for item in sample[kind]:
            table.client.put_item(TableName=table.name, Item=item | mark)


def refund_id(name: str) -> str:
    return refund_id_of(name, STAGE)


def test_it_left_a_refund_in_every_state(former: Sample) -> None:
    assert {item["state"]["S"] for item in former["refunds"]} == set(State)


def test_every_refund_is_told_as_it_told_them(former: Sample) -> None:
    payments = [payment_of(decode_item(item)) for item in former["payments"]]
    by_key = {payment.key: payment for payment in payments}
    refunds = [refund_of(decode_item(item)) for item in former["refunds"]]
    told = [refund_object(one, by_key.get(payment_key_of(one))) for one in refunds]
    # What a refund object has today besides is not known of these, or is empty.
    known = [story.known_to(then, now) for now, then in zip(told, former["told"], strict=True)]
    assert known == [as_told_today(one) for one in former["told"]]


def as_told_today(told: dict[str, Any]) -> dict[str, Any]:
    """What was taken back was told as succeeded once."""
    if "late_failure" not in told:
        return told
    message = "The processor took the money back after the refund had succeeded."
    failure = {"code": "taken_back", "message": message, "retryable": False}
    return told | {"status": "failed", "failure": failure, "arrival": None}


def test_they_are_listed(former: Sample, fresh_table: Table) -> None:
    put(fresh_table, former)
    world_clock = VirtualClock(VirtualClock().now_ms() + story.LONG_MS)
    listed = ListRefunds(
        ledger=fresh_table.ledger(), listing=fresh_table.listing(), clock=world_clock
    )

    def ids(**query: Any) -> set[str]:
        return {refund.id for refund in listed(ListQuery(limit=100, **query)).refunds}

    assert ids() == {told["id"] for told in former["told"]}
    for status in ("pending", "succeeded", "failed", "review"):
        # What it told as succeeded and was taken back stands in its index under that, until it is
        # written anew.
        wanted = {
            told["id"]
            for told in former["told"]
            if told["status"] == status and "late_failure" not in told
        }
        assert ids(statuses=(status,)) == wanted
    assert ids(payment_record="pr_lost_but_executed") == {
        refund_id("lost_but_executed"),
        refund_id("behind_another"),
    }
    assert ids(payment_intent="ref_by_intent") == {refund_id("by_intent")}
    assert ids(invoice="ref_by_invoice") == {refund_id("by_invoice")}
    # And a page goes on after a refund of the page before
    first = listed(ListQuery(limit=5)).refunds
    second = listed(ListQuery(limit=100, starting_after=first[-1].id)).refunds
    assert {refund.id for refund in (*first, *second)} == ids()
    assert len(first) + len(second) == len(former["told"])


def test_they_come_to_their_end_and_nothing_is_sent_twice(
    former: Sample, fresh_table: Table
) -> None:
    # Given the story on a real table, with everything in it replaced by what the former release
    # wrote at that point
    ledger = cast(MemoryLedger, fresh_table.ledger())  # the same promises
    world = World(ledger=ledger, listing=cast(MemoryListing, fresh_table.listing()))
    story.tell(world)
    put(fresh_table, former)
    assert [[name, *end] for name, end in story.ends(world).items()] == former["ends"]
    sent = len(world.processor.instructions)
    # When a day and more passes, callers repeat and Stripe is told
    story.finish(world)
    # Then each is what it would have become
    assert story.ends(world) == story.ENDS
    # And HitPay was asked for what had certainly not been sent, and for nothing else
    later = [instruction.refund_id for instruction in world.processor.instructions[sent:]]
    assert sorted(later) == sorted(map(refund_id, ("aborted", "scheduled", "behind_another")))
    # And each processor refund of ours is in Stripe's book once, unless its report had failed
    moved = [
        name
        for name, charge, _, status, instruction in story.moved(world)
        if instruction and status == "succeeded" and charge != "charge-report_failed"
    ]
    assert sorted(reference for _, _, reference in story.booked(world)) == sorted(moved)
    # And what was added to the items since is there beside what was in them
    item = fresh_table.item({"pk": f"refund#{refund_id('due')}", "sk": "refund"})
    assert item is not None
    assert item["request"]["metadata"] == {"order": "1007", "empty": ""}
    payment = fresh_table.ledger().payment(PaymentKey("hitpay", "charge-due"))
    assert payment is not None
    assert (payment.moved, payment.held, payment.report_due_count) == (2500, 2500, 0)


@pytest.mark.parametrize("name", ["due", "rejected", "two_alike", "lost_but_executed"])
def test_their_changes_in_the_stream_are_told(former: Sample, name: str) -> None:
    (image,) = [item for item in former["refunds"] if item["id"]["S"] == refund_id(name)]
    record: Mapping[str, Any] = {
        "dynamodb": {
            "Keys": {"pk": image["pk"], "sk": image["sk"]},
            "NewImage": image,
            "SequenceNumber": "1",
        }
    }
    (change,) = changes_in([record])
    assert change.refund is not None
    (*_, last) = announcements_of(change.refund, None, after_seq=change.seen)
    events = {
        "due": "Refund Succeeded",
        "rejected": "Refund Failed",
        "two_alike": "Refund Needs Review",
        "lost_but_executed": "Refund Pending",
    }
    assert (last.name, last.detail["id"]) == (events[name], refund_id(name))
