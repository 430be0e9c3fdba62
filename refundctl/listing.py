"""`refundctl list`: refunds, those that are stuck first."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import PUBLIC_STATUSES, Refund
from refund_bridge.domain.state_machine import CreditNoteState, ReportState
from refund_bridge.ports.listing import OfPayment, Selection
from refundctl import options, walk
from refundctl.amounts import AmountError, minor_units
from refundctl.exits import Exit, MisusedError
from refundctl.facts import first_of_all, goes_to, is_stuck, money, refund_json, standing, why
from refundctl.names import payments_named
from refundctl.options import Call, Groups
from refundctl.output import Advance
from refundctl.times import When, age, shown, shown_with_zone, when
from refundctl.world import World

LIMIT_DEFAULT = 50
LIMIT_MAX = 10_000
LOOK_BACK = When(ago_ms=30 * 86_400_000)
COLUMNS = ("id", "state", "amount", "payment", "processor's refund", "report", "made", "age", "why")


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    found = options.command(groups, "list", _list, "Refunds; those that are stuck come first.")
    found.add_argument(
        "--status",
        type=_statuses,
        default=(),
        metavar="STATUS[,STATUS]",
        help=f"as callers are told it: {', '.join(sorted(PUBLIC_STATUSES))}",
    )
    found.add_argument("--amount", metavar="DECIMAL", help="exactly so much of --currency: 25.00")
    found.add_argument("--currency", type=str.lower, help="sgd")
    found.add_argument("--processor", help="hitpay")
    found.add_argument("--reason", help="exactly this one")
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


def _statuses(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(text.split(",")))
    if set(found) <= PUBLIC_STATUSES:
        return found
    raise argparse.ArgumentTypeError(f"{text!r}: choose from {', '.join(sorted(PUBLIC_STATUSES))}")


def _list(call: Call) -> Exit:
    world, asked = call.world, call.arguments
    asked.minor = _minor(asked)
    with call.output.progress("Reading the ledger", None) as advance:
        stuck, others = _stuck_first(_candidates(world, asked, advance), asked)
    shown = [*stuck, *others][: asked.limit]
    keys = list(dict.fromkeys(map(payment_key_of, shown)))
    payments: Mapping[PaymentKey, Payment] = world.listing.payments(keys) if keys else {}
    now_ms = world.clock.now_ms()
    call.output.table(
        COLUMNS,
        [row(refund, now_ms) for refund in shown],
        [refund_json(refund, payments.get(payment_key_of(refund))) for refund in shown],
        empty="There are no such refunds.",
    )
    if len(stuck) + len(others) > asked.limit:
        call.output.say(f"There are more than these {asked.limit}; say --limit, or --since.")
    elif _is_picked_out(asked) and not (asked.since or _is_of_one(asked)):
        begun = shown_with_zone(LOOK_BACK.unix_ms(now_ms))
        call.output.say(f"Looked through what was made since {begun}; older: say --since.")
    return Exit.DONE


def _minor(asked: argparse.Namespace) -> int | None:
    """The amount in minor units, if one is asked for."""
    if asked.amount is None:
        return None
    if asked.currency is None:
        raise MisusedError("Say --currency beside --amount.")
    try:
        return minor_units(asked.amount, asked.currency)
    except AmountError as error:
        raise MisusedError(str(error)) from error


def _candidates(world: World, asked: argparse.Namespace, advance: Advance) -> Iterator[Refund]:
    """All refunds that may fit the options, stuck ones first; `advance` is told how many were read.

    No index has the states of reports and credit notes, nor refunds that were taken back and are
    handled. So all refunds made in the given time are read, and the fitting ones are picked out.
    """
    now_ms = world.clock.now_ms()
    since_ms = (asked.since or LOOK_BACK).unix_ms(now_ms)
    some_at_a_time: Iterable[list[Refund]]
    selections = _selections(world, asked)
    if selections is not None:
        since_ms = 0 if asked.since is None else since_ms
        some_at_a_time = chain.from_iterable(
            walk.selected(world.listing, one, since_ms=since_ms) for one in selections
        )
    else:
        is_open = walk.open_refunds(world.ledger, world.listing)
        advance(len(is_open))
        old_too = asked.since is None
        yield from (
            one for one in is_open if is_stuck(one) and (old_too or one.created_at_ms >= since_ms)
        )
        until_ms = now_ms + walk.AHEAD_MS
        some_at_a_time = walk.made_between(
            world.listing, since_ms, until_ms, asked.status[0] if len(asked.status) == 1 else None
        )
    for some in some_at_a_time:
        advance(len(some))
        yield from some


def _is_picked_out(asked: argparse.Namespace) -> bool:
    several = len(asked.status) > 1
    exact = (asked.minor, asked.currency, asked.processor, asked.reason) != (None,) * 4
    return bool(asked.report or asked.credit_note or asked.taken_back or several or exact)


def _is_of_one(asked: argparse.Namespace) -> bool:
    return bool(asked.payment or asked.intent or asked.invoice)


def _selections(world: World, asked: argparse.Namespace) -> Sequence[Selection] | None:
    """The payments that the options name, with all of their refunds; `None`: no such option."""
    text = asked.payment or asked.intent or asked.invoice
    if not text:
        return None
    keys = payments_named(world, text)
    if asked.payment and not keys:
        raise MisusedError(f"The ledger knows no payment {text}.")
    return [OfPayment(key) for key in keys]


def _stuck_first(
    candidates: Iterator[Refund], asked: argparse.Namespace
) -> tuple[list[Refund], list[Refund]]:
    """The stuck refunds, by `first_of_all`, and the others, newest first, up to the limit."""
    seen: set[str] = set()
    stuck: list[Refund] = []
    others: list[Refund] = []
    for refund in candidates:
        if refund.id in seen or not _is_meant(refund, asked):
            continue
        seen.add(refund.id)
        (stuck if is_stuck(refund) else others).append(refund)
        # The others come newest first, so those after these are not shown.
        if len(others) > asked.limit:
            break
    stuck.sort(key=first_of_all)
    others.sort(key=lambda one: (one.created_at_ms, one.id), reverse=True)
    return stuck, others


def _is_meant(refund: Refund, asked: argparse.Namespace) -> bool:
    return (
        (not asked.status or refund.public_status in asked.status)
        and asked.minor in (None, refund.amount)
        and asked.currency in (None, refund.currency)
        and asked.processor in (None, refund.processor)
        and asked.reason in (None, refund.request.reason)
        and asked.report in (None, refund.report.state)
        and asked.credit_note in (None, refund.credit_note.state)
        and not (asked.taken_back and refund.late_failure_at_ms is None)
    )


def row(refund: Refund, now_ms: int) -> tuple[str, ...]:
    """The cells of a refund in a table with ``COLUMNS``."""
    return (
        refund.id,
        standing(refund),
        money(refund.amount, refund.currency),
        goes_to(refund),
        refund.processor_refund_id or "",
        refund.report.state.value,
        shown(refund.created_at_ms),
        age(now_ms - refund.created_at_ms),
        why(refund),
    )
