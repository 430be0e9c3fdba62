"""Is there an account to deploy to, and would the stack work in it? Checked before the build.

Everything here only reads. AWS would refuse some things in the middle of a deployment, without
saying what to do about it; here we find them first, and say what to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from deployed.clients import CloudClients
from deployed.stages import Stage
from deploying.kept_ledger import name_of

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sts import STSClient

# Concurrent calls besides the workers of the two queues: two runs of settling, the sweep, and one
# for each shard of the ledger's stream; a new table has about four shards.
BACKGROUND = 7
# With less concurrency, Lambda refuses a burst of refunds over HTTP. New accounts may have only 10.
CONCURRENCY_FEW = 100
ASK_FOR_MORE = "Ask AWS for more (Service Quotas, Lambda, Concurrent executions)."
# Not a stack yet: somebody refused its first change set, so it was never executed.
NOT_YET = "REVIEW_IN_PROGRESS"
# In these states CloudFormation accepts no update of a stack.
STUCK = (
    "CREATE_FAILED",
    "DELETE_FAILED",
    "IMPORT_ROLLBACK_COMPLETE",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
)


class AccountError(RuntimeError):
    """We cannot deploy to this account; the sentence says why and what to do."""


@dataclass(frozen=True)
class Identity:
    """Who deploys, and where."""

    account: str
    arn: str


def identity(clients: CloudClients) -> Identity:
    """Who we are for AWS.

    Raises:
        AccountError: AWS does not accept the credentials, or there are none.
    """
    sts: STSClient = clients.client("sts")
    try:
        answer = sts.get_caller_identity()
    except ClientError as error:
        told = error.response["Error"]
        raise AccountError(
            f"AWS does not accept the credentials in {clients.region} ({told['Code']}). Sign in"
            " again; in a region that the account has to enable first, enable it."
        ) from error
    except BotoCoreError as error:
        # The error's sentence names the profile or the file, never a key.
        raise AccountError(
            f"No credentials for AWS in {clients.region}: {error}. Sign in (aws sso login, aws"
            " configure), or name a profile in AWS_PROFILE."
        ) from error
    return Identity(answer["Account"], answer["Arn"])


def concerns(clients: CloudClients, stage: Stage) -> Iterator[str]:
    """Sentences about problems that the stack may have in this account, but that do not stop it.

    Raises:
        AccountError: the stack would not work in this account.
    """
    for look in (_stack, _concurrency, _gateway_role):
        try:
            yield from look(clients, stage)
        except ClientError as error:
            told = error.response["Error"]
            if not told["Code"].startswith("AccessDenied"):
                raise
            yield f"Not looked at, since this identity may not: {told['Message']}"


def _stack(clients: CloudClients, stage: Stage) -> Iterator[str]:
    status = _status(clients, stage.stack_name)
    if status in STUCK:
        raise AccountError(
            f"The stack {stage.stack_name} is {status} and takes no update. Look at why, then:"
            f" aws cloudformation delete-stack --stack-name {stage.stack_name}"
        )
    if status is not None and status.endswith("_IN_PROGRESS"):
        raise AccountError(f"The stack {stage.stack_name} is {status}: another deployment is on.")
    yield from ()


def _status(clients: CloudClients, stack_name: str) -> str | None:
    """The stack's status, None if there is none."""
    cloudformation: CloudFormationClient = clients.client("cloudformation")
    try:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if stack["StackStatus"] == NOT_YET else stack["StackStatus"]


def has_kept_ledger(clients: CloudClients, stage: Stage) -> bool:
    """Whether the stage's ledger exists without a stack: that was deleted, or never completed.

    A new ledger in its place would not know what was refunded.
    """
    if _status(clients, stage.stack_name) is not None:
        return False
    dynamodb: DynamoDBClient = clients.client("dynamodb")
    try:
        dynamodb.describe_table(TableName=name_of(stage))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return False
        raise
    return True


def _concurrency(clients: CloudClients, stage: Stage) -> Iterator[str]:
    functions: LambdaClient = clients.client("lambda")
    limit = functions.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    workers = ("ReportWorkers", "RefundRequestWorkers", "WebhookWorkers")
    taken = sum(int(stage.parameters[name]) for name in workers) + BACKGROUND
    told = (
        f"The account lets {limit} functions run at once, of which {taken} may be background work"
    )
    if limit <= taken:
        # With test money that is acceptable, and a new account has no more.
        if stage.parameters["Mode"] == "live":
            raise AccountError(f"{told}: none would be left for refunds. {ASK_FOR_MORE}")
        yield f"{told}: at busy moments refunds over HTTP are answered with 5xx. {ASK_FOR_MORE}"
    elif limit < CONCURRENCY_FEW:
        yield (
            f"{told}, so that as few as {limit - taken} refunds over HTTP are served at a time,"
            f" others with 5xx. {ASK_FOR_MORE}"
        )


def _gateway_role(clients: CloudClients, stage: Stage) -> Iterator[str]:
    if stage.parameters["ManageApiGatewayAccount"] != "true":
        return
    gateway: APIGatewayClient = clients.client("apigateway")
    role = gateway.get_account().get("cloudwatchRoleArn")
    if role and stage.stack_name not in role:
        yield (
            "ManageApiGatewayAccount replaces the role by which all APIs of this account and region"
            f" write logs: {role}"
        )
