"""An address that swallows everything beside one that works; a day's outage; a receiver in doubt.

Time is simulated: workers take turns as SQS and Lambda would let them, each busy for as long as the
merchant takes to answer. So an hour with ten thousand lines takes seconds, and is the same each
time.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from refund_bridge.delivering import schedule
from refund_bridge.delivering.deliver import PutOff
from refund_bridge.delivering.ports import Answered, NoAnswer
from tests.fakes.webhook_world import DAY_MS, HOUR_MS, SHOP, STEP_MS, Waiting, WebhookWorld
from tests.fakes.webhooks import Post

BLACK_HOLE = "we_00000000000000bb"
WORKERS = 4
BATCH = 10
# What a message costs that is not sent: three calls to the ledger and one to the queue.
HANDLING_MS = 20
# The address that works has a line every six seconds, for an hour.
EVERY_MS = 6_000
LINES = HOUR_MS // EVERY_MS


@dataclass
class Workers:
    """Workers that share the queue; each message of a batch has a thread of its own.

    The merchant's time passes for the one thread that waits: the place that it has is held until
    then, and so is its worker.
    """

    world: WebhookWorld
    free: list[int] = field(default_factory=lambda: [0] * WORKERS)
    order: Iterator[int] = field(default_factory=count)

    def run(self, until_ms: int) -> None:
        """Until then, or until nothing is left."""
        world = self.world
        waiting = [
            (one.visible_at_ms, next(self.order), one)
            for one in world.queue
            if one.visible_at_ms < until_ms
        ]
        heapq.heapify(waiting)
        while waiting and waiting[0][0] < until_ms:
            worker = self.free.index(min(self.free))
            now_ms = max(self.free[worker], waiting[0][0], world.clock.now_ms())
            if now_ms >= until_ms:
                break
            world.clock.advance(now_ms - world.clock.now_ms())
            batch: list[Waiting] = []
            while waiting and len(batch) < BATCH and waiting[0][0] <= now_ms:
                batch.append(heapq.heappop(waiting)[2])
            busy_until_ms = now_ms
            for one in batch:
                busy_until_ms = max(busy_until_ms, self._handle(one, now_ms, waiting))
            self.free[worker] = busy_until_ms
        world.clock.advance(max(0, until_ms - world.clock.now_ms()))

    def _handle(self, one: Waiting, now_ms: int, waiting: list[tuple[int, int, Waiting]]) -> int:
        """Handle a message; returns when its thread is done."""
        before = len(self.world.merchant.posts)
        left = self.world.receive(one)
        took_ms = HANDLING_MS
        if any("bb." in post.url for post in self.world.merchant.posts[before:]):
            took_ms = 10_000
            self._hold_place(now_ms + took_ms)
        if isinstance(left, PutOff):
            one.visible_at_ms = now_ms + took_ms + left.ms
            heapq.heappush(waiting, (one.visible_at_ms, next(self.order), one))
        return now_ms + took_ms

    def _hold_place(self, until_ms: int) -> None:
        """The place that was given back is held for as long as the merchant would have taken."""
        state = self.world.state(BLACK_HOLE)
        number = state.free_slot(self.world.clock.now_ms(), places=self.world.deliver.places)
        if number is not None:
            self.world.states.hold(BLACK_HOLE, number, until_ms)


def swallows(post: Post) -> Answered | NoAnswer:
    return NoAnswer("no whole answer in time") if "bb." in post.url else Answered(200)


@pytest.fixture
def world() -> WebhookWorld:
    drawn = random.Random(7)  # noqa: S311 - the same pauses each time
    world = WebhookWorld(places=2)
    world.draw = drawn.random
    return world


@pytest.mark.heavy  # an hour of it takes half a minute
def test_a_black_hole_with_ten_thousand_lines_delays_nobody_else(world: WebhookWorld) -> None:
    # Given an address that never answers beside one that works
    world.add(BLACK_HOLE)
    posts: list[tuple[int, str]] = []

    def answer(post: Post) -> Answered | NoAnswer:
        posts.append((world.clock.now_ms(), post.url))
        return swallows(post)

    world.merchant.answers = answer
    refund_id = world.shop.refund("order-1").refund.id
    # When it is owed ten thousand lines at once, and the other one a line every six seconds
    begin_ms = world.clock.now_ms()
    for number in range(10_000):
        name = f"rfd_hole_{number}"
        refund = world.shop.ledger.refunds[refund_id]
        world.shop.ledger.refunds[name] = replace(refund, id=name)
        world.cursors.owe(
            name, BLACK_HOLE, after_sequence=0, now_ms=begin_ms, check_at_ms=begin_ms + DAY_MS
        )
        world.bell.ring([(name, BLACK_HOLE)])
    world.hear()
    workers = Workers(world)
    lags: list[int] = []
    for number in range(LINES):
        name = f"rfd_hole_{number}"
        sent_ms = world.clock.now_ms()
        world.cursors.owe(
            name, SHOP, after_sequence=0, now_ms=sent_ms, check_at_ms=sent_ms + DAY_MS
        )
        world.bell.ring([(name, SHOP)])
        world.hear()
        before = len(posts)
        workers.run(sent_ms + EVERY_MS)
        lags += [at_ms - sent_ms for at_ms, url in posts[before:] if "aa." in url]
    # Then in that hour the black hole had twenty connections at most
    assert world.clock.now_ms() - begin_ms >= HOUR_MS
    assert 5 <= sum("bb." in url for _, url in posts) <= 20
    # And of the other's events, 99 of 100 lagged less than five seconds
    assert len(lags) == LINES
    assert sorted(lags)[LINES * 99 // 100 - 1] < 5_000


def test_a_days_outage_is_drained_in_order_afterwards(world: WebhookWorld) -> None:
    # Given an address that is down for a day, in which refunds are made and reported
    world.merchant.answers = lambda _: Answered(503)
    ids = []
    for number in range(24):
        ids.append(world.refund(f"order-{number}", amount=100))
        world.report(ids[-1])
        world.work(HOUR_MS)
    # When it is back
    world.merchant.answers = lambda _: Answered(200)
    before = len(world.merchant.posts)
    world.work(13 * HOUR_MS)
    # Then it is told everything, of each refund in order
    told: dict[str, list[int]] = {}
    for event in world.events(world.merchant.posts[before:]):
        told.setdefault(event["data"]["object"]["id"], []).append(
            event["refund_bridge"]["sequence"]
        )
    assert told.keys() == set(ids)
    for sequences in told.values():
        assert len(sequences) == 2
        assert sequences == sorted(sequences)
    assert world.queue == []
    assert world.letters.letters == []


@pytest.mark.parametrize("seed", range(20))
def test_a_receiver_that_is_down_a_third_of_the_time_misses_nothing(seed: int) -> None:
    # Given a receiver that fails a third of all attempts, sometimes after it took the event, and a
    # queue that loses, doubles and reorders messages
    drawn = random.Random(seed)  # noqa: S311 - chance that can be repeated
    world = WebhookWorld(places=2)
    world.draw = drawn.random
    taken: list[Post] = []

    def answer(post: Post) -> Answered | NoAnswer:
        chance = drawn.random()
        if chance < 1 / 6:
            return NoAnswer("it closed the connection")
        taken.append(post)
        return Answered(500) if chance < 1 / 3 else Answered(200)

    world.merchant.answers = answer
    ids = []
    for number in range(15):
        ids.append(world.refund(f"order-{number}", amount=100))
        if drawn.random() < 0.5:
            world.report(ids[-1])
        if world.queue and drawn.random() < 0.2:
            world.queue.pop(drawn.randrange(len(world.queue)))
        if drawn.random() < 0.3:
            world.bell.ring([(drawn.choice(ids), SHOP)])
            world.hear()
        drawn.shuffle(world.queue)
        world.work(drawn.randrange(10) * STEP_MS)
    # When time passes, with settling
    for _ in range(72):
        world.work(HOUR_MS)
        world.settle()
    # Then, of each refund, everything came, first in order, and after that only what it had
    for refund_id in ids:
        first: dict[str, int] = {}
        for event in world.events(taken):
            if event["data"]["object"]["id"] == refund_id:
                first.setdefault(event["id"], event["refund_bridge"]["sequence"])
        last = world.cursor(refund_id).delivered_sequence
        assert list(first.values()) == sorted(first.values())
        assert first
        assert max(first.values()) == last
        assert not world.cursor(refund_id).is_owed
    assert world.letters.letters == []


def test_an_hours_connections_to_an_address_that_does_not_answer_are_few() -> None:
    at_ms, connections = 0, schedule.CLOSED_AFTER + 1
    for closures in range(10):
        at_ms += schedule.closed_ms(closures, step_ms=STEP_MS)
        connections += at_ms < HOUR_MS
    assert connections <= 20
