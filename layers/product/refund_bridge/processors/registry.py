"""The registry of all processors: a new one needs a folder and a line here.

The environment says which of them are set up (``settings.py``). A payment leads to a processor by
the metadata ``<name>_payment_id`` of its Payment Record. A payment without such a record leads to
Stripe itself, the last of them.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from refund_bridge.adapters.http.api_key import ApiKey
    from refund_bridge.adapters.http.client import DeadlineHttp
    from refund_bridge.config import Mode
    from refund_bridge.ports.processor import Processor
    from refund_bridge.processors.shared.base import Adapter
    from refund_bridge.processors.shared.settings import ProcessorSettings

from refund_bridge.domain.refund import STRIPE

# The class of each processor, in ``adapter.py`` of the folder with its name.
_CLASSES: Final = {
    "hitpay": "HitPay",
    "hyperswitch": "Hyperswitch",
    "hedge": "Hedge",
    "ccg": "Ccg",
    STRIPE: "StripePayments",
}
# The processors to which a Payment Record may lead.
OF_RECORDS: Final = tuple(name for name in _CLASSES if name != STRIPE)


class _Registry(Mapping[str, "type[Adapter]"]):
    """Imports an adapter only when it is asked for; reading the names imports none."""

    def __getitem__(self, name: str) -> "type[Adapter]":
        adapter = _CLASSES[name]
        module = import_module(f"refund_bridge.processors.{name}.adapter")
        return cast("type[Adapter]", getattr(module, adapter))

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


REGISTRY: Final[Mapping[str, "type[Adapter]"]] = _Registry()


def import_set_up(environment: Mapping[str, str]) -> None:
    """Import the adapters of the processors that have a URL in ``environment``, and no other."""
    for name in _with_url(environment):
        _ = REGISTRY[name]


def set_up(environment: Mapping[str, str], mode: "Mode") -> Mapping[str, "ProcessorSettings"]:
    """The settings of every processor that has a URL in ``environment``, by name.

    Raises:
        ConfigurationError: a processor is set up wrongly, or its address is of the other mode.
    """
    from refund_bridge.processors.shared.settings import require_url_of_mode  # noqa: PLC0415 - as above

    found: dict[str, ProcessorSettings] = {}
    for name in _with_url(environment):
        adapter = REGISTRY[name]
        settings = adapter.settings_form.from_environment(
            name, environment, partial(variable_of, name)
        )
        if settings is not None:
            require_url_of_mode(settings.url, mode, adapter, variable_of(name, "url"))
            found[name] = settings
    return found


def build(
    name: str, settings: "ProcessorSettings", key: "ApiKey", http: "DeadlineHttp"
) -> "Processor":
    """The processor of that name; ``key`` is the API key whose parameter its ``secret`` names."""
    return REGISTRY[name].from_settings(settings, key, http)


def variable_of(name: str, field: str) -> str:
    """The environment variable of a processor's setting.

    ``STRIPE_URL`` is the address for Payment Records, which every stage has. It does not say
    whether payments that Stripe took are refunded here, so that has a prefix of its own.
    """
    prefix = "STRIPE_PAYMENTS" if name == STRIPE else name.upper()
    return f"{prefix}_{field.upper()}"


def _with_url(environment: Mapping[str, str]) -> list[str]:
    return [name for name in REGISTRY if environment.get(variable_of(name, "url"))]
