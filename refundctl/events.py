"""`refundctl events`: publish again what happened to refunds.

For subscribers that lost events, and for changes that lie among the dead letters of the ledger's
stream. This command marks refunds, and settling publishes their events from the ledger. Each event
keeps its id, so a subscriber that has it already can tell.
"""

from refund_bridge.adapters.providers.pace import Pace
from refund_bridge.domain.refund import Refund
from refund_bridge.events.announcements import has_news
from refundctl import options, walk
from refundctl.exits import Exit
from refundctl.options import Call, Groups
from refundctl.times import When, when

RATE = 25
# A refund is rarely older than this when something still happens to it.
LOOK_BACK_MS = 30 * 86_400_000


def declare(groups: Groups) -> None:
    """Add the group to the command line."""
    events = options.group(groups, "events", "The events that tell the world of refunds.")
    again = options.command(events, "republish", _republish, "Publish what happened, again.")
    again.add_argument(
        "--since", type=when, required=True, metavar="WHEN", help="what happened from then on"
    )
    again.add_argument(
        "--made-since",
        type=when,
        metavar="WHEN",
        help="to refunds made from then on; 30 days before --since",
    )
    again.add_argument("--dry-run", action="store_true", help="count them, and end")


def _republish(call: Call) -> Exit:
    world, asked, output = call.world, call.arguments, call.output
    now_ms = world.clock.now_ms()
    since_ms = asked.since.unix_ms(now_ms)
    made_since: When = asked.made_since or When(at_ms=max(0, since_ms - LOOK_BACK_MS))
    lines: dict[str, int] = {}
    with output.progress("Reading the ledger", None) as advance:
        until_ms = now_ms + walk.AHEAD_MS
        for some in walk.made_between(world.listing, made_since.unix_ms(now_ms), until_ms):
            lines |= {refund.id: seq for refund in some if (seq := _first(refund, since_ms))}
            advance(len(some))
    if asked.dry_run or not lines:
        told = f"Would publish again what happened to {len(lines)} refunds."
        output.result(told, {"dry_run": True, "refunds": len(lines)})
        return Exit.DONE
    pace = Pace(RATE)
    with output.progress("Marking them", len(lines)) as advance:
        for refund_id, seq in lines.items():
            pace.wait()
            world.backlog.owe(refund_id, from_seq=seq, now_ms=world.clock.now_ms())
            advance(1)
    told = f"What happened to {len(lines)} refunds is published again by the next runs of settling."
    output.result(told, {"dry_run": False, "refunds": len(lines)})
    return Exit.DONE


def _first(refund: Refund, since_ms: int) -> int | None:
    """The first line of history from then on that is published; `None` if there is none."""
    for entry in refund.history:
        if entry.at_ms >= since_ms:
            return entry.seq if has_news(refund, after_seq=entry.seq - 1) else None
    return None
