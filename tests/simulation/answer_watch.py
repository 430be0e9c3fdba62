"""Invariants of answers to callers: the same refund for the same key, and only true answers.

An error of the contract promises that no money moved under the key, unless its class says that the
outcome is unknown. ``idempotency_key_reused`` is about the second request only.
"""

from dataclasses import replace

from refund_bridge.domain.errors import (
    IdempotencyKeyReusedError,
    KeyInUseError,
    OutcomeUnknownError,
    RefundBridgeError,
)
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import RefundRequest, Source
from refund_bridge.domain.state_machine import FREED, State
from refund_bridge.http.answers import answer_of
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.execute import Answer
from tests.fakes.ledger import MemoryLedger
from tests.simulation.money_watch import MoneyWatch, has_failed, moves_less
from tests.simulation.schedule import Actor
from tests.simulation.violation import require

_PROMISE_NOTHING = (IdempotencyKeyReusedError, KeyInUseError, OutcomeUnknownError)


class AnswerWatch:
    """Checks every answer of the product.

    Attributes:
        errors: the errors that callers got instead of a refund, by the refund's id.
        acknowledged: ids of refunds that callers got; each must stay readable.
    """

    def __init__(self, memory: MemoryLedger, money: MoneyWatch) -> None:
        self.acknowledged: set[str] = set()
        self.errors: dict[str, list[RefundBridgeError]] = {}
        self._memory = memory
        self._money = money
        self._amounts: dict[str, int] = {}
        self._requests: dict[str, RefundRequest] = {}

    def answered(self, command: CreateRefund, answer: Answer) -> None:
        """A caller gets a refund as the answer."""
        told, stored = answer.refund, self._memory.refunds.get(command.refund_id)
        require(stored is not None, "an_answer_is_durable", told)
        assert stored is not None
        durable = stored.history[: len(told.history)] == told.history
        require(durable, "an_answer_is_durable", (told, stored))
        self.acknowledged.add(told.id)
        self._same_refund(command, told)
        http = answer_of(answer, "req")
        if http.body.get("status") == "succeeded":
            bound = self._money.processor_refund(told.processor_refund_id)
            moved = bound is not None and bound.processor_refund.id in self._money.ever_succeeded
            durable = stored.state is State.SUCCEEDED
            require(moved and durable, "success_is_true_and_durable", (told, stored))
        elif http.status >= 400 or http.body.get("status") == "failed":
            self._nothing_moved(told, told.attempt)

    def refused(self, caller: Actor, command: CreateRefund, error: RefundBridgeError) -> None:
        """A caller gets an error of the contract as the answer.

        Another call may start the refund after this call's last read. So the invariant is: the
        ledger was the last thing that this call read, and it showed that nothing was moving.
        """
        self.errors.setdefault(command.refund_id, []).append(error)
        stored = self._memory.refunds.get(command.refund_id)
        if isinstance(error, _PROMISE_NOTHING) or stored is None:
            return
        at_call, seen = caller.looked
        looked_last = at_call == caller.calls and (seen is None or seen.state in FREED)
        evidence = (error, error.details, stored)
        require(looked_last or stored.state in FREED, "an_error_is_true", evidence)
        self._nothing_moved(stored, 0 if seen is None else seen.attempt)

    def _nothing_moved(self, refund: Refund, attempt: int) -> None:
        alive = [
            one
            for one in self._money.moved_by(refund.id)
            if not has_failed(one) and not moves_less(one)
        ]
        # A later attempt under the same key may have moved money since this answer was made.
        stored = self._memory.refunds[refund.id]
        if stored.attempt == attempt and not self._money.is_mistaken(stored):
            require(not alive, "promises_are_true_for_ever", (refund, alive))
        before = self._money.promised.get(refund.id, 0)
        self._money.promised[refund.id] = max(before, attempt)

    def _same_refund(self, command: CreateRefund, told: Refund) -> None:
        """Invariant 8."""
        asked = command.request
        if Source.EVENT in (told.source, command.source):
            asked = replace(asked, refund_type=told.request.refund_type)
        # The customer is the same in every request of a world, and is not stored for ever.
        same = (told.id, told.request.remembering(asked)) == (command.refund_id, asked)
        require(same, "same_key_same_refund", (command, told))
        amount = self._amounts.setdefault(told.id, told.amount)
        require(amount == told.amount, "same_key_same_refund", (amount, told))
        as_asked = asked.amount in (None, told.amount)
        require(as_asked, "same_key_same_refund", (command, told))
