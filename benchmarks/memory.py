"""Peak memory of every function: from its start to the end of the heaviest event that is common.

Measured are bytes and processor time; neither grows when other programs use the machine. Each
function starts once, as deployed.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cloud import LEDGER, Cloud, running_cloud
from benchmarks.contender import Contender
from benchmarks.function_environment import function_memory_mb
from benchmarks.gateway import refund_event, report_event, stream_event
from benchmarks.lambda_runtime import Code, ColdStart, cold_start
from benchmarks.payments import AMOUNT, PART, Payments, seeded
from benchmarks.providers import ProviderProcess, running_providers
from benchmarks.results import Part, Row
from benchmarks.scale import Scale
from deployed import paths
from deployed.clients import CloudClients
from deployed.secrets import HITPAY_WEBHOOK_SALTS, SecretStore
from deployed.stages import load_stage
from deployed.webhook_addresses import WebhookAddressStore, new_address
from deploying.build import build, this_machine
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.simulators.webhooks import signature
from local.webhook_receiver import WebhookReceiver
from refund_bridge.adapters.dynamodb.webhook_addresses import DynamoDbWebhookAddresses
from refund_bridge.delivering.address import DEFAULT_API_VERSION
from refund_bridge.delivering.message import message_text
from refund_bridge.delivering.ports import Status

# The size of a batch of each queue and of the stream: the template's maximum.
REPORTS, REQUESTS, WEBHOOKS, CHANGES = 10, 5, 10, 50
SALT = "benchmark-salt"
# How long a run of settling or of the sweep may take, also on a busy machine.
ANSWER_SECONDS = 280.0
# The share of its memory that a function may use.
FILLED_AT_MOST = 0.5


@dataclass(frozen=True)
class Heaviest:
    """The heaviest event of a function, its description, and a check of the answer."""

    function: str
    words: str
    event: Mapping[str, Any]
    is_done: Callable[[Any], bool]


def measure(scale: Scale, directory: Path) -> Part:
    """Start every function once, with its event."""
    with (
        running_providers(directory) as providers,
        running_cloud(directory) as cloud,
        WebhookReceiver() as receiver,
    ):
        starts = _starts(scale, providers, cloud, receiver, directory)
        if len(receiver.deliveries) < WEBHOOKS:
            raise RuntimeError(f"{len(receiver.deliveries)} webhooks came")
    rows = [_row(heaviest, start) for heaviest, start in starts]
    numbers = {
        heaviest.function: {
            "event": heaviest.words,
            "peak_mb": round(start.peak_kb / 1024, 1),
            "cpu_ms": start.cpu_ms,
            "given_mb": function_memory_mb(heaviest.function),
        }
        for heaviest, start in starts
    }
    return Part(rows, numbers)


def _row(heaviest: Heaviest, start: ColdStart) -> Row:
    given = function_memory_mb(heaviest.function)
    return Row(
        what=f"peak memory of {heaviest.function}, {heaviest.words}",
        against=f"given {given} MB",
        value=round(start.peak_kb / 1024),
        unit="MB",
        at_most=given * FILLED_AT_MOST,
        note=f"{start.cpu_ms / 1000:.1f} s of processor time from nothing",
    )


def _starts(
    scale: Scale,
    providers: ProviderProcess,
    cloud: Cloud,
    receiver: WebhookReceiver,
    directory: Path,
) -> list[tuple[Heaviest, ColdStart]]:
    ours = build(this_machine(), load_stage("local")).directory
    layers = (ours / "DependenciesLayer" / "python", ours / "RefundsLayer" / "python")
    started = []
    for heaviest in _events(scale, providers, cloud, receiver, directory):
        start = cold_start(
            Code(ours / heaviest.function, layers),
            heaviest.event,
            cloud.of(heaviest.function, providers),
            directory,
            answer_s=ANSWER_SECONDS,
        )
        if not heaviest.is_done(start.answer):
            raise RuntimeError(f"{heaviest.function}: {start.answer}")
        started.append((heaviest, start))
    return started


def _events(
    scale: Scale,
    providers: ProviderProcess,
    cloud: Cloud,
    receiver: WebhookReceiver,
    directory: Path,
) -> list[Heaviest]:
    """All events; what they are about is first made in the ledger and at the providers."""
    addresses = _prepared(cloud.clients, receiver)
    with Contender("ours", cloud.of("RefundApiFunction", providers), directory) as contender:
        made = _refunds(contender, seeded(providers.control, "memory_made", CHANGES))
        _refunds(contender, seeded(providers.control, "memory_due", scale.due), scheduled=True)
    items = _items(cloud.clients, made)
    for number in range(scale.differing):
        _refunded_elsewhere(providers, f"memory_sweep_{number:04d}")
    intent = seeded(providers.control, "memory_api", 1).ids("payment_intent")[0]
    asked = seeded(providers.control, "memory_asked", REQUESTS).ids("payment_record")
    messages = [
        message_text(refund, address) for refund, address in zip(made, addresses, strict=False)
    ]
    return [
        Heaviest(
            "RefundApiFunction",
            "a refund by PaymentIntent",
            refund_event({"by": "payment_intent", "id": intent, "amount": PART, "key": intent}),
            lambda answer: answer["statusCode"] == 201,
        ),
        Heaviest(
            "ReportRefundFunction",
            f"{REPORTS} reports",
            report_event([_doorbell(refund) for refund in made[:REPORTS]]),
            _is_whole,
        ),
        Heaviest(
            "SettleRefundsFunction",
            f"{scale.due} scheduled refunds",
            {},
            lambda answer: answer["settled"] >= scale.due,
        ),
        Heaviest(
            "RefundRequestedFunction",
            f"{REQUESTS} requests",
            report_event([_requested(record) for record in asked]),
            _is_whole,
        ),
        Heaviest("PublishEventsFunction", f"{CHANGES} changes", stream_event(items), _is_whole),
        Heaviest(
            "DeliverWebhooksFunction",
            f"{WEBHOOKS} messages",
            report_event(messages, sent_ms=_now_ms()),
            _is_whole,
        ),
        Heaviest(
            "HitPayWebhookFunction",
            "a refund of the dashboard",
            _webhook(_refunded_elsewhere(providers, "memory_webhook")),
            lambda answer: answer["statusCode"] == 200,
        ),
        Heaviest(
            "SweepChargesFunction",
            f"{scale.differing} refunds of the dashboard",
            {},
            lambda answer: answer["differing"] >= scale.differing,
        ),
    ]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _is_whole(answer: Any) -> bool:
    return bool(answer["batchItemFailures"] == [])


def _prepared(clients: CloudClients, receiver: WebhookReceiver) -> list[str]:
    """Store what only some functions need; returns the ids of addresses, one for each message."""
    prefix = load_stage("local").secrets_prefix
    clients.client("events").create_event_bus(Name="EventBus")
    ssm = clients.client("ssm")
    SecretStore(ssm, prefix).put(HITPAY_WEBHOOK_SALTS, SALT)
    store = WebhookAddressStore(ssm, prefix)
    states = DynamoDbWebhookAddresses(clients.client("dynamodb"), LEDGER)
    addresses = [
        new_address(receiver.url, api_version=DEFAULT_API_VERSION) for _ in range(WEBHOOKS)
    ]
    for address in addresses:
        store.put(address)
        states.set_status(address.id, Status.ENABLED, now_ms=_now_ms())
    return [address.id for address in addresses]


def _refunds(contender: Contender, payments: Payments, *, scheduled: bool = False) -> list[str]:
    """Refund a part of each payment, or only ask for it; returns the refunds' ids."""
    return [
        contender.do(by="payment_record", id=one, amount=PART, key=one, scheduled=scheduled).facts[
            "refund"
        ]
        for one in payments.ids("payment_record")
    ]


def _items(clients: CloudClients, refunds: Sequence[str]) -> list[dict[str, Any]]:
    dynamodb = clients.client("dynamodb")
    keys = [{"pk": {"S": f"refund#{one}"}, "sk": {"S": "refund"}} for one in refunds]
    return [dict(dynamodb.get_item(TableName=LEDGER, Key=key)["Item"]) for key in keys]


def _refunded_elsewhere(providers: ProviderProcess, name: str) -> str:
    """A payment that was refunded in part in HitPay's dashboard; returns the charge's id."""
    payment = DemoPayment(name, AMOUNT, refunded=PART)
    providers.control.seed(seed_of(payment))
    return payment.charge_id


def _doorbell(refund: str) -> str:
    return json.dumps({"refund_id": refund, "schema_version": 1})


def _requested(record: str) -> str:
    """The event of ``events/refund_requested_sqs.json``, for this payment."""
    example = json.loads((paths.ROOT / "events" / "refund_requested_sqs.json").read_text())
    event = json.loads(example["Records"][0]["body"])
    asked = {"idempotency_key": record, "payment_record": record, "amount": PART}
    return json.dumps({**event, "id": f"event-{record}", "detail": asked})


def _webhook(charge: str) -> dict[str, Any]:
    """The webhook of ``events/hitpay_webhook_post.json``, for this charge, signed."""
    event: dict[str, Any] = json.loads(
        (paths.ROOT / "events" / "hitpay_webhook_post.json").read_text()
    )
    body = json.dumps({**json.loads(event["body"]), "id": charge})
    signed = signature(body.encode(), SALT)
    event["headers"]["Hitpay-Signature"] = signed
    event["multiValueHeaders"]["Hitpay-Signature"] = [signed]
    return {**event, "body": body}
