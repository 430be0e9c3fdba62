"""`refundctl sync`: have the processor asked about one refund now, instead of at the next check.

The deployed interface asks the processor, as for any caller who says `sync=true`. The answer may
change the refund's state. It asks about one refund at most once in ten seconds.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import FINAL, State
from refund_bridge.refunding.recent_looks import LOOK_AGAIN_AFTER_MS
from refundctl import options
from refundctl.exits import Exit, RefusedError, UnreachableError
from refundctl.facts import money, refund_json_whole, report_text, standing, why
from refundctl.options import Call, Groups
from refundctl.output import Sheet
from refundctl.refunding.asking import told_by
from refundctl.refunding.service import ServiceAnswer
from refundctl.show import only_one, pairs, ways_on
from refundctl.times import shown_with_zone


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    sync = options.command(
        groups, "sync", _sync, "Have the processor asked about a refund now, and show what it is."
    )
    sync.add_argument("id", help="rfd_..., or another id or key that leads to one refund")
    sync.add_argument("--key-file", type=Path, metavar="FILE", help="your own key to the service")


def _sync(call: Call) -> Exit:
    world, asked = call.world, call.arguments
    before = world.ledger.refund(asked.id) or only_one(call, asked.id, "sync")
    with call.service() as service:
        _require_found(service.sync(before.id))
    after = world.ledger.refund(before.id) or before
    payment = world.ledger.payment(payment_key_of(after))
    call.output.say(_asked(before, after, world.clock.now_ms()))
    call.output.page(
        chain(_parts(before, after), ways_on(call, after)), refund_json_whole(after, payment)
    )
    return Exit.DONE


def _require_found(answer: ServiceAnswer) -> None:
    """Go on only if the answer is the refund.

    Raises:
        RefusedError: the service does not know the refund, or does not accept the request.
        UnreachableError: the service does not accept the key, or its answer tells nothing.
    """
    if answer.body.get("object") == "refund":
        return
    told = told_by(answer)
    if answer.status in (401, 403):
        raise UnreachableError(f"The service refuses the key: {told.message}")
    if answer.status in (400, 404):
        raise RefusedError(f"Refused: {told.code}: {told.message}")
    raise UnreachableError(f"The service could not check it: {told.code}: {told.message}")


def _asked(before: Refund, after: Refund, now_ms: int) -> str:
    """Whether the processor was asked, and if not, why."""
    if after.looked_at_ms not in (None, before.looked_at_ms):
        return f"{before.processor} was asked."
    if before.state in FINAL or before.state is State.ABORTED:
        return "Nothing was asked: it has ended."
    if before.state is State.REQUESTED:
        return "Nothing was asked: it was not sent yet."
    looked_ms = before.looked_at_ms
    if looked_ms is not None and abs(now_ms - looked_ms) < LOOK_AGAIN_AFTER_MS:
        seconds = LOOK_AGAIN_AFTER_MS // 1000
        return f"Nothing was asked: it was asked about less than {seconds} s ago."
    return "Nothing was asked: it is being sent, or another check of it is running."


def _parts(before: Refund, after: Refund) -> Iterator[str | Sheet]:
    was = f", was {standing(before)}" if standing(before) != standing(after) else ""
    facts = {
        "state": f"{standing(after)}{was}",
        "amount": money(after.amount, after.currency),
        "processor's refund": after.processor_refund_id or "",
        "report": report_text(after),
        "why": why(after),
    }
    if after.next_check_ms is not None:
        facts["next look"] = shown_with_zone(after.next_check_ms)
    yield pairs(f"Refund {after.id}", facts)
