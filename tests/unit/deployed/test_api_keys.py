import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from deployed import api_keys
from deployed.api_keys import ApiKey, ApiKeyStore, TooManyKeysError, new_api_key
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.ssm import api_keys as ssm_api_keys
from refund_bridge.adapters.ssm.api_keys import ApiKeys
from refund_bridge.http import callers
from tests.fakes.world import FakeTelemetry

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

MADE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
BY_PATH = {"Path": "/p/api-keys", "WithDecryption": True}


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


def parameter(key_id: str, value: str) -> dict[str, Any]:
    return {"Name": f"/p/api-keys/{key_id}", "Value": value, "LastModifiedDate": MADE}


def test_a_new_key_cannot_be_guessed_and_is_recognised_by_its_prefix() -> None:
    one, other = new_api_key("shop"), new_api_key("shop")
    assert one.text != other.text
    assert one.text.startswith("rbk_")
    assert len(one.text) == len("rbk_") + 43


def test_keys_of_one_caller_have_ids_of_their_own() -> None:
    ids = {new_api_key("shop").id for _ in range(50)}
    assert len(ids) == 50
    assert all(key_id.startswith("shop.") for key_id in ids)


def test_only_the_digest_of_a_key_is_stored() -> None:
    key = new_api_key("shop", ("refunds:read",))
    assert key.text not in key.stored
    assert json.loads(key.stored) == {
        "name": "shop",
        "scopes": ["refunds:read"],
        "sha256": hashlib.sha256(key.text.encode()).hexdigest(),
    }


def test_the_text_of_a_key_is_in_no_representation() -> None:
    key = new_api_key("shop")
    assert key.text not in repr(key)


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "a.b", "a b", "-a", "é", "a" * 64, "a\n"])
def test_a_name_that_no_parameter_could_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        new_api_key(name)


def test_a_key_is_stored_once_and_never_overwritten(ssm: "SSMClient", stubber: Stubber) -> None:
    key = new_api_key("shop")
    stubber.add_response("get_parameters_by_path", {"Parameters": []}, BY_PATH)
    stubber.add_response(
        "put_parameter",
        {"Version": 1},
        {
            "Name": f"/p/api-keys/{key.id}",
            "Value": key.stored,
            "Type": "SecureString",
            "Overwrite": False,
            "KeyId": "alias/aws/ssm",
        },
    )
    ApiKeyStore(ssm, "/p").add(key)


def test_it_is_encrypted_with_the_customers_key_if_there_is_one(
    ssm: "SSMClient", stubber: Stubber
) -> None:
    key, arn = new_api_key("shop"), "arn:aws:kms:eu-west-1:111122223333:key/1"
    stubber.add_response("get_parameters_by_path", {"Parameters": []}, BY_PATH)
    stubber.add_response(
        "put_parameter",
        {"Version": 1},
        {
            "Name": f"/p/api-keys/{key.id}",
            "Value": key.stored,
            "Type": "SecureString",
            "Overwrite": False,
            "KeyId": arn,
        },
    )
    ApiKeyStore(ssm, "/p", kms_key_id=arn).add(key)


def test_no_more_keys_are_made_than_the_functions_read(ssm: "SSMClient", stubber: Stubber) -> None:
    assert api_keys.KEYS_MAX == ssm_api_keys.KEYS_MAX
    all_there_may_be = [parameter(f"k{n}", "{}") for n in range(api_keys.KEYS_MAX)]
    stubber.add_response("get_parameters_by_path", {"Parameters": all_there_may_be}, BY_PATH)
    with pytest.raises(TooManyKeysError):
        ApiKeyStore(ssm, "/p").add(new_api_key("shop"))


def test_keys_are_shown_by_caller_without_their_digests(ssm: "SSMClient", stubber: Stubber) -> None:
    shop, desk = ApiKey("shop.2", "shop", "rbk_2"), ApiKey("desk.1", "desk", "rbk_1", ("a",))
    stubber.add_response(
        "get_parameters_by_path",
        {
            "Parameters": [
                parameter("shop.2", shop.stored),
                *(
                    parameter("broken", broken)
                    for broken in ("{", "[]", "{}", '{"name": 1, "scopes": []}')
                ),
                parameter("desk.1", desk.stored),
            ]
        },
        BY_PATH,
    )
    keys = ApiKeyStore(ssm, "/p").all()
    assert [(key.id, key.name, key.scopes) for key in keys] == [
        *[("broken", None, ())] * 4,
        ("desk.1", "desk", ("a",)),
        ("shop.2", "shop", ("refunds:read", "refunds:write")),
    ]
    assert {key.made_at for key in keys} == {MADE}
    assert "sha256" not in repr(keys)


def test_many_keys_are_revoked_ten_at_a_time(ssm: "SSMClient", stubber: Stubber) -> None:
    names = [f"/p/api-keys/k{n}" for n in range(12)]
    for some in (names[:10], names[10:]):
        stubber.add_response("delete_parameters", {"DeletedParameters": some}, {"Names": some})
    ApiKeyStore(ssm, "/p").remove([f"k{n}" for n in range(12)])


def test_what_is_stored_is_what_the_functions_read(ssm: "SSMClient", stubber: Stubber) -> None:
    key = new_api_key("shop", callers.READ.split())
    stubber.add_response(
        "get_parameters_by_path",
        {"Parameters": [parameter(key.id, key.stored)]},
        BY_PATH | {"Recursive": False},
    )
    holder = ApiKeys(
        ssm, "/p", max_age_s=60, clock=SystemClock(), telemetry=FakeTelemetry()
    ).holder_of(key.text)
    assert holder == callers.ApiKeyHolder("shop", frozenset({callers.READ}))
    assert set(api_keys.SCOPES) == {callers.READ, callers.WRITE}
    assert set(api_keys.ALL_SCOPES) == {callers.READ, callers.WRITE, callers.PAYOUT}
