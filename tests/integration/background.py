"""Background work that callers do not see, and its results in the ledger."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer

from local.stack import RunningStack

Item = dict[str, Any]
TRIES = 5
_A = TypeVar("_A")
_deserialize = TypeDeserializer().deserialize


def start_settling(stack: RunningStack) -> None:
    """Start settling as the schedule does: send one event to the alias, without waiting."""
    stack.client("lambda").invoke(
        FunctionName=stack.outputs["SettleRefundsFunctionName"],
        Qualifier="live",
        InvocationType="Event",
        Payload=b"{}",
    )


def calling_nobody(stack: RunningStack, act: Callable[[], _A]) -> _A:
    """The result of `act`, which must call no provider; reports of other tests are allowed."""
    for _ in range(TRIES):
        before = len(stack.control.calls())
        given = act()
        if len(stack.control.calls()) == before:
            return given
    raise AssertionError(f"each of {TRIES} times a provider was called")


def ledger_refund(stack: RunningStack, refund_id: str) -> Item:
    """A refund as it is stored."""
    answer = stack.client("dynamodb").get_item(
        TableName=stack.outputs["LedgerTable"],
        Key={"pk": {"S": f"refund#{refund_id}"}, "sk": {"S": "refund"}},
        ConsistentRead=True,
    )
    return {name: _deserialize(value) for name, value in answer["Item"].items()}


def ledger_items(stack: RunningStack, kind: str) -> list[Item]:
    """Everything of one kind that is stored: "refund", "payment" or "claim"."""
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=stack.outputs["LedgerTable"], ConsistentRead=True)
    )
    items = [
        {name: _deserialize(value) for name, value in item.items()}
        for page in pages
        for item in page["Items"]
    ]
    return [item for item in items if item["sk"] == kind]


def causes(refund: Mapping[str, Any]) -> list[str]:
    """The causes in a refund's history, in order."""
    return [str(entry["cause"]) for entry in refund["history"]]
