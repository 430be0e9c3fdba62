"""What happened to one refund, as tables: the calls to providers, and the ledger's history."""

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from rich import box
from rich.table import Table
from rich.text import Text

from local.simulators.records import RecordedCall
from local.stack import RunningStack
from refundctl.plain_text import one_line, seen

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient


def calls_table(calls: list[RecordedCall]) -> Table:
    """List the calls to both providers in the order in which they arrived."""
    table = _table("Who was called", "", "provider", "call", "answer", "took")
    for call in calls:
        _add(
            table,
            f"+{call.monotonic_ms - calls[0].monotonic_ms} ms",
            call.provider,
            f"{call.method} {call.path}",
            "none" if call.status is None else str(call.status),
            f"{call.duration_ms} ms",
        )
    return table


def history_table(history: list[dict[str, Any]]) -> Table:
    """List the transitions that the ledger keeps of a refund."""
    table = _table("What was written", "", "from", "to", "cause", "by")
    for entry in history:
        _add(
            table,
            f"+{entry['at_ms'] - history[0]['at_ms']} ms",
            str(entry.get("before") or ""),
            str(entry["after"]),
            str(entry["cause"]),
            str(entry["actor"]),
        )
    return table


def last_log_lines(stack: RunningStack, group: str, count: int = 10) -> str:
    """Return the end of what a function has logged."""
    logs: CloudWatchLogsClient = stack.client("logs")
    events = [
        event
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], limit=100
        )["events"]
    ]
    events.sort(key=lambda event: event["timestamp"])
    return "\n".join(seen(event["message"].rstrip()) for event in events[-count:])


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")  # people copy ids, so none may be cut
    return table


def _add(table: Table, *cells: str) -> None:
    """Add a row of other people's text: no markup in it, and no control characters, take effect."""
    table.add_row(*(Text(one_line(text)) for text in cells))


def ledger_history(stack: RunningStack, refund_id: str) -> list[dict[str, Any]]:
    """Read a refund's history straight from the table."""
    dynamodb: DynamoDBClient = stack.client("dynamodb")
    answer = dynamodb.get_item(
        TableName=stack.outputs["LedgerTable"],
        Key={"pk": {"S": f"refund#{refund_id}"}, "sk": {"S": "refund"}},
        ConsistentRead=True,
    )
    history = answer.get("Item", {}).get("history", {"L": []})
    entries: list[dict[str, Any]] = TypeDeserializer().deserialize(history)
    return entries
