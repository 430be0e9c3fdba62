"""Every point that HitPay's documents leave open is a switch."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from local.simulators.client import ControlError, SimulatorControl
from local.simulators.json_text import decode_object
from local.simulators.payments import CARD_JPY, CARD_SGD, PAYNOW_SGD
from local.simulators.webhooks import signature
from tests.unit.simulators.callers import HitPayCaller, eventually

CHARGE = CARD_SGD.charge_id


def test_a_null_status_still_carries_the_time_of_the_refund(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given the form of older samples
    control.set_hitpay(refund_status="null", created_status=201)

    # When a refund succeeds
    reply = hitpay.refund(payment_id=CHARGE, amount="1.00")

    # Then its status is null, and refunded_at says that it happened
    assert reply.status == 201
    assert reply.body["status"] is None
    assert reply.body["refunded_at"] is not None


def test_a_pending_refund_never_hides_behind_null(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.set_hitpay(refund_status="null")
    assert hitpay.refund(payment_id=PAYNOW_SGD.charge_id, amount="1.00").body["status"] == "pending"


@pytest.mark.parametrize(
    ("zero_decimal_form", "number_form", "printed"),
    [
        ("integer", "fixed", b'"amount_refunded": 5000,'),
        ("two_decimals", "fixed", b'"amount_refunded": 5000.00,'),
        ("two_decimals", "shortest", b'"amount_refunded": 5000,'),
    ],
)
def test_the_printed_form_of_yen_changes_and_the_value_does_not(
    hitpay: HitPayCaller,
    control: SimulatorControl,
    zero_decimal_form: str,
    number_form: str,
    printed: bytes,
) -> None:
    control.set_hitpay(zero_decimal_form=zero_decimal_form, number_form=number_form)
    reply = hitpay.refund(payment_id=CARD_JPY.charge_id, amount="5000")
    assert printed in reply.raw
    assert reply.body["amount_refunded"] == 5000


def test_the_shortest_form_drops_zeros(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    control.set_hitpay(number_form="shortest")
    assert b'"amount_refunded": 20,' in hitpay.refund(payment_id=CHARGE, amount="20.00").raw
    assert b'"amount_refunded": 1.5,' in hitpay.refund(payment_id=CHARGE, amount="1.50").raw


def test_the_refunds_of_a_charge_may_be_brief_or_absent(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a refunded charge
    made = hitpay.refund(payment_id=CHARGE, amount="1.00").body

    # When the items are brief, then they are a part of the refund
    control.set_hitpay(charge_refunds="brief")
    refunds = hitpay.charge(CHARGE)["refunds"]
    assert isinstance(refunds, list)
    assert refunds[0].items() < made.items()

    # When they are absent, then there is no such member; the same goes for the sum
    control.set_hitpay(charge_refunds="absent", charge_refunded_amount="absent")
    assert {"refunds", "refunded_amount"}.isdisjoint(hitpay.charge(CHARGE))


def test_where_one_refund_per_payment_is_allowed_the_second_is_refused(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.set_hitpay(one_refund_per_payment=True)
    assert hitpay.refund(payment_id=CHARGE, amount="1.00").status == 200
    assert hitpay.refund(payment_id=CHARGE, amount="1.00").status == 403


def test_pending_refunds_may_count_as_refunded(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    hitpay.refund(payment_id=PAYNOW_SGD.charge_id, amount="10.00")
    assert hitpay.charge(PAYNOW_SGD.charge_id)["refunded_amount"] == 0
    control.set_hitpay(pending_counts=True)
    assert hitpay.charge(PAYNOW_SGD.charge_id)["refunded_amount"] == Decimal("10.00")


def test_charges_may_be_listed_by_cursor(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    # Given the paging of the reference
    control.set_hitpay(list_paging="cursor")

    # When meta.next_cursor is followed
    seen: list[str] = []
    cursor: object = ""
    while cursor is not None:
        body = hitpay.get(f"/v1/charges?per_page=5&cursor={cursor}").body
        data, meta = body["data"], body["meta"]
        assert isinstance(data, list)
        assert isinstance(meta, dict)
        seen += [charge["id"] for charge in data]
        cursor = meta["next_cursor"]

    # Then every charge was there once
    assert len(seen) == len(set(seen)) == 17


def test_a_wrong_switch_is_refused_with_a_sentence(control: SimulatorControl) -> None:
    with pytest.raises(ControlError, match="no setting 'colour'"):
        control.set_hitpay(colour="red")
    with pytest.raises(ControlError, match="number_form must be one of"):
        control.set_hitpay(number_form="long")
    with pytest.raises(ControlError, match="webhook_copies cannot be"):
        control.set_hitpay(webhook_copies="two")


@dataclass
class Receiver:
    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    inbox = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            inbox.received.append((dict(self.headers), body))
            self.send_response(inbox.answers.pop(0) if inbox.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    inbox.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield inbox
    server.shutdown()
    thread.join()
    server.server_close()


def _deliveries(control: SimulatorControl) -> list[object]:
    webhooks = control.state("hitpay")["webhooks"]
    assert isinstance(webhooks, dict)
    deliveries = webhooks["deliveries"]
    assert isinstance(deliveries, list)
    return deliveries


def test_a_refund_is_announced_by_a_signed_webhook(
    hitpay: HitPayCaller, control: SimulatorControl, receiver: Receiver
) -> None:
    # Given a webhook
    control.set_hitpay(webhook_url=receiver.url, webhook_salt="pepper")

    # When a refund is made
    hitpay.refund(payment_id=CHARGE, amount="25.00")

    # Then charge.updated arrives, signed over the raw body, with the charge as it now is
    eventually(lambda: receiver.received, bool)
    headers, body = receiver.received[0]
    assert headers["Hitpay-Signature"] == signature(body, "pepper")
    assert headers["Hitpay-Event-Type"] == "updated"
    assert headers["Hitpay-Event-Object"] == "charge"
    assert headers["User-Agent"] == "HitPay v2.0"
    assert decode_object(body) == hitpay.charge(CHARGE)


def test_a_webhook_may_come_twice_and_is_tried_again_when_refused(
    control: SimulatorControl, receiver: Receiver
) -> None:
    # Given duplicates, and a receiver that refuses the first attempt
    receiver.answers = [503, 200, 200]
    control.set_hitpay(webhook_url=receiver.url, webhook_copies=2)

    # When somebody refunds in the dashboard
    control.dashboard_refund(CHARGE, "5.00")

    # Then there are two deliveries and one repetition of the same body
    assert len(eventually(lambda: _deliveries(control), lambda found: len(found) == 3)) == 3
    assert len({body for _, body in receiver.received}) == 1


def test_no_webhook_is_sent_unless_it_is_switched_on(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    hitpay.refund(payment_id=CHARGE, amount="25.00")
    assert control.state("hitpay")["webhooks"] == {"queued": 0, "dropped": 0, "deliveries": []}
