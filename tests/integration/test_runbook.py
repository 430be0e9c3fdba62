"""Every command of `docs/runbook.md` is run, on a stack that has exactly the problem of its page.

For each page the problem is made, its commands are run in order, and the problem is solved as the
page says. The test fails if the runbook has a command that is not expected here, or lacks one that
is.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deployed.polling import wait_for
from deployed.webhook_addresses import WebhookAddressStore
from local.event_client import EventProducer
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from local.webhook_receiver import WebhookReceiver
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from tests.integration.background import ledger_refund
from tests.integration.night import (
    PATIENT,
    REPORT,
    SOON,
    caller,
    depth,
    paid,
    refunded,
    wait_for_report,
    wait_for_state,
)
from tests.integration.runbook import STACK, STAGE, Ended, Shell, pages

ID = "rfd_…"
RECORD = "pr_…"
ADDRESS = "we_…"
HITPAYS_ID = "<HitPay's refund id>"
NOTE = "credit_note.create"
REFUSAL = {"error": {"type": "invalid_request_error", "message": "No."}}
PAGES = pages()


@dataclass(frozen=True)
class Told:
    """How a command ends.

    Attributes:
        words: texts that its output must have.
        ids: the values for the line's placeholders.
        first: an action before the command.
        bad_moment: what it says where it has to be run again; empty: it is run once.
    """

    words: tuple[str, ...]
    exit_code: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    first: Callable[[], object] = lambda: None
    bad_moment: str = ""


def told(
    *words: str,
    exit_code: int = 0,
    first: Callable[[], object] = lambda: None,
    bad_moment: str = "",
    **ids: str,
) -> Told:
    """What a command tells; `ids` by what they are of: `refund`, `processor_refund` and so on."""
    placeholders = {
        "refund": ID,
        "processor_refund": HITPAYS_ID,
        "record": RECORD,
        "address": ADDRESS,
    }
    of = {placeholders[name]: one for name, one in ids.items()}
    return Told(words, exit_code, of, first, bad_moment)


Page = Iterator[dict[str, Told]]
"""Makes the trouble of a page and gives how its commands end; mends the trouble afterwards."""


@pytest.fixture
def night(troubled_stack: RunningStack) -> RunningStack:
    return troubled_stack


@pytest.fixture
def shell(
    night: RunningStack, troubled_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A shell in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return Shell(night, troubled_file)


# --- the troubles ---------------------------------------------------------------------------------


def begin(night: RunningStack, shell: Shell) -> Page:
    refund = refunded(night, paid(night, "begin"))
    wait_for_report(night, refund, "reported")
    yield {
        "refundctl doctor": told("Stripe with this key", "live of"),
        "refundctl list": told(refund),
        tail("refund-api", "1d", '"rfd_…"'): told("refund_sending", refund, refund=refund),
        'eval "$(.venv/bin/python -m local.aws_environment)"': told(night.emulator.url),
        tail("refund-api", "1d", '"rfd_…"').replace(STACK, "refund-bridge-local"): told(
            "refund_sending", refund, refund=refund
        ),
    }


def report_dead_letters(night: RunningStack, shell: Shell) -> Page:
    refund = refused_report(night, "letters")
    replay = "refundctl dlq replay --queue reports --all"
    yield {
        "refundctl dlq list --queue reports": told(refund, "refused"),
        "refundctl doctor": told("dead letters: reports", "there are 1", replay, exit_code=1),
        f"{replay} --dry-run": told("Would replay about 1 of reports."),
        replay: told("Replayed 1 of reports."),
        "refundctl reconcile --since 7d": told(
            "No differences.", first=lambda: wait_for_report(night, refund, "reported")
        ),
    }


def request_dead_letters(night: RunningStack, shell: Shell) -> Page:
    payment = DemoPayment("letters_asked", 5000)
    detail = {"payment_record": payment.record_id, "idempotency_key": "letters-asked"}
    EventProducer(night.clients, night.outputs["EventBusName"]).ask(detail)
    wait_for_letter(night, "RefundRequestDeadLetterQueue")
    night.control.seed(seed_of(payment))
    replay = "refundctl dlq replay --queue requests --all"
    yield {
        "refundctl dlq list --queue requests": told("payment_not_found"),
        f"{replay} --dry-run": told("Would replay about 1 of requests."),
        replay: told("Replayed 1 of requests."),
    }
    wait_for(lambda: night.control.reports(payment.record_id), "the report", at_most=PATIENT)


def event_dead_letters(night: RunningStack, shell: Shell) -> Page:
    queue = night.outputs["EventDeadLetterQueueUrl"]
    night.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    republish = "refundctl events republish --since 36h"
    yield {
        "refundctl dlq list --queue events": told("changes of the ledger"),
        tail("publish-events", "6h"): told("EventsPublished"),
        f"{republish} --dry-run": told("Would publish again what happened to"),
        republish: told("is published again by the next runs of settling"),
        "refundctl dlq discard --queue events": told("About 1 messages of events are deleted."),
    }
    assert depth(night, "EventDeadLetterQueue") == 0


def webhook_dead_letters(night: RunningStack, shell: Shell) -> Page:
    """An address that says that it is gone, and whose owner wants events after all."""
    with WebhookReceiver(lambda _body, _headers: 410) as receiver:
        address = night.add_webhook(receiver.url).id
        refund = refunded(night, paid(night, "webhook_letters"))
        wait_for_letter(night, "WebhookDeadLetterQueue")

        def mend() -> None:
            receiver.answer = lambda _body, _headers: 200

        yield {
            "refundctl dlq list --queue webhooks": told(refund, "it answered 410 Gone"),
            "refundctl webhooks list": told(address, "disabled"),
            f"refundctl webhooks test {ADDRESS}": told("took", first=mend, address=address),
            f"refundctl webhooks enable {ADDRESS}": told("from now on", address=address),
            f"refundctl webhooks replay {ADDRESS} --failed": told("1 refunds", address=address),
            "refundctl dlq discard --queue webhooks": told("About 1 messages of webhooks"),
        }
        wait_for(
            lambda: [one for one in receiver.deliveries if refund.encode() in one.body][1:],
            "the event, again",
            at_most=PATIENT,
        )
        night.remove_webhook(address)


def webhook_lag(night: RunningStack, shell: Shell) -> Page:
    """An address that refuses everything."""
    with WebhookReceiver(lambda _body, _headers: 500) as receiver:
        address = night.add_webhook(receiver.url).id
        refund = refunded(night, paid(night, "webhook_lag"))
        look = tail("deliver-webhooks", "3h", '"webhook_not_taken"')
        wait_for(lambda: refund in shell.run(look, {}).said, "the log line", at_most=PATIENT)
        yield {
            "refundctl webhooks list": told(address, "it answered 500"),
            look: told(refund),
            f"refundctl webhooks test {ADDRESS}": told(
                "it answered 500", exit_code=1, address=address
            ),
            f"refundctl webhooks disable {ADDRESS}": told("Nothing is sent", address=address),
        }
        night.remove_webhook(address)


def webhooks_not_tried(night: RunningStack, shell: Shell) -> Page:
    """An address whose parameter somebody deleted."""
    with WebhookReceiver() as receiver:
        address = night.add_webhook(receiver.url).id
        WebhookAddressStore(night.client("ssm"), night.stage.secrets_prefix).remove(address)
        refunded(night, paid(night, "webhook_not_tried"))
        look = tail("deliver-webhooks", "3h", "?webhook_address_missing ?webhook_not_tried")
        wait_for(lambda: address in shell.run(look, {}).said, "the log line", at_most=PATIENT)
        yield {
            "refundctl webhooks list": told(address, "missing"),
            "refundctl doctor": told("its parameter is missing", exit_code=1),
            look: told(address),
        }
        night.remove_webhook(address)


def review(night: RunningStack, shell: Shell) -> Page:
    """An instruction that never arrived, and one that did while as much was refunded by hand."""
    lost_payment, payment = paid(night, "review_lost"), paid(night, "review_two")
    first = refunded(night, payment, key="review-first", amount=100)
    wait_for_report(night, first, "reported")
    known_since = time.time()
    wait_for(lambda: time.time() > known_since + 1, "the next second", at_most=SOON)
    lose = night.control.add_fault
    lose("hitpay", "refund.create", "lost_request", match=lost_payment.charge_id)
    lose("hitpay", "refund.create", "commit_then_reset", match=payment.charge_id)
    lose("hitpay", "charge.read", "hide", times=None, match=payment.charge_id, what="refunds")
    lost, doubtful = refunded(night, lost_payment), refunded(night, payment, amount=700)
    night.control.dashboard_refund(payment.charge_id, "7.00")
    night.control.clear_faults()
    for one in (lost, doubtful):
        wait_for_state(night, one, "review")
    (ours,) = [
        one.id
        for one in night.control.refunds(payment.charge_id)
        if (one.made_in, str(one.amount)) == ("api", "7.00")
    ]
    failed = (
        'refundctl resolve rfd_… --failed --reason "HitPay\'s support: not executed, ticket 4711"'
    )
    succeeded = "refundctl resolve rfd_… --succeeded <HitPay's refund id>"
    seen = "HitPay's dashboard shows it, ticket 4711"
    yield {
        "refundctl review": told(
            lost, doubtful, "CAN BE OURS", "Nothing that is listed can be ours now"
        ),
        "refundctl show rfd_…": told("A person must decide", refund=doubtful),
        f"{succeeded} --dry-run": told(
            "> succeeded: Stripe is told",
            "Nothing was written.",
            refund=doubtful,
            processor_refund=ours,
        ),
        f"{failed} --dry-run": told(
            "> failed: Stripe is told nothing", "Nothing was written.", refund=lost
        ),
        f'{succeeded} --despite-evidence --reason "{seen}" --dry-run': told(
            "> succeeded: Stripe is told",
            "Nothing was written.",
            refund=doubtful,
            processor_refund=ours,
        ),
    }
    # Without --dry-run it is done
    for line, ids in ((failed, {ID: lost}), (succeeded, {ID: doubtful, HITPAYS_ID: ours})):
        ended = shell.run(f"{line} --yes --stage production", ids)
        assert ended.exit_code == 0, ended.said
    wait_for_report(night, doubtful, "reported")


def oldest_open(night: RunningStack, shell: Shell) -> Page:
    """A refund for which HitPay takes long, and one that waits for its turn."""
    payment = paid(night, "open", on_charge={"refunds_come_back": "pending"})
    slow = refunded(night, payment, amount=1000)
    lost = paid(night, "open_lost")
    night.control.add_fault("hitpay", "refund.create", "lost_request", match=lost.charge_id)
    before = refunded(night, lost, amount=1000)
    waits = refunded(night, lost, key="open-waits", amount=700, refund_type="scheduled")
    reason = "asked for twice, ticket 4711"
    yield {
        "refundctl list --status pending": told(slow, waits),
        "refundctl show rfd_…": told("pending", refund=slow),
        f'refundctl withdraw rfd_… --reason "{reason}" --dry-run': told(
            "Withdrawn, it is never sent", "Nothing was written.", refund=waits
        ),
        # Settling may check it just then.
        "refundctl sync rfd_…": told(
            "hitpay was asked.", "pending", bad_moment="another check of it is running", refund=slow
        ),
    }
    ended = shell.run("refundctl withdraw rfd_… --reason x --yes --stage production", {ID: waits})
    assert "is withdrawn" in ended.said
    (processor_refund,) = night.control.refunds(payment.charge_id)
    night.control.set_refund_status(processor_refund.id, "succeeded")
    wait_for_report(night, slow, "reported")
    wait_for_state(night, before, "review")
    line = "refundctl resolve rfd_… --failed --reason x --yes --stage production"
    assert shell.run(line, {ID: before}).exit_code == 0


def settle_heartbeat(night: RunningStack, shell: Shell) -> Page:
    line = tail("settle-refunds", "15m")
    # A run is told of when it ends.
    wait_for(lambda: "SettleRuns" in shell.run(line, {}).said, "a run", at_most=PATIENT, every=1)
    yield {"refundctl doctor": told("schedules"), line: told("SettleRuns")}


def report_lag(night: RunningStack, shell: Shell) -> Page:
    night.control.add_fault("stripe", REPORT, "status", times=None, status=503)
    refund = refunded(night, paid(night, "lag"))
    wait_for(
        lambda: ledger_refund(night, refund)["report"].get("last_error"), "a try", at_most=SOON
    )
    yield {
        "refundctl list --report due": told(refund),
        "refundctl show rfd_…": told("report's last error", refund=refund),
    }
    night.control.clear_faults()
    wait_for_report(night, refund, "reported")


def reports_failed(night: RunningStack, shell: Shell) -> Page:
    refund = refused_report(night, "failed")
    linked = paid(night, "unlink")
    rejected(night, linked)
    nothing = "Nothing was written."
    yield {
        "refundctl list --report failed --since 7d": told(refund, "refused"),
        "refundctl show rfd_…": told("report:failed", "dlq replay --id", refund=refund),
        "refundctl dlq list --queue reports": told(refund, "refused"),
        "refundctl unlink pr_… --dry-run": told(
            f"{linked.record_id} is linked to", nothing, record=linked.record_id
        ),
        'refundctl report rfd_… --told --reason "booked by staff, ticket 4711" --dry-run': told(
            "too small", exit_code=1, refund=refund
        ),
        'refundctl report rfd_… --owed --reason "nobody booked it, ticket 4711" --dry-run': told(
            "> owed: Stripe is told", nothing, refund=refund
        ),
        'refundctl report rfd_… --waive --reason "no room at Stripe, ticket 4711" --dry-run': told(
            "> waived: Stripe is never told", nothing, refund=refund
        ),
        "refundctl dlq replay --id rfd_…": told("Replayed 1 messages", refund=refund),
    }
    wait_for_report(night, refund, "reported")


def rejected(night: RunningStack, payment: DemoPayment) -> None:
    """A refund that HitPay refuses: its record is linked, and no money moved under that link."""
    night.control.add_fault(
        "hitpay",
        "refund.create",
        "status",
        match=payment.charge_id,
        status=422,
        body={"message": "Insufficient balance."},
    )
    answer = caller(night).create_refund(payment.name, payment_record=payment.record_id)
    assert answer.status == 402, answer.text


def credit_notes_failed(night: RunningStack, shell: Shell) -> Page:
    night.control.add_fault("stripe", NOTE, "status", times=None, status=400, body=REFUSAL)
    refund = refunded(night, paid(night, "notes", has_invoice=True), amount=2000)
    wait_for_note(night, refund, "failed")
    night.control.clear_faults()
    yield {
        "refundctl list --credit-note failed --since 7d": told(refund, "no credit note"),
        "refundctl show rfd_…": told("credit_note:failed", "notes replay", refund=refund),
        "refundctl notes replay rfd_…": told("Made 1 credit notes due again.", refund=refund),
    }
    wait_for_note(night, refund, "issued")


def books_disagree(night: RunningStack, shell: Shell) -> Page:
    """A refund that somebody reported to Stripe, and that nobody made."""
    booked = [{"refund_reference": "booked-by-staff", "amount": 1000}]
    payment = paid(night, "books", on_record={"refunds": booked})
    wait_for_report(night, refunded(night, payment, amount=500), "reported")
    looked = tail("settle-refunds", "1d", '"stripe_higher"')
    wait_for(
        lambda: "stripe_higher" in shell.run(looked, {}).said, "a look", at_most=PATIENT, every=1
    )
    compared = "refundctl reconcile --since 7d --csv differences.csv"
    accepted = 'refundctl record pr_… --accept-excess --reason "booked twice, ticket 4711"'
    yield {
        looked: told("stripe_higher"),
        compared: told("stripe_higher", payment.record_id, exit_code=1),
        f"{accepted} --dry-run": told(
            "> accepted: SGD 10.00", "Nothing was written.", record=payment.record_id
        ),
    }
    assert payment.record_id in Path("differences.csv").read_text()
    ended = shell.run(f"{accepted} --yes --stage production", {RECORD: payment.record_id})
    assert ended.exit_code == 0, ended.said


def refund_taken_back(night: RunningStack, shell: Shell) -> Page:
    payment = paid(night, "taken")
    refund = refunded(night, payment, amount=1000)
    wait_for_report(night, refund, "reported")
    (processor_refund,) = night.control.refunds(payment.charge_id)
    night.control.set_hitpay(webhook_url=night.webhook_url)
    night.control.set_refund_status(processor_refund.id, "failed")
    wait_for(
        lambda: ledger_refund(night, refund).get("late_failure_at_ms"), "it seen", at_most=SOON
    )
    night.control.set_hitpay(webhook_url=None)
    yield {
        "refundctl list --taken-back --since 7d": told(refund, "taken back by the processor"),
        "refundctl show rfd_…": told("taken back", refund=refund),
        'refundctl handle rfd_… --note "paid by bank transfer, ticket 4711"': told(
            "is handled.", refund=refund
        ),
    }


def events_unpublished(night: RunningStack, shell: Shell) -> Page:
    def shows(function: str, word: str) -> Callable[[], object]:
        line = tail(function, "30m")
        return lambda: wait_for(
            lambda: word in shell.run(line, {}).said, f"{word} in the log", at_most=PATIENT
        )

    yield {
        tail(function, "30m"): told(word, first=shows(function, word))
        for function, word in (
            ("publish-events", "EventsPublished"),
            ("settle-refunds", "SettleRuns"),
        )
    }


def events_given_up(night: RunningStack, shell: Shell) -> Page:
    refund = refunded(night, paid(night, "given_up"), amount=1000)
    republish = "refundctl events republish --since 15d"
    yield {
        "refundctl show rfd_…": told(refund, refund=refund),
        f"{republish} --dry-run": told("Would publish again what happened to"),
        republish: told("is published again by the next runs of settling"),
    }


def api_keys_refused(night: RunningStack, shell: Shell) -> Page:
    RefundApiClient(night.api_url, "rbk_nobodys").read_refund("rfd_x")
    yield {
        "refundctl keys list": told("local"),
        tail("refund-api", "1h", '"api_key_refused"'): told("api_key_refused"),
    }


def webhooks_refused(night: RunningStack, shell: Shell) -> Page:
    yield {"refundctl doctor": told("secret hitpay-webhook-salts")}


def credentials_refused(night: RunningStack, shell: Shell) -> Page:
    payment = paid(night, "credential")
    night.control.set_keys("hitpay", "another")
    answer = caller(night).create_refund("credential", payment_record=payment.record_id)
    assert (answer.status, answer.body["error"]["code"]) == (503, "processor_unavailable"), (
        answer.text
    )
    yield {
        tail("refund-api", "1h", '"credential_refused"'): told("credential_refused", "hitpay"),
        "refundctl doctor": told("HitPay with this key", "403", exit_code=1),
    }
    night.control.set_keys("hitpay", night.providers.hitpay_key)


def orders_refused(night: RunningStack, shell: Shell) -> Page:
    payment, no = paid(night, "refused"), {"message": "Insufficient balance."}
    night.control.add_fault("hitpay", "refund.create", "status", times=1, status=400, body=no)
    answer = caller(night).create_refund("refused", payment_record=payment.record_id)
    assert answer.status == 402, answer.text
    yield {"refundctl list --status failed --since 1d": told("failed")}


def answers_unreadable(night: RunningStack, shell: Shell) -> Page:
    """A charge with the status "partially refunded", and neither a refunded sum nor refunds."""
    payment = paid(night, "unreadable")
    charge = {"id": payment.charge_id, "amount": 50, "currency": "sgd", "refunds": []}
    charge |= {"status": "partially_refunded", "refunded_amount": None}
    night.control.add_fault(
        "hitpay",
        "charge.read",
        "status",
        times=None,
        status=200,
        body=charge,
        match=payment.charge_id,
    )
    for _ in range(3):
        answer = caller(night).create_refund("unreadable", payment_record=payment.record_id)
        assert answer.status == 503, answer.text
    yield {tail("refund-api", "1h", '"unreadable"'): told("unreadable", "hitpay", "charge")}


def server_errors(night: RunningStack, shell: Shell) -> Page:
    payment = paid(night, "errors")
    night.control.add_fault(
        "hitpay", "charge.read", "status", times=None, status=500, match=payment.charge_id
    )
    answer = caller(night).create_refund("errors", payment_record=payment.record_id)
    assert answer.status == 503, answer.text
    pattern = "?answered_with_error ?internal_error ?ledger_unavailable"
    yield {
        "refundctl doctor": told("HitPay with this key"),
        tail("refund-api", "1h", pattern): told("answered_with_error", "processor_unavailable"),
    }


def throttles(night: RunningStack, shell: Shell) -> Page:
    yield {"refundctl doctor": told("Lambda's concurrency")}


def function_errors(night: RunningStack, shell: Shell) -> Page:
    """What Lambda writes of a function that failed; the embedded cloud writes nothing of it."""
    logs, group = night.client("logs"), night.outputs["ReportRefundLogGroup"]
    lines = ("[ERROR] KeyError: 'Records'", "Task timed out after 45.00 seconds", "all is well")
    logs.create_log_stream(logGroupName=group, logStreamName="runbook")
    now_ms = SystemClock().now_ms()
    events = [{"timestamp": now_ms, "message": line} for line in lines]
    logs.put_log_events(logGroupName=group, logStreamName="runbook", logEvents=events)
    pattern = '?ERROR ?"Task timed out" ?"Runtime exited"'
    yield {
        tail("report-refund", "1h", pattern): told(*lines[:2]),
        "refundctl doctor": told("source of"),
    }


def sweep_failed(night: RunningStack, shell: Shell) -> Page:
    sweep(night)
    yield {
        tail("sweep-charges", "1d"): told("SweepRuns"),
        "refundctl doctor": told("HitPay with this key"),
        f"aws lambda invoke --cli-read-timeout 330 --function-name {STACK}-sweep-charges:live"
        " /dev/stdout": told("differing"),
    }


TROUBLES: Mapping[str, Callable[[RunningStack, Shell], Page]] = {
    "Runbook": begin,
    "Report dead letters": report_dead_letters,
    "Request dead letters": request_dead_letters,
    "Event dead letters": event_dead_letters,
    "Webhook dead letters": webhook_dead_letters,
    "Webhook lag": webhook_lag,
    "Webhooks not tried": webhooks_not_tried,
    "Review": review,
    "Oldest open": oldest_open,
    "Settle heartbeat": settle_heartbeat,
    "Report lag": report_lag,
    "Reports failed": reports_failed,
    "Credit notes failed": credit_notes_failed,
    "Books disagree": books_disagree,
    "Refund taken back": refund_taken_back,
    "Events unpublished": events_unpublished,
    "Events given up": events_given_up,
    "Api keys refused": api_keys_refused,
    "Webhooks refused": webhooks_refused,
    "Credentials refused": credentials_refused,
    "Orders refused": orders_refused,
    "Answers unreadable": answers_unreadable,
    "Server errors": server_errors,
    "Throttles": throttles,
    "Function errors": function_errors,
    "Sweep failed": sweep_failed,
}


# --- what troubles are made of --------------------------------------------------------------------


def tail(function: str, since: str, pattern: str = "") -> str:
    """The line that reads a function's log."""
    line = f"aws logs tail /refund-bridge/{STACK}/{function} --since {since}"
    return f"{line} --filter-pattern '{pattern}'" if pattern else line


def refused_report(night: RunningStack, name: str) -> str:
    """A refund whose report Stripe refused, its message set aside, and the cause mended."""
    night.control.add_fault("stripe", REPORT, "status", times=None, status=400, body=REFUSAL)
    refund = refunded(night, paid(night, name))
    wait_for_report(night, refund, "failed")
    wait_for_letter(night, "ReportDeadLetterQueue")
    night.control.clear_faults()
    return refund


def wait_for_letter(night: RunningStack, queue: str) -> None:
    wait_for(lambda: depth(night, queue), "the dead letter", at_most=PATIENT, every=0.2)


def wait_for_note(night: RunningStack, refund: str, state: str) -> None:
    wait_for(
        lambda: ledger_refund(night, refund).get("credit_note", {}).get("state") == state,
        f"the note of {refund} {state}",
        at_most=SOON,
        every=0.2,
    )


def sweep(night: RunningStack) -> None:
    """The daily walk through HitPay's charges."""
    ran = night.client("lambda").invoke(
        FunctionName=night.outputs["SweepChargesFunctionName"], Qualifier="live"
    )
    assert "FunctionError" not in ran


# --- the test -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_it_says(
    night: RunningStack, shell: Shell, page: str
) -> None:
    assert page in TROUBLES, f"no test makes the trouble of {page}"
    night.control.clear_faults()
    trouble = TROUBLES[page](night, shell)
    expected = next(trouble)
    assert [_without_stage(line) for line in PAGES[page]] == list(expected)
    for line, ends in zip(PAGES[page], expected.values(), strict=True):
        ends.first()
        ended = _run(shell, line, ends)
        assert ended.exit_code == ends.exit_code, f"{line}\n{ended.said}"
        for word in ends.words:
            assert word in ended.said, f"{line} says no {word!r}:\n{ended.said}"
    assert next(trouble, None) is None


def _run(shell: Shell, line: str, ends: Told) -> Ended:
    """Run a line, and again as long as it says that the moment is bad."""

    def ended() -> Ended | None:
        once = shell.run(line, ends.ids)
        return None if ends.bad_moment and ends.bad_moment in once.said else once

    return wait_for(ended, line, at_most=SOON)


def test_every_trouble_is_of_a_page() -> None:
    assert set(TROUBLES) == set(PAGES)


def _without_stage(line: str) -> str:
    """A line as the troubles name it; each of `refundctl` must name the stage."""
    if line.startswith("refundctl "):
        assert line.endswith(f" --stage {STAGE}"), line
    return line.removesuffix(f" --stage {STAGE}")
