"""Each fault as the official SDK sees it, and what Stripe shows afterwards."""

import pytest
import stripe

from local.simulators.client import SimulatorControl
from local.simulators.payments import CARD_SGD, SUBSCRIPTION
from tests.unit.simulators.callers import eventually
from tests.unit.simulators.reporting import RECORD, report

REPORT = "payment_record.report_refund"
WHEN = 1730253453


@pytest.mark.parametrize("fault", ["commit_then_reset", "commit_then_timeout"])
def test_a_report_whose_answer_was_lost_is_replayed_under_its_key(
    control: SimulatorControl, stripe_client: stripe.StripeClient, fault: str
) -> None:
    # Given a report that Stripe took and could not answer
    control.add_fault("stripe", REPORT, fault)
    impatient = stripe.StripeClient(
        "sk_test_simulator",
        base_addresses={"api": control.stripe_url},
        max_network_retries=0,
        http_client=(http := stripe.RequestsClient(timeout=0.3)),
    )
    with pytest.raises(stripe.APIConnectionError):
        report(impatient, key="k1", refunded_at=WHEN)
    http.close()  # type: ignore[no-untyped-call]
    assert len(control.reports(RECORD)) == 1

    # When it is repeated under the same key
    again = report(stripe_client, key="k1", refunded_at=WHEN)

    # Then it is the first answer, and there is still one report
    assert again.amount_refunded.value == 2500
    assert len(control.reports(RECORD)) == 1


def test_a_lost_report_was_never_made_and_its_key_is_free(
    control: SimulatorControl, stripe_client: stripe.StripeClient
) -> None:
    control.add_fault("stripe", REPORT, "lost_request")
    with pytest.raises(stripe.APIConnectionError):
        report(stripe_client, key="k1", refunded_at=WHEN)
    assert control.reports() == []
    assert report(stripe_client, key="k1", refunded_at=WHEN).amount_refunded.value == 2500


def test_a_late_report_arrives_after_the_caller_gave_up(
    control: SimulatorControl, stripe_client: stripe.StripeClient
) -> None:
    control.add_fault("stripe", REPORT, "late_commit", seconds=0.2, hold_seconds=0)
    with pytest.raises(stripe.APIConnectionError):
        report(stripe_client, key="k1", refunded_at=WHEN)
    assert len(eventually(control.reports, bool)) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, stripe.AuthenticationError),
        (429, stripe.RateLimitError),
        (409, stripe.StripeError),
        (500, stripe.APIError),
        (503, stripe.APIError),
    ],
)
def test_an_error_status_becomes_the_sdks_error(
    control: SimulatorControl,
    stripe_client: stripe.StripeClient,
    status: int,
    error: type[stripe.StripeError],
) -> None:
    control.add_fault("stripe", REPORT, "status", status=status)
    with pytest.raises(error) as raised:
        report(stripe_client)
    assert raised.value.http_status == status
    assert control.reports() == []


@pytest.mark.parametrize("variant", ["empty", "html", "truncated"])
def test_a_broken_body_is_an_error_although_the_report_was_accepted(
    control: SimulatorControl, stripe_client: stripe.StripeClient, variant: str
) -> None:
    control.add_fault("stripe", REPORT, "body", variant=variant)
    with pytest.raises(stripe.APIError):
        report(stripe_client)
    assert len(control.reports()) == 1


@pytest.mark.parametrize(
    ("variant", "seen"),
    [
        ("other_amount", (RECORD, 2501, "sgd")),
        ("other_currency", (RECORD, 2500, "xts")),
        ("other_payment", ("pr_of_somebody_else", 2500, "sgd")),
    ],
)
def test_an_answer_may_disagree(
    control: SimulatorControl,
    stripe_client: stripe.StripeClient,
    variant: str,
    seen: tuple[str, int, str],
) -> None:
    control.add_fault("stripe", REPORT, "body", variant=variant)
    record = report(stripe_client)
    refunded = record.amount_refunded
    assert (record.id, refunded.value, refunded.currency) == seen
    assert control.reports()[0].amount == 2500


def test_a_record_that_lags_does_not_show_the_newest_report(
    control: SimulatorControl, stripe_client: stripe.StripeClient
) -> None:
    report(stripe_client)
    control.add_fault("stripe", "payment_record.read", "lag", seconds=60)
    stale = stripe_client.v1.payment_records.retrieve(RECORD)
    assert (stale.amount_refunded.value, stale.amount_guaranteed.value) == (0, 9999)
    fresh = stripe_client.v1.payment_records.retrieve(RECORD)
    assert (fresh.amount_refunded.value, fresh.amount_guaranteed.value) == (2500, 7499)


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("payment_record.read", lambda v1: v1.payment_records.retrieve(RECORD)),
        ("payment_intent.read", lambda v1: v1.payment_intents.retrieve("pi_with_intent")),
        ("invoice.read", lambda v1: v1.invoices.retrieve(SUBSCRIPTION.invoice_id)),
        ("credit_note.list", lambda v1: v1.credit_notes.list()),
        ("credit_note.create", lambda v1: v1.credit_notes.create({"invoice": CARD_SGD.name})),
    ],
)
def test_every_operation_can_be_made_to_fail(
    control: SimulatorControl, stripe_client: stripe.StripeClient, operation: str, read: object
) -> None:
    control.add_fault("stripe", operation, "status", status=503)
    assert callable(read)
    with pytest.raises(stripe.APIError):
        read(stripe_client.v1)
    assert control.faults()[0]["fired"] == 1


def test_the_journal_has_both_providers_in_one_order_and_the_idempotency_key(
    control: SimulatorControl, stripe_client: stripe.StripeClient
) -> None:
    # When a record is read and a refund reported
    stripe_client.v1.payment_records.retrieve(RECORD)
    report(stripe_client, key="k1")

    # Then the journal has them in order, with the key of the write and no secret
    calls = control.calls()
    assert [call.operation for call in calls] == ["payment_record.read", REPORT]
    assert [call.idempotency_key for call in calls] == [None, "k1"]
    assert calls[1].parameters["outcome"] == "refunded"
    assert "sk_test_simulator" not in repr(calls)
