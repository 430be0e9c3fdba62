"""Handles one message: sends an address every event of a refund that it has not received yet.

::

    message ─▶ is the address known, enabled and open? ─▶ take a place for a connection
           ─▶ lease the cursor ─▶ read refund and payment, as they are now
           ─▶ each history line in order: sign, send, note as delivered
           ─▶ if the address does not take one: the cursor waits, and so does the message

The message has only ids. So a duplicate or late message finds nothing to do, and a replayed one is
handled like any other. Nothing here writes to a refund or a payment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from refund_bridge.delivering import schedule
from refund_bridge.delivering.address import WebhookAddress
from refund_bridge.delivering.message import Message, message_text
from refund_bridge.delivering.ports import (
    AddressBook,
    AddressState,
    AddressStates,
    Cursor,
    Cursors,
    LeaseLostError,
    NotNow,
    Slot,
    Status,
)
from refund_bridge.delivering.tell import NO_PARAMETER, TellAddress, Told
from refund_bridge.ports.queues import DeadLetters
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry

# Longer than one invocation may run, shorter than the queue's visibility timeout.
LEASE_MS: Final = 90_000
# If another worker has the cursor, the message comes back soon: that worker may have read the
# refund before the newest event.
TAKEN_MS_MAX: Final = 15_000
SOON_MS: Final = 1_000
PLACES_MAX: Final = 5


def places_of(workers: int) -> int:
    """How many connections one address may have at once: five, or half of the workers if fewer."""
    return max(1, min(PLACES_MAX, workers // 2))


@dataclass(frozen=True, slots=True)
class PutOff:
    """The message must come back after ``ms`` milliseconds."""

    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverWebhooks:
    """Delivers to an address the events of a refund that it has not received yet.

    Attributes:
        chance: draws a number from 0 to 1.
        places: how many connections an address may have at once.
        step_ms: a minute; shorter on local stages.
    """

    tell: TellAddress
    cursors: Cursors
    states: AddressStates
    book: AddressBook
    dead_letters: DeadLetters
    clock: Clock
    telemetry: Telemetry
    chance: Callable[[], float]
    places: int
    step_ms: int

    def __call__(
        self, message: Message, deadline: Deadline, *, age_ms: int, receive: int
    ) -> PutOff | None:
        """Handle the message; ``None``: it is done and may leave the queue.

        ``age_ms`` is the time since it was first sent; ``receive`` counts its receives, with this
        one.

        Raises:
            KeyUnavailableError: the addresses' parameters cannot be read now.
            LedgerUnavailableError, DeadLettersError: as ``TellAddress``.
        """
        state = self.states.state(message.address_id)
        if state is None or state.status is not Status.ENABLED:
            self.telemetry.note("webhook_not_wanted", address_id=message.address_id)
            self._leave_to_settling(message.refund_id, message.address_id)
            return None
        to, now_ms = self.book.address(message.address_id), self.clock.now_ms()
        if state.is_closed(now_ms) or to is None:
            return self._without_connection(message, state, to, deadline, age_ms=age_ms)
        slot = self._slot(state, now_ms)
        if slot is None:
            return PutOff(schedule.busy_ms(receive, chance=self.chance()))
        return self._with(slot, message, to, deadline)

    def _slot(self, state: AddressState, now_ms: int) -> Slot | None:
        """Take a place for a connection; only the first free one is tried. ``None``: no success."""
        number = state.free_slot(now_ms, places=self.places)
        if number is None:
            return None
        return self.states.take_slot(state, number, now_ms=now_ms, until_ms=now_ms + LEASE_MS)

    def _with(
        self, slot: Slot, message: Message, to: WebhookAddress, deadline: Deadline
    ) -> PutOff | None:
        told: Told | None = None
        try:
            cursor = self._take(message)
            if not isinstance(cursor, Cursor):
                return self._not_taken(cursor)
            told = self.tell(cursor, to, deadline, connect=True)
        except LeaseLostError:
            return PutOff(TAKEN_MS_MAX)
        finally:
            self._free(slot, told)
        return self._after(told)

    def _free(self, slot: Slot, told: Told | None) -> None:
        refusal = None if told is None else told.refusal
        state = self.states.free(
            slot,
            delivered=0 if told is None else told.delivered,
            error=None if refusal is None else refusal.reason,
            now_ms=self.clock.now_ms(),
        )
        if told is None or refusal is None or state is None:
            return
        if refusal.is_gone:
            self._disable(state, told.cursor)
        elif state.failures >= schedule.CLOSED_AFTER and (
            slot.is_probe or not state.is_closed(self.clock.now_ms())
        ):
            self._close(state)

    def _close(self, state: AddressState) -> None:
        pause_ms = schedule.closed_ms(state.closures, step_ms=self.step_ms)
        if self.states.close(state, until_ms=self.clock.now_ms() + pause_ms):
            seconds = pause_ms // 1000
            self.telemetry.note("webhook_address_closed", address_id=state.id, seconds=seconds)

    def _disable(self, state: AddressState, cursor: Cursor) -> None:
        reason = "it answered 410 Gone"
        # The dead letter comes first: its alarm informs a person.
        self.dead_letters.set_aside(
            message_text(cursor.refund_id, state.id, cursor.delivered_sequence + 1),
            {"reason": f"the address is disabled: {reason}"},
        )
        now_ms = self.clock.now_ms()
        self.states.set_status(state.id, Status.DISABLED, now_ms=now_ms, reason=reason)
        self.telemetry.note("webhook_address_disabled", address_id=state.id, reason=reason)

    def _after(self, told: Told) -> PutOff | None:
        if told.is_all:
            return None if self.cursors.done(told.cursor) else PutOff(SOON_MS)
        if told.refusal is None:
            return self._hold(told.cursor, SOON_MS, reason=None)
        if told.refusal.is_gone:
            self._hold(told.cursor, SOON_MS, reason=told.refusal.reason)
            self._leave_to_settling(told.cursor.refund_id, told.cursor.address_id)
            return None
        pause_ms = schedule.retry_ms(
            told.cursor.attempts + 1, step_ms=self.step_ms, chance=self.chance()
        )
        return self._hold(told.cursor, pause_ms, reason=told.refusal.reason)

    def _hold(self, cursor: Cursor, pause_ms: int, *, reason: str | None) -> PutOff:
        """Release the cursor for ``pause_ms``; the message comes back at the same time."""
        now_ms = self.clock.now_ms()
        self.cursors.put_off(
            cursor,
            reason=reason,
            next_attempt_ms=now_ms + pause_ms,
            check_at_ms=now_ms + pause_ms + schedule.check_ms(0, step_ms=self.step_ms),
        )
        return PutOff(pause_ms)

    def _leave_to_settling(self, refund_id: str, address_id: str) -> None:
        """Finish the message of an address that is not used; what it is owed stays owed."""
        at_ms = self.clock.now_ms() + schedule.UNUSED_STEPS * self.step_ms
        self.cursors.check_again(refund_id, address_id, at_ms=at_ms)

    def _without_connection(
        self,
        message: Message,
        state: AddressState,
        to: WebhookAddress | None,
        deadline: Deadline,
        *,
        age_ms: int,
    ) -> PutOff | None:
        """Handle a closed address, or one without a parameter: wait, and give up old events."""
        now_ms = self.clock.now_ms()
        left_ms = max(0, (state.closed_until_ms or now_ms) - now_ms)
        if to is None:
            self.telemetry.note("webhook_address_missing", address_id=state.id, reason=NO_PARAMETER)
            left_ms = max(left_ms, schedule.CLOSED_STEPS[-1] * self.step_ms)
        pause_ms = schedule.put_off_ms(left_ms, step_ms=self.step_ms, chance=self.chance())
        if age_ms < schedule.GIVE_UP_STEPS * self.step_ms:
            return PutOff(pause_ms)
        cursor = self._take(message)
        if not isinstance(cursor, Cursor):
            return self._not_taken(cursor)
        try:
            told = self.tell(cursor, to, deadline, connect=False)
        except LeaseLostError:
            return PutOff(TAKEN_MS_MAX)
        if told.is_all:
            return None if self.cursors.done(told.cursor) else PutOff(SOON_MS)
        return self._hold(told.cursor, pause_ms, reason=None)

    def _take(self, message: Message) -> Cursor | NotNow | None:
        now_ms = self.clock.now_ms()
        return self.cursors.take(
            message.refund_id, message.address_id, now_ms=now_ms, until_ms=now_ms + LEASE_MS
        )

    def _not_taken(self, found: NotNow | None) -> PutOff | None:
        if found is None:
            return None  # nothing is owed any more: another message was handled before
        at_most_ms = TAKEN_MS_MAX if found.is_leased else schedule.HIDDEN_MS_MAX
        left_ms = found.until_ms - self.clock.now_ms()
        return PutOff(min(max(left_ms, SOON_MS), at_most_ms))
