"""The event bus of a running stack: the events that it must carry, and how to prevent them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deployed.polling import wait_for
from local.event_client import EventListener, Heard
from local.stack import RunningStack
from refund_bridge.domain.refund import Entry
from refund_bridge.events.announcements import name_of
from tests.integration.background import ledger_refund

SOON = 90.0


def expected(stack: RunningStack, refund_id: str) -> set[tuple[str, str]]:
    """The events of a refund that follow from its history in the ledger: names and ids."""
    lines = [
        Entry(
            seq=int(line["seq"]),
            at_ms=int(line["at_ms"]),
            before=line.get("before"),
            after=line["after"],
            cause=line["cause"],
            actor=line["actor"],
        )
        for line in ledger_refund(stack, refund_id)["history"]
    ]
    return {(name, f"{refund_id}:{one.seq}") for one in lines if (name := name_of(one)) is not None}


def wait_until_all_is_told(
    stack: RunningStack, listener: EventListener, *refund_ids: str, at_most: float = SOON
) -> list[Heard]:
    """Wait until every line of some refunds' histories was received; returns all events of them."""

    def look() -> list[Heard] | None:
        heard = [event for event in listener.heard() if event.detail.get("id") in refund_ids]
        wanted = set().union(*(expected(stack, refund_id) for refund_id in refund_ids))
        return heard if {(event.name, event.id) for event in heard} == wanted else None

    return wait_for(look, f"all events of {refund_ids}", at_most=at_most, every=0.2)


@contextmanager
def forbidden(stack: RunningStack, action: str, *functions: str) -> Iterator[None]:
    """Take a right away from the roles of some functions while the body runs."""
    iam = stack.client("iam")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}],
    }
    name = f"no-{action.replace(':', '-')}"
    roles = [_role_of(stack, function) for function in functions]
    for role in roles:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    try:
        yield
    finally:
        for role in roles:
            iam.delete_role_policy(RoleName=role, PolicyName=name)


def _role_of(stack: RunningStack, function: str) -> str:
    name = stack.outputs[f"{function}FunctionName"]
    configuration = stack.client("lambda").get_function_configuration(FunctionName=name)
    return str(configuration["Role"]).rpartition("/")[2]


def owed(stack: RunningStack, refund_id: str) -> dict[str, Any] | None:
    """What the ledger keeps as not yet published of a refund; ``None`` if all is published."""
    answer = stack.client("dynamodb").get_item(
        TableName=stack.outputs["LedgerTable"],
        Key={"pk": {"S": f"refund#{refund_id}"}, "sk": {"S": "announcements"}},
        ConsistentRead=True,
    )
    item: dict[str, Any] = answer.get("Item", {})
    return item if "from_seq" in item else None


def said(stack: RunningStack, function: str, event: str, about: str) -> int:
    """How often a function has logged an event about something."""
    return sum(about in line for line in logged(stack, function, event))


def logged(stack: RunningStack, function: str, event: str) -> list[str]:
    """The lines in which a function has logged an event."""
    pages = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=stack.outputs[f"{function}LogGroup"])
    )
    lines = [line["message"] for page in pages for line in page["events"]]
    return [line for line in lines if f'"{event}"' in line]
