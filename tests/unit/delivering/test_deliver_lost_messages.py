"""What is owed survives lost messages, and queues, tables and workers that are away."""

import pytest

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.delivering.ports import Answered
from tests.fakes.webhook_world import DAY_MS, HOUR_MS, STEP_MS, WebhookWorld
from tests.fakes.webhooks import Post

MINUTE_MS = STEP_MS


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()


def refuses(_post: Post) -> Answered:
    return Answered(500)


def takes(_post: Post) -> Answered:
    return Answered(200)


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


def test_a_run_of_settling_reads_no_more_than_it_may(world: WebhookWorld) -> None:
    ids = [world.refund(f"order-{number}", amount=10) for number in range(300)]
    world.queue.clear()
    world.clock.advance(3 * HOUR_MS)
    shards = {due_shard_of(one) for one in ids}
    assert 0 < world.settle() <= 25 * len(shards)
