"""One real event per trigger, handed to the deployed functions as ``sam remote invoke`` does."""

import json
from pathlib import Path
from typing import Any

from deployed import paths
from deploying.build import sam
from local.event_client import listening
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refund_bridge.domain.refund import refund_id_of

EVENTS = paths.ROOT / "events"
PLACEHOLDER = "rbk_replace-with-an-api-key"


def event(stack: RunningStack, name: str) -> dict[str, Any]:
    """The event, with the stack's own key where the file says to put one."""
    text = (EVENTS / f"{name}.json").read_text()
    parsed: dict[str, Any] = json.loads(text.replace(PLACEHOLDER, stack.api_key))
    return parsed


def invoked(stack: RunningStack, function: str, payload: dict[str, Any]) -> dict[str, Any]:
    """What the live version of the function answers."""
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs[f"{function}FunctionName"],
        Qualifier="live",
        Payload=json.dumps(payload).encode(),
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    parsed: dict[str, Any] = json.loads(answer["Payload"].read())
    return parsed


def test_there_is_one_event_for_every_function(stack: RunningStack) -> None:
    functions = {name for name in stack.outputs if name.endswith("FunctionName")}
    assert len(list(EVENTS.glob("*.json"))) == len(functions)


def test_the_gateways_event_is_a_refund(stack: RunningStack) -> None:
    # Given the event of the file, for a payment of this test's own
    payment = DemoPayment("events_post", 9999)
    stack.control.seed(seed_of(payment))
    post = event(stack, "refund_api_post")
    post["body"] = post["body"].replace("pr_card_sgd", payment.record_id)
    # When the function is handed it, then it answers as the contract says
    answer = invoked(stack, "RefundApi", post)
    assert answer["statusCode"] == 201, answer
    body = json.loads(answer["body"])
    assert (body["status"], body["amount"]) == ("succeeded", 2500)
    assert body["metadata"] == {"order": "1007"}


def test_the_queues_event_names_a_refund_that_is_not_there(stack: RunningStack) -> None:
    message = event(stack, "report_refund_sqs")
    answer = invoked(stack, "ReportRefund", message)
    failed = {"itemIdentifier": message["Records"][0]["messageId"]}
    assert answer == {"batchItemFailures": [failed]}


def test_the_request_queues_event_is_a_scheduled_refund(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given the event of the file, for a payment of this test's own
    payment = DemoPayment("events_requested", 9999)
    stack.control.seed(seed_of(payment))
    messages = event(stack, "refund_requested_sqs")
    (message,) = messages["Records"]
    message["body"] = message["body"].replace("pr_card_sgd", payment.record_id)
    # When the function is handed it, then the refund is accepted
    assert invoked(stack, "RefundRequested", messages) == {"batchItemFailures": []}
    accepted = api.read_refund(refund_id_of("order-1008-refund-1", "local")).body
    assert (accepted["source"], accepted["amount"]) == ("event", 2500)


def test_the_streams_event_is_told_on_the_bus(stack: RunningStack) -> None:
    # Given a subscriber
    with listening(stack.clients, stack.outputs["EventBusName"]) as listener:
        # When the function is handed the event of the file
        change = event(stack, "publish_events_dynamodb")
        assert invoked(stack, "PublishEvents", change) == {"batchItemFailures": []}
        # Then the success in it is told; the ledger has no such payment to show beside it
        image = change["Records"][0]["dynamodb"]["NewImage"]
        (told,) = listener.of(image["id"]["S"])
        assert (told.name, told.detail["payment"]) == ("Refund Succeeded", None)


def test_the_schedules_event_settles_what_is_due(stack: RunningStack) -> None:
    answer = invoked(stack, "SettleRefunds", event(stack, "settle_refunds_schedule"))
    assert set(answer) == {"settled"}


def test_sam_remote_invoke_takes_the_file(stack: RunningStack, tmp_path: Path) -> None:
    # Given the event of the file, with a key of its own
    payment = DemoPayment("events_sam", 9999)
    stack.control.seed(seed_of(payment))
    post = event(stack, "refund_api_post")
    post["body"] = post["body"].replace("pr_card_sgd", payment.record_id)
    post["headers"]["Idempotency-Key"] = "events-sam"
    post["multiValueHeaders"]["Idempotency-Key"] = ["events-sam"]
    file = tmp_path / "event.json"
    file.write_text(json.dumps(post))
    # When the SAM CLI hands it over
    sam(
        *("remote", "invoke", "RefundApiFunction", "--stack-name", stack.stage.stack_name),
        *("--event-file", str(file), "--region", stack.stage.region),
        settings={"AWS_ENDPOINT_URL": stack.emulator.url, **stack.emulator.root.environment},
    )
    # Then HitPay has the refund
    assert len(stack.control.refunds(payment.charge_id)) == 1
