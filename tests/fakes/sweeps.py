"""Sweeps in memory; tests/contract/ledger runs the same tests on them and on the real ones."""

from dataclasses import replace

from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.sweeps import Sweep


class MemorySweeps:
    """``ports.sweeps.SweepLog`` in a dictionary."""

    def __init__(self) -> None:
        self.sweeps: dict[str, Sweep] = {}

    def sweep(self, processor: str, *, begin_ms: int) -> Sweep:
        begun = Sweep(processor=processor, since_ms=begin_ms, revision=1)
        return self.sweeps.setdefault(processor, begun)

    def move_sweep(self, before: Sweep, cursor: str | None, *, tries: int = 0) -> Sweep:
        stored = self.sweeps[before.processor]
        if stored.revision != before.revision:
            raise LedgerConflictError(f"the sweep of {before.processor} has moved")
        moved = replace(stored, cursor=cursor, tries=tries, revision=stored.revision + 1)
        self.sweeps[before.processor] = moved
        return moved
