"""What the simulators of the processors beside HitPay have in common: faults, control, reach."""

from collections.abc import Iterator

import pytest
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError

from local.simulators.ccg import KEY as CCG_KEY
from local.simulators.ccg import MERCHANT
from local.simulators.client import ControlError, SimulatorControl
from local.simulators.hedge import KEY as HEDGE_KEY
from local.simulators.hyperswitch import KEY as HYPERSWITCH_KEY
from local.simulators.json_text import JsonObject
from local.simulators.payments import OTHER_PROCESSORS
from tests.unit.simulators.callers import JsonCaller, Reply, eventually

HEADERS = {
    "hyperswitch": {"api-key": HYPERSWITCH_KEY},
    "hedge": {"Authorization": f"Bearer {HEDGE_KEY}"},
    "ccg": {"Authorization": f"Bearer {CCG_KEY}", "X-Merchant-Id": MERCHANT},
}


class Desk:
    """One processor, and how it is asked for a refund."""

    def __init__(self, control: SimulatorControl, provider: str) -> None:
        self.control = control
        self.provider = provider
        self.caller = JsonCaller(control.urls[provider], HEADERS[provider])
        control.seed_processor(provider, {"payments": [self.payment]})

    @property
    def payment(self) -> JsonObject:
        return {"id": "pay-1", "amount": 9999, "currency": "usd"}

    def refund(self, amount: int = 2500, key: str = "ours-1", timeout: float = 5) -> Reply:
        path, body = {
            "hyperswitch": ("/refunds", {"payment_id": "pay-1", "refund_id": key}),
            "hedge": ("/v1/payments/pay-1/refund", {}),
            "ccg": ("/v1/refunds", {"paymentId": "pay-1", "merchantTransactionId": key}),
        }[self.provider]
        return self.caller.post(path, {**body, "amount": amount}, timeout=timeout)

    def fault(self, fault: str, **more: object) -> None:
        self.control.add_fault(self.provider, "refund.create", fault, **more)  # type: ignore[arg-type]

    def moved(self) -> list[int]:
        return [item.amount for item in self.control.processor_refunds(self.provider, "pay-1")]


@pytest.fixture(params=HEADERS)
def desk(request: pytest.FixtureRequest, control: SimulatorControl) -> Iterator[Desk]:
    desk = Desk(control, request.param)
    yield desk
    desk.caller.close()


def test_a_lost_request_does_nothing(desk: Desk) -> None:
    desk.fault("lost_request")
    with pytest.raises(ProtocolError):
        desk.refund()
    assert desk.moved() == []
    (call,) = desk.control.calls(desk.provider)
    assert (call.fault, call.status, call.processed) == ("lost_request", None, False)


def test_a_commit_may_lose_its_answer(desk: Desk) -> None:
    desk.fault("commit_then_reset")
    with pytest.raises(ProtocolError):
        desk.refund()
    assert desk.moved() == [2500]


def test_a_commit_may_come_when_the_caller_has_gone(desk: Desk) -> None:
    desk.fault("late_commit", seconds=0.05, hold_seconds=0)
    with pytest.raises(ProtocolError):
        desk.refund()
    assert desk.moved() == []
    assert eventually(desk.moved, bool) == [2500]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_an_error_status_comes_before_processing(desk: Desk, status: int) -> None:
    desk.fault("status", status=status)
    assert desk.refund().status == status
    assert desk.moved() == []


def test_an_error_after_the_commit_hides_a_refund(desk: Desk) -> None:
    desk.fault("status_after_commit", status=502)
    assert desk.refund().status == 502
    assert desk.moved() == [2500]


@pytest.mark.parametrize("variant", ["other_amount", "other_currency", "other_payment", "no_id"])
def test_a_2xx_may_disagree_with_what_was_asked(desk: Desk, variant: str) -> None:
    plain = desk.refund(amount=1).body
    desk.fault("body", variant=variant)
    bent = desk.refund(amount=1, key="ours-2").body
    assert bent != plain
    assert desk.moved() == [1, 1]


def test_faults_of_one_processor_are_not_anothers(desk: Desk) -> None:
    other = next(name for name in HEADERS if name != desk.provider)
    desk.control.add_fault(other, "*", "status", times=None)
    assert desk.refund().status == 200


def test_a_429_says_when_to_come_again(desk: Desk) -> None:
    desk.fault("status", status=429)
    assert desk.refund().headers["Retry-After"] == "1"


def test_a_refund_in_the_dashboard_is_one_like_any(desk: Desk) -> None:
    desk.control.refund_at_processor(desk.provider, "pay-1", 1000)
    (made,) = desk.control.processor_refunds(desk.provider)
    assert (made.amount, made.made_in, made.key) == (1000, "dashboard", None)
    with pytest.raises(ControlError):
        desk.control.refund_at_processor(desk.provider, "pay-1", 9000)
    with pytest.raises(ControlError):
        desk.control.refund_at_processor(desk.provider, "pay-9", 1)


def test_two_keys_may_be_valid_at_once(desk: Desk) -> None:
    desk.control.set_keys(desk.provider, "old", "new")
    assert desk.refund().status == 401


def test_a_reset_forgets_everything(desk: Desk) -> None:
    desk.refund()
    desk.control.set_processor(desk.provider, refunds_max=1)
    desk.control.set_keys(desk.provider, "other")
    desk.control.reset()
    assert desk.control.processor_refunds(desk.provider) == []
    desk.control.seed_processor(desk.provider, {"payments": [desk.payment]})
    assert [desk.refund(key=key).status for key in ("ours-1", "ours-2")] == [200, 200]


def test_a_closed_port_refuses_connections_and_keeps_the_books(desk: Desk) -> None:
    assert desk.refund().status == 200
    desk.control.set_listening(desk.provider, False)
    with pytest.raises(HTTPError):
        desk.refund(key="ours-2")
    with pytest.raises(NewConnectionError):
        urllib3.PoolManager(retries=False).request("GET", desk.caller.url)
    desk.control.set_listening(desk.provider, True)
    assert desk.moved() == [2500]


def test_a_port_is_not_closed_through_itself(desk: Desk) -> None:
    url = f"{desk.caller.url}/_control/listening"
    body = f'{{"provider": "{desk.provider}", "on": false}}'
    assert desk.caller.pool.request("POST", url, body=body).status == 400
    assert desk.refund().status == 200


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ({"payments": [{"id": "p", "amount": "99.99", "currency": "usd"}]}, "amount must be"),
        ({"payments": [{"id": "p", "amount": 1}]}, "currency must be"),
        (
            {"payments": [{"id": "p", "amount": 1, "currency": "usd", "refunds_come_back": "x"}]},
            "status must be one of",
        ),
    ],
)
def test_a_wrong_seed_is_refused_with_a_sentence(
    desk: Desk, seed: JsonObject, message: str
) -> None:
    with pytest.raises(ControlError, match=message):
        desk.control.seed_processor(desk.provider, seed)


def test_each_demo_payment_is_known_to_its_processor_and_to_stripe(
    control: SimulatorControl,
) -> None:
    # Given the demo payments, which `control` has seeded
    for payment in OTHER_PROCESSORS:
        # When one is refunded at its processor, then it is there, and nowhere else
        refund_id = control.refund_at_processor(payment.processor, payment.charge_id, 100)
        (made,) = control.processor_refunds(payment.processor, payment.charge_id)
        assert (made.id, made.currency) == (refund_id, payment.currency)
    records = control.state("stripe")["payment_records"]
    assert isinstance(records, list)
    metadata = {item["id"]: item["metadata"] for item in records}
    for payment in OTHER_PROCESSORS:
        name = f"{payment.processor}_payment_id"
        assert metadata[payment.record_id] == {name: payment.charge_id}
