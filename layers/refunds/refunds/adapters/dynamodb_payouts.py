"""The days' sums of payouts in the ledger's table: ``payouts#<day>#<currency>``."""

from typing import TYPE_CHECKING, Final

from refunds.adapters.attribute_values import encode_item
from refunds.adapters.dynamodb_refusals import CONDITION_FAILED, RefusedError
from refunds.adapters.dynamodb_table import DynamoDbTable, unavailable_or_defect

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1


class DynamoDbPayouts:
    """``payouts.PayoutSums`` on the ledger's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = DynamoDbTable(client, table)

    def add(self, day: str, currency: str, amount: int, *, at_most: int) -> bool:
        """Whether it was added; see ``PayoutSums``."""
        if amount > at_most:
            return False
        try:
            self._table.ask(
                "update_item",
                TableName=self._table.name,
                Key=encode_item({"pk": f"payouts#{day}#{currency}", "sk": "payouts"}),
                UpdateExpression="ADD asked :amount SET schema_version = :version",
                ConditionExpression="attribute_not_exists(asked) OR asked <= :left",
                ExpressionAttributeValues=encode_item(
                    {":amount": amount, ":left": at_most - amount, ":version": SCHEMA_VERSION}
                ),
            )
        except RefusedError as refusal:
            if refusal.objects(CONDITION_FAILED):
                return False
            unavailable_or_defect(refusal)
        return True
