"""`make tour`: every way into the service and every way out of it, once, on this machine.

Each stop does one thing as somebody outside would, and waits for the expected result. The exit code
is 0 only if every result came. Only observed results are printed.
"""

import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from stripe import Event, StripeClient

from deployed.polling import NotInTimeError, wait_for
from deploying.build import BuildError
from deploying.deploy import DeployError
from local.emulator import EmulatorError
from local.event_client import DeadLetters, EventListener, EventProducer, listening, reasons
from local.http_client import RefundApiClient
from local.providers import PROCESSORS
from local.simulators.payments import seed_of
from local.simulators.records import SimulatedRefund
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack, running_stack
from local.trail import last_log_lines
from local.webhook_receiver import WebhookReceiver

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

SOON = 60.0
# All events that the service publishes; a tour must receive each of them.
EVENTS = frozenset(
    {
        "Refund Succeeded",
        "Refund Pending",
        "Refund Failed",
        "Refund Needs Review",
        "Refund Reported",
        "Refund Report Failed",
        "Refund Reversed",
        "Refund Request Refused",
    }
)
PARAMETERS = {"SettleSeconds": "1", "LeaseSeconds": "25", "SecretsCacheSeconds": "1"}


class TourError(Exception):
    """A stop did not have the expected result."""


@dataclass
class Tour:
    """A walk through a running stack that has simulated providers and settles every second.

    Attributes:
        seen: what each stop did, and its result, in order.
    """

    stack: RunningStack
    listener: EventListener
    producer: EventProducer
    dead_letters: DeadLetters
    seen: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._run = uuid.uuid4().hex[:8]
        self._api_key = self.stack.new_api_key(f"tour-{self._run}")
        self._api = RefundApiClient(self.stack.api_url, self._api_key)

    def walk(self) -> None:
        """Make every stop.

        Raises:
            TourError: a stop had another result than expected.
            NotInTimeError: an expected result did not come in time.
        """
        self._until_known()
        for stop in self._stops():
            stop()
        wait_for(
            lambda: {event.name for event in self.listener.heard()} >= EVENTS,
            "every kind of event",
            at_most=SOON,
        )
        self._note("subscriber on the bus", f"heard all {len(EVENTS)} kinds of event")

    def begin_settling(self) -> None:
        """Settle every second until the schedule does, a minute after the stack was deployed."""
        self._start("SettleRefunds", wait=False)

    def _stops(self) -> tuple[Callable[[], None], ...]:
        return (
            self.document,
            self.by_record,
            self.by_intent,
            self.by_invoice,
            self.refused_by_the_processor,
            self.by_event,
            self.event_that_cannot_be_accepted,
            self.scheduled,
            self.pending_until_the_webhook,
            self.dashboard_by_webhook,
            self.dashboard_by_sweep,
            self.dashboard_without_a_record,
            self.taken_back,
            self.for_a_person,
            self.at_every_processor,
            self.payout_where_it_is_off,
            self.by_stripes_sdk,
            self.without_a_payment,
            self.own_backend_by_webhook,
            self.lists,
        )

    # --- HTTP ------------------------------------------------------------------------------------

    def document(self) -> None:
        """Anybody may read the API's document."""
        document = self._api.request("GET", "/v1/openapi.json").body
        self._note("GET /v1/openapi.json", f"OpenAPI {document['openapi']}")

    def by_record(self) -> None:
        """A simple refund, read again with sync."""
        payment = self._paid("record")
        refund = self._refunded(payment, payment_record=payment.record_id, amount=1000)
        self._reported(payment, [1000])
        again = self._api.request("GET", f"/v1/refunds/{refund['id']}?sync=true").body
        self._require(again["stripe_report"]["status"] == "reported", again)
        self._note("POST by payment_record", f"{refund['id']} succeeded and reported")

    def by_intent(self) -> None:
        """The payment named by its PaymentIntent."""
        payment = self._paid("intent", has_intent=True)
        self._refunded(payment, payment_intent=payment.intent_id, amount=1000)
        self._reported(payment, [1000])
        self._note("POST by payment_intent", "followed to its Payment Record, reported")

    def by_invoice(self) -> None:
        """The payment named by its Invoice, which gets a credit note."""
        payment = self._paid("invoice", has_invoice=True)
        refund = self._refunded(payment, invoice=payment.invoice_id, amount=1000)
        note = wait_for(
            lambda: (self._read(refund["id"])["credit_note"] or {}).get("id"),
            "the credit note",
            at_most=SOON,
        )
        self._note("POST by invoice", f"reported, credit note {note} issued")

    def refused_by_the_processor(self) -> None:
        """HitPay refuses: 402, nothing moved."""
        payment = self._paid("refused")
        self._fault("refund.create", "status", payment, status=422)
        answer = self._api.create_refund(self._key(payment), payment_record=payment.record_id)
        self._require(answer.status == 402, answer.text)
        self._note("POST that HitPay refuses", f"402 {answer.body['error']['code']}")

    def lists(self) -> None:
        """The list of refunds, page by page, and one payment."""
        page = self._api.request("GET", "/v1/refunds?limit=5").body
        self._require(len(page["data"]) == 5 and page["has_more"], page)
        record = page["data"][0]["payment_record"] or f"pr_record_{self._run}"
        payment = self._api.request("GET", f"/v1/payments/{record}").body
        self._require(payment["object"] == "payment", payment)
        self._note("GET lists and payments", f"5 of more; {record}: {payment['status']}")

    # --- events ----------------------------------------------------------------------------------

    def by_event(self) -> None:
        """A refund asked for on the bus, executed in the background."""
        payment = self._paid("event")
        key = self._key(payment)
        self.producer.ask(
            {"payment_record": payment.record_id, "amount": 1000, "idempotency_key": key}
        )
        self._reported(payment, [1000])
        # The same key by HTTP is the same refund
        again = self._api.create_refund(key, payment_record=payment.record_id, amount=1000)
        self._require(again.headers.get("Idempotent-Replayed") == "true", again.text)
        self._note("event Refund Requested", f"{again.body['id']} executed and reported, once")

    def event_that_cannot_be_accepted(self) -> None:
        """An event that names no key goes to the dead letters, with its reason."""
        payment = self._paid("event_refused")
        asked = self.producer.ask({"payment_record": payment.record_id, "amount": 1000})
        letter = wait_for(lambda: self.dead_letters.take(asked), "its dead letter", at_most=SOON)
        reason = reasons(letter).get("reason_code")
        self._require(reason == "idempotency_key_required", letter)
        wait_for(
            lambda: asked in [e.detail.get("request_event_id") for e in self.listener.heard()],
            "Refund Request Refused",
            at_most=SOON,
        )
        self._require(not self.stack.control.refunds(payment.charge_id), "nothing is refunded")
        self._note("event without a key", f"dead letter ({reason}) and Refund Request Refused")

    def scheduled(self) -> None:
        """Two scheduled refunds of one payment, executed in order."""
        payment = self._paid("scheduled")
        for number, amount in enumerate((1000, 2000)):
            answer = self._api.create_refund(
                f"{self._key(payment)}-{number}",
                payment_record=payment.record_id,
                amount=amount,
                refund_type="scheduled",
            )
            self._require(answer.status == 202, answer.text)
        self._reported(payment, [1000, 2000])
        made = [refund.amount for refund in self.stack.control.refunds(payment.charge_id)]
        self._require(made == [10, 20], f"made in another order: {made}")
        self._note("POST scheduled, twice", "executed one after the other, reported")

    # --- HitPay ----------------------------------------------------------------------------------

    def pending_until_the_webhook(self) -> None:
        """A refund that HitPay finishes later, and says so."""
        payment = self._paid("pending", on_charge={"refunds_come_back": "pending"})
        with self._webhooks():
            answer = self._api.create_refund(self._key(payment), payment_record=payment.record_id)
            self._require(answer.body["status"] == "pending", answer.text)
            self.stack.control.set_refund_status(answer.body["processor_refund_id"], "succeeded")
            self._reported(payment, [payment.amount])
        self._note("POST, finished later", "pending, then succeeded by HitPay's webhook, reported")

    def dashboard_by_webhook(self) -> None:
        """A refund made in HitPay's dashboard, which we learn of by the webhook."""
        payment = self._paid("dashboard", has_intent=True)
        with self._webhooks():
            self.stack.control.dashboard_refund(payment.charge_id, "10.00")
            self._reported(payment, [1000])
        self._note("refund in HitPay's dashboard", "reported, told of by the webhook")

    def dashboard_by_sweep(self) -> None:
        """A refund made in HitPay's dashboard, which the sweep finds without a webhook."""
        payment = self._paid("swept", has_intent=True)
        self.stack.control.dashboard_refund(payment.charge_id, "10.00")
        self._require(not self.stack.control.reports(payment.record_id), "told by nobody yet")
        self._start("SweepCharges")
        self._reported(payment, [1000])
        self._note("the same without a webhook", "reported, found by the sweep")

    def dashboard_without_a_record(self) -> None:
        """A dashboard refund of a payment that no record can be found for is left to a person."""
        payment = self._paid("lost", has_intent=True, linked_by="nothing")
        with self._webhooks():
            self.stack.control.dashboard_refund(payment.charge_id, "10.00")
            self._heard("Refund Report Failed", payment)
        self._note("the same, linked to no record", "kept, its report failed for a person to see")

    def taken_back(self) -> None:
        """A success that HitPay takes back."""
        payment = self._paid("reversed")
        refund = self._refunded(payment, payment_record=payment.record_id)
        self._reported(payment, [payment.amount])
        with self._webhooks():
            self.stack.control.set_refund_status(refund["processor_refund_id"], "failed")
            self._heard("Refund Reversed", payment)
        self._note("success that HitPay takes back", "late_failure, Refund Reversed")

    def for_a_person(self) -> None:
        """Two processor refunds that may both be ours: only a person can tell."""
        payment = self._paid("review")
        self._fault("refund.create", "commit_then_reset", payment)
        self.stack.control.set_hitpay(charge_refunds="absent")
        answer = self._api.create_refund(
            self._key(payment), payment_record=payment.record_id, amount=1000
        )
        self._require((answer.status, answer.body["status"]) == (202, "pending"), answer.text)
        self.stack.control.dashboard_refund(payment.charge_id, "10.00")
        self.stack.control.set_hitpay(charge_refunds="full")
        self._heard("Refund Needs Review", payment)
        self._require(len(self.stack.control.refunds(payment.charge_id)) == 2, "sent once")
        self._note("no answer, and a twin beside it", "review; nothing was sent again")

    # --- other processors ------------------------------------------------------------------------

    def at_every_processor(self) -> None:
        """The same call for all processors: the Payment Record says which one moves the money."""
        told = []
        for name in PROCESSORS:
            payment = self._paid(f"at_{name}", currency="usd", processor=name)
            answer = self._api.create_refund(
                self._key(payment), payment_record=payment.record_id, amount=1000
            )
            # Some processors finish later; settling asks them until they have finished.
            self._require(answer.status in (201, 202), answer.text)
            self._require(answer.body["processor"] == name, answer.text)
            self._reported(payment, [1000])
            told.append(name)
        self._note("POST, a payment of each processor", f"at Stripe: {', '.join(told)}")

    def payout_where_it_is_off(self) -> None:
        """With `UnlinkedRefunds=off`, every stage's default, no key can send money to a card."""
        method, body = self._card("off")
        paying = RefundApiClient(self.stack.api_url, self.stack.payout_key)
        with self._payouts_off():
            refused = paying.create_payout(f"tour-off-{self._run}", **body)
        self._require(refused.status == 403, refused.text)
        self._require("sends no money" in refused.body["error"]["message"], refused.text)
        self._require(not self._sent_to(method), "nothing is sent")
        self._note("POST to a card, UnlinkedRefunds=off", "403, nothing sent")

    def by_stripes_sdk(self) -> None:
        """The same call of Stripe's SDK for a payment that HitPay took and for one of Stripe's."""
        client = StripeClient(self._api_key, base_addresses={"api": self.stack.api_url})
        theirs = self._paid("sdk_hitpay", has_intent=True)
        own = self._paid("sdk_stripe", processor="stripe")
        for payment in (theirs, own):
            refund = client.v1.refunds.create(
                {"payment_intent": payment.intent_id, "amount": 1000},
                {"idempotency_key": self._key(payment)},
            )
            self._require(refund.status == "succeeded", refund)
        self._reported(theirs, [1000])
        made = self.stack.control.processor_refunds("stripe", own.charge_id)
        self._require([refund.amount for refund in made] == [1000], made)
        report = self._read(refund.id)["stripe_report"]
        self._require((report["status"], report["cause"]) == ("not_due", "stripes_own"), report)
        self._note("Stripe's SDK, one call for each", "refunded at HitPay and reported; at Stripe")

    def without_a_payment(self) -> None:
        """Money to a card without a known payment: there is nothing to report, but events are
        published as for any refund."""
        method, body = self._card("on")
        # Neither the route for refunds nor a key without the scope can send it.
        refused = self._api.create_refund(f"tour-unlinked-{self._run}", **body)
        self._require(refused.status == 400, refused.text)
        refused = self._api.create_payout(f"tour-unlinked-{self._run}", **body)
        self._require(refused.status == 403, refused.text)
        paying = RefundApiClient(self.stack.api_url, self.stack.payout_key)
        answer = paying.create_payout(f"tour-unlinked-{self._run}", **body)
        self._require(answer.status in (201, 202), answer.text)
        refund_id = answer.body["id"]
        self._told_of("Refund Succeeded", "id", refund_id)
        refund = self._read(refund_id)
        self._require(refund["stripe_report"]["status"] == "not_due", refund)
        (made,) = self._sent_to(method)
        known = [report.refund_reference for report in self.stack.control.reports()]
        self._require(made.id not in known, f"Stripe was told of {made.id}")
        self._note("POST to a card, without a payment", f"{refund_id} succeeded, not at Stripe")

    def _card(self, name: str) -> tuple[str, dict[str, Any]]:
        """A card, and the request that sends 10.00 to it."""
        method = f"pm_tour_{name}_{self._run}"
        self.stack.control.seed_processor("ccg", {"payment_methods": [{"id": method}]})
        return method, {
            "processor": "ccg",
            "payment_method": {"id": method, "type": "card"},
            "customer": {"hsid": f"hs_{self._run}"},
            "amount": 1000,
            "currency": "usd",
        }

    def _sent_to(self, method: str) -> list[SimulatedRefund]:
        made = self.stack.control.processor_refunds("ccg")
        return [one for one in made if one.payment_method == method]

    @contextmanager
    def _payouts_off(self) -> Iterator[None]:
        """Run the API as in a stage whose `UnlinkedRefunds` is `off`, while the body works."""
        functions: LambdaClient = self.stack.client("lambda")
        name = f"{self.stack.stage.stack_name}-refund-api"
        live = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
        as_deployed = functions.get_function_configuration(FunctionName=name)["Environment"]
        variables = {**as_deployed["Variables"], "UNLINKED_REFUNDS": "off"}
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
        off = functions.publish_version(FunctionName=name)["Version"]
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=off)
        try:
            yield
        finally:
            functions.update_alias(FunctionName=name, Name="live", FunctionVersion=live)
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": as_deployed["Variables"]}
            )

    # --- what every stop needs -------------------------------------------------------------------

    def _until_known(self) -> None:
        """Wait until the tour's new key is accepted: workers cache the keys for a while."""
        wait_for(
            lambda: self._api.request("GET", "/v1/refunds?limit=1").status == 200,
            "the new API key",
            at_most=SOON,
            every=2.0,
        )

    def _paid(self, name: str, **more: Any) -> DemoPayment:
        payment = DemoPayment(f"{name}_{self._run}", 5000, **more)
        self.stack.control.seed(seed_of(payment))
        return payment

    def own_backend_by_webhook(self) -> None:
        """A merchant's own backend gets webhooks, and verifies them with Stripe's library."""
        wanted = ["refund.created", "refund_bridge.refund.reported"]
        with WebhookReceiver() as receiver:
            address = self.stack.add_webhook(receiver.url)
            try:
                payment = self._paid("webhook")
                refund = self._refunded(payment, payment_record=payment.record_id, amount=700)
                self._reported(payment, [700])

                def told() -> list[Event]:
                    events = receiver.taken(address.secrets[0].text)
                    ours = [one for one in events if one.data.object["id"] == refund["id"]]
                    return ours if [event.type for event in ours] == wanted else []

                events = wait_for(told, f"webhooks {wanted}", at_most=SOON)
            finally:
                self.stack.remove_webhook(address.id)
        verified = ", ".join(f"{one.id} {one.type} of {one.data.object['id']}" for one in events)
        self._note("webhook to a backend of one's own", f"verified {verified}")

    def _key(self, payment: DemoPayment) -> str:
        return f"tour-{payment.name}"

    def _refunded(self, payment: DemoPayment, **body: Any) -> dict[str, Any]:
        answer = self._api.create_refund(self._key(payment), **body)
        self._require(answer.status == 201, answer.text)
        refund: dict[str, Any] = answer.body
        return refund

    def _read(self, refund_id: str) -> dict[str, Any]:
        refund: dict[str, Any] = self._api.read_refund(refund_id).body
        return refund

    def _reported(self, payment: DemoPayment, amounts: list[int]) -> None:
        """Wait until exactly these amounts were reported to Stripe, in any order."""

        def told() -> bool:
            reports = self.stack.control.reports(payment.record_id)
            return sorted(report.amount for report in reports) == amounts

        wait_for(told, f"reports {amounts} of {payment.name}", at_most=SOON)

    def _heard(self, name: str, payment: DemoPayment) -> None:
        self._told_of(name, "processor_payment_id", payment.charge_id)

    def _told_of(self, name: str, member: str, value: str) -> None:
        """Wait for the event of that name with that value."""

        def heard() -> bool:
            return any(
                event.name == name and event.detail.get(member) == value
                for event in self.listener.heard()
            )

        wait_for(heard, f"{name} of {value}", at_most=SOON)

    def _start(self, function: str, *, wait: bool = True) -> None:
        """Start the function, as its schedule does."""
        self.stack.clients.caller_of_functions().invoke(
            FunctionName=self.stack.outputs[f"{function}FunctionName"],
            Qualifier="live",
            InvocationType="RequestResponse" if wait else "Event",
            Payload=b"{}",
        )

    @contextmanager
    def _webhooks(self) -> Iterator[None]:
        """HitPay sends its webhooks to the stack while the body works."""
        self.stack.control.set_hitpay(webhook_url=self.stack.webhook_url)
        try:
            yield
        finally:
            self.stack.control.set_hitpay(webhook_url=None)

    def _fault(self, operation: str, fault: str, payment: DemoPayment, **more: Any) -> None:
        self.stack.control.add_fault("hitpay", operation, fault, match=payment.charge_id, **more)

    def _require(self, condition: bool, what: object) -> None:
        if not condition:
            raise TourError(f"{what}")

    def _note(self, way_in: str, way_out: str) -> None:
        self.seen.append((way_in, way_out))


@contextmanager
def tour_of(stack: RunningStack) -> Iterator[Tour]:
    """A tour of the stack, with a subscriber on its bus during the tour."""
    bus = stack.outputs["EventBusName"]
    with listening(stack.clients, bus) as listener:
        letters = DeadLetters(stack.clients, stack.outputs["RefundRequestDeadLetterQueueUrl"])
        yield Tour(stack, listener, EventProducer(stack.clients, bus), letters)


def main() -> int:
    """Start a stack, make the tour, and print the results."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        console.print("Building, starting and deploying everything …")
        with running_stack(parameters=PARAMETERS) as stack, tour_of(stack) as tour:
            try:
                tour.begin_settling()
                tour.walk()
            except (TourError, NotInTimeError):
                print(last_log_lines(stack, stack.outputs["RefundApiLogGroup"]))
                raise
            finally:
                console.print(_table(tour.seen))
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        return 1
    except (TourError, NotInTimeError, BuildError, DeployError, EmulatorError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    return 0


def _table(seen: list[tuple[str, str]]) -> Table:
    table = Table("way in", "what came of it", title="The tour", title_justify="left")
    for way_in, way_out in seen:
        table.add_row(escape(way_in), escape(way_out))
    return table


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
