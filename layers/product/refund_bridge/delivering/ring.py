"""Starts deliveries: for each address a cursor in the ledger and a message in the queue.

The cursor is written first. If the message then cannot be sent or is lost, no event is lost, only
time: settling sends another message (``RingAgain``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from refund_bridge.delivering import schedule
from refund_bridge.delivering.ports import AddressStates, Bell, Cursors, Status
from refund_bridge.events.announce import Change
from refund_bridge.events.announcements import has_news
from refund_bridge.ports.ledger import DUE_SHARDS, LedgerUnavailableError
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry

# The longest that one write to the ledger may take, and sending one message.
WRITE_MS: Final = 4_000
RING_MS: Final = 13_000
AGAIN_PER_SHARD: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class RingForWebhooks:
    """Rings for every address that is enabled.

    Attributes:
        step_ms: a minute; shorter on local stages.
    """

    cursors: Cursors
    states: AddressStates
    bell: Bell
    clock: Clock
    telemetry: Telemetry
    step_ms: int

    def __call__(self, changes: Sequence[Change], deadline: Deadline) -> frozenset[str]:
        """Ring for the changes; returns the ids of those that the stream must show again.

        For all others, what must be told is durably noted as owed.
        """
        news = _news_in(changes)
        missed = self._missed(news, deadline) if news else frozenset()
        return frozenset(change.id for change in changes if change.refund_id in missed)

    def _missed(self, news: Mapping[str, int], deadline: Deadline) -> frozenset[str]:
        """The refunds for which something could not be noted as owed."""
        try:
            addresses = self.states.enabled()
        except LedgerUnavailableError:
            return frozenset(news)
        missed = {
            refund_id
            for refund_id, seen in news.items()
            if not self._owe(refund_id, addresses, seen, deadline)
        }
        owed = [(one, address) for one in news if one not in missed for address in addresses]
        self._ring(owed, deadline)
        return frozenset(missed)

    def _owe(self, refund_id: str, addresses: Sequence[str], seen: int, deadline: Deadline) -> bool:
        now_ms = self.clock.now_ms()
        check_at_ms = now_ms + schedule.check_ms(0, step_ms=self.step_ms)
        for address_id in addresses:
            if deadline.remaining_ms() < WRITE_MS:
                return False
            try:
                self.cursors.owe(
                    refund_id,
                    address_id,
                    after_sequence=seen,
                    now_ms=now_ms,
                    check_at_ms=check_at_ms,
                )
            except LedgerUnavailableError:
                return False
        return True

    def _ring(self, owed: Sequence[tuple[str, str]], deadline: Deadline) -> None:
        for number, pair in enumerate(owed):
            # If the queue does not answer, the other messages are not sent either.
            if deadline.remaining_ms() < RING_MS or self.bell.ring([pair]):
                self._not_rung(owed[number:], deadline)
                return

    def _not_rung(self, pairs: Sequence[tuple[str, str]], deadline: Deadline) -> None:
        """Make settling ring for them soon; if that cannot be noted, it rings two hours later."""
        self.telemetry.note("webhook_not_rung", messages=len(pairs))
        for pair in pairs:
            if deadline.remaining_ms() < WRITE_MS:
                return
            try:
                self.cursors.check_again(*pair, at_ms=self.clock.now_ms())
            except LedgerUnavailableError:
                return


def _news_in(changes: Sequence[Change]) -> Mapping[str, int]:
    """For each refund with new events, the last line of its history before them.

    A change that this release cannot read counts as new: the delivering function may be newer.
    """
    news: dict[str, int] = {}
    for change in changes:
        if change.refund is None or has_news(change.refund, after_seq=change.seen):
            news[change.refund_id] = min(change.seen, news.get(change.refund_id, change.seen))
    return news


@dataclass(frozen=True, slots=True, kw_only=True)
class RingAgain:
    """Sends messages again that were lost or never sent.

    What an address is owed when it is disabled stays owed for three days, because somebody may
    enable it again.

    Attributes:
        step_ms: a minute; shorter on local stages.
    """

    cursors: Cursors
    states: AddressStates
    bell: Bell
    clock: Clock
    telemetry: Telemetry
    step_ms: int

    def __call__(self, deadline: Deadline) -> int:
        """Ring for what is due until ``deadline``; returns how many messages were sent.

        Raises:
            LedgerUnavailableError: what is due could not be read, or noted.
        """
        now_ms, rung = self.clock.now_ms(), 0
        for shard in range(DUE_SHARDS):
            if deadline.remaining_ms() < RING_MS:
                break
            due = self.cursors.due(shard, before_ms=now_ms + 1, limit=AGAIN_PER_SHARD)
            rung += self._some(due, deadline) if due else 0
        if rung:
            self.telemetry.note("webhooks_rung_again", messages=rung)
        return rung

    def _some(self, due: Sequence[tuple[str, str]], deadline: Deadline) -> int:
        pairs: dict[tuple[str, str], int] = {}
        for refund_id, address_id in due:
            if deadline.remaining_ms() < RING_MS:
                break
            if self._needs_a_message(refund_id, address_id):
                rings = self.cursors.rung(refund_id, address_id, now_ms=self.clock.now_ms())
                if rings is not None:
                    pairs[refund_id, address_id] = rings
        failed = set(self.bell.ring(list(pairs))) if pairs else set()
        for pair in pairs.keys() - failed:  # what failed is due again in a minute
            pause_ms = schedule.check_ms(pairs[pair] + 1, step_ms=self.step_ms)
            self.cursors.check_again(*pair, at_ms=self.clock.now_ms() + pause_ms)
        return len(pairs) - len(failed)

    def _needs_a_message(self, refund_id: str, address_id: str) -> bool:
        state, now_ms = self.states.state(address_id), self.clock.now_ms()
        is_disabled = state is not None and state.status is Status.DISABLED
        if (
            state is None
            or state.status is Status.REMOVED
            or (is_disabled and self._is_too_old(refund_id, address_id, now_ms))
        ):
            self.cursors.rest(refund_id, address_id)
            return False
        if is_disabled or state.is_closed(now_ms):
            at_ms = now_ms + schedule.UNUSED_STEPS * self.step_ms
            self.cursors.check_again(refund_id, address_id, at_ms=at_ms)
            return False
        return True

    def _is_too_old(self, refund_id: str, address_id: str, now_ms: int) -> bool:
        cursor = self.cursors.cursor(refund_id, address_id)
        kept_ms = schedule.GIVE_UP_STEPS * self.step_ms
        return cursor is not None and now_ms >= cursor.owed_since_ms + kept_ms
