"""What HitPay refuses, and in which words."""

import pytest

from local.simulators.client import SimulatorControl
from local.simulators.payments import CANCELED, CARD_SGD, NEVER_CAPTURED, PARTLY_REFUNDED
from local.simulators.seeding import DemoPayment
from tests.unit.simulators.callers import HitPayCaller

CHARGE = CARD_SGD.charge_id


def test_more_than_was_paid_is_refused_and_nothing_moves(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a payment of 99.99 of which 25.00 is refunded
    charge = PARTLY_REFUNDED.charge_id

    # When a cent more than the rest is asked for
    reply = hitpay.refund(payment_id=charge, amount="75.00")

    # Then it is refused
    assert reply.status == 403
    assert "greater than" in str(reply.body["message"])
    assert len(control.refunds(charge)) == 1


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


@pytest.mark.parametrize(
    "path", ["/v1/charges/none", "/v1/refund/none", "/v1/payment-requests/none"]
)
def test_an_unknown_id_is_laravels_404(hitpay: HitPayCaller, path: str) -> None:
    # When an unknown id is read
    reply = hitpay.get(path)

    # Then Laravel's sentence names the model
    assert reply.status == 404
    assert str(reply.body["message"]).startswith("No query results for model [")


def test_an_unknown_payment_cannot_be_refunded(hitpay: HitPayCaller) -> None:
    assert hitpay.refund(payment_id="none", amount="1.00").status == 404


def test_a_path_that_does_not_exist_and_a_wrong_method_are_json_too(hitpay: HitPayCaller) -> None:
    assert hitpay.get("/v2/anything").status == 404
    assert hitpay.get("/v1/refund").status == 405
    assert "message" in hitpay.get("/v1/refund").body


def test_only_valid_keys_are_admitted_and_two_may_be_valid_at_once(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a rotation: the old and the new key are valid
    control.set_keys("hitpay", "old", "new")

    def status_with(key: str) -> int:
        hitpay.key = key
        return hitpay.get(f"/v1/charges/{CHARGE}").status

    # When both and a third are tried, then only these two are admitted
    assert [status_with("old"), status_with("new"), status_with("other")] == [200, 200, 401]
    assert hitpay.get("/v1/charges/x").body == {"message": "Unauthenticated."}
