"""Sides that agree differ in nothing; each difference is found, and named by its kind."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.report import Report, ReportParameters
from refund_bridge.domain.state_machine import ReportState, State
from refundctl.deciding.reconcile import Amounts, Difference, Kind, Sides, compare, unknown_charge
from tests.fakes.processor_fates import Answered, Conduct, ReplyLost, RequestLost
from tests.fakes.world import STEP_MS, World

GRACE_MS = 15 * STEP_MS
KEY = PaymentKey("hitpay", "charge-1")


def sides_of(world: World) -> Sides:
    """One payment on all sides, as they show it now."""
    payment = world.payment()
    refunds = [r for r in world.ledger.refunds.values() if r.processor_payment_id == "charge-1"]
    charge = world.processor.charge("charge-1", world.deadline())
    ids = [processor_refund.id for processor_refund in charge.processor_refunds or ()]
    return Sides(
        payment=payment,
        refunds=refunds,
        charge=charge,
        claimed=world.ledger.claimed("hitpay", ids),
        record=world.stripe.payment_record("pr_1", world.deadline()),
        now_ms=world.clock.now_ms(),
        grace_ms=GRACE_MS,
    )


def kinds(sides: Sides) -> list[Kind]:
    return [one.kind for one in compare(sides).differences]


def only(sides: Sides) -> Difference:
    (difference,) = compare(sides).differences
    return difference


@pytest.fixture
def world() -> World:
    """SGD 99.99 of which 25.00 and 10.00 went back and were reported, and 5.00 was refused."""
    world = World()
    world.pay()
    for key, amount in (("one", 2500), ("two", 1000)):
        world.report(world.refund(key, amount=amount).refund.id)
    world.processor.fates.append(Answered(403, "No."))
    world.refund("three", amount=500)
    world.clock.advance(GRACE_MS)
    return world


def edited(sides: Sides, name: str, **facts: Any) -> Sides:
    """The sides with the facts of one refund of the ledger changed."""
    amount = {"one": 2500, "two": 1000, "three": 500}[name]
    changed = [replace(r, **facts) if r.amount == amount else r for r in sides.refunds]
    return replace(sides, refunds=changed)


def test_sides_that_agree_differ_in_nothing(world: World) -> None:
    found = compare(sides_of(world))
    assert found.differences == ()
    assert found.open_refunds == 0


def test_what_others_refunded_and_told_stripe_is_no_difference() -> None:
    # Given a refund that both sides had before anybody asked us
    world = World()
    world.pay()
    made = world.processor.refund_in_dashboard("charge-1", 4000)
    assert isinstance(made, ProcessorRefund)
    world.stripe.report_elsewhere(parameters("pr_1", 4000, made.id))
    world.refund("k", amount=1000)
    world.live_for(GRACE_MS)
    assert kinds(sides_of(world)) == []


def parameters(record: str, amount: int, reference: str) -> ReportParameters:
    return ReportParameters(
        payment_record=record,
        amount=amount,
        currency="sgd",
        refund_reference=reference,
        initiated_at_s=1_700_000_000,
        refunded_at_s=1_700_000_000,
    )


class TestOnTheWay:
    """What is young may differ."""

    def test_a_refund_whose_outcome_is_unknown(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=700).refund
        found = compare(sides_of(world))
        assert (found.differences, found.open_refunds) == ((), 1)
        world.clock.advance(GRACE_MS - 1)
        assert kinds(sides_of(world)) == []
        world.clock.advance(1)
        difference = only(sides_of(world))
        assert (difference.kind, difference.refund_id) == (Kind.NOT_SETTLED, refund.id)
        assert difference.amounts == Amounts(ledger=700)
        assert compare(sides_of(world)).open_refunds == 0

    def test_a_processor_refund_that_nobody_has_bound_yet(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=700)
        assert kinds(sides_of(world)) == []
        world.clock.advance(GRACE_MS)
        found = compare(sides_of(world)).differences
        assert [one.kind for one in found] == [Kind.NOT_SETTLED, Kind.PROCESSOR_REFUND_UNCLAIMED]
        assert found[1].amounts == Amounts(processor=700)
        assert found[1].processor_refund_id == "hitpay-refund-3"

    def test_a_report_that_is_due(self, world: World) -> None:
        world.refund("k", amount=700)
        found = compare(sides_of(world))
        assert (found.differences, found.open_refunds) == ((), 1)
        world.clock.advance(GRACE_MS)
        assert kinds(sides_of(world)) == [Kind.NOT_REPORTED]

    def test_a_report_that_is_due_and_booked(self, world: World) -> None:
        refund = world.refund("k", amount=700).refund
        world.stripe.report_elsewhere(parameters("pr_1", 700, refund.processor_refund_id or ""))
        assert kinds(sides_of(world)) == []

    def test_a_pending_refund_that_hitpay_holds_back_however_long(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("k", amount=700)
        world.clock.advance(100 * GRACE_MS)
        found = compare(sides_of(world))
        assert (found.differences, found.open_refunds) == ((), 1)

    def test_a_pending_refund_that_has_just_ended(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        refund = world.refund("k", amount=700).refund
        world.clock.advance(GRACE_MS)
        processor_refund_id = refund.processor_refund_id or ""
        world.processor.books.set_status(processor_refund_id, ProcessorRefundStatus.SUCCEEDED)
        assert kinds(sides_of(world)) == []
        world.clock.advance(GRACE_MS)
        assert kinds(sides_of(world)) == [Kind.PROCESSOR_REFUND_DIFFERS]

    def test_a_refund_made_in_the_dashboard(self, world: World) -> None:
        world.processor.refund_in_dashboard("charge-1", 700)
        assert kinds(sides_of(world)) == []
        world.clock.advance(GRACE_MS)
        assert kinds(sides_of(world)) == [Kind.PROCESSOR_REFUND_UNCLAIMED]
        # And one that failed is nobody's business
        world.processor.books.set_status("hitpay-refund-3", ProcessorRefundStatus.FAILED)
        assert kinds(sides_of(world)) == []


def test_a_failed_report_is_a_difference_at_once(world: World) -> None:
    refund = world.refund("k", amount=700).refund
    payment = world.payment()
    failed = replace(refund.report, state=ReportState.FAILED, last_error="refused: no")
    world.ledger.refunds[refund.id] = replace(refund, report=failed)
    world.ledger.payments[KEY] = replace(
        payment, report_due_amount=0, report_due_count=0, report_failed_amount=700
    )
    difference = only(sides_of(world))
    assert (difference.kind, difference.refund_id) == (Kind.REPORT_FAILED, refund.id)
    assert "refused: no" in difference.says


@pytest.mark.parametrize(
    ("reported", "told"), [(True, "cannot take it back"), (False, "was not told")]
)
def test_a_success_that_was_taken_back_is_a_difference(
    world: World, reported: bool, told: str
) -> None:
    refund = world.refund("k", amount=700).refund
    if reported:
        world.report(refund.id)
    world.processor.books.set_status(refund.processor_refund_id or "", ProcessorRefundStatus.FAILED)
    world.observe(KEY, world.deadline())
    world.clock.advance(GRACE_MS)
    difference = only(sides_of(world))
    assert (difference.kind, difference.refund_id) == (Kind.TAKEN_BACK, refund.id)
    assert told in difference.says
    # And it is none any more once a person has handled it
    world.ledger.refunds[refund.id] = replace(world.stored("k"), handled_at_ms=1)
    assert compare(sides_of(world)).differences == ()


Change = Callable[[Sides], Sides]


def charge(sides: Sides, **facts: Any) -> Sides:
    assert isinstance(sides.charge, Charge)
    return replace(sides, charge=replace(sides.charge, **facts))


def processor_refunds(sides: Sides, **facts: Any) -> Sides:
    """The facts of the processor refund of 25.00 changed."""
    listed = sides.charge.processor_refunds if sides.charge else None
    changed = [replace(m, **facts) if m.money.amount == 2500 else m for m in listed or ()]
    return charge(sides, processor_refunds=tuple(changed))


def without_processor_refund(sides: Sides) -> Sides:
    listed = sides.charge.processor_refunds if sides.charge else None
    return charge(sides, processor_refunds=tuple(m for m in listed or () if m.money.amount != 2500))


def payment(sides: Sides, **facts: Any) -> Sides:
    return replace(sides, payment=replace(sides.payment, **facts))


def record(sides: Sides, **facts: Any) -> Sides:
    assert isinstance(sides.record, PaymentRecord)
    return replace(sides, record=replace(sides.record, **facts))


def another_processor_refund(sides: Sides) -> Sides:
    listed = (sides.charge.processor_refunds if sides.charge else None) or ()
    again = replace(listed[0], id="again", money=Money(9000, "sgd"))
    return charge(sides, processor_refunds=(*listed, again))


def shared(sides: Sides) -> Sides:
    one = next(r for r in sides.refunds if r.amount == 2500)
    return replace(sides, refunds=[*sides.refunds, replace(one, id="rfd_twin")])


def claimed_by(sides: Sides, owner: str | None) -> Sides:
    claims = {name: holder for name, holder in sides.claimed.items() if name != "hitpay-refund-1"}
    return replace(sides, claimed=claims | ({"hitpay-refund-1": owner} if owner else {}))


PLANTED: dict[str, tuple[Change, Sequence[Kind], str]] = {
    "a charge that HitPay does not know": (
        lambda s: replace(s, charge=None),
        [Kind.CHARGE_MISSING],
        "does not know the charge",
    ),
    "a charge of another amount": (
        lambda s: charge(s, money=Money(9998, "sgd")),
        [Kind.CHARGE_DIFFERS],
        "SGD 99.98",
    ),
    "a charge of another currency": (
        lambda s: charge(s, money=Money(9999, "usd")),
        [Kind.CHARGE_DIFFERS],
        "USD 99.99",
    ),
    "a charge that lists nothing readable": (
        lambda s: charge(s, processor_refunds=None),
        [Kind.CHARGE_UNREADABLE],
        "does not list",
    ),
    "more given back than was paid": (
        another_processor_refund,
        [Kind.OVER_REFUNDED, Kind.PROCESSOR_REFUND_UNCLAIMED],
        "more was refunded",
    ),
    "more given back than is listed": (
        lambda s: charge(s, refunded=10_000),
        [Kind.OVER_REFUNDED],
        "more was refunded",
    ),
    "a lost processor refund": (
        without_processor_refund,
        [Kind.PROCESSOR_REFUND_MISSING],
        "does not list its processor refund",
    ),
    "a processor refund of another amount": (
        lambda s: processor_refunds(s, money=Money(2501, "sgd")),
        [Kind.PROCESSOR_REFUND_DIFFERS],
        "shows SGD 25.01",
    ),
    "a processor refund of another payment": (
        lambda s: processor_refunds(s, payment_id="elsewhere"),
        [Kind.PROCESSOR_REFUND_DIFFERS],
        "of elsewhere",
    ),
    "a processor refund that failed": (
        lambda s: processor_refunds(
            s, status=ProcessorRefundStatus.FAILED, processor_status="failed"
        ),
        [Kind.PROCESSOR_REFUND_DIFFERS],
        "is succeeded, the processor shows failed",
    ),
    "a failure whose processor refund succeeded": (
        lambda s: payment(edited(s, "one", state=State.FAILED), held=1000, moved=1000, booked=1000),
        [Kind.PROCESSOR_REFUND_DIFFERS],
        "is failed, the processor shows succeeded",
    ),
    "one processor refund for two refunds": (
        shared,
        [
            Kind.PROCESSOR_REFUND_SHARED,
            Kind.CLAIM_DIFFERS,
            *[Kind.LEDGER_SUM_DIFFERS] * 3,
            Kind.STRIPE_LOWER,
        ],
        "are bound to the same processor refund",
    ),
    "a processor refund that the ledger gives to another": (
        lambda s: claimed_by(s, "rfd_other"),
        [Kind.CLAIM_DIFFERS],
        "gives to rfd_other",
    ),
    "a processor refund that nobody has claimed": (
        lambda s: claimed_by(s, None),
        [Kind.CLAIM_DIFFERS],
        "gives to nobody",
    ),
    "a refund that the ledger lost": (
        lambda s: replace(s, refunds=[r for r in s.refunds if r.amount != 2500]),
        [Kind.PROCESSOR_REFUND_UNCLAIMED, *[Kind.LEDGER_SUM_DIFFERS] * 3],
        "the ledger gives it to rfd_",
    ),
    "an amount that was not given back": (
        lambda s: payment(s, held=4000),
        [Kind.LEDGER_SUM_DIFFERS],
        "held is SGD 40.00, its refunds make SGD 35.00",
    ),
    "a wrong sum of what moved": (
        lambda s: payment(s, moved=1),
        [Kind.LEDGER_SUM_DIFFERS],
        "moved is SGD 0.01",
    ),
    "a wrong sum of what is booked": (
        lambda s: payment(s, booked=1),
        [Kind.LEDGER_SUM_DIFFERS],
        "booked is SGD 0.01",
    ),
    "a wrong sum of what is due": (
        lambda s: payment(s, report_due_amount=1),
        [Kind.LEDGER_SUM_DIFFERS],
        "report_due is SGD 0.01",
    ),
    "a wrong sum of what failed": (
        lambda s: payment(s, report_failed_amount=1),
        [Kind.LEDGER_SUM_DIFFERS],
        "report_failed is SGD 0.01",
    ),
    "a record that Stripe does not know": (
        lambda s: replace(s, record=None),
        [Kind.RECORD_MISSING],
        "does not know the Payment Record",
    ),
    "a record of another amount": (
        lambda s: record(s, amount_guaranteed=6500),
        [Kind.RECORD_DIFFERS],
        "SGD 100.00",
    ),
    "a record of another currency": (
        lambda s: record(s, currency="usd"),
        [Kind.RECORD_DIFFERS],
        "USD 99.99",
    ),
    "a report that Stripe lost": (
        lambda s: record(s, amount_refunded=1000, amount_guaranteed=8999),
        [Kind.STRIPE_LOWER],
        "shows SGD 10.00 as refunded, SGD 25.00 less",
    ),
    "a report that was made twice": (
        lambda s: record(s, amount_refunded=4500, amount_guaranteed=5499),
        [Kind.STRIPE_HIGHER],
        "shows SGD 45.00 as refunded, SGD 10.00 more",
    ),
}


@pytest.mark.parametrize(("change", "found", "says"), PLANTED.values(), ids=PLANTED)
def test_a_planted_difference_is_found_and_no_other(
    world: World, change: Change, found: Sequence[Kind], says: str
) -> None:
    sides = change(sides_of(world))
    assert kinds(sides) == list(found)
    assert any(says in one.says for one in compare(sides).differences)


def test_every_kind_is_planted_somewhere() -> None:
    planted = {kind for _, found, _ in PLANTED.values() for kind in found}
    elsewhere = {
        Kind.NOT_SETTLED,
        Kind.NOT_REPORTED,
        Kind.REPORT_FAILED,
        Kind.TAKEN_BACK,
        Kind.CHARGE_UNKNOWN,
    }
    assert planted | elsewhere == set(Kind)


def test_sums_say_what_each_side_shows(world: World) -> None:
    sides = record(sides_of(world), amount_refunded=4500, amount_guaranteed=5499)
    assert only(sides).amounts == Amounts(ledger=3500, processor=3500, stripe=4500)


def test_what_was_accepted_as_too_much_is_said_beside_stripes_sum(world: World) -> None:
    sides = record(sides_of(world), amount_refunded=4500, amount_guaranteed=5499)
    told = only(payment(sides, accepted_excess=400)).says
    assert "SGD 45.00 as refunded (SGD 4.00 of it accepted as too much), SGD 6.00 more" in told


def test_without_a_list_the_book_is_compared_with_the_ledger_alone(world: World) -> None:
    sides = charge(sides_of(world), processor_refunds=None)
    lower = record(sides, amount_refunded=3499, amount_guaranteed=6500)
    assert kinds(lower) == [Kind.CHARGE_UNREADABLE, Kind.STRIPE_LOWER]
    # And what others refunded may be in the book
    higher = record(sides, amount_refunded=3600, amount_guaranteed=6399)
    assert kinds(higher) == [Kind.CHARGE_UNREADABLE, Kind.STRIPE_HIGHER]
    assert kinds(payment(higher, foreign_on_charge=100)) == [Kind.CHARGE_UNREADABLE]


def test_a_payment_that_no_record_books_is_not_compared_with_stripe(world: World) -> None:
    sides = replace(payment(sides_of(world), payment_record=None), record=None)
    assert kinds(sides) == []


def test_a_review_that_is_bound_agrees_with_a_pending_processor_refund(world: World) -> None:
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    refund = world.refund("k", amount=700).refund
    world.ledger.refunds[refund.id] = replace(refund, state=State.REVIEW)
    world.clock.advance(GRACE_MS)
    assert kinds(sides_of(world)) == [Kind.NOT_SETTLED]


def test_a_pending_refund_that_is_older_than_our_first_sight_need_not_be_in_the_book() -> None:
    world = World()
    world.pay()
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    world.processor.refund_in_dashboard("charge-1", 4000)
    world.processor.books.conduct = Conduct()
    world.refund("k", amount=1000)
    world.live_for(GRACE_MS)
    assert kinds(sides_of(world)) == []


def test_a_charge_that_the_ledger_lacks_is_told_by_its_trace() -> None:
    world = World()
    world.pay()
    world.processor.refund_in_dashboard("charge-1", 4000)
    found = unknown_charge(world.processor.charge("charge-1", world.deadline()), "pi_1")
    assert (found.kind, found.charge_id) == (Kind.CHARGE_UNKNOWN, "charge-1")
    assert found.amounts == Amounts(processor=4000)
    assert "pi_1" in found.says


def test_an_unreported_refund_of_a_fresh_report_is_not_yet_a_difference(world: World) -> None:
    """The report's age counts from the last change, not from the asking."""
    sides = edited(
        sides_of(world),
        "two",
        report=Report(state=ReportState.DUE),
        updated_at_ms=world.clock.now_ms(),
    )
    sides = payment(sides, booked=2500, report_due_amount=1000)
    assert kinds(record(sides, amount_refunded=2500, amount_guaranteed=7499)) == []
