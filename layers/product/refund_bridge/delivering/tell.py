"""Sends the history lines of one refund to one address, in order, while it has the cursor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from refund_bridge.delivering import schedule
from refund_bridge.delivering.address import WebhookAddress
from refund_bridge.delivering.event import Line, event_body, lines_of
from refund_bridge.delivering.message import message_text
from refund_bridge.delivering.ports import Cursor, Cursors
from refund_bridge.delivering.post import NotTaken, PostEvent
from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.ports.ledger import Ledger, LedgerUnavailableError
from refund_bridge.ports.queues import DeadLetters
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry

# Longer than one event may take, so that the result can still be noted.
LINE_MS: Final = 14_000
NO_PARAMETER: Final = "its parameter, with URL and secret, is missing"
NEVER_TRIED: Final = "the address was closed or disabled all the time"
Payments = Callable[[Sequence[PaymentKey]], Mapping[PaymentKey, Payment]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How far the delivery came.

    Attributes:
        delivered: lines that the address took.
        refusal: why the next one was not taken; ``None``: none was refused.
        is_all: whether nothing of the refund is left to tell.
    """

    cursor: Cursor
    delivered: int
    refusal: NotTaken | None
    is_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TellAddress:
    """Sends an address the events of a refund that it has not received yet.

    Attributes:
        payments: the payments of those keys, as far as they exist (``Listing.payments``).
        step_ms: a minute; shorter on local stages.
    """

    ledger: Ledger
    payments: Payments
    cursors: Cursors
    post: PostEvent
    dead_letters: DeadLetters
    clock: Clock
    telemetry: Telemetry
    livemode: bool
    step_ms: int

    def __call__(
        self, cursor: Cursor, to: WebhookAddress | None, deadline: Deadline, *, connect: bool
    ) -> Told:
        """Send line after line, until the address does not take one or the time is over.

        Without ``connect`` nothing is sent, but lines whose time is over are still given up.

        Raises:
            LeaseLostError: another worker has taken the cursor.
            LedgerUnavailableError: the ledger gave no answer.
            DeadLettersError: a line's time is over, and that could not be noted.
        """
        lines = self._lines(cursor)
        delivered = 0
        for line in lines:
            if to is not None and not to.wants(line.type):
                cursor = self.cursors.advance(cursor, to_sequence=line.sequence)
                continue
            if self._is_over(line, cursor):
                reason = NO_PARAMETER if to is None else cursor.last_error or NEVER_TRIED
                cursor = self._give_up(cursor, line, reason)
                continue
            if to is None or not connect or deadline.remaining_ms() < LINE_MS:
                return Told(cursor=cursor, delivered=delivered, refusal=None, is_all=False)
            refusal = self.post(to, event_body(line, to, livemode=self.livemode), deadline)
            if refusal is not None:
                self._not_taken(line, cursor, refusal.reason)
                return Told(cursor=cursor, delivered=delivered, refusal=refusal, is_all=False)
            # Logged before the write: if that write is lost, the event is sent and logged twice.
            self._delivered(line, cursor)
            delivered += 1
            cursor = self.cursors.advance(cursor, to_sequence=line.sequence)
        return Told(cursor=cursor, delivered=delivered, refusal=None, is_all=True)

    def _lines(self, cursor: Cursor) -> tuple[Line, ...]:
        refund = self.ledger.refund(cursor.refund_id)
        if refund is None:
            raise LookupError(f"the ledger has no {cursor.refund_id}")
        key = payment_key_of(refund)
        try:
            payment = self.payments([key]).get(key)
        except LedgerUnavailableError:
            payment = None  # the event is about the refund and is sent without the payment
        return lines_of(refund, payment, after_sequence=cursor.delivered_sequence)

    def _is_over(self, line: Line, cursor: Cursor) -> bool:
        until_ms = schedule.gives_up_at_ms(line.at_ms, cursor.since_ms, step_ms=self.step_ms)
        return self.clock.now_ms() >= until_ms

    def _give_up(self, cursor: Cursor, line: Line, reason: str) -> Cursor:
        # The dead letter comes first: if the next write is lost, there are two letters, not none.
        self.dead_letters.set_aside(
            message_text(cursor.refund_id, cursor.address_id, line.sequence),
            {"reason": reason, "event_type": line.type, "event_id": line.event_id},
        )
        self.telemetry.note(
            "webhook_given_up",
            refund_id=cursor.refund_id,
            address_id=cursor.address_id,
            sequence=line.sequence,
            reason=reason,
        )
        return self.cursors.give_up(cursor, to_sequence=line.sequence, reason=reason)

    def _delivered(self, line: Line, cursor: Cursor) -> None:
        self.telemetry.note(
            "webhook_delivered",
            refund_id=cursor.refund_id,
            address_id=cursor.address_id,
            sequence=line.sequence,
            event_type=line.type,
            attempt=cursor.attempts + 1,
            age_ms=self._age_ms(line),
        )

    def _not_taken(self, line: Line, cursor: Cursor, reason: str) -> None:
        self.telemetry.note(
            "webhook_not_taken",
            refund_id=cursor.refund_id,
            address_id=cursor.address_id,
            sequence=line.sequence,
            event_type=line.type,
            attempt=cursor.attempts + 1,
            age_ms=self._age_ms(line),
            reason=reason,
        )

    def _age_ms(self, line: Line) -> int:
        return max(0, self.clock.now_ms() - line.at_ms)
