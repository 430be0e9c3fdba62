"""Builds what every function writes to: its log, its metrics, and measures of provider calls."""

from aws_lambda_powertools import Logger

from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.adapters.telemetry.log_telemetry import LogTelemetry
from refund_bridge.adapters.telemetry.metric_telemetry import Meters, MetricTelemetry
from refund_bridge.adapters.telemetry.metric_telemetry import metered as metered_by
from refund_bridge.adapters.telemetry.xray import XRay
from refund_bridge.ports.runtime import Clock, Telemetry

# What this worker's current invocation has counted. A worker handles one invocation at a time, and
# all telemetry feeds these meters.
meters = Meters()
metered = metered_by(meters)


def telemetry_of(logger: Logger) -> Telemetry:
    """The log, and the meters."""
    return MetricTelemetry(LogTelemetry(logger), meters)


def calls_to(provider: str, clock: Clock, telemetry: Telemetry, *, tracing: bool) -> ProviderCalls:
    """The object that measures the calls to a provider and adds them to X-Ray's traces."""
    return ProviderCalls(provider, clock, telemetry, XRay(clock) if tracing else None)
