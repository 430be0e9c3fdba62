"""The telemetry of the use cases: notes are counted, and alarms are kept."""

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Final

from refund_bridge.ports.ledger import LedgerUnavailableError
from tests.simulation.alarms import ALARMS
from tests.simulation.gate import Gate
from tests.simulation.violation import require

# Notes of a sweep that missed a payment; the next sweep reads it again.
MISSES: Final = frozenset(
    {
        "ClaimConflictError",
        "LedgerConflictError",
        "LedgerUnavailableError",
        "ProcessorUnavailableError",
        "StripeUnavailableError",
    }
)


class SimulatedTelemetry:
    """``ports.runtime.Telemetry``: counts the notes, and keeps the subjects of alarms."""

    def __init__(self, gate: Gate) -> None:
        self.counts: Counter[str] = Counter()
        self.alarms: defaultdict[str, set[object]] = defaultdict(set)
        self._gate = gate

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        self.counts[event] += 1
        if event == "settle_failed":
            expected = str(facts["error"]).startswith(LedgerUnavailableError.__name__)
            require(expected, "settling_raises_only_what_it_promises", facts)
        if event == "sweep_missed":
            require(facts["error"] in MISSES, "sweeping_misses_only_what_it_must", facts)
        if event in ALARMS:
            self.alarms[event].update(one for one in facts.values() if isinstance(one, str))
        self._gate.note("note", event, facts)
