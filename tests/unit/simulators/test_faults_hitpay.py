"""Each fault as a caller of HitPay sees it on the socket, and what it leaves in the books."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from local.simulators.client import SimulatorControl
from local.simulators.payments import CARD_SGD
from tests.unit.simulators.callers import HitPayCaller, Reply, eventually

CHARGE = CARD_SGD.charge_id


def refund(hitpay: HitPayCaller, timeout: float = 5) -> Reply:
    return hitpay.refund(payment_id=CHARGE, amount="10.00", timeout=timeout)


def test_a_lost_request_closes_the_connection_and_does_nothing(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a request that gets lost
    control.add_fault("hitpay", "refund.create", "lost_request")

    # When a refund is asked for
    with pytest.raises(ProtocolError, match="without response"):
        refund(hitpay)

    # Then nothing was processed, and the journal says why
    assert control.refunds(CHARGE) == []
    (call,) = control.calls("hitpay")
    assert (call.fault, call.status, call.processed) == ("lost_request", None, False)


def test_commit_then_reset_moves_the_money_and_resets_the_connection(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a reset after the commit
    control.add_fault("hitpay", "refund.create", "commit_then_reset")

    # When a refund is asked for
    with pytest.raises(ProtocolError) as broken:
        refund(hitpay)

    # Then it is a real reset, and the money has moved
    assert any(isinstance(part, ConnectionResetError) for part in broken.value.args)
    assert len(control.refunds(CHARGE)) == 1
    assert control.calls("hitpay")[0].processed


def test_commit_then_timeout_moves_the_money_and_never_answers(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given an answer that is held for ever
    control.add_fault("hitpay", "refund.create", "commit_then_timeout")

    # When the caller gives up
    with pytest.raises(ReadTimeoutError):
        refund(hitpay, timeout=0.2)

    # Then the money has moved, and the server notices that the caller is gone
    assert len(control.refunds(CHARGE)) == 1
    hitpay.close()
    calls = eventually(lambda: control.calls("hitpay"), lambda seen: seen[0].finished)
    assert (calls[0].status, calls[0].finished) == (None, True)


def test_commit_then_timeout_may_answer_after_a_while(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.add_fault("hitpay", "refund.create", "commit_then_timeout", seconds=0.2)
    began = time.monotonic()
    assert refund(hitpay).status == 200
    assert time.monotonic() - began >= 0.2


def test_a_late_commit_has_moved_nothing_when_the_caller_gives_up(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.add_fault("hitpay", "refund.create", "late_commit", seconds=60)
    with pytest.raises(ReadTimeoutError):
        refund(hitpay, timeout=0.1)
    assert control.refunds(CHARGE) == []


def test_a_late_commit_moves_the_money_afterwards(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given an effect that comes a little late
    control.add_fault("hitpay", "refund.create", "late_commit", seconds=0.1, hold_seconds=0)

    # When the caller loses the connection
    with pytest.raises(ProtocolError):
        refund(hitpay)

    # Then the money moves all the same
    assert len(eventually(lambda: control.refunds(CHARGE), bool)) == 1
    assert control.calls("hitpay")[0].processed


def test_a_reset_drops_late_effects(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    # Given an effect that is to come later
    control.add_fault("hitpay", "refund.create", "late_commit", seconds=0.05, hold_seconds=0)
    with pytest.raises(ProtocolError):
        refund(hitpay)

    # When the simulator is reset, then it never comes: a later call finds clean books
    control.reset()
    control.add_fault("hitpay", "charge.read", "delay", seconds=0.1)
    assert hitpay.get(f"/v1/charges/{CHARGE}").status == 404
    assert control.refunds() == []


def test_a_reset_lets_go_of_held_callers(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    control.add_fault("hitpay", "refund.create", "commit_then_timeout")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(refund, hitpay)
        eventually(lambda: control.refunds(CHARGE), bool)
        control.reset()
        assert isinstance(held.exception(timeout=5), ProtocolError)


def test_a_dripping_body_defeats_a_timeout_per_read(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a body that comes byte by byte
    control.add_fault("hitpay", "charge.read", "drip", seconds=0.002)

    # When it is read with a timeout per read that is shorter than the whole takes
    began = time.monotonic()
    reply = hitpay.get(f"/v1/charges/{CHARGE}", timeout=0.5)

    # Then every read is in time and the whole is not
    assert reply.body["id"] == CHARGE
    assert time.monotonic() - began > 0.5


def test_a_delay_comes_before_processing(hitpay: HitPayCaller, control: SimulatorControl) -> None:
    control.add_fault("hitpay", "refund.create", "delay", seconds=60)
    with pytest.raises(ReadTimeoutError):
        refund(hitpay, timeout=0.1)
    assert control.refunds(CHARGE) == []


def test_a_delayed_call_is_processed_although_the_caller_gave_up(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.add_fault("hitpay", "refund.create", "delay", seconds=0.3)
    with pytest.raises(ReadTimeoutError):
        refund(hitpay, timeout=0.1)
    assert len(eventually(lambda: control.refunds(CHARGE), bool)) == 1
