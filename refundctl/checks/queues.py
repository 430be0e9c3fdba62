"""Are there dead letters? Does a function read each queue? Is an alarm on?"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from deployed.command_lines import Spelt, spelt
from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.depths import depths_of
from refundctl.options import Call

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

TODO: Mapping[str, tuple[str, tuple[Spelt, ...]]] = {
    "reports": (
        "See why; when the cause is mended, replay them.",
        (
            spelt("dlq", "list", "--queue", "reports"),
            spelt("dlq", "replay", "--queue", "reports", "--all", "--dry-run"),
        ),
    ),
    "requests": (
        "See why; tell who asked, or replay them once the cause is mended.",
        (
            spelt("dlq", "list", "--queue", "requests"),
            spelt("dlq", "replay", "--queue", "requests", "--all", "--dry-run"),
        ),
    ),
    "events": (
        "Publish all events again since the oldest of them (the queue keeps 14 days); then delete"
        " them.",
        (
            spelt("dlq", "list", "--queue", "events"),
            spelt("events", "republish", "--since", "14d", "--dry-run"),
            spelt("dlq", "discard", "--queue", "events"),
        ),
    ),
    "webhooks": (
        "See why, and of which address; when it takes events again, send them again (webhooks"
        " replay, with --failed); then delete these.",
        (
            spelt("dlq", "list", "--queue", "webhooks"),
            spelt("webhooks", "list"),
            spelt("dlq", "discard", "--queue", "webhooks"),
        ),
    ),
}
# With more waiting messages than this, the queue grows faster than it is worked off.
WAITING_MANY = 1000


def check(call: Call) -> Iterator[Finding]:
    """Check queues, the functions that read them, schedules and alarms."""
    sqs: SQSClient = call.target.client("sqs")
    for queue in depths_of(sqs, call.target.stack.outputs):
        yield dead_letters(queue.name, queue.dead)
        if queue.waiting is not None:
            yield waiting(queue.name, queue.waiting)
    if call.target.stack.parameters["Paused"] == "true":
        yield paused()
    else:
        live = call.target.live
        yield from listeners({source.function: source.state for source in live.sources()})
        yield schedules(live.schedules())
    yield alarms(*_alarms(call))


def dead_letters(name: str, depth: int) -> Finding:
    """Whether messages failed for good, so that a person must look at them."""
    what = f"dead letters: {name}"
    if not depth:
        return fine(what, "none")
    todo, commands = TODO[name]
    return fail(what, f"there are {depth}", todo, *commands)


def waiting(name: str, depth: int) -> Finding:
    """Whether a queue is worked off."""
    what = f"queue: {name}"
    if depth > WAITING_MANY:
        return warn(what, f"{depth} wait", "Is Stripe slow? Are the workers throttled?")
    return fine(what, f"{depth} wait")


def paused() -> Finding:
    """The stack is paused on purpose: nothing that moves money runs."""
    todo = "Once the ledger is reconciled: Paused=false, and deploy (docs/deploying.md)."
    return warn("paused", "nothing that moves money runs, and nothing is settled", todo)


def listeners(states: dict[str, str]) -> Iterator[Finding]:
    """Whether each queue's function, and the stream's, is called."""
    for name, state in states.items():
        what = f"source of {name}"
        if state == "Enabled":
            yield fine(what, "is enabled")
        else:
            yield fail(what, f"is {state}", "Enable the event source mapping, or deploy again.")


def schedules(states: dict[str, str]) -> Finding:
    """Whether the schedules that start settling and the sweep are enabled."""
    off = [f"{name}: {state}" for name, state in states.items() if state != "ENABLED"]
    if off:
        return fail("schedules", "; ".join(off), "Enable the schedule, or deploy again.")
    return fine("schedules", f"{len(states)} are enabled")


def _alarms(call: Call) -> tuple[int, list[str]]:
    """How many alarms the stack has, and which of them are on, with their descriptions."""
    names = call.target.live.alarms()
    if not names:
        return 0, []
    cloudwatch = call.target.client("cloudwatch")
    found = cloudwatch.describe_alarms(AlarmNames=names, MaxRecords=100)["MetricAlarms"]
    on = [alarm for alarm in found if alarm["StateValue"] == "ALARM"]
    return len(found), [f"{a['AlarmName']}: {a.get('AlarmDescription', '')}" for a in on]


def alarms(count: int, on: list[str]) -> Finding:
    """Whether an alarm is on."""
    if on:
        return fail("alarms", "; ".join(on), "Each names its page of docs/runbook.md.")
    if not count:
        return warn("alarms", "the stack has none", "Nobody is told of trouble; deploy again.")
    return fine("alarms", f"none of {count} is on")
