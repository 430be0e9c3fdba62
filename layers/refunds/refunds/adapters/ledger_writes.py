"""A commit as DynamoDB's conditional writes.

An item that exists is changed, never replaced: only what differs between ``before`` and ``after``
is set or removed, and history is only ever appended to. So attributes that a newer release has
added survive an older one, and no write can shorten a history.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from refunds.adapters.attribute_values import encode, encode_item
from refunds.adapters.ledger_items import entry_item, payment_item, refund_item
from refunds.adapters.ledger_keys import CLAIM_SCHEMA_VERSION, Item, claim_holder, claim_key
from refunds.ports import Claim, Commit, PaymentWrite, RefundWrite
from refunds.state_machine import State, may_follow

# The maps whose members are facts of their own; any other map is one value (a caller's metadata).
_MAPS_OF_FACTS: Final = frozenset(
    {("request",), ("failure",), ("report",), ("report", "parameters")}
)
_KEYS: Final = ("pk", "sk")

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConditionalWrite:
    """One write of a commit.

    Attributes:
        subject: what is written, for messages.
        claim: the claim that is made, if it is one.
        revision: the revision that the item has after the write; 0 for a claim, which has none.
        arguments: of ``PutItem`` or ``UpdateItem``, alone or within a transaction.
    """

    subject: str
    kind: Literal["Put", "Update"]
    arguments: Mapping[str, Any]
    revision: int
    claim: Claim | None = None


def conditional_writes(commit: Commit, table: str, write_id: str) -> list[ConditionalWrite]:
    """The writes of a commit; each leaves ``write_id`` on its item, to be recognised by."""
    return [
        *(_refund_write(write, table, write_id) for write in commit.refunds),
        *(_payment_write(write, table, write_id) for write in commit.payments),
        *(_claim_write(claim, table) for claim in dict.fromkeys(commit.claims)),
    ]


def states_before(after: State) -> tuple[State, ...]:
    """The stored states that a refund in ``after`` may replace, from the transition table."""
    return tuple(state for state in State if may_follow(state, after))


class Expression:
    """An expression's parts, with the names and values that they stand for."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def path(self, *parts: str) -> str:
        """A place in the item. Every name is aliased: some are reserved words."""
        return ".".join(self._name(part) for part in parts)

    def value(self, value: Any) -> str:
        """A value."""
        alias = f":v{len(self.values)}"
        self.values[alias] = encode(value)
        return alias

    def _name(self, part: str) -> str:
        for alias, name in self.names.items():
            if name == part:
                return alias
        alias = f"#n{len(self.names)}"
        self.names[alias] = part
        return alias


def _refund_write(write: RefundWrite, table: str, write_id: str) -> ConditionalWrite:
    before, after = write.before, write.after
    subject = f"refund {after.id}"
    if before is None:
        return _new(subject, table, refund_item(after), write_id)
    expression = Expression()
    revision = expression.path("revision")
    states = ", ".join(expression.value(state.value) for state in states_before(after.state))
    condition = (
        f"{revision} = {expression.value(before.revision)}"
        f" AND {expression.path('state')} IN ({states})"
    )
    old, new = refund_item(before), refund_item(after)
    new_lines = [entry_item(entry) for entry in after.history[len(before.history) :]]
    sets = []
    if new_lines:
        history = expression.path("history")
        stored = f"if_not_exists({history}, {expression.value([])})"
        sets.append(f"{history} = list_append({stored}, {expression.value(new_lines)})")
    return _change(subject, table, old, new, expression, condition, sets, write_id)


def _payment_write(write: PaymentWrite, table: str, write_id: str) -> ConditionalWrite:
    before, after = write.before, write.after
    subject = f"payment {after.key.processor} {after.key.charge_id}"
    if before is None:
        return _new(subject, table, payment_item(after), write_id)
    expression = Expression()
    condition = f"{expression.path('revision')} = {expression.value(before.revision)}"
    old, new = payment_item(before), payment_item(after)
    return _change(subject, table, old, new, expression, condition, [], write_id)


def _claim_write(claim: Claim, table: str) -> ConditionalWrite:
    # An update and no put: confirming a claim must not remove what a newer release wrote on it.
    expression = Expression()
    holder, schema = expression.path("holder"), expression.path("schema_version")
    value, version = expression.value(claim_holder(claim)), expression.value(CLAIM_SCHEMA_VERSION)
    return ConditionalWrite(
        subject=f"claim {claim_key(claim)['pk']}",
        kind="Update",
        arguments={
            "TableName": table,
            "Key": encode_item(claim_key(claim)),
            "UpdateExpression": f"SET {holder} = {value}, {schema} = if_not_exists({schema}, {version})",
            "ConditionExpression": f"attribute_not_exists(pk) OR {holder} = {value}",
            "ExpressionAttributeNames": expression.names,
            "ExpressionAttributeValues": expression.values,
        },
        revision=0,
        claim=claim,
    )


def _new(subject: str, table: str, item: Item, write_id: str) -> ConditionalWrite:
    return ConditionalWrite(
        subject=subject,
        kind="Put",
        arguments={
            "TableName": table,
            "Item": encode_item(item | {"revision": 1, "write_id": write_id}),
            "ConditionExpression": "attribute_not_exists(pk)",
        },
        revision=1,
    )


def _change(
    subject: str,
    table: str,
    old: Item,
    new: Item,
    expression: Expression,
    condition: str,
    sets: list[str],
    write_id: str,
) -> ConditionalWrite:
    revision = old["revision"] + 1
    sets.append(f"{expression.path('revision')} = {expression.value(revision)}")
    sets.append(f"{expression.path('write_id')} = {expression.value(write_id)}")
    removes = []
    for path, value in _differences(old, new):
        if value is None:
            removes.append(expression.path(*path))
        else:
            sets.append(f"{expression.path(*path)} = {expression.value(value)}")
    update = "SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else "")
    return ConditionalWrite(
        subject=subject,
        kind="Update",
        arguments={
            "TableName": table,
            "Key": encode_item({name: old[name] for name in _KEYS}),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": expression.names,
            "ExpressionAttributeValues": expression.values,
        },
        revision=revision,
    )


def _differences(old: Item, new: Item, path: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """Where ``new`` differs, with its value there; ``None`` where it has none."""
    for name in dict.fromkeys((*old, *new)):
        here = (*path, name)
        was, now = old.get(name), new.get(name)
        if was == now or here in (("revision",), ("history",)):
            continue
        if here in _MAPS_OF_FACTS and was is not None and now is not None:
            yield from _differences(was, now, here)
        else:
            yield here, now
