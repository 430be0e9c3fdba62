"""Idempotency keys: the first answer is the answer."""

import pytest
import stripe

from local.simulators.client import SimulatorControl
from tests.unit.simulators.reporting import report

WHEN = 1730253453


def test_a_key_of_256_characters_is_refused(stripe_client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="at most 255"):
        report(stripe_client, key="k" * 256)
    assert report(stripe_client, key="k" * 255).amount_refunded.value == 2500


def test_a_refusal_on_the_merits_is_stored_and_one_of_the_form_is_not(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    # Given a report above what remains, and one in milliseconds
    for key, amount, when in (("merits", 10_000, WHEN), ("form", 100, WHEN * 1000)):
        with pytest.raises(stripe.InvalidRequestError):
            report(stripe_client, key=key, amount=amount, refunded_at=when)

    # When the first is repeated, then it is replayed; the second's key is still free
    with pytest.raises(stripe.InvalidRequestError) as replayed:
        report(stripe_client, key="merits", amount=10_000, refunded_at=WHEN)
    assert (replayed.value.headers or {})["Idempotent-Replayed"] == "true"
    assert report(stripe_client, key="form", amount=100).amount_refunded.value == 100


def test_two_calls_at_once_under_one_key_are_a_conflict(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    # Given a call under k1 whose effect and answer are still to come
    control.add_fault(
        "stripe",
        "payment_record.report_refund",
        "late_commit",
        seconds=60,
        hold_seconds=0,
    )
    with pytest.raises(stripe.APIConnectionError):
        report(stripe_client, key="k1", refunded_at=WHEN)

    # When it is repeated meanwhile, then it is a conflict
    with pytest.raises(stripe.APIError) as conflict:  # the SDK's class for every 409
        report(stripe_client, key="k1", refunded_at=WHEN)
    assert conflict.value.http_status == 409
    assert conflict.value.error is not None
    assert conflict.value.error.code == "idempotency_key_in_use"
    assert control.reports() == []
