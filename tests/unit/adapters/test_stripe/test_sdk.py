"""The habits of Stripe's SDK, and how far they are let."""

import logging
import subprocess
import sys
import threading

import pytest
import stripe

from refund_bridge.ports.processor import ProviderUnavailableError, UnreadableAnswerError
from refund_bridge.ports.stripe import ReportUnclear
from tests.unit.adapters.test_stripe.bodies import PARAMETERS, error_body, record_body
from tests.unit.adapters.test_stripe.conftest import MakeReports
from tests.unit.processors.doubles import FrozenWallClock
from tests.unit.processors.raw_server import RawServer, answer


def test_stripes_notices_do_not_become_warnings(
    make_reports: MakeReports, clock: FrozenWallClock
) -> None:
    noticed = answer(200, record_body(), {"Stripe-Notice": "Have you seen our new API?"})
    with RawServer(noticed) as server:
        make_reports(server.url).payment_record("pr_1", clock.deadline())


def test_the_sdk_sends_no_telemetry(make_reports: MakeReports, clock: FrozenWallClock) -> None:
    scripts = [answer(200, record_body(), {"Request-Id": "req_1"})] * 2
    with RawServer(*scripts) as server:
        reports = make_reports(server.url)
        reports.payment_record("pr_1", clock.deadline())
        reports.payment_record("pr_1", clock.deadline())
    assert stripe.enable_telemetry is False
    assert all("x-stripe-client-telemetry" not in arrival.headers for arrival in server.arrived)
    assert all("telemetry_id" not in str(arrival.headers) for arrival in server.arrived)


def test_no_secret_and_no_customer_reaches_a_log_or_an_error(
    make_reports: MakeReports, clock: FrozenWallClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told = error_body(message="No: sk_test_one", payment_method={"email": "anna@example.com"})
    with RawServer(answer(400, told)) as server:
        reports = make_reports(server.url)
        with pytest.raises(ProviderUnavailableError) as caught:
            reports.payment_record("pr_1", clock.deadline())
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "sk_test_one" not in repr(chain)
        assert "anna" not in repr((chain, chain.args))
        chain = chain.__cause__
    assert "sk_test_one" not in repr(reports)
    # The SDK itself logs Stripe's message at INFO; the key it was sent with is not a part of it.
    assert "anna" not in caplog.text


@pytest.mark.parametrize(
    "inside",
    [
        {"object": "payment_intent", "id": "pi_1", "charges": {"object": "list", "data": 5}},
        {"object": ["payment_intent"], "id": None},
        {"object": "a thing that this SDK does not know", "last_payment_error": {"code": 1}},
        [[{"object": "invoice"}], None, 1.5],
        "pi_1",
    ],
)
def test_an_object_inside_an_error_hides_nothing_of_it(
    make_reports: MakeReports, clock: FrozenWallClock, inside: object
) -> None:
    refused = answer(402, error_body(message="Declined", payment_intent=inside, source=inside))
    with RawServer(refused) as server, pytest.raises(ProviderUnavailableError, match="Declined"):
        make_reports(server.url).payment_record("pr_1", clock.deadline())


# The SDK makes a ``Decimal`` of this member of a ``line_item``, wherever that stands.
MISREAD = {"object": "line_item", "quantity_decimal": "anna"}


def test_what_the_sdk_can_make_no_object_of_is_unreadable(
    make_reports: MakeReports, clock: FrozenWallClock
) -> None:
    with (
        RawServer(answer(200, record_body(line=MISREAD))) as server,
        pytest.raises(UnreadableAnswerError) as caught,
    ):
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert "anna" not in repr((caught.value, caught.value.__cause__, caught.value.args))
    assert len(server.arrived) == 1


def test_a_report_is_unclear_if_the_sdk_can_make_no_object_of_its_success(
    make_reports: MakeReports, clock: FrozenWallClock
) -> None:
    with RawServer(answer(200, record_body(line=MISREAD))) as server:
        reports = make_reports(server.url)
        told = reports.report_refund(PARAMETERS, "rfd_1-0", clock.deadline())
    assert told == ReportUnclear(
        "Stripe's answer is a success that cannot be read (InvalidOperation)"
    )
    assert len(server.arrived) == 1


PRIMED = """
import sys
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.http.messages import HttpAnswer
from refund_bridge.adapters.stripe import calls as stripe_calls
from refund_bridge.adapters.stripe.reports import StripeSdkReports
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline

class Key:
    def current(self): return "sk_test_one"

class Http:
    def send(self, request, deadline, *, fresh):
        kind = request.url.split("/")[4].split("?")[0].removesuffix("s")
        return HttpAnswer(200, {}, b'{"id": "x", "object": "%s"}' % kind.encode())

stripe_calls.prime()
# The SDK's list of its classes, which it alone asks for.
known = {*sys.modules, "stripe._object_classes"}
reports = StripeSdkReports(base_url="https://stripe", key=Key(), http=Http())
deadline = Deadline.after(SystemClock(), 1000)
for read in (reports.payment_record, reports.payment_intent, reports.invoice):
    try:
        read("x", deadline)
    except ProviderUnavailableError as error:
        assert "of a" in str(error) or "has no" in str(error), error
print(*sorted(name for name in set(sys.modules) - known if name.startswith("stripe")))
"""


def test_once_primed_a_read_imports_nothing_of_the_sdk() -> None:
    # Given a process of its own, as a snapshot is taken of one
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", PRIMED],
        env={"PYTHONPATH": "layers/product"},
        capture_output=True,
        text=True,
        check=False,
    )

    # Then the first read of each kind finds all that it needs
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_no_thread_is_left_behind(make_reports: MakeReports, clock: FrozenWallClock) -> None:
    before = threading.active_count()
    with RawServer(answer(200, record_body())) as server:
        make_reports(server.url).payment_record("pr_1", clock.deadline())
    assert threading.active_count() == before
