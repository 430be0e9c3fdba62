"""`refundctl secrets`: set the providers' keys and the webhooks' salts without showing them.

A value is typed without being displayed, or comes from stdin; never from the command line, where
every process of the machine could read it. Nothing here prints a value.

To change a provider's key without an error: make the new one at the provider beside the old one,
`secrets set` it, wait until the old one is no longer used, and revoke the old one at the provider.
To change the salt: `secrets set hitpay-webhook-salts --another`, change it at HitPay, and a day
later `secrets set` the new one alone.
"""

import sys
from collections.abc import Mapping
from getpass import getpass
from typing import TYPE_CHECKING

from deployed.secrets import (
    HITPAY_WEBHOOK_SALTS,
    NAMES,
    STRIPE_SECRET_KEY,
    SecretStore,
    UnusableSecretError,
    needed,
    usable,
)
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.config import ConfigurationError
from refund_bridge.processors.registry import REGISTRY
from refundctl import options
from refundctl.checks.finding import Level
from refundctl.checks.providers import Probe, ask, processor_probe, stripe_probe
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.options import Call, Groups
from refundctl.processors import settings_of
from refundctl.times import shown_with_zone

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# Longer than any key; a file that is piped in by mistake is not read to its end.
TEXT_MAX = 4096


def declare(groups: Groups) -> None:
    """Add the group to the command line."""
    secrets = options.group(groups, "secrets", "The providers' keys and the webhooks' salts.")
    options.command(secrets, "list", _list, "Show which are there, and nothing of what they are.")
    put = options.command(
        secrets, "set", _set, "Put one: asked for at a terminal, else the first line of stdin."
    )
    put.add_argument("name", choices=NAMES, help="which")
    put.add_argument(
        "--another",
        action="store_true",
        help=f"beside what is there, to change over; {HITPAY_WEBHOOK_SALTS} only",
    )
    put.add_argument(
        "--unchecked",
        action="store_true",
        help="even if the provider does not accept it now",
    )


def _list(call: Call) -> Exit:
    """List the secrets that the deployment needs, and others that are stored."""
    there = {stored.name: stored for stored in _store(call).stored(NAMES)}
    wanted = needed(call.target.stack.parameters)
    names = [name for name in NAMES if name in wanted or name in there]
    call.output.table(
        ("secret", "stored as", "version", "changed"),
        [
            (
                name,
                there[name].kind if name in there else "(missing)",
                str(there[name].version) if name in there else "",
                shown_with_zone(int(there[name].changed_at.timestamp()) * 1000)
                if name in there
                else "",
            )
            for name in names
        ],
        [
            {
                "name": name,
                "kind": there[name].kind if name in there else None,
                "version": there[name].version if name in there else None,
                "changed_at": f"{there[name].changed_at:%Y-%m-%dT%H:%M:%SZ}"
                if name in there
                else None,
            }
            for name in names
        ],
        empty="",
    )
    return Exit.DONE


def _set(call: Call) -> Exit:
    name, parameters = call.arguments.name, call.target.stack.parameters
    is_salt = name == HITPAY_WEBHOOK_SALTS
    if call.arguments.another and not is_salt:
        raise MisusedError(
            f"--another is for {HITPAY_WEBHOOK_SALTS}. Two keys of a provider are valid at the"
            " provider; here only the new one is needed."
        )
    store = _store(call)
    try:
        value = usable(name, _given(name), parameters["Mode"])
        if call.arguments.another:
            value = usable(name, ",".join((value, *store.salts())), parameters["Mode"])
    except UnusableSecretError as error:
        raise RefusedError(f"{error}. Nothing was changed.") from error
    if not is_salt and not call.arguments.unchecked:
        _require_accepted(call, name, value)
    version = store.put(name, value)
    within = int(parameters["SecretsCacheSeconds"])
    call.output.result(
        f"{name} is version {version} now.",
        {"name": name, "version": version, "effective_within_seconds": within},
    )
    told = f"The functions use it within {within} s."
    if not is_salt:
        told += " Revoke the old one at the provider after that; one that is refused is read anew."
    call.output.say(told)
    return Exit.DONE


def _given(name: str) -> str:
    if sys.stdin.isatty():
        return getpass(f"{name} (not shown): ")
    return sys.stdin.readline(TEXT_MAX)


def _require_accepted(call: Call, name: str, key: str) -> None:
    """Ask the provider whether it accepts the key, so that a mistyped key replaces no good one."""
    probe = _probe(call.target.stack.parameters, name, key)
    found = ask(probe, SystemClock())
    if found.level is not Level.OK:
        raise RefusedError(
            f"{found.check}: {found.found}. Nothing was changed; to put it all the same, say"
            " --unchecked."
        )


def _probe(parameters: Mapping[str, str], name: str, key: str) -> Probe:
    if name == STRIPE_SECRET_KEY:
        return stripe_probe(parameters["StripeUrl"], key)
    try:
        settings = settings_of(parameters)
    except ConfigurationError as error:
        raise RefusedError(f"{error}. Nothing was changed.") from error
    for processor, own in settings.items():
        if REGISTRY[processor].secret == name:
            return processor_probe(processor, own, key)
    raise RefusedError(
        f"{name} belongs to a processor that is not set up. Nothing was changed; to put it all the"
        " same, say --unchecked."
    )


def _store(call: Call) -> SecretStore:
    ssm: SSMClient = call.target.client("ssm")
    stack = call.target.stack
    kms_key_id = stack.parameters.get("KmsKeyArn", "")
    return SecretStore(ssm, stack.outputs["SecretsPrefix"], kms_key_id=kms_key_id)
