"""Converts refunds and payments to items of the ledger's table, and back.

An item has every fact under its name in ``refund.py`` and ``payment.py``, without those that are
``None``. It also has the indexes' attributes, which are derived from the facts. From a refund's
item a fact is also left out if it equals the default of its dataclass, because writes are paid for
by size. So these defaults are part of the stored form, and none of them may ever change.
Reading accepts that optional facts are absent and ignores unknown attributes, whatever
``schema_version`` says. So during a deployment an older release still reads what it understands,
and it writes only what it changed (``writes.py``).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

from refund_bridge.adapters.dynamodb.keys import (
    UnreadableItemError,
    payment_item_key,
    payment_key_text,
    refund_key,
)
from refund_bridge.adapters.dynamodb.values import plain
from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import Entry, Failure, Refund
from refund_bridge.domain.refund_request import (
    PaymentMethodKind,
    ReferenceType,
    RefundRequest,
    RefundType,
    Source,
)
from refund_bridge.domain.report import (
    CreditNote,
    ProviderAnswer,
    Report,
    ReportCause,
    ReportParameters,
)
from refund_bridge.domain.state_machine import CreditNoteState, ReportState, State
from refund_bridge.ports.ledger import DUE_SHARDS

Item = dict[str, Any]


# --- refunds ------------------------------------------------------------------------------------


def refund_item(refund: Refund) -> Item:
    """The item of a refund: key, facts and index attributes."""
    facts = _facts(refund) | {
        "revision": refund.revision,
        "schema_version": refund.schema_version,
        "request": _facts(refund.request),
        "failure": None if refund.failure is None else _facts(refund.failure),
        "report": _report_item(refund.report),
        "credit_note": _credit_note_item(refund.credit_note),
        "history": [entry_item(entry) for entry in refund.history],
        "snapshot": None if refund.snapshot is None else list(refund.snapshot),
        "answers": _answer_items(refund.answers),
        "fee": None if refund.fee is None else _fields(refund.fee),
    }
    item: Item = plain(_set(refund_key(refund.id) | facts | _index_attributes(refund)))
    return item


def entry_item(entry: Entry) -> Item:
    """One line of history, as stored."""
    item: Item = plain(_facts(entry))
    return item


def refund_of(item: Mapping[str, Any]) -> Refund:
    """Read the refund from its item.

    Raises:
        UnreadableItemError: this release cannot read the item.
    """
    try:
        return _refund_of(item)
    except (KeyError, TypeError, ValueError) as error:
        # The error's own text may hold a value of the item, so it is neither shown nor chained.
        name = type(error).__name__
        raise UnreadableItemError(f"{item.get('pk')} cannot be read ({name})") from None


def due_shard_of(refund_id: str) -> int:
    """The shard of the due index that a refund belongs to."""
    return zlib.crc32(refund_id.encode()) % DUE_SHARDS


def due_partition(shard: int) -> str:
    """The key of a shard in the due index."""
    return f"due#{shard}"


def created_sort(created_at_ms: int, refund_id: str) -> str:
    """The sort key of a refund in the listing indexes: text, ordered by time and id."""
    return f"{created_at_ms:015d}#{refund_id}"


def status_month(status: str, month: str) -> str:
    """The key of a public status in a month, in the status index."""
    return f"{status}#{month}"


def _index_attributes(refund: Refund) -> Item:
    created = datetime.fromtimestamp(refund.created_at_ms // 1000, tz=UTC)
    month = f"{created:%Y-%m}"
    due_ms = refund.listed_due_ms
    return {
        "payment_key": payment_key_text(payment_key_of(refund)),
        "created_sort": created_sort(refund.created_at_ms, refund.id),
        "list_month": month,
        "status_month": status_month(refund.public_status, month),
        "due_shard": None if due_ms is None else due_partition(due_shard_of(refund.id)),
        "due_at": due_ms,
    }


def _report_item(report: Report) -> Item:
    """The report as a map that is never empty or absent, because its members are written singly."""
    parameters = None if report.parameters is None else _facts(report.parameters)
    answers = _answer_items(report.answers)
    changed = {"state": report.state, "parameters": parameters, "answers": answers}
    return _set(_facts(report) | changed)


def _answer_items(answers: Sequence[ProviderAnswer]) -> list[Item] | None:
    return [_facts(answer) for answer in answers] or None


def _credit_note_item(note: CreditNote) -> Item | None:
    """The credit note as a map; ``None`` for the many refunds that never owe one."""
    if note == CreditNote():
        return None
    return _set(_facts(note) | {"state": note.state, "answers": _answer_items(note.answers)})


def _refund_of(item: Mapping[str, Any]) -> Refund:
    known = {name: item[name] for name in Refund.__dataclass_fields__ if name in item}
    for name in ("payment_record", "payment_intent", "invoice"):
        known.setdefault(name, None)
    known.setdefault("updated_at_ms", item["created_at_ms"])
    known["request"] = _request_of(item["request"])
    known["source"] = Source(item["source"])
    known["state"] = State(item["state"])
    known["revision"] = item["revision"]
    known["report"] = _report_of(item.get("report", {}))
    known["credit_note"] = _credit_note_of(item.get("credit_note", {}))
    known["history"] = tuple(_entry_of(e) for e in item.get("history", ()))
    if "snapshot" in item:
        known["snapshot"] = tuple(item["snapshot"])
    known["answers"] = _answers_of(item)
    if "fee" in item:
        known["fee"] = Money(**_known(Money, item["fee"]))
    if "failure" in item:
        known["failure"] = Failure(**_known(Failure, item["failure"]))
    _require_int(known, "amount", "created_at_ms", "revision")
    return Refund(**known)


def _request_of(item: Mapping[str, Any]) -> RefundRequest:
    known = _known(RefundRequest, item)
    known["reference_type"] = ReferenceType(known["reference_type"])
    known["refund_type"] = RefundType(known.get("refund_type", RefundType.INSTANT))
    if "payment_method_type" in known:
        known["payment_method_type"] = PaymentMethodKind(known["payment_method_type"])
    return RefundRequest(**known)


def _entry_of(item: Mapping[str, Any]) -> Entry:
    known = _known(Entry, item)
    known.setdefault("before", None)
    return Entry(**known)


def _report_of(item: Mapping[str, Any]) -> Report:
    known = _known(Report, item)
    known["state"] = ReportState(known.get("state", ReportState.NOT_DUE))
    if "cause" in known:
        known["cause"] = ReportCause(known["cause"])
    if "parameters" in known:
        known["parameters"] = ReportParameters(**_known(ReportParameters, known["parameters"]))
    known["answers"] = _answers_of(item)
    return Report(**known)


def _answers_of(item: Mapping[str, Any]) -> tuple[ProviderAnswer, ...]:
    return tuple(ProviderAnswer(**_known(ProviderAnswer, one)) for one in item.get("answers", ()))


def _credit_note_of(item: Mapping[str, Any]) -> CreditNote:
    known = _known(CreditNote, item)
    known["state"] = CreditNoteState(known.get("state", CreditNoteState.NOT_DUE))
    known["answers"] = _answers_of(item)
    return CreditNote(**known)


# --- payments -----------------------------------------------------------------------------------


def payment_item(payment: Payment) -> Item:
    """The item of a payment: key and facts."""
    facts = {name: value for name, value in _fields(payment).items() if name != "key"}
    facts |= {"processor": payment.key.processor, "charge_id": payment.key.charge_id}
    facts["arrival"] = None if payment.arrival is None else _fields(payment.arrival)
    item: Item = plain(_set(payment_item_key(payment.key) | facts))
    return item


def payment_of(item: Mapping[str, Any]) -> Payment:
    """Read the payment from its item.

    Raises:
        UnreadableItemError: this release cannot read the item.
    """
    try:
        known = _known(Payment, item)
        known.setdefault("payment_record", None)
        known["key"] = PaymentKey(item["processor"], item["charge_id"])
        known["waiting"] = tuple(item.get("waiting", ()))
        known["doubtful"] = tuple(item.get("doubtful", ()))
        if "arrival" in item:
            known["arrival"] = Arrival(**_known(Arrival, item["arrival"]))
        known["revision"] = item["revision"]
        _require_int(known, "captured", "revision")
        return Payment(**known)
    except (KeyError, TypeError, ValueError) as error:
        name = type(error).__name__
        raise UnreadableItemError(f"{item.get('pk')} cannot be read ({name})") from None


# --- dataclasses and maps -----------------------------------------------------------------------


def _fields(fact: Any) -> Item:
    return {name: getattr(fact, name) for name in fact.__dataclass_fields__}


def _facts(fact: Any) -> Item:
    """The members of a dataclass, without those that equal their defaults."""
    known = _defaults(fact.__class__)
    members = {name: getattr(fact, name) for name in known}
    return {name: value for name, value in members.items() if value not in (None, known[name])}


@cache
def _defaults(kind: Any) -> Mapping[str, Any]:
    """The default of each member of a dataclass; ``MISSING`` if it has none."""
    return {
        one.name: one.default if one.default_factory is MISSING else one.default_factory()
        for one in fields(kind)
    }


def _known(kind: Any, item: Mapping[str, Any]) -> Item:
    return {name: item[name] for name in kind.__dataclass_fields__ if name in item}


def _set(item: Mapping[str, Any]) -> Item:
    return {name: value for name, value in item.items() if value is not None}


def _require_int(known: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if type(known[name]) is not int:
            raise TypeError(f"{name} is not an integer")
