"""Somebody at a terminal, in front of the product's use cases in a world in memory."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from deployed.clients import CloudClients
from deployed.webhook_addresses import WebhookAddressStore
from refund_bridge.config import Mode
from refundctl.command import main
from refundctl.exits import Exit
from refundctl.refunding.service import Service
from refundctl.target import Stack, Target
from refundctl.webhooks_out import WebhooksOut
from refundctl.world import World as OperatorsWorld
from tests.fakes.backlog import MemoryBacklog
from tests.fakes.batches import MemoryBatches
from tests.fakes.service import InProcess
from tests.fakes.webhooks import MemoryAddressStates, MemoryBell, MemoryCursors
from tests.fakes.world import HOLD_MS, REPORT_LEASE_MS, STAGE, STEP_MS, World
from tests.unit.refundctl.told_lines import require_pastable

WHO = "arn:aws:sts::111122223333:assumed-role/Support/mia@example.com"
OUTPUTS = {
    "ReportQueueUrl": "report",
    "ReportDeadLetterQueueUrl": "report-dead",
    "RefundRequestQueueUrl": "request",
    "RefundRequestDeadLetterQueueUrl": "request-dead",
    "EventDeadLetterQueueUrl": "event-dead",
    "WebhookDeadLetterQueueUrl": "webhook-dead",
    "DeliverWebhooksFunctionName": "deliver-webhooks",
    "LedgerTable": "test-ledger",
    "SecretsPrefix": "/refund-bridge/test",
}


class Parameters:
    """The Systems Manager, as far as webhooks' addresses need it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get_paginator(self, _operation: str) -> "Parameters":
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        under = f"{asked['Path']}/"
        found = [value for name, value in self.values.items() if name.startswith(under)]
        return [{"Parameters": [{"Value": value} for value in found]}]

    def put_parameter(self, **asked: Any) -> None:
        assert asked["Type"] == "SecureString"
        assert asked["Overwrite"] is (asked["Name"] in self.values)
        self.values[asked["Name"]] = asked["Value"]

    def delete_parameters(self, *, Names: list[str]) -> None:  # noqa: N803 - boto3's own
        for name in Names:
            self.values.pop(name, None)


def webhooks_in_memory() -> WebhooksOut:
    """Addresses, cursors and a queue that are nowhere but here."""
    ssm: Any = Parameters()
    return WebhooksOut(
        store=WebhookAddressStore(ssm, OUTPUTS["SecretsPrefix"]),
        states=MemoryAddressStates(),
        cursors=MemoryCursors(),
        bell=MemoryBell(),
        step_ms=60_000,
    )


@dataclass
class Ended:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """What it gave to machines."""
        return json.loads(self.out)


class TargetInMemory(Target):
    """The stack of that world; its clients are whatever a test puts there."""

    def __init__(
        self, clients: dict[str, Any], parameters: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__("test", "refund-bridge-test", CloudClients("ap-southeast-1"))
        self._fakes = clients
        self._parameters = parameters

    def client(self, service: str) -> Any:
        if service == "sts":
            return SimpleNamespace(get_caller_identity=lambda: {"Arn": WHO})
        return self._fakes[service]

    def invoke(self, function: str, payload: Mapping[str, Any]) -> Any:
        return self._fakes["invoke"](function, payload)

    @property
    def stack(self) -> Stack:
        return Stack(outputs=OUTPUTS, parameters={"Stage": STAGE, **self._parameters})


@dataclass
class Operator:
    """Runs commands against a world.

    Attributes:
        clients: of AWS, by service.
        parameters: of the deployed stack.
        mode: of the deployed stack, as the operator is shown it.
        closed: one for each command that let go of its world.
    """

    world: World
    capsys: pytest.CaptureFixture[str]
    clients: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    backlog: MemoryBacklog = field(default_factory=MemoryBacklog)
    closed: list[bool] = field(default_factory=list)
    webhooks: WebhooksOut = field(default_factory=webhooks_in_memory)
    batches: MemoryBatches = field(default_factory=MemoryBatches)
    service: Service | None = None
    mode: Mode = Mode.TEST
    sleep: Callable[[float], object] = lambda _: None

    def __call__(self, line: str) -> Ended:
        """Run a command line. Whatever line it tells somebody can be pasted."""
        exit_code = main(shlex.split(line), self._find, self._build, self._reach, self.sleep)
        captured = self.capsys.readouterr()
        require_pastable(captured.out, captured.err)
        return Ended(exit_code, captured.out, captured.err)

    def done(self, line: str) -> Ended:
        """Run a command that must succeed."""
        ended = self(line)
        assert ended.exit_code == Exit.DONE, ended.err
        return ended

    def json(self, line: str) -> Any:
        """What a command that must succeed gives to machines."""
        return self.done(f"{line} --json").value

    def _find(self, stage: str | None, stack_file: Path | None) -> Target:
        return TargetInMemory(self.clients, self.parameters)

    def _reach(self, _target: Target, _key_file: Path | None) -> Service:
        return self.service or InProcess(self.world)

    def _build(self, _target: Target) -> OperatorsWorld:
        world = self.world
        return OperatorsWorld(
            stage=STAGE,
            mode=self.mode,
            hold_ms=HOLD_MS,
            lease_ms=REPORT_LEASE_MS,
            step_ms=STEP_MS,
            ledger=world.ledger,
            listing=world.listing,
            backlog=self.backlog,
            processors=world.settle.processors,
            accounts=world.accounts,
            stripe_reports=world.stripe,
            read_sums=world.read_sums,
            locator=world.execute.locator,
            learn=world.learn,
            batches=self.batches,
            doorbell=world.doorbell,
            clock=world.clock,
            telemetry=world.telemetry,
            webhooks=self.webhooks,
            close=lambda: self.closed.append(True),
        )
