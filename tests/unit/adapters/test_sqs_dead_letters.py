from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from refund_bridge.adapters.sqs.dead_letters import REASON_MAX, SqsDeadLetters
from refund_bridge.ports.queues import DeadLettersError

URL = "https://sqs/dead-letters"


def sqs() -> Any:
    return boto3.session.Session().client(
        "sqs",
        region_name="ap-southeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


def test_a_message_is_kept_as_it_came_with_each_reason_beside_it() -> None:
    client = sqs()
    with Stubber(client) as stub:
        stub.add_response(
            "send_message",
            {"MessageId": "1"},
            {
                "QueueUrl": URL,
                "MessageBody": '{"detail": [1]}',
                "MessageAttributes": {
                    "reason_code": text("invalid_request"),
                    "receives": text("3"),
                },
            },
        )
        SqsDeadLetters(client, URL).set_aside(
            '{"detail": [1]}', {"reason_code": "invalid_request", "receives": "3"}
        )
        stub.assert_no_pending_responses()
    client.close()


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("", "-"),
        ("a\x00b\x1fc", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("naïve \U0001f4b8\n", "naïve \U0001f4b8\n"),
        ("x" * 5000, "x" * REASON_MAX),
    ],
)
def test_a_reason_is_a_text_that_sqs_takes(reason: str, kept: str) -> None:
    sent: list[dict[str, Any]] = []

    class Queue:
        def send_message(self, **request: Any) -> None:
            sent.append(request)

    queue: Any = Queue()
    SqsDeadLetters(queue, URL).set_aside("{}", {"reason": reason})
    assert sent[0]["MessageAttributes"] == {"reason": text(kept)}


def test_a_message_that_was_refused_or_not_answered_may_not_have_been_kept() -> None:
    client = sqs()
    with Stubber(client) as stub:
        stub.add_client_error("send_message", "AccessDenied")
        with pytest.raises(DeadLettersError):
            SqsDeadLetters(client, URL).set_aside("{}", {})
    client.close()

    class Silent:
        def send_message(self, **_: object) -> None:
            raise ReadTimeoutError(endpoint_url=URL)

    silent: Any = Silent()
    with pytest.raises(DeadLettersError):
        SqsDeadLetters(silent, URL).set_aside("{}", {})
