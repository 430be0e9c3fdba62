"""Payments that Stripe itself took are refunded at Stripe: which they are, and by what rules."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.contract.refund_object import payment_object, refund_object
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import (
    CurrencyMismatchError,
    InvalidRequestError,
    PaymentBusyError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    ProcessorUnavailableError,
    RefundAmountExceededError,
    RefundBridgeError,
)
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.payment_record import InvoicePayment, InvoicePaymentKind, StripeReference
from refund_bridge.domain.refund_request import ReferenceType, RefundType
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.events.announcements import announcements_of
from refund_bridge.reading.listing import ListQuery
from refund_bridge.refunding.locate_payment import VerifyCharge
from tests.fakes.processor_fates import Conduct, ReplyLost, RequestLost
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import HOLD_MS, STEP_MS, World

BY_INTENT: dict[str, Any] = {"record": "pi_1", "reference_type": ReferenceType.PAYMENT_INTENT}
BY_CHARGE: dict[str, Any] = {"record": "ch_1", "reference_type": ReferenceType.CHARGE}
BY_INVOICE: dict[str, Any] = {"record": "in_1", "reference_type": ReferenceType.INVOICE}
WAYS = [BY_INTENT, BY_CHARGE, BY_INVOICE]
DAY_MS = 24 * 3_600_000


@pytest.fixture(params=list(VerifyCharge))
def world(request: pytest.FixtureRequest) -> World:
    """HitPay is set up, and Stripe refunds what it took: SGD 99.99, paid on an invoice."""
    made = World(doors=("hitpay", "stripe"), verify_charge=request.param)
    made.pay_at_stripe()
    invoice(made, InvoicePaymentKind.PAYMENT_INTENT, "pi_1")
    return made


@pytest.fixture
def off() -> World:
    """The same payment in a stage where Stripe does not refund."""
    made = World(doors=("hitpay", "stripe"))
    made.pay_at_stripe()
    invoice(made, InvoicePaymentKind.PAYMENT_INTENT, "pi_1")
    del made.doors["stripe"]
    return made


def invoice(world: World, kind: InvoicePaymentKind, paid_by: str, amount: int = 9999) -> None:
    world.stripe.references["in_1"] = StripeReference(
        id="in_1", livemode=False, metadata={}, payments=(InvoicePayment(kind, paid_by, amount),)
    )


def intent(world: World, **facts: Any) -> None:
    """The PaymentIntent ``pi_1`` as Stripe shows it."""
    bare = StripeReference(id="pi_1", livemode=False, metadata={})
    world.stripe.references["pi_1"] = replace(bare, **facts)


def at_stripe(world: World) -> list[int]:
    """What really moved there, minor units."""
    made = world.doors["stripe"].books.of("ch_1")
    return [one.processor_refund.money.amount for one in made]


def payment(world: World) -> Payment:
    found = world.ledger.payment(PaymentKey("stripe", "ch_1"))
    assert found is not None
    return found


class TestWhichTheyAre:
    @pytest.mark.parametrize("way", WAYS)
    def test_one_call_refunds_it_at_stripe(self, world: World, way: dict[str, Any]) -> None:
        refund = world.refund("k", amount=2500, **way).refund
        assert (refund.state, refund.processor) == (State.SUCCEEDED, "stripe")
        assert (refund.processor_payment_id, refund.payment_intent) == ("ch_1", "pi_1")
        assert at_stripe(world) == [2500]
        assert world.doors["hitpay"].instructions == []

    def test_an_invoice_may_have_been_paid_by_a_charge(self, world: World) -> None:
        invoice(world, InvoicePaymentKind.CHARGE, "ch_1")
        refund = world.refund("k", **BY_INVOICE).refund
        assert (refund.invoice, refund.processor_payment_id) == ("in_1", "ch_1")
        assert at_stripe(world) == [9999]

    @pytest.mark.parametrize("paid", [5000, 12_000])
    def test_everything_of_an_invoice_that_took_a_part_is_asked_for(
        self, world: World, paid: int
    ) -> None:
        invoice(world, InvoicePaymentKind.CHARGE, "ch_1", paid)
        with pytest.raises(InvalidRequestError) as refused:
            world.refund("k", **BY_INVOICE)
        assert refused.value.param == "amount"
        assert world.refund("k", amount=100, **BY_INVOICE).refund.amount == 100

    @pytest.mark.parametrize("way", WAYS)
    def test_where_it_is_off_the_answer_stays_not_linked(
        self, off: World, way: dict[str, Any]
    ) -> None:
        with pytest.raises(PaymentNotLinkedError) as refused:
            off.refund("k", **way)
        assert set(refused.value.details) == {"object", "missing", "expected_in"}
        assert off.ledger.refunds == {}

    def test_an_outside_record_that_names_a_processor_is_never_refunded_at_stripe(
        self, world: World
    ) -> None:
        record = world.pay("2")
        world.stripe.books.records[record].reported_by = "self"
        intent(world, payment_record=record)
        refund = world.refund("k", amount=2500, **BY_INTENT).refund
        assert (refund.processor, refund.payment_record) == ("hitpay", record)
        assert at_stripe(world) == []

    @pytest.mark.parametrize("member", ["stripe_payment_id", "stripe_charge_id"])
    def test_no_metadata_of_a_record_lead_to_stripe(self, world: World, member: str) -> None:
        world.stripe.add_record(FakeRecord("pr_3", "sgd", 9999, 9999, metadata={member: "ch_1"}))
        with pytest.raises(PaymentNotLinkedError):
            world.refund("k", record="pr_3")
        with pytest.raises(PaymentNotLinkedError):
            world.refund("k", record="pr_3", processor="stripe")
        assert at_stripe(world) == []

    def test_a_payment_reference_is_not_looked_up_at_stripe(self, world: World) -> None:
        del world.doors["hitpay"]
        record = FakeRecord("pr_3", "sgd", 9999, 9999, payment_reference="ch_1")
        world.stripe.add_record(record)
        with pytest.raises(PaymentNotLinkedError):
            world.refund("k", record="pr_3")

    def test_an_outside_record_and_a_captured_charge_is_the_callers_choice(
        self, world: World
    ) -> None:
        # Given a PaymentIntent that two payments hang on
        record = world.pay("2")
        world.stripe.books.records[record].reported_by = "self"
        intent(world, payment_record=record, captured_charge="ch_1")
        # When it alone is named, then it is asked which
        with pytest.raises(PaymentLinkConflictError, match="payment_record or charge"):
            world.refund("k", **BY_INTENT)
        # And each of them is refunded where it was paid, if it is named
        assert world.refund("k1", record=record, amount=100).refund.processor == "hitpay"
        assert world.refund("k2", amount=100, **BY_CHARGE).refund.processor == "stripe"
        both = world.refund("k3", amount=100, charge="ch_1", **BY_INTENT).refund
        assert both.processor == "stripe"

    def test_a_record_of_stripes_own_is_refused_with_what_to_name(self, world: World) -> None:
        with pytest.raises(InvalidRequestError, match="name its PaymentIntent"):
            world.refund("k", record="pr_own_1")

    @pytest.mark.parametrize("asked", ["hitpay", "hedge"])
    def test_another_processor_that_is_named_is_a_conflict(self, world: World, asked: str) -> None:
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k", processor=asked, **BY_INTENT)
        assert world.refund("k", processor="stripe", **BY_INTENT).refund.amount == 9999


class TestAChargeBesideItsPaymentIntent:
    def test_of_one_payment_it_is_taken(self, world: World) -> None:
        refund = world.refund("k", amount=100, charge="ch_1", **BY_INTENT).refund
        assert (refund.processor_payment_id, refund.payment_intent) == ("ch_1", "pi_1")

    def test_of_another_it_is_refused_by_name(self, world: World) -> None:
        world.pay_at_stripe("2")
        with pytest.raises(InvalidRequestError) as refused:
            world.refund("k", charge="ch_2", **BY_INTENT)
        assert refused.value.param == "charge"
        assert world.ledger.refunds == {}

    def test_that_is_so_too_where_it_is_off(self, off: World) -> None:
        with pytest.raises(InvalidRequestError) as refused:
            off.refund("k", charge="ch_2", **BY_INTENT)
        assert refused.value.param == "charge"
        with pytest.raises(PaymentNotLinkedError):
            off.refund("k", charge="ch_1", **BY_INTENT)


class TestWhatIsNotRefundedThere:
    def refused(self, world: World, kind: type[RefundBridgeError], **way: Any) -> RefundBridgeError:
        with pytest.raises(kind) as refused:
            world.refund("k", **way)
        assert world.doors["stripe"].instructions == []
        assert world.ledger.refunds == {}
        return refused.value

    @pytest.mark.parametrize("way", [BY_INTENT, BY_CHARGE])
    def test_what_is_not_captured(self, world: World, way: dict[str, Any]) -> None:
        # Stripe would void the authorisation
        intent(world, authorised_charge="ch_1")
        world.doors["stripe"].books.charges["ch_1"].status = "pending"
        self.refused(world, PaymentNotRefundableError, **way)

    @pytest.mark.parametrize("way", [BY_INTENT, BY_CHARGE])
    @pytest.mark.parametrize(
        "member",
        ["transfer_data", "transfer", "destination", "application_fee_amount", "application_fee"],
    )
    def test_what_somebody_else_has_a_part_in(
        self, world: World, way: dict[str, Any], member: str
    ) -> None:
        # Its caller cannot say reverse_transfer here
        world.doors["stripe"].books.charges["ch_1"].shared = member
        error = self.refused(world, InvalidRequestError, **way)
        assert error.param == way["reference_type"].value
        assert member in str(error.details)

    def test_another_currency_is_compared(self, world: World) -> None:
        self.refused(world, CurrencyMismatchError, currency="usd", **BY_INTENT)

    def test_more_than_was_captured(self, world: World) -> None:
        self.refused(world, RefundAmountExceededError, amount=10_000, **BY_CHARGE)

    def test_a_charge_that_there_is_not(self, world: World) -> None:
        way = BY_CHARGE | {"record": "ch_nobodys"}
        self.refused(world, PaymentNotFoundError, **way)

    def test_when_stripe_does_not_show_the_charge_nothing_is_sent(self, world: World) -> None:
        world.doors["stripe"].is_down = True
        self.refused(world, ProcessorUnavailableError, **BY_CHARGE)


class TestNothingIsReported:
    def test_the_refund_says_that_there_is_nothing_to_tell(self, world: World) -> None:
        answer = world.refund("k", amount=2500, **BY_INTENT)
        told = refund_object(answer.refund, answer.payment)
        assert told["payment_record"] is None
        assert told["stripe_report"] == {
            "status": "not_due",
            "cause": "stripes_own",
            "attempts": 0,
            "reported_at": None,
            "last_error": None,
        }
        assert told["payment"]["refundable_amount"] == 7499

    def test_nor_does_any_path_of_settling_tell_stripe(self, world: World) -> None:
        world.doors["stripe"].books.conduct = Conduct(
            ProcessorRefundStatus.PENDING, ProcessorRefundStatus.SUCCEEDED, 3_600_000
        )
        world.refund("k", amount=2500, **BY_INTENT)
        assert world.stored("k").report.cause is ReportCause.STRIPES_OWN
        world.live_for(2 * 3_600_000)
        refund = world.stored("k")
        assert (refund.state, refund.report.state) == (State.SUCCEEDED, ReportState.NOT_DUE)
        assert refund.report.cause is ReportCause.STRIPES_OWN
        assert world.stripe.books.reports == []
        assert world.doorbell.rung == []

    def test_it_has_the_events_of_any_other_but_of_reports(self, world: World) -> None:
        answer = world.refund("k", amount=2500, **BY_INTENT)
        events = announcements_of(answer.refund, answer.payment, after_seq=0)
        assert [event.name for event in events] == ["Refund Succeeded"]

    def test_a_credit_note_is_not_owed(self) -> None:
        world = World(doors=("hitpay", "stripe"), credit_notes=True)
        world.pay_at_stripe()
        invoice(world, InvoicePaymentKind.PAYMENT_INTENT, "pi_1")
        world.refund("k", **BY_INVOICE)
        world.live_for(3_600_000)
        assert refund_object(world.stored("k"), None)["credit_note"] is None


class TestTheSameLedger:
    def test_a_key_is_answered_from_the_ledger(self, world: World) -> None:
        first = world.refund("k", amount=2500, **BY_INTENT)
        again = world.refund("k", amount=2500, **BY_INTENT)
        assert (again.replayed, again.refund.id) == (True, first.refund.id)
        assert at_stripe(world) == [2500]

    def test_a_payment_has_one_balance_however_it_is_named(self, world: World) -> None:
        for number, way in enumerate(WAYS):
            world.refund(f"k{number}", amount=2500, **way)
        assert world.refund("k9", **BY_CHARGE).refund.amount == 2499
        with pytest.raises(PaymentNotRefundableError):
            world.refund("k10", **BY_INTENT)

    def test_the_slot_is_held_while_an_outcome_is_unknown(self, world: World) -> None:
        world.doors["stripe"].fates.append(RequestLost())
        assert world.refund("k1", amount=100, **BY_INTENT).refund.state is State.UNKNOWN
        with pytest.raises(PaymentBusyError):
            world.refund("k2", amount=100, **BY_CHARGE)

    def test_a_scheduled_one_waits_for_its_turn(self, world: World) -> None:
        asked = {"amount": 100, "refund_type": RefundType.SCHEDULED, **BY_CHARGE}
        assert world.refund("k", **asked).refund.state is State.REQUESTED
        world.settle_for(2 * STEP_MS)
        assert world.stored("k").state is State.SUCCEEDED

    def test_all_its_refunds_are_listed_by_the_charge(self, world: World) -> None:
        # Given two refunds, each named in its own way, and one of the dashboard
        for number, way in enumerate((BY_INTENT, BY_CHARGE)):
            world.refund(f"k{number}", amount=100, **way)
        world.doors["stripe"].refund_in_dashboard("ch_1", 300)
        world.refund("k", amount=50, **BY_CHARGE)
        # When the charge's, or the PaymentIntent's, are listed
        of_charge = world.list_refunds(ListQuery(charge="ch_1"))
        of_intent = world.list_refunds(ListQuery(payment_intent="pi_1"))
        # Then all are there
        assert sorted(one.amount for one in of_charge.refunds) == [50, 100, 100, 300]
        assert {one.id for one in of_intent.refunds} == {one.id for one in of_charge.refunds}
        assert world.list_refunds(ListQuery(charge="ch_2")).refunds == []

    @pytest.mark.parametrize("named", ["ch_1", "pi_1"])
    def test_the_payment_is_read_by_either_name(self, world: World, named: str) -> None:
        seen = payment_object(world.read_payment(named, world.deadline()))
        assert (seen["processor"], seen["processor_payment_id"]) == ("stripe", "ch_1")
        assert (seen["refundable_amount"], seen["refunds"]["data"]) == (9999, [])
        assert world.ledger.payments == {}
        world.refund("k", amount=100, **BY_INTENT)
        seen = payment_object(world.read_payment(named, world.deadline()))
        assert (seen["refundable_amount"], seen["payment_record"]) == (9899, None)
        assert [one["amount"] for one in seen["refunds"]["data"]] == [100]
        assert seen["refunds"]["url"] == "/v1/refunds?charge=ch_1"


class TestWhatIsUnknown:
    def test_a_lost_answer_is_found_after_25_hours_and_was_sent_once(self, world: World) -> None:
        # Given a refund whose answer is lost
        world.doors["stripe"].fates.append(ReplyLost())
        assert world.refund("k", amount=2500, **BY_INTENT).refund.state is State.UNKNOWN
        # When Stripe has forgotten its key before anybody looks
        world.clock.advance(25 * 3_600_000)
        world.settle_due()
        # Then it is known for ours by our id, and there is one
        assert world.stored("k").state is State.SUCCEEDED
        world.refund("k", amount=2500, **BY_INTENT)
        assert at_stripe(world) == [2500]
        assert len(world.doors["stripe"].instructions) == 1

    def test_it_is_never_recognised_by_its_amount(self, world: World) -> None:
        # Given a refund that never arrived, and one of its amount that somebody made at once
        world.doors["stripe"].fates.append(RequestLost())
        world.refund("k", amount=2500, **BY_INTENT)
        world.doors["stripe"].refund_in_dashboard("ch_1", 2500)
        # When the hold is over
        world.settle_for(HOLD_MS + DAY_MS, every_ms=30 * STEP_MS)
        # Then a person decides about ours; and nothing was sent again
        assert world.stored("k").state is State.REVIEW
        assert len(world.doors["stripe"].instructions) == 1


class TestWhatOthersRefundThere:
    def test_it_is_imported_when_the_payment_is_read_next(self, world: World) -> None:
        world.doors["stripe"].refund_in_dashboard("ch_1", 4000)
        assert world.refund("k", **BY_INTENT).refund.amount == 5999
        (theirs,) = world.imported()
        assert (theirs.amount, theirs.report.cause) == (4000, ReportCause.STRIPES_OWN)
        assert theirs.report.state is ReportState.NOT_DUE
        assert (theirs.request.reference_type, theirs.request.reference_id) == (
            ReferenceType.CHARGE,
            "ch_1",
        )
        world.live_for(3_600_000)
        assert world.stripe.books.reports == []

    def test_what_is_pending_counts_too(self, world: World) -> None:
        world.doors["stripe"].books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.doors["stripe"].refund_in_dashboard("ch_1", 4000)
        with pytest.raises(RefundAmountExceededError):
            world.refund("k", amount=6000, **BY_INTENT)

    def test_the_daily_sweep_finds_it_on_a_payment_that_is_known(self, world: World) -> None:
        world.refund("k", amount=100, **BY_INTENT)
        world.doors["stripe"].refund_in_dashboard("ch_1", 4000)
        world.sweep(world.deadline_of(300_000))
        assert [one.amount for one in world.imported()] == [4000]

    def test_the_sweep_ignores_charges_that_are_not_known(self, world: World) -> None:
        world.pay_at_stripe("2")
        world.doors["stripe"].refund_in_dashboard("ch_2", 4000)
        assert world.sweep(world.deadline_of(300_000)) == 0
        assert world.ledger.payments == {}
        assert world.ledger.refunds == {}

    def test_however_old_it_is_nobody_is_to_tell_stripe_of_it(self, world: World) -> None:
        world.sweeps.sweep("stripe", begin_ms=world.clock.now_ms())
        world.doors["stripe"].refund_in_dashboard("ch_1", 4000, age_ms=40 * DAY_MS)
        world.refund("k", amount=100, **BY_INTENT)
        (theirs,) = world.imported()
        assert theirs.report.cause is ReportCause.STRIPES_OWN
        assert payment(world).before_adoption == 0


class TestTakenBack:
    def test_the_amount_is_given_back(self, world: World) -> None:
        # Given everything was refunded
        answer = world.refund("k", **BY_INTENT)
        assert payment(world).refundable == 0
        # When the bank sends the money back, and it is looked after
        world.doors["stripe"].books.set_status(
            answer.refund.processor_refund_id or "", ProcessorRefundStatus.FAILED
        )
        world.settle_for(2 * 3_600_000)
        # Then it may be refunded again: nothing was reported
        refund = world.stored("k")
        assert refund.late_failure_at_ms is not None
        assert world.noted("refund_taken_back")
        assert (payment(world).refundable, payment(world).refunded) == (9999, 0)
        again = world.refund("k2", **BY_INTENT)
        assert (again.refund.amount, again.refund.state) == (9999, State.SUCCEEDED)

    def test_one_that_is_shown_again_holds_its_amount_again(self, world: World) -> None:
        answer = world.refund("k", amount=4000, **BY_INTENT)
        bound = answer.refund.processor_refund_id or ""
        for status in (ProcessorRefundStatus.FAILED, ProcessorRefundStatus.SUCCEEDED):
            world.doors["stripe"].books.set_status(bound, status)
            world.settle_for(2 * DAY_MS, every_ms=60 * STEP_MS)
            world.clock.advance(DAY_MS)
        world.settle_for(5 * DAY_MS, every_ms=60 * STEP_MS)
        assert world.stored("k").late_failure_at_ms is None
        assert (payment(world).refundable, payment(world).moved) == (5999, 4000)
        assert world.stored("k").report.state is ReportState.NOT_DUE
