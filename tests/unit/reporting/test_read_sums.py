"""A payment's record, charge and refunds are read together; what does not explain Stripe's sum."""

from dataclasses import replace

import pytest

from refund_bridge.domain.errors import ProcessorUnavailableError
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.record_lines import lines_of
from refund_bridge.domain.refund import UNLINKED
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.reporting.read_sums import Sums
from tests.fakes.world import GRACE_MS, World
from tests.unit.reporting.booked_reports import report_elsewhere


def read(world: World, payment: Payment | None = None) -> Sums:
    return world.read_sums(payment or world.payment(), "pr_1", world.deadline())


def unseen_world() -> World:
    """A world whose processor shows no payments."""
    made = World(doors=("ccg",))
    made.pay()
    return made


def never_asked(world: World) -> None:
    """The processor must not be asked for a payment."""

    def asked(*_: object) -> None:
        pytest.fail("the processor is asked for a payment")

    world.processor.charge = asked  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("by_others", [0, 100])
def test_what_is_read_together_is_what_each_of_them_shows(world: World, by_others: int) -> None:
    # Given a refund that is reported, one whose report is due, and one made in the dashboard
    world.report(world.refund("k", amount=2500).refund.id)
    world.refund("due", amount=1000)
    world.in_dashboard(3000)
    if by_others:
        report_elsewhere(world, by_others)
    # When the sums are read, then the ledger has learnt what the charge shows
    sums = read(world)
    (imported,) = world.imported()
    # And all is returned as it is there, the payment with its revision
    now_ms = world.clock.now_ms()
    assert sums == Sums(
        record=world.stripe.payment_record("pr_1", world.deadline()),
        payment=world.payment(),
        refunds=sums.refunds,
        lines=lines_of(sums.refunds.values(), now_ms=now_ms, grace_ms=GRACE_MS),
        unexplained=by_others,
        seen_before=0,
        listed=frozenset({"hitpay-refund-1", "hitpay-refund-2", "hitpay-refund-3"}),
        all_listed=True,
    )
    assert world.payment().unexplained == by_others
    refunds = {one.id: one for one in (imported, world.stored("k"), world.stored("due"))}
    assert sums.refunds.keys() == refunds.keys()
    # And the next time this sum was seen before, and nothing is written
    again = read(world)
    assert again.refunds == refunds
    assert again == replace(sums, refunds=again.refunds, seen_before=by_others)


def test_a_payment_that_the_processor_does_not_show_is_read_without_it() -> None:
    # Given a processor that shows no payments, and another sum at Stripe than what is reported
    world = unseen_world()
    world.refund("k", amount=2500)
    report_elsewhere(world, 100)
    before = world.payment()
    never_asked(world)
    # When the sums are read, then that is kept
    sums = read(world)
    assert world.payment() == replace(before, unexplained=100, revision=before.revision + 1)
    assert (sums.payment, sums.unexplained) == (world.payment(), 100)
    # And nobody knows whether the ledger has all refunds
    assert (sums.listed, sums.all_listed) == (None, False)


@pytest.mark.parametrize("door", ["hitpay", "ccg"])
def test_what_is_as_it_was_is_not_written(door: str) -> None:
    world = World(doors=(door,))
    world.pay()
    world.report(world.refund("k", amount=2500).refund.id)
    read(world)
    before = world.payment()
    assert read(world).payment == before == world.payment()


def test_so_is_one_of_a_processor_that_is_not_set_up_any_more(world: World) -> None:
    world.refund("k", amount=2500)
    never_asked(world)
    without = replace(world.read_sums, processors={})
    sums = without(world.payment(), "pr_1", world.deadline())
    assert (sums.payment, sums.listed, sums.all_listed) == (world.payment(), None, False)


def test_so_is_one_that_the_processor_does_not_have_any_more(world: World) -> None:
    world.refund("k", amount=2500)
    world.processor.books.charges.clear()
    sums = read(world)
    assert (sums.payment, sums.listed, sums.all_listed) == (world.payment(), None, False)


def test_so_is_one_that_stands_for_unlinked_refunds_only(world: World) -> None:
    world.refund("k", amount=2500)
    never_asked(world)
    plain = world.payment()
    unlinked = replace(plain, key=PaymentKey("hitpay", f"{UNLINKED}pr_1"), held=0, moved=0)
    world.ledger.payments[unlinked.key] = unlinked
    sums = read(world, unlinked)
    assert (sums.payment.key, sums.refunds, sums.listed) == (unlinked.key, {}, None)


def test_while_the_processor_cannot_be_asked_only_who_says_so_goes_on_without_it(
    world: World,
) -> None:
    refund = world.refund("k", amount=2500).refund
    report_elsewhere(world, 100)
    world.processor.is_down = True
    with pytest.raises(ProcessorUnavailableError):
        read(world)
    sums = world.read_sums(world.payment(), "pr_1", world.deadline(), without_charge=True)
    assert sums.payment == world.payment()
    assert sums.refunds == {refund.id: world.stored("k")}
    assert (sums.unexplained, sums.listed, sums.all_listed) == (100, None, False)


@pytest.mark.parametrize(("others", "all_listed"), [(0, True), (1, False)])
def test_a_charge_that_lists_nothing_shows_by_its_sum_whether_all_are_known(
    world: World, others: int, *, all_listed: bool
) -> None:
    world.refund("k", amount=2500)
    world.processor.lists_refunds = False
    if others:
        world.in_dashboard(others)
    sums = read(world)
    assert (sums.listed, sums.all_listed) == (None, all_listed)
    assert world.payment().foreign_on_charge == others


@pytest.mark.parametrize("door", ["hitpay", "ccg"])
def test_a_payment_that_is_not_there_is_read_later(door: str) -> None:
    world = World(doors=(door,))
    world.pay()
    world.refund("k", amount=2500)
    payment = world.payment()
    world.ledger.payments.clear()
    with pytest.raises(LedgerConflictError, match="charge-1 is not there"):
        read(world, payment)


def test_the_ledgers_payment_is_read_once(world: World) -> None:
    world.refund("k", amount=2500)
    payment, asked = world.payment(), list[PaymentKey]()
    find = world.ledger.payment

    def noted(key: PaymentKey) -> Payment | None:
        asked.append(key)
        return find(key)

    world.ledger.payment = noted  # type: ignore[method-assign]
    read(world, payment)
    assert asked == [payment.key]
