"""Who may send money to a card that they name, and how much of it."""

from functools import partial
from typing import Any

import pytest

from refund_bridge.domain.errors import (
    ForbiddenError,
    InvalidRequestError,
    KeyInUseError,
    PaymentNotFoundError,
    ProcessorUnavailableError,
    RateLimitedError,
)
from refund_bridge.domain.payouts import AskedAt, UnlinkedRefunds, require_payout
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.refund_request import (
    PaymentMethodKind,
    ReferenceType,
    RefundRequest,
    RefundType,
)
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import Commit, Known
from refund_bridge.refunding.execute import Answer
from tests.fakes.api import execute_or_await
from tests.fakes.payouts import payout_rules
from tests.fakes.processor_fates import Answered, NotSent
from tests.fakes.world import STAGE, STEP_MS, World

DAY_MS = 86_400_000


@pytest.fixture
def world() -> World:
    return World(doors=("ccg",))


def payout(amount: int = 100, **more: Any) -> RefundRequest:
    return RefundRequest(
        reference_type=ReferenceType.PAYMENT_METHOD,
        reference_id="card-1",
        processor="ccg",
        customer={"hsid": "hs_1"},
        amount=amount,
        currency="usd",
        **more,
    )


def allow(request: RefundRequest, at: AskedAt, **rules: Any) -> None:
    payout_rules(**rules).require_allowed(request, at)


@pytest.mark.parametrize("unlinked", UnlinkedRefunds)
def test_the_route_of_refunds_sends_none_and_names_the_other(
    world: World, unlinked: UnlinkedRefunds
) -> None:
    with pytest.raises(InvalidRequestError, match="POST /v1/payouts") as refused:
        allow(payout(), AskedAt.REFUNDS, unlinked=unlinked)
    assert [one["path"] for one in refused.value.details["fields"]] == ["payment_method"]


@pytest.mark.parametrize(
    ("unlinked", "record", "is_sent"),
    [
        (UnlinkedRefunds.OFF, None, False),
        (UnlinkedRefunds.OFF, "pr_1", False),
        (UnlinkedRefunds.LINKED, None, False),
        (UnlinkedRefunds.LINKED, "pr_1", True),
        (UnlinkedRefunds.ON, None, True),
        (UnlinkedRefunds.ON, "pr_1", True),
    ],
)
def test_a_stage_sends_what_it_says(
    world: World, unlinked: UnlinkedRefunds, record: str | None, is_sent: bool
) -> None:
    request = payout(report_to=record)
    if is_sent:
        allow(request, AskedAt.PAYOUTS, unlinked=unlinked)
    else:
        with pytest.raises(ForbiddenError):
            allow(request, AskedAt.PAYOUTS, unlinked=unlinked)


def test_events_ask_for_it_only_if_that_is_said_apart(world: World) -> None:
    with pytest.raises(InvalidRequestError, match="not taken from events"):
        allow(payout(), AskedAt.EVENTS, by_events=False)
    allow(payout(), AskedAt.EVENTS, by_events=True)


def test_a_refund_of_a_payment_is_no_payout(world: World) -> None:
    request = RefundRequest(reference_type=ReferenceType.PAYMENT_RECORD, reference_id="pr_1")
    for at in (AskedAt.REFUNDS, AskedAt.EVENTS):
        allow(request, at, unlinked=UnlinkedRefunds.OFF, by_events=False)
    with pytest.raises(InvalidRequestError, match="payment_method is needed"):
        require_payout(request)
    require_payout(payout())


def test_one_is_of_no_more_than_the_most(world: World) -> None:
    allow(payout(1000), AskedAt.PAYOUTS, amount_max=1000)
    with pytest.raises(InvalidRequestError, match="more than 1000"):
        allow(payout(1001), AskedAt.PAYOUTS, amount_max=1000)


def test_a_repeat_of_what_the_ledger_knows_is_let_through_whatever_is_allowed_now(
    world: World,
) -> None:
    # Given a payout that was made while the stage still sent them
    world.processor.books.methods["card-1"] = PaymentMethodKind.CARD
    made = world.refund("k", record="card-1", **_asked(payout()))
    assert made.refund.id == refund_id_of("k", STAGE)
    # Then its key is answered by the ledger, at the route that it was asked at as well
    for at in AskedAt:
        answer = _repeated(world, "k", at, unlinked=UnlinkedRefunds.OFF, by_events=False)
        assert answer.replayed
    assert len(world.processor.instructions) == 1


@pytest.mark.parametrize(
    ("at", "rules", "refusal"),
    [
        (AskedAt.REFUNDS, {}, InvalidRequestError),
        (AskedAt.PAYOUTS, {"unlinked": UnlinkedRefunds.OFF}, ForbiddenError),
        (AskedAt.EVENTS, {"by_events": False}, InvalidRequestError),
    ],
)
@pytest.mark.parametrize("ends_after_ms", [0, 5_000])
def test_one_that_ends_without_having_been_sent_is_sent_anew_only_if_that_is_allowed_now(
    world: World, at: AskedAt, rules: dict[str, Any], refusal: type[Exception], ends_after_ms: int
) -> None:
    # Given a payout that another call is sending, and that ends unsent: at once, or while we wait
    world.processor.books.methods["card-1"] = PaymentMethodKind.CARD
    world.processor.fates.append(NotSent())
    made = world.refund("k", record="card-1", **_asked(payout()))
    assert made.refund.state is State.ABORTED
    ends_ms = world.clock.monotonic_ms() + ends_after_ms
    look_up = world.ledger.look_up

    def in_flight_until_then(refund_id: str, payment_record: str | None) -> Known:
        if world.clock.monotonic_ms() < ends_ms:
            raise KeyInUseError("In use.")
        return look_up(refund_id, payment_record)

    world.ledger.look_up = in_flight_until_then  # type: ignore[method-assign]
    # When it is repeated where, or while, no such thing may be asked for
    with pytest.raises(refusal):
        _repeated(world, "k", at, **rules)
    # Then nothing is sent; and where it may be, it is
    assert world.stored("k").state is State.ABORTED
    assert len(world.processor.instructions) == 1
    assert _repeated(world, "k", AskedAt.PAYOUTS).refund.state is State.SUCCEEDED


class TestTheSumOfADay:
    """What a day may come to is counted in the transaction that reserves each payout."""

    @pytest.fixture
    def desk(self) -> World:
        world = World(doors=("ccg",), payout_day_max=250)
        world.processor.books.methods["card-1"] = PaymentMethodKind.CARD
        return world

    def ask(self, world: World, key: str, **more: Any) -> Answer:
        return world.refund(key, record="card-1", **_asked(payout(**more)))

    def test_a_day_sends_no_more_than_the_most_and_the_next_one_again(self, desk: World) -> None:
        for key in "ab":
            self.ask(desk, key)
        with pytest.raises(RateLimitedError) as refused:
            self.ask(desk, "c")
        # Then nothing was stored or sent, and it is said when to ask again
        assert (len(desk.ledger.refunds), len(desk.processor.instructions)) == (2, 2)
        wait_s = refused.value.retry_after_s
        assert wait_s is not None
        assert wait_s * 1000 <= DAY_MS
        desk.clock.advance(wait_s * 1000)
        assert self.ask(desk, "c").refund.state is State.SUCCEEDED

    def test_what_was_never_reserved_counts_nothing(self, desk: World) -> None:
        # Given requests that fail before their amount is reserved
        with pytest.raises(PaymentNotFoundError):
            self.ask(desk, "a", report_to="pr_never")
        desk.in_doubt.add("ccg")
        desk.processor.is_down = True
        with pytest.raises(ProcessorUnavailableError):
            self.ask(desk, "b")
        desk.in_doubt.clear()
        # Then the whole day is left
        assert self.ask(desk, "c", amount=250).refund.state is State.SUCCEEDED

    def test_a_repeat_counts_nothing(self, desk: World) -> None:
        for _ in range(5):
            self.ask(desk, "a", amount=200)
        assert desk.ledger.payouts.total() == 200

    def test_a_refusal_is_not_taken_off_it(self, desk: World) -> None:
        desk.processor.fates.append(Answered(422, "No."))
        self.ask(desk, "a", amount=200)
        with pytest.raises(RateLimitedError):
            self.ask(desk, "b", amount=100)

    def test_what_was_not_sent_counts_once_on_each_day_on_which_it_is_tried(
        self, desk: World
    ) -> None:
        # Given a payout that certainly was not sent, twice on one day
        for _ in range(2):
            desk.processor.fates.append(NotSent())
            self.ask(desk, "a", amount=200)
        assert desk.ledger.payouts.total() == 200
        # When it is sent on the next, then it counts on that day as well
        desk.clock.advance(DAY_MS)
        assert self.ask(desk, "a", amount=200).refund.state is State.SUCCEEDED
        assert sorted(desk.ledger.payouts.values()) == [200, 200]
        with pytest.raises(RateLimitedError):
            self.ask(desk, "b", amount=51)

    def test_one_that_waits_counts_when_it_is_accepted(self, desk: World) -> None:
        self.ask(desk, "a", amount=200, refund_type=RefundType.SCHEDULED)
        desk.settle_for(3 * STEP_MS)
        assert desk.stored("a").state is State.SUCCEEDED
        assert desk.ledger.payouts.total() == 200

    def test_a_refund_of_a_payment_counts_nowhere(self) -> None:
        world = World(payout_day_max=0)
        world.pay()
        assert world.refund("k", amount=2500).refund.state is State.SUCCEEDED
        assert world.ledger.payouts.total() == 0

    def test_a_function_that_is_asked_for_none_reserves_none(self) -> None:
        world = World(doors=("ccg",), payout_day_max=0)
        world.processor.books.methods["card-1"] = PaymentMethodKind.CARD
        with pytest.raises(RateLimitedError):
            self.ask(world, "a", amount=1)
        assert world.processor.instructions == []

    def test_of_calls_that_race_for_the_rest_of_a_day_one_has_it(self, desk: World) -> None:
        # Given a call that is overtaken by another, after it has looked and before it reserves
        write = desk.ledger.commit
        raced: list[Answer] = []

        def overtaken(commit: Commit) -> None:
            if not raced and commit.payouts:
                desk.ledger.commit = write  # type: ignore[method-assign]
                raced.append(self.ask(desk, "b", amount=200))
            write(commit)

        desk.ledger.commit = overtaken  # type: ignore[method-assign]
        with pytest.raises(RateLimitedError):
            self.ask(desk, "a", amount=200)
        assert [one.refund.state for one in raced] == [State.SUCCEEDED]
        assert len(desk.processor.instructions) == 1


def _repeated(world: World, key: str, at: AskedAt, **rules: Any) -> Answer:
    """The answer to the payout under that key, asked for once more as the functions ask."""
    command = world.command(key, record="card-1", **_asked(payout()))
    allow = partial(payout_rules(**rules).require_allowed, command.request, at)
    return execute_or_await(world)(command, world.deadline(), allow)


def _asked(request: RefundRequest) -> dict[str, Any]:
    return {
        name: getattr(request, name)
        for name in (
            "reference_type",
            "processor",
            "customer",
            "amount",
            "currency",
            "refund_type",
            "report_to",
        )
    }
