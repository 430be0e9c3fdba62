"""A cloud in memory with one stack in it, as far as the commands ask for it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from deployed.clients import CloudClients
from refundctl.target import Target

PREFIX = "/refund-bridge/test"
EPOCH = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@dataclass
class Cloud:
    """What it holds, and what goes wrong."""

    values: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    has_stack: bool = True
    refuses: bool = False
    is_down: bool = False
    kms_keys: list[str] = field(default_factory=list)

    def find(self, stage: str | None, stack_file: Path | None) -> Target:
        return TargetInMemory(self)

    # --- the calls of boto3's clients ------------------------------------------------------------

    def describe_stacks(self, **asked: str) -> dict[str, Any]:
        self._ask()
        if not self.has_stack:
            name = asked["StackName"]
            raise _error("ValidationError", f"Stack with id {name} does not exist")
        outputs = [{"OutputKey": "SecretsPrefix", "OutputValue": PREFIX}]
        parameters = {"SecretsCacheSeconds": "60", "KmsKeyArn": "the-key"}
        return {
            "Stacks": [
                {
                    "Outputs": outputs,
                    "Parameters": [
                        {"ParameterKey": name, "ParameterValue": value}
                        for name, value in parameters.items()
                    ],
                }
            ]
        }

    def get_paginator(self, operation: str) -> "Cloud":
        assert operation == "get_parameters_by_path"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self._ask()
        assert asked == {"Path": f"{PREFIX}/api-keys", "WithDecryption": True}
        found = [name for name in self.values if name.startswith(f"{asked['Path']}/")]
        for start in range(0, len(found) + 1, 10):
            yield {
                "Parameters": [
                    {
                        "Name": name,
                        "Value": self.values[name][0],
                        "LastModifiedDate": self.values[name][1],
                    }
                    for name in found[start : start + 10]
                ]
            }

    def put_parameter(self, **asked: Any) -> None:
        self._ask()
        assert (asked["Type"], asked["Overwrite"]) == ("SecureString", False)
        assert asked["Name"] not in self.values
        self.kms_keys.append(asked["KeyId"])
        made_at = EPOCH + timedelta(seconds=len(self.kms_keys))
        self.values[asked["Name"]] = (asked["Value"], made_at)

    def delete_parameters(self, **asked: list[str]) -> None:
        self._ask()
        assert 1 <= len(asked["Names"]) <= 10
        for name in asked["Names"]:
            self.values.pop(name, None)

    def _ask(self) -> None:
        if self.is_down:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        if self.refuses:
            raise _error("AccessDeniedException", "not authorized")


class TargetInMemory(Target):
    """The stack in that cloud."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__("test", "refund-bridge-test", CloudClients("ap-southeast-1"))
        self._cloud = cloud

    def client(self, service: str) -> Any:
        assert service in ("ssm", "cloudformation")
        return self._cloud


def _error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Asked")
