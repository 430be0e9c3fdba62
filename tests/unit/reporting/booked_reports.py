"""What Stripe may do to a report, and what others may do meanwhile."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.ledger import Commit, LedgerConflictError
from tests.fakes.world import World


def booked(world: World) -> list[ReportParameters]:
    """What Stripe shows of the payment."""
    return [item.parameters for item in world.stripe.books.reports_of("pr_1")]


def mishaps(world: World) -> deque[Callable[[], object]]:
    """What happens before each of the next commits, one after the other."""
    commit, queue = world.ledger.commit, deque[Callable[[], object]]()

    def interrupted(written: Commit) -> None:
        if queue:
            queue.popleft()()
        commit(written)

    world.ledger.commit = interrupted  # type: ignore[method-assign, assignment]
    return queue


def raced() -> None:
    raise LedgerConflictError("race")


def changes_report(world: World) -> Callable[[], None]:
    """Somebody else writes the report of the refund ``k``: it has a new epoch then."""

    def happens() -> None:
        stored = world.stored("k")
        report = replace(stored.report, epoch=stored.report.epoch + 1)
        changed = replace(stored, report=report, revision=stored.revision + 1)
        world.ledger.refunds[stored.id] = changed

    return happens


def report_elsewhere(world: World, amount: int) -> None:
    """Another report of the payment is made in Stripe's dashboard."""
    at_s = world.clock.now_ms() // 1000
    world.stripe.report_elsewhere(
        ReportParameters(
            payment_record="pr_1",
            amount=amount,
            currency="sgd",
            refund_reference="somebody-else",
            initiated_at_s=at_s,
            refunded_at_s=at_s,
        )
    )
