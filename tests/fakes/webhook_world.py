"""Refunds with webhooks to merchants' addresses: the real use cases, a queue, and its workers."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import stripe

from refund_bridge.delivering.address import SigningSecret, WebhookAddress
from refund_bridge.delivering.deliver import DeliverWebhooks, PutOff
from refund_bridge.delivering.message import Message, message_text, parse_message
from refund_bridge.delivering.ports import AddressState, Cursor, Sender, Status
from refund_bridge.delivering.post import PostEvent
from refund_bridge.delivering.ring import RingAgain, RingForWebhooks
from refund_bridge.delivering.tell import TellAddress
from refund_bridge.events.announce import Change
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.queues import DeadLettersError
from refund_bridge.ports.runtime import Clock
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.webhooks import (
    FakeMerchant,
    MemoryAddressBook,
    MemoryAddressStates,
    MemoryBell,
    MemoryCursors,
    Post,
)
from tests.fakes.world import World

STEP_MS = 60_000
HOUR_MS = 60 * STEP_MS
DAY_MS = 24 * HOUR_MS
SHOP = "we_00000000000000aa"
SECRET = "whsec_" + "a1" * 20
# The time of one invocation: less than the function's timeout, more than one event may take.
BUDGET_MS = 45_000
# How long SQS hides a message if the function failed before it set another time.
HIDDEN_MS = 360_000


@dataclass(eq=False)
class Waiting:
    """A message in the queue; equal to no other one, whatever that says."""

    message: Message
    sent_at_ms: int
    visible_at_ms: int
    receives: int = 0


class WebhookWorld:
    """A shop with one payment and one address, a merchant behind it, and everything between.

    Attributes:
        queue: the messages that are not done.
        chance: the random number for every pause, unless ``draw`` says otherwise.
    """

    def __init__(self, *, places: int = 2, clock: Clock | None = None) -> None:
        self.shop = World()
        self.shop.pay()
        self.clock = self.shop.clock
        clock = clock or self.clock
        self.cursors = MemoryCursors()
        self.states = MemoryAddressStates()
        self.book = MemoryAddressBook()
        self.bell = MemoryBell()
        self.letters = FakeDeadLetters()
        self.merchant = FakeMerchant()
        self.queue: list[Waiting] = []
        self.chance = 0.5
        self.draw: Callable[[], float] = lambda: self.chance
        self._seen: dict[str, int] = {}
        sender: Sender = self.merchant
        post = PostEvent(sender=sender, clock=clock, local=False)
        telemetry = self.shop.telemetry
        tell = TellAddress(
            ledger=self.shop.ledger,
            payments=self.shop.listing.payments,
            cursors=self.cursors,
            post=post,
            dead_letters=self.letters,
            clock=clock,
            telemetry=telemetry,
            livemode=False,
            step_ms=STEP_MS,
        )
        self.deliver = DeliverWebhooks(
            tell=tell,
            cursors=self.cursors,
            states=self.states,
            book=self.book,
            dead_letters=self.letters,
            clock=clock,
            telemetry=telemetry,
            chance=self._drawn,
            places=places,
            step_ms=STEP_MS,
        )
        shared: dict[str, Any] = {
            "cursors": self.cursors,
            "states": self.states,
            "bell": self.bell,
            "clock": clock,
            "telemetry": telemetry,
            "step_ms": STEP_MS,
        }
        self.ring = RingForWebhooks(**shared)
        self.ring_again = RingAgain(**shared)
        self.add()

    def _drawn(self) -> float:
        return self.draw()

    def add(self, address_id: str = SHOP, **given: Any) -> None:
        """Somebody adds an address."""
        name = address_id[-2:]
        self.book.addresses[address_id] = WebhookAddress(
            id=address_id,
            url=f"https://{name}.shop.example.com/hooks",
            secrets=(SigningSecret(SECRET),),
            **given,
        )
        self.states.set_status(address_id, Status.ENABLED, now_ms=self.clock.now_ms())

    def change(self, **changed: Any) -> None:
        """Somebody changes the stored address."""
        self.book.addresses[SHOP] = replace(self.book.addresses[SHOP], **changed)

    def publish(self) -> frozenset[str]:
        """The stream delivers the changes of refunds' histories since the last call."""
        changes = [
            Change(
                id=f"{refund.id}:{refund.history[-1].seq}",
                refund_id=refund.id,
                refund=refund,
                seen=self._seen.get(refund.id, 0),
            )
            for refund in self.shop.ledger.refunds.values()
            if refund.history[-1].seq > self._seen.get(refund.id, 0)
        ]
        again = self.ring(changes, self.clock.deadline(45_000))
        for change in changes:
            if change.id not in again and change.refund is not None:
                self._seen[change.refund_id] = change.refund.history[-1].seq
        self.hear()
        return again

    def hear(self) -> None:
        """Put the messages that were sent into the queue."""
        now_ms = self.clock.now_ms()
        rung, self.bell.rung = self.bell.rung, []
        self.queue += [Waiting(Message(*pair), now_ms, now_ms) for pair in rung]

    def settle(self) -> int:
        """A run of settling sends messages again that were lost."""
        rung = self.ring_again(self.clock.deadline(30_000))
        self.hear()
        return rung

    def receive(self, waiting: Waiting) -> PutOff | None:
        """A worker handles one message, as the function does."""
        waiting.receives += 1
        try:
            left = self.deliver(
                parse_message(message_text(waiting.message.refund_id, waiting.message.address_id)),
                self.clock.deadline(BUDGET_MS),
                age_ms=self.clock.now_ms() - waiting.sent_at_ms,
                receive=waiting.receives,
            )
        except (LedgerUnavailableError, DeadLettersError):
            left = PutOff(HIDDEN_MS)
        if left is None:
            self.queue.remove(waiting)
        else:
            waiting.visible_at_ms = self.clock.now_ms() + left.ms
        return left

    def work(self, for_ms: int = 0, *, until: Callable[[], bool] = lambda: False) -> None:
        """Handle messages that are visible now or within ``for_ms``, one after the other."""
        end_ms = self.clock.now_ms() + for_ms
        while not until():
            ready = min(self.queue, key=lambda one: one.visible_at_ms, default=None)
            if ready is None or ready.visible_at_ms > end_ms:
                break
            self.clock.advance(max(0, ready.visible_at_ms - self.clock.now_ms()))
            self.receive(ready)
        if not until():
            self.clock.advance(max(0, end_ms - self.clock.now_ms()))

    def refund(self, key: str = "order-1", **asked: Any) -> str:
        """A caller refunds, and the stream delivers that. Returns the refund's id."""
        refund = self.shop.refund(key, **asked).refund
        self.publish()
        return refund.id

    def report(self, refund_id: str) -> None:
        """Report a refund to Stripe; the stream delivers that."""
        self.shop.report(refund_id)
        self.publish()

    def events(self, posts: list[Post] | None = None) -> list[Any]:
        """The events that the merchant received, verified with Stripe's own library."""
        return [verified(post) for post in (self.merchant.posts if posts is None else posts)]

    def state(self, address_id: str = SHOP) -> AddressState:
        state = self.states.state(address_id)
        assert state is not None
        return state

    def cursor(self, refund_id: str, address_id: str = SHOP) -> Cursor:
        cursor = self.cursors.cursor(refund_id, address_id)
        assert cursor is not None
        return cursor


def verified(post: Post, secret: str = SECRET) -> Any:
    """The event, if the signature is right; its (virtual) time is not checked."""
    body, header = post.body.decode(), post.headers["Stripe-Signature"]
    stripe.WebhookSignature.verify_header(body, header, secret)
    return json.loads(body)
