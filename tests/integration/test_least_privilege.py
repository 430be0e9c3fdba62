"""Each function's role does what `tests/template/permissions.toml` says, and nothing else.

Roles are enforced here as on AWS, and all other integration tests run with them, so each function
can do its whole job with its role. Here we assume each role and try every call that any function
may make, on every resource that it could name, and also calls that no function may make. The calls
are in `role_calls.py`.
"""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from deployed import paths, secrets
from local.stack import RunningStack
from tests.integration.role_calls import CALLS, TEMPTING, Caller, put_as

PERMISSIONS: Mapping[str, Mapping[str, list[str]]] = tomllib.loads(
    (paths.ROOT / "tests" / "template" / "permissions.toml").read_text()
)
ACCOUNT = "000000000000"
REFUSALS = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
)
FUNCTIONS = sorted(PERMISSIONS)
ON_THE_TABLE = (
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Scan",
    "UpdateItem",
)
INDEXES = ("by_invoice", "by_month", "by_payment", "by_payment_intent", "by_status", "due")
QUEUE_ACTIONS = (
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "ReceiveMessage",
    "SendMessage",
)
STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
SECRETS = secrets.NAMES


def role_of(stack: RunningStack, function: str) -> Caller:
    """A caller with the role of a function."""
    name = stack.outputs[f"{function}Name"]
    functions, sts = stack.client("lambda"), stack.client("sts")
    role = functions.get_function_configuration(FunctionName=name)["Role"]
    key = sts.assume_role(RoleArn=role, RoleSessionName="least-privilege")["Credentials"]
    session = boto3.Session(
        region_name=stack.stage.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"],
    )
    clients: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in clients:
            make: Any = session.client
            clients[service] = make(service, endpoint_url=stack.emulator.url)
        return clients[service]

    return Caller(client, stack)


def everything(stack: RunningStack) -> Iterator[tuple[str, str, str]]:
    """Every action of any function, with every resource for it: action, name, and ARN."""
    place = f"{stack.stage.region}:{ACCOUNT}"
    table = stack.client("dynamodb").describe_table(TableName=stack.outputs["LedgerTable"])["Table"]
    for verb in ON_THE_TABLE:
        yield f"dynamodb:{verb}", "Ledger", table["TableArn"]
    yield "dynamodb:Query", "Ledger", table["TableArn"]
    for index in INDEXES:
        yield "dynamodb:Query", f"Ledger.Arn/index/{index}", f"{table['TableArn']}/index/{index}"
    for verb in STREAM_ACTIONS:
        yield f"dynamodb:{verb}", "Ledger.StreamArn", table["LatestStreamArn"]
    for queue, url in stack.outputs.items():
        if queue.endswith("QueueUrl"):
            for verb in QUEUE_ACTIONS:
                arn = f"arn:aws:sqs:{place}:{url.rpartition('/')[2]}"
                yield f"sqs:{verb}", queue.removesuffix("Url"), arn
    for group, name in stack.outputs.items():
        if group.endswith("LogGroup"):
            for verb in ("CreateLogStream", "PutLogEvents"):
                logs = f"{group.removesuffix('LogGroup')}Logs"
                yield f"logs:{verb}", logs, f"arn:aws:logs:{place}:log-group:{name}"
    yield "events:PutEvents", "EventBus", stack.outputs["EventBusArn"]
    yield "events:PutEvents", "default", f"arn:aws:events:{place}:event-bus/default"
    prefix = f"arn:aws:ssm:{place}:parameter{stack.stage.secrets_prefix}"
    for secret in SECRETS:
        yield "ssm:GetParameters", f"secret:{secret}", f"{prefix}/{secret}"
        yield "ssm:GetParameters", f"other:{secret}", f"{prefix.replace('local', 'live')}/{secret}"
    yield "ssm:GetParameters", "secret:api-keys/x", f"{prefix}/api-keys/x"
    yield "ssm:GetParametersByPath", "secret:api-keys", f"{prefix}/api-keys"
    yield "ssm:GetParametersByPath", "secret:webhooks", f"{prefix}/webhooks"
    yield "ssm:GetParametersByPath", "secret:", prefix


def is_refused(action: str, call: Any) -> bool:
    """Whether IAM refuses the call because of this action; any other error means it is allowed."""
    try:
        call()
    except ClientError as error:
        told = error.response["Error"]
        if told["Code"] not in REFUSALS:
            return False
        assert f"not authorized to perform: {action}" in told["Message"], told
        return True
    return False


def test_whatever_the_table_names_is_tried(stack: RunningStack) -> None:
    tried = {(action, name) for action, name, _ in everything(stack)}
    for function, rights in PERMISSIONS.items():
        for action, names in rights.items():
            missing = {(action, name) for name in names if not name.endswith("/*")} - tried
            assert not missing, function
    assert {action for action, _ in tried} <= CALLS.keys()
    assert not CALLS.keys() & TEMPTING.keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_is_granted_to_it_and_to_nothing_else(
    stack: RunningStack, function: str
) -> None:
    caller, rights = role_of(stack, function), PERMISSIONS[function]
    wrong = []
    for action, name, arn in everything(stack):
        refused = is_refused(action, lambda a=action, r=arn: CALLS[a](caller, r))
        if refused is (name in rights.get(action, ())):
            wrong.append(f"{action} on {name} is {'refused' if refused else 'allowed'}")
    assert wrong == []


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("source", ["demo.orders", "nobody"])
def test_no_function_puts_events_as_one_of_those_who_may_ask(
    stack: RunningStack, function: str, source: str
) -> None:
    caller, bus = role_of(stack, function), stack.outputs["EventBusArn"]
    assert is_refused("events:PutEvents", lambda: put_as(caller, bus, source))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_nothing_that_no_function_has_business_with(
    stack: RunningStack, function: str
) -> None:
    caller = role_of(stack, function)
    allowed = [
        action
        for action, call in TEMPTING.items()
        if not is_refused(action, lambda c=call: c(caller))
    ]
    assert allowed == []


def test_these_calls_are_refused_for_want_of_a_right_and_not_for_another_reason(
    stack: RunningStack,
) -> None:
    """With all rights none is refused, so it was the role that refused them."""
    everybody = Caller(stack.client, stack)
    refused = [
        action
        for action, _, arn in everything(stack)
        if is_refused(action, lambda a=action, r=arn: CALLS[a](everybody, r))
    ]
    harmless = {
        k: v for k, v in TEMPTING.items() if not k.startswith(("iam:Create", "logs:Create"))
    }
    refused += [a for a, call in harmless.items() if is_refused(a, lambda c=call: c(everybody))]
    assert refused == []
