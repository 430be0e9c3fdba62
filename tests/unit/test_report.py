"""Telling Stripe: once, whatever the message, the worker and the network do."""

import pytest

from refunds.refund import ReportParameters
from refunds.report import (
    ReportDeferredError,
    Reported,
    ReportFailedError,
    UnknownRefundError,
)
from refunds.state_machine import ReportState
from tests.fakes.book_fates import AnswerLost, Arrives, Fails, ReportLost, TurnedAway
from tests.fakes.processor_fates import NotSent
from tests.fakes.world import REPORT_LEASE_MS, World


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


def booked(world: World) -> list[ReportParameters]:
    """What Stripe shows of the payment."""
    return [item.parameters for item in world.book.books.reports_of("pr_1")]


def test_a_success_is_reported_with_the_parameters_frozen_then(world: World) -> None:
    refund = world.refund("k", amount=2500).refund
    assert world.report(refund.id) is Reported.REPORTED
    assert booked(world) == [refund.report.parameters]
    stored = world.stored("k")
    assert stored.report.state is ReportState.REPORTED
    assert stored.report.reported_at_ms is not None
    assert stored.next_check_ms is None
    assert (world.payment().booked, world.payment().report_due_count) == (2500, 0)


def test_messages_that_come_again_report_nothing(world: World) -> None:
    refund = world.refund("k").refund
    world.report(refund.id)
    for receive in (1, 2, 8):
        assert world.report(refund.id, receive=receive) is Reported.NOTHING_DUE
    assert len(world.book.asked) == 1


def test_a_refund_that_did_not_succeed_owes_nothing(world: World) -> None:
    world.processor.fates.append(NotSent())
    refund = world.refund("k").refund
    assert world.report(refund.id) is Reported.NOTHING_DUE
    assert world.book.asked == []


def test_a_message_for_a_refund_that_is_not_there_is_poison(world: World) -> None:
    with pytest.raises(UnknownRefundError):
        world.report("rfd_nowhere")


def test_a_second_worker_leaves_a_leased_report_alone(world: World) -> None:
    # Given a worker that died while it had the report
    refund = world.refund("k").refund
    now_ms = world.clock.now_ms()
    world.ledger.take_report(refund.id, now_ms=now_ms, lease_until_ms=now_ms + REPORT_LEASE_MS)
    # When another one gets the message, then it waits
    with pytest.raises(ReportDeferredError) as deferred:
        world.report(refund.id)
    assert deferred.value.leased
    assert world.book.asked == []
    # And after the lease it reports
    world.clock.advance(REPORT_LEASE_MS)
    assert world.report(refund.id, receive=2) is Reported.REPORTED


@pytest.mark.parametrize("fate", [ReportLost(), AnswerLost(), TurnedAway(3)])
def test_without_a_usable_answer_the_same_key_is_tried_again(world: World, fate: object) -> None:
    refund = world.refund("k").refund
    world.book.fates.append(fate)  # type: ignore[arg-type]
    with pytest.raises(ReportDeferredError):
        world.report(refund.id)
    assert world.stored("k").report.last_error
    assert world.report(refund.id, receive=2) is Reported.REPORTED
    assert world.book.asked == [f"{refund.id}:0"] * 2
    assert len(booked(world)) == 1


@pytest.mark.parametrize("was_booked", [True, False])
def test_a_500_is_stored_at_stripe_so_the_next_try_has_another_key(
    world: World, was_booked: bool
) -> None:
    # Given a Stripe that answers 500, and may have booked the refund all the same
    refund = world.refund("k", amount=2500).refund
    world.book.fates.append(Fails(booked=was_booked))
    with pytest.raises(ReportDeferredError):
        world.report(refund.id)
    # When the message comes again
    assert world.report(refund.id, receive=2) is Reported.REPORTED
    # Then it was asked under a new key, and booked once
    assert world.book.asked == [f"{refund.id}:0", f"{refund.id}:1"]
    assert len(booked(world)) == 1
    assert world.stored("k").report.state is ReportState.REPORTED


def test_a_report_whose_key_stripe_has_forgotten_is_not_booked_twice(world: World) -> None:
    refund = world.refund("k", amount=2500).refund
    world.book.fates.append(AnswerLost())
    with pytest.raises(ReportDeferredError):
        world.report(refund.id)
    world.book.forget_keys()
    assert world.report(refund.id, receive=2) is Reported.REPORTED
    assert len(booked(world)) == 1


def test_a_refusal_that_the_record_does_not_explain_is_for_a_person(world: World) -> None:
    # Given a record on which somebody else has reported all of it meanwhile
    refund = world.refund("k", amount=9999).refund
    assert refund.report.parameters is not None
    somebody = ReportParameters(
        payment_record="pr_1",
        amount=5000,
        currency="sgd",
        refund_reference="somebody-else",
        initiated_at_s=refund.report.parameters.initiated_at_s,
        refunded_at_s=refund.report.parameters.refunded_at_s,
    )
    world.book.report_elsewhere(somebody)
    # When ours is refused
    with pytest.raises(ReportFailedError):
        world.report(refund.id)
    # Then it is failed, and no further receive of that message asks again
    assert world.stored("k").report.state is ReportState.FAILED
    with pytest.raises(ReportFailedError):
        world.report(refund.id, receive=2)
    assert len(world.book.asked) == 1


def test_on_its_last_receive_an_unclear_report_is_failed(world: World) -> None:
    refund = world.refund("k").refund
    world.book.fates.append(ReportLost())
    with pytest.raises(ReportFailedError):
        world.report(refund.id, receive=8, last=True)
    assert world.stored("k").report.state is ReportState.FAILED
    assert world.payment().report_due_count == 0


def test_a_redriven_message_tries_a_failed_report_again_under_a_new_key(world: World) -> None:
    # Given a failed report
    refund = world.refund("k").refund
    world.book.fates.append(ReportLost())
    with pytest.raises(ReportFailedError):
        world.report(refund.id, receive=8, last=True)
    # When its message is redriven: received for the first time again
    assert world.report(refund.id, receive=1) is Reported.REPORTED
    # Then it was asked under a new key, and booked once
    assert world.book.asked == [f"{refund.id}:0", f"{refund.id}:1"]
    assert len(booked(world)) == 1


def test_a_refusal_is_not_judged_while_another_report_of_the_payment_is_due(world: World) -> None:
    # Given two reports due on one payment, one of which Stripe booked without telling
    one, two = (world.refund(key, amount=1000).refund for key in ("one", "two"))
    world.book.fates.extend([AnswerLost(), Arrives()])
    with pytest.raises(ReportDeferredError):
        world.report(one.id)
    world.book.forget_keys()
    # When the first is refused as a repeat, then it waits for the second
    with pytest.raises(ReportDeferredError):
        world.report(one.id, receive=2)
    assert world.report(two.id) is Reported.REPORTED
    # And is then found to be booked
    assert world.report(one.id, receive=3) is Reported.REPORTED
    assert [item.amount for item in booked(world)] == [1000, 1000]
