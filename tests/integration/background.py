"""What runs behind the callers' backs, and what it leaves in the ledger."""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local.stack import RunningStack

Item = dict[str, Any]
_deserialize = TypeDeserializer().deserialize


def start_settling(stack: RunningStack) -> None:
    """Do what the schedule does: hand one event to the alias, and wait for nothing."""
    stack.client("lambda").invoke(
        FunctionName=stack.outputs["SettleRefundsFunctionName"],
        Qualifier="live",
        InvocationType="Event",
        Payload=b"{}",
    )


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
    """Why a refund went from state to state, in order."""
    return [str(entry["cause"]) for entry in refund["history"]]
