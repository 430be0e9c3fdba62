"""Does `live` run what was deployed, and do the account's limits and roles allow it?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.options import Call

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# A new AWS account has a limit of 10, which all of its functions share.
CONCURRENCY_MIN = 10
CONCURRENCY_FEW = 100


def check(call: Call) -> Iterator[Finding]:
    """Versions, concurrency, and the role by which API Gateway logs."""
    functions: LambdaClient = call.target.client("lambda")
    stack, live = call.target.stack, call.target.live
    for name in live.functions():
        yield same_version(name, live.version(name), live.behind(name))
        if state := live.snapshot_state(name):
            yield awake(name, state)
    limits = functions.get_account_settings()["AccountLimit"]
    yield concurrency(limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"])
    gateway = call.target.client("apigateway")
    role = gateway.get_account().get("cloudwatchRoleArn", "")
    yield gateway_role(role, wanted=stack.parameters["ManageApiGatewayAccount"] == "true")


def same_version(name: str, version: str, different: Sequence[str]) -> Finding:
    """Whether the alias runs the version that was uploaded last, and no other."""
    what = f"live of {name}"
    if different:
        told = f"is version {version}, not what was deployed: {', '.join(different)}"
        return fail(what, told, "make deploy, which makes a version of it.")
    return fine(what, f"is version {version}, as deployed")


def awake(name: str, state: str) -> Finding:
    """Whether a version with a snapshot can be called at once."""
    what = f"snapshot of {name}"
    if state == "Active":
        return fine(what, "is ready")
    if state == "Failed":
        return fail(what, "cannot be started", "Its log says why; then make deploy.")
    todo = "GET /health until it answers; that takes minutes. Is the daily schedule on?"
    return warn(what, f"is {state}: the next callers get 5xx until it is ready", todo)


def concurrency(whole: int, unreserved: int) -> Finding:
    """Whether the account has room for the functions."""
    what, told = "Lambda's concurrency", f"{whole} in the account, {unreserved} not reserved"
    todo = "Ask AWS for more: Service Quotas, Lambda, concurrent executions."
    if unreserved < CONCURRENCY_MIN:
        return fail(what, told, todo)
    return warn(what, told, todo) if unreserved < CONCURRENCY_FEW else fine(what, told)


def gateway_role(role: str, *, wanted: bool) -> Finding:
    """Whether API Gateway has the role by which it writes logs; `wanted`: the stack sets it."""
    what = "API Gateway's account role"
    if role:
        return fine(what, "is set")
    if wanted:
        return fail(what, "is missing", "Deploy again: ManageApiGatewayAccount is true.")
    return fine(what, "is not set, and not needed: there are no access logs")
