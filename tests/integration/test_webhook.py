"""HitPay's webhook and the sweep: refunds of the dashboard are reported to Stripe."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from deployed.polling import wait_for
from local.http_client import RefundApiClient
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from tests.integration.background import calling_nobody, ledger_items, start_settling

SALT = HitPaySettings().webhook_salt
SOON = 90


@pytest.fixture
def webhooks(stack: RunningStack) -> Iterator[None]:
    """HitPay sends its webhooks to the stack, each of them twice."""
    stack.control.set_hitpay(webhook_url=stack.webhook_url, webhook_copies=2)
    yield
    stack.control.set_hitpay(webhook_url=None, webhook_copies=1)


def paid(stack: RunningStack, name: str, **more: Any) -> DemoPayment:
    """A payment of the test's own, with a PaymentIntent as the merchant's reference."""
    payment = DemoPayment(name, 5000, **({"has_intent": True} | more))
    stack.control.seed(seed_of(payment))
    return payment


def refunds_of(stack: RunningStack, payment: DemoPayment) -> list[dict[str, Any]]:
    """What the ledger has of a payment."""
    return [
        item
        for item in ledger_items(stack, "refund")
        if item["processor_payment_id"] == payment.charge_id
    ]


def told(stack: RunningStack, payment: DemoPayment, *, by_settling: bool = False) -> list[int]:
    """The amounts that Stripe was told of, once there are any.

    What others have time to report first, settling reports: then it is run at once.
    """

    def look() -> list[int]:
        amounts = [report.amount for report in stack.control.reports(payment.record_id)]
        if by_settling and not amounts:
            start_settling(stack)
        return amounts

    return wait_for(look, "a report at Stripe", at_most=SOON, every=1)


def swept(stack: RunningStack) -> int:
    """Run the sweep, as the daily schedule does."""
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["SweepChargesFunctionName"], Qualifier="live", Payload=b"{}"
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    return int(json.loads(answer["Payload"].read())["differing"])


def signature(body: bytes, salt: str = SALT) -> str:
    return hmac.new(salt.encode(), body, hashlib.sha256).hexdigest()


def sent(stack: RunningStack, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    """What the stack answers to a webhook."""
    given = {"Content-Type": "application/json", "Hitpay-Event-Object": "charge"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = RefundApiClient(stack.api_url, "not a caller").request(
        "POST", "/v1/webhooks/hitpay", raw=body, headers=given | named
    )
    return answer.status, answer.body


class TestRefundsInTheDashboard:
    def test_one_reaches_stripe_by_webhook_at_once(
        self, stack: RunningStack, webhooks: None
    ) -> None:
        # Given a payment that nobody has refunded here
        payment = paid(stack, "dashboard_webhook")
        # When somebody refunds a part in HitPay's dashboard
        made = stack.control.dashboard_refund(payment.charge_id, "12.50")
        # Then Stripe hears of it, once, though the webhook came twice
        assert told(stack, payment, by_settling=True) == [1250]
        (report,) = stack.control.reports(payment.record_id)
        assert report.refund_reference == made
        # And it is a refund here, made by the processor
        (refund,) = refunds_of(stack, payment)
        assert (refund["source"], refund["processor_refund_id"]) == ("processor", made)

    def test_one_reaches_stripe_by_the_sweep_without_a_webhook(self, stack: RunningStack) -> None:
        payment = paid(stack, "dashboard_sweep")
        stack.control.dashboard_refund(payment.charge_id, "12.50")
        assert stack.control.reports(payment.record_id) == []
        # When the daily sweep comes by
        assert swept(stack) >= 1
        # Then Stripe hears of it, and the next sweep finds nothing new there
        assert told(stack, payment, by_settling=True) == [1250]
        swept(stack)
        assert len(refunds_of(stack, payment)) == 1


class TestWhatAWebhookSettles:
    def test_a_pending_refund_ends_at_once(
        self, stack: RunningStack, api: RefundApiClient, webhooks: None
    ) -> None:
        # Given a refund that HitPay has not finished, on a stack that settles once a minute
        payment = paid(stack, "webhook_pending", on_charge={"refunds_come_back": "pending"})
        answer = api.create_refund("webhook-pending", payment_record=payment.record_id)
        assert (answer.status, answer.body["status"]) == (202, "pending")
        # When HitPay finishes it, and says so
        stack.control.set_refund_status(answer.body["processor_refund_id"], "succeeded")
        # Then it has succeeded and Stripe knows
        assert told(stack, payment) == [5000]


class TestWhoeverElseCalls:
    BODY = b'{"id": "00000000-0000-4000-8000-000000000000", "amount": 1.10}'

    @pytest.mark.parametrize(
        "forged", [None, "", "0" * 64, signature(BODY, "another salt"), signature(BODY + b" ")]
    )
    def test_a_forged_webhook_is_refused_before_anything_is_asked(
        self, stack: RunningStack, forged: str | None
    ) -> None:
        headers = {} if forged is None else {"Hitpay_Signature": forged}
        status, body = calling_nobody(stack, lambda: sent(stack, self.BODY, **headers))
        assert (status, body["error"]["code"]) == (401, "unauthorized")

    def test_a_body_that_is_no_text_does_not_come_through_as_it_was_signed(
        self, stack: RunningStack
    ) -> None:
        status, answer = sent(stack, b"\xff\xfe", Hitpay_Signature=signature(b"\xff\xfe"))
        assert (status, answer["error"]["code"]) == (401, "unauthorized")

    def test_other_methods_are_refused_in_the_contracts_words(self, stack: RunningStack) -> None:
        answer = RefundApiClient(stack.api_url, "").request("GET", "/v1/webhooks/hitpay")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert answer.body["error"]["code"] == "method_not_allowed"
