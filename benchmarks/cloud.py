"""The embedded cloud with what the functions need of AWS, made from the template's declarations."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.function_environment import function_environment
from benchmarks.gateway import CALLER, CALLER_PARAMETER
from benchmarks.providers import ProviderProcess
from deployed import paths, secrets
from deployed.clients import CloudClients
from deployed.stages import load_stage
from deploying.template_yaml import read_template
from local.emulator import REGION, running_emulator
from local.simulators.hitpay import DEFAULT_KEY as HITPAY_KEY
from local.simulators.stripe import DEFAULT_TEST_KEY as STRIPE_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

LEDGER = "ledger"
TABLE_PARTS = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")


@dataclass(frozen=True)
class Cloud:
    """A running embedded cloud.

    Attributes:
        environment: variables for every function: the cloud's address, and keys that it accepts.
        references: the resources' names, for references in the template.
    """

    clients: CloudClients
    environment: Mapping[str, str]
    references: Mapping[str, str]

    def of(self, function: str, providers: ProviderProcess, **more: str) -> dict[str, str]:
        """The environment of one of the template's functions, with these parameters."""
        urls = {
            "HitPayUrl": providers.control.hitpay_url,
            "StripeUrl": providers.control.stripe_url,
        }
        declared = function_environment(function, {**self.references, **urls, **more})
        return {**declared, **self.environment}

    def of_plain(self, providers: ProviderProcess) -> dict[str, str]:
        """The environment of the plainly written functions."""
        return {
            **providers.environment,
            **self.environment,
            "REFUNDS_TABLE": "plain-refunds",
            "IDEMPOTENCY_TABLE": "plain-idempotency",
            "REPORT_QUEUE_URL": self.references["ReportQueue"],
            "SECRETS_PREFIX": load_stage("local").secrets_prefix,
            "POWERTOOLS_SERVICE_NAME": "plain",
        }


@contextmanager
def running_cloud(directory: Path) -> Iterator[Cloud]:
    """Start it, and make tables, queues and secrets."""
    with running_emulator(directory) as emulator:
        clients = emulator.clients()
        environment = {
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            **emulator.root.environment,
        }
        _make_tables(clients.client("dynamodb"))
        _put_secrets(clients.client("ssm"))
        yield Cloud(clients, environment, {"Ledger": LEDGER, **_make_queues(clients.client("sqs"))})


def _make_tables(dynamodb: "DynamoDBClient") -> None:
    declared = read_template(paths.TEMPLATE)["Resources"]["Ledger"]["Properties"]
    parts: dict[str, Any] = {part: declared[part] for part in TABLE_PARTS}
    dynamodb.create_table(TableName=LEDGER, **parts)
    for name in ("plain-refunds", "plain-idempotency"):
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )


def _make_queues(sqs: "SQSClient") -> dict[str, str]:
    """One queue for each in the template, by its logical name; without dead-letter queues."""
    resources = read_template(paths.TEMPLATE)["Resources"]
    names = [name for name, one in resources.items() if one["Type"] == "AWS::SQS::Queue"]
    return {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in names}


def _put_secrets(ssm: "SSMClient") -> None:
    store = secrets.SecretStore(ssm, load_stage("local").secrets_prefix)
    store.put(secrets.STRIPE_SECRET_KEY, STRIPE_KEY)
    store.put(secrets.HITPAY_API_KEY, HITPAY_KEY)
    store.put(CALLER_PARAMETER, CALLER)
