"""`refundctl notes`: credit notes that Stripe would not issue."""

from refund_bridge.domain.errors import RefundNotFoundError
from refund_bridge.domain.state_machine import CreditNoteState
from refundctl import options, who
from refundctl.deciding.replay_credit_note import NothingToReplayError
from refundctl.exits import Exit
from refundctl.options import Call, Groups


def declare(groups: Groups) -> None:
    """Add the group to the command line."""
    notes = options.group(groups, "notes", "The credit notes of refunded invoices.")
    replay = options.command(notes, "replay", _replay, "Let failed credit notes be tried again.")
    replay.add_argument("ids", nargs="+", metavar="ID", help="a refund's id: rfd_...")
    who.declare(replay)
    replay.add_argument("--dry-run", action="store_true", help="say what it would do, and end")


def _replay(call: Call) -> Exit:
    asked, output = call.arguments, call.output
    replay = call.world.replay_credit_note(who.actor_of(call))
    done: list[str] = []
    due: list[str] = []
    refused: dict[str, str] = {}
    ids = list(dict.fromkeys(asked.ids))
    with output.progress("Replaying credit notes", len(ids)) as advance:
        for refund_id in ids:
            try:
                found = replay.weigh(refund_id)
                if found.credit_note.state is CreditNoteState.DUE:
                    due.append(refund_id)
                else:
                    if not asked.dry_run:
                        replay.carry_out(refund_id)
                    done.append(refund_id)
            except (RefundNotFoundError, NothingToReplayError) as error:
                refused[refund_id] = str(error)
            advance(1)
    for sentence in refused.values():
        output.say(sentence)
    if done and call.target.stack.parameters.get("CreditNotes") == "off":
        output.say("CreditNotes is off in this stack: they wait until it is on.")
    would = "Would make" if asked.dry_run else "Made"
    told = f"{would} {len(done)} credit notes due again" + (
        f"; {len(due)} were due already." if due else "."
    )
    value = {"dry_run": asked.dry_run, "replayed": done, "due": due, "refused": refused}
    output.result(told, value)
    return Exit.REFUSED if refused else Exit.DONE
