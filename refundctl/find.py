"""`refundctl find`: refunds by an id of any kind, by an idempotency key, or by words.

Every kind of id and the idempotency key are looked up at once. Words are looked for in the reasons,
metadata, keys and credit notes of refunds made in the given time, up to a maximum number of
refunds. No index has credit notes, so they are found as words are.
"""

from collections.abc import Mapping, Sequence

from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import Refund
from refundctl import options, walk
from refundctl.exits import Exit
from refundctl.facts import refund_json
from refundctl.listing import COLUMNS, LIMIT_DEFAULT, LIMIT_MAX, LOOK_BACK, row
from refundctl.names import named
from refundctl.options import Call, Groups
from refundctl.times import shown_with_zone, when

# At most this many of the newest refunds are searched for words.
READ_MAX = 20_000


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    found = options.command(groups, "find", _find, "Refunds by any id, key, or words in them.")
    found.add_argument(
        "words",
        nargs="+",
        metavar="WORDS",
        help="an id of any kind, an idempotency key, or words of a reason or of metadata",
    )
    found.add_argument(
        "--since",
        type=when,
        default=LOOK_BACK,
        metavar="WHEN",
        help="look for words in what was made since then: 2024-02-29, 36h, 7d; 30d",
    )
    found.add_argument(
        "--limit",
        type=options.whole(1, LIMIT_MAX),
        default=LIMIT_DEFAULT,
        help=f"at most so many; {LIMIT_DEFAULT}",
    )


def _find(call: Call) -> Exit:
    world, asked, output = call.world, call.arguments, call.output
    text = " ".join(asked.words).strip()
    found = dict(named(world, text))
    now_ms = world.clock.now_ms()
    since_ms, read = asked.since.unix_ms(now_ms), 0
    oldest_ms = since_ms
    with output.progress("Looking through refunds", READ_MAX) as advance:
        for some in walk.made_between(world.listing, since_ms, now_ms + walk.AHEAD_MS):
            for refund in some:
                where = said_in(refund, text.casefold().split())
                if where and refund.id not in found:
                    found[refund.id] = (refund, where)
            read += len(some)
            advance(len(some))
            if read >= READ_MAX:
                oldest_ms = some[-1].created_at_ms
                break
    _show(call, list(found.values()), now_ms)
    output.say(f"Looked for words in {read} refunds made since {shown_with_zone(oldest_ms)}.")
    return Exit.DONE


def _show(call: Call, found: Sequence[tuple[Refund, str]], now_ms: int) -> None:
    world, limit = call.world, call.arguments.limit
    shown = found[:limit]
    keys = list(dict.fromkeys(payment_key_of(refund) for refund, _ in shown))
    payments: Mapping[PaymentKey, Payment] = world.listing.payments(keys) if keys else {}
    call.output.table(
        (*COLUMNS, "found by"),
        [(*row(refund, now_ms), where) for refund, where in shown],
        [
            refund_json(refund, payments.get(payment_key_of(refund))) | {"found_by": where}
            for refund, where in shown
        ],
        empty="No refund or payment has this id or key, and no reason or metadata says this.",
    )
    if len(found) > limit:
        call.output.say(f"There are {len(found)}; say --limit.")


def said_in(refund: Refund, words: Sequence[str]) -> str:
    """Where all the words (in lower case) stand in a refund; empty if nowhere."""
    places = {
        "reason": refund.request.reason or "",
        "idempotency key": refund.idempotency_key or "",
        "credit note": refund.credit_note.id or "",
        **{f"metadata {name}": f"{name} {text}" for name, text in refund.request.metadata.items()},
    }
    texts = {name: text.casefold() for name, text in places.items()}
    if not words or not all(any(word in text for text in texts.values()) for word in words):
        return ""
    return ", ".join(name for name, text in texts.items() if any(word in text for word in words))
