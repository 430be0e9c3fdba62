"""The sweep compares every payment of the processor with the ledger, a bounded walk at a time."""

from contextlib import suppress
from dataclasses import replace

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefundStatus
from refund_bridge.domain.errors import ProcessorUnavailableError
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_record import StripeReference
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.observing.sweep_payments import PAGE_TRIES, STEP_MS
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.processor import ChargePage, ProviderUnavailableError, UnreadablePageError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.learn_from_charge import SINCE_MARGIN_MS
from tests.fakes.processor_fates import Conduct
from tests.fakes.world import World

LONG_MS = 240_000


@pytest.fixture
def world() -> World:
    """Three payments, each with its PaymentIntent, on pages of two."""
    made = World()
    for name in ("1", "2", "3"):
        made.pay(name)
        made.processor.references[f"charge-{name}"] = f"pi_{name}"
        made.stripe.references[f"pi_{name}"] = StripeReference(
            id=f"pi_{name}", livemode=False, metadata={"stripe_payment_record_id": f"pr_{name}"}
        )
    made.processor.page_size = 2
    return made


def sweep(world: World, milliseconds: int = LONG_MS) -> int:
    return world.sweep(world.deadline_of(milliseconds))


def swept(world: World) -> dict[str, object]:
    """What the last run said of itself."""
    return dict([facts for event, facts in world.telemetry.notes if event == "swept"][-1])


def cursor(world: World) -> str | None:
    return world.sweeps.sweeps["hitpay"].cursor


def test_a_processor_that_lists_no_payments_is_not_asked_for_them() -> None:
    # Given Hedge, which lists none, beside HitPay
    world = World(doors=("hitpay", "hedge"))
    asked: list[str] = []
    for name, processor in world.doors.items():
        processor.charges = lambda *_, name=name: asked.append(name) or ChargePage((), None)  # type: ignore[func-returns-value,method-assign]
    # When it sweeps
    assert sweep(world) == 0
    # Then only HitPay is asked
    assert set(asked) == {"hitpay"}


def test_refunds_of_the_dashboard_are_found_without_a_webhook(world: World) -> None:
    # Given refunds in the dashboard on the first and on the last page
    world.in_dashboard(2500, "1")
    world.in_dashboard(100, "3")
    # When it sweeps
    assert sweep(world) == 2
    # Then both are refunds here whose reports are due
    assert [one.report.state for one in world.imported()] == [ReportState.DUE] * 2
    assert swept(world) == {"processor": "hitpay", "pages": 2, "payments": 3, "differing": 2}


def test_what_the_ledger_knows_is_not_looked_at_again(world: World) -> None:
    world.in_dashboard(2500, "1")
    world.refund("k", record="pr_2", amount=100)
    sweep(world)
    assert sweep(world) == 0


def test_a_success_that_was_taken_back_is_seen_where_it_is_listed(world: World) -> None:
    world.refund("k", record="pr_2", amount=100)
    world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
    assert sweep(world) == 1
    assert world.stored("k").late_failure_at_ms is not None


def test_a_success_that_was_taken_back_and_restored_is_seen(world: World) -> None:
    # Given a refund whose money came back before Stripe was told of it
    refund = world.refund("k", record="pr_2", amount=100).refund
    world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
    assert sweep(world) == 1
    assert sweep(world) == 0
    # When it has moved after all, then the next sweep sees that, and Stripe is owed it
    world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
    assert sweep(world) == 1
    assert world.stored("k").late_failure_at_ms is None
    assert world.stored("k").report.state is ReportState.DUE
    told = {"refund_id": refund.id, "movement": "hitpay-refund-1"}
    assert world.noted("refund_restored") == [told]
    assert sweep(world) == 0


def test_what_was_known_as_a_sum_only_is_looked_at_until_it_is_listed(world: World) -> None:
    # Given a refund in the dashboard that a refund of ours saw as a sum only
    world.in_dashboard(2500, "2")
    world.processor.lists_refunds = False
    world.clock.advance(STEP_MS)
    world.refund("k", record="pr_2", amount=100)
    assert sweep(world) == 1
    assert world.imported() == []
    # When the charge lists it, then it becomes a refund here
    world.processor.lists_refunds = True
    assert sweep(world) == 1
    assert [one.amount for one in world.imported()] == [2500]
    assert sweep(world) == 0


def test_a_sum_that_is_not_shown_any_more_is_forgotten(world: World) -> None:
    # Given a refund in the dashboard that is known as a sum only, and that failed afterwards
    made = world.in_dashboard(2500, "2")
    world.processor.lists_refunds = False
    world.clock.advance(STEP_MS)
    world.refund("k", record="pr_2", amount=100)
    assert world.payment("2").refundable == 9999 - 2600
    world.processor.books.set_status(made.id, ProcessorRefundStatus.FAILED)
    # When it sweeps, then as much may be refunded again
    assert sweep(world) == 1
    assert world.payment("2").refundable == 9999 - 100
    assert sweep(world) == 0


def test_paying_again_what_was_taken_back_is_seen_though_the_sums_are_the_same(
    world: World,
) -> None:
    # Given a refund whose money came back, and that was paid again in the dashboard
    world.refund("k", record="pr_2", amount=2500)
    world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
    world.clock.advance(STEP_MS)
    world.in_dashboard(2500, "2")
    # When it sweeps, then it learns of both
    assert sweep(world) == 1
    assert world.stored("k").late_failure_at_ms is not None
    assert [one.amount for one in world.imported()] == [2500]


def test_a_pending_refund_of_the_dashboard_counts_before_it_is_done(world: World) -> None:
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    world.in_dashboard(2500, "2")
    assert sweep(world) == 1
    assert world.payment("2").refundable == 9999 - 2500


def test_a_page_with_very_many_refunds_is_compared_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refund_bridge.observing.sweep_payments.PROCESSOR_REFUNDS_MAX", 2)
    for _ in range(5):
        world.in_dashboard(100, "3")
    sweep(world)
    assert len(world.imported()) == 5
    assert sweep(world) == 0


def test_it_begins_at_the_newest_again_when_it_has_come_to_the_end(world: World) -> None:
    sweep(world)
    assert cursor(world) is None
    world.in_dashboard(100, "3")
    assert sweep(world) == 1


def test_a_short_run_is_gone_on_with_by_the_next(world: World) -> None:
    # Given time for a page, as the clock runs
    world.in_dashboard(100, "1")
    charges = world.processor.charges

    def slow(at: str | None, deadline: Deadline) -> ChargePage:
        world.clock.advance(STEP_MS)
        return charges(at, deadline)

    world.processor.charges = slow  # type: ignore[method-assign, assignment]
    assert sweep(world, 3 * STEP_MS) == 0
    assert cursor(world) == "2"
    # When the next run comes, then it finds what the first did not reach
    assert sweep(world, 4 * STEP_MS) == 1
    assert cursor(world) is None


def test_a_page_that_was_not_finished_is_begun_again(world: World) -> None:
    world.in_dashboard(100, "3")
    world.in_dashboard(100, "2")
    charge = world.processor.charge

    def slow(charge_id: str, deadline: Deadline) -> object:
        world.clock.advance(STEP_MS)
        return charge(charge_id, deadline)

    page = replace(world.processor.charges(None, world.deadline()), cursor=None)
    world.processor.charges = lambda *_: page  # type: ignore[method-assign]
    world.processor.charge = slow  # type: ignore[method-assign, assignment]
    sweep(world, 2 * STEP_MS + 1)
    assert (world.sweeps.sweeps["hitpay"].revision, len(world.imported())) == (1, 1)
    sweep(world, 10 * STEP_MS)
    assert len(world.imported()) == 2


def test_without_time_for_a_page_and_its_payments_nothing_is_begun(world: World) -> None:
    world.processor.is_down = True
    assert sweep(world, 2 * STEP_MS) == 0


def unreadable(world: World, at: str | None) -> None:
    """The page of the list that begins there cannot be read."""
    charges = world.processor.charges

    def asked(cursor: str | None, deadline: Deadline) -> ChargePage:
        if cursor == at:
            raise UnreadablePageError("no data", "2")
        return charges(cursor, deadline)

    world.processor.charges = asked  # type: ignore[method-assign]


@pytest.mark.parametrize("place", [None, "1"])
def test_a_page_that_cannot_be_read_rings_and_is_passed_after_some_tries(
    world: World, place: str | None
) -> None:
    # Given a page that cannot be read, and a refund on the one behind it
    world.sweeps.sweep("hitpay", begin_ms=0)
    world.sweeps.sweeps["hitpay"] = replace(world.sweeps.sweeps["hitpay"], cursor=place)
    world.in_dashboard(100, "1")
    unreadable(world, place)
    # When it sweeps so often that the page is given up
    for _ in range(PAGE_TRIES):
        with pytest.raises(ProcessorUnavailableError):
            sweep(world)
        assert not world.imported()
    # Then every run said so, and the next one goes on behind it
    missed = [event for event, _ in world.telemetry.notes if event.startswith("sweep_page")]
    assert missed == [*["sweep_page_missed"] * PAGE_TRIES, "sweep_page_passed"]
    assert cursor(world) == "2"
    with suppress(ProcessorUnavailableError):
        sweep(world)
    assert len(world.imported()) == 1


def test_a_page_that_can_be_read_again_has_all_its_tries_again(world: World) -> None:
    world.sweeps.sweep("hitpay", begin_ms=0)
    world.sweeps.sweeps["hitpay"] = replace(world.sweeps.sweeps["hitpay"], cursor="2", tries=1)
    sweep(world)
    assert world.sweeps.sweeps["hitpay"].tries == 0


def test_the_newest_page_cannot_be_read_and_the_walk_goes_on_all_the_same(world: World) -> None:
    # Given a walk that has come to the last page, and a newest page that cannot be read
    world.sweeps.sweep("hitpay", begin_ms=0)
    world.sweeps.sweeps["hitpay"] = replace(world.sweeps.sweeps["hitpay"], cursor="2")
    world.in_dashboard(100, "1")
    unreadable(world, None)
    # When it sweeps, then what the last page shows is learnt, and the run ends in an error
    with pytest.raises(ProcessorUnavailableError):
        sweep(world)
    assert len(world.imported()) == 1
    assert cursor(world) is None


def test_an_outage_keeps_the_place(world: World) -> None:
    world.sweeps.sweep("hitpay", begin_ms=0)
    world.sweeps.sweeps["hitpay"] = replace(world.sweeps.sweeps["hitpay"], cursor="2")
    world.processor.is_down = True
    with pytest.raises(ProcessorUnavailableError):
        sweep(world)
    assert cursor(world) == "2"


def test_one_payment_that_cannot_be_looked_at_stops_no_other(world: World) -> None:
    world.in_dashboard(100, "3")
    world.in_dashboard(100, "2")
    charge = world.processor.charge

    def broken(charge_id: str, deadline: Deadline) -> object:
        if charge_id == "charge-3" and deadline.remaining_ms() < LONG_MS:
            raise ProviderUnavailableError("no whole answer")
        return charge(charge_id, deadline)

    page = world.processor.charges(None, world.deadline())
    world.processor.charges = lambda *_: replace(page, cursor=None)  # type: ignore[method-assign]
    world.processor.charge = broken  # type: ignore[method-assign, assignment]
    sweep(world)
    assert [one.processor_payment_id for one in world.imported()] == ["charge-2"]
    missed = [facts for event, facts in world.telemetry.notes if event == "sweep_missed"]
    assert missed == [{"charge": "charge-3", "error": "ProcessorUnavailableError"}]


def test_one_payment_that_no_look_can_bear_stops_no_other(world: World) -> None:
    # Given a payment on the first page that shows a defect of ours, and one on the last page
    world.in_dashboard(100, "3")
    world.in_dashboard(100, "1")
    reference_of = world.processor.reference_of

    def poison(charge: Charge, deadline: Deadline) -> str | None:
        if charge.id == "charge-3":
            raise ValueError("a defect")
        return reference_of(charge, deadline)

    world.processor.reference_of = poison  # type: ignore[method-assign]
    # When it sweeps, then it gets by
    sweep(world)
    assert [one.processor_payment_id for one in world.imported()] == ["charge-1"]
    missed = [facts for event, facts in world.telemetry.notes if event == "sweep_missed"]
    assert missed == [{"charge": "charge-3", "error": "ValueError"}]


def test_a_payment_whose_sum_cannot_be_read_is_looked_at(world: World) -> None:
    world.in_dashboard(100, "3")
    page = world.processor.charges(None, world.deadline())
    unread = tuple(replace(charge, refunded=None) for charge in page.charges)
    world.processor.charges = lambda *_: ChargePage(unread, None)  # type: ignore[method-assign]
    assert sweep(world) == 2
    assert len(world.imported()) == 1


def test_another_run_that_goes_on_from_there_ends_this_one(world: World) -> None:
    move = world.sweeps.move_sweep

    def raced(*_: object) -> None:
        raise LedgerConflictError("moved")

    world.sweeps.move_sweep = raced  # type: ignore[method-assign, assignment]
    assert sweep(world) == 0
    assert swept(world)["pages"] == 1
    world.sweeps.move_sweep = move  # type: ignore[method-assign]


def test_it_remembers_when_it_began(world: World) -> None:
    sweep(world)
    began = world.clock.now_ms() - SINCE_MARGIN_MS
    world.clock.advance(STEP_MS)
    sweep(world)
    assert world.sweeps.sweeps["hitpay"].since_ms == began
    assert PaymentKey("hitpay", "charge-1") not in world.ledger.payments
