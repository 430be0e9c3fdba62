"""Secrets as the deploy command and `refundctl secrets` put them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from deployed import secrets
from deployed.secrets import SecretStore, StoredSecret, UnusableSecretError, usable
from refund_bridge.adapters.ssm import webhook_salts

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

CHANGED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def ssm() -> "SSMClient":
    client: SSMClient = boto3.client(
        "ssm", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    return client


@pytest.fixture
def stubber(ssm: "SSMClient") -> Iterator[Stubber]:
    with Stubber(ssm) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def parameter(name: str, version: int) -> dict[str, Any]:
    return {
        "Name": f"/p/{name}",
        "Type": "SecureString",
        "Value": "encrypted",
        "Version": version,
        "LastModifiedDate": CHANGED,
    }


@pytest.mark.parametrize(("given", "used"), [("", "alias/aws/ssm"), ("the-key", "the-key")])
def test_a_secret_is_put_as_a_secure_string_where_the_functions_look(
    ssm: "SSMClient", stubber: Stubber, given: str, used: str
) -> None:
    expected = {"Name": "/p/hitpay-api-key", "Value": "h", "Type": "SecureString"}
    stubber.add_response(
        "put_parameter", {"Version": 3}, expected | {"Overwrite": True, "KeyId": used}
    )
    assert SecretStore(ssm, "/p", kms_key_id=given).put("hitpay-api-key", "h") == 3


def test_what_is_there_and_what_is_missing_is_told_without_reading_any(
    ssm: "SSMClient", stubber: Stubber
) -> None:
    answer = {
        "Parameters": [parameter("hitpay-webhook-salts", 1), parameter("stripe-secret-key", 2)],
        "InvalidParameters": ["/p/hitpay-api-key"],
    }
    names = secrets.needed({"HitPayUrl": "https://hitpay.example", "HedgeUrl": ""})
    asked = {"Names": [f"/p/{name}" for name in names], "WithDecryption": False}
    for _ in range(2):
        stubber.add_response("get_parameters", answer, asked)
    store = SecretStore(ssm, "/p")
    assert store.missing(names) == ["hitpay-api-key"]
    assert store.stored(names) == [
        StoredSecret("stripe-secret-key", "SecureString", 2, CHANGED),
        StoredSecret("hitpay-webhook-salts", "SecureString", 1, CHANGED),
    ]


def test_a_stage_needs_the_keys_of_the_processors_that_it_sets_up() -> None:
    every = dict.fromkeys(secrets.PROCESSOR_KEYS, "https://one.example")
    assert secrets.needed(every) == list(secrets.NAMES)
    assert secrets.needed(every | {"HitPayUrl": ""}) == [
        "stripe-secret-key",
        "hyperswitch-api-key",
        "hedge-api-key",
        "ccg-access-token",
    ]
    assert secrets.needed({}) == ["stripe-secret-key"]


def test_a_line_break_of_a_pasted_secret_is_no_part_of_it() -> None:
    assert usable("stripe-secret-key", " rk_test_1\r\n", "test") == "rk_test_1"
    assert usable("hitpay-api-key", "anything\n", "live") == "anything"


A, B = "a" * 16, "b" * 16


def test_salts_are_kept_once_each_with_commas_between() -> None:
    assert usable("hitpay-webhook-salts", f" {A}, {B}\t{B} {A}\n", "test") == f"{A},{B}"
    assert webhook_salts.SALTS_MAX == secrets.SALTS_MAX
    assert webhook_salts.SALT_CHARACTERS_MIN == secrets.SALT_CHARACTERS_MIN


@pytest.mark.parametrize(
    ("mode", "key"),
    [("test", "sk_live_1"), ("live", "sk_test_1"), ("live", ""), ("test", "whsec_1")],
)
def test_a_stripe_key_of_the_other_mode_is_refused_and_not_shown(mode: str, key: str) -> None:
    with pytest.raises(UnusableSecretError) as refused:
        usable("stripe-secret-key", key, mode)
    assert not key or key not in str(refused.value)
