"""The synchronous function, written plainly with Powertools, boto3, Pydantic and Stripe's library.

It takes the same steps as this service, for the same answer: authorise, check whether the key is
known, read the record, read the charge, store the intent, refund, store the outcome, queue the
report. It lacks the difficult parts: it can refund twice, lose a refund, and never tell Stripe.
"""

import hashlib
import hmac
import json
import os
from typing import Any
from urllib.parse import urlencode

import boto3
import stripe
import urllib3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

PREFIX = os.environ["SECRETS_PREFIX"]
HITPAY_URL = os.environ["HITPAY_URL"]
SECRETS_AGE_S = 60

logger = Logger()
app = APIGatewayRestResolver()
pool = urllib3.PoolManager()
table = boto3.resource("dynamodb").Table(os.environ["REFUNDS_TABLE"])
sqs = boto3.client("sqs")
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
idempotency = IdempotencyConfig(event_key_jmespath="key", raise_on_no_idempotency_key=True)


class RefundRequest(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    payment_record: str
    amount: int = Field(ge=1)
    reason: str | None = None
    metadata: dict[str, str] = {}


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    idempotency.register_lambda_context(context)
    return app.resolve(event, context)


@app.post("/v1/refunds")
def create_refund() -> Response[str]:
    """Refund, once per idempotency key."""
    headers = app.current_event.headers
    authorise(headers.get("Authorization", ""))
    request = RefundRequest.model_validate_json(app.current_event.body or "")
    answer = refund_once(
        refund={"key": headers["Idempotency-Key"], "request": request.model_dump()}
    )
    return Response(status_code=201, content_type="application/json", body=json.dumps(answer))


@idempotent_function(  # type: ignore[untyped-decorator]
    data_keyword_argument="refund", persistence_store=persistence, config=idempotency
)
def refund_once(*, refund: dict[str, Any]) -> dict[str, Any]:
    """The steps of one refund."""
    key, request = refund["key"], RefundRequest(**refund["request"])
    client = stripe.StripeClient(
        secret("stripe-secret-key"), base_addresses={"api": os.environ["STRIPE_URL"]}
    )
    record = client.v1.payment_records.retrieve(request.payment_record)
    payment_id = record.metadata["hitpay_payment_id"]
    currency = record.amount_requested.currency
    charge = ask_hitpay("GET", f"/v1/charges/{payment_id}")
    if charge["currency"] != currency:
        raise ValueError("currency_mismatch")
    table.put_item(
        Item={
            "id": key,
            "status": "submitting",
            "payment_record": request.payment_record,
            "payment_id": payment_id,
            "amount": request.amount,
            "currency": currency,
        },
        ConditionExpression="attribute_not_exists(id)",
    )
    amount = f"{request.amount // 100}.{request.amount % 100:02}"
    made = ask_hitpay("POST", "/v1/refund", {"payment_id": payment_id, "amount": amount})
    table.update_item(
        Key={"id": key},
        UpdateExpression="SET #status = :status, refund_id = :refund_id",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": "succeeded", ":refund_id": made["id"]},
    )
    sqs.send_message(QueueUrl=os.environ["REPORT_QUEUE_URL"], MessageBody=json.dumps({"id": key}))
    logger.info("refunded", extra={"refund_id": made["id"]})
    return {"id": key, "status": "succeeded", "amount": request.amount, "currency": currency}


def ask_hitpay(method: str, path: str, fields: dict[str, str] | None = None) -> dict[str, Any]:
    """One call of HitPay."""
    response = pool.request(
        method,
        HITPAY_URL + path,
        body=urlencode(fields) if fields else None,
        headers={
            "X-BUSINESS-API-KEY": secret("hitpay-api-key"),
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    answer: dict[str, Any] = response.json()
    if response.status >= 300:
        raise RuntimeError(answer.get("message"))
    return answer


def authorise(authorization: str) -> None:
    """Compare the digest of the caller's key."""
    stored = json.loads(secret("api-keys/benchmark"))
    digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
    if not hmac.compare_digest(digest, stored["sha256"]):
        raise PermissionError("unauthorized")


def secret(name: str) -> str:
    """A SecureString, remembered for a minute."""
    value = parameters.get_parameter(f"{PREFIX}/{name}", decrypt=True, max_age=SECRETS_AGE_S)
    return str(value)
