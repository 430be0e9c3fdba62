"""What the commands work with is built from what is deployed, and asks nobody before it must."""

from typing import Any

import pytest

from local.clients import CloudClients
from refundctl.command import main
from refundctl.exits import Exit
from refundctl.target import Stack, Target
from refundctl.world import world_of
from tests.unit.refundctl.operator import OUTPUTS

SANDBOX = "https://api.sandbox.hit-pay.com"
GIVEN = {
    "Stage": "sandbox",
    "Mode": "test",
    "HitPayUrl": SANDBOX,
    "StripeUrl": "https://api.stripe.com",
    "HitPayZeroDecimalForm": "integer",
    "HoldSeconds": "86400",
}


class Silent:
    """A client of AWS that must not be asked."""

    def __getattr__(self, name: str) -> Any:
        if name == "meta":
            return self
        raise AssertionError(f"asked for {name}")


class Deployed(Target):
    """A stack with these parameters."""

    def __init__(self, **changed: str) -> None:
        super().__init__("sandbox", "refund-bridge-sandbox", CloudClients("ap-southeast-1"))
        self._given = GIVEN | changed

    def client(self, service: str) -> Any:
        return Silent()

    @property
    def stack(self) -> Stack:
        return Stack(outputs=OUTPUTS, parameters=self._given)


def test_it_is_as_the_stack_says_and_nobody_is_asked() -> None:
    world = world_of(Deployed())
    assert (world.stage, world.hold_ms) == ("sandbox", 86_400_000)
    assert list(world.processors) == ["hitpay"]
    assert world.resolve("operator:kim").hold_ms == world.hold_ms
    world.trail.note("anything")


@pytest.mark.parametrize(("mode", "url"), [("live", SANDBOX), ("test", "https://api.hit-pay.com")])
def test_a_mix_of_real_and_play_money_is_refused(
    mode: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Deployed(Mode=mode, HitPayUrl=url)
    assert main(["show", "rfd_x"], lambda *_: target) == Exit.REFUSED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "HITPAY_URL" in captured.err
