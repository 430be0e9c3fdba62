"""The fake processor behind the gate, with everything that can happen to a call."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import (
    CredentialRefused,
    Instruction,
    Outcome,
    Unknown,
    UnlinkedInstruction,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import STRIPE
from refund_bridge.ports.processor import (
    Capabilities,
    ChargePage,
    CredentialRefusedError,
    ProviderUnavailableError,
    UnreadablePageError,
)
from refund_bridge.ports.runtime import Deadline
from tests.fakes.abilities import keeps_keys, refunds_unlinked, shows_payments, shows_refunds
from tests.fakes.processor import AnyInstruction, FakeProcessor
from tests.fakes.processor_books import FakeRefund
from tests.fakes.processor_fates import (
    Answered,
    Conduct,
    Executed,
    ExecutedLate,
    Fate,
    NotSent,
    ReplyLost,
    RequestLost,
)
from tests.simulation.conducts import conduct_of
from tests.simulation.faults import Fault
from tests.simulation.gate import Gate
from tests.simulation.money_watch import MoneyWatch
from tests.simulation.options import Options
from tests.simulation.others import HOUR_MS, MINUTE_MS
from tests.simulation.profiles import MAY_NAME_INSTRUCTIONS
from tests.simulation.violation import require

READ_MS: Final = 18_000
# How long it takes until a new secret is set.
REVOKED_MS: Final = 10 * MINUTE_MS
LAG_MS: Final = 10 * MINUTE_MS
# Part of the late-arrival window is left for pauses, skewed clocks and lagging look-ups.
BOUND_MARGIN_MS: Final = 30 * MINUTE_MS

_FATES: Final[dict[Fault, Fate]] = {
    Fault.NOT_SENT: NotSent(),
    Fault.REQUEST_LOST: RequestLost(),
    Fault.REPLY_LOST: ReplyLost(),
    Fault.ERROR_AFTER: ReplyLost(),
    Fault.ERROR_BEFORE: Answered(502),
    Fault.REFUSED: Answered(422, "Insufficient balance."),
    Fault.LIMITED: Answered(429),
    Fault.UNAUTHORIZED: Answered(401),
    Fault.REVOKED: Answered(401),
    # The processor's own refusal of a key, when a new secret is already set.
    Fault.REPLACED: Answered(403, "Invalid business api key", replaced=True),
}


# A refused instruction is certainly not executed, unless the processor breaks its word.
_TURNED_DOWN: Final = (_FATES[Fault.REFUSED], _FATES[Fault.UNAUTHORIZED])


class SimulatedProcessor:
    """``ports.processor.Processor``.

    Attributes:
        on_news: called with every new processor refund.
        on_first_sight: what happens when this service first reads a payment.
        plans: how many refused instructions it will still execute.
        forms: the form of keys that the present actor uses, by the processor's name.
    """

    def __init__(
        self, gate: Gate, inner: FakeProcessor, watch: MoneyWatch, options: Options
    ) -> None:
        self.inner = inner
        self.on_news: Callable[[SimulatedProcessor, FakeRefund], None] = lambda *_: None
        self.on_first_sight: dict[str, Callable[[], None]] = {}
        self.plans = 0
        self.forms: Mapping[str, str] = {}
        self._gate = gate
        self._watch = watch
        self._options = options
        inner.reads_keys = options.reads_keys
        inner.lists_refunds = not options.others.lists_nothing
        inner.books.checks_amounts = options.checks_amounts
        inner.books.one_refund_per_payment = options.one_refund_only
        inner.books.zone_ms = options.others.zone_ms
        inner.books.lists_other_ids = (
            options.others.lists_other_ids
            and inner.name != STRIPE  # Stripe shows a refund under one id everywhere
            and shows_refunds(inner.capabilities)
            and shows_payments(inner.capabilities)
        )
        inner.books.names_instructions |= (
            options.names_instructions and inner.name in MAY_NAME_INSTRUCTIONS
        )
        self._down = [one[1:] for one in options.outages if one[0] == "processor"]
        self._revoked_until_ms = 0
        self._listless = [one[1:] for one in options.outages if one[0] == "lists"]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        self._can(shows_payments(self.capabilities), "charge")
        fault = self._look_up("charge", charge_id, deadline)
        with self._listing(fault):
            charge = self.inner.charge(charge_id, deadline)
        self._watch.showed(self.name, charge)
        self.on_first_sight.pop(charge_id, lambda: None)()
        self._gate.leave(fault)
        return charge

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        return self.inner.charge_id_of(payment_reference, deadline)

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        return self.inner.reference_of(charge, deadline)

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        self._can(self.capabilities.lists_charges, "charges")
        if self._options.others.bad_page and cursor is None:
            raise UnreadablePageError("the newest page cannot be read", "1")
        with self._listing():
            return self.inner.charges(cursor, deadline)

    def _keys(self) -> AbstractContextManager[None]:
        """During one call, keys have the form that the calling process was started with."""
        return self.inner.books.keyed(self.forms.get(self.name, ""))

    @contextmanager
    def _listing(self, fault: Fault | None = None) -> Iterator[None]:
        """During one call, payments may list no refunds; the tests' own reads still see them."""
        lists = not self._options.others.lists_nothing
        hides_now = fault is Fault.LISTS_NOTHING or self._is(self._listless)
        self.inner.lists_refunds = lists and not hides_now
        try:
            yield
        finally:
            self.inner.lists_refunds = lists

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        self._can(shows_refunds(self.capabilities), "processor_refund")
        fault = self._look_up("processor_refund", processor_refund_id, deadline)
        processor_refund = self.inner.processor_refund(processor_refund_id, deadline)
        self._watch.showed_one(processor_refund)
        self._gate.leave(fault)
        return _shown(processor_refund, fault)

    def find_by_key(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> ProcessorRefund | None:
        self._can(keeps_keys(self.capabilities), "find_by_key")
        fault = self._look_up("find_by_key", refund_id[4:8], deadline)
        with self._keys():
            processor_refund = self.inner.find_by_key(refund_id, payment_id, deadline)
        self._gate.leave(fault)
        return _shown(processor_refund, fault)

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        return self._ask(instruction, "repeat" if instruction.repeated else "refund", deadline)

    def refund_unlinked(self, instruction: UnlinkedInstruction, deadline: Deadline) -> Outcome:
        self._can(refunds_unlinked(self.capabilities), "refund_unlinked")
        return self._ask(
            instruction, "repeat" if instruction.repeated else "refund_unlinked", deadline
        )

    def _ask(self, instruction: AnyInstruction, port: str, deadline: Deadline) -> Outcome:
        self._watch.handed_over(self.name, instruction)
        try:
            fault = self._gate.enter(f"{self.name}.{port}", instruction.refund_id[4:8], deadline)
        except ProviderUnavailableError as error:
            return Unknown(str(error))
        fate = self._fate(fault)
        self.inner.books.conduct = self._conduct(instruction)
        self.inner.fates.append(fate)
        ask = (
            self.inner.refund_unlinked
            if isinstance(instruction, UnlinkedInstruction)
            else self.inner.refund
        )
        with self._keys():
            outcome = ask(instruction, deadline)  # type: ignore[arg-type]
        if isinstance(instruction, Instruction) and self._breaks_its_word(fate):
            self.plans += 1
            wait_ms = self._gate.scheduler.random.choice((30_000, 20 * MINUTE_MS, 3 * HOUR_MS))
            form = self.forms.get(self.name, "")
            self._gate.scheduler.after(wait_ms, partial(self._execute_after_all, instruction, form))
        if fault is Fault.REVOKED:
            self._revoked_until_ms = self._gate.scheduler.now_ms + REVOKED_MS
        if isinstance(outcome, CredentialRefused) and outcome.replaced:
            self._watch.turned_away(instruction)
        if isinstance(fate, ExecutedLate):
            self._gate.scheduler.after(fate.after_ms, self.catch_up)
        with self._keys():  # what arrives at once
            self.catch_up()
        silent = isinstance(fate, RequestLost | ExecutedLate)
        self._gate.leave(fault, min(READ_MS, deadline.remaining_ms()) if silent else None)
        return outcome

    def _breaks_its_word(self, fate: Fate) -> bool:
        """Whether it executes a refused instruction after all; only if it also shows that later."""
        able = fate in _TURNED_DOWN and keeps_keys(self.capabilities)
        return able and self._gate.scheduler.random.random() < self._options.others.changes_mind

    def _execute_after_all(self, instruction: Instruction, form: str) -> None:
        self.plans -= 1
        self.inner.books.conduct = Conduct()
        with self.inner.books.keyed(form):  # its key is the one that it was sent with
            made = self.inner.books.arrive(instruction)
        if isinstance(made, ProcessorRefund):
            self.inner.books.refunds[made.id].been.add(ProcessorRefundStatus.FAILED)
        self.catch_up()

    def _can(self, is_able: bool, port: str) -> None:
        """Require that the product calls only what the processor offers."""
        require(is_able, "only_what_is_offered_is_asked_for", (self.name, port))

    # --- what happens behind the product's back ------------------------------------------------

    def refund_in_dashboard(
        self, charge_id: str, amount: int, *, fails: bool = False, age_ms: int = 0
    ) -> FakeRefund | None:
        """A person refunds in the dashboard, now or long ago, if enough is left of the charge."""
        books = self.inner.books
        books.conduct = self._failing() if fails else self._conduct(None)
        if age_ms and books.conduct.first is not ProcessorRefundStatus.PENDING:
            books.conduct = Conduct(books.conduct.first)  # it ended long ago
        left = books.charges[charge_id].money.amount - sum(
            item.processor_refund.money.amount
            for item in books.of(charge_id)
            if item.processor_refund.status is not ProcessorRefundStatus.FAILED
        )
        if amount > left and not fails:
            return None
        made = self.inner.refund_in_dashboard(charge_id, amount, age_ms=age_ms)
        self.catch_up()
        return books.refunds[made.id] if isinstance(made, ProcessorRefund) else None

    def _failing(self) -> Conduct:
        random = self._gate.scheduler.random
        if random.random() >= self._options.others.changes_mind:
            return Conduct(ProcessorRefundStatus.FAILED)
        after_ms = random.choice((MINUTE_MS, 5 * MINUTE_MS, HOUR_MS))
        return Conduct(ProcessorRefundStatus.FAILED, ProcessorRefundStatus.SUCCEEDED, after_ms)

    def catch_up(self) -> None:
        """Do what is due by the clock, check it, and send webhooks for it."""
        self._news()
        self.inner.catch_up()
        self._news()

    def _news(self) -> None:
        for refund in self._watch.look(self.name):
            self.on_news(self, refund)
            for when_ms in refund.changes_ms:
                self._gate.scheduler.at(when_ms, self.catch_up)

    def _fate(self, fault: Fault | None) -> Fate:
        random = self._gate.scheduler.random
        if fault is None and self._gate.dice.is_on:
            return self._lost()
        if fault is Fault.LATE:
            longest_ms = self._options.hold_ms - BOUND_MARGIN_MS
            return ExecutedLate(random.choice((30_000, random.randrange(longest_ms), longest_ms)))
        return Executed() if fault is None else _FATES.get(fault, Executed())

    def _lost(self) -> Fate:
        """What happens to an instruction without any other fault."""
        random, options = self._gate.scheduler.random, self._options
        if options.turns_down and random.random() < options.turns_down:
            return random.choice(_TURNED_DOWN)
        if options.loses_instructions and random.random() < options.loses_instructions:
            return RequestLost()
        if options.loses_answers and random.random() < options.loses_answers:
            # The form of key of a late instruction is not modelled.
            waits_ms = (
                (0, 5 * MINUTE_MS, 20 * MINUTE_MS) if options.others.key_form is None else (0,)
            )
            late_ms = random.choice(waits_ms)
            return ExecutedLate(late_ms) if late_ms else ReplyLost()
        return Executed()

    def _conduct(self, instruction: AnyInstruction | None) -> Conduct:
        return conduct_of(self._gate.scheduler.random, self._options, instruction)

    def _look_up(self, port: str, about: str, deadline: Deadline) -> Fault | None:
        self._watch.looking_up()
        fault = self._gate.enter(f"{self.name}.{port}", about, deadline)
        self.catch_up()
        if self._gate.scheduler.now_ms < self._revoked_until_ms:
            raise CredentialRefusedError("the credential is not accepted")
        if fault is Fault.UNAVAILABLE or self._is(self._down):
            raise ProviderUnavailableError("no whole answer")
        lag_ms = self._gate.scheduler.random.choice((1_000, MINUTE_MS, LAG_MS))
        self.inner.books.lag_ms = lag_ms if fault is Fault.STALE else 0
        return fault

    def _is(self, spans: list[tuple[int, int]]) -> bool:
        now_ms = self._gate.scheduler.now_ms
        return any(start_ms <= now_ms < end_ms for start_ms, end_ms in spans)


def _shown(processor_refund: ProcessorRefund | None, fault: Fault | None) -> ProcessorRefund | None:
    """The processor refund as it is, or changed so that it cannot be ours."""
    if processor_refund is None or fault is not Fault.DISAGREES:
        return processor_refund
    money = Money(processor_refund.money.amount + 1, processor_refund.money.currency)
    return replace(processor_refund, money=money)
