"""Batches in memory; tests/contract/ledger runs the same tests on them and on the real ones."""

from dataclasses import replace

from refund_bridge.ports.batches import Batch
from refund_bridge.ports.ledger import LedgerConflictError


class MemoryBatches:
    """``ports.batches.BatchLog`` in a dictionary."""

    def __init__(self) -> None:
        self.batches: dict[str, Batch] = {}

    def batch(self, name: str) -> Batch | None:
        return self.batches.get(name)

    def keep(self, batch: Batch) -> Batch:
        stored = self.batches.get(batch.name)
        if (0 if stored is None else stored.revision) != batch.revision:
            raise LedgerConflictError(f"the batch {batch.name} has changed")
        kept = replace(batch, revision=batch.revision + 1)
        self.batches[batch.name] = kept
        return kept
