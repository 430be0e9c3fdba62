"""What the ledger's stream shows, as changes of refunds."""

import json
from typing import Any

from deployed import paths
from refund_bridge.adapters.dynamodb.items import payment_item, refund_item
from refund_bridge.adapters.dynamodb.stream import changes_in
from refund_bridge.adapters.dynamodb.values import encode_item
from refund_bridge.domain.refund import Refund
from tests.fakes.world import World


def record(
    new: Refund | None, old: Refund | None = None, *, number: str = "1", **extra: Any
) -> dict[str, Any]:
    """One record of the stream, as Lambda is handed it."""
    shown = new or old
    assert shown is not None
    item = refund_item(shown)
    images = {
        name: encode_item(refund_item(refund) | extra)
        for name, refund in (("NewImage", new), ("OldImage", old))
        if refund is not None
    }
    keys = encode_item({"pk": item["pk"], "sk": item["sk"]})
    return {
        "eventName": "INSERT" if old is None else "MODIFY",
        "dynamodb": {"Keys": keys, "SequenceNumber": number, **images},
    }


def refunded() -> tuple[Refund, Refund]:
    """A refund before and after it succeeded."""
    world = World()
    world.pay()
    after = world.refund("k").refund
    before = Refund(
        **{name: getattr(after, name) for name in Refund.__dataclass_fields__}
        | {"history": after.history[:1]}
    )
    return before, after


def test_a_new_refund_is_a_change_of_which_nothing_was_seen() -> None:
    before, _ = refunded()
    (change,) = changes_in([record(before, number="7")])
    assert (change.id, change.refund_id, change.seen) == ("7", before.id, 0)
    assert change.refund == before


def test_a_change_says_which_line_was_there_before() -> None:
    before, after = refunded()
    (change,) = changes_in([record(after, before)])
    assert (change.seen, change.refund) == (1, after)


def test_a_write_that_adds_no_line_is_no_change() -> None:
    _, after = refunded()
    assert list(changes_in([record(after, after)])) == []


def test_what_is_removed_or_no_refund_is_no_change() -> None:
    world = World()
    world.pay()
    refund = world.refund("k").refund
    payment = payment_item(world.payment())
    keys = encode_item({"pk": payment["pk"], "sk": payment["sk"]})
    of_payment = {"dynamodb": {"Keys": keys, "SequenceNumber": "2", "NewImage": {}}}
    assert list(changes_in([record(None, refund), of_payment])) == []


def test_changes_keep_the_streams_order() -> None:
    before, after = refunded()
    records = [record(before, number="1"), record(after, before, number="2")]
    assert [change.id for change in changes_in(records)] == ["1", "2"]


def test_what_a_newer_release_wrote_is_a_change_that_cannot_be_read() -> None:
    before, after = refunded()
    newer = record(after, before, number="3")
    newer["dynamodb"]["NewImage"]["state"] = {"S": "postponed"}
    (change,) = changes_in([newer])
    assert (change.refund, change.refund_id, change.seen) == (None, after.id, 1)


def test_attributes_of_a_newer_release_are_no_obstacle() -> None:
    before, after = refunded()
    (change,) = changes_in([record(after, before, mood="good")])
    assert change.refund == after


def test_the_sample_event_is_one_success() -> None:
    sample = json.loads((paths.ROOT / "events" / "publish_events_dynamodb.json").read_text())
    (change,) = changes_in(sample["Records"])
    assert change.refund is not None
    assert [entry.after for entry in change.refund.history[change.seen :]] == [
        "succeeded",
        "report:due",
    ]
