"""Take a ledger without a stack into a new stack: a ledger that was kept when its stack was
deleted, or one that was restored from a backup.

CloudFormation imports the table as the new stack's only resource. The deployment that follows
updates that stack and adds everything else. DynamoDB does not restore a table's stream, its
point-in-time recovery and its deletion protection, so these are switched on first.
"""

import json
from typing import TYPE_CHECKING, Any

from deployed import paths
from deployed.clients import CloudClients
from deployed.polling import wait_for
from deployed.stages import Stage
from deploying.template_yaml import read_template

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient

LEDGER = "Ledger"
CHANGE_SET = "take-the-ledger-back"
AT_MOST_SECONDS = 600.0
EVERY_SECONDS = 2.0
# Properties of a table that we cannot change; the import would fail on a difference, or hide it.
FOR_GOOD = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")


class KeptLedgerError(RuntimeError):
    """The table was not taken into a stack; the sentence says why."""


def name_of(stage: Stage) -> str:
    """The name of the stage's ledger table."""
    return f"{stage.stack_name}-ledger"


def take_back(clients: CloudClients, stage: Stage) -> None:
    """Make a stack of the table alone.

    If that is interrupted, there may be a stack without the table; delete it.

    Raises:
        KeptLedgerError: the table is no ledger of this template, or CloudFormation refuses it.
    """
    declared = _declared(stage)
    _as_declared(clients.client("dynamodb"), declared["Properties"])
    cloudformation: CloudFormationClient = clients.client("cloudformation")
    cloudformation.create_change_set(
        StackName=stage.stack_name,
        ChangeSetName=CHANGE_SET,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": {LEDGER: declared}}),
        ResourcesToImport=[
            {
                "ResourceType": declared["Type"],
                "LogicalResourceId": LEDGER,
                "ResourceIdentifier": {"TableName": name_of(stage)},
            }
        ],
    )

    def made() -> str | None:
        asked = cloudformation.describe_change_set(
            StackName=stage.stack_name, ChangeSetName=CHANGE_SET
        )
        if asked["Status"] == "FAILED":
            raise KeptLedgerError(f"{name_of(stage)}: {asked.get('StatusReason')}")
        return "made" if asked["Status"] == "CREATE_COMPLETE" else None

    wait_for(made, "the import's change set", at_most=AT_MOST_SECONDS, every=EVERY_SECONDS)
    cloudformation.execute_change_set(StackName=stage.stack_name, ChangeSetName=CHANGE_SET)

    def imported() -> str | None:
        (stack,) = cloudformation.describe_stacks(StackName=stage.stack_name)["Stacks"]
        status = stack["StackStatus"]
        if status.endswith(("FAILED", "ROLLBACK_COMPLETE")):
            raise KeptLedgerError(f"{name_of(stage)}: {status}: {stack.get('StackStatusReason')}")
        return "imported" if status == "IMPORT_COMPLETE" else None

    wait_for(imported, "the import", at_most=AT_MOST_SECONDS, every=EVERY_SECONDS)


def is_empty(clients: CloudClients, stage: Stage) -> bool:
    """Whether the stage's ledger has no items: then nothing is lost without it."""
    dynamodb: DynamoDBClient = clients.client("dynamodb")
    return dynamodb.scan(TableName=name_of(stage), ConsistentRead=True, Limit=1)["Count"] == 0


def _declared(stage: Stage) -> dict[str, Any]:
    """The ledger as the template declares it, without references to other parts of the template."""
    resource: dict[str, Any] = read_template(paths.TEMPLATE)["Resources"][LEDGER]
    properties = {k: v for k, v in resource["Properties"].items() if k != "SSESpecification"}
    return resource | {"Properties": properties | {"TableName": name_of(stage)}}


def _as_declared(dynamodb: "DynamoDBClient", declared: dict[str, Any]) -> None:
    """Switch on what is missing, and check that the properties we cannot change are as declared."""
    name = declared["TableName"]
    table: Any = dynamodb.describe_table(TableName=name)["Table"]
    for part in FOR_GOOD:
        if _comparable(table.get(part)) != _comparable(declared[part]):
            raise KeptLedgerError(f"{name} is no ledger of this template: its {part} differ")
    if not table.get("StreamSpecification", {}).get("StreamEnabled"):
        view = declared["StreamSpecification"]["StreamViewType"]
        dynamodb.update_table(
            TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": view}
        )
        dynamodb.get_waiter("table_exists").wait(TableName=name)
    if not table.get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=True)
        dynamodb.get_waiter("table_exists").wait(TableName=name)
    dynamodb.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


def _comparable(part: Any) -> Any:
    """Keys, attributes or indexes in a fixed order, without what AWS adds to them."""
    known = ("AttributeName", "AttributeType", "KeyType", "IndexName", "KeySchema", "Projection")
    found = [{name: one[name] for name in known if name in one} for one in part or ()]
    return sorted(found, key=lambda one: str(one.get("IndexName") or one.get("AttributeName")))
