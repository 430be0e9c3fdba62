"""One DynamoDB table: consistent reads, and requests that are repeated while it is only busy."""

import time
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, NoReturn

from botocore.exceptions import BotoCoreError, ParamValidationError

from refund_bridge.adapters.dynamodb.checks import LedgerDefectError
from refund_bridge.adapters.dynamodb.keys import Item, can_exist
from refund_bridge.adapters.dynamodb.refusals import (
    INVALID,
    PAUSES_S,
    RequestRefusedError,
    ask_again_if_busy,
)
from refund_bridge.adapters.dynamodb.values import decode_item, encode_item
from refund_bridge.ports.ledger import LedgerUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The system's randomness, not a state that all copies of a snapshot would share.
_random: Final = SystemRandom().random
_BATCH_MAX: Final = 100  # DynamoDB's own limit on one BatchGetItem


class DynamoDbTable:
    """The table ``name``; ``sleep`` (seconds) and ``random`` (0 to 1) set pauses between tries."""

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = _random,
    ) -> None:
        self.name = name
        self._client = client
        self._sleep = sleep
        self._random = random

    def get(self, key: Item) -> Item | None:
        """The item of that key, as it is now.

        Raises:
            LedgerUnavailableError: there was no answer.
        """
        if not can_exist(key):
            return None
        answer = self._read(
            "get_item", TableName=self.name, Key=encode_item(key), ConsistentRead=True
        )
        return decode_item(answer["Item"]) if "Item" in answer else None

    def batch_get(self, keys: Sequence[Item]) -> list[Item]:
        """Those items of these distinct keys that exist, as they are now, in any order.

        Raises:
            LedgerUnavailableError: there was no answer for one of them.
        """
        possible = [encode_item(key) for key in keys if can_exist(key)]
        return [
            item
            for start in range(0, len(possible), _BATCH_MAX)
            for item in self._get_some(possible[start : start + _BATCH_MAX])
        ]

    def query(self, **request: Any) -> list[Item]:
        """One page of an index, which may lag behind what is durable.

        Raises:
            LedgerUnavailableError: there was no answer.
        """
        answer = self._read("query", TableName=self.name, **request)
        return [decode_item(item) for item in answer["Items"]]

    def count(self, **request: Any) -> int:
        """How many keys one page of an index holds, at most as many as fit into a megabyte.

        Raises:
            LedgerUnavailableError: there was no answer.
        """
        answer = self._read("query", TableName=self.name, Select="COUNT", **request)
        return int(answer["Count"])

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """The answer to one request, repeated while the table is only busy.

        Raises:
            RequestRefusedError: DynamoDB refused after all tries; the caller decides what it means.
            LedgerUnavailableError: there was no answer.
            LedgerDefectError: the request was not one that could be sent.
        """
        # By name, because requests are built as maps, which the client's stubs cannot follow.
        call: Callable[..., dict[str, Any]] = getattr(self._client, operation)
        try:
            return ask_again_if_busy(lambda: call(**request), self._sleep, self._random)
        except ParamValidationError as error:
            # Its text repeats the request.
            raise LedgerDefectError(f"{operation}: {type(error).__name__}") from None
        except BotoCoreError as error:
            raise LedgerUnavailableError(f"{operation}: {type(error).__name__}") from error

    def _get_some(self, keys: list[Any]) -> list[Item]:
        found: list[Item] = []
        wanted = keys
        for pause in (*PAUSES_S, None):
            request = {self.name: {"Keys": wanted, "ConsistentRead": True}}
            answer = self._read("batch_get_item", RequestItems=request)
            found += map(decode_item, answer.get("Responses", {}).get(self.name, ()))
            wanted = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if not wanted:
                return found
            if pause is not None:
                self._sleep(pause * (1 - self._random() / 2))
        raise LedgerUnavailableError(f"batch_get_item left {len(wanted)} keys unread")

    def _read(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            return self.ask(operation, **request)
        except RequestRefusedError as refusal:
            unavailable_or_defect(refusal)


def unavailable_or_defect(refusal: RequestRefusedError) -> NoReturn:
    """Raise the error for a refusal that is not a conflict."""
    if refusal.objects(INVALID):
        raise LedgerDefectError(f"DynamoDB finds the request not valid: {refusal}") from refusal
    raise LedgerUnavailableError(str(refusal)) from refusal
