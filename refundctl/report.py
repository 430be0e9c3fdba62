"""`refundctl report`: a person decides whether Stripe is told of a refund, was told, or never is.

Stripe, the processor and the ledger are read first, and the command says what the decision would
change before it writes anything.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from refund_bridge.domain.refund import Refund
from refund_bridge.reporting.read_sums import Sums
from refundctl import options, who
from refundctl.deciding.report_by_hand import (
    Owed,
    ReportDecision,
    ReportDecisionRefusedError,
    ToldByOthers,
    Waive,
    WeighedReport,
)
from refundctl.exits import Exit, RefusedError
from refundctl.facts import money, report_text
from refundctl.options import Call, Groups


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    report = options.command(
        groups, "report", _report, "Decide whether Stripe is told of a refund, was, or never is."
    )
    report.add_argument("id", help="the refund's id: rfd_...")
    answer = report.add_mutually_exclusive_group(required=True)
    answer.add_argument(
        "--owed", action="store_true", help="nobody told Stripe: tell it, whatever its sums say"
    )
    answer.add_argument(
        "--told", action="store_true", help="somebody told Stripe, under whatever reference"
    )
    answer.add_argument("--waive", action="store_true", help="Stripe is never told")
    declare_decision(report)


def declare_decision(parser: argparse.ArgumentParser) -> None:
    """Add the options of decisions about reports: the reason, who decides, `--dry-run`, `--yes`."""
    parser.add_argument(
        "--reason",
        type=who.reason,
        required=True,
        help="how you know. Kept for ever: no customer's data",
    )
    who.declare(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what it would do, and end")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _report(call: Call) -> Exit:
    world, asked, output = call.world, call.arguments, call.output
    decision, actor = _decision(asked), who.actor_of(call)
    by_hand = world.report_by_hand(actor)
    try:
        agreed = by_hand.weigh(asked.id, decision, world.deadline())
        for line in _told(agreed, decision):
            output.say(line)
        if asked.dry_run:
            output.result("Nothing was written.", _json(agreed, None, actor))
            return Exit.DONE
        if not asked.yes and not output.confirm("Write this?"):
            raise RefusedError("Nothing was written.")
        done = by_hand.carry_out(asked.id, decision, agreed, world.deadline())
    except ReportDecisionRefusedError as error:
        raise RefusedError(f"Refused: {error}") from error
    output.result(f"{done.id}: its report is {report_text(done)}.", _json(agreed, done, actor))
    return Exit.DONE


def _decision(asked: argparse.Namespace) -> ReportDecision:
    if asked.owed:
        return Owed(asked.reason)
    return ToldByOthers(asked.reason) if asked.told else Waive(asked.reason)


def sums_text(sums: Sums) -> Iterator[str]:
    """What Stripe shows, what the processor moved, and what stays unexplained, in words."""
    record, payment, currency = sums.record, sums.payment, sums.payment.currency
    yield (
        f"  Stripe shows {money(record.amount_refunded, currency)} of "
        f"{money(record.captured, currency)} refunded on {record.id}"
    )
    moved = money(payment.moved + payment.foreign, currency)
    yield f"  {payment.key.processor} moved {moved} of {payment.key.charge_id}, as far as is known"
    accepted = payment.accepted_excess
    known = record.amount_refunded - sums.unexplained - accepted
    beside = f", {money(accepted, currency)} is accepted as too much" if accepted else ""
    yield (
        f"  {money(known, currency)} is reported{beside}; "
        f"{_signed(sums.unexplained, currency)} is unexplained"
    )


def _signed(amount: int, currency: str) -> str:
    return f"-{money(-amount, currency)}" if amount < 0 else money(amount, currency)


def _told(weighed: WeighedReport, decision: ReportDecision) -> Iterator[str]:
    refund = weighed.refund
    amount = money(refund.amount, refund.currency)
    yield f"{refund.id}: {amount} of {refund.payment_record}; its report is {report_text(refund)}"
    if weighed.sums is None:
        yield f"  Stripe does not show {refund.payment_record} now: nothing was compared"
    else:
        yield from sums_text(weighed.sums)
    yield f"> {_meaning(refund, amount, decision)}"
    for one in weighed.owe:
        yield f"  {one} was only believed to be at Stripe: it is owed again, and told."
    yield f"  At {refund.processor} nothing changes."


def _meaning(refund: Refund, amount: str, decision: ReportDecision) -> str:
    match decision:
        case Owed():
            reference = refund.processor_refund_id
            return (
                f"owed: Stripe is told of {amount} on {refund.payment_record}, reference "
                f"{reference}, whatever its sums say. If somebody else told it under another "
                "reference, it then shows the refund twice."
            )
        case ToldByOthers():
            return f"told: Stripe is told nothing; {amount} of what it shows is this refund."
        case Waive():
            return f"waived: Stripe is never told of {amount}, and its sum stays without it."


def _json(weighed: WeighedReport, done: Refund | None, actor: str) -> dict[str, Any]:
    state, cause = weighed.after
    if done is not None:
        state, cause = done.report.state, done.report.cause
    return {
        "id": weighed.refund.id,
        "written": done is not None,
        "actor": actor,
        "report": state.value,
        "cause": None if cause is None else cause.value,
        "owed_again": list(weighed.owe),
        **({} if weighed.sums is None else sums_json(weighed.sums)),
    }


def sums_json(sums: Sums) -> dict[str, Any]:
    """The same sums for machines; amounts in minor units."""
    return {
        "payment_record": sums.record.id,
        "currency": sums.payment.currency,
        "stripe_refunded": sums.record.amount_refunded,
        "moved": sums.payment.moved + sums.payment.foreign,
        "unexplained": sums.unexplained,
    }
