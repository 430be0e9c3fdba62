"""report_refund, driven by the official SDK."""

import re
import time

import pytest
import stripe

from local.simulators.client import SimulatorControl
from local.simulators.payments import CANCELED, CARD_SGD, NEVER_CAPTURED
from tests.unit.simulators.reporting import RECORD, report


def test_a_record_has_every_member_of_stripes_sample(stripe_client: stripe.StripeClient) -> None:
    # When a record is retrieved
    record = stripe_client.v1.payment_records.retrieve(RECORD)

    # Then the link, the amounts and the mode are there
    assert record.object == "payment_record"
    assert record.metadata["hitpay_payment_id"] == CARD_SGD.charge_id
    assert record.processor_details.custom is not None
    assert record.processor_details.custom.payment_reference == CARD_SGD.charge_id
    assert (record.amount.value, record.amount_authorized.value) == (9999, 9999)
    assert (record.amount_requested.value, record.amount_guaranteed.value) == (9999, 9999)
    assert (record.amount_refunded.value, record.amount_refunded.currency) == (0, "sgd")
    assert (record.livemode, record.reported_by) == (False, "self")
    assert record.shipping_details is None


def test_a_report_moves_the_amounts_and_is_recorded(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    # When a refund is reported
    record = report(
        stripe_client,
        key="key-1",
        reference="re_1",
        refunded_at=1730253453,
        initiated_at=1730253450,
        metadata={"order": "1007"},
    )

    # Then refunded goes up, guaranteed goes down, and Stripe shows exactly this report
    assert (record.amount_refunded.value, record.amount_guaranteed.value) == (2500, 7499)
    (seen,) = control.reports(RECORD)
    assert (seen.refund_reference, seen.amount, seen.currency) == ("re_1", 2500, "sgd")
    assert (seen.refunded_at, seen.initiated_at) == (1730253453, 1730253450)
    assert (seen.idempotency_key, seen.metadata) == ("key-1", {"order": "1007"})
    assert stripe_client.v1.payment_records.retrieve(RECORD).metadata["order"] == "1007"


def test_metadata_may_stay_with_the_attempt(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    control.set_stripe(report_metadata="attempt")
    assert "order" not in report(stripe_client, metadata={"order": "1007"}).metadata


@pytest.mark.parametrize("record", [NEVER_CAPTURED.record_id, CANCELED.record_id])
def test_what_was_never_guaranteed_cannot_be_refunded(
    stripe_client: stripe.StripeClient, record: str
) -> None:
    assert stripe_client.v1.payment_records.retrieve(record).amount_guaranteed.value == 0
    with pytest.raises(stripe.InvalidRequestError, match="no guaranteed amount"):
        report(stripe_client, record, amount=1)


def test_times_in_the_future_or_in_the_wrong_order_are_refused(
    stripe_client: stripe.StripeClient,
) -> None:
    now = int(time.time())
    with pytest.raises(stripe.InvalidRequestError, match="future"):
        report(stripe_client, refunded_at=now + 2 * 86_400)
    with pytest.raises(stripe.InvalidRequestError, match="before initiated_at"):
        report(stripe_client, refunded_at=now - 10, initiated_at=now)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": "failed"}, "Invalid outcome"),
        ({"outcome": None}, "Missing required param: outcome"),
        ({"processor_details": {"type": "paypal"}}, "must be custom"),
        ({"processor_details": {"type": "custom"}}, "processor_details[custom]"),
        ({"processor_details": {"type": "custom", "custom": {"a": "b"}}}, "refund_reference"),
        ({"refunded": None}, "Missing required param: refunded"),
        ({"refunded": {"refunded_at": "1.5"}}, "Invalid integer: 1.5"),
        ({"amount": {"value": "0", "currency": "sgd"}}, "greater than or equal to 1"),
        ({"amount": {"value": "1e3", "currency": "sgd"}}, "Invalid integer"),
        ({"amount": {"value": "5"}}, "amount[currency]"),
        ({"amount": {"value": "5", "currency": "usd"}}, "currency usd is not"),
        ({"amuont": {"value": "5"}}, "unknown parameter: amuont"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, "more than 50"),
        ({"metadata": {"k" * 41: "v"}}, "longer than 40"),
        ({"metadata": {"k": "v" * 501}}, "up to 500"),
    ],
)
def test_a_wrong_parameter_is_an_invalid_request(
    stripe_client: stripe.StripeClient,
    control: SimulatorControl,
    change: dict[str, object],
    message: str,
) -> None:
    # Given a good report with one thing changed
    params: dict[str, object] = {
        "outcome": "refunded",
        "processor_details": {"type": "custom", "custom": {"refund_reference": "re_1"}},
        "refunded": {"refunded_at": 1730253453},
        **change,
    }
    given = {name: value for name, value in params.items() if value is not None}

    # When it is sent as it is
    with pytest.raises(stripe.InvalidRequestError, match=re.escape(message)) as refused:
        stripe_client.raw_request("post", f"/v1/payment_records/{RECORD}/report_refund", **given)

    # Then it is refused and nothing is entered
    assert refused.value.http_status == 400
    assert control.reports() == []
