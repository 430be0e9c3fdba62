"""`refundctl export`: one line per refund, for the accountants.

Amounts stand there twice, as integers in the minor unit and as exact decimals of the major one, and
pass through no float. Text that a spreadsheet would take for a formula is neutralised.
"""

from pathlib import Path
from typing import Any

from refundctl import options, walk
from refundctl.exits import Exit, MisusedError
from refundctl.options import Call, Groups
from refundctl.output import write_csv, written
from refundctl.times import rfc3339, when
from refunds.money import Money
from refunds.refund import Refund

COLUMNS = (
    "refund",
    "status",
    "amount_minor",
    "amount",
    "currency",
    "processor",
    "processor_payment",
    "processor_refund",
    "payment_record",
    "payment_intent",
    "invoice",
    "source",
    "reason",
    "created_at",
    "refunded_at",
    "report_status",
    "reported_at",
    "taken_back_at",
    "credit_note",
    "failure",
)


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    export = options.command(groups, "export", _export, "One line per refund, as CSV.")
    export.add_argument(
        "--since", type=when, required=True, metavar="WHEN", help="made from then on"
    )
    export.add_argument("--until", type=when, metavar="WHEN", help="made before then; now")
    export.add_argument("--output", type=Path, metavar="FILE", help="instead of writing it here")


def _export(call: Call) -> Exit:
    world, asked = call.world, call.arguments
    now_ms = world.clock.now_ms()
    since_ms = asked.since.unix_ms(now_ms)
    until_ms = now_ms + walk.AHEAD_MS if asked.until is None else asked.until.unix_ms(now_ms)
    if until_ms <= since_ms:
        raise MisusedError("--until is not after --since.")
    rows: list[tuple[str | int, ...]] = []
    with call.output.progress("Reading the ledger", None) as advance:
        for some in walk.made_between(world.listing, since_ms, until_ms):
            rows += map(_row, some)
            advance(len(some))
    rows.reverse()  # the oldest first, as a journal is read
    if asked.output is None:
        call.output.csv(COLUMNS, rows, [_json(row) for row in rows])
        return Exit.DONE
    with written(asked.output) as file:
        write_csv(file, COLUMNS, rows)
    told = f"{len(rows)} refunds written to {asked.output}."
    call.output.result(told, {"refunds": len(rows), "file": str(asked.output)})
    return Exit.DONE


def _row(refund: Refund) -> tuple[str | int, ...]:
    return (
        refund.id,
        refund.public_status,
        refund.amount,
        Money(refund.amount, refund.currency).decimal_string(),
        refund.currency,
        refund.processor,
        refund.refunded_payment or "",
        refund.processor_refund_id or "",
        refund.payment_record or "",
        refund.payment_intent or "",
        refund.invoice or "",
        refund.source.value,
        refund.request.reason or "",
        rfc3339(refund.created_at_ms) or "",
        rfc3339(_refunded_at_ms(refund)) or "",
        refund.report.state.value,
        rfc3339(refund.report.reported_at_ms) or "",
        rfc3339(refund.late_failure_at_ms) or "",
        refund.credit_note.id or "",
        refund.failure.code if refund.failure else "",
    )


def _refunded_at_ms(refund: Refund) -> int | None:
    """When the money moved, as Stripe is told it; else as the processor showed it."""
    if refund.report.parameters is not None:
        return refund.report.parameters.refunded_at_s * 1000
    for entry in reversed(refund.history):
        at_ms = entry.evidence.get("refunded_at_ms")
        if isinstance(at_ms, int):
            return at_ms
    return None


def _json(row: tuple[str | int, ...]) -> dict[str, Any]:
    return {name: value if value != "" else None for name, value in zip(COLUMNS, row, strict=True)}
