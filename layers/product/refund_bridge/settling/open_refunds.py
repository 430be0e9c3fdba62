"""Measures how many refunds are open, and for how long, so that operators see what is stuck.

Every minute this reads the ledger's index by status. The read is bounded: refunds of the last
``MONTHS`` months; of the open ones the ``OPEN_MAX`` that were created first, each read as it is
now; of those in review the count that the index shows. So with very many open refunds, ``pending``
and ``unknown`` count only the oldest ones; ``oldest_s`` and ``review`` stay right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import PUBLIC_STATUS, State
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.listing import Listing, OfMonth
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry

MONTHS: Final = 13
OPEN_MAX: Final = 200
# The least time left to begin one more read; each read is bounded by the client's own timeouts.
READ_MS: Final = 500
_PENDING: Final = PUBLIC_STATUS[State.PENDING]
_REVIEW: Final = PUBLIC_STATUS[State.REVIEW]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOpenRefunds:
    """Logs how many refunds are not final, and how old the oldest is (``open_refunds``)."""

    listing: Listing
    clock: Clock
    telemetry: Telemetry

    def __call__(self, deadline: Deadline) -> None:
        """Measure once. Never raises: if it cannot measure, it logs that."""
        now_ms = self.clock.now_ms()
        months = list(_months_until(now_ms))
        try:
            pending = self._pending(months, deadline)
            review = self._review(months, deadline)
        except Exception as error:  # noqa: BLE001 - what is measured must not wait for measuring
            self.telemetry.note("open_refunds_not_measured", error=type(error).__name__)
            return
        self.telemetry.note(
            "open_refunds",
            # Refunds in review are not in it: they wait for a person, and have their own alarm.
            oldest_s=max((now_ms - open_since_ms(one) for one in pending), default=0) // 1000,
            pending=len(pending),
            unknown=sum(one.state is State.UNKNOWN for one in pending),
            review=review,
        )

    def _pending(self, months: list[str], deadline: Deadline) -> list[Refund]:
        """The open refunds that were created first, without those that wait for a person."""
        ids: list[str] = []
        for month in months:
            _require_time(deadline)
            places = self.listing.oldest(OfMonth(month, _PENDING), limit=OPEN_MAX - len(ids))
            ids += [place.refund_id for place in places]
            if len(ids) >= OPEN_MAX:
                break
        _require_time(deadline)
        # The index lags behind: some of these refunds may be final by now.
        found = self.listing.refunds(ids).values()
        return [one for one in found if PUBLIC_STATUS[one.state] == _PENDING]

    def _review(self, months: list[str], deadline: Deadline) -> int:
        """How many refunds wait for a person."""
        total = 0
        for month in months:
            _require_time(deadline)
            total += self.listing.count(OfMonth(month, _REVIEW))
        return total


def open_since_ms(refund: Refund) -> int:
    """Since when the refund has been open: its creation, or the last time it began anew.

    A refund that was aborted is not open until its caller tries again, perhaps days later.
    """
    begun = (None, State.ABORTED)
    return next(
        (entry.at_ms for entry in reversed(refund.history) if entry.before in begun),
        refund.created_at_ms,
    )


def _require_time(deadline: Deadline) -> None:
    """Raise ``LedgerUnavailableError`` if too little time is left for another read."""
    if deadline.remaining_ms() < READ_MS:
        raise LedgerUnavailableError("no time left to measure")


def _months_until(now_ms: int) -> Iterator[str]:
    """The last ``MONTHS`` months of UTC, such as ``2024-02``, oldest first."""
    now = datetime.fromtimestamp(now_ms // 1000, tz=UTC)
    latest = now.year * 12 + now.month - 1
    for count in range(latest - MONTHS + 1, latest + 1):
        yield f"{count // 12:04d}-{count % 12 + 1:02d}"
