"""Step 6: wake the reporter. The message carries an id, and losing it loses nothing."""

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.ports.queues import Doorbell, DoorbellError
from refund_bridge.ports.runtime import Telemetry


def ring_if_owed(refund: Refund, doorbell: Doorbell, telemetry: Telemetry) -> None:
    """Ring for the refund, if it owes a report that waits for nobody.

    A doorbell that is broken is no error. What others made is rung for by settling, later.
    """
    if refund.report.state is not ReportState.DUE or refund.report.last_ring_ms is None:
        return
    try:
        doorbell.ring(refund.id)
    except DoorbellError:
        # The report stays due in the ledger, and a due row is rung for again.
        telemetry.note("doorbell_lost", refund_id=refund.id)
