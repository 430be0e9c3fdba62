"""Does anything lie among the dead letters, does anybody listen to the queues, is an alarm on?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.dlq import QUEUES
from refundctl.options import Call

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

TODO = {
    "reports": "refundctl dlq list --queue reports; when its cause is mended: refundctl dlq replay",
    "requests": "refundctl dlq list --queue requests; then replay them, or tell who asked",
    "events": "refundctl events republish, from before the first of them; then purge the queue",
}
# What is worked on at any moment, and more than that is a queue that grows.
WAITING_MANY = 1000


def check(call: Call) -> Iterator[Finding]:
    """Queues, those who listen to them, schedules and alarms."""
    sqs: SQSClient = call.target.client("sqs")
    outputs = call.target.stack.outputs
    for name, (dead, alive) in QUEUES.items():
        yield dead_letters(name, _depth(sqs, outputs[dead]))
        if alive is not None:
            yield waiting(name, _depth(sqs, outputs[alive]))
    yield from listeners(_listeners(call))
    yield schedules(_schedules(call))
    yield alarms(*_alarms(call))


def _depth(sqs: "SQSClient", url: str) -> int:
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(asked["Attributes"]["ApproximateNumberOfMessages"])


def dead_letters(name: str, depth: int) -> Finding:
    """Whether somebody must look at what could not be done."""
    what = f"dead letters: {name}"
    return fail(what, f"there are {depth}", TODO[name]) if depth else fine(what, "none")


def waiting(name: str, depth: int) -> Finding:
    """Whether a queue is worked off."""
    what = f"queue: {name}"
    if depth > WAITING_MANY:
        return warn(what, f"{depth} wait", "Is Stripe slow? Are the workers throttled?")
    return fine(what, f"{depth} wait")


def _listeners(call: Call) -> dict[str, str]:
    """The state of every event source of the functions, by function."""
    functions: LambdaClient = call.target.client("lambda")
    found: dict[str, str] = {}
    for output in ("ReportRefund", "RefundRequested", "PublishEvents"):
        name = call.target.stack.outputs[f"{output}FunctionName"]
        sources = functions.list_event_source_mappings(FunctionName=f"{name}:live")
        states = [one["State"] for one in sources["EventSourceMappings"]]
        found[name] = ", ".join(states) or "missing"
    return found


def listeners(states: dict[str, str]) -> Iterator[Finding]:
    """Whether each queue's function, and the stream's, is called."""
    for name, state in states.items():
        what = f"source of {name}"
        if state == "Enabled":
            yield fine(what, "is enabled")
        else:
            yield fail(what, f"is {state}", "Enable the event source mapping, or deploy again.")


def _schedules(call: Call) -> dict[str, str]:
    """The states of the schedules that call this stack's functions, by function."""
    scheduler = call.target.client("scheduler")
    outputs = call.target.stack.outputs
    wanted = {outputs[f"{one}FunctionName"]: "missing" for one in ("SettleRefunds", "SweepCharges")}
    for page in scheduler.get_paginator("list_schedules").paginate():
        for one in page["Schedules"]:
            for name in wanted:
                if f":function:{name}:" in one["Target"]["Arn"]:
                    wanted[name] = one["State"]
    return wanted


def schedules(states: dict[str, str]) -> Finding:
    """Whether settling and the sweep run by themselves."""
    off = [f"{name}: {state}" for name, state in states.items() if state != "ENABLED"]
    if off:
        return fail("schedules", "; ".join(off), "Enable the schedule, or deploy again.")
    return fine("schedules", f"{len(states)} are enabled")


def _alarms(call: Call) -> tuple[int, list[str]]:
    """How many alarms the stack has, and which of them are on, with their descriptions."""
    cloudwatch = call.target.client("cloudwatch")
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=call.target.stack_name
    )
    found = [alarm for page in pages for alarm in page["MetricAlarms"]]
    on = [alarm for alarm in found if alarm["StateValue"] == "ALARM"]
    return len(found), [f"{a['AlarmName']}: {a.get('AlarmDescription', '')}" for a in on]


def alarms(count: int, on: list[str]) -> Finding:
    """Whether an alarm is on."""
    if on:
        return fail("alarms", "; ".join(on), "Each names its page of docs/runbook.md.")
    if not count:
        return warn("alarms", "the stack has none", "Nobody is told of trouble; deploy again.")
    return fine("alarms", f"none of {count} is on")
