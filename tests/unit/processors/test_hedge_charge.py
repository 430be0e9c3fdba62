"""What is read of a payment of Hedge Payments', and what of it is refused as unreadable."""

from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.charge import ChargeStatus
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import ChargeNotFoundError
from refund_bridge.processors.hedge.adapter import Hedge
from tests.unit.processors.adapters import REFUND_ID, hedge_error, hedge_payment, hedge_refund
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer


@pytest.fixture
def read(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> Any:
    def ask(*scripts: Any) -> Any:
        with RawServer(*scripts) as server:
            adapter = Hedge(base_url=server.url, key=key, http=http)
            return adapter.charge("pay-1", clock.deadline())

    return ask


def test_a_payment_is_read_with_its_refunds(read: Any) -> None:
    charge = read(answer(200, hedge_payment()))
    assert (charge.id, charge.money, charge.refunded) == ("pay-1", Money(9999, "usd"), 5000)
    assert (charge.status, charge.method) == (ChargeStatus.REFUNDABLE, "card")
    (processor_refund,) = charge.processor_refunds
    assert (processor_refund.id, processor_refund.money, processor_refund.instruction_id) == (
        "ref-1",
        Money(5000, "usd"),
        None,
    )


def test_an_instruction_of_ours_is_known_by_its_metadata(read: Any) -> None:
    marked = hedge_refund(metadata={"refund_bridge_id": REFUND_ID})
    charge = read(answer(200, hedge_payment(marked)))
    assert [item.instruction_id for item in charge.processor_refunds] == [REFUND_ID]


@pytest.mark.parametrize("metadata", [None, [], "x", {"refund_bridge_id": 7}, {"other": "x"}])
def test_other_metadata_name_no_instruction(read: Any, metadata: Any) -> None:
    charge = read(answer(200, hedge_payment(hedge_refund(metadata=metadata))))
    assert [item.instruction_id for item in charge.processor_refunds] == [None]


@pytest.mark.parametrize(
    ("method", "arrival"),
    [
        ("card", Arrival(3, 10)),
        ("credit_card", Arrival(5, 10)),
        ("debit_card", Arrival(3, 5)),
        ("ACH", Arrival(5, 7)),
        ("crypto", None),
        (None, None),
    ],
)
def test_when_a_refund_arrives_is_said_by_method(
    read: Any, method: str | None, arrival: Arrival | None
) -> None:
    assert read(answer(200, hedge_payment(payment_method=method))).arrival == arrival


def test_a_payment_that_it_does_not_know_is_not_there(read: Any) -> None:
    with pytest.raises(ChargeNotFoundError):
        read(answer(404, hedge_error("not_found", "Payment not found with the given ID.")))
