"""A request that came as an event: accepted as a scheduled refund, put off, or set aside."""

from typing import Any

import pytest

from refund_bridge.domain.errors import (
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    KeyInUseError,
    OutcomeUnknownError,
    PaymentBusyError,
    ProcessorUnavailableError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refund_bridge.domain.refund_request import RefundType, Source
from refund_bridge.domain.state_machine import State
from refund_bridge.events.accept import AcceptRefund, Asked, Letter, RefuseRequest
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.queues import DeadLettersError
from refund_bridge.refunding.execute import Answer
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.processor_fates import NotSent, RequestLost
from tests.fakes.world import STAGE, STEP_MS, World
from tests.unit.domain.test_errors import FINAL


def accept(world: World, key: str, *, source: str = "demo.orders", **asked: Any) -> Answer:
    """An event asks for a refund under ``key``."""
    use_case = AcceptRefund(execute=world.execute, stage=STAGE, new_token=world.new_token)
    request = world.command(key, **asked).request
    event = Asked(id="e-1", source=source, idempotency_key=key, request=request)
    return use_case(event, world.deadline(), lambda: None)


@pytest.fixture
def world() -> World:
    world = World()
    world.pay()
    return world


@pytest.mark.parametrize("refund_type", RefundType)
def test_an_event_is_a_scheduled_refund_whatever_it_says(
    world: World, refund_type: RefundType
) -> None:
    answer = accept(world, "k", amount=2500, refund_type=refund_type)
    assert (answer.refund.state, answer.replayed) == (State.REQUESTED, False)
    assert answer.refund.request.refund_type is RefundType.SCHEDULED
    assert answer.refund.source is Source.EVENT
    assert answer.refund.history[0].actor == "event:demo.orders"
    assert world.processor.instructions == []


def test_it_is_executed_in_its_turn_once(world: World) -> None:
    accept(world, "k", amount=2500)
    world.settle_for(2 * STEP_MS)
    assert world.stored("k").state is State.SUCCEEDED
    assert len(world.processor.instructions) == 1


def test_an_event_that_comes_again_is_the_same_refund(world: World) -> None:
    first = accept(world, "k", amount=2500)
    again = accept(world, "k", amount=2500, source="demo.support")
    assert again.replayed
    assert again.refund == first.refund
    world.settle_for(2 * STEP_MS)
    accept(world, "k", amount=2500)
    assert len(world.processor.instructions) == 1


def test_a_call_and_then_an_event_with_its_key_are_one_refund(world: World) -> None:
    done = world.refund("k", amount=2500).refund
    answer = accept(world, "k", amount=2500)
    assert answer.replayed
    assert answer.refund.id == done.id
    assert len(world.processor.instructions) == 1


@pytest.mark.parametrize("refund_type", RefundType)
def test_an_event_and_then_a_call_with_its_key_are_one_refund(
    world: World, refund_type: RefundType
) -> None:
    accept(world, "k", amount=2500)
    answer = world.refund("k", amount=2500, refund_type=refund_type)
    assert answer.replayed
    assert answer.refund.state is State.REQUESTED
    world.settle_for(2 * STEP_MS)
    assert len(world.processor.instructions) == 1


def test_two_calls_still_differ_by_their_refund_type(world: World) -> None:
    world.refund("k", amount=2500)
    with pytest.raises(IdempotencyKeyReusedError):
        world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED)


def test_another_request_under_a_known_key_is_refused_through_every_channel(world: World) -> None:
    world.refund("k", amount=2500)
    with pytest.raises(IdempotencyKeyReusedError):
        accept(world, "k", amount=2600)
    accept(world, "e", amount=2500)
    with pytest.raises(IdempotencyKeyReusedError):
        world.refund("e", amount=2500, reason="duplicate")


def test_a_call_that_was_aborted_is_tried_again_by_an_event_with_its_key(world: World) -> None:
    world.processor.fates.append(NotSent())
    assert world.refund("k", amount=2500).refund.state is State.ABORTED
    answer = accept(world, "k", amount=2500)
    assert answer.refund.state is State.SUCCEEDED
    # The first never arrived.
    assert len(world.processor.books.of("charge-1")) == 1


def test_and_is_not_accepted_while_the_processor_cannot_be_asked(world: World) -> None:
    world.processor.fates.extend([NotSent(), NotSent()])
    world.refund("k", amount=2500)
    with pytest.raises(ProcessorUnavailableError):
        accept(world, "k", amount=2500)


def test_a_payment_whose_slot_is_taken_delays_the_event_and_loses_nothing(world: World) -> None:
    world.processor.fates.append(RequestLost())
    world.refund("slow", amount=100)
    assert accept(world, "k", amount=2500).refund.state is State.REQUESTED


# --- what is not accepted -------------------------------------------------------------------------

LETTER = Letter(body='{"a": 1}', id="e-1", source="demo.orders", refund_id="rfd_1", receive=3)
REFUSAL = InvalidRequestError(
    "The request is not of the contract's form.",
    details={"fields": [{"path": "amuont", "reason": "is not a field of this request"}]},
)
PASSING = [
    PaymentBusyError("Busy."),
    ProcessorUnavailableError("Away."),
    StripeUnavailableError("Away."),
]
UNCLEAR = [
    KeyInUseError("In use."),
    OutcomeUnknownError("Unknown."),
    LedgerUnavailableError("no answer"),
    ZeroDivisionError("customer@example.com"),
]


class Refusals:
    """Refusing, with a bus and dead letters that can be away."""

    def __init__(self) -> None:
        self.world = World()
        self.bus = FakeEventBus()
        self.dead = FakeDeadLetters()

    def refuse(self, error: Exception, *, last: bool = False) -> bool:
        use_case = RefuseRequest(
            bus=self.bus,
            dead_letters=self.dead,
            clock=self.world.clock,
            telemetry=self.world.telemetry,
        )
        return use_case(LETTER, error, self.world.deadline(), last=last)


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


def test_what_can_never_be_accepted_is_told_and_set_aside_with_its_reason(
    refusals: Refusals,
) -> None:
    assert refusals.refuse(REFUSAL)
    (told,) = refusals.bus.taken
    assert (told.id, told.name) == ("e-1:refused", "Refund Request Refused")
    assert refusals.dead.letters == [
        (
            '{"a": 1}',
            {
                "reason_code": "invalid_request",
                "reason": "The request is not of the contract's form.",
                "fields": "amuont: is not a field of this request",
                "outcome": "nothing_executed",
                "published": "true",
                "receives": "3",
                "refund_id": "rfd_1",
            },
        )
    ]


@pytest.mark.parametrize("kind", [*FINAL, ForbiddenError])
def test_every_final_refusal_is_set_aside_at_once(
    refusals: Refusals, kind: type[RefundBridgeError]
) -> None:
    assert refusals.refuse(kind("No."))
    assert refusals.dead.letters[0][1]["reason_code"] == kind.code


@pytest.mark.parametrize("error", [*PASSING, *UNCLEAR], ids=repr)
def test_what_waiting_may_mend_comes_back(refusals: Refusals, error: Exception) -> None:
    assert not refusals.refuse(error)
    assert (refusals.dead.letters, refusals.bus.taken) == ([], [])


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_at_the_end_of_waiting_it_is_a_refusal(refusals: Refusals, error: Exception) -> None:
    assert refusals.refuse(error, last=True)
    assert refusals.bus.names == ["Refund Request Refused"]
    assert refusals.dead.letters[0][1]["outcome"] == "nothing_executed"


@pytest.mark.parametrize("error", UNCLEAR, ids=repr)
def test_what_may_have_been_accepted_is_never_told_to_be_refused(
    refusals: Refusals, error: Exception
) -> None:
    assert refusals.refuse(error, last=True)
    assert refusals.bus.taken == []
    reasons = refusals.dead.letters[0][1]
    assert (reasons["outcome"], reasons["published"]) == ("unknown", "false")
    assert "customer@example.com" not in str(reasons)


def test_a_refusal_that_nobody_can_be_told_of_comes_back(refusals: Refusals) -> None:
    refusals.bus.is_away = True
    assert not refusals.refuse(REFUSAL)
    assert refusals.dead.letters == []


def test_but_at_the_end_it_is_set_aside_all_the_same(refusals: Refusals) -> None:
    refusals.bus.is_away = True
    assert refusals.refuse(REFUSAL, last=True)
    assert refusals.dead.letters[0][1]["published"] == "false"


def test_a_letter_that_cannot_be_set_aside_stays_in_its_queue(refusals: Refusals) -> None:
    refusals.dead.is_broken = True
    with pytest.raises(DeadLettersError):
        refusals.refuse(REFUSAL)


def test_a_refusal_is_told_under_one_id_however_often_it_comes_back(refusals: Refusals) -> None:
    refusals.dead.is_broken = True
    for _ in range(2):
        with pytest.raises(DeadLettersError):
            refusals.refuse(REFUSAL)
    assert {one.id for one in refusals.bus.taken} == {"e-1:refused"}
