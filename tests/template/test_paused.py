"""`Paused`: with it nothing can move money, and all that only learns or tells goes on."""

import pytest

from tests.template.expansion import Expanded, expand

MOVES_MONEY = {"RefundApiFunction", "RefundRequestedFunction", "SettleRefundsFunction"}


@pytest.fixture(scope="module")
def paused() -> Expanded:
    return expand("production", Paused="true")


def switched_off(template: Expanded) -> set[str]:
    """The functions that are given no room to run."""
    return {
        name
        for name, function in template.of_type("AWS::Lambda::Function")
        if function.get("ReservedConcurrentExecutions") == 0
    }


def test_what_moves_money_cannot_run(paused: Expanded) -> None:
    assert switched_off(paused) == MOVES_MONEY


def test_and_is_not_called(paused: Expanded) -> None:
    """A schedule would only fail; a message would use up its receives, and end as a dead letter."""
    schedules = dict(paused.of_type("AWS::Scheduler::Schedule"))
    for what in ("SettleRefundsFunctionEveryMinute", "RefundApiFunctionDaily"):
        assert schedules[what]["State"] == "DISABLED"
    assert schedules["SweepChargesFunctionDaily"].get("State", "ENABLED") == "ENABLED"
    enabled = {
        name: mapping.get("Enabled", True)
        for name, mapping in paused.of_type("AWS::Lambda::EventSourceMapping")
    }
    assert enabled == {
        "RefundRequestedFunctionRequests": False,
        "ReportRefundFunctionReports": True,
        "PublishEventsFunctionLedgerChanges": True,
        "DeliverWebhooksFunctionWebhooks": True,
    }


def test_no_snapshot_is_asked_for_of_what_may_not_run(paused: Expanded) -> None:
    assert "SnapStart" not in paused.properties("RefundApiFunction")
    assert "SnapStart" in expand("production").properties("RefundApiFunction")


def test_a_new_function_is_one_or_the_other(paused: Expanded) -> None:
    """Webhook and sweep only look and learn; a report only tells."""
    functions = {name for name, _ in paused.of_type("AWS::Lambda::Function")}
    learns_or_tells = {
        "DeliverWebhooksFunction",
        "HitPayWebhookFunction",
        "PublishEventsFunction",
        "ReportRefundFunction",
        "SweepChargesFunction",
    }
    assert functions == MOVES_MONEY | learns_or_tells


def test_otherwise_everything_runs(template: Expanded) -> None:
    assert switched_off(template) == set()
    for _, schedule in template.of_type("AWS::Scheduler::Schedule"):
        assert schedule.get("State", "ENABLED") == "ENABLED"
    for _, mapping in template.of_type("AWS::Lambda::EventSourceMapping"):
        assert mapping.get("Enabled", True) is True
