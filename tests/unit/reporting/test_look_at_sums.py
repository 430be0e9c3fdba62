"""What a check of the sums finds though no report is due: what others told, or did not tell."""

from dataclasses import replace

import pytest

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.reporting.look_at_sums import Looked
from refund_bridge.reporting.report import ReportFailedError
from tests.fakes.world import STEP_MS, World
from tests.unit.reporting.booked_reports import report_elsewhere


def look(world: World) -> Looked:
    return world.look_at_sums(world.payment(), "pr_1", world.deadline())


def undecided(world: World) -> Refund:
    """A refund of which others told Stripe another amount, so that a person has to decide."""
    refund = world.refund("k", amount=2500).refund
    world.clock.advance(10 * STEP_MS)
    report_elsewhere(world, 2499)
    world.report(refund.id)
    with pytest.raises(ReportFailedError):
        world.report(refund.id)
    return refund


@pytest.mark.parametrize(
    ("listed", "bound_to", "followed"),
    [
        (None, None, False),
        (None, "hp_1", False),
        (frozenset({"hp_1"}), None, True),
        (frozenset({"hp_1"}), "hp_1", True),
        (frozenset({"hp_1"}), "hp_2", False),
        (frozenset[str](), "hp_2", False),
    ],
)
def test_it_tells_what_became_of_a_refund_that_the_charge_lists(
    refund: Refund, listed: frozenset[str] | None, bound_to: str | None, *, followed: bool
) -> None:
    looked = Looked(again=False, listed=listed)
    assert looked.followed(replace(refund, processor_refund_id=bound_to)) is followed


def test_what_differs_is_read_once_more_before_it_is_believed(world: World) -> None:
    # Given a refund that is reported, and a sum that was read alike once
    world.report(world.refund("k", amount=2500).refund.id)
    assert not look(world).again
    # When others book something, then the sum is to be read again, until it was read twice alike
    report_elsewhere(world, 1)
    assert [look(world).again for _ in range(3)] == [True, False, False]
    # And where Stripe shows what is reported again, there is nothing to read again
    world.stripe.books.reports.pop()
    assert not look(world).again


def test_what_nothing_explains_rings_with_the_record_the_charge_and_the_amount(
    world: World,
) -> None:
    world.report(world.refund("k", amount=2500).refund.id)
    report_elsewhere(world, 7)
    for _ in range(2):
        looked = look(world)
    facts = {"payment_record": "pr_1", "charge": "charge-1", "amount": 7}
    assert world.noted("stripe_higher") == [facts]
    assert looked == Looked(again=False, listed=frozenset({"hitpay-refund-1"}))


def test_what_others_turn_out_to_have_told_is_known(world: World) -> None:
    # Given a report that a person has to decide
    refund = undecided(world)
    # When others tell Stripe what was missing, and the sum is read twice
    world.book_by_hand(1, "ticket-4711")
    for _ in range(2):
        look(world)
    # Then nobody needs to decide any more
    known = world.stored("k")
    assert (known.report.state, known.report.cause) == (ReportState.REPORTED, ReportCause.BY_SUMS)
    line = known.history[-1]
    assert (line.cause, line.actor) == ("by_sums", "settle_refunds")
    assert known.next_check_ms == world.clock.now_ms() + STEP_MS
    assert world.noted("report_known_by_sums") == [{"refund_id": refund.id}]


def test_what_the_sums_decide_now_is_due_again(world: World) -> None:
    # Given a report that a person has to decide
    undecided(world)
    # When what others told Stripe is gone, and the sum is read twice
    world.stripe.books.reports.clear()
    for _ in range(2):
        look(world)
    # Then the report is due at once
    owed = world.stored("k")
    assert owed.report.state is ReportState.DUE
    line = owed.history[-1]
    assert (line.cause, line.actor) == ("sums_do_not_hold_it", "settle_refunds")
    assert owed.next_check_ms == world.clock.now_ms()


def test_while_a_report_of_the_payment_is_made_the_sums_are_not_read(
    world: World, refund: Refund
) -> None:
    leased = replace(world.payment(), report_lease_until_ms=world.clock.now_ms() + 1)
    world.ledger.payments[leased.key] = leased
    world.stripe.is_down = True
    with pytest.raises(LedgerConflictError, match="is being reported"):
        look(world)
    assert world.stored("k") == refund
