"""One refund from intention to doorbell, step by step, in a world in memory."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.adapters.dynamodb.checks import ITEM_BYTES_MAX
from refund_bridge.domain.errors import PaymentBusyError, PaymentNotRefundableError
from refund_bridge.domain.instruction import Instruction
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.domain.transitions import noted
from tests.contract.ledger.examples import why
from tests.fakes.processor_fates import Answered, ExecutedLate, NotSent, ReplyLost, RequestLost
from tests.fakes.world import LEASE_MS, STEP_MS, World


def test_a_success_is_entered_together_with_the_report_that_it_owes(world: World) -> None:
    # When a refund succeeds
    answer = world.refund("k", amount=2500)
    # Then the refund, its processor refund and its report's parameters are one
    refund = answer.refund
    assert (refund.state, refund.report.state) == (State.SUCCEEDED, ReportState.DUE)
    (processor_refund,) = world.processor.moved_by(refund.id)
    assert refund.processor_refund_id == processor_refund.id
    assert refund.report.parameters is not None
    assert refund.report.parameters.refund_reference == processor_refund.id
    assert refund.report.parameters.amount == 2500
    # And Stripe's times are seconds, the refund's not before its start
    assert refund.started_at_ms is not None
    assert refund.report.parameters.initiated_at_s == refund.started_at_ms // 1000
    assert refund.report.parameters.refunded_at_s >= refund.report.parameters.initiated_at_s
    # And the reporter was rung for
    assert world.doorbell.rung == [refund.id]
    assert [entry.after for entry in refund.history] == ["submitting", "succeeded", "report:due"]
    assert refund == world.ledger.refund(refund.id)
    assert (answer.replayed, answer.payment) == (False, world.payment())


def test_the_intent_is_durable_before_the_processor_is_asked(world: World) -> None:
    seen = []

    def look(_: object) -> NotSent:
        seen.append((world.stored("k").state, world.payment().slot, world.payment().held))
        return NotSent()

    world.processor.decide = look
    world.refund("k", amount=2500)
    assert seen == [(State.SUBMITTING, world.stored("k").id, 2500)]


@pytest.mark.parametrize("fate", [RequestLost(), ReplyLost(), ExecutedLate(5_000), Answered(500)])
def test_an_answer_that_says_nothing_leaves_the_refund_unknown_with_its_money_held(
    world: World, fate: object
) -> None:
    world.processor.fates.append(fate)  # type: ignore[arg-type]
    answer = world.refund("k", amount=2500)
    assert answer.refund.state is State.UNKNOWN
    assert world.payment().refundable == 7499
    assert world.payment().slot == answer.refund.id
    # And nothing that the caller does sends it again
    world.clock.advance(3 * LEASE_MS)
    assert world.refund("k", amount=2500).refund.state is State.UNKNOWN
    assert len(world.processor.instructions) == 1
    assert world.doorbell.rung == []


def test_another_refund_waits_while_one_may_be_moving_money(world: World) -> None:
    world.processor.fates.append(RequestLost())
    first = world.refund("k", amount=2500)
    with pytest.raises(PaymentBusyError) as busy:
        world.refund("other", amount=99_999_999)  # tested before the amounts
    assert busy.value.details == {"blocking_refund": {"id": first.refund.id, "status": "pending"}}
    assert len(world.processor.instructions) == 1


def test_a_refused_credential_of_which_there_is_another_is_no_attempt(world: World) -> None:
    # Given that the credential was rotated behind the cache
    world.processor.fates.append(Answered(403, replaced=True))
    # When a refund is asked for, then it is sent again at once, as the same attempt
    refund = world.refund("k").refund
    assert (refund.state, refund.attempt) == (State.SUCCEEDED, 1)
    assert len(world.processor.instructions) == 2
    assert len(world.processor.moved_by(refund.id)) == 1


def test_a_credential_that_stays_refused_is_sent_with_no_third_time(world: World) -> None:
    world.processor.fates.extend([Answered(403, replaced=True)] * 3)
    assert world.refund("k").refund.state is State.ABORTED
    assert len(world.processor.instructions) == 2
    assert (world.payment().held, world.payment().slot) == (0, None)


def test_no_answer_to_the_second_sending_is_unknown(world: World) -> None:
    world.processor.fates.extend([Answered(401, replaced=True), RequestLost()])
    assert world.refund("k").refund.state is State.UNKNOWN


def test_a_refusal_frees_the_money_and_spends_the_key(world: World) -> None:
    world.processor.fates.append(Answered(422, "Insufficient balance."))
    refused = world.refund("k")
    assert refused.refund.state is State.REJECTED
    assert refused.refund.failure is not None
    assert refused.refund.failure.message == "Insufficient balance."
    assert (world.payment().refundable, world.payment().slot) == (9999, None)
    assert world.refund("k").refund.state is State.REJECTED
    assert len(world.processor.instructions) == 1


def test_an_omitted_amount_is_what_is_left(world: World) -> None:
    world.refund("part", amount=2500)
    assert world.refund("rest").refund.amount == 7499
    with pytest.raises(PaymentNotRefundableError):
        world.refund("more")


def test_the_processors_wish_to_wait_is_passed_on(world: World) -> None:
    world.processor.fates.append(Answered(429, retry_after_s=120))
    failure = world.refund("k").refund.failure
    assert failure is not None
    assert failure.retry_after_s == 120


def test_a_lost_doorbell_loses_no_report(world: World) -> None:
    world.doorbell.is_broken = True
    answer = world.refund("k")
    assert answer.refund.state is State.SUCCEEDED
    assert answer.refund.report.state is ReportState.DUE
    assert answer.refund.next_check_ms is not None
    assert world.noted("doorbell_lost") == [{"refund_id": answer.refund.id}]


class TestInstruction:
    """What the processor is asked."""

    def test_it_is_the_stored_refund(self, world: World) -> None:
        asked: dict[str, Any] = {"amount": 2500, "reason": "duplicate", "metadata": {"a": "b"}}
        refund = world.refund("k", **asked).refund
        assert world.processor.instructions == [
            Instruction(
                refund_id=refund.id,
                payment_id="charge-1",
                money=Money(2500, "sgd"),
                reason="duplicate",
                metadata={"a": "b"},
                listed_before=frozenset(),
            )
        ]

    def test_the_log_says_when_it_was_sent_and_what_it_came_to(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        refund = world.refund("k").refund
        assert world.noted("refund_sending") == [{"refund_id": refund.id, "attempt": 1}]
        ((told, after),) = [(o["refund_id"], o["after"]) for o in world.noted("refund_moved")]
        assert (told, after) == (refund.id, "aborted")


def test_a_refund_that_owes_nothing_is_not_rung_for(world: World) -> None:
    refund = world.refund("k").refund
    world.execute.ring(replace(refund, report=replace(refund.report, state=ReportState.REPORTED)))
    assert world.doorbell.rung == [refund.id]


def test_a_scheduled_refund_is_sent_as_it_was_asked_for(world: World) -> None:
    # Given a scheduled refund
    asked = world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED).refund
    # When settling executes it
    world.settle_due()
    # Then request and source are as they were, by a call of its own
    done = world.stored("k")
    assert (done.request, done.source) == (asked.request, asked.source)
    assert [line.actor for line in done.history][:3] == ["api_key:test"] + ["settle_refunds"] * 2
    assert (done.attempt, done.token) == (1, "call-2")
    assert world.payment().moved == 2500


def test_a_history_that_has_grown_too_long_does_not_stop_the_outcome(
    world: World,
) -> None:
    # Given a refund whose history was filled to the limit while it was being sent
    def meanwhile(instruction: object) -> ReplyLost:
        refund = world.stored("k")
        line = why("note", text="x" * 1900)
        while len(refund.history) * 1900 < ITEM_BYTES_MAX:
            refund = noted(refund, line)
        world.ledger.refunds[refund.id] = refund
        return ReplyLost()

    world.processor.decide = meanwhile
    # When its answer is lost and settling finds out
    assert world.refund("k", amount=2500).refund.state is State.UNKNOWN
    world.settle_due()
    # Then what became of it is written, and told to Stripe
    assert world.stored("k").state is State.SUCCEEDED
    world.live_for(10 * STEP_MS)
    assert world.stored("k").report.state is ReportState.REPORTED
