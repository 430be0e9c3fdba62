"""Schemathesis calls the functions in memory with what it makes up from the OpenAPI document.

Its checks find no 5xx and no answer that the document does not have; what breaks the document is
refused, what keeps to it is not called invalid. What the deployed gateway adds is tried by fewer
calls (``tests/integration/test_openapi_fuzz.py``).
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from functions.hitpay_webhook import app as webhook_app
from functions.refund_api import app as api_app
from refund_bridge.bootstrap.hitpay_webhook import HitPayWebhookWorld
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.http.address_throttle import AddressThrottle
from refund_bridge.http.callers import PAYOUT, READ, WRITE, ApiKeyHolder, KeyCallers
from tests.fakes.api import api_on
from tests.fakes.world import World
from tests.openapi.api_in_memory import served
from tests.openapi.document import operations
from tests.openapi.fuzzing import ANSWERED_2XX_AT_LEAST, Fuzzed, Run, fuzz

pytestmark = pytest.mark.heavy

# Each fitting refund has one of its own.
PAYMENTS = [f"fuzz_{number:04d}" for number in range(1, 2001)]
KEY, SALT, CARD = "rbk_fuzz", "salt", "pm_fuzz"


class Ring:
    """One key, that may do everything."""

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        if bearer_token != KEY:
            return None
        return ApiKeyHolder("fuzz", frozenset({READ, WRITE, PAYOUT}))


@pytest.fixture(scope="module")
def api_url() -> Iterator[str]:
    """The functions with payments enough for all."""
    world = World(doors=("hitpay", "ccg"))
    world.doors["ccg"].books.methods[CARD] = PaymentMethodKind.CARD
    for name in PAYMENTS:
        record = world.pay(name)
        world.stripe.add_reference(
            f"pi_{name}",
            {"hitpay_payment_id": f"charge-{name}", "stripe_payment_record_id": record},
        )
    api = api_on(world, KeyCallers(Ring(), AddressThrottle(world.clock), world.telemetry))
    salts: Any = SimpleNamespace(current=lambda: (SALT,))
    webhook = HitPayWebhookWorld(
        observe=world.observe,
        look_once=world.look_once,
        salts=salts,
        clock=world.clock,
        telemetry=world.telemetry,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("POWERTOOLS_METRICS_NAMESPACE", "RefundBridge/test")
        patched.setattr(api_app, "refund_api", lambda _: api)
        patched.setattr(webhook_app, "hitpay_webhook", lambda _: webhook)
        with served(api_app.handler, webhook_app.handler) as url:
            yield url


@pytest.fixture(scope="module")
def run(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    charges = [f"charge-{name}" for name in PAYMENTS]
    fuzzed = Fuzzed(api_url, KEY, PAYMENTS, charges, CARD, SALT)
    return fuzz(fuzzed, tmp_path_factory.mktemp("fuzz"))


def test_no_answer_breaks_the_document(run: Run) -> None:
    assert run.exit_code == 0, run.output


def test_no_call_fails_here(run: Run) -> None:
    assert run.failed_here == {}


@pytest.mark.parametrize("operation", [operation.name for operation in operations()])
def test_enough_of_the_calls_get_through(run: Run, operation: str) -> None:
    assert run.share_of_2xx(operation) >= ANSWERED_2XX_AT_LEAST, str(run)
