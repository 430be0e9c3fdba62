"""Wrong answers of HitPay: error statuses, broken or disagreeing bodies, stale look-ups."""

from decimal import Decimal

import pytest

from local.simulators.client import SimulatorControl
from local.simulators.json_text import decode
from local.simulators.payments import CARD_SGD
from tests.unit.simulators.callers import HitPayCaller, Reply

CHARGE = CARD_SGD.charge_id


def refund(hitpay: HitPayCaller) -> Reply:
    return hitpay.refund(payment_id=CHARGE, amount="10.00")


@pytest.mark.parametrize("status", [401, 403, 409, 422, 429, 500, 502, 503])
def test_an_error_status_comes_before_processing(
    hitpay: HitPayCaller, control: SimulatorControl, status: int
) -> None:
    control.add_fault("hitpay", "refund.create", "status", status=status)
    reply = refund(hitpay)
    assert reply.status == status
    assert "message" in reply.body
    assert control.refunds(CHARGE) == []


def test_a_429_says_when_to_come_again(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    control.add_fault("hitpay", "refund.create", "status", status=429, headers={"Retry-After": "7"})
    assert refund(hitpay).headers["Retry-After"] == "7"


def test_a_redirect_names_its_location(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    location = {"Location": "https://elsewhere.example/v1/refund"}
    control.add_fault("hitpay", "refund.create", "status", status=307, headers=location)
    reply = refund(hitpay)
    assert (reply.status, reply.headers["Location"]) == (307, location["Location"])


def test_an_error_status_may_have_any_body(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    for body in ("<h1>Forbidden</h1>", {"message": "Insufficient balance."}):
        control.add_fault("hitpay", "refund.create", "status", status=403, body=body)
    html, refused = refund(hitpay), refund(hitpay)
    assert html.headers["Content-Type"].startswith("text/html")
    assert html.raw == b"<h1>Forbidden</h1>"
    assert refused.body == {"message": "Insufficient balance."}


def test_an_error_after_the_commit_hides_a_refund(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.add_fault("hitpay", "refund.create", "status_after_commit", status=502)
    assert refund(hitpay).status == 502
    assert len(control.refunds(CHARGE)) == 1


@pytest.mark.parametrize(
    ("variant", "start"), [("empty", b""), ("html", b"<html>"), ("null", b"null")]
)
def test_a_2xx_may_hold_anything_but_a_refund(
    hitpay: HitPayCaller, control: SimulatorControl, variant: str, start: bytes
) -> None:
    control.add_fault("hitpay", "refund.create", "body", variant=variant)
    reply = refund(hitpay)
    assert reply.status == 200
    assert reply.raw.startswith(start)
    assert len(control.refunds(CHARGE)) == 1


def test_a_truncated_body_is_no_json(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    control.add_fault("hitpay", "refund.create", "body", variant="truncated")
    raw = refund(hitpay).raw
    assert raw.startswith(b"{")
    with pytest.raises(ValueError, match="line 1"):
        decode(raw)


@pytest.mark.parametrize(
    ("variant", "member", "value"),
    [
        ("other_amount", "amount_refunded", Decimal("11.00")),
        ("other_currency", "currency", "xts"),
        ("other_payment", "payment_id", "00000000-0000-4000-8000-000000000000"),
        ("no_id", "id", None),
    ],
)
def test_a_2xx_may_disagree_with_what_was_asked(
    hitpay: HitPayCaller, control: SimulatorControl, variant: str, member: str, value: object
) -> None:
    control.add_fault("hitpay", "refund.create", "body", variant=variant)
    assert refund(hitpay).body.get(member) == value
    assert control.refunds(CHARGE)[0].amount == Decimal("10.00")


def test_look_ups_that_lag_do_not_show_the_newest_refunds(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a refund, and look-ups that lag by a minute
    made = refund(hitpay).body
    for operation in ("charge.read", "refund.read"):
        control.add_fault("hitpay", operation, "lag", seconds=60, times=None)

    # When they are asked, then they do not know it
    charge = hitpay.charge(CHARGE)
    assert (charge["status"], charge["refunded_amount"], charge["refunds"]) == ("succeeded", 0, [])
    assert hitpay.get(f"/v1/refund/{made['id']}").status == 404

    # Until they catch up
    control.clear_faults()
    assert hitpay.charge(CHARGE)["status"] == "partially_refunded"


def test_look_ups_may_hide_all_new_refunds_or_the_whole_object(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    refund(hitpay)
    control.add_fault("hitpay", "charge.read", "hide")
    assert hitpay.charge(CHARGE)["refunds"] == []
    control.add_fault("hitpay", "charge.read", "hide", what="object")
    assert hitpay.get(f"/v1/charges/{CHARGE}").status == 404
    assert hitpay.charge(CHARGE)["status"] == "partially_refunded"
