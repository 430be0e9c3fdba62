"""Providers' sandboxes for a local stack, instead of simulators: set by the environment, never
live."""

import os
import re
import sys
from collections.abc import Mapping
from getpass import getpass
from urllib.parse import urlsplit

from deployed import paths
from deploying.template_yaml import read_template
from local.providers import OTHERS, PROCESSORS, Providers, SimulatedProcessor

URLS = ("HITPAY_URL", "STRIPE_URL")
KEYS = ("HITPAY_API_KEY", "STRIPE_SECRET_KEY")
LIVE_KEY = re.compile(r"[a-z]+_live_")


class IncompleteProvidersError(ValueError):
    """Some variables of a set that belongs together are missing."""


class LiveProvidersError(ValueError):
    """A stack on a developer's machine would move real money."""


def external_providers(environment: Mapping[str, str] | None = None) -> Providers | None:
    """Read the endpoints from the environment; None if it names none.

    Keys that it lacks are asked for at a terminal and not displayed.

    Raises:
        IncompleteProvidersError: a variable is missing, and there is no terminal to ask at.
        LiveProvidersError: an address or a key is for real money.
    """
    given = dict(os.environ if environment is None else environment)
    others_named = [one for one in OTHERS.values() if given.get(_variable(one.url_parameter))]
    if all(given.get(name) for name in URLS):
        _ask_for(given, [*KEYS, *(_key_variable(one) for one in others_named)])
    values = {name: given[name] for name in (*URLS, *KEYS) if given.get(name)}
    others, other_keys = _others_in(given)
    if not values and not others:
        return None
    if missing := [name for name in (*URLS, *KEYS) if name not in values]:
        named = sorted([*values, *map(_variable, others)])
        raise IncompleteProvidersError(f"{', '.join(named)} given; missing: {missing}")
    _refuse_live(given)
    return Providers(
        hitpay_url=values["HITPAY_URL"].rstrip("/"),
        stripe_url=values["STRIPE_URL"].rstrip("/"),
        hitpay_key=values["HITPAY_API_KEY"],
        stripe_key=values["STRIPE_SECRET_KEY"],
        webhook_salt=given.get("HITPAY_WEBHOOK_SALT") or None,
        others=others,
        other_keys=other_keys,
    )


def told_on_makes_line(environment: Mapping[str, str]) -> list[str]:
    """The keys on make's command line, where `ps` and the shell's history show them."""
    words = environment.get("MAKEFLAGS", "").split()
    named = {word.partition("=")[0] for word in words if "=" in word}
    return sorted(named.intersection([*KEYS, *map(_key_variable, OTHERS.values())]))


def _ask_for(given: dict[str, str], keys: list[str]) -> None:
    if sys.stdin.isatty():
        for name in keys:
            given[name] = given.get(name) or getpass(f"{name} (a test key; not shown): ").strip()


def _refuse_live(given: Mapping[str, str]) -> None:
    for name in given:
        if name in (*KEYS, *map(_key_variable, OTHERS.values())) and LIVE_KEY.match(given[name]):
            raise LiveProvidersError(f"{name} is a live key: a stack of this machine takes none.")
    for one in PROCESSORS.values():
        name = _variable(one.url_parameter)
        host = urlsplit(given.get(name, "")).hostname or ""
        if host.rstrip(".") == one.live_host:  # with a dot at its end it is the same host
            raise LiveProvidersError(f"{name} is where money is real: name its sandbox.")


def _others_in(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters, and the keys, of processors other than HitPay that the environment sets."""
    parameters: dict[str, str] = {}
    keys: dict[str, str] = {}
    for one in OTHERS.values():
        key = _key_variable(one)
        url = _variable(one.url_parameter)
        if bool(given.get(url)) != bool(given.get(key)):
            raise IncompleteProvidersError(f"give both {url} and {key}, or neither")
        if given.get(url):
            keys[one.secret] = given[key]
            prefix = one.url_parameter.removesuffix("Url")
            declared = read_template(paths.TEMPLATE)["Parameters"]
            own = [name for name in declared if name.startswith(prefix)]
            parameters |= {n: given[_variable(n)] for n in own if given.get(_variable(n))}
    return parameters, keys


def _key_variable(processor: SimulatedProcessor) -> str:
    return processor.secret.replace("-", "_").upper()


def _variable(parameter: str) -> str:
    """The name of a parameter's variable: `CCG_AMOUNT_UNIT` for `CcgAmountUnit`, and so on."""
    parameter = parameter.replace("HitPay", "Hitpay")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()
