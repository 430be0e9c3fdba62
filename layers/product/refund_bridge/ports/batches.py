"""The port that remembers a file of refunds (a batch) while it is worked on."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One refund of a batch.

    Attributes:
        refund_id: derived from its idempotency key.
        digest: of everything that is asked for by it; 11 characters.
    """

    refund_id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Refunds that somebody asks for together, under a name that they choose.

    Attributes:
        actor: who wrote it last.
        at_ms: when, Unix milliseconds.
        revision: counts its writes; 0 before the first.
    """

    name: str
    rows: tuple[BatchRow, ...]
    actor: str
    at_ms: int
    revision: int = 0


class BatchLog(Protocol):
    """Remembers the refunds of batches. Every method may raise ``LedgerUnavailableError``."""

    def batch(self, name: str) -> Batch | None:
        """The batch of that name."""

    def keep(self, batch: Batch) -> Batch:
        """Write the batch over the stored one with its revision (0: there is none); durable.

        Raises:
            LedgerConflictError: somebody else has written it meanwhile; nothing was written.
        """
