"""What is read of a charge of Stripe's, in whichever version of its API it is shown."""

from typing import Any

import pytest

from refund_bridge.processors.stripe.objects import read_charge

CHARGE: dict[str, Any] = {
    "id": "ch_1",
    "status": "succeeded",
    "captured": True,
    "amount_captured": 9999,
    "amount_refunded": 0,
    "currency": "sgd",
    "refunded": False,
}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("transfer_data", {"destination": "acct_1"}),
        ("transfer", "tr_1"),
        ("destination", "acct_1"),  # of charges in versions before that member was moved
        ("application_fee_amount", 100),
        ("application_fee", "fee_1"),
    ],
)
def test_each_sign_that_others_have_a_part_in_it_is_seen(member: str, value: object) -> None:
    assert read_charge(CHARGE | {member: value}, ()).shared == member
    # And where it is shown as empty, nobody has
    assert read_charge(CHARGE | {member: None}, ()).shared is None
