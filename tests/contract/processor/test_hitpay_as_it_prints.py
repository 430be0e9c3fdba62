"""HitPay's adapter at HitPay's simulator, in every form that HitPay is known to print."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from local.simulators import hitpay as hitpay_simulator
from local.simulators.client import SimulatorControl
from local.simulators.hitpay import ROUTES
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.json_text import JsonObject
from local.simulators.seeding import Seed
from local.simulators.server import RunningSimulators
from refund_bridge.domain.charge import ChargeStatus, ListedCharge, ProcessorRefundStatus
from refund_bridge.domain.instruction import Accepted, Rejected
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import UnreadablePageError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.hitpay.adapter import HitPay
from tests.contract.processor.instructions import instruction
from tests.contract.real_time import FixedKey, RealClock
from tests.descriptions.hitpay_api import HitPayApi
from tests.descriptions.overseen_http import OverseenHttp

CHARGES = 240
# Of ten charges one was refunded in part, and one as a whole.
PARTLY, WHOLLY = 3, 7


@pytest.fixture(scope="module")
def simulators() -> Iterator[RunningSimulators]:
    with RunningSimulators() as running:
        yield running


class Desk:
    """HitPay's adapter at its simulator."""

    def __init__(self, control: SimulatorControl) -> None:
        self.control = control
        self._clock = RealClock()
        self._http = OverseenHttp(self._clock, control, HitPayApi())
        url, key = control.hitpay_url, FixedKey(hitpay_simulator.DEFAULT_KEY)
        self.hitpay = HitPay(base_url=url, key=key, http=self._http)

    def deadline(self) -> Deadline:
        return Deadline.after(self._clock, 20_000)

    def close(self) -> None:
        self._http.close()

    def walk(self) -> list[ListedCharge]:
        """Every charge that the list shows."""
        found: list[ListedCharge] = []
        cursor: str | None = None
        while True:
            page = self.hitpay.charges(cursor, self.deadline())
            found += page.charges
            if (cursor := page.cursor) is None:
                return found


@pytest.fixture
def desk(simulators: RunningSimulators) -> Iterator[Desk]:
    simulators.control.reset()
    desk = Desk(simulators.control)
    yield desk
    desk.close()


def sold(number: int) -> JsonObject:
    refunded = {PARTLY: "10.00", WHOLLY: "100.00"}.get(number % 10)
    charge: JsonObject = {"id": f"pay-{number}", "amount": "100.00", "currency": "sgd"}
    if refunded:
        charge["refunds"] = [{"id": f"ref-{number}", "amount": refunded}]
    return charge


@pytest.mark.parametrize("items", ["short", "full"])
@pytest.mark.parametrize("default", ["documented", "everything"])
@pytest.mark.parametrize("paging", ["cursor", "link", "page", "meta_page"])
def test_what_was_refunded_is_found_to_the_last_page_of_every_form_of_a_list(
    desk: Desk, paging: str, default: str, items: str
) -> None:
    # Given many charges, of which some were refunded in part and some as a whole
    desk.control.seed(Seed(charges=tuple(sold(number) for number in range(CHARGES))))
    desk.control.set_hitpay(list_paging=paging, list_default=default, list_items=items)

    # When the list is walked through
    found = {charge.id: charge.refunded for charge in desk.walk()}

    # Then just those are found, with what was refunded of them as far as the list says it
    part = 1000 if items == "full" else None
    assert found == {
        f"pay-{number}": part if number % 10 == PARTLY else 10_000
        for number in range(CHARGES)
        if number % 10 in (PARTLY, WHOLLY)
    }


@pytest.mark.parametrize("variant", ["html", "empty", "truncated"])
@pytest.mark.parametrize("paging", ["cursor", "link", "page", "meta_page"])
def test_of_a_page_that_cannot_be_read_it_is_known_how_to_pass_it(
    desk: Desk, paging: str, variant: str
) -> None:
    # Given two pages of charges of today, of which the first cannot be read once
    desk.control.seed(Seed(charges=tuple(sold(PARTLY + 10 * number) for number in range(60))))
    desk.control.set_hitpay(list_paging=paging)
    desk.control.add_fault("hitpay", "charge.list", "body", variant=variant)
    with pytest.raises(UnreadablePageError) as unreadable:
        desk.hitpay.charges(None, desk.deadline())

    # When it is passed, then the charges that were made until that day are listed, page by page
    found: list[str] = []
    cursor: str | None = unreadable.value.beyond
    while cursor is not None:
        page = desk.hitpay.charges(cursor, desk.deadline())
        found += [charge.id for charge in page.charges]
        cursor = page.cursor
    assert len(set(found)) == len(found) == 60

    # And when that page cannot be read either, it is passed by a day more
    desk.control.add_fault("hitpay", "charge.list", "body", variant=variant)
    with pytest.raises(UnreadablePageError) as again:
        desk.hitpay.charges(unreadable.value.beyond, desk.deadline())
    assert not desk.hitpay.charges(again.value.beyond, desk.deadline()).charges


@pytest.mark.parametrize("number_form", ["fixed", "shortest", "text", "grouped"])
@pytest.mark.parametrize("currency_case", ["lower", "upper"])
@pytest.mark.parametrize("refund_status", ["as_is", "null"])
def test_a_refund_is_read_in_every_form(
    desk: Desk, number_form: str, currency_case: str, refund_status: str
) -> None:
    # Given a payment of several thousands
    charge: dict[str, Any] = {"id": "pay-1", "amount": "5000.00", "currency": "sgd"}
    desk.control.seed(Seed(charges=(charge | {"status": "succeeded_manually"},)))
    forms = {"number_form": number_form, "currency_case": currency_case}
    desk.control.set_hitpay(**forms, refund_status=refund_status)

    # When a part of it is refunded
    outcome = desk.hitpay.refund(instruction(125_000), desk.deadline())

    # Then the answer, the refund and the charge say the same
    assert isinstance(outcome, Accepted), outcome
    processor_refund = desk.hitpay.processor_refund(outcome.processor_refund.id, desk.deadline())
    assert processor_refund is not None
    assert (processor_refund.money, processor_refund.status) == (
        Money(125_000, "sgd"),
        ProcessorRefundStatus.SUCCEEDED,
    )
    assert processor_refund.refunded_at_ms == processor_refund.created_at_ms
    shown = desk.hitpay.charge("pay-1", desk.deadline())
    assert (shown.money, shown.refunded) == (Money(500_000, "sgd"), 125_000)
    assert shown.status is ChargeStatus.REFUNDABLE


def test_the_fee_is_read_where_it_is_printed(desk: Desk) -> None:
    # Given a HitPay that takes a fee for a refund, in a currency of its own
    charge: dict[str, Any] = {"id": "pay-1", "amount": "5000.00", "currency": "sgd"}
    desk.control.seed(Seed(charges=(charge,)))
    desk.control.set_hitpay(provider_fee="0.65", provider_fee_currency="usd")

    # When a payment is refunded
    outcome = desk.hitpay.refund(instruction(125_000), desk.deadline())

    # Then the answer, the refund and the charge say it
    assert isinstance(outcome, Accepted), outcome
    read = desk.hitpay.processor_refund(outcome.processor_refund.id, desk.deadline())
    (listed,) = desk.hitpay.charge("pay-1", desk.deadline()).processor_refunds or ()
    fees = [
        processor_refund and processor_refund.fee
        for processor_refund in (outcome.processor_refund, read, listed)
    ]
    assert fees == [Money(65, "usd")] * 3


SWITCHES = [
    (switch.name, value)
    for switch in fields(HitPaySettings)
    for value in switch.metadata.get("values", ())
]


@pytest.mark.parametrize(("switch", "value"), SWITCHES)
def test_every_call_is_as_hitpays_api_is_described_however_it_is_switched(
    desk: Desk, switch: str, value: str | int
) -> None:
    # Given a payment and what its payer was asked for, at a HitPay that is switched so
    charge: dict[str, Any] = {"id": "pay-1", "amount": "5000.00", "currency": "sgd"}
    asked_for: JsonObject = {"id": "req-1", "amount": "5000.00", "currency": "sgd"}
    asked_for["payment_ids"] = ["pay-1"]
    desk.control.seed(Seed(charges=(charge,), payment_requests=(asked_for,)))
    desk.control.set_hitpay(**{switch: value})

    # When a part of it is refunded, and everything is read by a caller that holds it against that
    outcome = desk.hitpay.refund(instruction(125_000), desk.deadline())
    assert isinstance(outcome, Accepted), outcome
    processor_refund = desk.hitpay.processor_refund(outcome.processor_refund.id, desk.deadline())
    found = desk.hitpay.charge(desk.hitpay.charge_id_of("req-1", desk.deadline()), desk.deadline())
    listed = desk.walk()

    # Then it is found everywhere, refusals are told, and no call was left out
    assert processor_refund is not None
    assert (processor_refund.payment_id, found.id) == ("pay-1", "pay-1")
    assert [one.id for one in listed] == ["pay-1"]
    assert isinstance(desk.hitpay.refund(instruction(500_000), desk.deadline()), Rejected)
    assert desk.hitpay.processor_refund("nobody", desk.deadline()) is None
    calls = desk.control.calls("hitpay")
    assert {call.operation for call in calls} == {operation for *_, operation in ROUTES}
