"""A batch of the webhooks' queue: what comes back, after how long, and what is set aside."""

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from functions.deliver_webhooks.app import handler
from refunds.bootstrap.deliver_webhooks import DeliverWebhooksWorld
from refunds.delivering.message import message_text
from refunds.delivering.ports import Answered, NoAnswer
from refunds.delivering.trial import SendTestEvent
from tests.fakes.webhook_world import SHOP, WebhookWorld, verified

if TYPE_CHECKING:
    from refunds.adapters.visibility import VisibilityBackoff


class Hidden:
    """``VisibilityBackoff``: remembers for how many seconds each message is hidden."""

    def __init__(self) -> None:
        self.seconds: dict[str, int] = {}

    def put_off(self, receipt: str, *, seconds: int) -> None:
        self.seconds[receipt] = seconds


class Delivering:
    """The function on a world in memory."""

    def __init__(self) -> None:
        self.world = WebhookWorld()
        self.hidden = Hidden()
        test = SendTestEvent(
            book=self.world.book,
            post=self.world.deliver.tell.post,
            clock=self.world.clock,
            trail=self.world.shop.trail,
            livemode=False,
        )
        self.function = DeliverWebhooksWorld(
            deliver=self.world.deliver,
            test=test,
            dead_letters=self.world.letters,
            hidden=cast("VisibilityBackoff", self.hidden),
            clock=self.world.clock,
        )

    def handle(self, *bodies: str, **event: Any) -> Any:
        records = [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(self.world.clock.now_ms()),
                },
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
        context: Any = SimpleNamespace(
            function_name="f",
            memory_limit_in_mb=1,
            invoked_function_arn="arn",
            aws_request_id="r",
        )
        return handler(event or {"Records": records}, context)


@pytest.fixture
def delivering(monkeypatch: pytest.MonkeyPatch) -> Delivering:
    delivering = Delivering()
    monkeypatch.setattr(
        "functions.deliver_webhooks.app.deliver_webhooks", lambda _: delivering.function
    )
    return delivering


def test_what_is_delivered_leaves_the_queue(delivering: Delivering) -> None:
    refund_id = delivering.world.refund()
    assert delivering.handle(message_text(refund_id, SHOP)) == {"batchItemFailures": []}
    assert len(delivering.world.events()) == 1


def test_what_is_not_taken_comes_back_when_its_pause_is_over(delivering: Delivering) -> None:
    delivering.world.merchant.answers = lambda _: Answered(500)
    refund_id = delivering.world.refund()
    back = delivering.handle(message_text(refund_id, SHOP))
    assert back == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert delivering.hidden.seconds == {"receipt-0": 54}


def test_a_message_that_names_nothing_is_set_aside_with_its_reason(delivering: Delivering) -> None:
    refund_id = delivering.world.refund()
    assert delivering.handle("nonsense", message_text(refund_id, SHOP)) == {"batchItemFailures": []}
    assert delivering.world.letters.letters == [("nonsense", {"reason": "the message is not JSON"})]
    assert len(delivering.world.events()) == 1


def test_with_the_ledger_away_it_comes_back_soon(delivering: Delivering) -> None:
    refund_id = delivering.world.refund()
    delivering.world.states.is_away = True
    back = delivering.handle(message_text(refund_id, SHOP))
    assert back == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert 30 <= delivering.hidden.seconds["receipt-0"] <= 90


def test_a_batch_of_nothing_says_that_this_version_runs(delivering: Delivering) -> None:
    assert delivering.handle() == {"batchItemFailures": []}


def test_a_test_event_is_sent_from_here_and_told_how_it_went(delivering: Delivering) -> None:
    told = delivering.handle(test_address=SHOP)
    assert (told["taken"], told["reason"]) == (True, None)
    (post,) = delivering.world.merchant.posts
    assert verified(post)["type"] == "refund_bridge.test"
    assert delivering.world.state().delivered == 0
    assert json.dumps(told)


def test_a_test_event_that_is_not_taken_says_why(delivering: Delivering) -> None:
    delivering.world.merchant.answers = lambda _: NoAnswer("it refused the connection")
    assert delivering.handle(test_address=SHOP)["reason"] == "it refused the connection"
    unknown = delivering.handle(test_address="we_ffffffffffffffff")
    assert (unknown["taken"], unknown["reason"]) == (False, "no parameter holds this address")
    assert delivering.world.state().failures == 0
