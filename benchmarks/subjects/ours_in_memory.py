"""This service's handlers as deployed, except for AWS: ledger, queue and secrets are in memory.

Before the bootstrap imports the adapters, they are replaced by the tests' fakes, which keep the
same contract. Providers are called over real sockets.
"""

import os
from typing import Any

from benchmarks.gateway import CALLER, CALLER_PARAMETER
from benchmarks.subjects.functions import Functions
from benchmarks.subjects.ours import on
from refund_bridge.adapters.aws_runtime import clients as aws_clients
from refund_bridge.adapters.dynamodb import ledger as dynamodb_ledger
from refund_bridge.adapters.sqs import doorbell as sqs_doorbell
from tests.fakes.ledger import MemoryLedger
from tests.fakes.world import FakeDoorbell


def make() -> Functions:
    """The process's subject."""
    ledger, doorbell, parameters = MemoryLedger(), FakeDoorbell(), _Parameters()
    replaced: list[tuple[Any, str, Any]] = [
        (aws_clients, "ssm_client", lambda: parameters),
        (aws_clients, "sqs_client", lambda: None),
        (aws_clients, "dynamodb_client", lambda: None),
        (dynamodb_ledger, "DynamoDbLedger", lambda *_, **__: ledger),
        (sqs_doorbell, "SqsDoorbell", lambda *_, **__: doorbell),
    ]
    for module, name, fake in replaced:
        if not hasattr(module, name):
            raise AttributeError(f"{module.__name__} has no {name} to put a fake in place of")
        setattr(module, name, fake)
    return on(None)


class _Parameters:
    """The calls of the Systems Manager's client that read secrets."""

    def __init__(self) -> None:
        prefix = os.environ["SECRETS_PREFIX"]
        self._values = {
            f"{prefix}/stripe-secret-key": os.environ["STRIPE_SECRET_KEY"],
            f"{prefix}/hitpay-api-key": os.environ["HITPAY_API_KEY"],
            f"{prefix}/{CALLER_PARAMETER}": CALLER,
        }

    def get_parameters(self, *, Names: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        """Answer as the Systems Manager does."""
        found = [self._parameter(name) for name in Names if name in self._values]
        return {
            "Parameters": found,
            "InvalidParameters": [n for n in Names if n not in self._values],
        }

    def get_parameters_by_path(self, *, Path: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Answer as the Systems Manager does."""
        under = [name for name in self._values if name.startswith(Path.rstrip("/") + "/")]
        return {"Parameters": [self._parameter(name) for name in under]}

    def _parameter(self, name: str) -> dict[str, Any]:
        return {"Name": name, "Value": self._values[name], "Type": "SecureString", "Version": 1}
