"""Turns a commit into DynamoDB's conditional writes.

An item that exists is changed, never replaced: only what differs between ``before`` and ``after``
is set or removed, and history is only ever appended to. So attributes that a newer release has
added survive an older one, and no write can shorten a history.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from refund_bridge.adapters.dynamodb.items import entry_item, payment_item, refund_item
from refund_bridge.adapters.dynamodb.keys import (
    CLAIM_SCHEMA_VERSION,
    PAYOUTS_SCHEMA_VERSION,
    Item,
    claim_holder,
    claim_key,
    former_holder,
    payment_item_key,
    payouts_key,
    refund_key,
)
from refund_bridge.adapters.dynamodb.values import encode, encode_item
from refund_bridge.domain.state_machine import State, may_follow
from refund_bridge.ports.ledger import Claim, Commit, PaymentWrite, PayoutCount, RefundWrite

# Maps whose members are written singly; any other map is one value (a caller's metadata).
_MAPS_OF_FACTS: Final = frozenset(
    {("request",), ("failure",), ("report",), ("report", "parameters"), ("credit_note",)}
)
_WRITTEN_APART: Final = frozenset({("revision",), ("history",)})

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConditionalWrite:
    """One write of a commit.

    Attributes:
        subject: what is written, for messages.
        claim: the claim, if the write makes one.
        payout: the amount, if the write adds to a day's payouts.
        revision: the item's revision after the write; 0 for items without one.
        arguments: of ``PutItem`` or ``UpdateItem``, alone or within a transaction.
    """

    subject: str
    kind: Literal["Put", "Update"]
    arguments: Mapping[str, Any]
    revision: int
    claim: Claim | None = None
    payout: PayoutCount | None = None


def conditional_writes(commit: Commit, table: str, write_id: str) -> list[ConditionalWrite]:
    """The writes of a commit.

    Each leaves ``write_id`` on its item, so that it can be recognised. Two kinds do not need that:
    a claim, which may be made again without harm, and a day's sum, which is never written alone.
    """
    return [
        *(_refund_write(write, table, write_id) for write in commit.refunds),
        *(_payment_write(write, table, write_id) for write in commit.payments),
        *(_claim_write(claim, table) for claim in dict.fromkeys(commit.claims)),
        *(_payout_write(count, table) for count in commit.payouts),
    ]


def states_before(after: State) -> tuple[State, ...]:
    """The stored states that a refund in ``after`` may replace, from the transition table."""
    return tuple(state for state in State if may_follow(state, after))


def check_taken(
    refund_id: str, table: str, *, now_ms: int, until_ms: int, write_id: str
) -> dict[str, Any]:
    """The arguments of the ``UpdateItem`` that takes a refund for settling."""
    update = _Update()
    revision, check = update.path("revision"), update.path("next_check_ms")
    update.set_value(("next_check_ms",), until_ms)
    update.set_value(("due_at",), until_ms)
    update.set_value(("write_id",), write_id)
    update.sets.append(f"{revision} = {revision} + {update.value(1)}")
    condition = f"{check} <= {update.value(now_ms)}"
    return update.arguments(table, refund_key(refund_id), condition)


class _Update:
    """Builds an ``UpdateItem``: what it sets and removes, its names and values.

    Every name has an alias, because some are reserved words.
    """

    def __init__(self) -> None:
        self.sets: list[str] = []
        self.removes: list[str] = []
        self._aliases: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def path(self, *parts: str) -> str:
        """The expression for a path in the item."""
        return ".".join(self._aliases.setdefault(p, f"#n{len(self._aliases)}") for p in parts)

    def value(self, value: Any) -> str:
        """The expression for a plain value."""
        alias = f":v{len(self._values)}"
        self._values[alias] = encode(value)
        return alias

    def set_value(self, path: _Path, value: Any) -> None:
        """Set ``value`` at ``path``."""
        self.sets.append(f"{self.path(*path)} = {self.value(value)}")

    def bring(self, old: Item, new: Item) -> None:
        """Set and remove what differs between the two."""
        for path, value in _differences(old, new):
            if value is None:
                self.removes.append(self.path(*path))
            else:
                self.set_value(path, value)

    def mark(self, revision: int, write_id: str) -> None:
        """Set the revision, and the ``write_id`` by which the write can be recognised."""
        self.set_value(("revision",), revision)
        self.set_value(("write_id",), write_id)

    def arguments(self, table: str, key: Item, condition: str) -> dict[str, Any]:
        """The finished request."""
        sets = f"SET {', '.join(self.sets)}"
        removes = f" REMOVE {', '.join(self.removes)}" if self.removes else ""
        return {
            "TableName": table,
            "Key": encode_item(key),
            "UpdateExpression": sets + removes,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {a: name for name, a in self._aliases.items()},
            "ExpressionAttributeValues": self._values,
        }


def _refund_write(write: RefundWrite, table: str, write_id: str) -> ConditionalWrite:
    before, after = write.before, write.after
    subject = f"refund {after.id}"
    if before is None:
        return _new(subject, table, refund_item(after), write_id)
    update = _Update()
    states = ", ".join(update.value(state.value) for state in states_before(after.state))
    condition = (
        f"{update.path('revision')} = {update.value(before.revision)}"
        f" AND {update.path('state')} IN ({states})"
    )
    new_lines = [entry_item(entry) for entry in after.history[len(before.history) :]]
    if new_lines:
        history = update.path("history")
        stored = f"if_not_exists({history}, {update.value([])})"
        update.sets.append(f"{history} = list_append({stored}, {update.value(new_lines)})")
    update.bring(refund_item(before), refund_item(after))
    update.mark(before.revision + 1, write_id)
    arguments = update.arguments(table, refund_key(after.id), condition)
    return ConditionalWrite(subject, "Update", arguments, before.revision + 1)


def _payment_write(write: PaymentWrite, table: str, write_id: str) -> ConditionalWrite:
    before, after = write.before, write.after
    subject = f"payment {after.key.processor} {after.key.charge_id}"
    if before is None:
        return _new(subject, table, payment_item(after), write_id)
    update = _Update()
    condition = f"{update.path('revision')} = {update.value(before.revision)}"
    update.bring(payment_item(before), payment_item(after))
    update.mark(before.revision + 1, write_id)
    arguments = update.arguments(table, payment_item_key(after.key), condition)
    return ConditionalWrite(subject, "Update", arguments, before.revision + 1)


def _claim_write(claim: Claim, table: str) -> ConditionalWrite:
    # An update, not a put: to confirm a claim must not remove what a newer release wrote to it.
    update, key = _Update(), claim_key(claim)
    holder, same = update.path("holder"), update.value(claim_holder(claim))
    schema, version = update.path("schema_version"), update.value(CLAIM_SCHEMA_VERSION)
    update.sets.append(f"{holder} = {same}")
    update.sets.append(f"{schema} = if_not_exists({schema}, {version})")
    condition = f"attribute_not_exists(pk) OR {holder} = {same}"
    if (former := former_holder(claim)) is not None:
        condition += f" OR {holder} = {update.value(former)}"
    arguments = update.arguments(table, key, condition)
    return ConditionalWrite(f"claim {key['pk']}", "Update", arguments, revision=0, claim=claim)


def _payout_write(count: PayoutCount, table: str) -> ConditionalWrite:
    update, key = _Update(), payouts_key(count)
    asked, amount = update.path("asked"), update.value(count.amount)
    update.sets.append(f"{asked} = if_not_exists({asked}, {update.value(0)}) + {amount}")
    update.set_value(("schema_version",), PAYOUTS_SCHEMA_VERSION)
    left = update.value(count.at_most - count.amount)
    condition = f"attribute_not_exists({asked}) OR {asked} <= {left}"
    arguments = update.arguments(table, key, condition)
    return ConditionalWrite(key["pk"], "Update", arguments, revision=0, payout=count)


def _new(subject: str, table: str, item: Item, write_id: str) -> ConditionalWrite:
    arguments = {
        "TableName": table,
        "Item": encode_item(item | {"revision": 1, "write_id": write_id}),
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    return ConditionalWrite(subject, "Put", arguments, revision=1)


def _differences(old: Item, new: Item, path: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """The paths where ``new`` differs from ``old``, each with its new value (``None``: none)."""
    for name in dict.fromkeys((*old, *new)):
        here = (*path, name)
        was, now = old.get(name), new.get(name)
        if was == now or here in _WRITTEN_APART:
            continue
        if here in _MAPS_OF_FACTS and was is not None and now is not None:
            yield from _differences(was, now, here)
        else:
            yield here, now
