"""What a merchant's address is sent, when, and what becomes of what it does not take."""

import json
from itertools import pairwise

import pytest

from refund_bridge.delivering.address import FAILED, SigningSecret
from refund_bridge.delivering.deliver import PutOff, places_of
from refund_bridge.delivering.ports import Answered, NoAnswer
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


def test_no_answer_says_why_and_never_what_was_sent(world: WebhookWorld) -> None:
    world.merchant.answers = lambda _: NoAnswer("no answer within 10 s")
    refund_id = world.refund("order-secret", metadata={"card": "4242"})
    world.work()
    assert world.cursor(refund_id).last_error == "no answer within 10 s"
    (noted,) = world.shop.noted("webhook_not_taken")
    assert SECRET not in str(world.shop.telemetry.notes)
    assert "4242" not in str(noted)
    assert noted["attempt"] == 1


@pytest.mark.parametrize(("workers", "places"), [(2, 1), (3, 1), (4, 2), (10, 5), (100, 5)])
def test_no_address_has_more_than_half_of_the_workers_nor_more_than_five(
    workers: int, places: int
) -> None:
    assert places_of(workers) == places
