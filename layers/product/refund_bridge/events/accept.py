"""Accepts a refund that an event asks for, by the same use case as a call over HTTP.

An event always makes a scheduled refund, whatever its ``refund_type`` says: nobody waits for the
answer, and a busy payment only delays it. It names the refund by a key, as a call does. So an event
that comes twice, or after a call with the same key, is the same refund.

A request that can never be accepted is announced on the bus and set aside with its reason. One that
may be accepted later comes back, a limited number of times. A request is always in one of these
places.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

from refund_bridge.domain.errors import ForbiddenError, ProcessorUnavailableError, RefundBridgeError
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.refund_request import RefundRequest, RefundType, Source
from refund_bridge.domain.state_machine import State
from refund_bridge.events.announcements import refusal_of
from refund_bridge.ports.events import EventBus
from refund_bridge.ports.queues import DeadLetters
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.execute import Answer, ExecuteRefund


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request from an event.

    Attributes:
        id: the event's own id, by which its sender knows it; a repeated event has another id.
        source: the sender, as the event says; the bus passes on only those that are allowed.
    """

    id: str
    source: str
    idempotency_key: str
    request: RefundRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The message that brought a request, readable or not.

    Attributes:
        id: the event's own id if it can be read, else derived from ``body``; so it is the same each
            time that the message comes, also when it is redriven.
        source, refund_id: as far as they can be read.
        receive: how often it was received.
    """

    body: str
    id: str
    source: str | None
    refund_id: str | None
    receive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRefund:
    """Turns a request into a scheduled refund, or finds the refund that it already made."""

    execute: ExecuteRefund
    stage: str
    new_token: Callable[[], str]

    def __call__(self, asked: Asked, deadline: Deadline, allow: Callable[[], object]) -> Answer:
        """Accept the request; on return the refund is durable.

        ``deadline`` bounds all provider calls. ``allow`` raises if the refund may not be sent
        (``ExecuteRefund``).

        A refund of the same key that was aborted, which only an instant one can be, is tried again
        at once.

        Raises:
            RefundBridgeError: the contract's errors; see ``RefuseRequest``.
            LedgerUnavailableError: the ledger could not be read or written.
        """
        command = CreateRefund(
            refund_id=refund_id_of(asked.idempotency_key, self.stage),
            request=replace(asked.request, refund_type=RefundType.SCHEDULED),
            source=Source.EVENT,
            actor=f"event:{asked.source}",
            token=self.new_token(),
            idempotency_key=asked.idempotency_key,
        )
        answer = self.execute(command, deadline, allow)
        if answer.refund.state is State.ABORTED:
            raise ProcessorUnavailableError(
                "The processor could not be asked; nothing was executed."
            )
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseRequest:
    """Sets aside a request that is not accepted."""

    bus: EventBus
    dead_letters: DeadLetters
    clock: Clock
    telemetry: Telemetry

    def __call__(self, letter: Letter, error: Exception, deadline: Deadline, *, last: bool) -> bool:
        """Set the request aside if it is refused; ``False``: the message must come back.

        ``True``: the message is durably among the dead letters and its refusal was published. On
        the ``last`` receive it is always set aside, even if its refusal could not be published.

        Raises:
            DeadLettersError: it may not have been set aside; it must come back.
        """
        refused = _is_refused(error)
        if not refused and not last:
            return False
        told = _moved_nothing(error) and self._tell(letter, error, deadline)
        if refused and not told and not last:
            return False
        self.dead_letters.set_aside(letter.body, _reasons(letter, error, told=told))
        self.telemetry.note(
            "request_refused", event_id=letter.id, code=_code(error), receive=letter.receive
        )
        return True

    def _tell(self, letter: Letter, error: RefundBridgeError, deadline: Deadline) -> bool:
        refusal = refusal_of(
            error,
            request_id=letter.id,
            source=letter.source,
            refund_id=letter.refund_id,
            at_ms=self.clock.now_ms(),
        )
        return not self.bus.publish([refusal], deadline)


def _is_refused(error: Exception) -> bool:
    """Whether waiting does not help; an event's sender cannot get the right that it lacks."""
    return isinstance(error, RefundBridgeError) and (
        error.final or isinstance(error, ForbiddenError)
    )


def _moved_nothing(error: Exception) -> TypeGuard[RefundBridgeError]:
    """Whether the error promises that nothing moved; after any other error that is not known."""
    return isinstance(error, RefundBridgeError) and error.moved_nothing


def _reasons(letter: Letter, error: Exception, *, told: bool) -> Mapping[str, str]:
    is_known = _moved_nothing(error)
    reasons = {
        "reason_code": _code(error),
        # The message of an unexpected error may contain anything; the log has its traceback.
        "reason": error.message if isinstance(error, RefundBridgeError) else type(error).__name__,
        "outcome": "nothing_executed" if is_known else "unknown",
        "published": str(told).lower(),
        "receives": str(letter.receive),
    }
    fields = error.details.get("fields") if isinstance(error, RefundBridgeError) else None
    if fields:
        reasons["fields"] = "; ".join(f"{one['path']}: {one['reason']}" for one in fields)
    if letter.refund_id is not None:
        reasons["refund_id"] = letter.refund_id
    return reasons


def _code(error: Exception) -> str:
    return error.code if isinstance(error, RefundBridgeError) else RefundBridgeError.code
