"""What a merchant's address is sent, when, and what becomes of what it does not take."""

import json
from collections.abc import Callable
from itertools import pairwise

import pytest

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.delivering.address import FAILED, SigningSecret
from refund_bridge.delivering.deliver import PutOff, places_of
from refund_bridge.delivering.ports import Answered, NoAnswer, Status
from tests.fakes.webhook_world import DAY_MS, HOUR_MS, SECRET, SHOP, STEP_MS, WebhookWorld, verified
from tests.fakes.webhooks import Post

OTHER = "we_00000000000000bb"
MINUTE_MS = STEP_MS


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()


def refuses(_post: Post) -> Answered:
    return Answered(500)


def takes(_post: Post) -> Answered:
    return Answered(200)


def test_a_success_is_told_once_and_verifies(world: WebhookWorld) -> None:
    refund_id = world.refund(amount=2500)
    world.work()
    (event,) = world.events()
    assert event["type"] == "refund.created"
    shown = event["data"]["object"]
    assert (shown["id"], shown["status"], shown["amount"]) == (refund_id, "succeeded", 2500)
    assert world.queue == []
    assert world.state().delivered == 1


def test_what_follows_is_told_in_its_order(world: WebhookWorld) -> None:
    refund_id = world.refund()
    world.report(refund_id)
    world.work()
    assert [one["type"] for one in world.events()] == [
        "refund.created",
        "refund_bridge.refund.reported",
    ]
    sequences = [one["refund_bridge"]["sequence"] for one in world.events()]
    assert sequences == sorted(sequences)


def test_messages_that_come_twice_or_late_find_nothing_to_do(world: WebhookWorld) -> None:
    refund_id = world.refund()
    world.bell.ring([(refund_id, SHOP)] * 3)
    world.hear()
    world.work()
    assert len(world.merchant.posts) == 1
    assert world.queue == []


def test_every_address_is_told_by_itself(world: WebhookWorld) -> None:
    world.add(OTHER)
    refund_id = world.refund()
    world.work()
    assert {post.url for post in world.merchant.posts} == {
        "https://aa.shop.example.com/hooks",
        "https://bb.shop.example.com/hooks",
    }
    assert (
        world.cursor(refund_id).delivered_sequence
        == world.cursor(refund_id, OTHER).delivered_sequence
    )


def test_an_address_is_told_of_what_happens_after_it_was_added(world: WebhookWorld) -> None:
    refund_id = world.refund()
    world.work()
    world.add(OTHER)
    world.report(refund_id)
    world.work()
    told = [one["type"] for one in world.events(world.merchant.posts[1:])]
    assert told == ["refund_bridge.refund.reported"] * 2


def test_only_the_types_that_it_wants_are_sent(world: WebhookWorld) -> None:
    world.change(types=(FAILED,))
    refund_id = world.refund()
    world.work()
    assert world.merchant.posts == []
    assert world.cursor(refund_id).delivered_sequence > 0
    assert world.queue == []


def test_of_what_an_address_does_not_want_no_dead_letter_is_made(world: WebhookWorld) -> None:
    # Given an address that wants other types, and is closed for three days
    world.change(types=(FAILED,))
    world.states.close(world.state(), until_ms=world.clock.now_ms() + 3 * DAY_MS)
    world.refund()
    # When its message could be handled only then
    (waiting,) = world.queue
    world.clock.advance(3 * DAY_MS)
    world.receive(waiting)
    # Then nobody is told of it
    assert world.letters.letters == []
    assert world.queue == []


def test_what_is_not_taken_comes_again_later_each_time(world: WebhookWorld) -> None:
    sent_at: list[int] = []

    def no(post: Post) -> Answered:
        sent_at.append(world.clock.now_ms())
        return Answered(503)

    world.merchant.answers = no
    world.chance = 0
    world.refund()
    # An address that fails five times running is closed: its probes come between. Four here.
    world.work(4 * HOUR_MS)
    pauses = [(b - a) // MINUTE_MS for a, b in pairwise(sent_at)]
    assert pauses == [1, 5, 30, 120]


def test_each_attempt_is_signed_anew(world: WebhookWorld) -> None:
    world.merchant.answers = refuses
    world.refund()
    world.work(10 * MINUTE_MS)
    signed = {post.headers["Stripe-Signature"] for post in world.merchant.posts}
    assert len(signed) == len(world.merchant.posts) == 3
    assert len({post.body for post in world.merchant.posts}) == 1


def test_a_later_line_waits_for_the_one_before(world: WebhookWorld) -> None:
    world.merchant.answers = refuses
    refund_id = world.refund()
    world.work()
    world.report(refund_id)
    world.work(20 * MINUTE_MS)
    assert {one["type"] for one in world.events()} == {"refund.created"}
    world.merchant.answers = takes
    world.work(HOUR_MS)
    assert [one["type"] for one in world.events()[-2:]] == [
        "refund.created",
        "refund_bridge.refund.reported",
    ]
    assert world.queue == []


def test_after_three_days_a_line_is_a_dead_letter_and_later_ones_go_on(
    world: WebhookWorld,
) -> None:
    world.merchant.answers = refuses
    refund_id = world.refund()
    world.work(2 * DAY_MS)
    world.report(refund_id)
    world.work(DAY_MS + 13 * HOUR_MS)
    ((body, reasons),) = world.letters.letters
    assert json.loads(body) == {
        "refund_id": refund_id,
        "address_id": SHOP,
        "sequence": world.cursor(refund_id).failed_sequence,
        "schema_version": 1,
    }
    assert reasons["reason"] == "it answered 500"
    assert reasons["event_type"] == "refund.created"
    world.merchant.answers = takes
    before = len(world.merchant.posts)
    world.work(DAY_MS)
    later = world.events(world.merchant.posts[before:])
    assert [one["type"] for one in later] == ["refund_bridge.refund.reported"]
    assert world.queue == []


def test_no_line_is_given_up_that_nobody_is_told_of(world: WebhookWorld) -> None:
    world.merchant.answers = refuses
    refund_id = world.refund()
    world.letters.is_broken = True
    world.work(4 * DAY_MS)
    assert world.cursor(refund_id).failed_sequence is None
    world.letters.is_broken = False
    world.work(DAY_MS)
    assert len(world.letters.letters) == 1
    assert world.queue == []


def test_a_replay_sends_what_was_given_up(world: WebhookWorld) -> None:
    world.merchant.answers = refuses
    refund_id = world.refund()
    world.work(4 * DAY_MS)
    assert world.letters.letters
    world.merchant.answers = takes
    now_ms = world.clock.now_ms()
    world.cursors.rewind(
        refund_id, SHOP, after_sequence=0, now_ms=now_ms, check_at_ms=now_ms + HOUR_MS
    )
    world.bell.ring([(refund_id, SHOP)])
    world.hear()
    before = len(world.merchant.posts)
    # The address may be closed still.
    world.work(2 * HOUR_MS)
    assert [one["type"] for one in world.events(world.merchant.posts[before:])] == [
        "refund.created"
    ]


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


def test_while_secrets_change_both_sign(world: WebhookWorld) -> None:
    new = "whsec_" + "b2" * 20
    now_ms = world.clock.now_ms()
    world.change(secrets=(SigningSecret(SECRET, now_ms + HOUR_MS), SigningSecret(new)))
    world.refund(amount=100)
    world.work()
    (post,) = world.merchant.posts
    assert verified(post, SECRET) == verified(post, new)
    world.clock.advance(HOUR_MS)
    world.refund("order-2", amount=100)
    world.work()
    assert world.merchant.posts[-1].headers["Stripe-Signature"].count("v1=") == 1
    assert verified(world.merchant.posts[-1], new)


def test_an_address_whose_secrets_are_all_too_old_is_sent_nothing(world: WebhookWorld) -> None:
    world.change(secrets=(SigningSecret(SECRET, world.clock.now_ms()),))
    refund_id = world.refund()
    world.work()
    assert world.merchant.posts == []
    assert world.cursor(refund_id).last_error == "none of its secrets is valid any more"


@pytest.mark.parametrize("url", ["http://shop.example.com/", "https://127.0.0.1/"])
def test_a_url_that_may_not_be_used_is_not_even_resolved(world: WebhookWorld, url: str) -> None:
    world.change(url=url)
    refund_id = world.refund()
    world.work()
    assert world.merchant.posts == []
    assert "may not be sent to" in str(world.cursor(refund_id).last_error)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500])
def test_only_2xx_takes_an_event(world: WebhookWorld, status: int) -> None:
    world.merchant.answers = lambda _: Answered(status)
    refund_id = world.refund()
    world.work()
    assert world.cursor(refund_id).last_error == f"it answered {status}"
    assert world.cursor(refund_id).attempts == 1


def test_while_another_worker_has_the_cursor_the_message_waits(world: WebhookWorld) -> None:
    refund_id = world.refund()
    now_ms = world.clock.now_ms()
    world.cursors.take(refund_id, SHOP, now_ms=now_ms, until_ms=now_ms + 90_000)
    (waiting,) = world.queue
    assert world.receive(waiting) == PutOff(15_000)
    assert world.merchant.posts == []
    assert world.state().free_slot(now_ms, places=1) == 0
    world.work(2 * MINUTE_MS)
    assert len(world.merchant.posts) == 1


def test_without_a_free_place_the_message_comes_back_soon(world: WebhookWorld) -> None:
    world.refund()
    now_ms = world.clock.now_ms()
    for number in (0, 1):
        world.states.take_slot(world.state(), number, now_ms=now_ms, until_ms=now_ms + 90_000)
    (waiting,) = world.queue
    assert world.receive(waiting) == PutOff(1_000)
    assert world.merchant.posts == []


def test_a_line_that_comes_while_the_others_are_sent_is_told_too(world: WebhookWorld) -> None:
    def reported_meanwhile(_post: Post) -> Answered:
        world.merchant.answers = takes
        world.report(refund_id)
        return Answered(200)

    world.merchant.answers = reported_meanwhile
    refund_id = world.refund()
    world.work(MINUTE_MS)
    assert [one["type"] for one in world.events()] == [
        "refund.created",
        "refund_bridge.refund.reported",
    ]
    assert not world.cursor(refund_id).is_owed


def test_what_is_owed_survives_a_queue_that_is_away(world: WebhookWorld) -> None:
    world.bell.is_broken = True
    world.refund()
    assert world.queue == []
    world.bell.is_broken = False
    assert world.settle() == 1
    world.work()
    assert len(world.events()) == 1
    assert world.settle() == 0


def test_a_message_that_is_lost_is_sent_again(world: WebhookWorld) -> None:
    world.refund()
    world.queue.clear()
    assert world.settle() == 0
    world.clock.advance(2 * HOUR_MS)
    assert world.settle() == 1
    world.work()
    assert len(world.events()) == 1


def test_lost_messages_are_sent_less_and_less_often(world: WebhookWorld) -> None:
    world.refund()
    rung_at: list[int] = []
    for minute in range(0, 2 * DAY_MS // MINUTE_MS, 10):
        if world.settle():
            rung_at.append(minute // 60)
        world.clock.advance(10 * MINUTE_MS)
    assert rung_at == [2, 6, 14, 27, 40]


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


def test_a_change_comes_again_if_what_it_tells_could_not_be_owed(world: WebhookWorld) -> None:
    world.cursors.is_away = True
    refund_id = world.shop.refund("order-1").refund.id
    change_id = f"{refund_id}:{world.shop.stored('order-1').history[-1].seq}"
    assert world.publish() == {change_id}
    world.cursors.is_away, world.states.is_away = False, True
    assert world.publish() == {change_id}
    world.states.is_away = False
    assert world.publish() == frozenset()
    world.work()
    assert len(world.events()) == 1


def test_a_worker_that_dies_before_it_notes_sends_twice_and_loses_nothing(
    world: WebhookWorld,
) -> None:
    def then_away(_post: Post) -> Answered:
        world.cursors.is_away = world.states.is_away = True
        world.merchant.answers = takes
        return Answered(200)

    world.merchant.answers = then_away
    world.refund()
    (waiting,) = world.queue
    world.receive(waiting)
    world.cursors.is_away = world.states.is_away = False
    world.work(HOUR_MS)
    assert len({one["id"] for one in world.events()}) == 1
    assert len(world.events()) == 2


def test_no_answer_says_why_and_never_what_was_sent(world: WebhookWorld) -> None:
    world.merchant.answers = lambda _: NoAnswer("no answer within 10 s")
    refund_id = world.refund("order-secret", metadata={"card": "4242"})
    world.work()
    assert world.cursor(refund_id).last_error == "no answer within 10 s"
    (noted,) = world.shop.noted("webhook_not_taken")
    assert SECRET not in str(world.shop.telemetry.notes)
    assert "4242" not in str(noted)
    assert noted["attempt"] == 1


def test_a_run_of_settling_reads_no_more_than_it_may(world: WebhookWorld) -> None:
    ids = [world.refund(f"order-{number}", amount=10) for number in range(300)]
    world.queue.clear()
    world.clock.advance(3 * HOUR_MS)
    shards = {due_shard_of(one) for one in ids}
    assert 0 < world.settle() <= 25 * len(shards)


@pytest.mark.parametrize(("workers", "places"), [(2, 1), (3, 1), (4, 2), (10, 5), (100, 5)])
def test_no_address_has_more_than_half_of_the_workers_nor_more_than_five(
    workers: int, places: int
) -> None:
    assert places_of(workers) == places
