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

# The adapters are imported while the function starts, before its snapshot is taken
# (``snapshots.py``), so that the first call need not; only those that are set up.
import_set_up(os.environ)


@dataclass(frozen=True, slots=True)
class ProcessorSide:
    """Every processor that is set up, by name, in the registry's order."""

    by_name: Mapping[str, GuardedProcessor]

    def in_doubt(self, name: str) -> bool:
        """Whether that processor failed too often and has not answered since."""
        return self.by_name[name].in_doubt


def keys_of(found: Mapping[str, ProcessorSettings]) -> tuple[str, ...]:
    """The names of the parameters with the keys of these processors.

    Stripe's own payments are refunded with the same key that is used for reports. The caller adds
    that one, and it is checked against the stage's mode.
    """
    return tuple(REGISTRY[name].secret for name in found if name != STRIPE)


def processor_side(
    found: Mapping[str, ProcessorSettings],
    key_of: Callable[[str], ApiKey],
    http: DeadlineHttp,
    calls_to: Callable[[str], ProviderCalls],
    breaker_of: Callable[[str], Breaker],
) -> ProcessorSide:
    """Build the processors with these settings; ``key_of`` gets the name of a secret."""
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
