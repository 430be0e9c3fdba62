"""Secrets are changed while refunds and reports go on, in the right order and in wrong ones.

In the right order, and even if the old key is revoked too early, callers get only refunds. While a
provider accepts no key that we have, callers get 503 `processor_unavailable` or
`stripe_unavailable`, which promise that nothing was executed; within 30 s after the new key is set,
refunds again. Callers never get anything else, and no refund or report is lost or made twice.
"""

import hashlib
import hmac
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from deployed.polling import wait_for
from deployed.secrets import HITPAY_API_KEY, HITPAY_WEBHOOK_SALTS, STRIPE_SECRET_KEY, SecretStore
from local.http_client import RefundApiClient
from local.simulators.hitpay import DEFAULT_KEY
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.payments import fresh_payments, seed_of
from local.simulators.seeding import DemoPayment
from local.simulators.stripe import DEFAULT_TEST_KEY
from local.stack import RunningStack, announced, running_stack
from tests.integration.refund_stream import NOT_NOW, refunding, wait_until_all_is_reported
from tests.integration.shell import Refundctl

OLD = {HITPAY_API_KEY: DEFAULT_KEY, STRIPE_SECRET_KEY: DEFAULT_TEST_KEY}
REFUSED_BY = {HITPAY_API_KEY: 403, STRIPE_SECRET_KEY: 401}
PROVIDERS = {HITPAY_API_KEY: "hitpay", STRIPE_SECRET_KEY: "stripe"}
SALT = HitPaySettings().webhook_salt
# A function caches a secret for long here: it reads a new one in time only after a refusal.
REMEMBERING = {
    "SecretsCacheSeconds": "900",
    "ReportBackoffSeconds": "1",
    "ReportMaxReceives": "100",
    "ThrottleRate": "500",
    "ThrottleBurst": "500",
}
REREAD_SECONDS = 30
CALM_CACHE_SECONDS = 1


class Operator:
    """Somebody who changes keys, in the providers' dashboards and with `refundctl`."""

    def __init__(self, stack: RunningStack, refundctl: Refundctl) -> None:
        self._stack = stack
        self._refundctl = refundctl
        self._numbers = count(1)
        self._keys = dict(OLD)

    def make_another(self, name: str) -> str:
        """Make a new key at the provider, beside the key in use."""
        new = f"{OLD[name]}_{next(self._numbers)}"
        self._stack.control.set_keys(PROVIDERS[name], self._keys[name], new)
        self._keys[name] = new
        return new

    def revoke_all_but(self, name: str, key: str) -> None:
        """Revoke all other keys at the provider."""
        self._stack.control.set_keys(PROVIDERS[name], key)

    def put(self, name: str, value: str, *options: str) -> None:
        """Set the secret where the functions read it."""
        ended = self._refundctl.run("secrets", "set", name, *options, piped=f"{value}\n")
        assert ended.returncode == 0, ended.stderr
        assert value not in ended.stdout + ended.stderr

    def mistype(self, name: str, value: str) -> str:
        """The command's answer to a key that the provider does not accept."""
        ended = self._refundctl.run("secrets", "set", name, piped=f"{value}x\n")
        assert ended.returncode == 1, ended.stdout
        return ended.stderr


@pytest.fixture(scope="module")
def remembering_stack() -> Iterator[RunningStack]:
    """A stack of this module's own, whose functions remember secrets for a quarter of an hour."""
    with running_stack(parameters=REMEMBERING) as running:
        yield running


@pytest.fixture(scope="module")
def its_operator(
    remembering_stack: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    yield from operator_of(remembering_stack, tmp_path_factory.mktemp("operator"))


@pytest.fixture
def operator(stack: RunningStack, tmp_path: Path) -> Iterator[Operator]:
    """The operator of the calm stack; afterwards its secrets are as they were."""
    store = SecretStore(stack.client("ssm"), stack.stage.secrets_prefix)
    yield from operator_of(stack, tmp_path)
    for name, provider in PROVIDERS.items():
        stack.control.set_keys(provider, OLD[name])
        store.put(name, OLD[name])
    store.put(HITPAY_WEBHOOK_SALTS, SALT)
    forgotten()


def operator_of(stack: RunningStack, directory: Path) -> Iterator[Operator]:
    file = directory / "stack.json"
    with announced(stack, file):
        yield Operator(stack, Refundctl(file))


def forgotten() -> None:
    """Wait until no worker of the calm stack caches secrets from before now."""
    over = time.monotonic() + CALM_CACHE_SECONDS + 1
    wait_for(lambda: time.monotonic() > over or None, "the cache to be over", at_most=60)


def paid(stack: RunningStack, prefix: str) -> tuple[DemoPayment, ...]:
    """More payments than can be refunded during the test."""
    payments = fresh_payments(600, prefix=prefix)
    stack.control.seed(seed_of(*payments))
    return payments


def refused(stack: RunningStack) -> dict[str, int]:
    """How many calls each provider has refused for their key: Stripe by 401, HitPay by 403."""
    return {
        provider: sum(call.status in (401, 403) for call in stack.control.calls(provider))
        for provider in PROVIDERS.values()
    }


def test_in_the_right_order_nobody_notices(
    stack: RunningStack, api: RefundApiClient, operator: Operator
) -> None:
    before = refused(stack)
    with refunding(stack, api, paid(stack, "careful")) as stream:
        stream.go_on(4)
        for name in PROVIDERS:
            # When a new key is made, put, and the old one revoked when it is no longer used
            new = operator.make_another(name)
            operator.put(name, new)
            forgotten()
            operator.revoke_all_but(name, new)
            stream.go_on(4)
    wait_until_all_is_reported(stack, stream)
    # Then no caller was refused, and no function either
    assert stream.refusals() == set(), stream.told
    assert refused(stack) == before


def test_old_keys_that_are_revoked_before_they_are_forgotten_are_no_error(
    remembering_stack: RunningStack, its_operator: Operator
) -> None:
    stack, operator = remembering_stack, its_operator
    api = RefundApiClient(stack.api_url, stack.api_key)
    with refunding(stack, api, paid(stack, "hurried")) as stream:
        # Given refunds and reports under way with the old keys
        stream.go_on(6)
        wait_for(lambda: len(stack.control.reports()) >= 4, "reports under way", at_most=60)
        # When new keys are made beside them and put, and the old ones are revoked at once
        new = {name: operator.make_another(name) for name in PROVIDERS}
        for name in PROVIDERS:
            operator.put(name, new[name])
        stream.go_on(4)
        assert set(refused(stack).values()) == {0}
        for name in PROVIDERS:
            operator.revoke_all_but(name, new[name])
        stream.go_on(8)
    wait_until_all_is_reported(stack, stream)
    # Then no caller noticed: a function that is refused once reads all keys anew, and asks again
    assert stream.refusals() == set(), stream.told
    assert any(refused(stack).values())


def test_keys_that_are_revoked_before_others_are_put_stop_refunds_and_lose_none(
    remembering_stack: RunningStack, its_operator: Operator
) -> None:
    stack, operator = remembering_stack, its_operator
    api = RefundApiClient(stack.api_url, stack.api_key)
    with refunding(stack, api, paid(stack, "careless")) as stream:
        stream.go_on(4)
        # When the keys in use are revoked at both providers, before others are put
        new = {name: operator.make_another(name) for name in PROVIDERS}
        for name in PROVIDERS:
            operator.revoke_all_but(name, new[name])
        # Then refunds are refused, with the promise that nothing was executed
        wait_for(stream.refusals, "a refusal", at_most=60)
        # And a mistyped key replaces nothing
        for name in PROVIDERS:
            assert f"refuses the key ({REFUSED_BY[name]})" in operator.mistype(name, new[name])
        # When the new ones are put, then refunds go on as soon as keys may be read again
        for name in PROVIDERS:
            operator.put(name, new[name])
        stream.go_on(8, at_most=REREAD_SECONDS + 60)
    wait_until_all_is_reported(stack, stream)
    assert stream.refusals() <= {f"503 {code}" for code in NOT_NOW}, stream.told


def test_the_webhooks_salt_is_changed_while_webhooks_come(
    stack: RunningStack, operator: Operator
) -> None:
    in_use, statuses, over = [SALT], Counter[int](), threading.Event()

    def webhooks() -> None:
        while not over.wait(0.2):
            statuses[webhook(stack, in_use[-1])] += 1

    # Given webhooks of HitPay, one after the other
    hitpay = threading.Thread(target=webhooks)
    hitpay.start()
    try:
        # When the new salt is put beside the old one, then changed at HitPay
        operator.put(HITPAY_WEBHOOK_SALTS, "the-new-salt-of-hitpay", "--another")
        forgotten()
        assert webhook(stack, SALT) == webhook(stack, "the-new-salt-of-hitpay") == 200
        in_use.append("the-new-salt-of-hitpay")
        # One that was signed with the old salt may be on its way; none is after two more.
        enough = statuses.total() + 2
        wait_for(lambda: statuses.total() >= enough, "webhooks under the new salt", at_most=60)
        forgotten()
        # And the old one taken out
        operator.put(HITPAY_WEBHOOK_SALTS, "the-new-salt-of-hitpay")
        forgotten()
    finally:
        over.set()
        hitpay.join()
    # Then every webhook was taken, and one under the old salt no longer is
    assert set(statuses) == {200}
    assert webhook(stack, SALT) == 401


def webhook(stack: RunningStack, salt: str) -> int:
    """What the stack answers to a webhook about a charge that is not there."""
    body = b'{"id": "00000000-0000-4000-8000-000000000000", "amount": 1.10}'
    signature = hmac.new(salt.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "Hitpay-Event-Object": "charge",
        "Hitpay-Signature": signature,
    }
    api = RefundApiClient(stack.api_url, "not a caller")
    return api.request("POST", "/v1/webhooks/hitpay", raw=body, headers=headers).status
