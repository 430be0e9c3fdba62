from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from refund_bridge.adapters.http.api_key import ApiKey, KeyUnavailableError
from refund_bridge.adapters.ssm.secrets import REREAD_EVERY_MS, Secret, Secrets
from tests.fakes.virtual_clock import VirtualClock
from tests.unit.adapters.ssm_calls import PREFIX, Stub

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

STRIPE, HITPAY = "stripe-secret-key", "hitpay-api-key"
NAMES = [f"{PREFIX}/{STRIPE}", f"{PREFIX}/{HITPAY}"]


BY_NAME = {"Names": NAMES, "WithDecryption": True}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def secrets(client: "SSMClient", clock: VirtualClock) -> Secrets:
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
    stub: Stub, client: "SSMClient", clock: VirtualClock
) -> None:
    secret = Secrets(client, PREFIX, [STRIPE, HITPAY], max_age_s=0, clock=clock).secret(STRIPE)
    for value in ("sk_test_1", "sk_test_2"):
        answer(stub, value)
        assert secret.current() == value


@pytest.mark.parametrize("moved_ms", [60_000, 3_600_000, -1])
def test_a_frozen_worker_reads_again_though_its_monotonic_clock_stood_still(
    stub: Stub, secrets: Secrets, clock: VirtualClock, moved_ms: int
) -> None:
    answer(stub, "sk_test_1")
    secret = secrets.secret(STRIPE)
    clock.wall_ms += 59_999 if moved_ms > 0 else 0
    assert secret.current() == secret.current() == "sk_test_1"
    clock.wall_ms += moved_ms
    answer(stub, "sk_test_2")
    assert secret.current() == "sk_test_2"


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
    stub: Stub, secrets: Secrets, clock: VirtualClock
) -> None:
    answer(stub, "sk_test_1")
    answer(stub, "sk_test_1")
    secret = secrets.secret(STRIPE)
    assert secret.refreshed() is None
    clock.passed_ms += REREAD_EVERY_MS - 1
    assert secret.refreshed() is None
    clock.passed_ms += 1
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
    stub.pause_s = 0.05  # time enough for a second thread to ask too, if nothing held it back

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


@pytest.mark.parametrize("code", ["InternalServerError", "InvalidKeyId"])
def test_without_an_answer_there_is_no_key(stub: Stub, secrets: Secrets, code: str) -> None:
    stub.add_client_error(code, BY_NAME)
    with pytest.raises(KeyUnavailableError):
        secrets.secret(STRIPE).current()


def test_a_missing_parameter_is_no_key(stub: Stub, secrets: Secrets) -> None:
    answer(stub, None)
    with pytest.raises(KeyUnavailableError):
        secrets.secret(STRIPE).current()


def test_what_is_missing_is_missing_to_nobody_else_and_looked_for_again(
    stub: Stub, secrets: Secrets
) -> None:
    # Given a processor whose key was never put
    answer(stub, "sk_test_1", None)
    assert secrets.secret(STRIPE).current() == "sk_test_1"
    # When it is asked for, it is looked for, and the other one stays what it was
    answer(stub, "sk_test_1", None)
    with pytest.raises(KeyUnavailableError, match="hitpay-api-key: missing"):
        secrets.secret(HITPAY).current()
    assert secrets.secret(STRIPE).current() == "sk_test_1"
    # Then once it is put it works at once
    answer(stub, "sk_test_1", "hp-key")
    assert secrets.secret(HITPAY).current() == "hp-key"


def test_what_was_taken_away_is_no_key_after_a_401(stub: Stub, secrets: Secrets) -> None:
    answer(stub, "sk_test_1")
    answer(stub, "sk_test_1", None)
    secret = secrets.secret(HITPAY)
    assert secret.current() == "hp-key"
    with pytest.raises(KeyUnavailableError, match="missing"):
        secret.refreshed()


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
