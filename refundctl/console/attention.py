"""What somebody should look at now, in the words of `refundctl doctor`, with what to do."""

from collections.abc import Iterator, Sequence

from refundctl.checks import ledger, queues
from refundctl.checks.finding import Finding, Level, fail
from refundctl.console.activity import Activity
from refundctl.console.open_now import OpenNow
from refundctl.console.queues import Depths
from refunds.refund import Refund
from refunds.state_machine import ReportState


def attention(now: OpenNow, activity: Activity, depths: Sequence[Depths]) -> list[Finding]:
    """What is not as it should be, the worst first; nothing if all is well."""
    found = [one for one in _findings(now, activity, depths) if one.level is not Level.OK]
    return sorted(found, key=lambda one: one.level, reverse=True)


def given_up(activity: Activity) -> Sequence[Refund]:
    """The refunds that Stripe would not be told of, oldest first."""
    return [one for one in reversed(activity.refunds) if one.report.state is ReportState.FAILED]


def stuck(now: OpenNow, activity: Activity) -> Sequence[Refund]:
    """What has not come to its end, oldest first."""
    refunds = {one.id: one for one in (*now.refunds, *given_up(activity))}
    return sorted(refunds.values(), key=lambda one: (one.created_at_ms, one.id))


def _findings(now: OpenNow, activity: Activity, depths: Sequence[Depths]) -> Iterator[Finding]:
    yield from ledger.waiting(now.refunds, now.at_ms)
    for queue in depths:
        yield queues.dead_letters(queue.name, queue.dead)
        if queue.waiting is not None:
            yield queues.waiting(queue.name, queue.waiting)
    if failed := given_up(activity):
        told = ", ".join(refund.id for refund in failed[:3])
        yield fail(
            "reports given up",
            f"{len(failed)}, made in {activity.window.words}: {told}",
            "refundctl dlq replay --id ID, when the cause is mended",
        )
