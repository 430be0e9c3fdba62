"""A client of DynamoDB that refuses as a test says, and commits to try it with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.stub import Stubber

from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.adapters.dynamodb.refusals import PAUSES_S
from refund_bridge.adapters.dynamodb.values import encode_item
from refund_bridge.ports.ledger import Commit, PaymentWrite, ProcessorRefundClaim, RefundWrite
from tests.contract.ledger.examples import a_payment, a_refund_of, stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRIES = len(PAUSES_S) + 1

PAYMENT = a_payment()
REFUND = a_refund_of(PAYMENT)
CLAIM = ProcessorRefundClaim("hitpay", "hp_1", REFUND.id)
TOGETHER = Commit(
    refunds=(RefundWrite(None, REFUND),),
    payments=(PaymentWrite(None, PAYMENT),),
    claims=(CLAIM,),
)
CREATED = Commit(refunds=(RefundWrite(None, REFUND),))
CHANGED = Commit(refunds=(RefundWrite(stored(REFUND, 1), stored(REFUND, 1)),))
CLAIMED = Commit(claims=(CLAIM,))

FAILED, CONFLICT, NONE = "ConditionalCheckFailed", "TransactionConflict", "None"
THROTTLING = ["ThrottlingError", "ProvisionedThroughputExceeded"]
THROTTLED = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
]


@dataclass
class World:
    stub: Stubber
    ledger: DynamoDbLedger
    slept: list[float] = field(default_factory=list)

    def cancel(self, *reasons: str) -> None:
        self.stub.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": reason} for reason in reasons]},
        )

    def refuse(self, method: str, code: str, *, copies: int = 0, item: Any = None) -> None:
        self.stub.add_client_error(
            method,
            code,
            response_meta={"RetryAttempts": copies},
            modeled_fields={} if item is None else {"Item": encode_item(item)},
        )


@contextmanager
def scripted_world(client: "DynamoDBClient") -> Iterator[World]:
    """A ledger on a client that answers from a script, all of which must be used at the end."""
    slept: list[float] = []
    ledger = DynamoDbLedger(
        client, "ledger", sleep=slept.append, random=lambda: 0.0, new_write_id=lambda: "mine"
    )
    with Stubber(client) as stub:
        yield World(stub, ledger, slept)
        stub.assert_no_pending_responses()


@contextmanager
def dynamodb_client() -> Iterator["DynamoDBClient"]:
    """A client that must never reach a network."""
    made: DynamoDBClient = boto3.session.Session().client(
        "dynamodb",
        region_name="ap-southeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield made
    made.close()
