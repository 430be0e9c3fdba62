"""The processors that there are: a new one is its file and a line here.

Which of them are set up is said by the environment (``settings.py``). Payments lead to one by the
metadata ``<name>_payment_id`` of their Payment Record.
"""

from collections.abc import Mapping
from typing import Final

from refunds.adapters.api_key import ApiKey
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.config import Mode
from refunds.ports import Processor
from refunds.processors.adapter import Adapter
from refunds.processors.ccg import Ccg
from refunds.processors.hedge import Hedge
from refunds.processors.hitpay import HitPay
from refunds.processors.hyperswitch import Hyperswitch
from refunds.processors.settings import ProcessorSettings, require_url_of_mode

_ADAPTERS: Final[tuple[type[Adapter], ...]] = (
    HitPay,
    Hyperswitch,
    Hedge,
    Ccg,
)
REGISTRY: Final[Mapping[str, type[Adapter]]] = {adapter.name: adapter for adapter in _ADAPTERS}


def set_up(environment: Mapping[str, str], mode: Mode) -> Mapping[str, ProcessorSettings]:
    """The settings of every processor that has a URL in ``environment``, by name.

    Raises:
        ConfigurationError: one is set up wrongly, or its address is of the other mode.
    """
    found: dict[str, ProcessorSettings] = {}
    for name, adapter in REGISTRY.items():
        settings = adapter.settings_form.from_environment(name, environment)
        if settings is not None:
            require_url_of_mode(
                settings.url,
                mode,
                name=name,
                live_host=adapter.live_host,
                sandbox_host=adapter.sandbox_host,
            )
            found[name] = settings
    return found


def build(name: str, settings: ProcessorSettings, key: ApiKey, http: DeadlineHttp) -> Processor:
    """The processor of that name; ``key`` holds what its ``secret`` names."""
    return REGISTRY[name].from_settings(settings, key, http)
