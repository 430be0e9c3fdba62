"""The two ledgers: the one in memory, and the real one on a table of the embedded cloud."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from deployed import paths
from deploying.template_yaml import read_template
from refund_bridge.adapters.dynamodb.keys import Item, refund_key
from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.adapters.dynamodb.listing import DynamoDbListing
from refund_bridge.adapters.dynamodb.values import decode_item, encode_item
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import Ledger
from tests.fakes.ledger import MemoryLedger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Table:
    """A table as the template declares it, with a client that knows nothing of the ledger."""

    client: "DynamoDBClient"
    name: str

    def ledger(self) -> DynamoDbLedger:
        return DynamoDbLedger(self.client, self.name)

    def listing(self) -> DynamoDbListing:
        return DynamoDbListing(self.client, self.name)

    def item(self, key: Item) -> Item | None:
        answer = self.client.get_item(TableName=self.name, Key=encode_item(key))
        return decode_item(answer["Item"]) if "Item" in answer else None

    def put(self, item: Item) -> None:
        self.client.put_item(TableName=self.name, Item=encode_item(item))

    def keys_in(self, index: str, **partition: str) -> list[str]:
        ((name, value),) = partition.items()
        answer = self.client.query(
            TableName=self.name,
            IndexName=index,
            KeyConditionExpression="#name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": {"S": value}},
        )
        return [item["pk"]["S"] for item in answer["Items"]]


@dataclass(frozen=True)
class Subject:
    """A ledger under test, and a way to change what it holds behind its back."""

    ledger: Ledger
    overwrite_state: Callable[[str, State], None]


@pytest.fixture(scope="session")
def table(new_client: Callable[[], "DynamoDBClient"]) -> Table:
    return make_table(new_client())


def make_table(dynamodb: "DynamoDBClient") -> Table:
    """A new table, as the template declares it."""
    name = f"ledger-{uuid.uuid4().hex}"
    declared = _declared_ledger()
    dynamodb.create_table(
        TableName=name,
        **{
            part: declared[part]
            for part in (
                "AttributeDefinitions",
                "BillingMode",
                "GlobalSecondaryIndexes",
                "KeySchema",
            )
        },
    )
    return Table(dynamodb, name)


@pytest.fixture(params=["memory", "dynamodb"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "memory":
        memory = MemoryLedger()

        def overwrite_in_memory(refund_id: str, state: State) -> None:
            memory.refunds[refund_id] = replace(memory.refunds[refund_id], state=state)

        return Subject(memory, overwrite_in_memory)
    table: Table = request.getfixturevalue("table")

    def overwrite_in_table(refund_id: str, state: State) -> None:
        table.put((table.item(refund_key(refund_id)) or {}) | {"state": state.value})

    return Subject(table.ledger(), overwrite_in_table)


@pytest.fixture
def ledger(subject: Subject) -> Ledger:
    return subject.ledger


def _declared_ledger() -> dict[str, Any]:
    tables: list[dict[str, Any]] = [
        resource["Properties"]
        for resource in read_template(paths.TEMPLATE)["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    ]
    (ledger,) = tables
    return ledger
