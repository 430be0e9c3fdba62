"""What every function's world writes to: its log, its metrics, and what is seen of its calls."""

from aws_lambda_powertools import Logger

from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.adapters.telemetry.log_trail import LogTrail
from refund_bridge.adapters.telemetry.metric_trail import Meters, MetricTrail
from refund_bridge.adapters.telemetry.metric_trail import metered as metered_by
from refund_bridge.adapters.telemetry.xray import XRay
from refund_bridge.ports.runtime import Clock, Trail

# What this worker's invocation counts, until it ends. Each of its functions is called once at a
# time, and every trail feeds these.
meters = Meters()
metered = metered_by(meters)


def trail_of(logger: Logger) -> Trail:
    """The log, and the meters."""
    return MetricTrail(LogTrail(logger), meters)


def calls_to(provider: str, clock: Clock, trail: Trail, *, tracing: bool) -> ProviderCalls:
    """What times and counts the calls to a provider, and draws them into X-Ray's traces."""
    return ProviderCalls(provider, clock, trail, XRay(clock) if tracing else None)
