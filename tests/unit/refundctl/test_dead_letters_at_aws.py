"""What is asked of SQS is what SQS's own description of its calls allows."""

from datetime import UTC, datetime

import boto3
from botocore.stub import ANY, Stubber

from refundctl.dead_letters import DeadLetterQueue

DEAD = "https://sqs.ap-southeast-1.amazonaws.com/1/dead"
ALIVE = "https://sqs.ap-southeast-1.amazonaws.com/1/alive"
DEAD_ARN, ALIVE_ARN = "arn:aws:sqs:ap-southeast-1:1:dead", "arn:aws:sqs:ap-southeast-1:1:alive"
BEGUN = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())


def stubbed() -> tuple[DeadLetterQueue, Stubber]:
    client = boto3.client(
        "sqs",
        region_name="ap-southeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    queue = DeadLetterQueue(
        sqs=client, name="reports", url=DEAD, destination_url=ALIVE, sleep=lambda _: None
    )
    return queue, Stubber(client)


def knows_its_arn(stub: Stubber, url: str, arn: str) -> None:
    stub.add_response(
        "get_queue_attributes",
        {"Attributes": {"QueueArn": arn}},
        {"QueueUrl": url, "AttributeNames": ["QueueArn"]},
    )


def test_a_queue_is_moved_by_one_task_to_an_explicit_destination_at_a_bounded_rate() -> None:
    queue, stub = stubbed()
    knows_its_arn(stub, DEAD, DEAD_ARN)
    stub.add_response(
        "get_queue_attributes",
        {
            "Attributes": {
                "ApproximateNumberOfMessages": "3",
                "ApproximateNumberOfMessagesNotVisible": "1",
            }
        },
        {"QueueUrl": DEAD, "AttributeNames": ANY},
    )
    listed = {"SourceArn": DEAD_ARN, "MaxResults": 10}
    old = {"Status": "COMPLETED", "StartedTimestamp": BEGUN - 10}
    stub.add_response("list_message_move_tasks", {"Results": [old]}, listed)
    knows_its_arn(stub, ALIVE, ALIVE_ARN)
    stub.add_response(
        "start_message_move_task",
        {"TaskHandle": "handle"},
        {
            "SourceArn": DEAD_ARN,
            "DestinationArn": ALIVE_ARN,
            "MaxNumberOfMessagesPerSecond": 10,
        },
    )
    for status, moved in (("RUNNING", 2), ("COMPLETED", 4)):
        task = {
            "Status": status,
            "StartedTimestamp": BEGUN,
            "ApproximateNumberOfMessagesMoved": moved,
            "ApproximateNumberOfMessagesToMove": 4,
        }
        stub.add_response("list_message_move_tasks", {"Results": [task, old]}, listed)
    told: list[tuple[int, int]] = []
    with stub:
        assert queue.move_all(per_second=10, tell=lambda moved, of: told.append((moved, of))) == 4
        stub.assert_no_pending_responses()
    assert told == [(2, 4), (4, 4)]


def test_a_cloud_without_the_call_is_known_by_its_answer() -> None:
    for code, can in (("InvalidAction", False), ("UnknownOperationException", False)):
        queue, stub = stubbed()
        knows_its_arn(stub, DEAD, DEAD_ARN)
        stub.add_client_error("list_message_move_tasks", code)
        with stub:
            assert queue.can_move_by_itself() is can
    queue, stub = stubbed()
    knows_its_arn(stub, DEAD, DEAD_ARN)
    stub.add_response("list_message_move_tasks", {"Results": []})
    with stub:
        assert queue.can_move_by_itself()


def test_messages_are_received_sent_and_deleted_by_calls_that_sqs_knows() -> None:
    queue, stub = stubbed()
    stub.add_response(
        "get_queue_attributes",
        {"Attributes": {"ApproximateNumberOfMessages": "1"}},
        {"QueueUrl": DEAD, "AttributeNames": ANY},
    )
    message = {
        "MessageId": "one",
        "ReceiptHandle": "receipt",
        "Body": "body",
        "Attributes": {"SentTimestamp": "1700000000000", "ApproximateReceiveCount": "9"},
        "MessageAttributes": {"reason": {"DataType": "String", "StringValue": "why"}},
    }
    stub.add_response(
        "receive_message",
        {"Messages": [message]},
        {
            "QueueUrl": DEAD,
            "MaxNumberOfMessages": 1,
            "VisibilityTimeout": 60,
            "WaitTimeSeconds": 1,
            "MessageSystemAttributeNames": ["SentTimestamp", "ApproximateReceiveCount"],
            "MessageAttributeNames": ["All"],
        },
    )
    stub.add_response(
        "send_message",
        {"MessageId": "two"},
        {
            "QueueUrl": ALIVE,
            "MessageBody": "body",
            "MessageAttributes": {"reason": {"DataType": "String", "StringValue": "why"}},
        },
    )
    stub.add_response("delete_message", {}, {"QueueUrl": DEAD, "ReceiptHandle": "receipt"})
    with stub:
        moved = queue.move_some(lambda _: True, per_second=10, tell=lambda *_: None)
        stub.assert_no_pending_responses()
    assert [(one.message_id, one.receives) for one in moved] == [("one", 9)]
