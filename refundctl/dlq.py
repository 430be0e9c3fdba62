"""`refundctl dlq`: list the dead letters and their reasons, and have them tried again.

Four queues. `reports`: refunds that could not be reported to Stripe. `requests`: events that asked
for a refund and were not accepted. `events`: pointers to changes of the ledger that could not be
published; they cannot be sent back, only deleted (`refundctl events republish` publishes the
changes again). `webhooks`: webhooks that an address did not accept within three days (`refundctl
webhooks replay` sends them again).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refund_bridge.adapters.sqs.doorbell import PoisonMessageError, parse_doorbell
from refund_bridge.delivering import message as webhook_message
from refund_bridge.delivering.message import parse_message
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.events.requested import letter_of
from refundctl import options
from refundctl.dead_letters import DeadLetter, DeadLetterQueue, MoveFailedError
from refundctl.exits import Exit, RefusedError
from refundctl.options import Call, Groups
from refundctl.times import age, rfc3339
from refundctl.world import World

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUEUES = {
    "reports": ("ReportDeadLetterQueueUrl", "ReportQueueUrl"),
    "requests": ("RefundRequestDeadLetterQueueUrl", "RefundRequestQueueUrl"),
    "events": ("EventDeadLetterQueueUrl", None),
    "webhooks": ("WebhookDeadLetterQueueUrl", None),
}
# The reasons told where the message itself has none.
_REASONS = {
    "events": "changes of the ledger that could not be published",
    "webhooks": "it was received too often",
}
LISTED_DEFAULT = 100
LISTED_MAX = 10_000
RATE_DEFAULT = 10
RATE_MAX = 500  # SQS's own limit
COLUMNS = ("queue", "message", "age", "refund", "refund is", "report is", "reason")


def declare(groups: Groups) -> None:
    """Add the group to the command line."""
    dlq = options.group(groups, "dlq", "The dead-letter queues.")
    listed = options.command(dlq, "list", _list, "What lies there, why, and since when.")
    listed.add_argument("--queue", choices=tuple(QUEUES), help="only this one")
    listed.add_argument(
        "--limit",
        type=options.whole(1, LISTED_MAX),
        default=LISTED_DEFAULT,
        help=f"at most so many of each queue; {LISTED_DEFAULT}",
    )
    replay = options.command(dlq, "replay", _replay, "Let what lies there be tried again.")
    replay.add_argument("--queue", choices=("reports", "requests"), help="only this one")
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--id", action="append", metavar="ID", help="a refund's or a message's id; may be repeated"
    )
    which.add_argument("--all", action="store_true", help="everything")
    replay.add_argument(
        "--rate",
        type=options.whole(1, RATE_MAX),
        default=RATE_DEFAULT,
        help=f"at most so many a second; {RATE_DEFAULT}",
    )
    replay.add_argument("--dry-run", action="store_true", help="say what it would do, and end")
    discard = options.command(
        dlq, "discard", _discard, "Delete what lies there, when it was published again."
    )
    discard.add_argument(
        "--queue",
        choices=("events", "webhooks"),
        required=True,
        help="one of those whose messages are not sent back",
    )
    discard.add_argument("--yes", action="store_true", help="do not ask")


# --- list -----------------------------------------------------------------------------------------


def _list(call: Call) -> Exit:
    world, asked = call.world, call.arguments
    queues = _queues(call, asked.queue, tuple(QUEUES))
    depths = {queue.name: queue.depth() for queue in queues}
    with call.output.progress("Looking into the queues", sum(depths.values())) as advance:
        letters: list[DeadLetter] = []
        for queue in queues:
            found = queue.peek(asked.limit) if depths[queue.name] else []
            advance(len(found))
            letters += found
    refunds = _refunds(world, letters)
    now_ms = world.clock.now_ms()
    call.output.table(
        COLUMNS,
        [_row(world, letter, refunds, now_ms) for letter in letters],
        [_json(world, letter, refunds, now_ms) for letter in letters],
        empty="The dead-letter queues are empty.",
    )
    for name, depth in depths.items():
        shown = sum(letter.queue == name for letter in letters)
        if depth > shown:
            call.output.say(f"{name}: about {depth} messages, of which {shown} are shown.")
    return Exit.DONE


def _queues(call: Call, only: str | None, names: Sequence[str]) -> list[DeadLetterQueue]:
    sqs: SQSClient = call.target.client("sqs")
    outputs = call.target.stack.outputs
    return [
        DeadLetterQueue(
            sqs=sqs,
            name=name,
            url=outputs[QUEUES[name][0]],
            destination_url=outputs[to] if (to := QUEUES[name][1]) else None,
        )
        for name in names
        if only in (None, name) and QUEUES[name][0] in outputs
    ]


def refund_id_of_letter(letter: DeadLetter, stage: str) -> str | None:
    """The id of the refund that a dead letter is about, if the letter shows it."""
    if letter.queue == "reports":
        try:
            return parse_doorbell(letter.body)
        except PoisonMessageError:
            return None
    if letter.queue == "webhooks":
        try:
            return parse_message(letter.body).refund_id
        except webhook_message.PoisonMessageError:
            return None
    if letter.queue == "requests":
        named = letter.attributes.get("refund_id")
        return named or letter_of(letter.body, receive=1, stage=stage).refund_id
    return None


def _refunds(world: World, letters: Sequence[DeadLetter]) -> Mapping[str, Refund]:
    named = (refund_id_of_letter(letter, world.stage) for letter in letters)
    ids = [refund_id for refund_id in dict.fromkeys(named) if refund_id]
    return world.listing.refunds(ids) if ids else {}


def _reason(letter: DeadLetter, refund: Refund | None) -> str:
    if "reason_code" in letter.attributes:
        told = letter.attributes
        fields = f" ({told['fields']})" if told.get("fields") else ""
        return f"{told['reason_code']}: {told.get('reason', '')}{fields}"
    if "ERROR_CODE" in letter.attributes:  # what EventBridge writes beside what it gave up
        told = letter.attributes
        return f"{told['ERROR_CODE']}: {told.get('ERROR_MESSAGE', '')}"
    if letter.queue in _REASONS:
        return letter.attributes.get("reason", _REASONS[letter.queue])
    if refund is None:
        return "it names no refund that the ledger has"
    if refund.report.state in (ReportState.FAILED, ReportState.DUE):
        return refund.report.last_error or ""
    return "nothing is owed any more: replaying it is harmless"


def _row(
    world: World, letter: DeadLetter, refunds: Mapping[str, Refund], now_ms: int
) -> tuple[str, ...]:
    refund_id = refund_id_of_letter(letter, world.stage)
    refund = refunds.get(refund_id or "")
    return (
        letter.queue,
        letter.message_id,
        age(now_ms - letter.sent_at_ms),
        refund_id or "",
        refund.state.value if refund else "",
        refund.report.state.value if refund else "",
        _reason(letter, refund),
    )


def _json(
    world: World, letter: DeadLetter, refunds: Mapping[str, Refund], now_ms: int
) -> dict[str, Any]:
    refund_id = refund_id_of_letter(letter, world.stage)
    refund = refunds.get(refund_id or "")
    return {
        "queue": letter.queue,
        "message_id": letter.message_id,
        "sent_at": rfc3339(letter.sent_at_ms),
        "age_seconds": max(0, now_ms - letter.sent_at_ms) // 1000,
        "receives": letter.receives,
        "refund_id": refund_id,
        "refund_status": None if refund is None else refund.public_status,
        "report_status": None if refund is None else refund.report.state.value,
        "reason": _reason(letter, refund),
        "attributes": dict(letter.attributes),
    }


# --- replay ---------------------------------------------------------------------------------------


def _replay(call: Call) -> Exit:
    asked = call.arguments
    queues = _queues(call, asked.queue, ("reports", "requests"))
    if asked.id and asked.dry_run:
        return _would_replay(call, _named(call, queues, asked.id), set(asked.id))
    if asked.id:
        return _replay_some(call, queues, set(asked.id))
    depths = {queue.name: queue.depth() for queue in queues}
    if asked.dry_run:
        told = ", ".join(f"{depth} of {name}" for name, depth in depths.items())
        call.output.result(f"Would replay about {told}.", {"dry_run": True, "messages": depths})
        return Exit.DONE
    moved = {queue.name: _move_all(call, queue) for queue in queues if depths[queue.name]}
    told = ", ".join(f"{count} of {name}" for name, count in moved.items()) or "nothing"
    call.output.result(f"Replayed {told}.", {"dry_run": False, "messages": moved})
    return Exit.DONE


def _move_all(call: Call, queue: DeadLetterQueue) -> int:
    rate = call.arguments.rate
    with call.output.progress(f"Replaying {queue.name}", queue.depth()) as advance:
        tell = _Steps(advance)
        if not queue.can_move_by_itself():
            return len(queue.move_some(lambda _: True, per_second=rate, tell=tell))
        try:
            return queue.move_all(per_second=rate, tell=tell)
        except MoveFailedError as error:
            raise RefusedError(f"{queue.name}: AWS gave the move up: {error}") from error
        except TimeoutError as error:
            raise RefusedError(str(error)) from error


class _Steps:
    """Turns running totals into the steps that a progress bar needs."""

    def __init__(self, advance: Any) -> None:
        self._advance = advance
        self._told = 0

    def __call__(self, moved: int, _of: int) -> None:
        self._advance(moved - self._told)
        self._told = moved


def _replay_some(call: Call, queues: Sequence[DeadLetterQueue], ids: set[str]) -> Exit:
    world, moved, missing = call.world, list[DeadLetter](), set(ids)

    def wanted(letter: DeadLetter) -> bool:
        return bool(ids & _names(letter, world.stage))

    for queue in queues:
        with call.output.progress(f"Looking through {queue.name}", queue.depth()) as advance:
            moved += queue.move_some(wanted, per_second=call.arguments.rate, tell=_Steps(advance))
    for letter in moved:
        missing -= _names(letter, world.stage)
    rung = [refund_id for refund_id in sorted(missing) if _rings_again(world, refund_id)]
    missing -= set(rung)
    told = [letter.message_id for letter in moved]
    call.output.result(
        f"Replayed {len(moved)} messages"
        + (f"; woke the reporter for {', '.join(rung)}" if rung else "")
        + ".",
        {"dry_run": False, "messages": told, "rung": rung, "not_found": sorted(missing)},
    )
    if missing:
        call.output.say(f"Not among the dead letters: {', '.join(sorted(missing))}.")
        return Exit.REFUSED
    return Exit.DONE


def _rings_again(world: World, refund_id: str) -> bool:
    """Wake the reporter for a report that is owed or failed, and whose dead letter is gone (SQS
    deletes it after 14 days)."""
    refund = world.ledger.refund(refund_id)
    if refund is None or refund.report.state not in (ReportState.DUE, ReportState.FAILED):
        return False
    world.doorbell.ring(refund_id)
    return True


def _named(call: Call, queues: Sequence[DeadLetterQueue], ids: Sequence[str]) -> list[DeadLetter]:
    wanted, stage = set(ids), call.world.stage
    letters = [letter for queue in queues for letter in queue.peek(LISTED_MAX)]
    return [letter for letter in letters if wanted & _names(letter, stage)]


def _would_replay(call: Call, letters: Sequence[DeadLetter], ids: set[str]) -> Exit:
    found = set[str]().union(*(_names(letter, call.world.stage) for letter in letters))
    told = [letter.message_id for letter in letters]
    call.output.result(
        f"Would replay {len(told)} messages.",
        {"dry_run": True, "messages": told, "rung": [], "not_found": sorted(ids - found)},
    )
    return Exit.DONE


def _names(letter: DeadLetter, stage: str) -> set[str]:
    """The ids by which a person may name a message."""
    refund_id = refund_id_of_letter(letter, stage)
    return {letter.message_id, *([refund_id] if refund_id else [])}


# --- discard --------------------------------------------------------------------------------------


def _discard(call: Call) -> Exit:
    """Delete dead letters; only pointers are lost: the events can be sent again from the ledger."""
    (queue,) = _queues(call, call.arguments.queue, tuple(QUEUES))
    depth = queue.depth()
    if depth and not call.arguments.yes:
        call.output.say(f"About {depth} messages of {queue.name} are deleted for good.")
        if not call.output.confirm("Have their events been published, or sent, again?"):
            raise RefusedError("Nothing was deleted.")
    if depth:
        queue.empty()
    told = f"About {depth} messages of {queue.name} are deleted."
    call.output.result(told if depth else "There are none.", {"deleted": depth})
    return Exit.DONE
