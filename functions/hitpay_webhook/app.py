"""``hitpay_webhook``: HitPay's webhook → is it genuine? → the charge is re-read, the ledger learns.

``observing/observe_payment.py`` says what is learnt and how. An unsigned call is only counted. Any
answer but 2xx makes HitPay send the webhook again. If the same webhook comes again at once, from
any sender, it gets the earlier result (``refunding/recent_looks.py``).
"""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.adapters.aws_runtime.rest import RestFunction
from refund_bridge.adapters.telemetry.function_log import function_log
from refund_bridge.bootstrap.hitpay_webhook import hitpay_webhook
from refund_bridge.bootstrap.telemetry import metered
from refund_bridge.domain.errors import UnauthorizedError
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.http.answers import ApiAnswer
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.hitpay.webhook import (
    CHARGE,
    charge_id_in,
    is_signed,
    refuse_vendor_webhook,
)
from refund_bridge.refunding.recent_looks import Looked, hinted

# All provider calls of one webhook together; under the gateway's 29 s with room to answer.
PROVIDER_BUDGET_MS = 24_000
PROCESSOR = "hitpay"

logger = function_log()
rest = RestFunction(
    logger,
    challenge="HMAC-SHA256",
    unknown="The webhook could not be handled now; send it again.",
)


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one webhook; every path ends in an answer of the contract's form."""
    return rest.resolve(event, context)


@rest.app.post("/v1/webhooks/hitpay")
def receive() -> Response[str]:
    """Observe the charge that a genuine webhook is about; what is learnt is durable on return."""
    world = hitpay_webhook(logger)
    body = rest.body()
    if not is_signed(body, rest.header("Hitpay-Signature"), world.salts.current()):
        world.telemetry.note("webhook_refused")
        refuse_vendor_webhook(body, rest.header("Content-Type"))
        raise UnauthorizedError("The signature is not that of this body.")
    if (rest.header("Hitpay-Event-Object") or CHARGE) != CHARGE:
        return rest.answer(ApiAnswer(200, {"status": "ignored"}))
    key = PaymentKey(PROCESSOR, charge_id_in(body))
    deadline = Deadline.after(world.clock, PROVIDER_BUDGET_MS)
    looked = world.look_once(
        hinted(key, body), lambda: Looked(word=world.observe(key, deadline)), deadline
    )
    return rest.answer(ApiAnswer(200, {"status": looked.word}))
