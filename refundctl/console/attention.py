"""What somebody should look at now, in the words of `refundctl doctor`, with what to do."""

from collections.abc import Iterator, Sequence

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState
from refundctl.checks import ledger, queues
from refundctl.checks.finding import Finding, Level
from refundctl.console.activity import Activity
from refundctl.console.open_now import OpenNow
from refundctl.depths import Depths
from refundctl.facts import first_of_all


def attention(now: OpenNow, activity: Activity, depths: Sequence[Depths]) -> list[Finding]:
    """The findings that are not as they should be, the worst first; empty if all is well."""
    found = [one for one in _findings(now, activity, depths) if one.level is not Level.OK]
    return sorted(found, key=lambda one: one.level, reverse=True)


def stuck(now: OpenNow, activity: Activity) -> Sequence[Refund]:
    """The refunds that are not at their end: those taken back first, then the oldest."""
    given_up = [
        one
        for one in activity.refunds
        if one.report.state is ReportState.FAILED or one.awaits_handling
    ]
    refunds = {one.id: one for one in (*now.refunds, *given_up)}
    return sorted(refunds.values(), key=first_of_all)


def _findings(now: OpenNow, activity: Activity, depths: Sequence[Depths]) -> Iterator[Finding]:
    yield ledger.taken_back([*now.refunds, *activity.refunds])
    yield from ledger.waiting(now.refunds, now.at_ms)
    for queue in depths:
        yield queues.dead_letters(queue.name, queue.dead)
        if queue.waiting is not None:
            yield queues.waiting(queue.name, queue.waiting)
    made = f"of those made in {activity.window.words}"
    yield from ledger.given_up(activity.refunds, made)
