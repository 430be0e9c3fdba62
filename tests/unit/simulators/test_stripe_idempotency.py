"""Idempotency keys: the first answer is the answer."""

import pytest
import stripe

from local.simulators.client import SimulatorControl
from local.simulators.payments import CARD_SGD
from tests.unit.simulators.reporting import RECORD, report

WHEN = 1730253453


def test_the_same_key_replays_the_first_answer(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    # Given a report, and another one after it
    first = report(stripe_client, key="k1", reference="re_1", refunded_at=WHEN)
    report(stripe_client, key="k2", reference="re_2", amount=100)

    # When the first is repeated
    again = report(stripe_client, key="k1", reference="re_1", refunded_at=WHEN)

    # Then its answer is the old one, it says so, and nothing new is entered
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.amount_refunded.value == first.amount_refunded.value == 2500
    assert len(control.reports(RECORD)) == 2
    assert control.calls("stripe")[-1].replayed


def test_other_parameters_under_the_same_key_are_an_error(
    stripe_client: stripe.StripeClient,
) -> None:
    report(stripe_client, key="k1", reference="re_1", amount=100, refunded_at=WHEN)
    with pytest.raises(stripe.IdempotencyError) as refused:
        report(stripe_client, key="k1", reference="re_1", amount=101, refunded_at=WHEN)
    assert refused.value.http_status == 400


def test_a_key_of_256_characters_is_refused(stripe_client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="at most 255"):
        report(stripe_client, key="k" * 256)
    assert report(stripe_client, key="k" * 255).amount_refunded.value == 2500


def test_a_stored_500_is_replayed_although_the_report_was_accepted(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    # Given a 500 after the report was entered
    control.add_fault("stripe", "payment_record.report_refund", "status_after_commit", status=500)
    with pytest.raises(stripe.APIError):
        report(stripe_client, key="k1", refunded_at=WHEN)
    assert len(control.reports()) == 1

    # When it is repeated under the same key, then the 500 is replayed, for ever
    with pytest.raises(stripe.APIError) as replayed:
        report(stripe_client, key="k1", refunded_at=WHEN)
    assert (replayed.value.headers or {})["Idempotent-Replayed"] == "true"

    # And under another key the reference turns out to be taken
    with pytest.raises(stripe.InvalidRequestError, match="already been reported"):
        report(stripe_client, key="k2", refunded_at=WHEN)


def test_a_500_from_before_the_report_is_stored_and_a_503_is_not(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    # Given one of each, before anything is entered
    control.add_fault("stripe", "payment_record.report_refund", "status", status=500)
    control.add_fault("stripe", "payment_record.report_refund", "status", status=503)
    for key in ("k500", "k503"):
        with pytest.raises(stripe.APIError):
            report(stripe_client, key=key, refunded_at=WHEN)

    # When both are repeated, then the stored one is a 500 for ever, the other goes through
    with pytest.raises(stripe.APIError):
        report(stripe_client, key="k500", refunded_at=WHEN)
    assert report(stripe_client, key="k503", refunded_at=WHEN).amount_refunded.value == 2500


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


def test_a_forgotten_key_protects_no_more_but_the_reference_does(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    # Given a report whose key Stripe has forgotten
    report(stripe_client, key="k1", reference=CARD_SGD.charge_id, refunded_at=WHEN)
    assert control.forget_idempotency_keys() == 1

    # When it is repeated, then it is executed anew, and the reference refuses it
    with pytest.raises(stripe.InvalidRequestError, match="already been reported"):
        report(stripe_client, key="k1", reference=CARD_SGD.charge_id, refunded_at=WHEN)
