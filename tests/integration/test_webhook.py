"""HitPay's webhook and the sweep: what happens in the dashboard reaches Stripe."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from local import secrets
from local.http_client import RefundApiClient
from local.polling import wait_for
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from tests.integration.background import calling_nobody, ledger_items

SALT = HitPaySettings().webhook_salt
SOON = 30


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


def told(stack: RunningStack, payment: DemoPayment) -> list[int]:
    """The amounts that Stripe was told of, once there are any."""
    return wait_for(
        lambda: [report.amount for report in stack.control.reports(payment.record_id)],
        "a report at Stripe",
        at_most=SOON,
    )


def swept(stack: RunningStack) -> int:
    """Do what the daily schedule does."""
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
        assert told(stack, payment) == [1250]
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
        assert told(stack, payment) == [1250]
        swept(stack)
        assert len(refunds_of(stack, payment)) == 1

    @pytest.mark.parametrize("paging", ["page", "cursor"])
    def test_the_sweep_reads_either_form_of_hitpays_list(
        self, stack: RunningStack, paging: str
    ) -> None:
        # Given more payments than a page has
        stack.control.set_hitpay(list_paging=paging)
        first = paid(stack, f"sweep_{paging}")
        for number in range(60):
            paid(stack, f"sweep_{paging}_{number}")
        stack.control.dashboard_refund(first.charge_id, "1.00")
        swept(stack)
        stack.control.set_hitpay(list_paging="page")
        assert told(stack, first) == [100]

    def test_one_without_a_trace_of_stripe_is_ignored(
        self, stack: RunningStack, webhooks: None
    ) -> None:
        payment = paid(stack, "dashboard_stranger", has_intent=False)
        stack.control.dashboard_refund(payment.charge_id, "12.50")
        delivered(stack, payment, 2)
        assert refunds_of(stack, payment) == []

    def test_one_whose_trace_leads_nowhere_is_kept_with_its_report_failed(
        self, stack: RunningStack, webhooks: None
    ) -> None:
        payment = paid(stack, "dashboard_lost", linked_by="nothing")
        stack.control.dashboard_refund(payment.charge_id, "12.50")
        (refund,) = wait_for(lambda: refunds_of(stack, payment), "the refund", at_most=SOON)
        assert refund["report"]["state"] == "failed"
        assert refund["report"]["last_error"] == "payment_not_linked"
        assert "payment_record" not in refund


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

    def test_a_success_that_is_taken_back_shows(
        self, stack: RunningStack, api: RefundApiClient, webhooks: None
    ) -> None:
        payment = paid(stack, "webhook_back")
        refund = api.create_refund("webhook-back", payment_record=payment.record_id).body
        told(stack, payment)
        stack.control.set_refund_status(refund["processor_refund_id"], "failed")
        late = wait_for(
            lambda: api.read_refund(refund["id"]).body.get("late_failure"),
            "late_failure",
            at_most=SOON,
        )
        assert late["seen_at"]


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

    def test_a_genuine_one_for_an_unknown_charge_changes_nothing(self, stack: RunningStack) -> None:
        answer = sent(stack, self.BODY, Hitpay_Signature=signature(self.BODY))
        assert answer == (200, {"status": "not_found"})

    @pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"id": 7}', b'{"id": "\\ud800"}'])
    def test_a_signed_body_without_a_charge_is_a_bad_request(
        self, stack: RunningStack, body: bytes
    ) -> None:
        status, answer = sent(stack, body, Hitpay_Signature=signature(body))
        assert (status, answer["error"]["code"]) == (400, "invalid_request")

    def test_a_body_that_is_no_text_does_not_come_through_as_it_was_signed(
        self, stack: RunningStack
    ) -> None:
        status, answer = sent(stack, b"\xff\xfe", Hitpay_Signature=signature(b"\xff\xfe"))
        assert (status, answer["error"]["code"]) == (401, "unauthorized")

    def test_another_kind_of_object_is_ignored(self, stack: RunningStack) -> None:
        headers = {"Hitpay_Signature": signature(self.BODY), "Hitpay_Event_Object": "payout"}
        assert sent(stack, self.BODY, **headers) == (200, {"status": "ignored"})

    def test_other_methods_are_refused_in_the_contracts_words(self, stack: RunningStack) -> None:
        answer = RefundApiClient(stack.api_url, "").request("GET", "/v1/webhooks/hitpay")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert answer.body["error"]["code"] == "method_not_allowed"

    def test_while_the_salt_is_changed_both_are_good(self, stack: RunningStack) -> None:
        # Given the old salt and the new one
        store = secrets.SecretStore(stack.client("ssm"), stack.stage.secrets_prefix)
        store.put(secrets.HITPAY_WEBHOOK_SALTS, f"{SALT},the-new-salt")
        try:
            wait_for(
                lambda: (
                    sent(stack, self.BODY, Hitpay_Signature=signature(self.BODY, "the-new-salt"))[0]
                    == 200
                ),
                "the new salt",
                at_most=SOON,
            )
            assert sent(stack, self.BODY, Hitpay_Signature=signature(self.BODY))[0] == 200
        finally:
            store.put(secrets.HITPAY_WEBHOOK_SALTS, SALT)

    def test_while_a_provider_is_down_hitpay_is_told_to_come_again(
        self, stack: RunningStack
    ) -> None:
        payment = paid(stack, "webhook_outage")
        stack.control.add_fault("hitpay", "charge.read", "status", status=503, times=None)
        body = json.dumps({"id": payment.charge_id}).encode()
        status, answer = sent(stack, body, Hitpay_Signature=signature(body))
        assert (status, answer["error"]["code"]) == (503, "processor_unavailable")


def delivered(stack: RunningStack, payment: DemoPayment, times: int) -> None:
    """Wait until HitPay has delivered its webhooks for a payment, well received."""

    def statuses() -> bool:
        state = stack.control.state("hitpay")["webhooks"]
        assert isinstance(state, dict)
        deliveries = [d for d in state["deliveries"] if d["charge_id"] == payment.charge_id]
        return [d["status"] for d in deliveries] == [200] * times

    wait_for(statuses, "the webhooks", at_most=SOON)
