"""Are the secrets there, stored encrypted, and of the right mode? None is ever shown."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from local.api_keys import ApiKeyStore
from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.options import Call
from refundctl.world import HITPAY_API_KEY, STRIPE_SECRET_KEY
from refunds.adapters.mode_check import require_hitpay_url, require_stripe_key
from refunds.config import ConfigurationError, Mode

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

WEBHOOK_SALTS = "hitpay-webhook-salts"
NAMES = (STRIPE_SECRET_KEY, HITPAY_API_KEY, WEBHOOK_SALTS)


def check(call: Call) -> Iterator[Finding]:
    """The providers' keys, the webhooks' salts, the callers' keys, and the mode of all."""
    ssm: SSMClient = call.target.client("ssm")
    stack = call.target.stack
    prefix, mode = stack.outputs["SecretsPrefix"], Mode(stack.parameters["Mode"])
    names = {f"{prefix}/{name}": name for name in NAMES}
    found = ssm.get_parameters(Names=list(names), WithDecryption=True)["Parameters"]
    values = {names[one["Name"]]: one for one in found}
    for name in NAMES:
        parameter = values.get(name)
        yield present(name, None if parameter is None else (parameter["Type"], parameter["Value"]))
    if STRIPE_SECRET_KEY in values:
        yield stripe_mode(values[STRIPE_SECRET_KEY]["Value"].strip(), mode)
    yield hitpay_mode(stack.parameters["HitPayUrl"], mode)
    if stack.parameters["ApiAuth"] == "bearer":
        keys = ApiKeyStore(ssm, prefix).all()
        yield callers([key.id for key in keys if key.name], [k.id for k in keys if not k.name])


def present(name: str, stored: tuple[str, str] | None) -> Finding:
    """Whether a secret is there; `stored` is its type and its value."""
    what = f"secret {name}"
    if stored is None or not stored[1].strip():
        todo = f"refundctl secrets set {name}"
        if name == WEBHOOK_SALTS:
            return warn(what, "is missing: no webhook is let in", todo)
        return fail(what, "is missing", todo)
    if stored[0] != "SecureString":
        return fail(what, f"is stored as a {stored[0]}", "Put it again, as a SecureString.")
    return fine(what, "is there")


def stripe_mode(key: str, mode: Mode) -> Finding:
    """Whether Stripe's key is of the deployment's mode."""
    try:
        require_stripe_key(key, mode)
    except ConfigurationError as error:
        return fail("mode of Stripe's key", str(error), "Put the key of the right mode.")
    return fine("mode of Stripe's key", f"is {mode.value}")


def hitpay_mode(url: str, mode: Mode) -> Finding:
    """Whether HitPay's address is of the deployment's mode."""
    try:
        require_hitpay_url(url, mode)
    except ConfigurationError as error:
        return fail("mode of HitPay's address", str(error), "Deploy with the right HitPayUrl.")
    return fine("mode of HitPay's address", f"fits {mode.value}: {url}")


def callers(readable: list[str], unreadable: list[str]) -> Finding:
    """Whether anybody is let in."""
    what = "callers' keys"
    if not readable:
        return warn(what, "there are none: nobody is let in", "refundctl keys create NAME")
    if unreadable:
        told = ", ".join(unreadable)
        return warn(what, f"{told} cannot be read", f"refundctl keys revoke {unreadable[0]}")
    return fine(what, f"there are {len(readable)}")
