"""Measures every call to a provider: one log line, two metrics, and a trace if it is traced.

Only words of this file and of the ports are recorded: no id, no address, no amount, no text of the
provider.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from refund_bridge.domain.instruction import Aborted, Accepted, CredentialRefused, Rejected, Unknown
from refund_bridge.ports.processor import (
    ChargeNotFoundError,
    CredentialRefusedError,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Clock, Telemetry
from refund_bridge.ports.stripe import (
    CreditNoteIssued,
    CreditNoteRefused,
    CreditNoteUnclear,
    ReportAccepted,
    ReportRefused,
    ReportUnclear,
    StripeObjectNotFoundError,
)

_T = TypeVar("_T")

# The word for each result of a call, and whether it counts as the provider's failure.
_RESULTS: Final[dict[type, tuple[str, bool]]] = {
    Accepted: ("accepted", False),
    Rejected: ("refused", False),
    Aborted: ("not_executed", True),
    Unknown: ("unknown", True),
    ReportAccepted: ("accepted", False),
    ReportRefused: ("refused", False),
    ReportUnclear: ("unknown", True),
    CreditNoteIssued: ("accepted", False),
    CreditNoteRefused: ("refused", False),
    CreditNoteUnclear: ("unknown", True),
}
_REFUSED: Final = ("credential_refused", True)
# The call that follows it with another credential is recorded by itself.
_REPLACED: Final = ("credential_replaced", False)
# The most specific errors come first.
_ERRORS: Final[tuple[tuple[type[Exception], tuple[str, bool]], ...]] = (
    (CredentialRefusedError, _REFUSED),
    (UnreadableAnswerError, ("unreadable", True)),
    (ProviderUnavailableError, ("no_answer", True)),
    (ChargeNotFoundError, ("not_found", False)),
    (StripeObjectNotFoundError, ("not_found", False)),
    (Exception, ("error", True)),
)


class Traces(Protocol):
    """Adds a call to the trace of the invocation that made it."""

    def add(
        self, provider: str, *, operation: str, outcome: str, failed: bool, took_ms: int
    ) -> None:
        """Add a call that has just ended. Never raises, never waits."""


class ProviderCalls:
    """Watches the calls to one provider.

    Args:
        provider: its name.
        clock: its monotonic time is used.
        telemetry: records every call (``provider_called``).
        traces: records it too, if the invocation is traced; ``None``: no invocation is.
    """

    def __init__(
        self, provider: str, clock: Clock, telemetry: Telemetry, traces: Traces | None = None
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._telemetry = telemetry
        self._traces = traces

    def watch(self, operation: str, ask: Callable[[], _T], *, call: str = "read") -> _T:
        """Call ``ask``, measure it, and return or raise what it does.

        ``operation`` is the port's word for the call; ``call`` is the kind under which it is
        counted.
        """
        started_ms = self._clock.monotonic_ms()
        try:
            result = ask()
        except Exception as error:
            self._tell(operation, call, _end_by(error), started_ms)
            raise
        self._tell(operation, call, _end_with(result), started_ms)
        return result

    def _tell(self, operation: str, call: str, end: tuple[str, bool], started_ms: int) -> None:
        outcome, failed = end
        took_ms = self._clock.monotonic_ms() - started_ms
        self._telemetry.note(
            "provider_called",
            provider=self._provider,
            operation=operation,
            call=call,
            outcome=outcome,
            failed=int(failed),
            refused=int(outcome == "refused"),
            took_ms=took_ms,
        )
        if self._traces is not None:
            self._traces.add(
                self._provider,
                operation=operation,
                outcome=outcome,
                failed=failed,
                took_ms=took_ms,
            )


def _end_with(result: object) -> tuple[str, bool]:
    match result:
        case CredentialRefused(replaced=replaced):
            return _REPLACED if replaced else _REFUSED
        case ReportUnclear(credential_refused=True) | CreditNoteUnclear(credential_refused=True):
            return _REFUSED
        case _:
            return _RESULTS.get(type(result), ("answered", False))


def _end_by(error: Exception) -> tuple[str, bool]:
    return next(end for kind, end in _ERRORS if isinstance(error, kind))
