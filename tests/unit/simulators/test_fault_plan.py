"""The fault plan by itself: counting, chance, and what it refuses."""

from decimal import Decimal

import pytest

from local.simulators.calls import ApiCall
from local.simulators.faults import FaultPlan
from local.simulators.json_text import JsonObject


def call(operation: str = "refund.create", target: str = "") -> ApiCall:
    return ApiCall(operation, "POST", "/v1/refund", "http://h", target, {"payment_id": "c1"}, {})


def rule(**members: object) -> JsonObject:
    return {"provider": "hitpay", "operation": "refund.create", "fault": "status", **members}


def hits(plan: FaultPlan, count: int) -> list[bool]:
    return [plan.strike("hitpay", call()).decisive is not None for _ in range(count)]


def test_a_rule_strikes_as_often_as_it_says() -> None:
    plan = FaultPlan()
    plan.add(rule(times=2))
    assert hits(plan, 4) == [True, True, False, False]


def test_a_rule_without_a_count_strikes_until_it_is_cleared() -> None:
    plan = FaultPlan()
    plan.add(rule(times=None))
    assert hits(plan, 3) == [True] * 3
    plan.clear()
    assert hits(plan, 1) == [False]


def test_a_rule_spares_the_calls_that_come_before() -> None:
    plan = FaultPlan()
    plan.add(rule(times=1, after=2))
    assert hits(plan, 4) == [False, False, True, False]


def test_chance_is_seeded_and_so_repeats_exactly() -> None:
    # Given the same rule in two plans, and another seed in a third
    plans = [FaultPlan(), FaultPlan(), FaultPlan()]
    for plan, seed in zip(plans, (7, 7, 8), strict=True):
        plan.add(rule(probability=Decimal("0.3"), seed=seed))

    # When each sees two hundred calls
    first, second, third = (hits(plan, 200) for plan in plans)

    # Then the same seed gives the same calls, roughly as often as it says
    assert first == second != third
    assert 30 < sum(first) < 90


def test_rules_strike_in_order_and_one_decisive_one_at_a_time() -> None:
    plan = FaultPlan()
    plan.add(rule(times=1, status=500))
    plan.add(rule(times=1, status=503))
    plan.add(rule(fault="delay", seconds=1, times=None))
    first, second = plan.strike("hitpay", call()), plan.strike("hitpay", call())
    assert (first.label, second.label) == ("delay+status", "delay+status")
    assert [strike.decisive and strike.decisive.status for strike in (first, second)] == [500, 503]
    assert first.delay == 1


def test_a_rule_looks_at_provider_operation_and_subject() -> None:
    plan = FaultPlan()
    plan.add(rule(match="c1"))
    assert plan.strike("stripe", call()).decisive is None
    assert plan.strike("hitpay", call("charge.read")).decisive is None
    assert plan.strike("hitpay", call()).decisive is not None
    plan.clear("stripe")
    plan.add(rule(match="c2"))
    assert plan.strike("hitpay", call()).label is not None  # the first rule, not this one
    plan.clear("hitpay")
    assert plan.shown() == []


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"fault": "meteor"}, "fault must be one of"),
        ({"provider": "paypal"}, "provider must be one of"),
        ({"operation": "refund.make"}, "operation must be one of"),
        ({"fault": "late_commit"}, "late_commit needs seconds"),
        ({"seconds": -1}, "seconds must be a number"),
        ({"probability": 2}, "probability must be between"),
        ({"variant": "soup"}, "variant must be one of"),
        ({"colour": "red"}, "a fault rule has no colour"),
        ({"times": "2"}, "times must be an integer"),
    ],
)
def test_a_wrong_rule_is_refused_with_a_sentence(members: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultPlan().add(rule(**members))
