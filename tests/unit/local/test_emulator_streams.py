"""A stream on the embedded cloud goes on at what its function could not deal with, as at AWS."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployed.clients import CloudClients
from deployed.polling import wait_for
from deploying.build import this_machine
from local.emulator import running_emulator

SOON = 90.0


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


@pytest.mark.heavy
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
