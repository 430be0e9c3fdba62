"""The promises of ``StripeReports.report_refund``: booked once, refused, or unclear."""

from dataclasses import replace

import pytest

from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.stripe import ReportAccepted, ReportRefused, ReportUnclear
from tests.contract.stripe.worlds import StripeWorld
from tests.fakes.stripe_records import FakeRecord


@pytest.fixture(autouse=True)
def _paid(world: StripeWorld) -> None:
    world.add_record(FakeRecord("pr_1", "sgd", 9999, 9999))


@pytest.fixture
def parameters(world: StripeWorld) -> ReportParameters:
    return ReportParameters(
        payment_record="pr_1",
        amount=2500,
        currency="sgd",
        refund_reference="ref-1",
        initiated_at_s=world.now_s() - 1,
        refunded_at_s=world.now_s(),
    )


def test_a_report_is_booked(world: StripeWorld, parameters: ReportParameters) -> None:
    outcome = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(outcome, ReportAccepted)
    record = world.stripe.payment_record("pr_1", world.deadline())
    assert (record.amount_refunded, record.amount_guaranteed) == (2500, 7499)
    assert record.captured == 9999
    assert world.references("pr_1") == ["ref-1"]


def test_the_same_report_under_its_key_is_booked_once(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    for _ in range(2):
        outcome = world.stripe.report_refund(parameters, "key-0", world.deadline())
        assert isinstance(outcome, ReportAccepted)
    assert world.references("pr_1") == ["ref-1"]


def test_a_reference_is_booked_once_whatever_the_key(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.stripe.report_refund(parameters, "key-0", world.deadline())
    again = world.stripe.report_refund(parameters, "key-1", world.deadline())
    assert isinstance(again, ReportRefused)
    assert world.references("pr_1") == ["ref-1"]


def test_a_forgotten_key_leaves_the_reference_to_protect(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.stripe.report_refund(parameters, "key-0", world.deadline())
    world.forget_keys()
    again = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(again, ReportRefused)
    assert world.references("pr_1") == ["ref-1"]


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 10_000},
        {"amount": 0},
        {"currency": "usd"},
        {"payment_record": "pr_9"},
        {"refunded_at_s": 1_700_000_000_000},
        {"refunded_at_s": 1},
    ],
)
def test_a_report_that_cannot_be_is_refused(
    world: StripeWorld, parameters: ReportParameters, change: dict[str, int | str]
) -> None:
    wrong = replace(parameters, **change)  # type: ignore[arg-type]
    outcome = world.stripe.report_refund(wrong, "key-0", world.deadline())
    assert isinstance(outcome, ReportRefused)
    assert outcome.reason
    assert world.references("pr_1") == []


def test_a_payment_that_is_refunded_in_full_takes_no_more(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.stripe.report_refund(replace(parameters, amount=9999), "key-0", world.deadline())
    more = replace(parameters, amount=1, refund_reference="ref-2")
    outcome = world.stripe.report_refund(more, "key-1", world.deadline())
    assert isinstance(outcome, ReportRefused)
    assert outcome.code == "charge_already_refunded"


def test_a_report_that_got_lost_may_be_repeated_under_its_key(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.lose_report()
    lost = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(lost, ReportUnclear)
    assert not lost.new_epoch
    assert world.references("pr_1") == []
    outcome = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(outcome, ReportAccepted)


def test_a_report_whose_answer_got_lost_is_found_booked_under_its_key(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.lose_answer()
    lost = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(lost, ReportUnclear)
    assert not lost.new_epoch
    assert world.references("pr_1") == ["ref-1"]
    outcome = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(outcome, ReportAccepted)
    assert world.references("pr_1") == ["ref-1"]


def test_a_report_may_be_booked_after_we_gave_up(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.book_late()
    late = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(late, ReportUnclear)
    assert not late.new_epoch
    world.wait_for_late()
    assert world.references("pr_1") == ["ref-1"]
    outcome = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(outcome, ReportAccepted)


def test_a_stored_failure_needs_another_key(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.fail(booked=False)
    for _ in range(2):
        failed = world.stripe.report_refund(parameters, "key-0", world.deadline())
        assert isinstance(failed, ReportUnclear)
        assert failed.new_epoch
    assert world.references("pr_1") == []
    outcome = world.stripe.report_refund(parameters, "key-1", world.deadline())
    assert isinstance(outcome, ReportAccepted)


def test_a_failure_after_booking_shows_in_the_record_alone(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.fail(booked=True)
    failed = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(failed, ReportUnclear)
    assert failed.new_epoch
    again = world.stripe.report_refund(parameters, "key-1", world.deadline())
    assert isinstance(again, ReportRefused)
    assert world.stripe.payment_record("pr_1", world.deadline()).amount_refunded == 2500


def test_a_key_with_other_parameters_needs_another_key(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    world.stripe.report_refund(parameters, "key-0", world.deadline())
    other = replace(parameters, refund_reference="ref-2")
    outcome = world.stripe.report_refund(other, "key-0", world.deadline())
    assert isinstance(outcome, ReportUnclear)
    assert outcome.new_epoch
    assert world.references("pr_1") == ["ref-1"]


@pytest.mark.parametrize("status", [429, 409])
def test_being_turned_away_leaves_the_key_as_it_was(
    world: StripeWorld, parameters: ReportParameters, status: int
) -> None:
    world.turn_away(status)
    outcome = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(outcome, ReportUnclear)
    assert not outcome.new_epoch
    assert outcome.retry_after_s == (1 if status == 429 else None)
    assert world.references("pr_1") == []
    outcome = world.stripe.report_refund(parameters, "key-0", world.deadline())
    assert isinstance(outcome, ReportAccepted)


def test_it_is_unclear_if_stripe_cannot_be_reached(
    world: StripeWorld, parameters: ReportParameters
) -> None:
    outcome = world.unreachable().report_refund(parameters, "key-0", world.deadline())
    assert isinstance(outcome, ReportUnclear)
    assert not outcome.new_epoch
    assert world.references("pr_1") == []
