"""The other end: the simulators, or real endpoints named by the environment."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local import paths
from local.child_process import ChildProcess, clean_environment
from local.polling import wait_for
from local.secrets import PROCESSOR_KEYS
from local.simulators import ccg, hedge, hyperswitch
from local.simulators.client import SimulatorControl
from local.simulators.hitpay import DEFAULT_KEY as SIMULATED_HITPAY_KEY
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.stripe import DEFAULT_TEST_KEY as SIMULATED_STRIPE_KEY
from local.template_yaml import read_template

START_SECONDS = 20.0
FROM_ENVIRONMENT = ("HITPAY_URL", "STRIPE_URL", "HITPAY_API_KEY", "STRIPE_SECRET_KEY")


class IncompleteProvidersError(ValueError):
    """Some of the variables that belong together are set and others are not."""


@dataclass(frozen=True)
class SimulatedProcessor:
    """What sets a processor up at its simulator.

    Attributes:
        url_parameter: the template's parameter that takes its address.
        more: what the template has to be told besides.
    """

    url_parameter: str
    key: str
    more: Mapping[str, str] = field(default_factory=dict)

    def parameters(self, url: str) -> dict[str, str]:
        """The template's parameters."""
        return {self.url_parameter: url, **self.more}

    @property
    def secret(self) -> str:
        """The name under which its key is stored."""
        return PROCESSOR_KEYS[self.url_parameter]


PROCESSORS = {
    "hitpay": SimulatedProcessor("HitPayUrl", SIMULATED_HITPAY_KEY),
    "hyperswitch": SimulatedProcessor("HyperswitchUrl", hyperswitch.KEY),
    "hedge": SimulatedProcessor("HedgeUrl", hedge.KEY),
    "ccg": SimulatedProcessor(
        "CcgUrl", ccg.KEY, {"CcgMerchantId": ccg.MERCHANT, "CcgAmountUnit": "minor"}
    ),
}
OTHERS = {name: one for name, one in PROCESSORS.items() if name != "hitpay"}


@dataclass(frozen=True)
class Providers:
    """Where Stripe and the processors are. `control` is there if they are the simulators.

    Attributes:
        others: the template's parameters that set the processors beside HitPay up.
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
    def mode(self) -> str:
        """The mode that Stripe's key belongs to."""
        return "live" if self.stripe_key.startswith(("sk_live_", "rk_live_")) else "test"

    @property
    def urls(self) -> dict[str, str]:
        """Where each processor is that is set up, by its name."""
        others = {name: self.others.get(one.url_parameter) for name, one in OTHERS.items()}
        return {"hitpay": self.hitpay_url} | {name: url for name, url in others.items() if url}


def external_providers(environment: Mapping[str, str] | None = None) -> Providers | None:
    """Read the endpoints from the environment; None if it names none."""
    given = os.environ if environment is None else environment
    values = {name: given[name] for name in FROM_ENVIRONMENT if given.get(name)}
    others, other_keys = _others_in(given)
    if not values and not others:
        return None
    if missing := [name for name in FROM_ENVIRONMENT if name not in values]:
        named = sorted([*values, *map(_variable, others)])
        raise IncompleteProvidersError(f"{', '.join(named)} given; missing: {missing}")
    return Providers(
        hitpay_url=values["HITPAY_URL"].rstrip("/"),
        stripe_url=values["STRIPE_URL"].rstrip("/"),
        hitpay_key=values["HITPAY_API_KEY"],
        stripe_key=values["STRIPE_SECRET_KEY"],
        webhook_salt=given.get("HITPAY_WEBHOOK_SALT") or None,
        others=others,
        other_keys=other_keys,
    )


def _others_in(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The processors beside HitPay that the environment names: parameters, and keys."""
    parameters: dict[str, str] = {}
    keys: dict[str, str] = {}
    declared = read_template(paths.TEMPLATE)["Parameters"]
    for one in OTHERS.values():
        key = one.secret.replace("-", "_").upper()
        url = _variable(one.url_parameter)
        if bool(given.get(url)) != bool(given.get(key)):
            raise IncompleteProvidersError(f"give both {url} and {key}, or neither")
        if given.get(url):
            keys[one.secret] = given[key]
            prefix = one.url_parameter.removesuffix("Url")
            own = [name for name in declared if name.startswith(prefix)]
            parameters |= {n: given[_variable(n)] for n in own if given.get(_variable(n))}
    return parameters, keys


def _variable(parameter: str) -> str:
    """The functions' variable of a parameter: `CcgAmountUnit` is `CCG_AMOUNT_UNIT`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


@contextmanager
def simulated_providers(directory: Path) -> Iterator[Providers]:
    """Start all simulators as a process of their own, empty."""
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
