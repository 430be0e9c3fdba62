"""The actors of the world: callers, settling runs, report workers, webhooks, people at dashboards.

Each does what its function's handler does, and calls the product's own use case.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from refund_bridge.domain.errors import (
    KeyInUseError,
    OutcomeUnknownError,
    PaymentBusyError,
    ProcessorUnavailableError,
    RefundBridgeError,
    RefundNotFoundError,
    StripeUnavailableError,
)
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import STRIPE, refund_id_of
from refund_bridge.domain.refund_request import ReferenceType, RefundRequest, Source
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import LedgerConflictError, LedgerUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.reporting.report import (
    ReportDeferredError,
    ReportFailedError,
    UnknownRefundError,
)
from tests.simulation.options import CURRENCY, Options, Wish
from tests.simulation.others import HOUR_MS, MINUTE_MS
from tests.simulation.report_queue import Message
from tests.simulation.schedule import Actor
from tests.simulation.stage import STAGE, Stage

GATEWAY_MS: Final = 29_000
PROVIDER_BUDGET_MS: Final = 24_000
ATTEMPT_BUDGET_MS: Final = 15_000
# Longer than in production: here rows are settled one after the other.
SETTLE_BUDGET_MS: Final = 240_000
SWEEP_BUDGET_MS: Final = 270_000
_WORTH_REPEATING = (
    KeyInUseError,
    OutcomeUnknownError,
    PaymentBusyError,
    ProcessorUnavailableError,
    StripeUnavailableError,
)


class Caller:
    """Wants one refund, and asks again until it gets a final answer."""

    def __init__(self, stage: Stage, wish: Wish) -> None:
        self._stage = stage
        self._wish = wish
        self._tries = 0
        self._heard = 0

    def ask(self) -> None:
        """One call through the gateway, which has a shorter timeout than the function."""
        self._tries += 1
        number = self._tries
        actor = self._stage.actor(f"{self._wish.key}#{number}", "call")
        self._stage.scheduler.spawn(actor, lambda: self._call(number))
        self._stage.scheduler.after(GATEWAY_MS, lambda: self._unless_heard(number))

    def _unless_heard(self, number: int) -> None:
        if self._heard < number:
            self._heard = number
            self._again()

    def _hear(self, number: int, *, final: bool) -> None:
        if self._heard >= number:
            return
        self._heard = number
        if not final:
            self._again()

    def _again(self) -> None:
        if self._tries < self._wish.tries:
            waits = (0, 2_000, 20_000, 5 * MINUTE_MS, HOUR_MS)
            self._stage.scheduler.after(self._stage.scheduler.random.choice(waits), self.ask)

    def _call(self, number: int) -> None:
        stage, command = self._stage, self._command()
        try:
            deadline = Deadline.after(stage.clock, PROVIDER_BUDGET_MS)
            answer = stage.execute(command, deadline)
        except RefundBridgeError as error:
            stage.gate.note("answer", error.code)
            stage.answers.refused(stage.scheduler.current, command, error)
            self._hear(number, final=not isinstance(error, _WORTH_REPEATING))
        except LedgerUnavailableError:
            stage.gate.note("answer", "outcome unknown")
            self._hear(number, final=False)
        else:
            stage.gate.note("answer", answer.refund.state)
            stage.answers.answered(command, answer)
            self._hear(number, final=answer.refund.state not in (State.ABORTED, State.SUBMITTING))

    def _command(self) -> CreateRefund:
        wish = self._wish
        source = Source.EVENT if wish.by_event else Source.API
        token = self._stage.new_token()
        return CreateRefund(
            refund_id=refund_id_of(wish.key, STAGE),
            request=request_of(wish, self._stage.options),
            source=source,
            # As if API keys were rotated all the time: that must not matter for idempotency.
            actor=f"{source}:{token}",
            token=token,
        )


def request_of(wish: Wish, options: Options) -> RefundRequest:
    """The request of a caller with that wish; a payment that Stripe took is named by its charge."""
    kind, reference = ReferenceType.PAYMENT_RECORD, f"pr_{wish.payment}"
    if options.named(wish.payment) == (STRIPE,):
        kind, reference = ReferenceType.CHARGE, f"charge-{wish.payment}"
    if wish.by_intent:
        kind, reference = ReferenceType.PAYMENT_INTENT, f"pi_{wish.payment}"
    request = RefundRequest(
        reference_type=kind,
        reference_id=reference,
        amount=wish.amount,
        refund_type=wish.refund_type,
        processor=wish.processor,
    )
    if wish.unlinked is None:
        return request
    return replace(
        request,
        reference_type=ReferenceType.PAYMENT_METHOD,
        reference_id=wish.unlinked.method,
        currency=CURRENCY,
        customer={"hsid": "h-1"},
        report_to=wish.unlinked.report_to,
    )


def settle_due(stage: Stage) -> None:
    """One run of settling over all that is due."""
    try:
        settled = stage.settle_run(Deadline.after(stage.clock, SETTLE_BUDGET_MS))
        stage.gate.note("settled", str(settled))
    except LedgerUnavailableError:
        stage.gate.note("settled", "ledger unavailable")


def observe(stage: Stage, key: PaymentKey) -> None:
    """Handle a webhook, or one payment of the daily sweep."""
    try:
        stage.observe(key, Deadline.after(stage.clock, PROVIDER_BUDGET_MS))
    except (RefundBridgeError, LedgerConflictError, LedgerUnavailableError) as error:
        stage.gate.note("observed", type(error).__name__)


def sweep(stage: Stage) -> None:
    """One run of the daily sweep."""
    try:
        stage.sweep(Deadline.after(stage.clock, SWEEP_BUDGET_MS))
    except (RefundBridgeError, LedgerUnavailableError) as error:
        stage.gate.note("swept", type(error).__name__)


def read_now(stage: Stage, key: str) -> None:
    """Somebody reads the refund of that key, and has the processor asked about it first."""
    deadline = Deadline.after(stage.clock, PROVIDER_BUDGET_MS)
    try:
        refund, _ = stage.read_refund(refund_id_of(key, STAGE), sync_until=deadline)
        stage.gate.note("read", refund.state)
    except (RefundNotFoundError, LedgerUnavailableError) as error:
        stage.gate.note("read", type(error).__name__)


def report(stage: Stage, message: Message) -> None:
    """A worker handles one message; if it fails, the message goes back to the queue."""
    last = stage.queue.is_last(message)
    try:
        done = stage.report(
            message.refund_id,
            Deadline.after(stage.clock, ATTEMPT_BUDGET_MS),
            receive=message.receives,
            last=last,
        )
    except (ReportFailedError, UnknownRefundError) as error:
        stage.gate.note("report", type(error).__name__)
        stage.queue.hide(message, 1_000)
    except (ReportDeferredError, LedgerUnavailableError) as error:
        stage.gate.note("report", type(error).__name__, error)
        stage.queue.hide(message, min(900_000, 5_000 * 2**message.receives))
    else:
        stage.gate.note("report", done)
        stage.queue.delete(message)


def work(stage: Stage, name: str, kind: str, task: Callable[[], None]) -> Actor:
    """Let an actor of that kind do a task now."""
    actor = stage.actor(name, kind)
    stage.scheduler.spawn(actor, task)
    return actor
