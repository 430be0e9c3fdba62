"""`refundctl list`: refunds, those that are stuck first."""

import argparse
from collections.abc import Iterator, Mapping

from refundctl import options, walk
from refundctl.exits import Exit, MisusedError
from refundctl.facts import (
    first_of_all,
    goes_to,
    is_stuck,
    money,
    refund_json,
    standing,
    why,
)
from refundctl.options import Call, Groups
from refundctl.output import Advance
from refundctl.times import When, age, utc, when
from refundctl.world import World
from refunds.payment import Payment, PaymentKey, payment_key_of
from refunds.ports import OfInvoice, OfPayment, OfPaymentIntent, Selection
from refunds.refund import PUBLIC_STATUSES, Refund
from refunds.state_machine import CreditNoteState, ReportState

LIMIT_DEFAULT = 50
LIMIT_MAX = 10_000
LOOK_BACK = When(ago_ms=30 * 86_400_000)
COLUMNS = ("id", "state", "amount", "payment", "processor's refund", "report", "made", "age", "why")


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    found = options.command(groups, "list", _list, "Refunds; those that are stuck come first.")
    found.add_argument("--status", choices=sorted(PUBLIC_STATUSES), help="as callers are told it")
    found.add_argument(
        "--report", choices=[one.value for one in ReportState], help="how its report to Stripe is"
    )
    found.add_argument(
        "--credit-note",
        choices=[one.value for one in CreditNoteState],
        help="how its invoice's credit note is",
    )
    found.add_argument(
        "--taken-back", action="store_true", help="successes that the processor took back"
    )
    one = found.add_mutually_exclusive_group()
    one.add_argument("--payment", metavar="ID", help="a Payment Record, or the processor's charge")
    one.add_argument("--intent", metavar="ID", help="a PaymentIntent")
    one.add_argument("--invoice", metavar="ID", help="an Invoice")
    found.add_argument(
        "--since",
        type=when,
        metavar="WHEN",
        help="made since: 2024-02-29, 2024-02-29T23:59:59Z, 36h, 7d; what is stuck is listed"
        " however old it is, unless this is given; 30d",
    )
    found.add_argument(
        "--limit",
        type=options.whole(1, LIMIT_MAX),
        default=LIMIT_DEFAULT,
        help=f"at most so many; {LIMIT_DEFAULT}",
    )


def _list(call: Call) -> Exit:
    world, asked = call.world, call.arguments
    with call.output.progress("Reading the ledger", None) as advance:
        stuck, others = _stuck_first(_candidates(world, asked, advance), asked)
    shown = [*stuck, *others][: asked.limit]
    keys = list(dict.fromkeys(map(payment_key_of, shown)))
    payments: Mapping[PaymentKey, Payment] = world.listing.payments(keys) if keys else {}
    now_ms = world.clock.now_ms()
    call.output.table(
        COLUMNS,
        [_row(refund, now_ms) for refund in shown],
        [refund_json(refund, payments.get(payment_key_of(refund))) for refund in shown],
        empty="There are no such refunds.",
    )
    if len(stuck) + len(others) > asked.limit:
        call.output.say(f"There are more than these {asked.limit}; say --limit, or --since.")
    elif _is_picked_out(asked) and not (asked.since or _is_of_one(asked)):
        begun = utc(LOOK_BACK.unix_ms(now_ms))
        call.output.say(f"Looked through what was made since {begun} UTC; older: say --since.")
    return Exit.DONE


def _candidates(world: World, asked: argparse.Namespace, advance: Advance) -> Iterator[Refund]:
    """All that may be meant, what is stuck before the rest; `advance` is told how many were read.

    No index knows reports and credit notes by their states, or what was taken back, so those are
    picked out of all that was made in the time that is looked at.
    """
    now_ms = world.clock.now_ms()
    since_ms = (asked.since or LOOK_BACK).unix_ms(now_ms)
    selection = _selection(world, asked)
    if selection is not None:
        since_ms = 0 if asked.since is None else since_ms
        some_at_a_time = walk.selected(world.listing, selection, since_ms=since_ms)
    else:
        is_open = walk.open_refunds(world.ledger, world.listing)
        advance(len(is_open))
        old_too = asked.since is None
        yield from (
            one for one in is_open if is_stuck(one) and (old_too or one.created_at_ms >= since_ms)
        )
        until_ms = now_ms + walk.AHEAD_MS
        some_at_a_time = walk.made_between(world.listing, since_ms, until_ms, asked.status)
    for some in some_at_a_time:
        advance(len(some))
        yield from some


def _is_picked_out(asked: argparse.Namespace) -> bool:
    return bool(asked.report or asked.credit_note or asked.taken_back)


def _is_of_one(asked: argparse.Namespace) -> bool:
    return bool(asked.payment or asked.intent or asked.invoice)


def _selection(world: World, asked: argparse.Namespace) -> Selection | None:
    if asked.intent:
        return OfPaymentIntent(asked.intent)
    if asked.invoice:
        return OfInvoice(asked.invoice)
    if not asked.payment:
        return None
    key = world.ledger.payment_of_record(asked.payment)
    if key is not None:
        return OfPayment(key)
    for name in world.processors:
        if world.ledger.payment(PaymentKey(name, asked.payment)) is not None:
            return OfPayment(PaymentKey(name, asked.payment))
    raise MisusedError(f"The ledger knows no payment {asked.payment}.")


def _stuck_first(
    candidates: Iterator[Refund], asked: argparse.Namespace
) -> tuple[list[Refund], list[Refund]]:
    """What is stuck (`first_of_all`) and the rest, newest first, as far as one wants to see it."""
    seen: set[str] = set()
    stuck: list[Refund] = []
    others: list[Refund] = []
    for refund in candidates:
        if refund.id in seen or not _is_meant(refund, asked):
            continue
        seen.add(refund.id)
        (stuck if is_stuck(refund) else others).append(refund)
        # The rest comes newest first, so what follows is not shown.
        if len(others) > asked.limit:
            break
    stuck.sort(key=first_of_all)
    others.sort(key=lambda one: (one.created_at_ms, one.id), reverse=True)
    return stuck, others


def _is_meant(refund: Refund, asked: argparse.Namespace) -> bool:
    return (
        asked.status in (None, refund.public_status)
        and asked.report in (None, refund.report.state)
        and asked.credit_note in (None, refund.credit_note.state)
        and not (asked.taken_back and refund.late_failure_at_ms is None)
    )


def _row(refund: Refund, now_ms: int) -> tuple[str, ...]:
    return (
        refund.id,
        standing(refund),
        money(refund.amount, refund.currency),
        goes_to(refund),
        refund.processor_refund_id or "",
        refund.report.state.value,
        utc(refund.created_at_ms),
        age(now_ms - refund.created_at_ms),
        why(refund),
    )
