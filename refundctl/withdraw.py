"""`refundctl withdraw`: take back a refund that waits for its turn, so that it is never sent."""

from typing import Any

from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.refunding.withdraw import WithdrawalRefusedError, is_withdrawn
from refundctl import options, who
from refundctl.exits import Exit, RefusedError
from refundctl.facts import goes_to, money
from refundctl.options import Call, Groups


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    withdraw = options.command(
        groups,
        "withdraw",
        _withdraw,
        "Withdraw a refund that waits for its turn: it is never sent.",
    )
    withdraw.add_argument("id", help="the refund's id: rfd_...")
    withdraw.add_argument(
        "--reason",
        type=who.reason,
        required=True,
        help="why it must not be made. Kept for ever: no customer's data",
    )
    who.declare(withdraw)
    withdraw.add_argument("--dry-run", action="store_true", help="say what it would do, and end")
    withdraw.add_argument("--yes", action="store_true", help="do not ask")


def _withdraw(call: Call) -> Exit:
    asked, output = call.arguments, call.output
    actor = who.actor_of(call)
    withdraw = call.world.withdraw(actor)
    try:
        found = withdraw.weigh(asked.id)
        if is_withdrawn(found.refund):
            told = f"{asked.id} is withdrawn already."
            output.result(told, _json(found, actor, written=False))
            return Exit.DONE
        output.say(_told(found))
        if asked.dry_run:
            output.result("Nothing was written.", _json(found, actor, written=False))
            return Exit.DONE
        if not asked.yes and not output.confirm("Write this?"):
            raise RefusedError("Nothing was written.")
        done = withdraw.carry_out(asked.id, asked.reason)
    except WithdrawalRefusedError as error:
        raise RefusedError(f"Refused: {error}") from error
    output.result(f"{asked.id} is withdrawn.", _json(done, actor, written=True))
    return Exit.DONE


def _told(found: Stored) -> str:
    """What the decision changes, in words."""
    refund, payment = found.refund, found.payment
    left = money(payment.refundable_beside(refund.amount), refund.currency)
    return (
        f"{refund.id} waits to refund {money(refund.amount, refund.currency)} of "
        f"{goes_to(refund)}. Withdrawn, it is never sent; "
        f"callers see it as canceled, and {left} may be refunded in all, under another key: this "
        "one is spent."
    )


def _json(stored: Stored, actor: str, *, written: bool) -> dict[str, Any]:
    refund = stored.refund
    return {
        "id": refund.id,
        "written": written,
        "actor": actor,
        "state": refund.state.value,
        "refundable": stored.payment.refundable,
    }
