"""A file of many refunds meets an outage of HitPay, a kill and Ctrl-C: each is made exactly once.

The installed program runs, and real signals end it. The outage begins by itself, after a number of
calls such that some refunds are made and no run can finish in the outage. So each run is certainly
ended in the middle. `ROWS=1000` makes it many refunds (some ten minutes).
"""

import csv
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployed.polling import wait_for
from local.simulators.payments import fresh_payments, seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refundctl.refunding.results import part_of
from refundctl.refunding.sending import THREADS
from tests.integration.background import ledger_items, start_settling
from tests.integration.night import PATIENT, night_stack
from tests.integration.shell import REFUNDCTL, Refundctl

ROWS = int(os.environ.get("ROWS", "40"))
# The longest time until all rows are final; a second for each is far too much.
PATIENT_FOR_ALL = 300.0 + ROWS
# This many refunds HitPay makes but answers with 500, at the beginning of the outage.
MADE_IN_VAIN = 3
# A refund takes at least two calls: after as many calls as rows, at most half of them are made.
CALLS_BEFORE_THE_OUTAGE = ROWS
# A refund without a result is given up soon, and may then be asked for again.
SOON_GIVEN_UP = {
    "HoldSeconds": "10",
    "AfterHold": "failed",
    "ReportMaxReceives": "100",
    "ThrottleRate": "500",
    "ThrottleBurst": "500",
}
NOT_EXECUTED = "not_executed"
OPEN = {"requested", "submitting", "pending", "unknown"}


class Run:
    """The program, as somebody has started it for the file."""

    def __init__(self, file: Path, stack_file: Path) -> None:
        self.file, self.stack_file = file, stack_file

    @property
    def result_file(self) -> Path:
        return self.file.with_name(f"{self.file.stem}.result.csv")

    @contextmanager
    def begun(self) -> Iterator[subprocess.Popen[str]]:
        """Run the program while the body runs."""
        line: list[str | Path] = [
            REFUNDCTL,
            "refund",
            "--from",
            self.file,
            "--batch",
            "march",
            "--yes",
            "--json",
        ]
        options = ["--rate", "20", "--patience", "600", "--wait", "600"]
        with subprocess.Popen(  # noqa: S603 - our own program
            [*line, *options, "--stack-file", self.stack_file],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def to_its_end(self) -> tuple[int, str]:
        """The exit code, and what was said."""
        with self.begun() as process:
            out, complaints = process.communicate(timeout=PATIENT_FOR_ALL)
            return process.returncode, out + complaints

    def results(self) -> list[dict[str, str]]:
        """The result file as it is now."""
        return rows_of(self.result_file)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Refundctl:
    return Refundctl(tmp_path_factory.mktemp("bulk") / "stack.json")


@pytest.fixture(scope="module")
def night(operator: Refundctl) -> Iterator[RunningStack]:
    # Checks that fail in the outage would make the pauses between later ones a minute each.
    with night_stack(operator.stack_file, SOON_GIVEN_UP, visibility="60", settles=False) as running:
        yield running


def test_an_outage_a_kill_and_ctrl_c_cost_no_row_and_pay_none_twice(
    night: RunningStack, operator: Refundctl, tmp_path: Path
) -> None:
    # Given a file of refunds, each of another amount, and a HitPay that fails in the middle of it
    payments = fresh_payments(ROWS, amount=9999, prefix="bulk")
    night.control.seed(seed_of(*payments))
    amounts = {one.record_id: 100 + number for number, one in enumerate(payments)}
    run = Run(written(tmp_path / "march.csv", payments, amounts), operator.stack_file)
    night.control.add_fault(
        "hitpay", "refund.create", "status_after_commit", times=MADE_IN_VAIN, after=ROWS // 10
    )
    outage = night.control.add_fault(
        "hitpay", "*", "status", times=None, after=CALLS_BEFORE_THE_OUTAGE, status=503
    )
    # When the run is killed in the outage
    with run.begun() as process:
        wait_for(lambda: fired(night, outage), "the outage", at_most=PATIENT_FOR_ALL)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    # Then it leaves no result, and beside it a line for each row that it knew of
    assert not run.result_file.exists()
    killed = rows_of(part_of(run.result_file))
    assert 0 < len(killed) < ROWS
    assert 0 < sum(made_at_hitpay(night).values()) < sum(amounts.values())

    # When the same line runs in the same outage, and is stopped by the keyboard while it sends:
    # of the killed one no more calls can come than it had threads
    before = errors_answered(night)
    with run.begun() as process:
        wait_for(
            lambda: errors_answered(night) > before + THREADS, "its calls", at_most=PATIENT_FOR_ALL
        )
        process.send_signal(signal.SIGINT)
        out, complaints = process.communicate(timeout=PATIENT)
    # Then it says how far it came, and every row is accounted for
    assert (process.returncode, out) == (130, ""), complaints
    assert "under way are waited for, 35 seconds at most." in complaints
    assert f"{ROWS} rows: " in complaints
    assert "run the same line again; it refunds nothing twice." in complaints
    assert complaints.endswith("Stopped.\n")
    stopped = run.results()
    run.result_file.rename(tmp_path / "stopped.csv")
    assert [one["payment"] for one in stopped] == list(amounts)
    assert refunded(stopped) >= refunded(killed)
    assert any(one["result"] == "unknown" for one in stopped)

    # When HitPay is back, what was under way has come to its end, and the line runs again
    hitpay_is_back(night)
    ended, told = run.to_its_end()
    # Then every row is final: refunded, but for those that HitPay has thrown away in its outage
    assert ended == 0, told
    results = run.results()
    assert [one["payment"] for one in results] == list(amounts)
    lost = {one["payment"] for one in results if one["code"] == NOT_EXECUTED}
    assert {one["payment"] for one in results if one["result"] != "refunded"} == lost
    assert len(lost) <= THREADS
    assert len({one["refund"] for one in results}) == ROWS
    # And the sums are equal at HitPay, at Stripe and in the result file, payment by payment
    wanted = {record: amount for record, amount in amounts.items() if record not in lost}
    in_the_file = {
        one["payment"]: int(one["amount"].replace(".", ""))
        for one in results
        if one["result"] == "refunded"
    }
    made = made_at_hitpay(night)
    at_hitpay = {one.record_id: made[one.charge_id] for one in payments if one.charge_id in made}
    wait_for(
        lambda: len(night.control.reports()) >= len(wanted), "the reports", at_most=PATIENT_FOR_ALL
    )
    assert (in_the_file, at_hitpay, told_to_stripe(night)) == (wanted, wanted, wanted)
    assert len(night.control.refunds()) == len(night.control.reports()) == len(wanted)
    # And once more it asks for nothing
    before = len(night.control.calls("hitpay", "refund.create"))
    assert run.to_its_end()[0] == 0
    assert len(night.control.calls("hitpay", "refund.create")) == before
    assert [(one["refund"], one["result"]) for one in run.results()] == [
        (one["refund"], one["result"]) for one in results
    ]


def hitpay_is_back(night: RunningStack) -> None:
    """Faults end, settling begins, and all that was sent is found to be made or lost."""
    night.control.clear_faults()
    start_settling(night)
    wait_for(lambda: not still_open(night), "what was under way", at_most=PATIENT, every=1)


def written(file: Path, payments: Sequence[DemoPayment], amounts: dict[str, int]) -> Path:
    """The file."""
    with file.open("w", newline="") as text:
        lines = csv.writer(text)
        lines.writerow(["payment", "amount", "currency", "reason"])
        for one in payments:
            units, cents = divmod(amounts[one.record_id], 100)
            lines.writerow(
                [one.record_id, f"{units}.{cents:02d}", "sgd", "the concert was called off"]
            )
    return file


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def refunded(results: Sequence[dict[str, str]]) -> int:
    return Counter(one["result"] for one in results)["refunded"]


def errors_answered(night: RunningStack) -> int:
    """How many calls of this interface have ended in an error; only the file's runs call it."""
    pages = (
        night.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=night.outputs["RefundApiLogGroup"], filterPattern="answered_with_error"
        )
    )
    messages = [event["message"] for page in pages for event in page["events"]]
    return sum(message.count('"answered_with_error"') for message in messages)


def fired(night: RunningStack, fault: int) -> bool:
    """Whether a fault has hit a call."""
    (found,) = [one for one in night.control.faults() if one["id"] == fault]
    return bool(found["fired"])


def still_open(night: RunningStack) -> list[str]:
    """The refunds that have not come to their end."""
    return [one["id"] for one in ledger_items(night, "refund") if one["state"] in OPEN]


def made_at_hitpay(night: RunningStack) -> dict[str, int]:
    """What HitPay has refunded of each charge."""
    made: Counter[str] = Counter()
    for one in night.control.refunds():
        made[one.payment_id] += int(one.amount * 100)
    return dict(made)


def told_to_stripe(night: RunningStack) -> dict[str, int]:
    """What Stripe was told of each Payment Record."""
    told: Counter[str] = Counter()
    for one in night.control.reports():
        told[one.payment_record] += one.amount
    return dict(told)
