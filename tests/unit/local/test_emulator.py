"""The emulator itself, with what is put right in it: roles are enforced, and nothing is left."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.emulator import REGION, Emulator, running_emulator
from local.secrets import SecretStore

ACCOUNT = "000000000000"
SECRETS = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/stage"
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": f"{SECRETS}/stripe"},
        {"Effect": "Allow", "Action": "ssm:GetParametersByPath", "Resource": f"{SECRETS}/keys"},
    ],
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="module")
def ssm_of_role(emulator: Emulator) -> Any:
    """SSM as seen by a role that may read one secret and one path."""
    clients = emulator.clients()
    store = SecretStore(clients.client("ssm"), "/stage")
    for name in ("stripe", "hitpay", "keys/shop"):
        store.put(name, "secret")
    iam = clients.client("iam")
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=json.dumps(POLICY))
    sts = clients.client("sts")
    key = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
    return boto3.client(
        "ssm",
        region_name=REGION,
        endpoint_url=emulator.url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"],
    )


def test_a_role_reads_the_secret_it_may_read(ssm_of_role: Any) -> None:
    answer = ssm_of_role.get_parameters(Names=["/stage/stripe"], WithDecryption=True)
    assert [parameter["Value"] for parameter in answer["Parameters"]] == ["secret"]


@pytest.mark.parametrize("names", [["/stage/hitpay"], ["/stage/stripe", "/stage/hitpay"]])
def test_and_no_other_even_beside_it(ssm_of_role: Any, names: list[str]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        ssm_of_role.get_parameters(Names=names, WithDecryption=True)


def test_a_role_reads_the_path_it_may_read_and_none_above(ssm_of_role: Any) -> None:
    answer = ssm_of_role.get_parameters_by_path(Path="/stage/keys", WithDecryption=True)
    assert [parameter["Name"] for parameter in answer["Parameters"]] == ["/stage/keys/shop"]
    with pytest.raises(ClientError, match="AccessDenied"):
        ssm_of_role.get_parameters_by_path(Path="/stage", Recursive=True, WithDecryption=True)


def test_two_emulators_run_side_by_side(emulator: Emulator, tmp_path: Path) -> None:
    with running_emulator(tmp_path) as other:
        assert other.port != emulator.port
        parameters = other.clients().client("ssm").describe_parameters()
        assert parameters["Parameters"] == []
        child = other.process
    assert child.exit_code is not None
