"""`refundctl forget`: take a caller's words about a customer out of a refund, for good."""

from typing import Any

from refund_bridge.domain.refund import Refund
from refundctl import options, who
from refundctl.deciding.forget import NeededStillError, words_of
from refundctl.exits import Exit, RefusedError
from refundctl.options import Call, Groups


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    forget = options.command(
        groups, "forget", _forget, "Take what was written about a customer out of a refund."
    )
    forget.add_argument("id", help="the refund's id: rfd_...")
    who.declare(forget)
    forget.add_argument("--dry-run", action="store_true", help="say what it would do, and end")
    forget.add_argument("--yes", action="store_true", help="do not ask")


def _forget(call: Call) -> Exit:
    asked, output = call.arguments, call.output
    actor = who.actor_of(call)
    forget = call.world.forget(actor)
    try:
        found = forget.weigh(asked.id).refund
        words = words_of(found)
        if not words:
            output.result(
                f"{asked.id} has nothing to forget: no caller's words are left in it.",
                _json(found, (), actor, written=False),
            )
            return Exit.DONE
        output.say(
            f"> Of {asked.id} {_told(words)} will be gone for good; their digests stay, to tell "
            "a repeated request from another one. Amounts, ids, times and history stay. Nothing "
            "changes at Stripe, at the processor, in events that were sent, or in backups."
        )
        if asked.dry_run:
            output.result("Nothing was written.", _json(found, words, actor, written=False))
            return Exit.DONE
        if not asked.yes and not output.confirm("Write this?"):
            raise RefusedError("Nothing was written.")
        done = forget.carry_out(asked.id).refund
    except NeededStillError as error:
        raise RefusedError(f"Refused: {error}") from error
    output.result(
        f"{_told(words).capitalize()} of {asked.id} {'is' if len(words) == 1 else 'are'} gone.",
        _json(done, words, actor, written=True),
    )
    return Exit.DONE


def _told(words: tuple[str, ...]) -> str:
    return " and ".join(words)


def _json(refund: Refund, words: tuple[str, ...], actor: str, *, written: bool) -> dict[str, Any]:
    return {"id": refund.id, "written": written, "actor": actor, "forgotten": list(words)}
