"""`refundctl handle`: mark as handled that the processor took a refund back."""

from typing import Any

from refund_bridge.refunding.record_outcome import Stored
from refundctl import options, who
from refundctl.deciding.handle import NothingToHandleError
from refundctl.exits import Exit, RefusedError
from refundctl.facts import goes_to, money
from refundctl.options import Call, Groups


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    handle = options.command(
        groups, "handle", _handle, "Mark as handled that the processor took a refund back."
    )
    handle.add_argument("id", help="the refund's id: rfd_...")
    handle.add_argument(
        "--note",
        type=who.reason,
        required=True,
        help="what was done about it. Kept for ever: no customer's data",
    )
    who.declare(handle)
    handle.add_argument("--dry-run", action="store_true", help="say what it would do, and end")


def _handle(call: Call) -> Exit:
    asked, output = call.arguments, call.output
    actor = who.actor_of(call)
    handle = call.world.handle_taken_back(actor)
    try:
        found = handle.weigh(asked.id)
        if not found.refund.awaits_handling:
            output.result(f"{asked.id} is handled already.", _json(found, actor, written=False))
            return Exit.DONE
        output.say(_told(found))
        if asked.dry_run:
            output.result("Nothing was written.", _json(found, actor, written=False))
            return Exit.DONE
        done = handle.carry_out(asked.id, asked.note)
    except NothingToHandleError as error:
        raise RefusedError(f"Refused: {error}") from error
    output.result(f"{asked.id} is handled.", _json(done, actor, written=True))
    return Exit.DONE


def _told(found: Stored) -> str:
    """What the decision changes, in words."""
    refund = found.refund
    return (
        f"{refund.processor} took {money(refund.amount, refund.currency)} of {goes_to(refund)} "
        "back. Handled, it is no longer shown first. Callers still see it as failed, and the "
        "amount stays taken on the payment."
    )


def _json(stored: Stored, actor: str, *, written: bool) -> dict[str, Any]:
    refund = stored.refund
    return {
        "id": refund.id,
        "written": written,
        "actor": actor,
        "status": refund.public_status,
        "handled": not refund.awaits_handling,
    }
