"""`refundctl record`: a person accepts that a Payment Record shows more refunded than moved."""

from typing import Any

from refundctl import options, who
from refundctl.deciding.accept_excess import Excess, NothingToAcceptError
from refundctl.exits import Exit, RefusedError
from refundctl.facts import money
from refundctl.options import Call, Groups
from refundctl.report import declare_decision, sums_json, sums_text


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    record = options.command(
        groups, "record", _record, "Accept what Stripe shows as refunded though nothing moved."
    )
    record.add_argument("id", help="the Payment Record's id: pr_...")
    record.add_argument(
        "--accept-excess",
        action="store_true",
        required=True,
        help="what its sum shows beyond what moved is known, and cannot be undone at Stripe",
    )
    declare_decision(record)


def _record(call: Call) -> Exit:
    world, asked, output = call.world, call.arguments, call.output
    actor = who.actor_of(call)
    accept = world.accept_excess(actor)
    try:
        agreed = accept.weigh(asked.id, world.deadline())
        amount = money(agreed.amount, agreed.sums.payment.currency)
        for line in sums_text(agreed.sums):
            output.say(line)
        output.say(
            f"> accepted: {amount} of what Stripe shows stands for no refund. Nothing changes at "
            f"Stripe or {agreed.sums.payment.key.processor}, and the alarm for it ends."
        )
        if asked.dry_run:
            output.result("Nothing was written.", _json(agreed, actor, written=False))
            return Exit.DONE
        if not asked.yes and not output.confirm("Write this?"):
            raise RefusedError("Nothing was written.")
        done = accept.carry_out(asked.id, asked.reason, agreed, world.deadline())
    except NothingToAcceptError as error:
        raise RefusedError(f"Refused: {error}") from error
    output.result(f"{asked.id}: {amount} is accepted.", _json(done, actor, written=True))
    return Exit.DONE


def _json(excess: Excess, actor: str, *, written: bool) -> dict[str, Any]:
    return sums_json(excess.sums) | {
        "written": written,
        "actor": actor,
        "accepted": excess.amount,
    }
