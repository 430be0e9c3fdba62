"""The ledger's stream on the embedded cloud: what is put right there, and that it is."""

import io
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from local import emulator_process
from local.build import this_machine
from local.clients import CloudClients
from local.emulator import running_emulator
from local.polling import wait_for

SOURCE = "arn:aws:dynamodb:eu-west-1:111122223333:table/ledger/stream/2026-11-22T07:00:00.000"
SOON = 30.0


def record(number: str) -> dict[str, Any]:
    return {
        "eventSource": "aws:dynamodb",
        "eventSourceARN": SOURCE,
        "dynamodb": {"SequenceNumber": number},
    }


BATCH = {"Records": [record("11"), record("12"), record("13")]}


def answer(*failed: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


@pytest.mark.parametrize(
    ("body", "first"),
    [
        (answer("12"), "12"),
        (answer("13", "12"), "12"),
        (json.dumps(answer("13")), "13"),
        (answer("unheard of"), "11"),
        (answer(), None),
        ("", None),
        (None, None),
        ({"batchItemFailures": None}, None),
    ],
)
def test_a_batch_has_failed_from_the_first_record_that_is_named(
    body: Any, first: str | None
) -> None:
    failed = emulator_process.first_failed_of_a_stream(BATCH, {"body": body})
    assert (failed and failed["dynamodb"]["SequenceNumber"]) == first


@pytest.mark.parametrize(
    ("event", "result"),
    [
        (BATCH, {"error": True, "body": answer("12")}),
        ({"Records": [{"eventSource": "aws:sqs"}]}, {"body": answer("12")}),
        ({"Records": []}, {"body": answer("12")}),
        ({}, {"body": answer("12")}),
        ("text", {"body": answer("12")}),
    ],
)
def test_other_answers_are_left_alone(event: Any, result: dict[str, Any]) -> None:
    assert emulator_process.first_failed_of_a_stream(event, result) is None


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand-ins for the modules that are changed: a stream of five records, one mapping."""
    functions: Any = ModuleType("lambda_svc")
    tables: Any = ModuleType("dynamodb")
    tables.stream_live_records = lambda table: [record(str(10 + n)) for n in range(5)]
    tables.stream_start_position = lambda table: 100
    functions._iter_all_esms = lambda: iter(
        [
            ("1", "r", {"UUID": "ours", "EventSourceArn": SOURCE}),
            ("1", "r", {"UUID": "other", "EventSourceArn": "arn:aws:sqs:r:1:queue"}),
        ]
    )
    functions._dynamodb_stream_positions = {}
    functions._execute_function = lambda function, event: {"body": answer("12")}
    monkeypatch.setitem(sys.modules, "ministack.services.lambda_svc", functions)
    monkeypatch.setitem(sys.modules, "ministack.services.dynamodb", tables)
    return functions


def test_the_mapping_goes_on_at_what_failed(functions: Any) -> None:
    emulator_process.show_again_what_failed_of_a_stream()
    result = functions._execute_function({}, BATCH)
    assert result["error"] is True
    assert functions._dynamodb_stream_positions == {"ours": 102}


def test_the_thread_of_the_queues_does_not_wait_for_streams(functions: Any) -> None:
    # Given a stream whose function takes its time
    begun, go_on = threading.Event(), threading.Event()

    def poll() -> bool:
        begun.set()
        go_on.wait(SOON)
        return False

    functions._poll_dynamodb_streams = poll
    # When streams are read beside queues
    emulator_process.read_streams_beside_queues()
    # Then it is called, and whoever looks at the queues comes through
    assert begun.wait(SOON)
    assert functions._poll_dynamodb_streams() is False
    go_on.set()


FUNCTION = """
import json, os, pathlib
directory = pathlib.Path(os.environ["DIRECTORY"])
def handler(event, context):
    names = [record["dynamodb"]["Keys"]["pk"]["S"] for record in event["Records"]]
    with (directory / "calls").open("a") as calls:
        calls.write(json.dumps(names) + "\\n")
    failing = (directory / "failing").read_text()
    return {"batchItemFailures": [
        {"itemIdentifier": record["dynamodb"]["SequenceNumber"]}
        for record, name in zip(event["Records"], names) if name == failing
    ]}
"""
TRUST = {
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ]
}


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[CloudClients]:
    with running_emulator(tmp_path) as emulator:
        yield emulator.clients()


def function_on_a_stream(clients: CloudClients, directory: Path) -> Any:
    """A table whose changes a function is shown; returns how to put an item."""
    role = clients.client("iam").create_role(
        RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", FUNCTION)
    functions, dynamodb = clients.client("lambda"), clients.client("dynamodb")
    functions.create_function(
        FunctionName="reader",
        Runtime=this_machine().runtime,
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"DIRECTORY": str(directory)}},
    )
    table = dynamodb.create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]

    def put(name: str) -> None:
        dynamodb.put_item(TableName="ledger", Item={"pk": {"S": name}})

    for name in "abc":
        put(name)
    functions.create_event_source_mapping(
        FunctionName="reader",
        EventSourceArn=table["LatestStreamArn"],
        StartingPosition="TRIM_HORIZON",
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    return put


def test_what_a_function_reports_as_failed_is_shown_again_with_all_after_it(
    clients: CloudClients, tmp_path: Path
) -> None:
    # Given a function that cannot deal with one of three changes
    failing, calls = tmp_path / "failing", tmp_path / "calls"
    failing.write_text("b")
    calls.touch()
    put = function_on_a_stream(clients, tmp_path)

    def shown() -> list[list[str]]:
        return [json.loads(line) for line in calls.read_text().splitlines()]

    # When it has been shown them twice, and can deal with it from then on
    wait_for(lambda: len(shown()) >= 2, "two batches", at_most=SOON)
    failing.write_text("")
    put("d")
    wait_for(lambda: any("d" in batch for batch in shown()), "the last change", at_most=SOON)
    # Then it was shown the first change once, and the others from the failed one on, in order
    assert shown()[0] == ["a", "b", "c"]
    assert all(batch[0] == "b" for batch in shown()[1:-1])
    assert sum(batch.count("a") for batch in shown()) == 1
