"""Money to a payment method: kept, listed, settled and told like any other refund."""

from typing import Any

import pytest

from refund_bridge.contract.refund_object import payment_object, refund_object
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import (
    CurrencyMismatchError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    PaymentBusyError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    RateLimitedError,
    RefundAmountExceededError,
)
from refund_bridge.domain.instruction import UnlinkedInstruction
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import PaymentMethodKind, ReferenceType, RefundType
from refund_bridge.domain.report import ReportParameters
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import Known
from refund_bridge.reading.listing import ListQuery
from refund_bridge.reporting.report import Reported
from tests.fakes.processor_fates import Conduct, NotSent, ReplyLost, RequestLost
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import STEP_MS, World

CUSTOMER = {"hsid": "9c80e161"}


@pytest.fixture
def world() -> World:
    """A processor that sends money to cards, and one that does not; a card ``method-1``."""
    made = World(doors=("ccg", "hitpay"))
    made.processor.books.methods["method-1"] = PaymentMethodKind.CARD
    made.processor.books.methods["bank-1"] = PaymentMethodKind.BANK_ACCOUNT
    return made


def unlinked(**more: Any) -> dict[str, Any]:
    """The request for 25.00 to that card."""
    return {
        "record": "method-1",
        "reference_type": ReferenceType.PAYMENT_METHOD,
        "customer": CUSTOMER,
        "amount": 2500,
        "currency": "usd",
        "processor": "ccg",
    } | more


def record(world: World, name: str = "pr_1", **more: Any) -> None:
    """A Payment Record of USD 99.99 that names no processor's payment."""
    facts: dict[str, Any] = {"currency": "usd", "requested": 9999, "guaranteed": 9999}
    world.stripe.add_record(FakeRecord(id=name, **(facts | {"metadata": {}} | more)))


class TestWithoutARecord:
    """Stripe is not told."""

    def test_the_money_goes_to_the_card_once(self, world: World) -> None:
        # When 25.00 is sent to a card, and asked for again under the same key
        asked = unlinked(
            payment_method_type=PaymentMethodKind.CARD, reason="duplicate", metadata={"a": "b"}
        )
        refund = world.refund("k", **asked).refund
        again = world.refund("k", **asked)
        # Then it was sent once, exactly as asked
        assert world.processor.instructions == [
            UnlinkedInstruction(
                refund_id=refund.id,
                money=Money(2500, "usd"),
                payment_method="method-1",
                kind=PaymentMethodKind.CARD,
                customer=CUSTOMER,
                reason="duplicate",
                metadata={"a": "b"},
            )
        ]
        assert (again.replayed, again.refund.state) == (True, State.SUCCEEDED)

    def test_it_is_not_reported(self, world: World) -> None:
        refund = world.refund("k", **unlinked()).refund
        assert (refund.report.state, refund.next_check_ms) == (ReportState.NOT_DUE, None)
        assert world.doorbell.rung == []
        assert world.report(refund.id) is Reported.NOTHING_DUE
        assert world.stripe.books.reports == []

    def test_each_stands_by_itself(self, world: World) -> None:
        # Given one whose outcome is unknown
        world.processor.fates.append(RequestLost())
        world.refund("k1", **unlinked())
        # Then another one does not wait for it
        assert world.refund("k2", **unlinked()).refund.state is State.SUCCEEDED

    def test_what_is_shown_of_it(self, world: World) -> None:
        answer = world.refund("k", **unlinked(reason="duplicate"))
        shown = refund_object(answer.refund, answer.payment)
        assert shown["processor_payment_id"] is None
        assert shown["payment_record"] is None
        assert shown["payment"] is None
        assert shown["payment_method"] == {"id": "method-1", "type": None}
        assert shown["processor_refund_id"] == answer.refund.processor_refund_id
        assert "hsid" not in str(shown)
        assert CUSTOMER["hsid"] not in str(shown)
        assert CUSTOMER["hsid"] not in repr(answer.refund)

    def test_it_is_listed(self, world: World) -> None:
        refund = world.refund("k", **unlinked()).refund
        page = world.list_refunds(ListQuery(limit=10))
        assert [one.id for one in page.refunds] == [refund.id]

    @pytest.mark.parametrize("fate", [ReplyLost(), RequestLost()])
    def test_without_an_answer_it_is_settled_by_its_key(self, world: World, fate: Any) -> None:
        world.processor.fates.append(fate)
        refund = world.refund("k", **unlinked()).refund
        assert refund.state is State.UNKNOWN
        world.settle_for(5 * STEP_MS)
        assert world.stored("k").state is State.SUCCEEDED
        assert len(world.processor.moved_by(refund.id)) == 1
        repeated = [False, True] if isinstance(fate, RequestLost) else [False]
        assert [instruction.repeated for instruction in world.processor.instructions] == repeated

    def test_it_is_followed_until_it_ends(self, world: World) -> None:
        world.processor.books.conduct = Conduct(
            ProcessorRefundStatus.PENDING, ProcessorRefundStatus.FAILED, 5 * STEP_MS
        )
        assert world.refund("k", **unlinked()).refund.state is State.PENDING
        world.settle_for(10 * STEP_MS)
        assert world.stored("k").state is State.FAILED

    def test_it_may_be_scheduled(self, world: World) -> None:
        assert world.refund("k", **unlinked(refund_type=RefundType.SCHEDULED)).refund.state is (
            State.REQUESTED
        )
        world.settle_for(2 * STEP_MS)
        assert world.stored("k").state is State.SUCCEEDED

    def test_a_bank_account_is_refused_and_the_key_is_spent(self, world: World) -> None:
        refund = world.refund("k", **unlinked(record="bank-1")).refund
        assert refund.state is State.REJECTED
        assert world.processor.books.refunds == {}

    def test_another_customer_is_another_request(self, world: World) -> None:
        world.refund("k", **unlinked())
        with pytest.raises(IdempotencyKeyReusedError):
            world.refund("k", **unlinked(customer={"hsid": "another"}))

    def test_who_sends_no_money_without_a_payment_is_not_asked(self, world: World) -> None:
        with pytest.raises(InvalidRequestError) as refused:
            world.refund("k", **unlinked(processor="hitpay"))
        assert refused.value.details["fields"][0]["path"] == "processor"
        assert world.doors["hitpay"].instructions == []
        assert world.ledger.refunds == {}

    def test_nor_who_is_not_set_up(self, world: World) -> None:
        with pytest.raises(PaymentNotLinkedError):
            world.refund("k", **unlinked(processor="hedge"))

    @pytest.mark.parametrize("missing", ["amount", "currency", "processor"])
    def test_what_is_left_open_nobody_guesses(self, world: World, missing: str) -> None:
        with pytest.raises(InvalidRequestError) as refused:
            world.refund("k", **unlinked(**{missing: None}))
        reason = "needs processor, amount and currency beside it"
        assert refused.value.details == {"fields": [{"path": "payment_method", "reason": reason}]}
        assert world.processor.instructions == []


class TestWithARecord:
    """Stripe is told, and the record's money is the limit."""

    def test_it_is_reported(self, world: World) -> None:
        record(world)
        refund = world.refund("k", **unlinked(report_to="pr_1")).refund
        assert world.doorbell.rung == [refund.id]
        assert world.report(refund.id) is Reported.REPORTED
        (report,) = world.stripe.books.reports
        assert report.parameters.payment_record == "pr_1"
        assert report.parameters.refund_reference == refund.processor_refund_id

    def test_its_record_is_looked_up_together_with_its_key(self, world: World) -> None:
        record(world)
        asked: list[tuple[str, str | None]] = []
        look_up = world.ledger.look_up

        def watched(refund_id: str, payment_record: str | None) -> Known:
            asked.append((refund_id, payment_record))
            return look_up(refund_id, payment_record)

        world.ledger.look_up = watched  # type: ignore[method-assign]
        with_one = world.refund("k1", **unlinked(report_to="pr_1")).refund
        without = world.refund("k2", **unlinked()).refund
        assert asked == [(with_one.id, "pr_1"), (without.id, None)]

    def test_what_is_shown_of_it_and_of_its_record(self, world: World) -> None:
        record(world)
        answer = world.refund("k", **unlinked(report_to="pr_1"))
        shown = refund_object(answer.refund, answer.payment)
        assert (shown["payment_record"], shown["processor_payment_id"]) == ("pr_1", None)
        assert shown["payment"]["refundable_amount"] == 7499
        read = world.read_payment("pr_1", deadline=world.deadline())
        assert payment_object(read)["processor_payment_id"] is None
        assert [one.id for one in read.newest.refunds] == [answer.refund.id]

    def test_all_of_them_together_never_exceed_it(self, world: World) -> None:
        # Given a record of 99.99, of which others have refunded 40.00
        record(world)
        theirs = ReportParameters(
            payment_record="pr_1",
            amount=4000,
            currency="usd",
            refund_reference="theirs",
            initiated_at_s=world.clock.now_ms() // 1000,
            refunded_at_s=world.clock.now_ms() // 1000,
        )
        world.stripe.report_refund(theirs, "their-key", world.deadline())
        # When 25.00 are sent twice, and then once more
        world.refund("k1", **unlinked(report_to="pr_1"))
        world.refund("k2", **unlinked(report_to="pr_1"))
        with pytest.raises(RefundAmountExceededError):
            world.refund("k3", **unlinked(report_to="pr_1"))
        # Then only what was left has moved
        assert len(world.processor.books.refunds) == 2

    def test_one_whose_outcome_is_unknown_holds_the_next(self, world: World) -> None:
        record(world)
        world.processor.fates.append(RequestLost())
        world.refund("k1", **unlinked(report_to="pr_1"))
        with pytest.raises(PaymentBusyError):
            world.refund("k2", **unlinked(report_to="pr_1"))

    def test_it_shares_the_limit_of_the_payment_that_the_record_books(self, world: World) -> None:
        # Given a payment of 99.99 at the same processor, of which 80.00 went back to it
        world.pay("2", currency="usd")
        world.refund("k1", record="pr_2", amount=8000)
        # When 25.00 are to go to another card
        with pytest.raises(RefundAmountExceededError):
            world.refund("k2", **unlinked(report_to="pr_2"))
        # Then only what is left can
        other = world.refund("k3", **unlinked(report_to="pr_2", amount=1999)).refund
        assert other.state is State.SUCCEEDED
        assert world.payment("2").refundable == 0
        for refund in world.ledger.refunds.values():
            assert world.report(refund.id) is Reported.REPORTED

    def test_a_record_of_another_processors_payment_is_refused(self, world: World) -> None:
        record(world, metadata={"hitpay_payment_id": "charge-1"})
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k", **unlinked(report_to="pr_1"))
        assert world.processor.instructions == []

    def test_the_record_books_no_payment_then(self, world: World) -> None:
        record(world)
        world.refund("k1", **unlinked(report_to="pr_1"))
        with pytest.raises(PaymentNotLinkedError) as refused:
            world.refund("k2", record="pr_1", amount=100)
        assert refused.value.details == {
            "object": "pr_1",
            "missing": "processor payment id",
            "expected_in": ["metadata.ccg_payment_id"],
        }

    def test_another_currency_is_refused(self, world: World) -> None:
        record(world, currency="sgd")
        with pytest.raises(CurrencyMismatchError):
            world.refund("k", **unlinked(report_to="pr_1"))

    def test_a_record_that_stripe_does_not_know_is_refused(self, world: World) -> None:
        with pytest.raises(PaymentNotFoundError):
            world.refund("k", **unlinked(report_to="pr_9"))
        assert world.processor.instructions == []


class TestDayLimit:
    """What a stage sends without a payment on one UTC day, in one currency, has a limit."""

    DAY_MS = 86_400_000
    NOON_MS = 1_709_208_000_000  # 2024-02-29T12:00:00Z
    TODAY = ("2024-02-29", "usd")
    TOMORROW = ("2024-03-01", "usd")

    @pytest.fixture
    def world(self) -> World:
        """Noon at a stage that sends at most 50.00 a day."""
        made = World(doors=("ccg", "hitpay"), payout_day_max=5000)
        made.processor.books.methods["method-1"] = PaymentMethodKind.CARD
        made.clock.advance(self.NOON_MS - made.clock.now_ms())
        return made

    def test_what_would_exceed_it_waits_for_the_next_day(self, world: World) -> None:
        # Given as much as is allowed
        world.refund("k1", **unlinked())
        world.refund("k2", **unlinked())
        assert world.ledger.payouts == {self.TODAY: 5000}
        # When a cent more is asked for, a second before midnight as well
        with pytest.raises(RateLimitedError, match="of 2024-02-29 would exceed 5000") as refused:
            world.refund("k3", **unlinked(amount=1))
        assert refused.value.retry_after_s == 43_200
        world.clock.advance(self.DAY_MS // 2 - 1)
        with pytest.raises(RateLimitedError) as refused:
            world.refund("k3", **unlinked(amount=1))
        assert refused.value.retry_after_s == 1
        # Then it is sent when that time is over, and not before
        assert len(world.processor.instructions) == 2
        world.clock.advance(1)
        assert world.refund("k3", **unlinked(amount=1)).refund.state is State.SUCCEEDED
        assert world.ledger.payouts == {self.TODAY: 5000, self.TOMORROW: 1}

    def test_each_currency_has_its_own(self, world: World) -> None:
        world.refund("k1", **unlinked(amount=5000))
        assert world.refund("k2", **unlinked(currency="eur")).refund.state is State.SUCCEEDED
        assert world.ledger.payouts == {self.TODAY: 5000, ("2024-02-29", "eur"): 2500}

    def test_one_that_was_not_sent_is_counted_once_a_day(self, world: World) -> None:
        # Given one that was not sent
        world.processor.fates.extend([NotSent()] * 3)
        world.refund("k", **unlinked())
        # When its key comes again on that day, and twice on the next
        world.refund("k", **unlinked())
        assert world.ledger.payouts == {self.TODAY: 2500}
        world.clock.advance(self.DAY_MS)
        world.refund("k", **unlinked())
        world.refund("k", **unlinked())
        # Then it was counted on each
        assert world.stored("k").state is State.SUCCEEDED
        assert world.ledger.payouts == {self.TODAY: 2500, self.TOMORROW: 2500}

    def test_a_scheduled_one_is_counted_when_it_is_accepted(self, world: World) -> None:
        world.refund("k", **unlinked(refund_type=RefundType.SCHEDULED))
        assert world.ledger.payouts == {self.TODAY: 2500}
        world.clock.advance(self.DAY_MS)
        world.settle_due()
        assert world.stored("k").state is State.SUCCEEDED
        assert world.ledger.payouts == {self.TODAY: 2500}
