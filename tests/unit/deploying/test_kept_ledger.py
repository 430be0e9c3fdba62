"""A ledger without a stack becomes the first resource of a new one; no other table does."""

import json
from typing import Any

import pytest

from deployed import paths
from deployed.stages import load_stage
from deploying import kept_ledger
from deploying.kept_ledger import KeptLedgerError, name_of, take_back
from deploying.template_yaml import read_template
from tests.unit.local.cloud import FakeClients

STAGE = load_stage("sandbox")
DECLARED = read_template(paths.TEMPLATE)["Resources"]["Ledger"]["Properties"]
PROTECTED: dict[str, Any] = {
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "DeletionProtectionEnabled": True,
}


class Cloud:
    """DynamoDB with one table, and CloudFormation that imports it."""

    def __init__(
        self, change: str = "CREATE_COMPLETE", stack: str = "IMPORT_COMPLETE", **table: Any
    ):
        self.table = {name: DECLARED[name] for name in kept_ledger.FOR_GOOD} | table
        # AWS says more of an index than was declared, and in an order of its own.
        self.table["GlobalSecondaryIndexes"] = [
            index | {"IndexStatus": "ACTIVE"}
            for index in reversed(self.table["GlobalSecondaryIndexes"])
        ]
        self.change, self.stack = change, stack
        self.updates: list[dict[str, Any]] = []
        self.change_sets: list[dict[str, Any]] = []
        self.executed: list[str] = []

    def clients(self) -> FakeClients:
        return FakeClients(
            dynamodb={
                "describe_table": lambda **_: {"Table": self.table},
                "update_table": lambda **asked: self.updates.append(asked),
                "get_waiter": lambda _: self,
                "update_continuous_backups": lambda **asked: self.updates.append(asked),
            },
            cloudformation={
                "create_change_set": lambda **asked: self.change_sets.append(asked),
                "describe_change_set": lambda **_: {"Status": self.change, "StatusReason": "why"},
                "execute_change_set": lambda **asked: self.executed.append(asked["ChangeSetName"]),
                "describe_stacks": lambda **_: {
                    "Stacks": [{"StackStatus": self.stack, "StackStatusReason": "why"}]
                },
            },
        )

    def wait(self, **_: str) -> None:
        """The table is active again."""


def test_the_stack_is_made_of_the_table_alone_as_the_template_declares_it() -> None:
    cloud = Cloud(**PROTECTED)
    take_back(cloud.clients(), STAGE)
    (asked,) = cloud.change_sets
    assert (asked["StackName"], asked["ChangeSetType"]) == ("refund-bridge-sandbox", "IMPORT")
    (wanted,) = asked["ResourcesToImport"]
    assert wanted["ResourceIdentifier"] == {"TableName": "refund-bridge-sandbox-ledger"}
    template = json.loads(asked["TemplateBody"])
    assert list(template["Resources"]) == ["Ledger"]
    ledger = template["Resources"]["Ledger"]
    assert ledger["DeletionPolicy"] == "Retain"
    assert ledger["Properties"]["TableName"] == name_of(STAGE)
    # And nothing in it points to what is not in it
    assert "Ref" not in asked["TemplateBody"]
    assert "Fn::" not in asked["TemplateBody"]
    assert cloud.executed == ["take-the-ledger-back"]


def test_what_a_restored_table_lacks_is_switched_on_first() -> None:
    cloud = Cloud()
    take_back(cloud.clients(), STAGE)
    stream, protection, recovery = cloud.updates
    assert stream["StreamSpecification"] == PROTECTED["StreamSpecification"]
    assert protection["DeletionProtectionEnabled"] is True
    assert recovery["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    kept = Cloud(**PROTECTED)
    take_back(kept.clients(), STAGE)
    assert len(kept.updates) == 1


@pytest.mark.parametrize("part", kept_ledger.FOR_GOOD)
def test_another_table_is_not_taken(part: str) -> None:
    cloud = Cloud(**PROTECTED, **{part: DECLARED[part][1:]})
    with pytest.raises(KeptLedgerError, match=part):
        take_back(cloud.clients(), STAGE)
    assert (cloud.updates, cloud.change_sets) == ([], [])


@pytest.mark.parametrize("trouble", [{"change": "FAILED"}, {"stack": "IMPORT_ROLLBACK_COMPLETE"}])
def test_what_cloudformation_says_is_told(trouble: dict[str, str]) -> None:
    with pytest.raises(KeptLedgerError, match="why"):
        take_back(Cloud(**trouble, **PROTECTED).clients(), STAGE)
