"""Counts all requests of a process to AWS: every boto3 client sends through one method.

For DynamoDB it also computes the request units, from the items before and after each request: the
embedded cloud's own figures are only approximate.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.capacity import Image, index_units, read_units, write_units

READS = frozenset({"GetItem", "BatchGetItem", "Query", "TransactGetItems"})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})

# The sort key of a refund's own item: the stream's filter lets only these through.
REFUND = {"S": "refund"}

Request = Mapping[str, Any]


@dataclass
class Noted:
    """The requests in order, DynamoDB's units, and the changes that the stream shows.

    Attributes:
        refund_changes: changes of refunds' items.
        history_changes: those of them that add to a history, so that an event may be published.
    """

    operations: list[str] = field(default_factory=list)
    seconds: float = 0.0
    read_units: float = 0.0
    table_write_units: int = 0
    index_write_units: int = 0
    refund_changes: int = 0
    history_changes: int = 0

    def as_json(self) -> dict[str, object]:
        """The same as JSON, for the process that measures."""
        return {
            "operations": self.operations,
            "ledger_reads": sum(_name(one) in READS for one in self.operations),
            "ledger_writes": sum(_name(one) in WRITES for one in self.operations),
            "queue_sends": sum(_name(one).startswith("SendMessage") for one in self.operations),
            "read_units": self.read_units,
            "table_write_units": self.table_write_units,
            "index_write_units": self.index_write_units,
            "refund_changes": self.refund_changes,
            "history_changes": self.history_changes,
            "seconds": self.seconds,
        }


class AwsCalls:
    """Watches the process's requests; it counts them while the body of ``noted`` runs."""

    def __init__(self) -> None:
        import boto3  # noqa: PLC0415 - only where AWS is asked at all
        from botocore.client import BaseClient  # noqa: PLC0415

        # A client of its own to read items: watched clients' parameters have different forms.
        self._client: Any = boto3.client("dynamodb")
        self._current: Noted | None = None
        self._keys: dict[str, _Keys] = {}
        clients: Any = BaseClient  # its stubs show no private method
        self._ask: Any = clients._make_api_call
        watching = self

        def watched(client: Any, operation: str, request: Request) -> Any:
            return watching._watched(client, operation, request)

        clients._make_api_call = watched

    @contextmanager
    def noted(self) -> Iterator[Noted]:
        """Count the requests that are sent while the body runs."""
        self._current = noted = Noted()
        try:
            yield noted
        finally:
            self._current = None

    def _watched(self, client: Any, operation: str, request: Request) -> Any:
        noted = self._current
        if noted is None:
            return self._ask(client, operation, request)
        service = client.meta.service_model.service_name
        noted.operations.append(f"{service}.{operation}")
        keys = self._written(operation, request) if service == "dynamodb" else []
        before = [self._image(table, key) for table, key in keys]
        began = time.perf_counter()
        answer = self._ask(client, operation, request)
        noted.seconds += time.perf_counter() - began
        for (table, key), old in zip(keys, before, strict=True):
            new = self._image(table, key)
            transaction = operation == "TransactWriteItems"
            noted.table_write_units += write_units(old, new, transaction=transaction)
            if new != old and key.get("sk") == REFUND:
                noted.refund_changes += 1
                noted.history_changes += (old or {}).get("history") != (new or {}).get("history")
            for index in self._keys_of(table).indexes:
                noted.index_write_units += index_units(old, new, index)
        if service == "dynamodb":
            noted.read_units += self._read_units(operation, request, answer)
        return answer

    def _image(self, table: str, key: Image) -> Image | None:
        request = {"TableName": table, "Key": dict(key), "ConsistentRead": True}
        found: Image | None = self._ask(self._client, "GetItem", request).get("Item")
        return found

    def _written(self, operation: str, request: Request) -> list[tuple[str, Image]]:
        """Table and key of every item that a request writes, or checks while it writes others."""
        if operation not in WRITES:
            return []
        writes = [request]
        if operation == "TransactWriteItems":
            writes = [one for item in request["TransactItems"] for one in item.values()]
        found: list[tuple[str, Image]] = []
        for write in writes:
            table = write["TableName"]
            source = write.get("Key") or write["Item"]
            names = self._keys_of(table).table
            found.append((table, {name: _typed(source[name]) for name in names}))
        return found

    def _read_units(self, operation: str, request: Request, answer: Request) -> float:
        if operation == "GetItem":
            key = {name: _typed(value) for name, value in request["Key"].items()}
            found = self._image(request["TableName"], key)
            consistent = bool(request.get("ConsistentRead"))
            return read_units([found], consistent=consistent, at_once=False)
        if operation == "Query":
            return read_units(answer["Items"], consistent=False, at_once=True)
        if operation == "BatchGetItem":
            units = 0.0
            for table, asked in request["RequestItems"].items():
                found_items = answer["Responses"].get(table, [])
                missing = [None] * (len(asked["Keys"]) - len(found_items))
                consistent = bool(asked.get("ConsistentRead"))
                items = [*found_items, *missing]
                units += read_units(items, consistent=consistent, at_once=False)
            return units
        return 0.0

    def _keys_of(self, table: str) -> "_Keys":
        if table not in self._keys:
            declared = self._ask(self._client, "DescribeTable", {"TableName": table})["Table"]
            indexes = declared.get("GlobalSecondaryIndexes", ())
            self._keys[table] = _Keys(_names(declared), [_names(index) for index in indexes])
        return self._keys[table]


@dataclass(frozen=True)
class _Keys:
    """The key attributes of a table, and of each of its indexes."""

    table: list[str]
    indexes: list[list[str]]


def _names(declared: Mapping[str, Any]) -> list[str]:
    return [part["AttributeName"] for part in declared["KeySchema"]]


def _name(operation: str) -> str:
    return operation.partition(".")[2]


def _typed(value: Any) -> Mapping[str, Any]:
    """A key's value in DynamoDB's JSON: boto3's resources are given plain strings."""
    return value if isinstance(value, Mapping) else {"S": value}
