"""The port that remembers how far the daily sweep of each processor's payments has come."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How far the sweep of one processor's payments has come.

    Attributes:
        since_ms: what was refunded before then counts as older than this service.
        cursor: where the next run goes on; ``None``: at the newest payment.
        tries: how often the page at ``cursor`` could not be read.
    """

    processor: str
    since_ms: int
    cursor: str | None = None
    tries: int = 0
    revision: int = 0


class SweepLog(Protocol):
    """Remembers sweeps. Every method may raise ``LedgerUnavailableError``."""

    def sweep(self, processor: str, *, begin_ms: int) -> Sweep:
        """The sweep of that processor; the first call begins it, durably, with ``begin_ms``."""

    def move_sweep(self, before: Sweep, cursor: str | None, *, tries: int = 0) -> Sweep:
        """Move the sweep to ``cursor``, durably; ``tries`` as in ``Sweep``.

        Raises:
            LedgerConflictError: another run has moved it; nothing was written.
        """
