"""The function ``refund_api`` on a world in memory, as API Gateway calls it."""

import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import pytest

from deployed import paths
from functions.refund_api.app import handler
from refund_bridge.http.address_throttle import AddressThrottle
from refund_bridge.http.callers import PAYOUT, READ, WRITE, ApiKeyHolder, KeyCallers
from tests.fakes.api import api_on
from tests.fakes.world import World

SAMPLE = paths.ROOT / "events" / "refund_api_post.json"
ASKED = '{"payment_record": "pr_1", "amount": 100}'
SCOPES = {"all": {READ, WRITE}, "reader": {READ}, "writer": {WRITE}, "payer": {PAYOUT}}
FORM = "application/x-www-form-urlencoded"
CONTEXT: Any = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1024, invoked_function_arn="a", aws_request_id="l"
)


class Ring:
    """Whose key is called like what it may do."""

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        scopes = SCOPES.get(bearer_token)
        return None if scopes is None else ApiKeyHolder(bearer_token, frozenset(scopes))


class Api:
    """The function on a world in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world = World()
        world.pay()
        callers = KeyCallers(Ring(), AddressThrottle(world.clock), world.telemetry)
        self.function = api_on(world, callers, account="acct_1")
        monkeypatch.setattr("functions.refund_api.app.refund_api", lambda _: self.function)

    def post(self, **changes: Any) -> tuple[int, dict[str, Any]]:
        """POST the sample of ``events/``, for SGD 1.00."""
        event = json.loads(SAMPLE.read_text().replace("rbk_replace-with-an-api-key", "all"))
        event["body"] = ASKED
        return self.answered(event | changes)

    def get(self, path: str, *, key: str = "all", **changes: Any) -> tuple[int, dict[str, Any]]:
        """GET a path without a query."""
        event = json.loads(SAMPLE.read_text()) | {"httpMethod": "GET", "path": path, "body": None}
        event["headers"] = {"Authorization": f"Bearer {key}"}
        return self.answered(event | {"multiValueHeaders": {}} | changes)

    def answered(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the body, which is JSON whatever happens."""
        answer = handler(event, CONTEXT)
        assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]
        assert answer["multiValueHeaders"]["Cache-Control"] == ["no-store"]
        return answer["statusCode"], json.loads(answer["body"])

    @property
    def sent(self) -> int:
        """How often the processor was asked to move money."""
        return len(self.world.processor.instructions)


def code(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    status, body = answer
    return status, body["error"]["code"]


def basic(credentials: str) -> str:
    return "Basic " + b64encode(credentials.encode()).decode()


def headers(**changes: str | None) -> dict[str, str]:
    """The headers of a call; ``None`` leaves one out."""
    given: dict[str, str | None] = {
        "Authorization": "Bearer all",
        "Content-Type": "application/json",
        "Idempotency-Key": "k",
    }
    given |= {name.replace("_", "-"): text for name, text in changes.items()}
    return {name: text for name, text in given.items() if text is not None}
