"""Invariants of the money: checked when an instruction is sent and after every processor refund."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import Instruction
from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refund_bridge.domain.refund import STRIPE, Refund
from refund_bridge.domain.refund_request import Source
from refund_bridge.domain.state_machine import FREED, State
from refund_bridge.refunding.execute import SEND_MS_MAX
from tests.fakes.abilities import ABILITIES, keeps_keys
from tests.fakes.ledger import MemoryLedger
from tests.fakes.processor import AnyInstruction
from tests.fakes.processor_books import LISTED, FakeRefund, ProcessorBooks
from tests.simulation.ledger_invariants import is_given_back
from tests.simulation.options import CAPTURED, CAPTURED_TOO_HIGH
from tests.simulation.others import Others
from tests.simulation.schedule import Actor, Scheduler, SkewedClock
from tests.simulation.violation import require


class MoneyWatch:
    """Checks every instruction, every processor refund and every promise that nothing moved.

    Attributes:
        books: each processor's truth. Ids of processor refunds begin with the processor's name.
        ever_succeeded: processor refunds that have been a success at some time.
        shown_as_succeeded: processor refunds that a look-up has shown as a success.
        promised: for each refund, the last attempt of which a caller was told that nothing moved.
        sent: for each refund and attempt, how often it was sent as a new instruction.
        repeated: for each refund, how often its instruction was sent again.
    """

    def __init__(
        self,
        books: Mapping[str, ProcessorBooks],
        memory: MemoryLedger,
        scheduler: Scheduler,
        clock: SkewedClock,
        others: Others,
    ) -> None:
        self.books = books
        self.others = others
        self.ever_succeeded: set[str] = set()
        self.shown_as_succeeded: set[str] = set()
        self.promised: dict[str, int] = {}
        self.sent: Counter[tuple[str, int]] = Counter()
        self.repeated: Counter[str] = Counter()
        self._memory = memory
        self._scheduler = scheduler
        self._clock = clock
        self._seen: Counter[str] = Counter()
        self._first: dict[str, AnyInstruction] = {}
        self._attempt_of: dict[str, list[int]] = defaultdict(list)
        self._known: dict[tuple[Actor, str | None, PaymentKey], Charge] = {}

    def processor_refunds(self) -> Iterator[FakeRefund]:
        """Every processor refund, at every processor."""
        for books in self.books.values():
            yield from books.refunds.values()

    def processor_refund(self, processor_refund_id: str | None) -> FakeRefund | None:
        """The processor refund of that id, wherever it was made."""
        found = (books.named(processor_refund_id) for books in self.books.values())
        return next((one for one in found if one is not None), None)

    def moved_by(self, refund_id: str) -> list[FakeRefund]:
        """The processor refunds that were executed for the refund's instructions."""
        return [one for one in self.processor_refunds() if one.instruction_id == refund_id]

    def is_mistaken(self, refund: Refund) -> bool:
        """Whether the refund is bound to a later dashboard refund of the same amount.

        No product can avoid this one mistake if refunds carry no reference of ours: the only
        candidate is taken for ours. So in worlds where people refund equal amounts by hand, such a
        refund may be wrong about its processor refund. Where keys are kept this is never permitted.
        """
        bound = self.processor_refund(refund.processor_refund_id)
        if bound is None or refund.attempt == 0:
            return False
        if bound.instruction_id is not None:
            mover = self._memory.refunds.get(bound.instruction_id)
            if mover is None or mover.id == refund.id:
                return False
            left_over = self.processor_refund(mover.processor_refund_id)
            by_hand = left_over is not None and left_over.instruction_id is None
            return by_hand and self.is_mistaken(mover)
        if keeps_keys(ABILITIES[refund.processor]) or is_nobodys(bound):
            return False
        if refund.processor == STRIPE:
            return False  # at Stripe every refund shows our instruction, or that there was none
        return bound.processor_refund.id not in (refund.snapshot or ())

    def handed_over(self, processor: str, instruction: AnyInstruction) -> None:
        """The actor that runs now is about to send an instruction to that processor."""
        refund = self._memory.refunds.get(instruction.refund_id)
        require(refund is not None, "no_instruction_without_an_intent", instruction)
        assert refund is not None
        require(
            refund.processor == processor,
            "an_instruction_is_its_intent",
            (processor, instruction, refund),
        )
        require(
            _is_intended(instruction, refund), "an_instruction_is_its_intent", (instruction, refund)
        )
        if instruction.repeated:
            self._may_be_repeated(processor, instruction, refund)
        else:
            self._intent_is_live(instruction, refund)
            self.sent[refund.id, refund.attempt] += 1
            once = self.sent[refund.id, refund.attempt] == 1
            require(once, "an_attempt_is_sent_once", (instruction, refund))
        self._attempt_of[refund.id].append(refund.attempt)
        self._never_more_than_captured(refund)

    def turned_away(self, instruction: AnyInstruction) -> None:
        """The credential was refused and there is a new one: the instruction may be sent again."""
        refund = self._memory.refunds[instruction.refund_id]
        if not instruction.repeated:
            self.sent[refund.id, refund.attempt] -= 1

    def looking_up(self) -> None:
        """A look-up begins: settling must have taken the refund, so that no two runs work on it."""
        actor = self._scheduler.current
        if actor.kind == "settle" and actor.subject is not None:
            taken = actor.subject in actor.taken
            require(taken, "settling_takes_before_it_looks", actor)

    def showed(self, processor: str, charge: Charge) -> None:
        """A charge is shown to the actor that runs now."""
        for processor_refund in charge.processor_refunds or ():
            self.showed_one(processor_refund)
        actor = self._scheduler.current
        self._known[actor, actor.subject, PaymentKey(processor, charge.id)] = charge

    def showed_one(self, processor_refund: ProcessorRefund | None) -> None:
        """A look-up shows a processor refund."""
        if (
            processor_refund is not None
            and processor_refund.status is ProcessorRefundStatus.SUCCEEDED
        ):
            self.shown_as_succeeded.add(processor_refund.id.removeprefix(LISTED))

    def look(self, processor: str) -> list[FakeRefund]:
        """Check the processor refunds made there since the last call, and return them."""
        refunds = self.books[processor].refunds
        for one in refunds.values():
            if ProcessorRefundStatus.SUCCEEDED in one.been:
                self.ever_succeeded.add(one.processor_refund.id)
        if len(refunds) == self._seen[processor]:
            return []
        new = list(refunds.values())[self._seen[processor] :]
        self._seen[processor] = len(refunds)
        for one in new:
            if one.instruction_id is not None:
                self._moved(one, one.instruction_id)
        return new

    def _moved(self, processor_refund: FakeRefund, refund_id: str) -> None:
        """Invariants 1, 4, 6 and 9."""
        mine = self.moved_by(refund_id)
        require(len(mine) == 1, "at_most_one_movement_per_refund", mine)
        refund = self._memory.refunds.get(refund_id)
        require(refund is not None, "no_movement_without_an_intent", processor_refund)
        assert refund is not None
        moved = replace(
            processor_refund.processor_refund, money=processor_refund.asked
        )  # it may have become less at once
        require(is_as_asked(moved, refund), "movement_is_as_asked", (processor_refund, refund))
        if has_failed(processor_refund) or self.is_mistaken(refund):
            return
        require(refund.state not in FREED, "failed_means_nothing_moved", (processor_refund, refund))
        attempt = self._attempt_of[refund_id][-1]
        told = self.promised.get(refund_id, 0)
        require(
            attempt > told, "promises_are_true_for_ever", (processor_refund, attempt, told, refund)
        )

    def _intent_is_live(self, instruction: AnyInstruction, refund: Refund) -> None:
        """Invariant 3; and the lease lasts at least as long as the call may take."""
        require(
            refund.state is State.SUBMITTING,
            "no_instruction_without_an_intent",
            (instruction, refund),
        )
        lease_until_ms = refund.lease_until_ms or 0
        in_time = self._clock.now_ms() + SEND_MS_MAX <= lease_until_ms
        require(in_time, "an_instruction_is_covered_by_its_lease", (instruction, refund))
        self._first.setdefault(refund.id, instruction)

    def _may_be_repeated(self, processor: str, instruction: AnyInstruction, refund: Refund) -> None:
        """An instruction is sent again only unchanged, with a key that the processor keeps, if its
        outcome is unknown, and by the run that took it."""
        by_key = keeps_keys(ABILITIES[processor])
        require(
            by_key, "only_where_keys_are_kept_an_instruction_is_repeated", (processor, instruction)
        )
        unknown = refund.state is State.UNKNOWN
        require(unknown, "only_what_is_unknown_is_asked_for_again", (instruction, refund))
        taken = refund.id in self._scheduler.current.taken
        require(taken, "settling_takes_before_it_asks_again", (instruction, refund))
        first = self._first.get(refund.id)
        # The call that should send the first one may have died before it did.
        same = first is None or _bare(first) == _bare(instruction)
        require(same, "a_repeat_is_the_same_instruction", (first, instruction))
        self.repeated[refund.id] += 1
        written = refund.repeats >= self.repeated[refund.id]
        require(written, "no_repeat_without_an_intent", (instruction, refund))
        in_time = self._clock.now_ms() + SEND_MS_MAX <= (refund.next_check_ms or 0)
        require(in_time, "a_repeat_is_covered_by_its_take", (instruction, refund))

    def _never_more_than_captured(self, refund: Refund) -> None:
        """Invariant 2: our refunds that moved or still may, and the external ones this call saw.

        Money sent to a card is counted with the payment that its record books.
        """
        key, actor = payment_key_of(refund), self._scheduler.current
        shown = self._known.get((actor, actor.subject, key))
        if shown is not None:
            left = shown.money.amount - shown.refunded
            require(refund.amount <= left, "never_more_than_was_shown_as_left", (refund, shown))
        record = refund.payment_record or key
        siblings = {
            one.id: one
            for one in self._memory.refunds.values()
            if payment_key_of(one) == key or one.payment_record == record
        }
        ours = {
            one.id: one.amount
            for one in siblings.values()
            if one.id in self._attempt_of and one.state not in FREED and not is_given_back(one)
        }
        for one in self.processor_refunds():
            mine = siblings.get(one.instruction_id or "")
            # A refund that was called failed and is not counts only if it was shown: see below.
            alive = (
                one.processor_refund.status is not ProcessorRefundStatus.FAILED
                and not has_failed(one)
            )
            if mine is not None and alive and not self.is_mistaken(mine):
                ours[mine.id] = one.processor_refund.money.amount
        ours[refund.id] = refund.amount
        foreign = self._shown_beside(key, shown, set(ours))
        lone = refund.request.is_unlinked and refund.request.report_to is None
        captured = refund.amount if lone else CAPTURED
        if self.others.captured_off is not None:
            captured += CAPTURED_TOO_HIGH  # Stripe showed this amount; the processor refuses it
        if self.others.lists_other_ids:
            # It is not known which of them are ours; the processor itself refuses too much.
            foreign = {}
        enough = sum(ours.values()) + sum(foreign.values()) <= captured
        require(enough, "never_more_than_captured", (refund, ours, foreign, captured))

    def _shown_beside(
        self, key: PaymentKey, shown: Charge | None, counted: set[str]
    ) -> dict[str, int]:
        """The refunds that the charge showed and that belong to none of the counted refunds."""
        beside: dict[str, int] = {}
        for processor_refund in (shown.processor_refunds if shown is not None else None) or ():
            made = self.books[key.processor].named(processor_refund.id)
            owner = self._memory.processor_refunds.get((key.processor, processor_refund.id))
            known = owner in counted or (made is not None and made.instruction_id in counted)
            # The processor may have told a person that a refund which stays pending has failed.
            known = known or (
                made is not None and made.processor_refund.status is ProcessorRefundStatus.FAILED
            )
            if processor_refund.status is not ProcessorRefundStatus.FAILED and not known:
                beside[processor_refund.id] = processor_refund.money.amount
        return beside


def is_nobodys(made: FakeRefund) -> bool:
    """Whether it has always been failed, so that it can belong to no refund."""
    return made.been == {ProcessorRefundStatus.FAILED}


def has_failed(made: FakeRefund) -> bool:
    """Whether the processor has called it failed at some time."""
    return ProcessorRefundStatus.FAILED in made.been


def owner_of(
    processor_refunds: dict[tuple[str, str], str], name: str, made: FakeRefund
) -> str | None:
    """The id of the refund that claims the processor refund, under either of its ids."""
    ids = (made.processor_refund.id, LISTED + made.processor_refund.id)
    return next(
        (processor_refunds[name, one] for one in ids if (name, one) in processor_refunds), None
    )


def moves_less(made: FakeRefund) -> bool:
    """Whether it moved less than it was asked for, and so counts as another refund."""
    return made.conduct.amount is not None and made.changes > 0


def is_as_asked(moved: ProcessorRefund, refund: Refund) -> bool:
    """Whether it has the refund's amount, and the refund's payment or payment method."""
    if refund.source is Source.PROCESSOR and not moved.payment_id:
        # Money to a card that moved less and was imported: counted with its record's payment.
        return (moved.money.amount, moved.money.currency) == (refund.amount, refund.currency)
    where: tuple[str, str | None] = (refund.processor_payment_id, None)
    if refund.request.is_unlinked:
        where = ("", refund.request.reference_id)
    money = (moved.money.amount, moved.money.currency) == (refund.amount, refund.currency)
    return money and (moved.payment_id, moved.payment_method) == where


def _is_intended(instruction: AnyInstruction, refund: Refund) -> bool:
    """Whether the instruction has the refund's amount, and its payment or payment method."""
    if isinstance(instruction, Instruction):
        where = instruction.payment_id == refund.processor_payment_id
        where = where and not refund.request.is_unlinked
    else:
        where = instruction.payment_method == refund.request.reference_id
        where = where and refund.request.is_unlinked
    money = (instruction.money.amount, instruction.money.currency) == (
        refund.amount,
        refund.currency,
    )
    return where and money


def _bare(instruction: AnyInstruction) -> AnyInstruction:
    """The instruction without the members that may differ when it is sent again."""
    if isinstance(instruction, Instruction):
        return replace(instruction, repeated=False, listed_before=None)
    return replace(instruction, repeated=False)
