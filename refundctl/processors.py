"""The processors that a deployment has set up, from the parameters of its stack.

The functions read the same from their environment, where the template puts it: the parameter
`HitPayUrl` is their variable `HITPAY_URL`, and so on.
"""

from collections.abc import Mapping
from typing import Final

from refunds.config import ConfigurationError, Mode
from refunds.processors.registry import REGISTRY, set_up
from refunds.processors.settings import ProcessorSettings

Settings = Mapping[str, ProcessorSettings]
NONE: Final = "no processor is set up"


def settings_of(parameters: Mapping[str, str]) -> Settings:
    """The settings of every processor that is set up, by name.

    Raises:
        ConfigurationError: none is, one is set up wrongly, or real and play money are mixed.
    """
    found = set_up(environment_of(parameters), Mode(parameters["Mode"]))
    if not found:
        raise ConfigurationError(NONE)
    return found


def environment_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """The processors' variables, as the functions have them; a stack may lack a newer parameter."""
    return {
        f"{name}_{field}".upper(): parameters.get(parameter_of(name, field), "")
        for name, adapter in REGISTRY.items()
        for field in adapter.settings_form.model_fields
    }


def parameter_of(name: str, field: str) -> str:
    """The template's parameter that holds a processor's setting."""
    words = "".join(word.capitalize() for word in field.split("_"))
    return f"{REGISTRY[name].__name__}{words}"
