"""The processors and Stripe that a local stack calls: their addresses and keys, and simulators."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deployed import paths
from deployed.polling import wait_for
from deployed.secrets import PROCESSOR_KEYS
from local.child_process import ChildProcess, clean_environment
from local.simulators import ccg, hedge, hyperswitch
from local.simulators.client import SimulatorControl
from local.simulators.hitpay import DEFAULT_KEY as SIMULATED_HITPAY_KEY
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.stripe import DEFAULT_TEST_KEY as SIMULATED_STRIPE_KEY

START_SECONDS = 20.0


@dataclass(frozen=True)
class SimulatedProcessor:
    """The settings of a processor for which there is a simulator.

    Attributes:
        url_parameter: the template's parameter for its address.
        live_host: the processor's own host, where money is real.
        more: further parameters of the template that it needs.
    """

    url_parameter: str
    key: str
    live_host: str
    more: Mapping[str, str] = field(default_factory=dict)

    def parameters(self, url: str) -> dict[str, str]:
        """The template's parameters."""
        return {self.url_parameter: url, **self.more}

    @property
    def secret(self) -> str:
        """The name under which its key is stored."""
        return PROCESSOR_KEYS[self.url_parameter]


PROCESSORS = {
    "hitpay": SimulatedProcessor("HitPayUrl", SIMULATED_HITPAY_KEY, "api.hit-pay.com"),
    "hyperswitch": SimulatedProcessor("HyperswitchUrl", hyperswitch.KEY, "api.hyperswitch.io"),
    "hedge": SimulatedProcessor("HedgeUrl", hedge.KEY, "api.hedgepayments.com"),
    "ccg": SimulatedProcessor(
        "CcgUrl",
        ccg.KEY,
        "api.uhg.com",
        {"CcgMerchantId": ccg.MERCHANT, "CcgAmountUnit": "minor"},
    ),
}
OTHERS = {name: one for name, one in PROCESSORS.items() if name != "hitpay"}


@dataclass(frozen=True)
class Providers:
    """The addresses and keys of Stripe and the processors; `control` is set if they are simulators.

    Attributes:
        others: the template's parameters that set up processors other than HitPay.
        other_keys: their keys, by the names under which they are stored.
    """

    hitpay_url: str
    stripe_url: str
    hitpay_key: str = field(repr=False)
    stripe_key: str = field(repr=False)
    webhook_salt: str | None = field(default=None, repr=False)
    others: Mapping[str, str] = field(default_factory=dict)
    other_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    control: SimulatorControl | None = None

    @property
    def urls(self) -> dict[str, str]:
        """The address of each processor that is set up, by its name."""
        others = {name: self.others.get(one.url_parameter) for name, one in OTHERS.items()}
        return {"hitpay": self.hitpay_url} | {name: url for name, url in others.items() if url}


@contextmanager
def simulated_providers(directory: Path) -> Iterator[Providers]:
    """Start all simulators, without payments, in a process of their own."""
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
                others={
                    parameter: value
                    for name, one in OTHERS.items()
                    for parameter, value in one.parameters(control.urls[name]).items()
                },
                other_keys={one.secret: one.key for one in OTHERS.values()},
                control=control,
            )
        finally:
            control.close()
