"""Publishes what happened to refunds, from the ledger's changes or again from the ledger.

::

    publish_events   a change of a refund ─▶ its new lines of history ─▶ the bus
                                                                          │ not taken
    settle_refunds   the refund's history from that line on ◀─ backlog ◀──┘

The history is durable before events are published, so nothing is lost in between. What the bus does
not take is noted in the backlog beside the refund and published from the ledger until the bus has
taken it. So the stream can go on: an outage of the bus delays no later change, and no event is lost
because the stream's tries or its retention end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.backoff import backoff_steps
from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.events.announcements import announcements_of, has_news
from refund_bridge.ports.events import Announcement, Backlog, EventBus, Unannounced
from refund_bridge.ports.ledger import DUE_SHARDS, Ledger, LedgerUnavailableError
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry

# The longest that one write to the ledger may take, and one refund of the backlog.
WRITE_MS: Final = 4_000
AGAIN_MS: Final = 20_000
# Longer than publishing one refund's history again can take.
TAKE_MS: Final = 60_000
AGAIN_PER_SHARD: Final = 25
# If the bus takes nothing of so many refunds in a row, it is unavailable: the next run tries again.
FAILURES_IN_A_ROW_MAX: Final = 3
# Two weeks at one try an hour. By then a person has had enough alarms.
TRIES_MAX: Final = 350


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write of one refund, as the ledger's stream shows it.

    Attributes:
        id: the stream's id of the change.
        refund: the refund after the change; ``None`` if this release cannot read it.
        seen: the last line of history before the change.
    """

    id: str
    refund_id: str
    refund: Refund | None
    seen: int


Payments = Callable[[Sequence[PaymentKey]], Mapping[PaymentKey, Payment]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceChanges:
    """Publishes the events of changes of refunds.

    Attributes:
        payments: the payments of those keys, as far as they exist (``Listing.payments``).
    """

    payments: Payments
    bus: EventBus
    backlog: Backlog
    clock: Clock
    telemetry: Telemetry

    def __call__(self, changes: Sequence[Change], deadline: Deadline) -> frozenset[str]:
        """Publish; returns the ids of the changes that the stream must show again.

        The events of every other change have been published or are durably in the backlog.
        """
        payments = _payments_of(self.payments, _with_news(changes), self.telemetry)
        told = {change.id: self._told(change, payments) for change in changes}
        everything = [one for announcements in told.values() for one in announcements or ()]
        missed = self._missed(everything, deadline)
        if len(everything) > len(missed):
            self.telemetry.note("events_published", events=len(everything) - len(missed))
        again = set()
        for change in changes:
            announcements = told[change.id]
            if announcements is None:
                kept = self._keep(change, change.seen + 1, deadline)
            elif lost := [one for one in announcements if one.id in missed]:
                kept = self._keep(change, _sequence(lost[0]), deadline)
            else:
                continue
            if not kept:
                again.add(change.id)
        return frozenset(again)

    def _told(
        self, change: Change, payments: Mapping[PaymentKey, Payment]
    ) -> tuple[Announcement, ...] | None:
        """The change's events; ``None`` if they cannot be made here."""
        refund = change.refund
        if refund is None:
            return None
        try:
            payment = payments.get(payment_key_of(refund))
            return announcements_of(refund, payment, after_seq=change.seen)
        except Exception as error:  # noqa: BLE001 - one poison refund must not stop the others
            self.telemetry.note(
                "event_not_made", refund_id=change.refund_id, error=type(error).__name__
            )
            return None

    def _missed(self, announcements: Sequence[Announcement], deadline: Deadline) -> frozenset[str]:
        """Publish; returns the ids of those that the bus has not taken, for any reason."""
        if not announcements:
            return frozenset()
        try:
            return self.bus.publish(announcements, deadline)
        except Exception as error:  # noqa: BLE001 - a defect here must not spend the stream's tries
            self.telemetry.note("publishing_failed", error=type(error).__name__)
            return frozenset(one.id for one in announcements)

    def _keep(self, change: Change, from_seq: int, deadline: Deadline) -> bool:
        """Note in the backlog what was not published; whether that is durable."""
        if deadline.remaining_ms() < WRITE_MS:
            return False
        now_ms = self.clock.now_ms()
        try:
            self.backlog.owe(change.refund_id, from_seq=from_seq, now_ms=now_ms)
        except LedgerUnavailableError:
            return False
        self.telemetry.note("event_not_published", refund_id=change.refund_id, sequence=from_seq)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceBacklog:
    """Publishes from the ledger what the bus did not take before.

    Attributes:
        step_ms: the settle interval; pauses between two tries are multiples of it.
    """

    ledger: Ledger
    payments: Payments
    bus: EventBus
    backlog: Backlog
    clock: Clock
    telemetry: Telemetry
    step_ms: int

    def __call__(self, deadline: Deadline) -> int:
        """Publish what is due until ``deadline``; returns how many refunds were fully published.

        Raises:
            LedgerUnavailableError: what is due could not be read.
        """
        published = failures = 0
        for refund_id in self._owing():
            if deadline.remaining_ms() < AGAIN_MS or failures >= FAILURES_IN_A_ROW_MAX:
                break
            done = self._one(refund_id, deadline.at_most(AGAIN_MS))
            if done is not None:
                published, failures = published + int(done), 0 if done else failures + 1
        if published:
            self.telemetry.note("published_again", refunds=published)
        return published

    def _owing(self) -> Iterable[str]:
        before_ms = self.clock.now_ms() + 1
        for shard in range(DUE_SHARDS):
            yield from self.backlog.owing(shard, before_ms=before_ms, limit=AGAIN_PER_SHARD)

    def _one(self, refund_id: str, deadline: Deadline) -> bool | None:
        """Publish one refund again; whether the bus took all, ``None`` if nothing was due."""
        now_ms = self.clock.now_ms()
        try:
            taken = self.backlog.take(refund_id, now_ms=now_ms, until_ms=now_ms + TAKE_MS)
            if taken is None:
                return None
            if self._is_published(taken, deadline):
                self.backlog.paid(taken)
                return True
            self._hold(taken)
        except Exception as error:  # noqa: BLE001 - one poison refund must not stop the others
            # This run took it for a while; afterwards it is due again.
            self.telemetry.note(
                "not_published_again", refund_id=refund_id, error=type(error).__name__
            )
        return False

    def _is_published(self, taken: Unannounced, deadline: Deadline) -> bool:
        try:
            return self._is_taken_by_the_bus(taken, deadline)
        except LedgerUnavailableError:
            return False  # or a newer release wrote it, and only that one can read it
        except Exception as error:  # noqa: BLE001 - no event can be made of it
            # It waits longer each time, like one that the bus does not take. If it were due again
            # at once, a few such refunds would always come before the others.
            self.telemetry.note(
                "event_not_made", refund_id=taken.refund_id, error=type(error).__name__
            )
            return False

    def _is_taken_by_the_bus(self, taken: Unannounced, deadline: Deadline) -> bool:
        refund = self.ledger.refund(taken.refund_id)
        if refund is None:
            raise LookupError(f"the ledger has no {taken.refund_id}")
        payments = _payments_of(self.payments, [refund], self.telemetry)
        payment = payments.get(payment_key_of(refund))
        announcements = announcements_of(refund, payment, after_seq=taken.from_seq - 1)
        missed = self.bus.publish(announcements, deadline) if announcements else frozenset()
        if announcements and not missed:
            self.telemetry.note("events_published", events=len(announcements))
        return not missed

    def _hold(self, taken: Unannounced) -> None:
        if taken.tries >= TRIES_MAX:
            self.telemetry.note(
                "event_given_up", refund_id=taken.refund_id, sequence=taken.from_seq
            )
            self.backlog.hold(taken, until_ms=None)
            return
        self.telemetry.note(
            "event_still_unpublished", refund_id=taken.refund_id, sequence=taken.from_seq
        )
        pause_ms = backoff_steps(taken.tries - 1) * self.step_ms
        self.backlog.hold(taken, until_ms=self.clock.now_ms() + pause_ms)


def _with_news(changes: Iterable[Change]) -> list[Refund]:
    return [
        change.refund
        for change in changes
        if change.refund is not None and has_news(change.refund, after_seq=change.seen)
    ]


def _payments_of(
    payments: Payments, refunds: Iterable[Refund], telemetry: Telemetry
) -> Mapping[PaymentKey, Payment]:
    """The payments that the events show; if they cannot be read, events go without them."""
    keys = dict.fromkeys(map(payment_key_of, refunds))
    try:
        return payments(list(keys)) if keys else {}
    except Exception as error:  # noqa: BLE001 - the events are published without the payments
        telemetry.note("event_without_payment", error=type(error).__name__)
        return {}


def _sequence(announcement: Announcement) -> int:
    return int(announcement.detail["sequence"])
