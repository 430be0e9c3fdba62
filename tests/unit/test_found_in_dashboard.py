"""Refunds that somebody made in the dashboard, on payments that nobody asked us about."""

from dataclasses import replace
from typing import Any

import pytest

from refunds.errors import (
    PaymentLinkConflictError,
    ProcessorUnavailableError,
    StripeUnavailableError,
)
from refunds.imports import owed_at_first_sight
from refunds.link import VerifyCharge
from refunds.money import Money
from refunds.observe import Observed
from refunds.payment import PaymentKey
from refunds.ports import Movement, MovementStatus, PaymentRecord, StripeReference
from refunds.refund import Refund, ReportParameters, Source
from refunds.report import ReportDeferredError, ReportFailedError
from refunds.state_machine import ReportState, State
from tests.fakes.book_fates import AnswerLost
from tests.fakes.book_records import FakeRecord
from tests.fakes.processor_fates import Conduct
from tests.fakes.world import STEP_MS, World

CHARGE = PaymentKey("hitpay", "charge-1")
DAY_MS = 86_400_000
SWEEP_MS = 240_000


@pytest.fixture
def world() -> World:
    """One payment of SGD 99.99 that leads from the charge to ``pr_1`` by its PaymentIntent."""
    made = World()
    made.pay()
    made.processor.references["charge-1"] = "pi_1"
    made.book.references["pi_1"] = intent("pr_1")
    return made


def intent(record: str | None) -> StripeReference:
    named = {} if record is None else {"stripe_payment_record_id": record}
    return StripeReference(id="pi_1", livemode=False, metadata=named)


def in_dashboard(world: World, amount: int) -> Movement:
    moved = world.processor.refund_in_dashboard("charge-1", amount)
    assert isinstance(moved, Movement)
    return moved


def observe(world: World) -> Observed:
    return world.observe(CHARGE, world.deadline())


def imported(world: World) -> list[Refund]:
    found = [one for one in world.ledger.refunds.values() if one.source is Source.PROCESSOR]
    return sorted(found, key=lambda refund: refund.amount)


def noted(world: World, event: str) -> list[dict[str, Any]]:
    return [facts for name, facts in world.trail.notes if name == event]


class TestATraceThatLeadsToItsRecord:
    def test_the_refund_reaches_stripe(self, world: World) -> None:
        # Given a refund in the dashboard on a payment that is not in the ledger
        movement = in_dashboard(world, 2500)
        # When the webhook comes
        assert observe(world) is Observed.LEARNT
        # Then it is a refund here, linked, and its report is due and rung for
        (refund,) = imported(world)
        assert (refund.state, refund.payment_record) == (State.SUCCEEDED, "pr_1")
        assert world.doorbell.rung == [refund.id]
        # And Stripe is told of it, once
        world.report(refund.id)
        observe(world)
        (told,) = world.book.books.reports
        assert told.parameters.refund_reference == movement.id
        assert (told.parameters.amount, told.parameters.payment_record) == (2500, "pr_1")
        assert len(imported(world)) == 1

    def test_headroom_counts_it(self, world: World) -> None:
        in_dashboard(world, 2500)
        observe(world)
        assert world.payment().refundable == 9999 - 2500

    def test_one_that_is_pending_is_told_of_when_it_ends(self, world: World) -> None:
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        movement = in_dashboard(world, 2500)
        observe(world)
        (refund,) = imported(world)
        assert (refund.state, refund.report.state) == (State.PENDING, ReportState.NOT_DUE)
        world.processor.books.set_status(movement.id, MovementStatus.SUCCEEDED)
        observe(world)
        assert imported(world)[0].report.state is ReportState.DUE

    def test_what_is_older_than_this_service_is_not_told(self, world: World) -> None:
        # Given a refund that was made more than a day before anything was looked at
        in_dashboard(world, 2500)
        world.clock.advance(DAY_MS + STEP_MS)
        # When a newer one is made, and Stripe shows neither
        in_dashboard(world, 100)
        observe(world)
        # Then only the newer one is owed
        new, old = imported(world)
        assert (new.report.state, old.report.state) == (ReportState.DUE, ReportState.NOT_DUE)
        assert old.is_adopted

    def test_what_stripe_shows_already_is_not_told_again(self, world: World) -> None:
        # Given two refunds in the dashboard, the first of which was reported by somebody else
        first = in_dashboard(world, 2500)
        world.clock.advance(STEP_MS)
        in_dashboard(world, 100)
        report_elsewhere(world, first)
        observe(world)
        # Then only the second is owed
        second, known = imported(world)
        assert (second.report.state, known.report.state) == (ReportState.DUE, ReportState.NOT_DUE)

    def test_where_the_sums_do_not_fit_none_is_told(self, world: World) -> None:
        # Given two refunds, of which Stripe shows a part that is neither
        first = in_dashboard(world, 2500)
        world.clock.advance(STEP_MS)
        in_dashboard(world, 100)
        report_elsewhere(world, replace(first, money=Money(700, "sgd")))
        observe(world)
        # Then both wait for a person, and the log says so
        assert [one.report.state for one in imported(world)] == [ReportState.NOT_DUE] * 2
        assert noted(world, "stripe_shows_less_than_ledger") != []

    def test_a_busy_provider_is_asked_again_by_the_next_webhook(self, world: World) -> None:
        in_dashboard(world, 2500)
        world.book.is_down = True
        with pytest.raises(StripeUnavailableError):
            observe(world)
        world.book.is_down = False
        world.processor.is_down = True
        with pytest.raises(ProcessorUnavailableError):
            observe(world)
        assert world.ledger.payments == {}
        world.processor.is_down = False
        observe(world)
        assert len(imported(world)) == 1


class TestNoTraceOfStripe:
    @pytest.mark.parametrize("reference", [None, "order-1007", "pi_", "pi_1 pi_2", "PI_1"])
    def test_it_is_not_our_business(self, world: World, reference: str | None) -> None:
        world.processor.references.pop("charge-1")
        if reference is not None:
            world.processor.references["charge-1"] = reference
        in_dashboard(world, 2500)
        assert observe(world) is Observed.NO_TRACE_OF_STRIPE
        assert (world.ledger.payments, world.ledger.refunds) == ({}, {})

    def test_a_charge_that_is_not_there_is_nobodys(self, world: World) -> None:
        nobody = PaymentKey("hitpay", "charge-of-another-world")
        assert world.observe(nobody, world.deadline()) is Observed.NOT_FOUND

    def test_a_payment_of_which_nothing_was_refunded_is_left_alone(self, world: World) -> None:
        assert observe(world) is Observed.NOTHING_REFUNDED
        assert world.ledger.payments == {}


class TestATraceThatLeadsNowhere:
    @pytest.fixture
    def kept(self, world: World) -> World:
        """A dashboard refund whose PaymentIntent names no record, observed."""
        world.book.references["pi_1"] = intent(None)
        in_dashboard(world, 2500)
        assert observe(world) is Observed.LEARNT
        return world

    def test_it_is_kept_with_its_report_failed(self, kept: World) -> None:
        (refund,) = imported(kept)
        assert (refund.state, refund.payment_record) == (State.SUCCEEDED, None)
        assert (refund.report.state, refund.report.last_error) == (
            ReportState.FAILED,
            "payment_not_linked",
        )
        assert noted(kept, "report_failed") == [
            {"refund_id": refund.id, "reason": "payment_not_linked"}
        ]
        assert kept.payment().payment_record is None

    def test_nobody_is_rung_for_and_a_redriven_message_changes_nothing(self, kept: World) -> None:
        (refund,) = imported(kept)
        assert kept.doorbell.rung == []
        with pytest.raises(ReportFailedError, match="payment_not_linked"):
            kept.report(refund.id)
        assert imported(kept) == [refund]

    def test_once_is_enough(self, kept: World) -> None:
        before = imported(kept)
        observe(kept)
        assert imported(kept) == before

    def test_the_next_one_on_it_is_kept_as_well(self, kept: World) -> None:
        kept.clock.advance(STEP_MS)
        in_dashboard(kept, 100)
        observe(kept)
        assert [one.report.state for one in imported(kept)] == [ReportState.FAILED] * 2

    def test_one_that_ends_later_fails_to_be_reported_then(self, world: World) -> None:
        world.book.references["pi_1"] = intent(None)
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        movement = in_dashboard(world, 2500)
        observe(world)
        world.processor.books.set_status(movement.id, MovementStatus.SUCCEEDED)
        world.clock.advance(STEP_MS)
        world.settle_due()
        (refund,) = imported(world)
        assert (refund.state, refund.report.state) == (State.SUCCEEDED, ReportState.FAILED)
        assert len(noted(world, "report_failed")) == 1

    def test_when_the_link_is_mended_stripe_is_told(self, kept: World) -> None:
        # When somebody writes the missing id, and the charge is looked at again
        kept.book.references["pi_1"] = intent("pr_1")
        observe(kept)
        # Then the refund is linked, its report due and rung for
        (refund,) = imported(kept)
        assert (refund.payment_record, refund.report.state) == ("pr_1", ReportState.DUE)
        assert kept.doorbell.rung == [refund.id]
        kept.report(refund.id)
        assert [one.parameters.amount for one in kept.book.books.reports] == [2500]
        assert kept.payment().payment_record == "pr_1"
        assert kept.ledger.payment_of_record("pr_1") == CHARGE

    def test_the_sweep_finds_the_mended_link_without_a_webhook(self, kept: World) -> None:
        kept.book.references["pi_1"] = intent("pr_1")
        # When the daily sweep comes by, whose sums are what the ledger has
        kept.sweep(kept.deadline_of(SWEEP_MS))
        # Then Stripe is owed what was kept
        assert imported(kept)[0].report.state is ReportState.DUE
        # And when it was told, there is nothing left to look at
        kept.report(imported(kept)[0].id)
        assert kept.sweep(kept.deadline_of(SWEEP_MS)) == 0

    def test_the_sweep_finds_what_a_refund_of_the_payment_has_linked(self, kept: World) -> None:
        kept.refund("k", record="pr_1", amount=100)
        kept.sweep(kept.deadline_of(SWEEP_MS))
        assert imported(kept)[0].report.state is ReportState.DUE

    def test_a_worker_that_dies_between_link_and_reports_loses_none(self, kept: World) -> None:
        kept.book.references["pi_1"] = intent("pr_1")
        seen = kept.execute.resolver.sight(kept.command("x").request, None, kept.deadline())
        adopter = kept.execute.reservation.adopter
        adopter.carry_out(adopter.plan(seen.view))
        assert imported(kept)[0].report.state is ReportState.FAILED
        observe(kept)
        assert imported(kept)[0].report.state is ReportState.DUE

    def test_what_a_person_has_booked_meanwhile_is_not_told_again(self, kept: World) -> None:
        (refund,) = imported(kept)
        report_elsewhere(kept, next(iter(kept.processor.books.refunds.values())).movement)
        kept.book.references["pi_1"] = intent("pr_1")
        observe(kept)
        assert imported(kept)[0].report.state is ReportState.FAILED
        assert noted(kept, "link_found_but_booked") == [{"refund_id": refund.id}]

    def test_a_report_of_ours_does_not_hide_what_a_person_has_booked(self, kept: World) -> None:
        # Given that it was booked by hand, and a refund of ours of just that sum owes its report
        report_elsewhere(kept, next(iter(kept.processor.books.refunds.values())).movement)
        ours = kept.refund("k", record="pr_1", amount=2500).refund
        # When the payment is observed, then nobody can tell which of the two Stripe shows
        observe(kept)
        assert imported(kept)[0].report.state is ReportState.FAILED
        assert noted(kept, "link_found_but_booked") == []
        # And when ours is told, the other is known to be in the book
        kept.report(ours.id)
        observe(kept)
        assert imported(kept)[0].report.state is ReportState.FAILED
        assert kept.book.books.refunded("pr_1") == 5000
        assert len(noted(kept, "link_found_but_booked")) == 1

    def test_it_is_told_when_the_report_that_made_it_doubtful_has_ended(self, kept: World) -> None:
        # Given a report of ours that Stripe has booked, and whose answer was lost
        ours = kept.refund("k", record="pr_1", amount=2500).refund
        kept.book.fates.append(AnswerLost())
        with pytest.raises(ReportDeferredError):
            kept.report(ours.id)
        observe(kept)
        assert imported(kept)[0].report.state is ReportState.FAILED
        # When it is confirmed
        kept.report(ours.id, receive=2)
        observe(kept)
        # Then the other is owed
        assert imported(kept)[0].report.state is ReportState.DUE

    def test_a_report_that_is_made_while_stripe_is_read_hides_nothing(self, kept: World) -> None:
        # Given that it was booked by hand, and ours is told just after Stripe was read
        report_elsewhere(kept, next(iter(kept.processor.books.refunds.values())).movement)
        ours = kept.refund("k", record="pr_1", amount=2500).refund
        read = kept.book.payment_record

        def raced(*asked: Any) -> PaymentRecord:
            kept.book.payment_record = read  # type: ignore[method-assign]
            found = read(*asked)
            kept.report(ours.id)
            return found

        kept.book.payment_record = raced  # type: ignore[method-assign, assignment]
        observe(kept)
        assert imported(kept)[0].report.state is ReportState.FAILED

    def test_what_stripe_shows_is_not_taken_for_what_is_older(self, world: World) -> None:
        # Given a refund from before this service, and a new one that was booked by hand
        world.book.references["pi_1"] = intent(None)
        in_dashboard(world, 5000)
        world.clock.advance(DAY_MS + STEP_MS)
        new = in_dashboard(world, 2500)
        observe(world)
        report_elsewhere(world, new)
        # When the link is mended, then the sum does not fit, and none is told
        world.book.references["pi_1"] = intent("pr_1")
        observe(world)
        assert imported(world)[0].report.state is ReportState.FAILED

    def test_beside_what_stripe_shows_of_older_ones_it_is_told(self, world: World) -> None:
        world.book.references["pi_1"] = intent(None)
        old = in_dashboard(world, 5000)
        report_elsewhere(world, old)
        world.clock.advance(DAY_MS + STEP_MS)
        in_dashboard(world, 2500)
        observe(world)
        world.book.references["pi_1"] = intent("pr_1")
        observe(world)
        assert imported(world)[0].report.state is ReportState.DUE

    @pytest.mark.parametrize("by_webhook", [True, False])
    def test_one_that_ends_after_its_payment_was_linked_is_told(
        self, world: World, by_webhook: bool
    ) -> None:
        # Given one that is pending, and a refund of ours that links its payment
        world.book.references["pi_1"] = intent(None)
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        movement = in_dashboard(world, 2500)
        observe(world)
        world.processor.books.conduct = Conduct()
        world.refund("k", record="pr_1", amount=100)
        # When it ends, then Stripe is owed its report
        world.processor.books.set_status(movement.id, MovementStatus.SUCCEEDED)
        world.clock.advance(STEP_MS)
        if by_webhook:
            observe(world)
        else:
            world.settle_due()
        (refund,) = imported(world)
        assert (refund.payment_record, refund.report.state) == ("pr_1", ReportState.DUE)
        assert noted(world, "report_failed") == []

    def test_one_whose_end_a_webhook_tells_is_alarmed(self, world: World) -> None:
        world.book.references["pi_1"] = intent(None)
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        movement = in_dashboard(world, 2500)
        observe(world)
        world.processor.books.set_status(movement.id, MovementStatus.SUCCEEDED)
        observe(world)
        (refund,) = imported(world)
        alarm = {"refund_id": refund.id, "reason": "payment_not_linked"}
        assert noted(world, "report_failed") == [alarm]
        # And again with every look, until the link is mended
        world.sweep(world.deadline_of(SWEEP_MS))
        assert noted(world, "report_failed") == [alarm, alarm]

    def test_a_record_of_another_amount_is_no_link_though_no_charge_is_read(self) -> None:
        # Given a payment that was kept without a record, on a stage that reads no charges
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        world.processor.references["charge-1"] = "pi_1"
        in_dashboard(world, 2500)
        observe(world)
        # When a record that shows twice as much names the charge
        world.book.books.records["pr_1"].guaranteed = 2 * 9999
        # Then more than was paid is not refunded by it
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k", amount=9999)
        assert world.processor.orders == []
        assert world.payment().payment_record is None

    def test_a_refund_that_is_asked_for_links_the_payment(self, kept: World) -> None:
        # When somebody refunds the rest by its record
        done = kept.refund("k", record="pr_1").refund
        # Then the dashboard's refund counted, and the payment is linked
        assert (done.state, done.amount) == (State.SUCCEEDED, 9999 - 2500)
        assert kept.payment().payment_record == "pr_1"

    def test_another_record_cannot_take_it_then(self, kept: World) -> None:
        kept.refund("k", record="pr_1", amount=1)
        kept.book.add_record(
            FakeRecord(
                id="pr_other",
                currency="sgd",
                requested=9999,
                guaranteed=9999,
                metadata={"hitpay_payment_id": "charge-1"},
            )
        )
        with pytest.raises(PaymentLinkConflictError):
            kept.refund("other", record="pr_other", amount=1)

    def test_a_record_that_names_another_charge_is_no_link(self, world: World) -> None:
        world.pay("2")
        world.book.references["pi_1"] = intent("pr_2")
        in_dashboard(world, 2500)
        observe(world)
        (refund,) = imported(world)
        assert refund.report.last_error == "payment_not_linked"
        assert noted(world, "trace_leads_elsewhere") == [{"charge": "charge-1", "to": "charge-2"}]

    def test_an_intent_that_stripe_does_not_know_is_a_trace(self, world: World) -> None:
        world.book.references.clear()
        in_dashboard(world, 2500)
        observe(world)
        assert imported(world)[0].report.last_error == "payment_not_linked"


class TestALinkThatIsContradictedLater:
    def test_the_ledgers_link_stands_and_nothing_is_lost(self, world: World) -> None:
        # Given a payment that is linked, whose metadata somebody has changed since
        world.refund("k", amount=1)
        record = world.book.books.records["pr_1"]
        record.metadata = {"hitpay_payment_id": "charge-other"}
        world.clock.advance(STEP_MS)
        in_dashboard(world, 2500)
        # When the charge is observed
        observe(world)
        # Then the refund is kept for the record that the ledger knows, and the log says why
        (refund,) = imported(world)
        assert (refund.payment_record, refund.report.state) == ("pr_1", ReportState.DUE)
        assert noted(world, "link_disagrees") == [
            {"charge": "charge-1", "code": "payment_link_conflict"}
        ]


def report_elsewhere(world: World, movement: Movement) -> None:
    """Somebody tells Stripe of the movement, by a reference of their own."""
    world.book.report_elsewhere(
        ReportParameters(
            payment_record="pr_1",
            amount=movement.money.amount,
            currency="sgd",
            refund_reference=f"elsewhere-{movement.id}",
            initiated_at_s=1,
            refunded_at_s=world.clock.now_ms() // 1000,
        )
    )


def moved(name: str, amount: int, at_ms: int | None, **facts: Any) -> Movement:
    plain = Movement(
        id=name,
        payment_id="charge-1",
        money=Money(amount, "sgd"),
        status=MovementStatus.SUCCEEDED,
        created_at_ms=at_ms,
    )
    return replace(plain, **facts)


class TestWhatIsOwedAtFirstSight:
    OLD, NEW, NEWEST = moved("old", 500, 10), moved("new", 300, 20), moved("newest", 200, 30)

    @pytest.mark.parametrize(
        ("in_book", "owed"),
        [
            (0, {"new", "newest"}),  # the old one is missing too, but is not ours to tell
            (500, {"new", "newest"}),
            (800, {"newest"}),
            (1000, set()),
            (700, set()),
            (1200, set()),
            (None, {"new", "newest"}),
        ],
    )
    def test_it_is_the_newest_that_make_up_what_is_missing(
        self, in_book: int | None, owed: set[str]
    ) -> None:
        movements = (self.NEWEST, self.OLD, self.NEW)
        assert owed_at_first_sight(movements, in_book, 15) == owed

    def test_a_failed_one_is_never_owed(self) -> None:
        failed = moved("failed", 100, 20, status=MovementStatus.FAILED)
        assert owed_at_first_sight((failed,), 0, 15) == set()

    def test_a_pending_one_cannot_be_booked_yet(self) -> None:
        pending = moved("pending", 100, 20, status=MovementStatus.PENDING)
        assert owed_at_first_sight((self.OLD, pending), 500, 15) == {"pending"}

    def test_one_without_a_time_is_not_ours_to_tell(self) -> None:
        assert owed_at_first_sight((moved("m", 1, None),), 0, 15) == set()

    def test_one_of_the_very_moment_is_older(self) -> None:
        assert owed_at_first_sight((moved("m", 1, 15),), 0, 15) == set()
