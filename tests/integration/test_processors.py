"""Five processors behind one interface: the Payment Record's metadata say where money moves.

Payments that Stripe itself took have no such record: they are refunded at Stripe.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from deployed.polling import wait_for
from deployed.secrets import CCG_ACCESS_TOKEN, SecretStore
from local.event_client import EventProducer, listening
from local.http_client import Answer, RefundApiClient
from local.providers import PROCESSORS
from local.simulators.json_text import JsonObject
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack, announced
from refund_bridge.processors.registry import REGISTRY
from tests.integration.background import causes, ledger_items, ledger_refund
from tests.integration.bus import wait_until_all_is_told
from tests.integration.shell import Refundctl

# Pending refunds are checked by the schedule, which fires every minute.
SETTLED = 90


@dataclass(frozen=True)
class Moved:
    """A refund as its processor's simulator has it, its amount in minor units."""

    id: str
    amount: int


@dataclass(frozen=True)
class Desk:
    """A caller, and reads of the processors' own books."""

    stack: RunningStack
    api: RefundApiClient

    @property
    def payouts(self) -> RefundApiClient:
        """A caller who may send money to a customer whom it names."""
        return RefundApiClient(self.stack.api_url, self.stack.payout_key)

    def paid(self, name: str, processor: str, **more: Any) -> DemoPayment:
        """A payment of USD 50.00 of the test's own."""
        payment = DemoPayment(name, 5000, "usd", processor=processor, **more)
        self.stack.control.seed(seed_of(payment))
        return payment

    def card(self, name: str, kind: str = "card") -> str:
        """A payment method that the gateway knows."""
        methods: JsonObject = {"payment_methods": [{"id": f"pm_{name}", "kind": kind}]}
        self.stack.control.seed_processor("ccg", methods)
        return f"pm_{name}"

    def moved(self, payment: DemoPayment) -> list[Moved]:
        """What was refunded of a payment."""
        if payment.processor == "hitpay":
            made = self.stack.control.refunds(payment.charge_id)
            return [Moved(one.id, int(one.amount * 100)) for one in made]
        return self._moved_at(payment.processor, payment.charge_id, None)

    def sent_to(self, method: str) -> list[Moved]:
        """What was sent to a card without a payment."""
        return self._moved_at("ccg", None, method)

    def _moved_at(self, name: str, payment_id: str | None, method: str | None) -> list[Moved]:
        made = self.stack.control.processor_refunds(name, payment_id)
        return [Moved(one.id, one.amount) for one in made if one.payment_method == method]

    def ended(self, refund_id: str) -> dict[str, Any]:
        """Wait until the refund has succeeded and its report, if any, was made; returns it."""

        def look() -> dict[str, Any] | None:
            body: dict[str, Any] = self.api.read_refund(refund_id).body
            told = body["stripe_report"]["status"] in ("reported", "not_due")
            return body if body["status"] == "succeeded" and told else None

        return wait_for(look, f"{refund_id} succeeded", at_most=SETTLED, every=0.5)

    def reported(self, refund_id: str) -> dict[str, Any]:
        """The refund, once Stripe has heard of it."""

        def look() -> dict[str, Any] | None:
            body = self.ended(refund_id)
            return body if body["stripe_report"]["status"] == "reported" else None

        return wait_for(look, f"{refund_id} reported", at_most=SETTLED, every=0.5)

    def moved_and_told_once(self, payment: DemoPayment, amount: int) -> None:
        """Wait until the money was moved once, and exactly that was reported once."""
        (made,) = self.moved(payment)
        (report,) = self.stack.control.reports(payment.record_id)
        assert made.amount == amount
        assert (report.amount, report.refund_reference) == (amount, made.id)


@pytest.fixture
def desk(hasty_stack: RunningStack, hasty_api: RefundApiClient) -> Desk:
    return Desk(hasty_stack, hasty_api)


def accepted(answer: Answer) -> str:
    """The id of a refund that was made, or will be."""
    assert answer.status in (201, 202), answer.text
    return str(answer.body["id"])


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_refund_is_made_where_the_payment_was_and_reported(desk: Desk, processor: str) -> None:
    # Given a Payment Record that names a processor's payment
    payment = desk.paid(f"at_{processor}", processor)
    # When a part of it is refunded, and then another, without a word of the processor
    for number, amount in enumerate((2500, 1000)):
        answer = desk.api.create_refund(
            f"at-{processor}-{number}", payment_record=payment.record_id, amount=amount
        )
        refund = desk.reported(accepted(answer))
        assert (refund["processor"], refund["amount"]) == (processor, amount)
        assert refund["processor_payment_id"] == payment.charge_id
    # Then it was moved there, and nowhere else, and Stripe has both
    assert [one.amount for one in desk.moved(payment)] == [2500, 1000]
    reports = desk.stack.control.reports(payment.record_id)
    assert {(one.amount, one.refund_reference) for one in reports} == {
        (one.amount, one.id) for one in desk.moved(payment)
    }


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_lost_reply_is_settled_to_one_refund(desk: Desk, processor: str) -> None:
    # Given a processor that executes an instruction and then resets the connection
    payment = desk.paid(f"lost_{processor}", processor)
    desk.stack.control.add_fault(
        processor, "refund.create", "commit_then_reset", match=payment.charge_id
    )
    # When a refund is asked for
    answer = desk.api.create_refund(
        f"lost-{processor}", payment_record=payment.record_id, amount=1200
    )
    refund_id = accepted(answer)
    # Then what became of the instruction is found out, and it is made and told of once
    desk.reported(refund_id)
    desk.moved_and_told_once(payment, 1200)
    assert "aborted" not in causes(ledger_refund(desk.stack, refund_id))


class TestARecordThatNamesTwo:
    @pytest.fixture
    def payment(self, desk: Desk, request: pytest.FixtureRequest) -> DemoPayment:
        """A payment at Hedge whose record names one of Hyperswitch's, too."""
        name = f"two_{request.node.name}"
        metadata = {"hedge_payment_id": f"pay_{name}", "hyperswitch_payment_id": "pay_of_old"}
        return desk.paid(name, "hedge", on_record={"metadata": metadata})

    def test_is_refunded_where_the_request_says(self, desk: Desk, payment: DemoPayment) -> None:
        record, elsewhere = payment.record_id, "hitpay"
        wrong = desk.api.create_refund(
            "two-wrong", payment_record=record, amount=1000, processor=elsewhere
        )
        assert (wrong.status, wrong.body["error"]["code"]) == (409, "payment_link_conflict")
        answer = desk.api.create_refund(
            "two-said", payment_record=record, amount=1000, processor="hedge"
        )
        assert desk.reported(accepted(answer))["processor"] == "hedge"
        desk.moved_and_told_once(payment, 1000)
        # And from then on the ledger knows
        again = desk.api.create_refund("two-known", payment_record=record, amount=500)
        assert desk.reported(accepted(again))["processor"] == "hedge"


class TestWithoutAPayment:
    """Money that the gateway sends to a card."""

    @staticmethod
    def body(method: str, **more: Any) -> dict[str, Any]:
        return {
            "processor": "ccg",
            "payment_method": {"id": method, "type": "card"},
            "customer": {"hsid": "hs_4711"},
            "amount": 1500,
            "currency": "usd",
            **more,
        }

    def test_it_is_kept_listed_settled_and_evented_and_not_reported(self, desk: Desk) -> None:
        method = desk.card("plain")
        known = len(desk.stack.control.reports())
        with listening(desk.stack.clients, desk.stack.outputs["EventBusName"]) as listener:
            # When money is sent to a card that no payment is known of
            refund_id = accepted(desk.payouts.create_payout("card-plain", **self.body(method)))
            # Then it is settled like any other,
            refund = desk.ended(refund_id)
            # told on the bus,
            heard = wait_until_all_is_told(desk.stack, listener, refund_id)
        assert "Refund Succeeded" in {event.name for event in heard}
        assert refund["processor_payment_id"] is None
        assert refund["payment_method"] == {"id": method, "type": "card"}
        assert refund["payment_record"] is None
        # listed,
        listed = desk.api.request("GET", "/v1/refunds?limit=100").body["data"]
        assert refund_id in [one["id"] for one in listed]
        # kept under its key,
        again = desk.payouts.create_payout("card-plain", **self.body(method))
        assert (again.status, again.body["id"]) == (200, refund_id)
        # and Stripe hears nothing: there is nothing that it could be told of
        assert refund["stripe_report"]["status"] == "not_due"
        assert len(desk.stack.control.reports()) == known
        assert [one.amount for one in desk.sent_to(method)] == [1500]

    def test_who_the_customer_is_is_kept_by_nobody_once_the_money_moved(self, desk: Desk) -> None:
        method = desk.card("customer")
        answer = desk.payouts.create_payout("card-customer", **self.body(method))
        refund_id = accepted(answer)
        assert "hs_4711" not in answer.text + desk.api.read_refund(refund_id).text
        stored = [item for item in ledger_items(desk.stack, "refund") if refund_id in item["pk"]]
        assert "hs_4711" not in str(stored)

    def test_it_is_reported_to_the_record_that_is_named(self, desk: Desk) -> None:
        method, payment = desk.card("record"), desk.paid("card_record", "ccg")
        answer = desk.payouts.create_payout(
            "card-record", **self.body(method, payment_record=payment.record_id)
        )
        refund = desk.reported(accepted(answer))
        (made,) = desk.sent_to(method)
        (report,) = desk.stack.control.reports(payment.record_id)
        assert (report.amount, report.refund_reference) == (1500, made.id)
        assert refund["payment_record"] == payment.record_id
        assert desk.moved(payment) == []

    def test_a_lost_reply_is_settled_to_one_processor_refund(self, desk: Desk) -> None:
        method = desk.card("lost")
        desk.stack.control.add_fault("ccg", "refund.create", "commit_then_reset", match=method)
        refund_id = accepted(desk.payouts.create_payout("card-lost", **self.body(method)))
        desk.ended(refund_id)
        assert [one.amount for one in desk.sent_to(method)] == [1500]

    def test_events_do_not_ask_for_it(self, desk: Desk) -> None:
        method = desk.card("event")
        with listening(desk.stack.clients, desk.stack.outputs["EventBusName"]) as listener:
            producer = EventProducer(desk.stack.clients, desk.stack.outputs["EventBusName"])
            producer.ask({**self.body(method), "idempotency_key": "card-event"})
            wait_for(
                lambda: [one for one in listener.heard() if one.name == "Refund Request Refused"],
                "the refusal",
                at_most=SETTLED,
                every=0.5,
            )
        assert desk.sent_to(method) == []

    def test_neither_the_route_of_refunds_nor_a_key_without_the_scope_sends_it(
        self, desk: Desk
    ) -> None:
        method = desk.card("refused")
        refused = desk.api.create_refund("card-at-refunds", **self.body(method))
        assert (refused.status, refused.body["error"]["code"]) == (400, "invalid_request")
        assert "POST /v1/payouts" in refused.text
        refused = desk.api.create_payout("card-at-refunds", **self.body(method))
        assert (refused.status, refused.body["error"]["code"]) == (403, "forbidden")
        assert desk.sent_to(method) == []


class TestTheGatewaysToken:
    """The token is short-lived, so it is replaced more often than any key."""

    @pytest.fixture
    def store(self, desk: Desk) -> Iterator[SecretStore]:
        """The store of the token; at the end it has the token that the gateway accepts again."""
        store = SecretStore(desk.stack.client("ssm"), desk.stack.stage.secrets_prefix)
        yield store
        store.put(CCG_ACCESS_TOKEN, PROCESSORS["ccg"].key)
        desk.stack.control.set_keys("ccg", PROCESSORS["ccg"].key)

    def test_one_that_was_renewed_is_read_by_itself(self, desk: Desk, store: SecretStore) -> None:
        # Given a gateway that no longer takes the token that the functions have
        payment = desk.paid("renewed", "ccg")
        desk.stack.control.set_keys("ccg", "the-next-token")
        store.put(CCG_ACCESS_TOKEN, "the-next-token")
        # When a refund is asked for, it is read after the first 401, or soon
        self.until_made(desk, payment, "renewed")
        # Then the refund is made once
        answer = desk.api.create_refund("renewed", payment_record=payment.record_id, amount=700)
        desk.reported(str(answer.body["id"]))
        desk.moved_and_told_once(payment, 700)

    def test_a_missing_one_stops_the_gateway_and_no_other(
        self, desk: Desk, store: SecretStore
    ) -> None:
        # Given a gateway whose token is gone
        theirs, others = desk.paid("without", "ccg"), desk.paid("with", "hedge")
        name = f"{desk.stack.stage.secrets_prefix}/{CCG_ACCESS_TOKEN}"
        desk.stack.client("ssm").delete_parameter(Name=name)
        # When the functions have forgotten it, nothing is moved there
        asked = count()
        wait_for(
            lambda: self.asked(desk, theirs, f"without-{next(asked)}", 100) == 503,
            "the token forgotten",
            at_most=SETTLED,
            every=2.0,
        )
        first = desk.api.create_refund("without", payment_record=theirs.record_id, amount=700)
        assert (first.status, first.body["error"]["code"]) == (503, "processor_unavailable")
        # Then the others go on,
        answer = desk.api.create_refund("with", payment_record=others.record_id, amount=700)
        assert answer.status == 201, answer.text
        # and with a new one the same key is made
        store.put(CCG_ACCESS_TOKEN, PROCESSORS["ccg"].key)
        self.until_made(desk, theirs, "without")
        again = desk.api.create_refund("without", payment_record=theirs.record_id, amount=700)
        assert again.body["id"] == first.body["error"]["details"]["refund"]
        assert desk.reported(str(again.body["id"]))["amount"] == 700

    def until_made(self, desk: Desk, payment: DemoPayment, key: str) -> None:
        """Repeat the request with its key until it is answered by a refund."""
        wait_for(
            lambda: self.asked(desk, payment, key, 700) in (200, 201, 202),
            f"a refund for {key}",
            at_most=SETTLED,
            every=2.0,
        )

    @staticmethod
    def asked(desk: Desk, payment: DemoPayment, key: str, amount: int) -> int:
        record = payment.record_id
        return desk.api.create_refund(key, payment_record=record, amount=amount).status


def test_the_doctor_asks_each_of_them(desk: Desk, tmp_path: Path) -> None:
    with announced(desk.stack, tmp_path / "stack.json"):
        _, told = Refundctl(tmp_path / "stack.json").ended("doctor")
    levels = {found["check"]: found["level"] for found in told["findings"]}
    for adapter in REGISTRY.values():
        assert levels[f"{adapter.title} as it is set up"] == "ok"
        assert levels[f"{adapter.title} with this key"] == "ok"
        assert levels[f"secret {adapter.secret}"] == "ok"


class TestWhatStripeTookItself:
    """A payment that Stripe took is named by its PaymentIntent or charge; nothing is reported."""

    def test_is_refunded_at_stripe_and_told_to_nobody(self, desk: Desk) -> None:
        payment = desk.paid("own", "stripe")
        by_intent = desk.api.create_refund("own-1", payment_intent=payment.intent_id, amount=2500)
        by_charge = desk.api.create_refund("own-2", charge=payment.charge_id, amount=1000)
        # Both are of one payment, and Stripe made them under our ids
        refunds = [desk.ended(accepted(one)) for one in (by_intent, by_charge)]
        assert {one["processor"] for one in refunds} == {"stripe"}
        made = desk.stack.control.processor_refunds("stripe", payment.charge_id)
        assert [(one.amount, one.key) for one in made] == [
            (2500, refunds[0]["id"]),
            (1000, refunds[1]["id"]),
        ]
        told = desk.api.request("GET", f"/v1/payments/{payment.charge_id}").body
        assert (told["payment_record"], told["refundable_amount"]) == (None, 1500)
        listed = desk.api.request("GET", f"/v1/refunds?charge={payment.charge_id}").body
        assert [one["id"] for one in listed["data"]] == [one["id"] for one in reversed(refunds)]
        # And nothing of it is owed to Stripe
        assert {one["stripe_report"]["cause"] for one in refunds} == {"stripes_own"}
        assert desk.stack.control.reports(f"pr_own_{payment.name}") == []

    def test_a_lost_answer_is_one_refund_though_stripe_forgot_the_key(self, desk: Desk) -> None:
        # Given an answer that is lost, and Stripe's clock 25 hours later
        payment, control = desk.paid("own_lost", "stripe"), desk.stack.control
        control.add_fault("stripe", "refund.create", "commit_then_reset", match=payment.charge_id)
        asked: dict[str, Any] = {"payment_intent": payment.intent_id, "amount": 1200}
        refund_id = accepted(desk.api.create_refund("own-lost", **asked))
        control.set_stripe(clock_offset_seconds=25 * 3600)
        try:
            # When it is settled, and its caller repeats it
            desk.ended(refund_id)
            again = desk.api.create_refund("own-lost", **asked)
        finally:
            control.set_stripe(clock_offset_seconds=0)
        # Then there is one refund
        assert (again.status, again.body["id"]) == (200, refund_id)
        assert [one.amount for one in desk.moved(payment)] == [1200]
        sent = control.calls("stripe", "refund.create")
        assert [one for one in sent if one.parameters["charge"] == payment.charge_id][1:] == []
