"""Who is let in: keys are made, changed over and revoked while others go on calling."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from deployed.polling import wait_for
from local.http_client import Answer, RefundApiClient
from local.simulators.payments import fresh_payments, seed_of
from local.stack import RunningStack, announced
from tests.integration.background import ledger_refund
from tests.integration.shell import Refundctl

CACHE_SECONDS = 1
PACE_SECONDS = 0.2  # of each of four callers: less than the gateway lets through
# Of the networks for documentation; the embedded cloud believes the header, which AWS does not.
ADDRESSES = (f"198.51.100.{number}" for number in count(1))


class Caller:
    """Somebody with a key, at an address of their own."""

    def __init__(self, stack: RunningStack, key: str, address: str | None = None) -> None:
        self.address = address or next(ADDRESSES)
        self._api = RefundApiClient(stack.api_url, key)

    def read(self) -> Answer:
        """Read a refund that is not there: 404 for those who are let in."""
        return self._request("GET", "/v1/refunds/rfd_x")

    def refund(self, key: str, payment_record: str, amount: int) -> Answer:
        """Ask for a refund."""
        body = {"payment_record": payment_record, "amount": amount}
        return self._request("POST", "/v1/refunds", body, **{"Idempotency-Key": key})

    def is_let_in(self) -> bool:
        """Whether the key is known."""
        return self.read().status == 404

    def _request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = {"X-Forwarded-For": self.address, **headers}
        return self._api.request(method, path, body=body, headers=sent)


@pytest.fixture(scope="module")
def refundctl(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refundctl]:
    file = tmp_path_factory.mktemp("refundctl") / "stack.json"
    with announced(stack, file):
        yield Refundctl(file)


def known_everywhere(*callers: Caller) -> None:
    """Wait until every worker has read the keys again."""
    over = time.monotonic() + CACHE_SECONDS + 1
    wait_for(lambda: time.monotonic() > over or None, "the cache to be over", at_most=60)
    for caller in callers:
        wait_for(lambda caller=caller: caller.is_let_in() or None, "a new key known", at_most=60)  # type: ignore[misc]


def require_error(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.text


def test_a_key_is_made_listed_used_and_revoked(stack: RunningStack, refundctl: Refundctl) -> None:
    # Given a key that was made with one command, and shown once
    ended = refundctl.run("keys", "create", "kiosk", "--output", "-")
    assert ended.returncode == 0, ended.stderr
    (key,) = ended.stdout.splitlines()
    assert f"within {CACHE_SECONDS} s" in ended.stderr
    caller = Caller(stack, key)
    known_everywhere(caller)
    # Then it is listed, without anything that would let somebody in
    listed = {shown["name"]: shown for shown in refundctl.json("keys", "list")}
    assert listed["kiosk"]["scopes"] == ["refunds:read", "refunds:write"]
    table = refundctl.run("keys", "list").stdout
    assert listed["kiosk"]["id"] in table
    stored = stack.client("ssm").get_parameter(
        Name=f"{stack.stage.secrets_prefix}/api-keys/{listed['kiosk']['id']}", WithDecryption=True
    )["Parameter"]
    assert stored["Type"] == "SecureString"
    assert key not in stored["Value"]
    assert json.loads(stored["Value"])["sha256"] not in table
    # When it is revoked
    told = refundctl.json("keys", "revoke", "kiosk")
    assert told == {
        "revoked": [listed["kiosk"]["id"]],
        "effective_within_seconds": CACHE_SECONDS,
    }
    # Then within the stated time nobody is let in with it any more
    known_everywhere()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: caller.read(), range(8)))
    assert {answer.status for answer in answers} == {401}
    # And revoking it again is harmless
    assert refundctl.json("keys", "revoke", "kiosk")["revoked"] == []


def test_a_key_is_changed_over_without_an_error_under_load(
    stack: RunningStack, refundctl: Refundctl
) -> None:
    """Two keys of one caller are valid at the same time; histories have the same name for both."""
    (payment,) = fresh_payments(1, prefix="rotation")
    stack.control.seed(seed_of(payment))
    old_key = refundctl.json("keys", "create", "checkout", "--output", "-")
    old = Caller(stack, old_key["key"])
    known_everywhere(old)
    in_use, stopped = [old], threading.Event()
    statuses, last_used = list[int](), dict[int, Caller]()

    def call_on(number: int) -> None:
        while not stopped.wait(PACE_SECONDS):
            caller = in_use[-1]
            statuses.append(caller.read().status)
            last_used[number] = caller

    with ThreadPoolExecutor(4) as pool:
        # Given a caller that goes on calling
        calls = [pool.submit(call_on, number) for number in range(4)]
        try:
            first = old.refund("rotation-old", payment.record_id, 100)
            # When it gets another key, uses it once it is known, and the old one is revoked
            assert refundctl.run("keys", "create", "checkout", "--output", "-").returncode == 1
            new_key = refundctl.json("keys", "create", "checkout", "--another", "--output", "-")
            new = Caller(stack, new_key["key"])
            known_everywhere(new)
            assert old.is_let_in()
            in_use.append(new)
            wait_for(lambda: list(last_used.values()) == [new] * 4, "its use", at_most=60)
            assert refundctl.json("keys", "revoke", old_key["id"])["revoked"] == [old_key["id"]]
            known_everywhere(new)
            second = new.refund("rotation-new", payment.record_id, 100)
        finally:
            stopped.set()
        for call in calls:
            call.result()
    # Then no call on the way was refused
    assert set(statuses) == {404}
    # And the old key is
    require_error(old.read(), 401, "unauthorized")
    # And both refunds have the same caller in their histories
    assert (first.status, second.status) == (201, 201), (first.text, second.text)
    for answer in (first, second):
        assert ledger_refund(stack, answer.body["id"])["history"][0]["actor"] == "api_key:checkout"


def test_a_key_may_do_what_its_scopes_say(stack: RunningStack, refundctl: Refundctl) -> None:
    (payment,) = fresh_payments(1, prefix="scopes")
    stack.control.seed(seed_of(payment))
    made = {
        scope: refundctl.json(
            *("keys", "create", f"only-{scope}", "--scope", f"refunds:{scope}", "--output", "-")
        )
        for scope in ("read", "write")
    }
    reader, writer = (Caller(stack, made[scope]["key"]) for scope in ("read", "write"))
    wait_for(lambda: writer.read().status == 403 or None, "the keys known", at_most=60)
    known_everywhere(reader)
    require_error(reader.refund("scopes", payment.record_id, 100), 403, "forbidden")
    require_error(writer.read(), 403, "forbidden")
    assert writer.refund("scopes", payment.record_id, 100).status == 201


def test_who_shows_too_many_unknown_keys_has_to_wait(stack: RunningStack) -> None:
    """Each worker counts by itself, so it may be more than ten; a valid key always passes."""
    stranger = Caller(stack, "rbk_nobody")

    def throttled() -> Answer | None:
        answer = stranger.read()
        if answer.status == 429:
            return answer
        require_error(answer, 401, "unauthorized")
        return None

    refused = wait_for(throttled, "too many unknown keys", at_most=60, every=0)
    require_error(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    # A caller with a valid key at the same address does not have to wait
    assert Caller(stack, stack.api_key, stranger.address).is_let_in()
    # Nor does the first unknown key at another address
    require_error(Caller(stack, "rbk_nobody").read(), 401, "unauthorized")
