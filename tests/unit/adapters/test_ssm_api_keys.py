import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.ssm.api_keys import KEYS_MAX, ApiKeys
from refund_bridge.domain.errors import KeysUnavailableError
from refund_bridge.http.callers import ApiKeyHolder
from tests.fakes.world import FakeTelemetry
from tests.unit.adapters.ssm_calls import PREFIX, Stub

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


BY_PATH = {"Path": f"{PREFIX}/api-keys", "Recursive": False, "WithDecryption": True}


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
def notes() -> FakeTelemetry:
    return FakeTelemetry()


@pytest.fixture
def api_keys(client: "SSMClient", notes: FakeTelemetry) -> ApiKeys:
    return ApiKeys(client, PREFIX, max_age_s=60, clock=SystemClock(), telemetry=notes)


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


def test_a_key_can_be_rotated_and_revoked(
    stub: Stub, client: "SSMClient", notes: FakeTelemetry
) -> None:
    uncached = ApiKeys(client, PREFIX, max_age_s=0, clock=SystemClock(), telemetry=notes)
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
    stub: Stub, api_keys: ApiKeys, notes: FakeTelemetry, malformed: str
) -> None:
    keys_are(stub, malformed, entry("one"))
    assert api_keys.holder_of("one")
    assert api_keys.holder_of("two") is None
    assert notes.notes == [("api_keys_malformed", {"count": 1})]


def test_without_an_answer_nobody_is_let_in(
    stub: Stub, client: "SSMClient", notes: FakeTelemetry
) -> None:
    uncached = ApiKeys(client, PREFIX, max_age_s=0, clock=SystemClock(), telemetry=notes)
    keys_are(stub, entry("one"))
    assert uncached.holder_of("one")
    stub.add_client_error("AccessDeniedException", BY_PATH)
    with pytest.raises(KeysUnavailableError):
        uncached.holder_of("one")
    ((event, facts),) = notes.notes
    assert event == "api_keys_unreadable"
    assert "AccessDenied" in str(facts["reason"])


def test_two_keys_of_one_caller_are_valid_at_once(stub: Stub, api_keys: ApiKeys) -> None:
    keys_are(stub, entry("old"), entry("new"))
    assert api_keys.holder_of("old") == api_keys.holder_of("new")


def test_keys_are_asked_for_once_while_they_are_young(stub: Stub, api_keys: ApiKeys) -> None:
    keys_are(stub, entry("one"))
    assert [bool(api_keys.holder_of("one")) for _ in range(5)] == [True] * 5
    stub.assert_no_pending_responses()


def pages_are(stub: Stub, count: int) -> None:
    """So many keys, ten to a page as the Systems Manager hands them out."""
    for start in range(0, count, 10):
        page = {
            "Parameters": [
                {"Name": f"{PREFIX}/api-keys/{n:03d}", "Value": entry(f"key-{n}")}
                for n in range(start, min(start + 10, count))
            ]
        }
        following = {"NextToken": f"after-{start}"} if start + 10 < count else {}
        asked = {"NextToken": f"after-{start - 10}"} if start else {}
        stub.add_response(page | following, BY_PATH | asked)


def test_as_many_keys_as_are_allowed_are_all_known(
    stub: Stub, api_keys: ApiKeys, notes: FakeTelemetry
) -> None:
    pages_are(stub, KEYS_MAX)
    assert api_keys.holder_of("key-0")
    assert api_keys.holder_of(f"key-{KEYS_MAX - 1}")
    assert notes.notes == []


def test_of_more_the_rest_lets_nobody_in_and_that_is_said(
    stub: Stub, api_keys: ApiKeys, notes: FakeTelemetry
) -> None:
    pages_are(stub, KEYS_MAX + 10)
    assert api_keys.holder_of(f"key-{KEYS_MAX - 1}")
    assert api_keys.holder_of(f"key-{KEYS_MAX}") is None
    assert notes.notes == [("api_keys_too_many", {"read": KEYS_MAX})]
