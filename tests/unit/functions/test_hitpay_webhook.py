"""HitPay's webhook as API Gateway hands it over on AWS: signed over the bytes that HitPay sent."""

import hashlib
import hmac
import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import pytest

from deployed import paths
from functions.hitpay_webhook.app import handler
from refund_bridge.adapters.aws_runtime.rest import BODY_BYTES_MAX
from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.bootstrap.hitpay_webhook import HitPayWebhookWorld
from refund_bridge.ports.ledger import LedgerConflictError
from tests.fakes.world import World

SAMPLE = paths.ROOT / "events" / "hitpay_webhook_post.json"
# As HitPay may print it: the signature is over these very bytes.
BODY = '{"id":"charge-1",  "note": "Größe \\u20ac", "amount": 99.990}'.encode()
CONTEXT: Any = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1024, invoked_function_arn="a", aws_request_id="l"
)


class Webhook:
    """The function on a world in memory, with the salts ``old`` and ``new``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world = World()
        world.pay()
        self.looks: list[str] = []
        self.failure: Exception | None = None
        salts: Any = SimpleNamespace(current=self._salts)
        observe: Any = self._observe
        function = HitPayWebhookWorld(
            observe=observe,
            look_once=world.look_once,
            salts=salts,
            clock=world.clock,
            telemetry=world.telemetry,
        )
        monkeypatch.setattr("functions.hitpay_webhook.app.hitpay_webhook", lambda _: function)

    def _salts(self) -> tuple[str, ...]:
        if isinstance(self.failure, KeyUnavailableError):
            raise self.failure
        return ("old", "new")

    def _observe(self, key: Any, deadline: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        self.looks.append(key.charge_id)
        return self.world.observe(key, deadline)

    def sent(
        self, body: bytes = BODY, *, salt: str = "new", encoded: bool = False, **changes: Any
    ) -> tuple[int, dict[str, Any]]:
        """The answer to a webhook with that body, signed with ``salt``."""
        event = json.loads(SAMPLE.read_text())
        signature = hmac.new(salt.encode(), body, hashlib.sha256).hexdigest()
        event["headers"]["Hitpay-Signature"] = signature
        event["body"] = b64encode(body).decode() if encoded else body.decode()
        event["isBase64Encoded"] = encoded
        event["headers"] |= changes.pop("headers", {})
        answer = handler(event | changes, CONTEXT)
        assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Webhook:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "RefundBridge/test")
    return Webhook(monkeypatch)


@pytest.mark.parametrize("salt", ["old", "new"])
@pytest.mark.parametrize("encoded", [False, True])
def test_a_genuine_one_is_looked_into(webhook: Webhook, salt: str, encoded: bool) -> None:
    assert webhook.sent(salt=salt, encoded=encoded) == (200, {"status": "nothing_refunded"})
    assert webhook.looks == ["charge-1"]


def test_the_same_one_thirty_times_is_one_look(webhook: Webhook) -> None:
    answers = [webhook.sent() for _ in range(30)]
    assert answers == [(200, {"status": "nothing_refunded"})] * 30
    assert webhook.looks == ["charge-1"]

    # And one that says something else of the charge is followed at once
    webhook.sent(BODY.replace(b"99.990", b"89.990"))
    assert webhook.looks == ["charge-1"] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": "another"},
        {"headers": {"Hitpay-Signature": ""}},
        {"headers": {"Hitpay-Signature": "\ud800"}},
        {"headers": {"Hitpay-Signature": "0" * 100_000}},
        {"body": BODY.decode().replace("  ", " ")},
        {"body": None},
        {"body": "***", "isBase64Encoded": True},
        # Of the encoded text, where the bytes behind it are what HitPay signed.
        {"body": b64encode(BODY).decode()},
        {"headers": None, "multiValueHeaders": None, "requestContext": None},
    ],
)
def test_anything_else_is_401_and_nobody_is_asked(
    webhook: Webhook, changes: dict[str, Any]
) -> None:
    event = json.loads(SAMPLE.read_text())
    salt = changes.pop("salt", "new")
    event["headers"]["Hitpay-Signature"] = hmac.new(salt.encode(), BODY, hashlib.sha256).hexdigest()
    event["body"] = BODY.decode()
    given = changes.pop("headers", {})
    event["headers"] = None if given is None else event["headers"] | given
    answer = handler(event | changes, CONTEXT)
    assert answer["statusCode"] == 401
    assert answer["multiValueHeaders"]["WWW-Authenticate"] == ["HMAC-SHA256"]
    assert json.loads(answer["body"])["error"]["code"] == "unauthorized"
    assert webhook.looks == []
    assert webhook.world.telemetry.events == ["webhook_refused"]


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"id": "\\ud800"}', b'{"id": "a\\nb"}', b"[" * 100_000]
)
def test_a_genuine_one_without_a_charge_is_400(webhook: Webhook, body: bytes) -> None:
    status, answer = webhook.sent(body, encoded=True)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert webhook.looks == []


@pytest.mark.parametrize("encoded", [False, True])
def test_one_that_is_too_large_is_413_before_its_signature_is_looked_at(
    webhook: Webhook, encoded: bool
) -> None:
    status, _ = webhook.sent(b"x" * (BODY_BYTES_MAX + 1), salt="another", encoded=encoded)
    assert status == 413


def test_another_kind_of_object_is_ignored(webhook: Webhook) -> None:
    answer = webhook.sent(headers={"Hitpay-Event-Object": "payout"})
    assert answer == (200, {"status": "ignored"})
    assert webhook.looks == []


@pytest.mark.parametrize(
    "failure", [KeyUnavailableError("x"), LedgerConflictError("x"), RuntimeError("a-salt")]
)
def test_what_breaks_here_makes_hitpay_send_it_again(webhook: Webhook, failure: Exception) -> None:
    webhook.failure = failure
    status, answer = webhook.sent()
    assert (status, answer["error"]["details"]) == (500, {"outcome": "unknown"})
    assert "a-salt" not in str(answer)


@pytest.mark.parametrize("changes", [{"httpMethod": "GET"}, {"path": "/v1/refunds"}])
def test_what_the_gateway_never_leads_here_is_not_found(
    webhook: Webhook, changes: dict[str, Any]
) -> None:
    status, answer = webhook.sent(**changes)
    assert (status, answer["error"]["code"]) == (404, "not_found")


def test_what_hitpays_own_client_sends_is_401_unless_it_is_signed(webhook: Webhook) -> None:
    # Given the event that HitPay's command-line client triggers, which signs nothing
    told = {"event": "charge.updated", "charge_id": "ch_test_x", "amount": "75.00"}
    body = json.dumps(told | {"status": "completed", "hmac": "test_signature"}).encode()
    unsigned = {"Hitpay-Event-Object": "event", "Hitpay-Signature": ""}
    assert webhook.sent(body, headers=unsigned)[0] == 401

    # When the same is signed, as of a charge, then the charge is looked at
    assert webhook.sent(body, headers={"Hitpay-Event-Object": "charge"})[0] == 200
    assert webhook.looks == ["ch_test_x"]


def test_the_webhook_of_a_payment_request_is_told_which_one_to_set_up(webhook: Webhook) -> None:
    # Given the form that HitPay sends per payment request, with its own signature inside
    body = b"payment_id=p&payment_request_id=r&amount=1.00&status=completed&hmac=abc"
    form = {"Content-Type": "application/x-www-form-urlencoded", "Hitpay-Signature": ""}
    status, answer = webhook.sent(body, headers=form)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert "charge.updated" in answer["error"]["message"]
    assert webhook.looks == []
