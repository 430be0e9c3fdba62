"""What holds of payments that Stripe itself took, and of no other processor's."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from local.simulators.server import RunningSimulators
from local.simulators.stripe_charges import UNCAPTURED
from refund_bridge.domain.charge import ChargeStatus, ProcessorRefundStatus
from refund_bridge.domain.instruction import (
    Aborted,
    Accepted,
    CredentialRefused,
    Outcome,
    Rejected,
    Unknown,
)
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import UnreadablePageError
from refund_bridge.processors.stripe.adapter import REASON_KEY
from refund_bridge.processors.stripe.objects import INSTRUCTION_KEY
from tests.contract.processor.instructions import OTHER_REFUND_ID, PAID, REFUND_ID, instruction
from tests.contract.processor.simulated_worlds import StripeWorld

A_DAY_AND_AN_HOUR = 25 * 3600


@pytest.fixture
def world(simulators: RunningSimulators) -> Iterator[StripeWorld]:
    simulators.control.reset()
    world = StripeWorld(simulators.control)
    world.add_charge("ch_1", PAID)
    yield world
    world.close()


def stored(world: StripeWorld) -> list[dict[str, object]]:
    """The refunds in Stripe's own books."""
    refunds = world.control.state("stripe")["refunds"]
    assert isinstance(refunds, list)
    return refunds


def test_an_instruction_whose_answer_is_lost_is_found_after_stripe_forgot_its_key(
    world: StripeWorld,
) -> None:
    # Given an instruction whose answer is lost, and a clock that moves on by 25 hours
    world.lose_reply()
    assert isinstance(world.processor.refund(instruction(charge="ch_1"), world.deadline()), Unknown)
    world.control.set_stripe(clock_offset_seconds=A_DAY_AND_AN_HOUR)
    # When the charge is read
    processor_refunds = world.processor.charge("ch_1", world.deadline()).processor_refunds
    # Then the refund shows whose instruction made it, and there is one
    assert processor_refunds is not None
    assert [processor_refund.instruction_id for processor_refund in processor_refunds] == [
        REFUND_ID
    ]
    assert world.moved("ch_1") == [2500]


def test_a_key_that_stripe_forgot_would_move_money_again(world: StripeWorld) -> None:
    for _ in range(2):
        assert isinstance(
            world.processor.refund(instruction(charge="ch_1"), world.deadline()), Accepted
        )
    assert world.moved("ch_1") == [2500]
    world.control.set_stripe(clock_offset_seconds=A_DAY_AND_AN_HOUR)
    assert isinstance(
        world.processor.refund(instruction(charge="ch_1"), world.deadline()), Accepted
    )
    assert world.moved("ch_1") == [2500, 2500]


def test_a_stored_500_is_answered_again_and_stays_unknown(world: StripeWorld) -> None:
    world.strike("status_after_commit", status=500, stored=True)
    for _ in range(2):
        assert isinstance(
            world.processor.refund(instruction(charge="ch_1"), world.deadline()), Unknown
        )
    assert world.moved("ch_1") == [2500]


def test_a_refund_of_others_is_nobodys_instruction_here_whatever_its_amount(
    world: StripeWorld,
) -> None:
    made = world.refund_in_dashboard("ch_1", Money(2500, PAID.currency))
    (processor_refund,) = world.processor.charge("ch_1", world.deadline()).processor_refunds or ()
    assert (
        processor_refund.id,
        processor_refund.instruction_id,
        processor_refund.money.amount,
    ) == (
        made,
        made,
        2500,
    )
    assert world.processor.processor_refund(made, world.deadline()) == processor_refund


def seed(world: StripeWorld, **members: object) -> None:
    """The charge ``ch_2`` with these members."""
    payment = {"id": "ch_2", "amount": 9999, "currency": "sgd"} | members
    world.control.seed_processor("stripe", {"payments": [payment]})


def test_a_charge_says_which_payment_intent_it_paid(world: StripeWorld) -> None:
    seed(world, more={"payment_intent": "pi_2"})
    assert world.processor.charge("ch_2", world.deadline()).payment_intent == "pi_2"
    assert world.processor.charge("ch_1", world.deadline()).payment_intent is None


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("transfer_data", {"destination": "acct_1"}),
        ("transfer", "tr_1"),
        ("application_fee_amount", 100),
        ("application_fee", "fee_1"),
    ],
)
def test_a_charge_says_that_others_have_a_part_in_it(
    world: StripeWorld, member: str, value: object
) -> None:
    seed(world, more={member: value})
    assert world.processor.charge("ch_2", world.deadline()).shared == member
    assert world.processor.charge("ch_1", world.deadline()).shared is None


def test_what_is_not_captured_cannot_be_refunded(world: StripeWorld) -> None:
    seed(world, status=UNCAPTURED)
    charge = world.processor.charge("ch_2", world.deadline())
    assert (charge.status, charge.money.amount) == (ChargeStatus.NOT_REFUNDABLE, 0)


def test_its_sum_holds_what_is_pending(world: StripeWorld) -> None:
    seed(world, refunds_come_back="pending")
    world.refund_in_dashboard("ch_2", Money(4000, PAID.currency))
    assert world.processor.charge("ch_2", world.deadline()).refunded == 4000


def test_all_refunds_are_walked_through_by_their_charges(world: StripeWorld) -> None:
    # Given 120 refunds of two charges, one of which failed
    world.add_charge("ch_2", PAID)
    made = [world.refund_in_dashboard(f"ch_{one % 2 + 1}", Money(1, "sgd")) for one in range(120)]
    world.set_status(made[119], ProcessorRefundStatus.FAILED)
    # When all pages are read
    first = world.processor.charges(None, world.deadline())
    second = world.processor.charges(first.cursor, world.deadline())
    # Then each shows its charges, the last refunded first, with what has not failed
    assert ([one.id for one in first.charges], second.cursor) == (["ch_2", "ch_1"], None)
    listed = [
        one
        for page in (first, second)
        for charge in page.charges
        for one in charge.processor_refunds
    ]
    assert sorted(listed) == sorted(made[:119])
    assert {one.refunded for one in first.charges} == {None}


def test_a_place_in_the_list_that_is_none_is_said_to_be_so(world: StripeWorld) -> None:
    with pytest.raises(UnreadablePageError) as page:
        world.processor.charges("re_nobodys", world.deadline())
    assert page.value.beyond is None


@pytest.mark.parametrize(
    ("status", "kind", "meant"),
    [
        (400, "invalid_request_error", Rejected),
        (402, "card_error", Rejected),
        (404, "invalid_request_error", Rejected),
        (400, "idempotency_error", Unknown),
        (409, "idempotency_error", Unknown),
        (409, "invalid_request_error", Unknown),
        (400, "api_error", Unknown),
        (401, "invalid_request_error", CredentialRefused),
        (403, "invalid_request_error", CredentialRefused),
        (429, "invalid_request_error", Aborted),
        (500, "api_error", Unknown),
    ],
)
def test_which_of_stripes_errors_refuse_the_refund(
    world: StripeWorld, status: int, kind: str, meant: type[Outcome]
) -> None:
    world.strike("status", status=status, body={"error": {"type": kind, "message": "No."}})
    assert type(world.processor.refund(instruction(charge="ch_1"), world.deadline())) is meant
    assert world.moved("ch_1") == []


@pytest.mark.parametrize("count", [10, 11, 100, 101])
def test_all_pages_of_refunds_are_read(world: StripeWorld, count: int) -> None:
    for _ in range(count):
        world.refund_in_dashboard("ch_1", Money(1, PAID.currency))
    world.add_charge("ch_2", PAID)
    world.refund_in_dashboard("ch_2", Money(1, PAID.currency))
    charge = world.processor.charge("ch_1", world.deadline())
    assert charge.refunded == count
    assert len(charge.processor_refunds or ()) == count


@pytest.mark.parametrize(
    ("reason", "passed_on", "noted"),
    [
        (None, None, None),
        ("duplicate", "duplicate", None),
        ("requested_by_customer", "requested_by_customer", None),
        # As a reason it would put card and e-mail on Stripe's block list
        ("fraudulent", None, "fraudulent"),
        ("Größe passt nicht", None, "Größe passt nicht"),
    ],
)
def test_a_reason_that_would_do_more_than_say_why_is_only_noted(
    world: StripeWorld, reason: str | None, passed_on: str | None, noted: str | None
) -> None:
    asked = replace(instruction(charge="ch_1"), reason=reason)
    assert isinstance(world.processor.refund(asked, world.deadline()), Accepted)
    (refund,) = stored(world)
    assert refund["reason"] == passed_on
    notes = {INSTRUCTION_KEY: REFUND_ID} | ({} if noted is None else {REASON_KEY: noted})
    assert refund["metadata"] == notes
    assert refund["key"] == REFUND_ID


def test_metadata_of_callers_stay_here(world: StripeWorld) -> None:
    many = {str(number): "x" for number in range(50)}
    asked = replace(instruction(charge="ch_1", refund_id=OTHER_REFUND_ID), metadata=many)
    assert isinstance(world.processor.refund(asked, world.deadline()), Accepted)
    assert stored(world)[0]["metadata"] == {INSTRUCTION_KEY: OTHER_REFUND_ID}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("requires_action", ProcessorRefundStatus.PENDING),
        ("pending", ProcessorRefundStatus.PENDING),
        ("succeeded", ProcessorRefundStatus.SUCCEEDED),
        ("failed", ProcessorRefundStatus.FAILED),
        ("canceled", ProcessorRefundStatus.FAILED),
    ],
)
def test_stripes_words_for_what_became_of_a_refund(
    world: StripeWorld, word: str, status: ProcessorRefundStatus
) -> None:
    made = world.refund_in_dashboard("ch_1", Money(100, PAID.currency))
    world.control.set_processor_refund("stripe", made, word)
    processor_refund = world.processor.processor_refund(made, world.deadline())
    assert processor_refund is not None
    assert (processor_refund.status, processor_refund.processor_status) == (status, word)
