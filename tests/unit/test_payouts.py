"""Who may send money to a card that they name, and how much of it."""

from typing import Any

import pytest

from refunds.errors import ForbiddenError, InvalidRequestError, RateLimitedError
from refunds.payouts import AskedAt, UnlinkedRefunds
from refunds.refund import PaymentMethodKind, ReferenceType, RefundRequest, refund_id_of
from tests.fakes.payouts import MemoryPayouts, payout_rules
from tests.fakes.world import STAGE, World

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


def allow(world: World, request: RefundRequest, at: AskedAt, **rules: Any) -> None:
    payout_rules(world, **rules).require_allowed("rfd_1", request, at)


@pytest.mark.parametrize("unlinked", UnlinkedRefunds)
def test_the_route_of_refunds_sends_none_and_names_the_other(
    world: World, unlinked: UnlinkedRefunds
) -> None:
    with pytest.raises(InvalidRequestError, match="POST /v1/payouts") as refused:
        allow(world, payout(), AskedAt.REFUNDS, unlinked=unlinked)
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
    sums = MemoryPayouts()
    request = payout(report_to=record)
    if is_sent:
        allow(world, request, AskedAt.PAYOUTS, unlinked=unlinked, sums=sums)
    else:
        with pytest.raises(ForbiddenError):
            allow(world, request, AskedAt.PAYOUTS, unlinked=unlinked, sums=sums)
    assert sums.asked.total() == (100 if is_sent else 0)


def test_events_ask_for_it_only_if_that_is_said_apart(world: World) -> None:
    with pytest.raises(InvalidRequestError, match="not taken from events"):
        allow(world, payout(), AskedAt.EVENTS, by_events=False)
    allow(world, payout(), AskedAt.EVENTS, by_events=True)


def test_a_refund_of_a_payment_is_no_payout(world: World) -> None:
    request = RefundRequest(reference_type=ReferenceType.PAYMENT_RECORD, reference_id="pr_1")
    for at in (AskedAt.REFUNDS, AskedAt.EVENTS):
        allow(world, request, at, unlinked=UnlinkedRefunds.OFF, by_events=False)
    with pytest.raises(InvalidRequestError, match="payment_method is needed"):
        allow(world, request, AskedAt.PAYOUTS)


def test_one_is_of_no_more_than_the_most(world: World) -> None:
    allow(world, payout(1000), AskedAt.PAYOUTS, amount_max=1000)
    with pytest.raises(InvalidRequestError, match="more than 1000"):
        allow(world, payout(1001), AskedAt.PAYOUTS, amount_max=1000)


def test_a_day_sends_no_more_than_the_most_and_the_next_one_again(world: World) -> None:
    rules = payout_rules(world, day_max=250)
    for number in range(2):
        rules.require_allowed(f"rfd_{number}", payout(), AskedAt.PAYOUTS)
    with pytest.raises(RateLimitedError) as refused:
        rules.require_allowed("rfd_2", payout(), AskedAt.PAYOUTS)
    wait_s = refused.value.retry_after_s
    assert wait_s is not None
    world.clock.advance(wait_s * 1000)
    rules.require_allowed("rfd_2", payout(), AskedAt.PAYOUTS)
    assert wait_s * 1000 <= DAY_MS


def test_a_repeat_of_what_the_ledger_knows_is_let_through_whatever_is_allowed_now(
    world: World,
) -> None:
    # Given a payout that was made while the stage still sent them
    world.processor.books.methods["card-1"] = PaymentMethodKind.CARD
    request = payout()
    made = world.refund("k", record="card-1", **_asked(request))
    assert made.refund.id == refund_id_of("k", STAGE)
    # Then its key is answered by the ledger, at the route that it was asked at as well
    sums = MemoryPayouts()
    rules = payout_rules(world, unlinked=UnlinkedRefunds.OFF, by_events=False, sums=sums)
    for at in AskedAt:
        rules.require_allowed(made.refund.id, request, at)
    assert sums.asked.total() == 0


def _asked(request: RefundRequest) -> dict[str, Any]:
    return {
        name: getattr(request, name)
        for name in ("reference_type", "processor", "customer", "amount", "currency")
    }
