"""The processors that are set up, each behind a breaker of its own."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.providers.breaker import Breaker
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.adapters.providers.guarded import GuardedProcessor
from refund_bridge.domain.refund import STRIPE
from refund_bridge.processors.registry import REGISTRY, build, import_set_up
from refund_bridge.processors.shared.settings import ProcessorSettings

# While the function starts, and so before a copy of it is taken (``snapshots.py``): none that is
# not set up, and none of them in the first call.
import_set_up(os.environ)


@dataclass(frozen=True, slots=True)
class ProcessorSide:
    """Every processor that is set up, by name, in the registry's order."""

    by_name: Mapping[str, GuardedProcessor]

    def in_doubt(self, name: str) -> bool:
        """Whether that one failed too often and has not answered since."""
        return self.by_name[name].in_doubt


def keys_of(found: Mapping[str, ProcessorSettings]) -> tuple[str, ...]:
    """The names of the parameters that hold the keys of these processors.

    Stripe's own payments are refunded with the key that Stripe is told with, which is held to the
    stage's mode and named by whoever builds Stripe's side.
    """
    return tuple(REGISTRY[name].secret for name in found if name != STRIPE)


def processor_side(
    found: Mapping[str, ProcessorSettings],
    key_of: Callable[[str], ApiKey],
    http: DeadlineHttp,
    calls_to: Callable[[str], ProviderCalls],
    breaker_of: Callable[[str], Breaker],
) -> ProcessorSide:
    """The processors that are set up this way; ``key_of`` is handed the name of a secret."""
    return ProcessorSide(
        {
            name: GuardedProcessor(
                build(name, own, key_of(REGISTRY[name].secret), http),
                breaker_of(name),
                calls_to(name),
            )
            for name, own in found.items()
        }
    )
