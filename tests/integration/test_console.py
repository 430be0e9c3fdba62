"""`refundctl console` against the local cloud, started at a shell and opened in a browser.

The functions of the page itself are tested in tests/browser; here it shows what really happened.
"""

import json
import re
import signal
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from playwright.sync_api import Browser, expect

from deployed import paths
from deployed.clients import CloudClients
from deployed.polling import wait_for
from local.emulator import REGION, Emulator
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack, announced
from refundctl.console.sources import sources_of
from refundctl.exits import Exit
from refundctl.options import Call
from refundctl.output import Output
from refundctl.target import LOCAL, Target
from tests.browser.chromium import Visit, chromium, visiting
from tests.fakes.console_thread import console
from tests.integration.shell import REFUNDCTL

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SOON = 90.0
SOON_MS = 60_000
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>"
GUIDE = paths.ROOT / "docs" / "console.md"


class WatchedClients(CloudClients):
    """Clients of the local cloud that remember what they were used for."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(REGION, emulator.url, emulator.root)
        self.used: set[str] = set()

    def client(self, service: str) -> Any:
        made = super().client(service)
        made.meta.events.register("before-call", self._remember)
        return made

    def _remember(self, model: Any, **_: Any) -> None:
        self.used.add(f"{model.service_model.service_name}:{model.name}")


@pytest.fixture(scope="module")
def address(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a console that was started in a shell's background and is stopped by SIGINT.

    A background job ignores that signal, unless the console handles it.
    """
    directory = tmp_path_factory.mktemp("console")
    file, said, complained = (directory / name for name in ("stack.json", "out", "err"))
    with announced(stack, file), said.open("w") as out, complained.open("w") as err:
        command: list[str | Path] = ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
        command += [REFUNDCTL, "console", "--json", "--stack-file", file]
        with subprocess.Popen(command, stdout=out, stderr=err, cwd=directory) as process:  # noqa: S603
            try:
                yield wait_for(lambda: _told(said), "the console's address", at_most=SOON)
                process.send_signal(signal.SIGINT)
                process.wait(30)
            finally:
                process.kill()
    assert (process.returncode, complained.read_text()) == (Exit.STOPPED, "Stopped.\n")


def _told(file: Path) -> str:
    text = file.read_text()
    return str(json.loads(text)["url"]) if text.endswith("}\n") else ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    with visiting(browser) as look:
        yield look
        assert look.complaints == []


def paid(stack: RunningStack, name: str) -> DemoPayment:
    payment = DemoPayment(name, 5000)
    stack.control.seed(seed_of(payment))
    return payment


def test_a_refund_is_followed_from_its_request_to_stripes_book(
    stack: RunningStack, api: RefundApiClient, visit: Visit, address: str
) -> None:
    # Given a refund that HitPay executed and Stripe was told of, by a caller who means no good
    payment = paid(stack, "console_followed")
    made = api.create_refund(
        "console-followed",
        payment_record=payment.record_id,
        amount=1250,
        reason=HOSTILE,
        metadata={"<b>order</b>": HOSTILE},
    )
    assert made.status == 201, made.text
    wait_for(lambda: _is_reported(api, made.body["id"]), "the report", at_most=SOON)
    # When an operator looks for it by the caller's key
    page = visit.page
    page.goto(address)
    page.get_by_role("searchbox", name="Find").fill("console-followed")
    page.get_by_role("button", name="Find").click()
    # Then its whole history is there
    expect(page.get_by_role("heading", level=1)).to_contain_text(made.body["id"])
    steps = page.locator(".timeline li")
    expect(steps.first).to_contain_text("submitting: reserved")
    expect(steps.last).to_contain_text("report:due → report:reported")
    expect(page.get_by_role("region", name="Its payment")).to_contain_text("SGD 12.50")
    # And what the caller wrote is text
    expect(page.get_by_role("region", name="What the caller wrote")).to_contain_text(HOSTILE)
    assert page.locator("main script, main img, main b").count() == 0
    assert page.title().startswith("Refund rfd_")
    # And the list leads to it, too
    page.goto(f"{address}refunds?payment_record={payment.record_id}")
    expect(page.get_by_role("link", name=made.body["id"])).to_be_visible()


def test_a_refund_without_an_outcome_appears_by_itself_as_money_in_flight(
    stack: RunningStack, api: RefundApiClient, visit: Visit, address: str
) -> None:
    # Given an open page
    page = visit.page
    page.goto(address)
    page.evaluate("window.same = true")
    # When HitPay executes a refund and its answer is lost
    payment = paid(stack, "console_unknown")
    stack.control.add_fault("hitpay", "refund.create", "commit_then_reset", match=payment.charge_id)
    made = api.create_refund("console-unknown", payment_record=payment.record_id, amount=1990)
    assert (made.status, made.body["status"]) == (202, "pending"), made.text
    # Then the page, without being loaded again, shows it as what it is
    # (among the newest: other tests may have left many older ones that are not at their end)
    newest = page.get_by_role("region", name="Latest, table")
    row = newest.get_by_role("row").filter(has_text=made.body["id"])
    expect(row).to_contain_text("unknown", timeout=SOON_MS)
    expect(row).to_contain_text("SGD 19.90")
    expect(page.locator("tr[data-key=sgd] data").first).to_have_text(re.compile(r"^SGD \d+\.\d\d$"))
    assert page.evaluate("window.same")
    # And once HitPay was asked about it, it is over there as well
    assert api.request("GET", f"/v1/refunds/{made.body['id']}?sync=true").status == 200
    expect(row).to_contain_text("succeeded", timeout=SOON_MS)


def test_all_that_the_console_ever_asks_is_what_its_guide_lists(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a refund, and a console whose every call of AWS is noted
    payment = paid(stack, "console_watched")
    made = api.create_refund("console-watched", payment_record=payment.record_id)
    wait_for(lambda: _is_reported(api, made.body["id"]), "the report", at_most=SOON)
    clients = WatchedClients(stack.emulator)
    target = Target(LOCAL, stack.stage.stack_name, clients)
    sources = sources_of(Call(Namespace(), target, Output(as_json=False)))
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=False)
    # When every page is looked at
    with console(sources) as address:
        shown = f"refunds/{made.body['id']}"
        for path in ("", "?window=52w", "refunds", "refunds?status=review", shown):
            assert pool.request("GET", address + path).status == 200
        for name in ("console-watched", "nobody", "pr_x"):
            pool.request("GET", f"{address}find?q={name}", redirect=False)
    # Then it was only reads, and those that the guide says
    guide = GUIDE.read_text()
    assert clients.used == set(re.findall(r"`((?:dynamodb|sqs|cloudformation):\w+)`", guide))


def test_queues_are_shown_as_deep_as_they_are(
    stack: RunningStack, visit: Visit, address: str
) -> None:
    sqs: SQSClient = stack.client("sqs")
    visit.page.goto(address)
    for name, output in (
        ("reports", "ReportDeadLetterQueueUrl"),
        ("requests", "RefundRequestDeadLetterQueueUrl"),
        ("events", "EventDeadLetterQueueUrl"),
    ):
        depth = sqs.get_queue_attributes(
            QueueUrl=stack.outputs[output], AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]["ApproximateNumberOfMessages"]
        row = visit.page.get_by_role("region", name="Queues").locator(f"tr[data-key={name}]")
        expect(row.locator("td").last).to_have_text(depth, timeout=SOON_MS)


def _is_reported(api: RefundApiClient, refund_id: str) -> bool | None:
    report = api.read_refund(refund_id).body["stripe_report"]
    return report["status"] == "reported" or None
