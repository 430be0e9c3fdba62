"""A batch of the webhooks' queue: what comes back, after how long, and what is set aside."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from deployed import paths
from deploying.template_yaml import read_template
from functions.deliver_webhooks.app import handler
from refund_bridge.adapters.sqs.visibility import VisibilityBackoff
from refund_bridge.bootstrap.deliver_webhooks import AWAY_SECONDS, DeliverWebhooksWorld
from refund_bridge.delivering.message import message_text
from refund_bridge.delivering.ports import Answered, NoAnswer
from refund_bridge.delivering.trial import SendTestEvent
from tests.fakes.webhook_world import SHOP, WebhookWorld, verified


class Visibility:
    """SQS: remembers for how many seconds each message is hidden."""

    def __init__(self) -> None:
        self.seconds: dict[str, int] = {}

    def change_message_visibility(self, **asked: Any) -> None:
        self.seconds[asked["ReceiptHandle"]] = asked["VisibilityTimeout"]


class Delivering:
    """The function on a world in memory."""

    def __init__(self) -> None:
        self.world = WebhookWorld()
        self.hidden = Visibility()
        sqs: Any = self.hidden
        test = SendTestEvent(
            book=self.world.book,
            post=self.world.deliver.tell.post,
            clock=self.world.clock,
            telemetry=self.world.shop.telemetry,
            livemode=False,
        )
        self.function = DeliverWebhooksWorld(
            deliver=self.world.deliver,
            test=test,
            dead_letters=self.world.letters,
            hidden=VisibilityBackoff(
                sqs,
                "queue",
                base_seconds=AWAY_SECONDS,
                telemetry=self.world.shop.telemetry,
                below=lambda most: most - 1,
            ),
            clock=self.world.clock,
        )

    def handle(self, *bodies: str, receive: int = 1, **event: Any) -> Any:
        records = [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": str(receive),
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
    assert delivering.hidden.seconds == {"receipt-0": AWAY_SECONDS // 2}
    assert delivering.world.shop.noted("webhook_not_tried") == [
        {"receive": 1, "error": "LedgerUnavailableError"}
    ]


def test_while_the_ledger_is_away_the_receives_that_sqs_counts_outlast_three_days(
    delivering: Delivering,
) -> None:
    # Given a ledger that is away, and pauses that chance makes as short as they can be
    refund_id = delivering.world.refund()
    delivering.world.states.is_away = True
    # When a message is received as often as SQS lets it be
    queue = read_template(paths.TEMPLATE)["Resources"]["WebhookQueue"]["Properties"]
    hidden_s = 0
    for receive in range(1, queue["RedrivePolicy"]["maxReceiveCount"]):
        delivering.handle(message_text(refund_id, SHOP), receive=receive)
        hidden_s += delivering.hidden.seconds["receipt-0"]
        assert delivering.hidden.seconds["receipt-0"] <= 900
    # Then three days and more are over
    assert hidden_s > 3 * 24 * 3600


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
