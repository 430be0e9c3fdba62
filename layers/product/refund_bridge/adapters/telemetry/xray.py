"""Adds calls to providers to the invocation's X-Ray trace, without the X-Ray SDK.

The SDK is in maintenance mode, and only one part of it would be used: one datagram for each call,
to the daemon that Lambda runs beside a traced function. Lambda itself sends the function's segment;
this sends its subsegments.

https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-daemon
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

import ipaddress
import json
import os
import socket
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Final

from refund_bridge.ports.runtime import Clock

_HEADER: Final = b'{"format": "json", "version": 1}\n'
_TRACE: Final = "_X_AMZN_TRACE_ID"
_DAEMON: Final = "AWS_XRAY_DAEMON_ADDRESS"


class XRay:
    """``providers.calls.Traces``, sent to the X-Ray daemon.

    Args:
        clock: its wall time gives the call's times in the trace.
        environment: Lambda's; it names the trace of each invocation, and the daemon.
        new_id: returns 16 hexadecimal digits, different each time.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        environment: Mapping[str, str] = os.environ,
        new_id: Callable[[], str] = lambda: token_hex(8),
    ) -> None:
        self._clock = clock
        self._environment = environment
        self._new_id = new_id

    def add(
        self, provider: str, *, operation: str, outcome: str, failed: bool, took_ms: int
    ) -> None:
        """Send the daemon a call that has just ended.

        This is done only if the invocation is traced. If the kernel does not take the datagram at
        once, it is dropped: nothing waits for it.
        """
        trace = _parts_of(self._environment.get(_TRACE, ""))
        address = _address_of(self._environment.get(_DAEMON, ""))
        if trace.get("Sampled") != "1" or not {"Root", "Parent"} <= trace.keys() or not address:
            return
        ended_ms = self._clock.now_ms()
        subsegment = {
            "name": provider,
            "id": self._new_id(),
            "trace_id": trace["Root"],
            "parent_id": trace["Parent"],
            "type": "subsegment",
            "namespace": "remote",
            # X-Ray counts in seconds.
            "start_time": (ended_ms - took_ms) / 1000,
            "end_time": ended_ms / 1000,
            "fault": failed,
            "annotations": {"operation": operation, "outcome": outcome},
        }
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(_HEADER + json.dumps(subsegment).encode(), address)
        except OSError:
            return  # the call is still in the log


def _parts_of(header: str) -> dict[str, str]:
    """The parts of ``Root=…;Parent=…;Sampled=1`` and whatever else Lambda adds."""
    pairs = (part.split("=", 1) for part in header.split(";") if "=" in part)
    return {name.strip(): value for name, value in pairs}


def _address_of(text: str) -> tuple[str, int] | None:
    """The daemon's address; ``None`` for a host name, because resolving it would take time."""
    host, _, port = text.rpartition(":")
    try:
        return str(ipaddress.IPv4Address(host)), int(port)
    except ValueError:
        return None
