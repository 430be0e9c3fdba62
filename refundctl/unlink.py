"""`refundctl unlink`: take back a link of a Payment Record under which no money moved."""

from typing import Any

from refund_bridge.domain.payment import Payment
from refundctl import options, who
from refundctl.deciding.unlink import LinkInUseError
from refundctl.exits import Exit, RefusedError
from refundctl.options import Call, Groups


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    unlink = options.command(
        groups, "unlink", _unlink, "Undo a wrong link under which no money moved."
    )
    unlink.add_argument("id", help="the Payment Record's id: pr_...")
    who.declare(unlink)
    unlink.add_argument("--dry-run", action="store_true", help="say what it would do, and end")
    unlink.add_argument("--yes", action="store_true", help="do not ask")


def _unlink(call: Call) -> Exit:
    asked, output = call.arguments, call.output
    actor = who.actor_of(call)
    unlink = call.world.unlink(actor)
    try:
        found = unlink.weigh(asked.id)
        charge = f"charge {found.key.charge_id} ({found.key.processor})"
        output.say(
            f"> {asked.id} is linked to {charge} no more; the next refund links it anew, by what "
            "stands in its metadata then. Nothing changes at Stripe or at the processor."
        )
        if asked.dry_run:
            output.result("Nothing was written.", _json(asked.id, found, actor, written=False))
            return Exit.DONE
        if not asked.yes and not output.confirm("Write this?"):
            raise RefusedError("Nothing was written.")
        done = unlink.carry_out(asked.id)
    except LinkInUseError as error:
        raise RefusedError(f"Refused: {error}") from error
    told = f"{asked.id} is linked to {charge} no more."
    output.result(told, _json(asked.id, done, actor, written=True))
    return Exit.DONE


def _json(record: str, payment: Payment, actor: str, *, written: bool) -> dict[str, Any]:
    return {
        "payment_record": record,
        "written": written,
        "actor": actor,
        "processor": payment.key.processor,
        "processor_payment_id": payment.key.charge_id,
    }
