"""The processors that a deployment has set up, from the parameters of its stack.

The template passes the same settings to the functions as environment variables: the parameter
`HitPayUrl` is their variable `HITPAY_URL`, and so on. Stripe as a processor is switched on by the
parameter `StripePayments`; `StripeUrl` is its address.
"""

from collections.abc import Mapping
from typing import Final

from refund_bridge.config import ConfigurationError, Mode
from refund_bridge.domain.refund import STRIPE
from refund_bridge.processors.registry import REGISTRY, set_up, variable_of
from refund_bridge.processors.shared.settings import ProcessorSettings

Settings = Mapping[str, ProcessorSettings]
STRIPE_PAYMENTS: Final = "StripePayments"
NONE: Final = "no processor is set up"


def settings_of(parameters: Mapping[str, str]) -> Settings:
    """The settings of every processor that is set up, by name.

    Raises:
        ConfigurationError: no processor is set up, one is set up wrongly, or real and play money
            are mixed.
    """
    found = set_up(environment_of(parameters), Mode(parameters["Mode"]))
    if not found:
        raise ConfigurationError(NONE)
    return found


def environment_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """The processors' variables, as the functions have them; an older stack may lack some."""
    found = {
        variable_of(name, field): parameters.get(parameter_of(name, field), "")
        for name, adapter in REGISTRY.items()
        for field in adapter.settings_form.model_fields
    }
    if parameters.get(STRIPE_PAYMENTS) != "on":
        found[variable_of(STRIPE, "url")] = ""
    return found


def parameter_of(name: str, field: str) -> str:
    """The template's parameter that holds a processor's setting."""
    if (name, field) == (STRIPE, "url"):
        return "StripeUrl"
    words = "".join(word.capitalize() for word in field.split("_"))
    return f"{REGISTRY[name].__name__}{words}"
