"""Whatever id somebody has at hand leads to what they look for."""

import pytest

from refundctl.console.find import Found, find
from tests.fakes.shop_day import ShopDay


@pytest.fixture(scope="module")
def day() -> ShopDay:
    return ShopDay()


def test_a_refund_is_found_by_every_name_that_it_has(day: ShopDay) -> None:
    refund = day.world.stored("order-7")
    assert refund.processor_refund_id
    shown = Found(f"refunds/{refund.id}", {})
    for name in (refund.id, "order-7", refund.processor_refund_id):
        assert find(day.sources(), name) == shown


def test_a_payment_leads_to_its_refunds(day: ShopDay) -> None:
    sources = day.sources()
    assert find(sources, "pr_007") == Found("refunds", {"payment_record": "pr_007"})
    assert find(sources, "pi_1") == Found("refunds", {"payment_intent": "pi_1"})
    assert find(sources, "in_1") == Found("refunds", {"invoice": "in_1"})
    assert find(sources, "charge-007") == Found(
        "refunds", {"processor": "hitpay", "charge": "charge-007"}
    )


@pytest.mark.parametrize("text", ["", "nobody", "rfd_nobody", "a b", "\u202e", "x" * 256])
def test_nothing_else_is_found(day: ShopDay, text: str) -> None:
    assert find(day.sources(), text) is None
