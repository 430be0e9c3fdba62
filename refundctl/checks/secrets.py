"""Are the secrets there, stored encrypted, and of the right mode? None is ever shown."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from deployed.api_keys import ApiKeyStore
from deployed.command_lines import spelt
from deployed.secrets import HITPAY_WEBHOOK_SALTS, SALT_CHARACTERS_MIN, needed
from refund_bridge.adapters.stripe.key_of_mode import require_stripe_key
from refund_bridge.config import ConfigurationError, Mode
from refund_bridge.processors.registry import REGISTRY, set_up, variable_of
from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.options import KEY_NAME, Call
from refundctl.processors import environment_of
from refundctl.world import STRIPE_SECRET_KEY

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


def check(call: Call) -> Iterator[Finding]:
    """The providers' keys, the webhooks' salts, the callers' keys, and the mode of all."""
    ssm: SSMClient = call.target.client("ssm")
    stack = call.target.stack
    prefix, mode = stack.outputs["SecretsPrefix"], Mode(stack.parameters["Mode"])
    names = {f"{prefix}/{name}": name for name in needed(stack.parameters)}
    found = ssm.get_parameters(Names=list(names), WithDecryption=True)["Parameters"]
    values = {names[one["Name"]]: one for one in found}
    for name in names.values():
        parameter = values.get(name)
        yield present(name, None if parameter is None else (parameter["Type"], parameter["Value"]))
    if HITPAY_WEBHOOK_SALTS in values:
        yield salts(values[HITPAY_WEBHOOK_SALTS]["Value"])
    if STRIPE_SECRET_KEY in values:
        yield stripe_mode(values[STRIPE_SECRET_KEY]["Value"].strip(), mode)
    yield from processors_modes(stack.parameters)
    if stack.parameters["ApiAuth"] == "bearer":
        keys = ApiKeyStore(ssm, prefix).all()
        yield callers([key.id for key in keys if key.name], [k.id for k in keys if not k.name])


def present(name: str, stored: tuple[str, str] | None) -> Finding:
    """Whether a secret is there; `stored` is its type and its value."""
    what = f"secret {name}"
    if stored is None or not stored[1].strip():
        put = spelt("secrets", "set", name)
        if name == HITPAY_WEBHOOK_SALTS:
            return warn(what, "is missing: no webhook is let in", "Put it.", put)
        return fail(what, "is missing", "Put it.", put)
    if stored[0] != "SecureString":
        todo = "Put it again, as a SecureString."
        return fail(what, f"is stored as a {stored[0]}", todo, spelt("secrets", "set", name))
    return fine(what, "is there")


def salts(text: str) -> Finding:
    """Whether each of the webhooks' salts is one that the function lets in."""
    lengths = [len(salt) for salt in text.replace(",", " ").split()]
    short = [length for length in lengths if length < SALT_CHARACTERS_MIN]
    if short:
        return warn(
            "webhooks' salts",
            f"{len(short)} of {len(lengths)} shorter than {SALT_CHARACTERS_MIN} characters: "
            "webhooks signed with it are refused",
            "Have HitPay make a longer one, and put that.",
            spelt("secrets", "set", HITPAY_WEBHOOK_SALTS),
        )
    return fine("webhooks' salts", f"{SALT_CHARACTERS_MIN} characters or more each")


def stripe_mode(key: str, mode: Mode) -> Finding:
    """Whether Stripe's key is of the deployment's mode."""
    try:
        require_stripe_key(key, mode)
    except ConfigurationError as error:
        return fail("mode of Stripe's key", str(error), "Put the key of the right mode.")
    return fine("mode of Stripe's key", f"is {mode.value}")


def processors_modes(parameters: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each processor is set up as it must be, at an address of the deployment's mode."""
    mode, environment = Mode(parameters["Mode"]), environment_of(parameters)
    given = [name for name in REGISTRY if environment[variable_of(name, "url")]]
    if not given:
        todo = "Deploy with the address of one, such as HitPayUrl."
        yield fail("processors", "none is set up: no refund can be made", todo)
    for name in given:
        what = f"{REGISTRY[name].title} as it is set up"
        fields = REGISTRY[name].settings_form.model_fields
        own = {key: environment[key] for key in (variable_of(name, one) for one in fields)}
        try:
            (settings,) = set_up(own, mode).values()
        except ConfigurationError as error:
            yield fail(what, str(error), "Deploy with the right parameters.")
        else:
            yield fine(what, f"fits {mode.value}: {settings.url}")


def callers(readable: list[str], unreadable: list[str]) -> Finding:
    """Whether anybody is let in."""
    what = "callers' keys"
    if not readable:
        todo = "Make one for each caller, under the caller's name; this is one for the desk."
        make = spelt("keys", "create", KEY_NAME, "--output", f"{KEY_NAME}.key")
        return warn(what, "there are none: nobody is let in", todo, make)
    if unreadable:
        told = ", ".join(unreadable)
        return warn(
            what,
            f"{told} cannot be read",
            "Revoke what is no key.",
            *(spelt("keys", "revoke", name) for name in unreadable),
        )
    return fine(what, f"there are {len(readable)}")
