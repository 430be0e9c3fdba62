"""Step 6: wake the reporter. The message carries only an id; if it is lost, nothing is lost."""

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.ports.queues import Doorbell, DoorbellError
from refund_bridge.ports.runtime import Telemetry


def ring_if_owed(refund: Refund, doorbell: Doorbell, telemetry: Telemetry) -> None:
    """Ring for the refund, if its report is due and need not wait.

    A broken doorbell is no error. For external refunds settling rings later.
    """
    if refund.report.state is not ReportState.DUE or refund.report.last_ring_ms is None:
        return
    try:
        doorbell.ring(refund.id)
    except DoorbellError:
        # The report stays due in the ledger, and settling rings for it again.
        telemetry.note("doorbell_lost", refund_id=refund.id)
