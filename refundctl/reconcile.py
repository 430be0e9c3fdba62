"""`refundctl reconcile`: ledger, HitPay and Stripe side by side; each difference is one line.

Each payment with a refund made in the given time is compared with all of its refunds, since Stripe
shows only their sum. Exit code 0: no difference; 1: a difference; any other: not everything could
be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refundctl import options, walk
from refundctl.comparing import Comparer, SilentProviderError
from refundctl.deciding.reconcile import Difference
from refundctl.exits import Exit
from refundctl.facts import money
from refundctl.options import Call, Groups
from refundctl.output import write_csv, written
from refundctl.times import duration_ms, when

RATE_DEFAULT = 8
# Stripe allows 25 requests a second on each endpoint, and reports need some of them meanwhile.
RATE_MAX = 20
GRACE_DEFAULT_MS = 15 * 60_000
CHARGES_DEFAULT = 500
TROUBLES_SHOWN = 5
COLUMNS = (
    "kind",
    "refund",
    "payment_record",
    "charge",
    "processor_refund",
    "currency",
    "ledger",
    "processor",
    "stripe",
    "says",
)


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    compared = options.command(
        groups,
        "reconcile",
        _reconcile,
        "Compare ledger, processors and Stripe, payment by payment.",
    )
    compared.add_argument(
        "--since",
        type=when,
        required=True,
        metavar="WHEN",
        help="payments with a refund made since: 2024-02-29, 2024-02-29T23:59:59Z, 36h, 7d",
    )
    compared.add_argument("--csv", type=Path, metavar="FILE", help="write one line per difference")
    compared.add_argument(
        "--grace",
        type=duration_ms,
        default=GRACE_DEFAULT_MS,
        metavar="TIME",
        help="what is younger may still be on its way; 15m",
    )
    compared.add_argument(
        "--charges",
        type=options.whole(0, 1_000_000),
        default=CHARGES_DEFAULT,
        metavar="N",
        help="also look for refunds that the ledger lacks among the N newest charges of each "
        "processor that lists them; "
        f"{CHARGES_DEFAULT}",
    )
    compared.add_argument(
        "--rate",
        type=options.whole(1, RATE_MAX),
        default=RATE_DEFAULT,
        help=f"calls a second to each provider; {RATE_DEFAULT}",
    )


@dataclass
class _Result:
    """The result of comparing so far."""

    payments: int
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    open_refunds: int = 0
    not_compared: dict[str, str] = field(default_factory=dict)
    stopped: str = ""

    @property
    def says(self) -> str:
        """How many payments were compared: "no differences" means nothing without that number."""
        return (
            f"Compared {self.compared} of {self.payments} payments: {len(self.differences)} "
            f"differences, {self.open_refunds} refunds on their way."
        )

    @property
    def none_found(self) -> str:
        """What to say if there is no difference: in all, among those compared, or not compared."""
        if self.compared == self.payments and not self.stopped:
            return "No differences."
        return "No differences among these." if self.compared else "Nothing could be compared."

    @property
    def exit(self) -> Exit:
        """1 for a difference, 0 for none, 3 if not everything could be compared."""
        if self.differences:
            return Exit.REFUSED
        return Exit.UNREACHABLE if self.stopped or self.not_compared else Exit.DONE


def _reconcile(call: Call) -> Exit:
    world, asked, output = call.world, call.arguments, call.output
    result = _compare(call, _payments(call, asked.since.unix_ms(world.clock.now_ms())))
    if asked.csv is not None:
        with written(asked.csv) as file:
            write_csv(file, COLUMNS, map(_csv_row, result.differences))
    output.say(result.says)
    output.table(
        COLUMNS,
        map(_row, result.differences),
        {
            "payments": result.payments,
            "compared": result.compared,
            "open": result.open_refunds,
            "differences": [_json(one) for one in result.differences],
            "not_compared": result.not_compared,
            "stopped": result.stopped or None,
        },
        empty=result.none_found,
    )
    if result.stopped:
        output.say(f"Stopped, since a provider gives no answer: {result.stopped}")
    for charge_id, trouble in sorted(result.not_compared.items())[:TROUBLES_SHOWN]:
        output.say(f"Not compared: {charge_id}: {trouble}")
    return result.exit


def _compare(call: Call, keys: Sequence[PaymentKey]) -> _Result:
    asked, output = call.arguments, call.output
    comparer = Comparer(world=call.world, per_second=asked.rate, grace_ms=asked.grace)
    result = _Result(len(keys))
    try:
        with output.progress("Comparing payments", len(keys)) as advance:
            for one in comparer.all(keys):
                result.differences += one.found.differences
                result.open_refunds += one.found.open_refunds
                if one.trouble:
                    result.not_compared[one.key.charge_id] = one.trouble
                else:
                    result.compared += 1
                advance(1)
        with output.progress("Looking through the newest charges", None):
            result.differences += comparer.unknown(asked.charges)
    except SilentProviderError as error:
        result.stopped = str(error)
    return result


def _payments(call: Call, since_ms: int) -> list[PaymentKey]:
    """The payments that had a refund made since then, each once."""
    world, keys = call.world, dict[PaymentKey, None]()
    until_ms = world.clock.now_ms() + walk.AHEAD_MS
    with call.output.progress("Reading the ledger", None) as advance:
        for some in walk.made_between(world.listing, since_ms, until_ms):
            keys |= dict.fromkeys(map(payment_key_of, some))
            advance(len(some))
    return list(keys)


def _ids(one: Difference) -> tuple[str, ...]:
    return (
        one.kind.value,
        one.refund_id or "",
        one.payment_record or "",
        one.charge_id,
        one.processor_refund_id or "",
        one.currency,
    )


def _row(one: Difference) -> tuple[str, ...]:
    amounts = (one.amounts.ledger, one.amounts.processor, one.amounts.stripe)
    shown = ("" if amount is None else money(amount, one.currency) for amount in amounts)
    return (*_ids(one), *shown, one.says)


def _csv_row(one: Difference) -> tuple[str, ...]:
    amounts = (one.amounts.ledger, one.amounts.processor, one.amounts.stripe)
    shown = (
        "" if amount is None else Money(amount, one.currency).decimal_string() for amount in amounts
    )
    return (*_ids(one), *shown, one.says)


def _json(one: Difference) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "refund": one.refund_id,
        "payment_record": one.payment_record,
        "charge": one.charge_id,
        "processor_refund": one.processor_refund_id,
        "currency": one.currency,
        "ledger": one.amounts.ledger,
        "processor": one.amounts.processor,
        "stripe": one.amounts.stripe,
        "says": one.says,
    }
