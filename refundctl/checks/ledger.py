"""Is the ledger protected? Does a refund in it wait too long, or for a person?"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from deployed.command_lines import spelt
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import CreditNoteState, ReportState, State
from refundctl import walk
from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.facts import NOT_FINAL
from refundctl.options import Call
from refundctl.target import LOCAL
from refundctl.times import age

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OLD_MS = 15 * 60_000
# No index has reports and credit notes that were given up: only the newest refunds are searched.
RECENT_DAYS = 30
RECENT_MAX = 2_000
# At most this many ids of each kind are named.
TOLD = 3


def check(call: Call) -> Iterator[Finding]:
    """The table, its protection, and the refunds that wait."""
    dynamodb: DynamoDBClient = call.target.client("dynamodb")
    table = call.target.stack.outputs["LedgerTable"]
    described = dynamodb.describe_table(TableName=table)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=table)
    is_local = call.target.stage == LOCAL
    yield status(described)
    yield protection(described.get("DeletionProtectionEnabled", False), is_local=is_local)
    yield recovery(_is_recoverable(backups), is_local=is_local)
    world = call.world
    now_ms = world.clock.now_ms()
    is_open, newest = walk.open_refunds(world.ledger, world.listing), _newest(call, now_ms)
    yield taken_back([*is_open, *newest])
    yield from waiting(is_open, now_ms)
    yield from given_up(newest, f"of the {len(newest)} newest of {RECENT_DAYS} days")


def _newest(call: Call, now_ms: int) -> list[Refund]:
    since_ms, until_ms = now_ms - RECENT_DAYS * 86_400_000, now_ms + walk.AHEAD_MS
    batches = walk.made_between(call.world.listing, since_ms, until_ms)
    some = list(islice(batches, RECENT_MAX // walk.PLACES_PER_QUERY))
    return [refund for batch in some for refund in batch]


def _is_recoverable(answer: Any) -> bool:
    described = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return bool(described.get("PointInTimeRecoveryStatus") == "ENABLED")


def status(described: Any) -> Finding:
    """Whether the table and all its indexes work."""
    parts = {"table": described["TableStatus"]}
    for index in described.get("GlobalSecondaryIndexes", ()):
        parts[f"index {index['IndexName']}"] = index.get("IndexStatus", "ACTIVE")
    off = [f"{name} is {state}" for name, state in parts.items() if state != "ACTIVE"]
    if off:
        return fail("ledger", "; ".join(off), "Wait until DynamoDB is done; see its console.")
    return fine("ledger", f"table and {len(parts) - 1} indexes are active")


def protection(is_on: bool, *, is_local: bool) -> Finding:
    """Whether the table can be deleted by mistake."""
    if is_on:
        return fine("deletion protection", "is on")
    return _shield("deletion protection", is_local=is_local)


def recovery(is_on: bool, *, is_local: bool) -> Finding:
    """Whether the table can be restored to a point in time."""
    if is_on:
        return fine("point-in-time recovery", "is on")
    return _shield("point-in-time recovery", is_local=is_local)


def _shield(what: str, *, is_local: bool) -> Finding:
    if is_local:
        return warn(what, "is off; the local cloud does not have it", "On AWS it must be on.")
    return fail(
        what,
        "is off",
        "Deploy again: if the ledger were lost, a repeated request would refund twice.",
    )


def waiting(refunds: Sequence[Refund], now_ms: int) -> Iterator[Finding]:
    """Reviews, and the oldest refund that is not final."""
    reviews = [refund for refund in refunds if refund.state is State.REVIEW]
    if reviews:
        told = ", ".join(refund.id for refund in reviews[:TOLD])
        found = f"{len(reviews)} wait for a person: {told}"
        yield fail("reviews", found, "Look at the evidence, and decide.", spelt("review"))
    else:
        yield fine("reviews", "none")
    is_open = [one for one in refunds if one.state in NOT_FINAL and one.state is not State.REVIEW]
    if not is_open:
        yield fine("oldest refund that is not final", "there is none")
        return
    oldest = min(is_open, key=lambda one: one.created_at_ms)
    waited_ms = now_ms - oldest.created_at_ms
    told = f"{oldest.id} is {oldest.state.value} since {age(waited_ms)}; {len(is_open)} in all"
    if waited_ms > OLD_MS:
        todo = "See what it waits for."
        yield warn("oldest refund that is not final", told, todo, spelt("show", oldest.id))
    else:
        yield fine("oldest refund that is not final", told)


def taken_back(refunds: Sequence[Refund]) -> Finding:
    """Which of these succeeded, were taken back by the processor, and are not handled yet."""
    ids = list(dict.fromkeys(one.id for one in refunds if one.awaits_handling))
    if not ids:
        return fine("taken back", "none that waits to be handled")
    found = f"the processor took {len(ids)} back after success: {', '.join(ids[:TOLD])}"
    todo = "Pay the customer in another way, if they are owed it; then mark it as handled."
    return fail("taken back", found, todo, *(spelt("show", one) for one in ids[:TOLD]))


def given_up(refunds: Sequence[Refund], of_which: str) -> Iterator[Finding]:
    """Reports that Stripe did not accept, and credit notes that it did not issue."""
    reports = [one.id for one in refunds if one.report.state is ReportState.FAILED]
    if reports:
        yield fail(
            "reports given up",
            f"{len(reports)} {of_which}: {', '.join(reports[:TOLD])}",
            "See why; when the cause is mended, replay them.",
            spelt("list", "--report", "failed"),
            spelt("dlq", "replay", *chain(*(("--id", one) for one in reports[:TOLD])), "--dry-run"),
        )
    notes = [one.id for one in refunds if one.credit_note.state is CreditNoteState.FAILED]
    if notes:
        yield warn(
            "credit notes given up",
            f"{len(notes)} {of_which}: {', '.join(notes[:TOLD])}",
            "See why; when the cause is mended, replay them.",
            spelt("list", "--credit-note", "failed"),
            spelt("notes", "replay", *notes[:TOLD], "--dry-run"),
        )
