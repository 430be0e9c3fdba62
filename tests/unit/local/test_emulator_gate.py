"""Who gets to the emulator: nobody without a key of this run, and no page of a browser."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import urllib3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local.emulator import REGION, Emulator, running_emulator

TIMEOUT = urllib3.Timeout(connect=5, read=30)
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
API = "/restapis/abc123/local/_user_request_/v1/refunds"
WEBHOOK = "/restapis/abc123/local/_user_request_/v1/webhooks/hitpay"
TUNNEL = "tunnel.example"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    directory = tmp_path_factory.mktemp("emulator")
    with running_emulator(directory, webhook_host=TUNNEL) as running:
        ssm = running.clients().client("ssm")
        ssm.put_parameter(Name="/stage/key", Value="secret", Type="SecureString")
        yield running


def ask(emulator: Emulator, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    """GET without the SDK; `_` in a header's name stands for `-`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib3.PoolManager(retries=False, timeout=TIMEOUT) as pool:
        return pool.request("GET", emulator.url + path, headers=sent)


def calls(emulator: Emulator, key: str | None) -> list[Any]:
    """One call in each of the SDK's protocols, with this access key or none."""
    config = Config(signature_version=UNSIGNED) if key is None else Config()

    def client(service: str) -> Any:
        make: Any = boto3.client
        return make(
            service,
            region_name=REGION,
            endpoint_url=emulator.url,
            aws_access_key_id=key,
            aws_secret_access_key=key,
            config=config,
        )

    ssm, iam, s3, functions = map(client, ("ssm", "iam", "s3", "lambda"))
    return [
        lambda: ssm.get_parameters(Names=["/stage/key"], WithDecryption=True),
        lambda: iam.create_role(RoleName="mine", AssumeRolePolicyDocument=json.dumps(TRUST)),
        s3.list_buckets,
        functions.list_functions,
    ]


@pytest.mark.parametrize("key", ["test", None, "000000000000", "111122223333", "AKIAOTHER"])
def test_a_key_that_is_not_of_this_run_is_refused(emulator: Emulator, key: str | None) -> None:
    for call in calls(emulator, key):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_this_runs_key_may_do_everything(emulator: Emulator) -> None:
    for service, action in (("ssm", "describe_parameters"), ("s3", "list_buckets")):
        answer = getattr(emulator.clients().client(service), action)()
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_and_stands_in_nothing_that_is_printed(emulator: Emulator) -> None:
    assert emulator.root.id not in repr(emulator)
    assert emulator.root.secret not in repr(emulator.root)


@pytest.mark.parametrize(
    "path", ["/", "/_ministack/health", "/_ministack/reset", "/?Action=ListRoles", "/restapis/abc"]
)
def test_no_address_of_the_emulators_own_answers_without_a_key(
    emulator: Emulator, path: str
) -> None:
    assert ask(emulator, path).status == 403


@pytest.mark.parametrize("path", ["/", API, WEBHOOK])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
    ],
)
def test_no_page_gets_in_with_or_without_a_key(
    emulator: Emulator, path: str, headers: dict[str, str], status: int
) -> None:
    key = f"AWS4-HMAC-SHA256 Credential={emulator.root.id}/"
    for answer in (
        ask(emulator, path, **headers),
        ask(emulator, path, Authorization=key, **headers),
    ):
        assert answer.status == status
        assert "Access-Control-Allow-Origin" not in answer.headers


class TestTheApi:
    """Its callers have keys of their own."""

    def test_it_is_reached_without_a_key_of_aws(self, emulator: Emulator) -> None:
        # There is no such API: the emulator itself says so.
        assert ask(emulator, API, Authorization="Bearer rbk_1").status == 404

    @pytest.mark.parametrize("key", ["test", "111122223333"])
    def test_who_names_one_must_have_one_of_this_run(self, emulator: Emulator, key: str) -> None:
        header = f"AWS4-HMAC-SHA256 Credential={key}/20260101/{REGION}/execute-api/aws4_request"
        assert ask(emulator, API, Authorization=header).status == 403
        assert ask(emulator, f"{API}?X-Amz-Credential={key}%2F20260101").status == 403

    def test_a_tunnels_name_leads_to_the_webhook_alone(self, emulator: Emulator) -> None:
        assert ask(emulator, WEBHOOK, Host=TUNNEL).status == 404
        for path in (API, f"{WEBHOOK}/..", f"{WEBHOOK}%2f..%2f..%2frefunds", "/"):
            assert ask(emulator, path, Host=TUNNEL).status == 421
        assert ask(emulator, WEBHOOK, Host=f"{TUNNEL}:{emulator.port}").status == 421


def test_a_role_is_let_in_with_the_key_that_it_was_given(emulator: Emulator) -> None:
    clients = emulator.clients()
    role = clients.client("iam").create_role(
        RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]
    key = clients.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
    made: Any = boto3.client(
        "sts",
        region_name=REGION,
        endpoint_url=emulator.url,
        aws_access_key_id=key["Credentials"]["AccessKeyId"],
        aws_secret_access_key=key["Credentials"]["SecretAccessKey"],
        aws_session_token=key["Credentials"]["SessionToken"],
    )
    assert made.get_caller_identity()["Arn"].endswith("assumed-role/reader/test")
