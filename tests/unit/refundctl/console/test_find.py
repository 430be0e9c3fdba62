"""Whatever id somebody has at hand leads to what they look for."""

from collections.abc import Sequence

import pytest

from refund_bridge.domain.refund import Refund
from refundctl.console.find import PageFound, called, find
from tests.fakes.shop_day import ShopDay
from tests.unit.refundctl.console.small_shop import SmallShop


@pytest.fixture
def shop() -> SmallShop:
    return SmallShop()


@pytest.fixture(scope="module")
def day() -> ShopDay:
    return ShopDay()


def test_a_refund_is_found_by_every_name_that_it_has(day: ShopDay) -> None:
    refund = day.world.stored("order-7")
    assert refund.processor_refund_id
    shown = PageFound(f"refunds/{refund.id}", {})
    for name in (refund.id, "order-7", refund.processor_refund_id):
        assert find(day.sources(), name) == [shown]


def test_a_payment_leads_to_its_refunds(day: ShopDay) -> None:
    sources = day.sources()
    assert find(sources, "pr_007") == [PageFound("refunds", {"payment_record": "pr_007"})]
    assert find(sources, "charge-007") == [
        PageFound("refunds", {"processor": "hitpay", "charge": "charge-007"})
    ]


def test_a_payment_is_found_by_stripes_other_ids_of_it(shop: SmallShop) -> None:
    sources, invoice = shop.sources(), shop.invoice
    assert find(sources, "pi_1") == [PageFound("refunds", {"payment_intent": "pi_1"})]
    assert find(sources, invoice) == [PageFound("refunds", {"invoice": invoice})]


def ids_of(refunds: Sequence[Refund]) -> set[str]:
    return {one.id for one in refunds}


def test_a_key_that_is_also_a_payments_name_hides_nothing(shop: SmallShop) -> None:
    # Given a refund of another payment whose idempotency key is that PaymentIntent's id
    keyed = shop.world.refund("pi_1", record="pr_other", amount=100).refund
    sources = shop.sources()
    # Then both are found, and all their refunds are listed
    assert find(sources, "pi_1") == [
        PageFound(f"refunds/{keyed.id}", {}),
        PageFound("refunds", {"payment_intent": "pi_1"}),
    ]
    both = {keyed.id, shop.world.stored("by-intent").id}
    assert ids_of(called(sources, "pi_1")) == both


def test_a_name_of_stripes_that_no_payment_has_is_not_found(shop: SmallShop) -> None:
    sources = shop.sources()
    assert [find(sources, one) for one in ("pr_old", "pi_old", "in_old")] == [[], [], []]


@pytest.mark.parametrize("text", ["", "nobody", "rfd_nobody", "a b", "\u202e", "x" * 256])
def test_nothing_else_is_found(day: ShopDay, text: str) -> None:
    assert find(day.sources(), text) == []
