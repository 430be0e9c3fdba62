"""``delivering.ports.AddressStates``: the states of webhook addresses in the ledger's table.

::

    webhook#<address>   webhook     one address: its failures, its places, its counts
    webhooks            webhooks    which addresses there are, and whether each is enabled

For each batch of the ledger's changes only the second item is read.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from refund_bridge.adapters.dynamodb.keys import Item
from refund_bridge.adapters.dynamodb.refusals import CONDITION_FAILED, RequestRefusedError
from refund_bridge.adapters.dynamodb.table import DynamoDbTable, unavailable_or_defect
from refund_bridge.adapters.dynamodb.values import decode_item, encode_item
from refund_bridge.delivering.address import ADDRESS_ID
from refund_bridge.delivering.ports import AddressState, Slot, Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
PLACES_MAX: Final = 5
_DIRECTORY: Final = {"pk": "webhooks", "sk": "webhooks"}


class DynamoDbWebhookAddresses:
    """``delivering.ports.AddressStates`` on the ledger's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = DynamoDbTable(client, table)

    def enabled(self) -> Sequence[str]:
        """The ids of all addresses that are enabled, as it is now, in one small read."""
        return [name for name, word in self._directory().items() if word == Status.ENABLED]

    def states(self) -> Sequence[AddressState]:
        """The addresses that are not removed."""
        items = self._table.batch_get([_key(name) for name in self._directory()])
        states = (_state_of(str(item["pk"]).partition("#")[2], item) for item in items)
        return sorted(states, key=lambda state: state.id)

    def state(self, address_id: str) -> AddressState | None:
        """The state of that address now; ``None`` if it was never added."""
        item = self._table.get(_key(address_id))
        return None if item is None else _state_of(address_id, item)

    def set_status(
        self, address_id: str, status: Status, *, now_ms: int, reason: str | None = None
    ) -> None:
        """Enable, disable or remove it; durable on return. An enabled address starts open."""
        update = "SET #status = :status, changed_at_ms = :now, schema_version = :version"
        values: dict[str, Any] = {":status": status, ":now": now_ms, ":version": SCHEMA_VERSION}
        if reason is not None:
            update += ", reason = :reason"
            values[":reason"] = reason
        if status is Status.ENABLED:
            update += " REMOVE failures, closed_until_ms, closures, reason, last_error"
        self._update(_key(address_id), update, values, names={"#status": "status"})
        if status is Status.REMOVED:
            self._update(_DIRECTORY, "REMOVE #id", {}, names={"#id": address_id})
        else:
            word = {":status": status}
            self._update(_DIRECTORY, "SET #id = :status", word, names={"#id": address_id})

    def take_slot(
        self, state: AddressState, number: int, *, now_ms: int, until_ms: int
    ) -> Slot | None:
        """Take that place; ``None`` if it is taken, or the address is closed or not enabled."""
        is_probe = state.closed_until_ms is not None
        place = f"slot_{number}"
        write_id = uuid4().hex
        update = f"SET {place} = :until, write_id = :write"
        if is_probe:
            update += ", closed_until_ms = :until"
        open_now = (
            "closed_until_ms <= :now" if is_probe else "attribute_not_exists(closed_until_ms)"
        )
        found, is_written = self._update(
            _key(state.id),
            update,
            {":until": until_ms, ":now": now_ms, ":enabled": Status.ENABLED, ":write": write_id},
            names={"#status": "status"},
            condition=f"#status = :enabled AND {open_now}"
            f" AND (attribute_not_exists({place}) OR {place} <= :now)",
        )
        # botocore may have sent the request twice; the condition then failed on our first copy.
        if is_written or found.get("write_id") == write_id:
            return Slot(address_id=state.id, number=number, until_ms=until_ms, is_probe=is_probe)
        return None

    def free(
        self, slot: Slot, *, delivered: int, error: str | None, now_ms: int
    ) -> AddressState | None:
        """Give the place back, and count the result: the events taken, and then an error if any."""
        sets, removes = [], [f"slot_{slot.number}"]
        values: dict[str, Any] = {}
        if delivered:
            sets += [
                "delivered = if_not_exists(delivered, :none) + :delivered",
                "last_delivered_at_ms = :now",
            ]
            removes += ["closed_until_ms", "closures"]
            values |= {":none": 0, ":delivered": delivered, ":now": now_ms}
        elif slot.is_probe and error is None:
            sets.append("closed_until_ms = :now")
            values[":now"] = now_ms
        if error is not None:
            before = ":none" if delivered else "if_not_exists(failures, :none)"
            sets += [
                f"failures = {before} + :one",
                "failed = if_not_exists(failed, :none) + :one",
                "last_error = :error",
            ]
            values |= {":none": 0, ":one": 1, ":error": error}
        elif delivered:
            removes += ["failures", "last_error"]
        update = (f"SET {', '.join(sets)} " if sets else "") + f"REMOVE {', '.join(removes)}"
        found, is_written = self._update(
            _key(slot.address_id), update, values, condition="attribute_exists(pk)"
        )
        return _state_of(slot.address_id, found) if is_written else None

    def close(self, state: AddressState, *, until_ms: int) -> bool:
        """Close it until then, and count the closure; ``False``: another worker did it first."""
        before = "attribute_not_exists(closures)" if not state.closures else "closures = :before"
        values = {":until": until_ms, ":after": state.closures + 1}
        _, is_written = self._update(
            _key(state.id),
            "SET closed_until_ms = :until, closures = :after",
            values | ({":before": state.closures} if state.closures else {}),
            condition=before,
        )
        return is_written

    def _directory(self) -> Mapping[str, str]:
        item = self._table.get(_DIRECTORY) or {}
        return {name: str(item[name]) for name in sorted(item) if ADDRESS_ID.fullmatch(name)}

    def _update(
        self,
        key: Item,
        update: str,
        values: Mapping[str, Any],
        *,
        names: Mapping[str, str] | None = None,
        condition: str | None = None,
    ) -> tuple[Item, bool]:
        """The item after the update, or as it was if the condition failed; and which of the two."""
        request: dict[str, Any] = {
            "TableName": self._table.name,
            "Key": encode_item(key),
            "UpdateExpression": update,
            "ReturnValues": "ALL_NEW",
        }
        if values:
            plain = {name: str(v) if isinstance(v, Status) else v for name, v in values.items()}
            request["ExpressionAttributeValues"] = encode_item(plain)
        if names:
            request["ExpressionAttributeNames"] = dict(names)
        if condition is not None:
            request["ConditionExpression"] = condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            answer = self._table.ask("update_item", **request)
        except RequestRefusedError as refusal:
            if not refusal.objects(CONDITION_FAILED):
                unavailable_or_defect(refusal)
            return refusal.stored, False
        return decode_item(answer.get("Attributes", {})), True


def _key(address_id: str) -> Item:
    return {"pk": f"webhook#{address_id}", "sk": "webhook"}


def _state_of(address_id: str, item: Mapping[str, Any]) -> AddressState:
    last = item.get("last_delivered_at_ms")
    closed = item.get("closed_until_ms")
    return AddressState(
        id=address_id,
        status=Status(item.get("status", Status.REMOVED)),
        failures=int(item.get("failures", 0)),
        closed_until_ms=None if closed is None else int(closed),
        closures=int(item.get("closures", 0)),
        slots=tuple(int(item.get(f"slot_{number}", 0)) for number in range(PLACES_MAX)),
        reason=item.get("reason"),
        delivered=int(item.get("delivered", 0)),
        failed=int(item.get("failed", 0)),
        last_delivered_at_ms=None if last is None else int(last),
        last_error=item.get("last_error"),
    )
