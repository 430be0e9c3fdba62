"""Outgoing webhooks as the commands and the console use them: addresses, cursors and the queue."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployed.webhook_addresses import WebhookAddressStore
from refund_bridge.adapters.dynamodb.webhook_addresses import DynamoDbWebhookAddresses
from refund_bridge.adapters.dynamodb.webhook_cursors import DynamoDbWebhookCursors
from refund_bridge.adapters.sqs.webhook_bell import SqsWebhookBell
from refund_bridge.delivering.ports import (
    AddressState,
    AddressStates,
    Bell,
    Cursor,
    Cursors,
    Status,
)
from refund_bridge.ports.ledger import DUE_SHARDS
from refund_bridge.ports.listing import LAST_MS
from refundctl.target import Target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

# At most this many cursors of a shard are read: enough to see that many are owed.
OWED_PER_SHARD = 50


@dataclass(frozen=True, kw_only=True)
class AddressAtWork:
    """An address, and what it has not received yet.

    Attributes:
        owed: how many refunds have events that it has not received, as far as they were counted.
        oldest_owed_ms: since when the oldest of them waits; `None` if there is none.
    """

    state: AddressState
    owed: int = 0
    oldest_owed_ms: int | None = None


def word_of(one: AddressAtWork, now_ms: int) -> str:
    """The state of an address, in one word."""
    if one.state.status is Status.ENABLED and one.state.is_closed(now_ms):
        return "closed"
    return one.state.status.value


@dataclass(frozen=True, kw_only=True)
class WebhooksOut:
    """Addresses, cursors and the queue of one deployment.

    Attributes:
        step_ms: a minute; shorter on local stages.
    """

    store: WebhookAddressStore
    states: AddressStates
    cursors: Cursors
    bell: Bell
    step_ms: int

    def at_work(self) -> list[AddressAtWork]:
        """Every address that is not removed, with what it has not received yet."""
        owed: dict[str, list[Cursor]] = defaultdict(list)
        for cursor in self._owed():
            owed[cursor.address_id].append(cursor)
        return [
            AddressAtWork(
                state=state,
                owed=len(owed[state.id]),
                oldest_owed_ms=min((one.owed_since_ms for one in owed[state.id]), default=None),
            )
            for state in self.states.states()
        ]

    def hurry(self, address_id: str, now_ms: int) -> int:
        """Have settling wake the delivery at once for what an address has not received.

        Returns for how many refunds.
        """
        owed = [one for one in self._owed() if one.address_id == address_id]
        for one in owed:
            self.cursors.check_again(one.refund_id, address_id, at_ms=now_ms)
        return len(owed)

    def of_refund(self, refund_id: str) -> Sequence[Cursor]:
        """How far each address has been told of a refund."""
        keys = [(refund_id, state.id) for state in self.states.states()]
        return sorted(self.cursors.cursors(keys), key=lambda cursor: cursor.address_id)

    def _owed(self) -> list[Cursor]:
        keys = [
            key
            for shard in range(DUE_SHARDS)
            for key in self.cursors.due(shard, before_ms=LAST_MS, limit=OWED_PER_SHARD)
        ]
        return [one for one in self.cursors.cursors(keys) if one.is_owed] if keys else []


def webhooks_out_of(target: Target) -> WebhooksOut:
    """The outgoing webhooks of a deployment."""
    ssm: SSMClient = target.client("ssm")
    sqs: SQSClient = target.client("sqs")
    dynamodb: DynamoDBClient = target.client("dynamodb")
    stack = target.stack
    table = stack.outputs["LedgerTable"]
    return WebhooksOut(
        store=WebhookAddressStore(
            ssm, stack.outputs["SecretsPrefix"], kms_key_id=stack.parameters.get("KmsKeyArn", "")
        ),
        states=DynamoDbWebhookAddresses(dynamodb, table),
        cursors=DynamoDbWebhookCursors(dynamodb, table),
        bell=SqsWebhookBell(sqs, stack.outputs.get("WebhookQueueUrl", "")),
        step_ms=int(stack.parameters.get("WebhookRetrySeconds", "60")) * 1000,
    )
