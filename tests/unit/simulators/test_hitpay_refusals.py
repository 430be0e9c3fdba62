"""What HitPay refuses, and in which words."""

import pytest

from local.simulators.client import SimulatorControl
from local.simulators.payments import CANCELED, CARD_SGD, NEVER_CAPTURED
from local.simulators.seeding import DemoPayment
from tests.unit.simulators.callers import HitPayCaller

CHARGE = CARD_SGD.charge_id


@pytest.mark.parametrize("payment", [NEVER_CAPTURED, CANCELED], ids=lambda item: item.name)
def test_a_charge_that_has_not_succeeded_is_not_refunded(
    hitpay: HitPayCaller, payment: DemoPayment
) -> None:
    # When a refund of it is asked for
    reply = hitpay.refund(payment_id=payment.charge_id, amount="1.00")

    # Then it is refused
    assert reply.status == 403
    assert reply.body == {"message": "You can only refund a succeeded charge."}


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({}, ["payment_id", "amount"]),
        ({"payment_id": CHARGE}, ["amount"]),
        ({"amount": "1.00"}, ["payment_id"]),
        ({"payment_id": CHARGE, "amount": "abc"}, ["amount"]),
        ({"payment_id": CHARGE, "amount": "-1.00"}, ["amount"]),
        ({"payment_id": CHARGE, "amount": "0.00"}, ["amount"]),
        ({"payment_id": CHARGE, "amount": "1e2"}, ["amount"]),
        ({"payment_id": CHARGE, "amount": "1.001"}, ["amount"]),
        ({"payment_id": CHARGE, "amount": "1.00", "send_email": "maybe"}, ["send_email"]),
    ],
)
def test_wrong_fields_are_named_as_laravel_names_them(
    hitpay: HitPayCaller, control: SimulatorControl, form: dict[str, str], wrong: list[str]
) -> None:
    # When a request with wrong fields is sent
    reply = hitpay.post(form)

    # Then each is named, the first one gives the message, and nothing moves
    errors = reply.body["errors"]
    assert reply.status == 422
    assert isinstance(errors, dict)
    assert list(errors) == wrong
    assert [reply.body["message"]] == errors[wrong[0]]
    assert control.refunds(CHARGE) == []
