"""The other end: the simulators, or real HitPay and Stripe endpoints named by the environment."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local import paths
from local.child_process import ChildProcess, clean_environment
from local.polling import wait_for
from local.simulators.client import SimulatorControl
from local.simulators.hitpay import DEFAULT_KEY as SIMULATED_HITPAY_KEY
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.stripe import DEFAULT_TEST_KEY as SIMULATED_STRIPE_KEY

START_SECONDS = 20.0
FROM_ENVIRONMENT = ("HITPAY_URL", "STRIPE_URL", "HITPAY_API_KEY", "STRIPE_SECRET_KEY")


class IncompleteProvidersError(ValueError):
    """Some of the four variables are set and others are not."""


@dataclass(frozen=True)
class Providers:
    """Where HitPay and Stripe are. `control` is there if they are the simulators."""

    hitpay_url: str
    stripe_url: str
    hitpay_key: str = field(repr=False)
    stripe_key: str = field(repr=False)
    webhook_salt: str | None = field(default=None, repr=False)
    control: SimulatorControl | None = None

    @property
    def mode(self) -> str:
        """The mode that Stripe's key belongs to."""
        return "live" if self.stripe_key.startswith(("sk_live_", "rk_live_")) else "test"


def external_providers(environment: Mapping[str, str] | None = None) -> Providers | None:
    """Read the endpoints from the environment; None if it names none."""
    given = os.environ if environment is None else environment
    values = {name: given[name] for name in FROM_ENVIRONMENT if given.get(name)}
    if not values:
        return None
    if missing := [name for name in FROM_ENVIRONMENT if name not in values]:
        raise IncompleteProvidersError(f"{', '.join(sorted(values))} given; missing: {missing}")
    return Providers(
        hitpay_url=values["HITPAY_URL"].rstrip("/"),
        stripe_url=values["STRIPE_URL"].rstrip("/"),
        hitpay_key=values["HITPAY_API_KEY"],
        stripe_key=values["STRIPE_SECRET_KEY"],
        webhook_salt=given.get("HITPAY_WEBHOOK_SALT") or None,
    )


@contextmanager
def simulated_providers(directory: Path) -> Iterator[Providers]:
    """Start both simulators as a process of their own, empty."""
    announcement = directory / "simulators.json"
    python = paths.executable(paths.DEV_ENVIRONMENT, "python")
    program = ["local.simulators", "--announce", str(announcement)]
    environment = clean_environment(directory)
    with ChildProcess(python, program, environment, directory / "simulators.log") as child:

        def announced() -> bool:
            if child.exit_code is not None:
                raise RuntimeError(f"the simulators ended:\n{child.last_words()}")
            return announcement.is_file()

        wait_for(announced, "the simulators", at_most=START_SECONDS)
        control = SimulatorControl.announced(announcement)
        try:
            yield Providers(
                hitpay_url=control.hitpay_url,
                stripe_url=control.stripe_url,
                hitpay_key=SIMULATED_HITPAY_KEY,
                stripe_key=SIMULATED_STRIPE_KEY,
                webhook_salt=HitPaySettings().webhook_salt,
                control=control,
            )
        finally:
            control.close()
