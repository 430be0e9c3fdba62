"""What is kept is encrypted: by AWS's own keys, or all of it by one key of the customer's."""

from typing import Any

import pytest

from tests.template.expansion import Expanded, expand

KEY = "arn:aws:kms:ap-southeast-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALL_ON = {"ManageApiGatewayAccount": "true", "AlarmEmail": "night@example.com"}


def keys_of(template: Expanded) -> dict[str, Any]:
    """The key of everything that keeps data, ``None`` where AWS's own is used."""
    keys: dict[str, Any] = {}
    for name, queue in template.of_type("AWS::SQS::Queue"):
        keys[name] = queue.get("KmsMasterKeyId")
    for name, group in template.of_type("AWS::Logs::LogGroup"):
        keys[name] = group.get("KmsKeyId")
    for name, topic in template.of_type("AWS::SNS::Topic"):
        keys[name] = topic.get("KmsMasterKeyId")
    for name, table in template.of_type("AWS::DynamoDB::Table"):
        keys[name] = table.get("SSESpecification", {}).get("KMSMasterKeyId")
    return keys


def test_without_a_key_nothing_names_one(template: Expanded) -> None:
    keys = keys_of(template)
    assert set(keys.values()) == {None}
    assert "Ledger" in keys
    assert "SSESpecification" not in template.properties("Ledger")
    for _, queue in template.of_type("AWS::SQS::Queue"):
        assert queue["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("stage", ["sandbox", "production"])
def test_a_customer_key_encrypts_all_that_is_kept(stage: str) -> None:
    with_key = expand(stage, KmsKeyArn=KEY, **ALL_ON)
    keys = keys_of(with_key)
    assert {name for name, key in keys.items() if key != KEY} == set()
    assert {"Ledger", "ReportQueue", "RefundApiLogs", "AccessLogs", "AlarmTopic"} <= set(keys)
    assert with_key.properties("Ledger")["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": KEY,
    }
    for _, queue in with_key.of_type("AWS::SQS::Queue"):
        # A queue takes one of the two.
        assert "SqsManagedSseEnabled" not in queue


def test_nothing_is_encrypted_by_a_key_that_no_service_can_be_allowed_to_use() -> None:
    for template in (expand("production", **ALL_ON), expand("production", KmsKeyArn=KEY, **ALL_ON)):
        assert "alias/aws/" not in str(template.resources)
