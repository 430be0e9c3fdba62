"""What the commands work with is built from what is deployed, and asks nobody before it must."""

from typing import Any

import pytest

from deployed.clients import CloudClients
from refundctl.command import main
from refundctl.exits import Exit
from refundctl.target import Stack, Target
from refundctl.world import provider_keys, world_of
from tests.unit.refundctl.operator import OUTPUTS

SANDBOX = "https://api.sandbox.hit-pay.com"
GIVEN = {
    "Stage": "sandbox",
    "Mode": "test",
    "HitPayUrl": SANDBOX,
    "StripeUrl": "https://api.stripe.com",
    "HitPayZeroDecimalForm": "integer",
    "HoldSeconds": "86400",
    "ReportLeaseSeconds": "90",
    "SettleSeconds": "60",
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
    assert (str(world.deployment), world.locator.livemode) == ("sandbox (test)", False)
    assert world.resolve("operator:kim").hold_ms == world.hold_ms
    world.telemetry.note("anything")


def test_it_says_where_money_is_real() -> None:
    live = {"Stage": "production", "Mode": "live", "HitPayUrl": "https://api.hit-pay.com"}
    world = world_of(Deployed(**live))
    assert (str(world.deployment), world.locator.livemode) == ("production (live)", True)


def test_it_has_every_processor_that_is_set_up() -> None:
    others = {
        "HyperswitchUrl": "https://sandbox.hyperswitch.io",
        "HedgeUrl": "https://api-sandbox.hedgepayments.com",
        "CcgUrl": "https://api-stg.uhg.com",
        "CcgMerchantId": "m-1",
        "CcgAmountUnit": "major",
    }
    world = world_of(Deployed(**others))
    assert list(world.processors) == ["hitpay", "hyperswitch", "hedge", "ccg"]
    assert list(world_of(Deployed(**others, HitPayUrl="")).processors) == [
        "hyperswitch",
        "hedge",
        "ccg",
    ]
    keys = provider_keys(Deployed(**others), world.clock)
    assert list(keys.processors) == list(world.processors)


@pytest.mark.parametrize("changed", [{"HitPayUrl": ""}, {"CcgUrl": "https://api-stg.uhg.com"}])
def test_without_a_processor_or_with_a_half_of_one_nothing_is_begun(
    changed: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    target = Deployed(**changed)
    assert main(["show", "rfd_x"], lambda *_: target) == Exit.REFUSED
    assert capsys.readouterr().err


@pytest.mark.parametrize(("mode", "url"), [("live", SANDBOX), ("test", "https://api.hit-pay.com")])
def test_a_mix_of_real_and_play_money_is_refused(
    mode: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Deployed(Mode=mode, HitPayUrl=url)
    assert main(["show", "rfd_x"], lambda *_: target) == Exit.REFUSED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "HITPAY_URL" in captured.err
