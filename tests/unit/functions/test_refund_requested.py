"""One message of the request queue: accepted, put off for longer each time, or set aside."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions.refund_requested.app import accept_one, handler
from refund_bridge.bootstrap.refund_requested import RefundRequestedWorld
from refund_bridge.domain.errors import PaymentNotRefundableError, StripeUnavailableError
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.domain.state_machine import State
from refund_bridge.events.accept import AcceptRefund, RefuseRequest
from refund_bridge.ports.ledger import LedgerUnavailableError
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.payouts import payout_rules
from tests.fakes.world import STAGE, World
from tests.unit.events.test_requested import message

MAX_RECEIVES = 5


class Backoff:
    """Remembers which messages were hidden, and how."""

    def __init__(self) -> None:
        self.hidden: list[tuple[int, int | None]] = []

    def hide(self, receipt_handle: str, *, receive: int, at_least_s: int | None = None) -> None:
        self.hidden.append((receive, at_least_s))


class Requested:
    """The function's world, with everything that it talks to in memory."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.world.pay()
        self.bus = FakeEventBus()
        self.dead = FakeDeadLetters()
        self.backoff = Backoff()
        backoff: Any = self.backoff
        self.function = RefundRequestedWorld(
            stage=STAGE,
            accept=AcceptRefund(
                execute=self.world.execute, stage=STAGE, new_token=self.world.new_token
            ),
            refuse=RefuseRequest(
                bus=self.bus,
                dead_letters=self.dead,
                clock=self.world.clock,
                telemetry=self.world.telemetry,
            ),
            clock=self.world.clock,
            backoff=backoff,
            max_receives=MAX_RECEIVES,
            payouts=payout_rules(),
            sources=frozenset({"demo.orders"}),
        )

    def receive(self, body: str, *, receive: int = 1) -> None:
        accept_one(self.function, SQSRecord(record(body, receive=receive)))


def record(body: str, *, receive: int = 1, number: int = 1) -> dict[str, Any]:
    return {
        "messageId": f"m-{number}",
        "receiptHandle": f"r-{number}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(receive)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:x:1:requests",
    }


def request(key: str = "k", **asked: Any) -> str:
    return message({"payment_record": "pr_1", "idempotency_key": key} | asked)


@pytest.fixture
def requested() -> Requested:
    return Requested()


def test_a_request_is_accepted(requested: Requested) -> None:
    requested.receive(request(amount=2500))
    assert requested.world.stored("k").state is State.REQUESTED
    assert (requested.dead.letters, requested.backoff.hidden) == ([], [])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "invalid_request"),
        (message([1]), "invalid_request"),
        (request(amuont=1), "invalid_request"),
        (message({"payment_record": "pr_1"}), "idempotency_key_required"),
        (request(payment_record="pr_nobody"), "payment_not_found"),
        (request(amount=10_000), "refund_amount_exceeded"),
        (request(currency="usd"), "currency_mismatch"),
    ],
)
def test_what_cannot_be_accepted_leaves_the_queue_with_its_reason(
    requested: Requested, body: str, code: str
) -> None:
    requested.receive(body)
    ((kept, reasons),) = requested.dead.letters
    assert (kept, reasons["reason_code"]) == (body, code)
    assert requested.bus.details("Refund Request Refused")[0]["error"]["code"] == code
    assert requested.backoff.hidden == []


def test_after_mending_the_same_message_is_accepted(requested: Requested) -> None:
    body = request(payment_record="pr_late", key="late")
    requested.receive(body)
    requested.world.pay("late")
    requested.receive(requested.dead.letters[0][0])
    assert requested.world.stored("late").state is State.REQUESTED


def test_a_stripe_that_is_away_puts_it_off_for_longer_each_time(requested: Requested) -> None:
    requested.world.stripe.is_down = True
    for receive in (1, 2):
        with pytest.raises(StripeUnavailableError):
            requested.receive(request(), receive=receive)
    assert [receive for receive, _ in requested.backoff.hidden] == [1, 2]
    assert requested.dead.letters == []
    requested.world.stripe.is_down = False
    requested.receive(request(), receive=3)
    assert requested.world.stored("k").state is State.REQUESTED


def test_on_its_last_receive_it_is_set_aside(requested: Requested) -> None:
    requested.world.stripe.is_down = True
    requested.receive(request(), receive=MAX_RECEIVES)
    assert requested.dead.letters[0][1]["reason_code"] == "stripe_unavailable"
    assert requested.bus.names == ["Refund Request Refused"]


def test_a_letter_that_cannot_be_set_aside_comes_back_with_its_own_error(
    requested: Requested,
) -> None:
    requested.world.refund("all")
    requested.dead.is_broken = True
    with pytest.raises(PaymentNotRefundableError):
        requested.receive(request())
    assert requested.backoff.hidden == [(1, None)]


def test_a_ledger_that_is_away_is_no_refusal(
    requested: Requested, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise LedgerUnavailableError("no answer")

    monkeypatch.setattr(requested.world.ledger, "look_up", away)
    with pytest.raises(LedgerUnavailableError):
        requested.receive(request())
    requested.receive(request(), receive=MAX_RECEIVES)
    assert requested.bus.taken == []
    assert requested.dead.letters[0][1]["outcome"] == "unknown"


def test_of_a_batch_only_what_failed_comes_back(
    requested: Requested, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a batch of a good request, a poisonous one and one that cannot be decided now
    monkeypatch.setattr(
        "functions.refund_requested.app.refund_requested", lambda _: requested.function
    )
    real = requested.world.ledger.look_up

    def look_up(refund_id: str, payment_record: str | None) -> Any:
        if payment_record == "pr_away":
            raise LedgerUnavailableError("no answer")
        return real(refund_id, payment_record)

    monkeypatch.setattr(requested.world.ledger, "look_up", look_up)
    batch = [request("a"), "{", request("b", payment_record="pr_away")]
    event = {"Records": [record(body, number=n) for n, body in enumerate(batch)]}
    # When it is handled
    context: Any = type(
        "Context",
        (),
        {
            "function_name": "f",
            "memory_limit_in_mb": 1,
            "invoked_function_arn": "arn",
            "aws_request_id": "r",
        },
    )()
    answer = handler(event, context)
    # Then one comes back, one is accepted, and one lies among the dead letters
    assert json.loads(json.dumps(answer)) == {"batchItemFailures": [{"itemIdentifier": "m-2"}]}
    assert requested.world.stored("a").state is State.REQUESTED
    assert [body for body, _ in requested.dead.letters] == ["{"]


def test_who_may_not_ask_is_refused_though_the_message_has_come(requested: Requested) -> None:
    # Given a message that was put on the queue itself, past the rule and its list of sources
    body = json.loads(request()) | {"source": "refund-bridge"}
    # When it is received
    requested.receive(json.dumps(body))
    # Then nothing is refunded, and it lies among the dead letters with its reason
    assert requested.world.ledger.refunds == {}
    ((_, reasons),) = requested.dead.letters
    assert reasons["reason_code"] == "invalid_request"
    assert reasons["fields"] == "source: is not one that may ask"


def test_money_to_whom_an_event_names_is_refused_and_set_aside() -> None:
    # Given a stage that sends money to cards, though not when events ask, and a message that does
    world = World(doors=("ccg",), payout_day_max=10**9)
    world.processor.books.methods["card-1"] = PaymentMethodKind.CARD
    requested = Requested(world)
    requested.function = replace(requested.function, payouts=payout_rules(by_events=False))
    detail = {
        "idempotency_key": "k",
        "processor": "ccg",
        "payment_method": {"id": "card-1", "type": "card"},
        "customer": {"hsid": "hs_1"},
        "amount": 99_000_000,
        "currency": "usd",
    }
    # When it is received
    requested.receive(message(detail))
    # Then nothing is kept to be sent, and it lies among the dead letters with its reason
    assert world.ledger.refunds == {}
    ((_, reasons),) = requested.dead.letters
    assert reasons["fields"] == "payment_method: is not taken from events"
