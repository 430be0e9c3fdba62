"""`refundctl export`: one line per refund, for the accountants.

Each amount is written twice, as an integer in the minor unit and as an exact decimal in the major
unit; no float is used. Text that a spreadsheet would take for a formula is neutralised.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import Refund
from refundctl import options, walk
from refundctl.console.words import count_of
from refundctl.exits import Exit, MisusedError
from refundctl.facts import TAKEN_BACK, money
from refundctl.options import Call, Groups
from refundctl.output import write_csv, written
from refundctl.times import rfc3339, when
from refundctl.world import World

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
    "payment_amount_minor",
    "payment_amount",
    "fee_minor",
    "fee",
    "fee_currency",
)


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    export = options.command(groups, "export", _export, "One line per refund, as CSV.")
    export.add_argument(
        "--since", type=when, required=True, metavar="WHEN", help="made from then on"
    )
    export.add_argument("--until", type=when, metavar="WHEN", help="made before then; now")
    export.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="NAME",
        help="with a column metadata.NAME; as often as wanted",
    )
    export.add_argument("--output", type=Path, metavar="FILE", help="instead of writing it here")


def _export(call: Call) -> Exit:
    world, asked = call.world, call.arguments
    now_ms = world.clock.now_ms()
    since_ms = asked.since.unix_ms(now_ms)
    until_ms = now_ms + walk.AHEAD_MS if asked.until is None else asked.until.unix_ms(now_ms)
    if until_ms <= since_ms:
        raise MisusedError("--until is not after --since.")
    chosen = tuple(dict.fromkeys(asked.metadata))
    columns = (*COLUMNS, *(f"metadata.{name}" for name in chosen))
    rows: list[tuple[str | int, ...]] = []
    totals = Totals()
    with call.output.progress("Reading the ledger", None) as advance:
        for some in walk.made_between(world.listing, since_ms, until_ms):
            payments = _payments(world, some)
            for refund in some:
                rows.append((*_row(refund, payments), *_metadata(refund, chosen)))
                totals.add(refund)
            advance(len(some))
    rows.reverse()  # the oldest first, as a journal is read
    for sentence in totals.told():
        call.output.say(sentence)
    if asked.output is None:
        call.output.csv(columns, rows, [_json(columns, row) for row in rows])
        return Exit.DONE
    with written(asked.output) as file:
        write_csv(file, columns, rows)
    told = f"{len(rows)} refunds written to {asked.output}."
    call.output.result(
        told, {"refunds": len(rows), "file": str(asked.output), **totals.for_machines()}
    )
    return Exit.DONE


@dataclass
class Totals:
    """The sums of the exported refunds, in minor units; currencies are never added up.

    Attributes:
        amounts, numbers: the refunds' sum and number, by currency and status.
        fees, charged: the sum of the processors' fees, and the number of refunds that have one, by
            the fees' own currency.
    """

    amounts: Counter[tuple[str, str]] = field(default_factory=Counter)
    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    fees: Counter[str] = field(default_factory=Counter)
    charged: Counter[str] = field(default_factory=Counter)

    def add(self, refund: Refund) -> None:
        """Add one refund to the sums."""
        of = refund.currency, refund.public_status
        self.amounts[of] += refund.amount
        self.numbers[of] += 1
        if refund.fee is not None:
            self.fees[refund.fee.currency] += refund.fee.amount
            self.charged[refund.fee.currency] += 1

    def told(self) -> Iterator[str]:
        """A sentence for each sum."""
        for (currency, status), number in sorted(self.numbers.items()):
            total = money(self.amounts[currency, status], currency)
            yield f"{total} {status}: {count_of(number, 'refund')}"
        for currency, number in sorted(self.charged.items()):
            fees = money(self.fees[currency], currency)
            yield f"{fees} taken by processors as fees: {count_of(number, 'refund')}"

    def for_machines(self) -> dict[str, Any]:
        """The same sums."""
        return {
            "sums": [
                {
                    "currency": currency,
                    "status": status,
                    "amount_minor": self.amounts[currency, status],
                    "refunds": number,
                }
                for (currency, status), number in sorted(self.numbers.items())
            ],
            "fees": [
                {"currency": currency, "amount_minor": self.fees[currency], "refunds": number}
                for currency, number in sorted(self.charged.items())
            ],
        }


def _payments(world: World, refunds: Sequence[Refund]) -> Mapping[PaymentKey, Payment]:
    keys = list(dict.fromkeys(map(payment_key_of, refunds)))
    return world.listing.payments(keys) if keys else {}


def _metadata(refund: Refund, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(refund.request.metadata.get(name, "") for name in names)


def _row(refund: Refund, payments: Mapping[PaymentKey, Payment]) -> tuple[str | int, ...]:
    payment = payments.get(payment_key_of(refund))
    captured = "" if payment is None or refund.refunded_payment is None else payment.captured
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
        TAKEN_BACK if refund.late_failure_at_ms else refund.failure.code if refund.failure else "",
        captured,
        "" if captured == "" else Money(int(captured), refund.currency).decimal_string(),
        *_fee(refund.fee),
    )


def _fee(fee: Money | None) -> tuple[str | int, ...]:
    """The cells of a fee; empty, and not 0, if the processor has named none."""
    return ("", "", "") if fee is None else (fee.amount, fee.decimal_string(), fee.currency)


def _refunded_at_ms(refund: Refund) -> int | None:
    """When the money moved: as reported to Stripe, or else as the processor showed it."""
    if refund.report.parameters is not None:
        return refund.report.parameters.refunded_at_s * 1000
    for entry in reversed(refund.history):
        at_ms = entry.evidence.get("refunded_at_ms")
        if isinstance(at_ms, int):
            return at_ms
    return None


def _json(columns: Sequence[str], row: tuple[str | int, ...]) -> dict[str, Any]:
    return {name: value if value != "" else None for name, value in zip(columns, row, strict=True)}
