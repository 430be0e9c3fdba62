"""Stripe's adapter at Stripe's simulator: the links that Stripe keeps itself."""

from collections.abc import Iterator

import pytest

from local.simulators.payments import STRIPE_USD, seed_of
from local.simulators.seeding import Seed
from local.simulators.server import RunningSimulators
from local.simulators.stripe import DEFAULT_TEST_KEY
from refund_bridge.adapters.stripe.reports import StripeSdkReports
from refund_bridge.domain.payment_record import InvoicePayment, InvoicePaymentKind, PaymentRecord
from refund_bridge.ports.runtime import Deadline
from tests.contract.real_time import FixedKey, RealClock
from tests.descriptions.overseen_http import OverseenHttp
from tests.descriptions.stripe_api import StripeApi

COMMON = {"amount": 9999, "currency": "sgd"}
RECORD = {"id": "pr_1", **COMMON}
CHARGE = {"id": "ch_1", "status": "succeeded", "captured": True, "amount_captured": 9999}


@pytest.fixture(scope="module")
def simulators() -> Iterator[RunningSimulators]:
    with RunningSimulators() as running:
        yield running


@pytest.fixture
def reports(simulators: RunningSimulators) -> Iterator[StripeSdkReports]:
    simulators.control.reset()
    http = OverseenHttp(RealClock(), simulators.control, StripeApi())
    url = simulators.control.stripe_url
    yield StripeSdkReports(base_url=url, key=FixedKey(DEFAULT_TEST_KEY), http=http)
    http.close()


def deadline() -> Deadline:
    return Deadline.after(RealClock(), 20_000)


@pytest.mark.parametrize(
    ("reported_by", "shown"), [("self", "shown"), ("stripe", "shown"), ("self", "absent")]
)
def test_an_intent_shows_its_record_and_who_reported_it(
    simulators: RunningSimulators, reports: StripeSdkReports, reported_by: str, shown: str
) -> None:
    record = RECORD | {"reported_by": reported_by}
    intent = {"id": "pi_1", **COMMON, "payment_record": "pr_1"}
    simulators.control.seed(Seed(payment_records=(record,), payment_intents=(intent,)))
    simulators.control.set_stripe(reported_by=shown)
    found = reports.payment_intent("pi_1", deadline())
    assert isinstance(found.payment_record, PaymentRecord)
    assert found.payment_record == reports.payment_record("pr_1", deadline())
    assert found.payment_record.reported_by == (None if shown == "absent" else reported_by)
    assert found.captured_charge is None


def test_an_intent_shows_what_stripe_captured(
    simulators: RunningSimulators, reports: StripeSdkReports
) -> None:
    intent = {"id": "pi_1", **COMMON, "latest_charge": CHARGE}
    simulators.control.seed(Seed(payment_intents=(intent,)))
    found = reports.payment_intent("pi_1", deadline())
    assert (found.captured_charge, found.payment_record) == ("ch_1", None)
    assert found.authorised_charge is None


@pytest.mark.parametrize(
    ("status", "authorised"), [("succeeded", True), ("failed", False), ("pending", False)]
)
def test_an_intent_shows_what_stripe_may_still_capture(
    simulators: RunningSimulators, reports: StripeSdkReports, status: str, authorised: bool
) -> None:
    charge = CHARGE | {"status": status, "captured": False, "amount_captured": 0}
    intent = {"id": "pi_1", **COMMON, "latest_charge": charge}
    simulators.control.seed(Seed(payment_intents=(intent,)))
    found = reports.payment_intent("pi_1", deadline())
    assert found.captured_charge is None
    assert found.authorised_charge == ("ch_1" if authorised else None)


def test_a_payment_of_stripes_own_leads_to_its_charge_and_to_a_record_of_its_own(
    simulators: RunningSimulators, reports: StripeSdkReports
) -> None:
    simulators.control.seed(seed_of(STRIPE_USD))
    found = reports.payment_intent(STRIPE_USD.intent_id, deadline())
    assert found.captured_charge == STRIPE_USD.charge_id
    assert isinstance(found.payment_record, PaymentRecord)
    assert found.payment_record.reported_by == "stripe"


def test_an_invoice_shows_by_what_it_was_paid(
    simulators: RunningSimulators, reports: StripeSdkReports
) -> None:
    paid = {"type": "payment_record", "id": "pr_1", "amount_paid": 5000}
    unused = {"type": "payment_intent", "id": "pi_1", "status": "canceled"}
    invoice = {"id": "in_1", **COMMON, "payments": [unused, paid]}
    simulators.control.seed(Seed(invoices=(invoice,)))
    found = reports.invoice("in_1", deadline())
    assert found.payments == (InvoicePayment(InvoicePaymentKind.PAYMENT_RECORD, "pr_1", 5000),)
    assert not found.has_more_payments
