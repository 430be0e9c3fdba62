"""A deployment to practise a night of problems: times of hours elsewhere are seconds in it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deployed.polling import wait_for
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack, announced, running_stack
from tests.integration.background import ledger_refund, start_settling

SOON = 90.0
PATIENT = 240.0
REPORT = "payment_record.report_refund"
# The late-arrival window is short and ends in a review, and reports are given up soon.
TIMES = {
    "SettleSeconds": "2",
    "HoldSeconds": "6",
    "AfterHold": "review",
    "LeaseSeconds": "25",
    "ReportLeaseSeconds": "15",
    "ReportBackoffSeconds": "1",
    "ReportMaxReceives": "5",
    "RefundRequestMaxReceives": "5",
    "SecretsCacheSeconds": "1",
}


@contextmanager
def night_stack(
    file: Path,
    parameters: Mapping[str, str] | None = None,
    *,
    visibility: str = "20",
    settles: bool = True,
) -> Iterator[RunningStack]:
    """The template on the embedded cloud, with short times; `file` says how to reach it.

    ``settles``: from the beginning; else from the minute on in which the schedule begins.
    """
    with running_stack(parameters={**TIMES, **(parameters or {})}) as running:
        # With the template's value, messages of a killed worker would stay hidden for six minutes.
        running.client("sqs").set_queue_attributes(
            QueueUrl=running.outputs["ReportQueueUrl"],
            Attributes={"VisibilityTimeout": visibility},
        )
        if settles:
            start_settling(running)  # the schedule takes over in a minute
        with announced(running, file):
            yield running


def caller(night: RunningStack) -> RefundApiClient:
    """A caller with every right."""
    return RefundApiClient(night.api_url, night.api_key)


def paid(night: RunningStack, name: str, **facts: object) -> DemoPayment:
    """A payment of SGD 50.00 of the test's own."""
    payment = DemoPayment(name, 5000, **facts)  # type: ignore[arg-type]
    night.control.seed(seed_of(payment))
    return payment


def refunded(
    night: RunningStack, payment: DemoPayment, *, key: str | None = None, **asked: object
) -> str:
    """Ask for a refund, of all that is left unless an amount is given; returns its id.

    The request names the payment's invoice, if it has one. Its key is `key`, or the payment's name.
    """
    of = {"invoice": payment.invoice_id}
    body = of if payment.has_invoice else {"payment_record": payment.record_id}
    answer = caller(night).create_refund(key or payment.name, **body, **asked)
    assert answer.status in (201, 202), answer.text
    return str(answer.body["id"])


def wait_for_state(night: RunningStack, refund_id: str, state: str) -> None:
    """Wait until the refund is in that state."""
    wait_for(
        lambda: ledger_refund(night, refund_id)["state"] == state,
        f"{refund_id} {state}",
        at_most=SOON,
        every=0.2,
    )


def wait_for_report(night: RunningStack, refund_id: str, state: str) -> None:
    """Wait until the refund's report is in that state."""
    wait_for(
        lambda: ledger_refund(night, refund_id)["report"]["state"] == state,
        f"the report of {refund_id} {state}",
        at_most=PATIENT,
        every=0.2,
    )


def depth(night: RunningStack, queue: str) -> int:
    """How many messages are in a queue, those included that a worker handles now."""
    asked = night.client("sqs").get_queue_attributes(
        QueueUrl=night.outputs[f"{queue}Url"],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return sum(int(value) for value in asked["Attributes"].values())
