"""An address that is closed, disabled or removed is sent nothing; and when it is used again."""

import json
from collections.abc import Callable

import pytest

from refund_bridge.delivering.ports import Answered, Status
from tests.fakes.webhook_world import DAY_MS, HOUR_MS, SHOP, STEP_MS, WebhookWorld
from tests.fakes.webhooks import Post

MINUTE_MS = STEP_MS


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()


def refuses(_post: Post) -> Answered:
    return Answered(500)


def takes(_post: Post) -> Answered:
    return Answered(200)


def told_by_refund(world: WebhookWorld, after: int = 0) -> dict[str, list[str]]:
    """The types of the events that were sent after so many, of each refund in their order."""
    told: dict[str, list[str]] = {}
    for event in world.events(world.merchant.posts[after:]):
        told.setdefault(event["data"]["object"]["id"], []).append(event["type"])
    return told


def settled_for(world: WebhookWorld, ms: int) -> None:
    """Time passes, with a run of settling every ten minutes."""
    for _ in range(ms // (10 * MINUTE_MS)):
        world.settle()
        world.work(10 * MINUTE_MS)


def disabled_by_a_person(world: WebhookWorld) -> None:
    world.states.set_status(SHOP, Status.DISABLED, now_ms=world.clock.now_ms())


def disabled_by_itself(world: WebhookWorld) -> None:
    world.merchant.answers = lambda _: Answered(410)
    world.receive(world.queue[0])
    assert world.state().status is Status.DISABLED


def enabled(world: WebhookWorld) -> None:
    world.merchant.answers = takes
    world.states.set_status(SHOP, Status.ENABLED, now_ms=world.clock.now_ms())


def test_an_address_that_failed_five_times_is_closed_for_a_while(world: WebhookWorld) -> None:
    world.merchant.answers = refuses
    for number in range(20):
        world.refund(f"order-{number}", amount=100)
    world.work(4 * MINUTE_MS)
    assert world.state().is_closed(world.clock.now_ms())
    assert len(world.merchant.posts) == 5
    assert "webhook_address_closed" in world.shop.telemetry.events


def test_one_probe_opens_a_closed_address_and_all_is_told(world: WebhookWorld) -> None:
    world.merchant.answers = refuses
    ids = [world.refund(f"order-{number}", amount=100) for number in range(20)]
    world.work(4 * MINUTE_MS)
    world.merchant.answers = takes
    world.work(HOUR_MS)
    assert not world.state().is_closed(world.clock.now_ms())
    told = [one["data"]["object"]["id"] for one in world.events()[5:]]
    assert sorted(told) == sorted(ids)


def test_gone_disables_the_address_and_tells_a_person(world: WebhookWorld) -> None:
    world.merchant.answers = lambda _: Answered(410)
    refund_id = world.refund()
    world.work(DAY_MS)
    assert world.state().status is Status.DISABLED
    assert len(world.merchant.posts) == 1
    ((_, reasons),) = world.letters.letters
    assert reasons == {"reason": "the address is disabled: it answered 410 Gone"}
    world.report(refund_id)
    assert world.queue == []


def test_enabled_again_an_address_hears_what_it_missed(world: WebhookWorld) -> None:
    world.merchant.answers = lambda _: Answered(410)
    refund_id = world.refund()
    world.work()
    world.clock.advance(MINUTE_MS)
    world.merchant.answers = takes
    world.states.set_status(SHOP, Status.ENABLED, now_ms=world.clock.now_ms())
    world.report(refund_id)
    world.work()
    assert [one["type"] for one in world.events()[1:]] == [
        "refund.created",
        "refund_bridge.refund.reported",
    ]


def test_a_removed_address_is_sent_nothing(world: WebhookWorld) -> None:
    world.refund()
    world.states.set_status(SHOP, Status.REMOVED, now_ms=world.clock.now_ms())
    world.work()
    assert world.merchant.posts == []
    assert world.queue == []


def test_an_address_whose_secret_was_deleted_waits_and_then_tells_a_person(
    world: WebhookWorld,
) -> None:
    kept = world.book.addresses.pop(SHOP)
    world.refund(amount=100)
    world.work(HOUR_MS)
    assert world.merchant.posts == []
    world.book.addresses[SHOP] = kept
    world.work(HOUR_MS)
    assert len(world.events()) == 1
    del world.book.addresses[SHOP]
    world.refund("order-2", amount=100)
    world.work(4 * DAY_MS)
    ((_, reasons),) = world.letters.letters
    assert reasons["reason"] == "its parameter, with URL and secret, is missing"
    assert world.queue == []


def test_a_line_that_was_never_tried_is_given_up_with_that_reason(world: WebhookWorld) -> None:
    # Given an address that is closed before the refund is made
    world.states.close(world.state(), until_ms=world.clock.now_ms() + 3 * DAY_MS)
    world.refund()
    # When three days are over
    world.work(3 * DAY_MS + HOUR_MS)
    # Then the dead letter says so
    ((_, reasons),) = world.letters.letters
    assert reasons["reason"] == "the address was closed or disabled all the time"


def test_nobody_is_rung_for_whose_address_is_closed_or_not_used(world: WebhookWorld) -> None:
    # Given a message that was lost
    refund_id = world.refund()
    world.queue.clear()
    world.clock.advance(3 * HOUR_MS)
    # When the address is closed, or disabled, then nothing is rung, and it is owed all the same
    world.states.close(world.state(), until_ms=world.clock.now_ms() + HOUR_MS)
    assert world.settle() == 0
    world.clock.advance(HOUR_MS)
    world.states.set_status(SHOP, Status.DISABLED, now_ms=world.clock.now_ms())
    assert world.settle() == 0
    assert world.cursor(refund_id).is_owed
    # And when it is removed, then it is owed no more
    world.clock.advance(HOUR_MS)
    world.states.set_status(SHOP, Status.REMOVED, now_ms=world.clock.now_ms())
    assert world.settle() == 0
    assert not world.cursor(refund_id).is_owed


DISABLED = pytest.mark.parametrize("disable", [disabled_by_a_person, disabled_by_itself])


@DISABLED
def test_what_an_address_was_owed_follows_when_it_is_enabled_again(
    world: WebhookWorld, disable: Callable[[WebhookWorld], None]
) -> None:
    # Given an address that is disabled while it is owed events of twelve refunds
    ids = [world.refund(f"order-{number}", amount=100) for number in range(12)]
    disable(world)
    # And more that happens to them, and a refund of which it is owed nothing, for two days
    settled_for(world, 2 * DAY_MS)
    for refund_id in ids:
        world.report(refund_id)
    new = world.refund("order-new", amount=100)
    settled_for(world, 6 * HOUR_MS)
    assert world.queue == []
    before = len(world.merchant.posts)
    # When it is enabled again
    enabled(world)
    settled_for(world, HOUR_MS)
    # Then everything that it was owed is sent within the hour, in order, and not what was not kept
    both = ["refund.created", "refund_bridge.refund.reported"]
    assert told_by_refund(world, before) == dict.fromkeys(ids, both)
    assert not any(world.cursor(one).is_owed for one in ids)
    assert world.cursors.cursor(new, SHOP) is None


@DISABLED
def test_disabled_for_a_moment_an_address_waits_an_hour_at_most(
    world: WebhookWorld, disable: Callable[[WebhookWorld], None]
) -> None:
    # Given an address that is disabled while messages for ten refunds come, and then enabled
    ids = [world.refund(f"order-{number}", amount=100) for number in range(10)]
    disable(world)
    world.work()
    assert world.queue == []
    before = len(world.merchant.posts)
    enabled(world)
    # When an hour is over, then it was told of all of them
    settled_for(world, HOUR_MS + 10 * MINUTE_MS)
    assert told_by_refund(world, before) == {one: ["refund.created"] for one in ids}


@DISABLED
def test_what_is_older_than_three_days_when_it_is_enabled_is_given_up_with_letters(
    world: WebhookWorld, disable: Callable[[WebhookWorld], None]
) -> None:
    # Given an address that is disabled while it is owed events of ten refunds
    ids = [world.refund(f"order-{number}", amount=100) for number in range(10)]
    disable(world)
    settled_for(world, 3 * DAY_MS - 20 * MINUTE_MS)
    before, letters = len(world.merchant.posts), len(world.letters.letters)
    # When it is enabled so late that they are too old before anybody rings
    enabled(world)
    world.clock.advance(30 * MINUTE_MS)
    settled_for(world, HOUR_MS)
    # Then nothing is sent, and each has its letter
    assert world.merchant.posts[before:] == []
    given_up = [json.loads(body)["refund_id"] for body, _ in world.letters.letters[letters:]]
    assert sorted(given_up) == sorted(ids)
    assert not any(world.cursor(one).is_owed for one in ids)


@DISABLED
def test_what_a_disabled_address_was_owed_for_three_days_it_is_owed_no_more(
    world: WebhookWorld, disable: Callable[[WebhookWorld], None]
) -> None:
    # Given an address that is disabled while it is owed events of ten refunds
    ids = [world.refund(f"order-{number}", amount=100) for number in range(10)]
    disable(world)
    # When nobody enables it for three days
    settled_for(world, 3 * DAY_MS - HOUR_MS)
    assert all(world.cursor(one).is_owed for one in ids)
    settled_for(world, 2 * HOUR_MS)
    # Then it is owed nothing any more, and is looked at no more
    assert not any(world.cursor(one).is_owed for one in ids)
    enabled(world)
    settled_for(world, HOUR_MS)
    assert world.queue == []
