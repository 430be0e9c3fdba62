"""Scenes with several processors in which a reviewer saw a refund lost, called wrongly, or told."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from refunds.adapters.breaker import FAILURES_MAX, OPEN_MS, Breaker
from refunds.adapters.deadline_http import DeadlineHttp, Limits
from refunds.adapters.guarded_ports import GuardedProcessor
from refunds.errors import InvalidRequestError, PaymentNotLinkedError
from refunds.evidence import Ambiguous, judge
from refunds.money import Money
from refunds.payment import PaymentKey
from refunds.ports import Movement, MovementStatus, RefundOrder, Rejected, Unknown
from refunds.processors.ccg import Ccg
from refunds.refund import PaymentMethodKind, RefundType
from refunds.report import Reported
from refunds.requests import validate_body
from refunds.resolve import ItFailed, ResolutionRefusedError, ResolveRefund
from refunds.settle import NOT_SET_UP, AfterHold
from refunds.state_machine import State
from tests.fakes.processor_fates import ReplyLost, RequestLost
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import HOLD_MS, STEP_MS, FakeTrail, World
from tests.unit.adapters.guarded_provider import DOWN
from tests.unit.processors.adapters import UNLINKED, ccg_error, ccg_settings
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer


class TestAScheduledRefundOfAProcessorThatIsNotSetUp:
    """As a release without its URL sees it, beside one that has it, or after a slip."""

    def test_it_waits_and_runs_when_the_processor_is_back(self) -> None:
        # Given a scheduled refund, and a release that lacks its processor's settings
        world = World(doors=("hedge",))
        world.pay()
        world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED)
        door = world.doors.pop("hedge")
        # When that one settles
        world.settle_for(10 * STEP_MS)
        # Then it was not called failed
        stored = world.stored("k")
        assert (stored.state, stored.last_look) == (State.REQUESTED, NOT_SET_UP)
        # And it runs where the processor is set up
        world.doors["hedge"] = door
        world.settle_for(HOLD_MS // 4)
        assert world.stored("k").state is State.SUCCEEDED


class TestAnotherAmountUnderOurOrder:
    """The processor shows that our order moved money, and not the amount that was ordered."""

    @pytest.fixture
    def world(self) -> World:
        """A refund without an answer, of which 24.00 went out instead of 25.00."""
        made = World(doors=("hedge",), after_hold=AfterHold.FAILED)
        made.pay()
        made.processor.books.names_orders = True
        made.processor.fates.append(ReplyLost())
        made.refund("k", amount=2500)
        (moved,) = made.processor.books.refunds.values()
        moved.movement = replace(moved.movement, money=Money(2400, "sgd"))
        return made

    def test_it_is_no_evidence_that_nothing_moved(self, world: World) -> None:
        charge = world.processor.charge("charge-1", world.deadline())
        assert isinstance(judge(world.stored("k"), charge, {}), Ambiguous)

    def test_a_person_decides_whatever_the_operator_chose(self, world: World) -> None:
        # When the hold is over
        world.settle_for(2 * HOLD_MS)
        # Then it has not failed, and its amount is held
        assert world.stored("k").state is State.REVIEW
        assert world.payment().refundable == 9999 - 2500

    @pytest.mark.parametrize("name", ["hedge", "hyperswitch"])
    def test_who_says_that_it_failed_is_shown_what_moved(self, name: str) -> None:
        # Given such a refund in review, long after it was sent
        world = World(doors=(name,))
        world.pay()
        world.processor.books.names_orders = True
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        (moved,) = world.processor.books.refunds.values()
        moved.movement = replace(moved.movement, money=Money(2400, "sgd"))
        world.settle_for(2 * HOLD_MS)
        assert world.stored("k").state is State.REVIEW
        resolve = ResolveRefund(
            ledger=world.ledger,
            processors=world.doors,
            recorder=world.execute.recorder,
            doorbell=world.doorbell,
            clock=world.clock,
            trail=world.trail,
            hold_ms=HOLD_MS,
            actor="cli:test",
        )
        # When somebody says that it failed, then the movement stands against it
        with pytest.raises(ResolutionRefusedError) as refused:
            resolve.weigh(refund.id, ItFailed("not seen"), world.deadline())
        assert refused.value.movements == (moved.movement.id,)


class TestALedgerThatWasRestored:
    """It has forgotten a refund, and the processor shows whose order moved the money."""

    @pytest.fixture(params=["hedge", "hyperswitch"])
    def world(self, request: pytest.FixtureRequest) -> World:
        """A refund that was executed, and a ledger that was restored to before it."""
        made = World(doors=(request.param,))
        made.pay()
        made.processor.books.names_orders = True
        made.refund("k", amount=2500)
        made.ledger.refunds.clear()
        made.ledger.payments.clear()
        made.ledger.records.clear()
        made.ledger.movements.clear()
        return made

    def test_it_is_not_executed_a_second_time(self, world: World) -> None:
        # When its caller repeats it
        refund = world.refund("k", amount=2500).refund
        # Then it is bound to what its first order moved, and Stripe hears of that once
        (moved,) = world.processor.books.refunds.values()
        assert (refund.state, refund.processor_refund_id) == (State.SUCCEEDED, moved.movement.id)
        assert world.imported() == []
        assert world.payment().refundable == 9999 - 2500
        assert world.report(refund.id) is Reported.REPORTED

    def test_another_amount_under_its_order_is_for_a_person(self, world: World) -> None:
        (moved,) = world.processor.books.refunds.values()
        moved.movement = replace(moved.movement, money=Money(2400, "sgd"))
        world.refund("k", amount=2500)
        world.settle_for(10 * STEP_MS)
        assert len(world.processor.books.refunds) == 1
        assert world.stored("k").state is State.REVIEW

    def test_one_that_failed_there_may_be_made_again(self) -> None:
        # Given an order that failed at the processor, which keeps no keys
        world = World(doors=("hedge",))
        world.pay()
        world.processor.books.names_orders = True
        failed = world.processor.books.arrive(
            RefundOrder(
                refund_id=world.command("k").refund_id,
                payment_id="charge-1",
                money=Money(2500, "sgd"),
            )
        )
        assert isinstance(failed, Movement)
        world.processor.books.set_status(failed.id, MovementStatus.FAILED)
        # When it is asked for, then it is sent
        refund = world.refund("k", amount=2500).refund
        assert refund.state is State.SUCCEEDED
        assert refund.processor_refund_id != failed.id

    def test_a_person_is_called_if_it_was_imported_as_somebody_elses(self, world: World) -> None:
        # Given that another refund has met the payment, so that the movement was imported
        world.refund("other", amount=100)
        # When its caller repeats it
        world.refund("k", amount=2500)
        world.settle_for(10 * STEP_MS)
        # Then money has moved once for it and once for the other, and somebody is called
        assert len(world.processor.books.refunds) == 2
        assert world.stored("k").state is State.REVIEW


class TestWhatIsNeverShown:
    """A refund without an outcome at a processor that never shows what would tell."""

    def test_a_payment_that_never_lists_its_refunds_is_for_a_person_after_the_hold(self) -> None:
        # Given a lost order, and payments that do not list their refunds
        world = World(doors=("hedge",), after_hold=AfterHold.FAILED)
        world.pay()
        world.processor.lists_refunds = False
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        # When the hold is not over, then it waits
        world.settle_for(HOLD_MS - 2 * STEP_MS)
        assert world.stored("k").state is State.UNKNOWN
        # When it is, then there is no evidence of anything, and a person decides
        world.settle_for(HOLD_MS)
        assert world.stored("k").state is State.REVIEW

    def test_so_is_a_payment_that_is_not_there_any_more(self) -> None:
        # Given a lost order, and an account that does not know the payment
        world = World(doors=("hedge",))
        world.pay()
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.processor.books.charges.clear()
        # When the hold is over
        world.settle_for(2 * HOLD_MS)
        # Then a person decides
        assert world.stored("k").state is State.REVIEW

    def test_an_outage_is_waited_for_as_long_as_it_lasts(self) -> None:
        # Given a lost order, and a processor that is away for longer than the hold
        world = World(doors=("hedge",))
        world.pay()
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.processor.is_down = True
        world.settle_for(2 * HOLD_MS)
        assert world.stored("k").state is State.UNKNOWN
        # When it is back, then the refund is found
        world.processor.is_down = False
        world.settle_for(HOLD_MS)
        assert world.stored("k").state is State.SUCCEEDED


class TestNewsOfAProcessorThatIsNotSetUp:
    """A webhook of one that was taken away."""

    @pytest.mark.parametrize("name", ["1", "unknown"])
    def test_it_is_refused_and_breaks_nothing(self, name: str) -> None:
        # Given a refund, and a stage that has lost its processor's settings
        world = World(doors=("hitpay",))
        world.pay()
        world.refund("k", amount=2500)
        world.doors.pop("hitpay")
        # When its webhook comes for that payment, or another
        with pytest.raises(PaymentNotLinkedError):
            world.observe(PaymentKey("hitpay", f"charge-{name}"), world.deadline())
        # Then what is known stays as it is
        assert world.stored("k").state is State.SUCCEEDED


class TestCustomersIdentifiers:
    """They are for the processor alone, whatever it says of them."""

    @pytest.mark.parametrize(
        "slip", [{"jane@example.com": 5}, {"jane@example.com": "Jane Doe"}, {"j\ud800": "x"}]
    )
    def test_a_slip_of_the_caller_is_told_without_them(self, slip: dict[str, Any]) -> None:
        # Given a caller who mistakes the members of a customer
        body = {"payment_method": {"id": "m"}, "customer": slip, "processor": "ccg"}
        # When it is refused, which is also told on the bus and kept beside a dead letter
        with pytest.raises(InvalidRequestError) as refused:
            validate_body(body | {"amount": 1, "currency": "usd"})
        # Then the answer says where, and repeats nothing
        assert {field["path"] for field in refused.value.details["fields"]} == {"customer"}
        assert "jane" not in str(refused.value.details).lower()

    @pytest.fixture
    def http(self) -> Iterator[DeadlineHttp]:
        caller = DeadlineHttp(FrozenWallClock(), limits=Limits(exchange_ms=5_000))
        yield caller
        caller.close()

    @pytest.mark.parametrize("spelt", ["9c80e161", "9C80E161"])
    def test_a_refusal_that_repeats_them_is_told_without_them(
        self, http: DeadlineHttp, spelt: str
    ) -> None:
        # Given a gateway that names the customer in its refusal
        refusal = ccg_error(f"No customer {spelt} has this method.", title=f"CUSTOMER_{spelt}")
        with RawServer(answer(400, refusal)) as server:
            adapter = Ccg(ccg_settings(server.url), key=StoredKey(), http=http)
            # When money is sent to that customer
            outcome = adapter.refund_unlinked(UNLINKED, FrozenWallClock().deadline())
        # Then what is kept, shown and told of the refusal does not name them
        assert outcome == Rejected("No customer *** has this method.", 400, "CUSTOMER_***")

    def test_nor_does_what_is_kept_of_an_outcome_that_is_not_known(
        self, http: DeadlineHttp
    ) -> None:
        # Given a gateway that refuses a repeat, and names the customer
        refusal = answer(400, ccg_error("Customer 9c80e161: merchantTransactionId was used."))
        with RawServer(refusal, answer(200, {"data": []})) as server:
            adapter = Ccg(ccg_settings(server.url), key=StoredKey(), http=http)
            outcome = adapter.refund_unlinked(
                replace(UNLINKED, repeated=True), FrozenWallClock().deadline()
            )
        assert isinstance(outcome, Unknown)
        assert "Customer ***" in outcome.reason
        assert "9c80e161" not in outcome.reason


class TestAnAdaptersOwnRefusal:
    """Nobody was asked, so nothing is known of the processor."""

    def test_it_does_not_close_the_circuit(self) -> None:
        # Given a gateway that failed too often, and was left alone for long enough
        clock = VirtualClock()
        key, settings = StoredKey(), ccg_settings("http://127.0.0.1:9")
        adapter = Ccg(settings, key=key, http=DeadlineHttp(clock))
        guarded = GuardedProcessor(adapter, Breaker("ccg", clock, FakeTrail()))
        adapter.movement = _fails  # type: ignore[method-assign, assignment]
        for _ in range(FAILURES_MAX):
            with pytest.raises(type(DOWN)):
                guarded.movement("refund-1", clock.deadline())
        clock.advance(OPEN_MS)
        # When an order comes that it is not asked for
        order = replace(UNLINKED, kind=PaymentMethodKind.BANK_ACCOUNT)
        outcome = guarded.refund_unlinked(order, clock.deadline())
        # Then the order is refused, and the gateway still has to prove itself by a read
        assert isinstance(outcome, Rejected)
        assert guarded.in_doubt


def _fails(*_: Any) -> Any:
    raise DOWN
