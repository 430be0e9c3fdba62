import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from refunds.adapters.api_key import ApiKey, KeyUnavailableError
from refunds.adapters.ssm_secrets import REREAD_EVERY_MS, ApiKeyHolder, ApiKeys, Secret, Secrets

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

PREFIX = "/refund-bridge/test"
STRIPE, HITPAY = "stripe-secret-key", "hitpay-api-key"
NAMES = [f"{PREFIX}/{STRIPE}", f"{PREFIX}/{HITPAY}"]


BY_NAME = {"Names": NAMES, "WithDecryption": True}
BY_PATH = {"Path": f"{PREFIX}/api-keys", "Recursive": False, "WithDecryption": True}


class FixedClock:
    def __init__(self) -> None:
        self.monotonic = 1_000

    def now_ms(self) -> int:
        raise AssertionError("secrets are older or younger by the monotonic clock only")

    def monotonic_ms(self) -> int:
        return self.monotonic


class Notes:
    def __init__(self) -> None:
        self.notes: list[tuple[str, dict[str, str | int | bool | Decimal | None]]] = []

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        self.notes.append((event, facts))


@pytest.fixture(scope="module")
def client() -> Iterator["SSMClient"]:
    made: SSMClient = boto3.session.Session().client(
        "ssm",
        region_name="ap-southeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield made
    made.close()


class Stub:
    """Answers the client's calls in order. botocore's own insists on lists that are never empty."""

    def __init__(self) -> None:
        self._expected: list[tuple[dict[str, Any], int, dict[str, Any]]] = []

    def add_response(self, answer: dict[str, Any], expected: dict[str, Any]) -> None:
        self._expected.append((expected, 200, answer))

    def add_client_error(self, code: str, expected: dict[str, Any]) -> None:
        self._expected.append((expected, 400, {"Error": {"Code": code}}))

    def assert_no_pending_responses(self) -> None:
        assert self._expected == []

    def answer(self, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        expected, status, answer = self._expected.pop(0)
        assert json.loads(params["body"]) == expected
        headers: Any = {}
        return AWSResponse("", status, headers, None), answer


@pytest.fixture
def stub(client: "SSMClient") -> Iterator[Stub]:
    active = Stub()
    events: Any = client.meta.events  # its stubs forbid the answer that it asks for
    events.register_first("before-call.ssm", active.answer)
    yield active
    events.unregister("before-call.ssm", active.answer)
    active.assert_no_pending_responses()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def secrets(client: "SSMClient", clock: FixedClock) -> Secrets:
    return Secrets(client, PREFIX + "/", [STRIPE, HITPAY], max_age_s=60, clock=clock)


def answer(stub: Stub, stripe: str | None, hitpay: str | None = "hp-key") -> None:
    """The next call of GetParameters, which must ask for both by name and decrypted."""
    values = dict(zip(NAMES, (stripe, hitpay), strict=True))
    stub.add_response(
        {
            "Parameters": [{"Name": n, "Value": v} for n, v in values.items() if v is not None],
            "InvalidParameters": [n for n, v in values.items() if v is None],
        },
        BY_NAME,
    )


def test_all_secrets_come_in_one_call_and_are_kept(stub: Stub, secrets: Secrets) -> None:
    answer(stub, "sk_test_1")
    stripe: ApiKey = secrets.secret(STRIPE)
    assert [stripe.current(), secrets.secret(HITPAY).current()] == ["sk_test_1", "hp-key"]
    assert stripe.current() == "sk_test_1"


def test_secrets_are_read_again_when_they_are_old(
    stub: Stub, client: "SSMClient", clock: FixedClock
) -> None:
    secret = Secrets(client, PREFIX, [STRIPE, HITPAY], max_age_s=0, clock=clock).secret(STRIPE)
    for value in ("sk_test_1", "sk_test_2"):
        answer(stub, value)
        assert secret.current() == value


def test_nothing_is_read_before_a_secret_is_needed(stub: Stub, secrets: Secrets) -> None:
    secrets.secret(STRIPE)


def test_only_the_functions_own_secrets_can_be_asked_for(secrets: Secrets) -> None:
    with pytest.raises(ValueError, match="not among"):
        secrets.secret("hitpay-webhook-salts")


def test_after_a_401_the_new_value_is_read(stub: Stub, secrets: Secrets) -> None:
    answer(stub, "sk_test_1")
    answer(stub, "sk_test_2")
    secret = secrets.secret(STRIPE)
    assert secret.current() == "sk_test_1"
    assert secret.refreshed() == "sk_test_2"
    assert secret.current() == "sk_test_2"


def test_after_a_401_the_same_value_is_none(stub: Stub, secrets: Secrets) -> None:
    answer(stub, "sk_test_1")
    answer(stub, "sk_test_1\n")
    secret = secrets.secret(STRIPE)
    assert secret.current() == "sk_test_1"
    assert secret.refreshed() is None


def test_a_second_401_within_30_s_reads_nothing(
    stub: Stub, secrets: Secrets, clock: FixedClock
) -> None:
    answer(stub, "sk_test_1")
    answer(stub, "sk_test_1")
    secret = secrets.secret(STRIPE)
    assert secret.refreshed() is None
    clock.monotonic += REREAD_EVERY_MS - 1
    assert secret.refreshed() is None
    clock.monotonic += 1
    answer(stub, "sk_test_2")
    assert secret.refreshed() == "sk_test_2"


def test_a_call_that_was_under_way_with_the_old_value_learns_the_new_one(
    stub: Stub, secrets: Secrets
) -> None:
    answer(stub, "sk_test_1")
    answer(stub, "sk_test_2", "hp-key")
    assert secrets.secret(STRIPE).refreshed() == "sk_test_2"
    assert secrets.secret(STRIPE).refreshed() == "sk_test_2"
    assert secrets.secret(HITPAY).refreshed() is None


def test_fifty_refused_calls_read_once(stub: Stub, secrets: Secrets) -> None:
    answer(stub, "sk_test_1")
    answer(stub, "sk_test_2")
    secret = secrets.secret(STRIPE)
    secret.current()
    together = Barrier(50)

    def refused(_: int) -> str | None:
        together.wait()
        return secret.refreshed()

    with ThreadPoolExecutor(50) as threads:
        assert set(threads.map(refused, range(50))) == {"sk_test_2"}


def test_a_failed_re_read_leaves_the_old_value_and_is_not_repeated_at_once(
    stub: Stub, secrets: Secrets
) -> None:
    answer(stub, "sk_test_1")
    stub.add_client_error("ThrottlingException", BY_NAME)
    secret = secrets.secret(STRIPE)
    secret.current()
    with pytest.raises(KeyUnavailableError):
        secret.refreshed()
    assert secret.current() == "sk_test_1"
    assert secret.refreshed() is None


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError", "InvalidKeyId"])
def test_without_an_answer_there_is_no_key(stub: Stub, secrets: Secrets, code: str) -> None:
    stub.add_client_error(code, BY_NAME)
    with pytest.raises(KeyUnavailableError):
        secrets.secret(STRIPE).current()


def test_a_missing_parameter_is_no_key(stub: Stub, secrets: Secrets) -> None:
    answer(stub, None)
    with pytest.raises(KeyUnavailableError):
        secrets.secret(STRIPE).current()


def test_blank_ends_are_no_part_of_a_secret(stub: Stub, secrets: Secrets) -> None:
    answer(stub, " sk_test_1\r\n")
    assert secrets.secret(STRIPE).current() == "sk_test_1"


@pytest.mark.parametrize("value", ["sk test", "sk\r\nHost: evil", "sk_tést", " ", "sk\x00"])
def test_a_value_that_no_header_carries_is_told_without_it(
    stub: Stub, secrets: Secrets, value: str
) -> None:
    answer(stub, value)
    with pytest.raises(KeyUnavailableError) as refused:
        secrets.secret(STRIPE).current()
    assert STRIPE in str(refused.value)
    assert value.strip() == "" or value not in str(refused.value)


def test_no_secret_is_shown(stub: Stub, secrets: Secrets) -> None:
    answer(stub, "sk_test_1")
    secret: Secret = secrets.secret(STRIPE)
    secret.current()
    assert repr(secret) == f"Secret({PREFIX}/{STRIPE})"
    assert "sk_test_1" not in repr(secrets)


# --- our callers' keys --------------------------------------------------------------------------


def entry(token: str, name: str = "shop", scopes: Any = ("refunds:read",)) -> str:
    digest = hashlib.sha256(token.encode()).hexdigest()
    return json.dumps({"name": name, "scopes": list(scopes), "sha256": digest})


def keys_are(stub: Stub, *values: str) -> None:
    stub.add_response(
        {
            "Parameters": [
                {"Name": f"{PREFIX}/api-keys/{n}", "Value": v} for n, v in enumerate(values)
            ]
        },
        BY_PATH,
    )


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def api_keys(client: "SSMClient", notes: Notes) -> ApiKeys:
    return ApiKeys(client, PREFIX, max_age_s=60, trail=notes)


def test_a_key_is_known_by_its_digest(stub: Stub, api_keys: ApiKeys) -> None:
    keys_are(stub, entry("one"), entry("two", "desk", ["refunds:read", "refunds:write"]))
    assert api_keys.holder_of("one") == ApiKeyHolder("shop", frozenset({"refunds:read"}))
    found = api_keys.holder_of("two")
    assert found == ApiKeyHolder("desk", frozenset({"refunds:read", "refunds:write"}))


@pytest.mark.parametrize("token", ["", "On", "one ", "\ud800", "é", "x" * 100_000])
def test_an_unknown_key_is_nobodys(stub: Stub, api_keys: ApiKeys, token: str) -> None:
    keys_are(stub, entry("one"))
    assert api_keys.holder_of(token) is None


def test_the_digest_itself_is_no_key(stub: Stub, api_keys: ApiKeys) -> None:
    keys_are(stub, entry("one"))
    assert api_keys.holder_of(hashlib.sha256(b"one").hexdigest()) is None


def test_without_keys_nobody_is_known(stub: Stub, api_keys: ApiKeys) -> None:
    keys_are(stub)
    assert api_keys.holder_of("one") is None


def test_a_key_can_be_rotated_and_revoked(stub: Stub, client: "SSMClient", notes: Notes) -> None:
    uncached = ApiKeys(client, PREFIX, max_age_s=0, trail=notes)
    keys_are(stub, entry("old"))
    assert uncached.holder_of("old")
    keys_are(stub, entry("old"), entry("new"))
    assert uncached.holder_of("new")
    keys_are(stub, entry("new"))
    assert uncached.holder_of("old") is None


def test_all_keys_are_compared_whichever_matches(
    stub: Stub, api_keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_are(stub, *(entry(f"key-{n}") for n in range(5)))
    compared: list[bytes] = []

    def compare(known: bytes, given: bytes) -> bool:
        compared.append(given)
        return known == given

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in ("key-0", "key-4", "none"):
        compared.clear()
        api_keys.holder_of(token)
        assert compared == [hashlib.sha256(token.encode()).digest()] * 5


@pytest.mark.parametrize(
    "malformed",
    [
        "one",
        "null",
        "[]",
        "[" * 100_000,
        '{"name": "shop", "scopes": []}',
        json.dumps({"name": "", "scopes": [], "sha256": "0" * 64}),
        json.dumps({"name": 1, "scopes": [], "sha256": "0" * 64}),
        json.dumps({"name": "shop", "scopes": "refunds:write", "sha256": "0" * 64}),
        json.dumps({"name": "shop", "scopes": [1], "sha256": "0" * 64}),
        json.dumps({"name": "shop", "scopes": [], "sha256": "0" * 63}),
        json.dumps({"name": "shop", "scopes": [], "sha256": "0" * 63 + "g"}),
        json.dumps({"name": "shop", "scopes": [], "sha256": 0}),
    ],
)
def test_a_malformed_key_is_skipped_and_counted_once(
    stub: Stub, api_keys: ApiKeys, notes: Notes, malformed: str
) -> None:
    keys_are(stub, malformed, entry("one"))
    assert api_keys.holder_of("one")
    assert api_keys.holder_of("two") is None
    assert notes.notes == [("api_keys_malformed", {"count": 1})]


def test_without_an_answer_nobody_is_let_in(stub: Stub, client: "SSMClient", notes: Notes) -> None:
    uncached = ApiKeys(client, PREFIX, max_age_s=0, trail=notes)
    keys_are(stub, entry("one"))
    assert uncached.holder_of("one")
    stub.add_client_error("ThrottlingException", BY_PATH)
    with pytest.raises(KeyUnavailableError):
        uncached.holder_of("one")
