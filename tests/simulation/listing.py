"""The ledger's listing behind the gate: an index that lags misses what was written last."""

from collections.abc import Mapping, Sequence

from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import LedgerUnavailableError
from tests.fakes.ledger import MemoryLedger
from tests.simulation.faults import Fault
from tests.simulation.gate import Gate


class SimulatedListing:
    """The methods of ``ports.listing.Listing`` that the use cases call."""

    def __init__(self, gate: Gate, memory: MemoryLedger) -> None:
        self._gate = gate
        self._memory = memory

    def refunds(self, refund_ids: Sequence[str]) -> Mapping[str, Refund]:
        """The refunds of those ids, as they are now."""
        fault = self._enter("listing.refunds", len(refund_ids))
        stored = self._memory.refunds
        found = {one: stored[one] for one in refund_ids if one in stored}
        self._gate.leave(fault)
        return found

    def every_refund(self, key: PaymentKey) -> Sequence[Refund]:
        """All refunds of the payment; the newest may be missing."""
        fault = self._enter("listing.every_refund", key.charge_id)
        found = [one for one in self._memory.refunds.values() if payment_key_of(one) == key]
        self._gate.leave(fault)
        return found[:-1] if fault is Fault.STALE else found

    def _enter(self, port: str, about: object) -> Fault | None:
        fault = self._gate.enter(port, about)
        if fault is Fault.UNAVAILABLE:
            raise LedgerUnavailableError("no answer")
        return fault
