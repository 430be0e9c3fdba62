"""The simulators as a process of their own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from urllib3.exceptions import HTTPError

from local.simulators.client import SimulatorControl
from local.simulators.payments import CARD_SGD, demo_payments
from tests.unit.simulators.callers import HitPayCaller, eventually

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_announces_itself_serves_and_ends_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    # Given a process that was told where to announce itself
    file = tmp_path / "simulators.json"
    command = [sys.executable, "-W", "error", "-m", "local.simulators", "--announce", str(file)]
    with subprocess.Popen(  # noqa: S603 -- our own module
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            # When the announcement is there, then it serves
            assert eventually(file.exists, bool, within=20)
            assert json.loads(file.read_text())["pid"] == process.pid
            control = SimulatorControl.announced(file)
            control.seed(demo_payments())
            caller = HitPayCaller(control.hitpay_url)
            assert caller.charge(CARD_SGD.charge_id)["status"] == "succeeded"
            assert control.hitpay_url.startswith("http://127.0.0.1:")
            assert list(control.urls) == ["hitpay", "stripe", "hyperswitch", "hedge", "ccg"]
            assert control.processor_refunds("hedge") == []
            caller.close()
            control.close()
        finally:
            # When it is told to end, then it ends, quietly
            process.send_signal(how)
            output, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert "HitPay http://127.0.0.1" in output
    assert os.listdir(tmp_path) == ["simulators.json"]


@pytest.mark.parametrize("provider", ["hitpay", "stripe", "hyperswitch", "hedge", "ccg"])
def test_a_closed_port_refuses_until_the_simulators_are_reset(
    control: SimulatorControl, provider: str
) -> None:
    # Given a provider whose port is closed
    control.set_listening(provider, False)
    with pytest.raises(HTTPError):
        control.state(provider)
    # When all are reset, then it answers again
    control.reset()
    assert control.state(provider)
