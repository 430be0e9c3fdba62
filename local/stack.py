"""The whole system on this machine: providers, embedded cloud, build and deployment together.

`make run` and the integration tests both use `running_stack`.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployed import secrets
from deployed.api_keys import ALL_SCOPES, SCOPES, ApiKey, ApiKeyStore, new_api_key
from deployed.clients import CloudClients
from deployed.stages import Stage, load_stage
from deployed.webhook_addresses import WebhookAddressStore, new_address
from deploying.build import build, this_machine
from deploying.deploy import deploy, local_parameters
from local.emulator import Emulator, running_emulator
from local.providers import Providers, simulated_providers
from local.run_directory import run_directory
from local.simulators.client import SimulatorControl
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.dynamodb.webhook_addresses import DynamoDbWebhookAddresses
from refund_bridge.delivering.address import DEFAULT_API_VERSION, WebhookAddress
from refund_bridge.delivering.ports import Status

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

Step = Callable[[str], AbstractContextManager[object]]
"""Wraps one long piece of work, so that whoever watches sees what is going on."""


@dataclass(frozen=True)
class RunningStack:
    """A deployed system: its API, and access to its parts."""

    stage: Stage
    emulator: Emulator
    clients: CloudClients
    providers: Providers
    outputs: dict[str, str]
    api_url: str
    api_key: str = field(repr=False)
    payout_key: str = field(repr=False, default="")

    @property
    def control(self) -> SimulatorControl:
        """The simulators' control; an error if the stack uses real providers."""
        if self.providers.control is None:
            raise RuntimeError("this stack talks to external providers")
        return self.providers.control

    def client(self, service: str) -> Any:
        """Make a boto3 client with all rights, to inspect the stack."""
        return self.clients.client(service)

    @property
    def webhook_url(self) -> str:
        """The address of HitPay's webhooks."""
        return f"{self.api_url}/v1/webhooks/hitpay"

    def add_webhook(self, url: str, types: tuple[str, ...] = ()) -> WebhookAddress:
        """Send webhooks to an address of this machine from now on."""
        address = new_address(url, types=types, api_version=DEFAULT_API_VERSION)
        WebhookAddressStore(self.client("ssm"), self.stage.secrets_prefix).put(address)
        self.webhook_states.set_status(address.id, Status.ENABLED, now_ms=SystemClock().now_ms())
        return address

    def remove_webhook(self, address_id: str) -> None:
        """Send no more webhooks to an address."""
        now_ms = SystemClock().now_ms()
        self.webhook_states.set_status(address_id, Status.REMOVED, now_ms=now_ms)
        WebhookAddressStore(self.client("ssm"), self.stage.secrets_prefix).remove(address_id)

    @property
    def webhook_states(self) -> DynamoDbWebhookAddresses:
        """The states of the webhook addresses."""
        return DynamoDbWebhookAddresses(self.client("dynamodb"), self.outputs["LedgerTable"])

    def new_api_key(self, name: str, scopes: tuple[str, ...] = SCOPES) -> str:
        """Make one more key for a caller and return its text."""
        key = new_api_key(name, scopes)
        ApiKeyStore(self.client("ssm"), self.stage.secrets_prefix).add(key)
        return key.text


def _quietly(_what: str) -> AbstractContextManager[object]:
    return nullcontext()


@contextmanager
def running_stack(
    *,
    external: Providers | None = None,
    parameters: Mapping[str, str] | None = None,
    step: Step = _quietly,
    announce: Path | None = None,
    webhook_host: str = "",
) -> Iterator[RunningStack]:
    """Start everything, and stop everything at the end.

    Args:
        external: real endpoints; without them the simulators are started, empty.
        parameters: values of template parameters that differ from samconfig.toml's local stage.
        step: a context manager around each long piece of work.
        announce: the path of a file to write that says how to reach the stack.
        webhook_host: one more value of `Host` for the webhooks' address.
    """
    stage, target = load_stage("local"), this_machine()
    with ExitStack() as stack:
        directory = stack.enter_context(run_directory())
        with step("Building the functions and layers (sam build)"):
            built = build(target, stage)
        with step("Starting the embedded cloud and the providers"):
            providers = external or stack.enter_context(simulated_providers(directory))
            emulator = stack.enter_context(running_emulator(directory, webhook_host=webhook_host))
        clients = CloudClients(stage.region, emulator.url, emulator.root)
        with step("Putting the secrets and deploying the template"):
            key, payout_key = _put_secrets(clients, stage, providers)
            urls = {"HitPayUrl": providers.hitpay_url, "StripeUrl": providers.stripe_url}
            own = {**urls, **providers.others, **(parameters or {})}
            values = local_parameters(stage, target, built, own)
            deployed = deploy(clients, stage, built, values)
        running = RunningStack(
            stage=stage,
            emulator=emulator,
            clients=clients,
            providers=providers,
            outputs=deployed.outputs,
            api_url=deployed.api_url,
            api_key=key.text,
            payout_key=payout_key.text,
        )
        if announce:
            stack.enter_context(announced(running, announce))
        yield running


def _put_secrets(
    clients: CloudClients, stage: Stage, providers: Providers
) -> tuple[ApiKey, ApiKey]:
    ssm: SSMClient = clients.client("ssm")
    prefix = stage.secrets_prefix
    store = secrets.SecretStore(ssm, prefix)
    store.put(secrets.STRIPE_SECRET_KEY, providers.stripe_key)
    store.put(secrets.HITPAY_API_KEY, providers.hitpay_key)
    for name, value in providers.other_keys.items():
        store.put(name, value)
    if providers.webhook_salt:
        store.put(secrets.HITPAY_WEBHOOK_SALTS, providers.webhook_salt)
    keys = ApiKeyStore(ssm, prefix)
    key, payout_key = new_api_key("local"), new_api_key("payouts", ALL_SCOPES)
    keys.add(key)
    keys.add(payout_key)
    return key, payout_key


@contextmanager
def announced(running: RunningStack, file: Path) -> Iterator[None]:
    """Write how to reach the stack into `file`, and into a file of its own beside it in `stacks/`.

    If several stacks run, `file` is about the newest one; when that ends, it is about the one
    before again.
    """
    own = file.parent / "stacks" / f"{os.getpid()}-{running.emulator.port}.json"
    facts = {
        "pid": os.getpid(),
        "api_url": running.api_url,
        "api_key": running.api_key,
        "payout_key": running.payout_key,
        "aws_endpoint_url": running.emulator.url,
        "aws_access_key_id": running.emulator.root.id,
        "aws_secret_access_key": running.emulator.root.secret,
        "region": running.stage.region,
        "stack_name": running.stage.stack_name,
        "stripe_url": running.providers.stripe_url,
        **{f"{name}_url": url for name, url in running.providers.urls.items()},
        "outputs": running.outputs,
    }
    text = json.dumps(facts, indent=2)
    own.parent.mkdir(exist_ok=True)
    _put(own, text)
    _put(file, text)
    try:
        yield
    finally:
        own.unlink(missing_ok=True)
        if file.is_file() and file.read_text() == text:
            _tell_of_the_newest(file, own.parent)


def _tell_of_the_newest(file: Path, stacks: Path) -> None:
    """Write the file of the newest stack that still runs to `file`; without one, remove `file`."""
    others = sorted(stacks.glob("*.json"), key=lambda one: one.stat().st_mtime_ns, reverse=True)
    for other in others:
        if _lives(other):
            _put(file, other.read_text())
            return
        other.unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def _lives(announcement: Path) -> bool:
    """Whether the process that started the stack still runs."""
    pid = json.loads(announcement.read_text())["pid"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs as another user
    return True


def _put(file: Path, text: str) -> None:
    """Write the file in one step, readable for its owner alone."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(file)
