"""The simulated operator: closes whatever an alarm names, with the operator's own commands.

The operator knows what really happened, like a person who reads both dashboards and asks the
processor's support, and decides nothing else.
"""

from collections import Counter
from typing import Final

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import PaymentNotFoundError
from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.runtime import Deadline
from refundctl.deciding.accept_excess import AcceptExcess, NothingToAcceptError
from refundctl.deciding.report_by_hand import (
    Owed,
    ReportByHand,
    ReportDecision,
    ReportDecisionRefusedError,
    ToldByOthers,
    Waive,
)
from refundctl.deciding.resolve import (
    Decision,
    ItFailed,
    ItSucceeded,
    ResolutionRefusedError,
    ResolveRefund,
)
from refundctl.deciding.unlink import LinkInUseError, Unlink
from tests.fakes.abilities import ABILITIES
from tests.fakes.processor_books import FakeRefund
from tests.simulation.alarms import UNLISTED
from tests.simulation.book_watch import BookWatch
from tests.simulation.money_watch import owner_of
from tests.simulation.others import MINUTE_MS, Name
from tests.simulation.stage import REPORT_LEASE_MS, Stage
from tests.simulation.true_books import Page, TrueBooks
from tests.simulation.violation import require

LONG_MS: Final = 86_400_000
ACTOR: Final = "operator:person"
WHY: Final = "both dashboards say so"

ACCEPT: Final = "record --accept-excess"
_SAYS: Final[dict[type, str]] = {
    ItSucceeded: "resolve --succeeded",
    ItFailed: "resolve --failed",
    Owed: "report --owed",
    ToldByOthers: "report --told",
    Waive: "report --waive",
}
COMMANDS: Final = (*_SAYS.values(), ACCEPT)


class Operator:
    """A person at ``refundctl``; ``watch`` keeps what they acknowledge.

    Attributes:
        did: how often each command was given.
    """

    def __init__(self, stage: Stage, books: TrueBooks, watch: BookWatch) -> None:
        self.did: Counter[str] = Counter()
        self._stage = stage
        self._watch = watch
        self._books = books
        ledger, clock, telemetry = stage.ledger, stage.true_clock, stage.telemetry
        self._resolve = ResolveRefund(
            ledger=ledger,
            processors=stage.processors,
            accounts=stage.accounts,
            recorder=stage.recorder,
            doorbell=stage.queue,
            clock=clock,
            telemetry=telemetry,
            hold_ms=stage.options.hold_ms,
            actor=ACTOR,
        )
        self._reports = ReportByHand(
            ledger=ledger,
            read_sums=stage.read_sums,
            doorbell=stage.queue,
            clock=clock,
            telemetry=telemetry,
            lease_ms=REPORT_LEASE_MS,
            step_ms=MINUTE_MS,
            actor=ACTOR,
        )
        self._excess = AcceptExcess(
            ledger=ledger, read_sums=stage.read_sums, clock=clock, telemetry=telemetry, actor=ACTOR
        )
        self._links = Unlink(ledger=ledger, telemetry=telemetry, actor=ACTOR)

    def act(self) -> bool:
        """Do what can be done now; returns whether there was anything to do."""
        refunds = self._stage.memory.refunds
        reviews = [one for one in refunds.values() if one.state is State.REVIEW]
        for refund in reviews:
            self._close(refund)
        failed = [one for one in refunds.values() if one.report.state is ReportState.FAILED]
        for refund in failed:
            self._report(refund)
        if reviews or failed:
            return True
        mended = [self._mend(page) for page in self._books.differing()]
        confirmed = [self._confirm(one) for one in refunds.values()]
        return any(mended) or any(confirmed)

    def unlink(self, record: str) -> None:
        """Take back a link that metadata made by mistake, if the ledger has it."""
        try:
            self._links.weigh(record)
            self._links.carry_out(record)
        except (PaymentNotFoundError, LinkInUseError) as error:
            self._stage.gate.note("unlink", type(error).__name__, record)

    # --- reviews ----------------------------------------------------------------------------------

    def _close(self, refund: Refund) -> None:
        refused: list[str] = []
        for decision in self._decisions(refund):
            try:
                agreed = self._resolve.weigh(refund.id, decision, self._deadline())
                self._resolve.carry_out(refund.id, decision, agreed, self._deadline())
            except ResolutionRefusedError as error:
                refused.append(str(error))
                continue
            if self._stage.memory.refunds[refund.id].state is not State.REVIEW:
                self.did[_SAYS[type(decision)]] += 1
                return
            refused.append("it is what it was")
        if any("may still arrive" in one for one in refused):
            return  # too early: the person tries again later
        require(False, "a_person_can_close_it", (refund, refused))

    def _decisions(self, refund: Refund) -> list[Decision]:
        """The true decisions: first one that needs the evidence, then one despite the evidence."""
        failed: list[Decision] = [
            ItFailed(WHY),
            ItFailed(WHY, despite_evidence=True),
        ]
        made = self._made_for(refund)
        if made is None:
            return failed
        if made.processor_refund.status is ProcessorRefundStatus.PENDING:
            self._ask_support(refund, made)
        moved_it = made.processor_refund.money.amount == refund.amount
        if made.processor_refund.status is ProcessorRefundStatus.FAILED or not moved_it:
            return failed
        bound = refund.processor_refund_id or made.processor_refund.id
        succeeded = [ItSucceeded(bound), ItSucceeded(bound, WHY, despite_evidence=True)]
        # Clocks may differ so much that our processor refund seems older than its instruction, and
        # is imported as an external refund: then "failed" is right.
        return [*succeeded, *([] if refund.processor_refund_id else failed)]

    def _made_for(self, refund: Refund) -> FakeRefund | None:
        """The refund's processor refund: what it is bound to, else what its instruction made."""
        money, processor_refunds = self._stage.money, self._stage.memory.processor_refunds
        if refund.processor_refund_id is not None:
            return money.processor_refund(refund.processor_refund_id)
        for made in money.moved_by(refund.id):
            if owner_of(processor_refunds, refund.processor, made) in (None, refund.id):
                return made
        return None

    def _ask_support(self, refund: Refund, made: FakeRefund) -> None:
        """The processor's support ends a refund that stays pending."""
        ends = self._stage.random.choice(
            (ProcessorRefundStatus.SUCCEEDED, ProcessorRefundStatus.FAILED)
        )
        processor = self._stage.processors[refund.processor]
        processor.inner.books.set_status(made.processor_refund.id, ends)
        processor.catch_up()

    # --- reports ----------------------------------------------------------------------------------

    def _report(self, refund: Refund) -> None:
        """Decide about a failed report by what Stripe and the processor really show."""
        self._decide_any(refund, self._true_of(refund))

    def _true_of(self, refund: Refund) -> list[ReportDecision]:
        """The true decisions about the refund's report, best first."""
        made = self._stage.money.processor_refund(refund.processor_refund_id)
        told: list[ReportDecision] = [ToldByOthers(WHY), Waive(WHY)]
        waive: list[ReportDecision] = [Waive(WHY)]
        if made is None or refund.payment_record is None:
            self._require_no_record(refund)
            return waive
        if made.processor_refund.id in self._books.told(refund.payment_record):
            return told
        if made.processor_refund.status is not ProcessorRefundStatus.SUCCEEDED:
            return waive
        stripe = self._stage.stripe.inner.books
        record = stripe.records[refund.payment_record]
        room = record.guaranteed - stripe.refunded(record.id)
        return [Owed(WHY)] if room >= refund.amount else waive

    def _require_no_record(self, refund: Refund) -> None:
        """A report that failed because there was no record becomes due by itself once there is one.

        Only if the processor lists its payments, so that the sweep checks the payment again after
        its link was corrected.
        """
        linked = self._stage.memory.payments[payment_key_of(refund)].payment_record is not None
        seen = ABILITIES[refund.processor].lists_charges
        found = refund.payment_record is not None or not (linked and seen)
        require(found, "a_mended_link_is_found", refund)

    def _confirm(self, refund: Refund) -> bool:
        """Sometimes a person confirms a report that only the sums show, after reading Stripe."""
        record, cause = refund.payment_record, refund.report.cause
        if cause is not ReportCause.BY_SUMS or record is None or self._stage.random.random() < 0.5:
            return False
        made = self._stage.money.processor_refund(refund.processor_refund_id)
        if made is None or made.processor_refund.id not in self._books.told(record):
            return False
        self._decide_any(refund, [ToldByOthers(WHY)])
        return True

    def _decide_any(self, refund: Refund, decisions: list[ReportDecision]) -> None:
        refused: list[str] = []
        for decision in decisions:
            try:
                agreed = self._reports.weigh(refund.id, decision, self._deadline())
                self._reports.carry_out(refund.id, decision, agreed, self._deadline())
            except ReportDecisionRefusedError as error:
                refused.append(str(error))
                continue
            self.did[_SAYS[type(decision)]] += 1
            if isinstance(decision, Waive):
                self._watch.waived[self._record_of(refund)] += refund.amount
            return
        if self._stage.memory.refunds[refund.id].report.state is not refund.report.state:
            return  # reading the sums for the decision has already settled the report
        require(not decisions, "a_person_can_decide_about_a_report", (refund, decisions, refused))

    def _record_of(self, refund: Refund) -> str:
        """The record that books its payment, even if its link is missing."""
        charge = (refund.processor_payment_id or "").removeprefix("charge-")
        return refund.payment_record or f"pr_{charge}"

    # --- sums -------------------------------------------------------------------------------------

    def _mend(self, page: Page) -> bool:
        """Close a difference for which no refund waits; returns whether there was one to close."""
        if page.shown > page.moved:
            return self._accept(page.record)
        fitting = [one for one in page.untold if one[1].processor_refund.money.amount <= page.room]
        told = [self._is_told_now(page, name, made) for name, made in fitting]
        return any(told)

    def _is_told_now(self, page: Page, name: str, made: FakeRefund) -> bool:
        """Report a refund that Stripe does not show: by this service, or else by hand."""
        stage, memory = self._stage, self._stage.memory
        owner = memory.refunds.get(owner_of(memory.processor_refunds, name, made) or "")
        if owner is not None and owner.report.state is ReportState.REPORTED:
            self._decide_any(owner, [Owed(WHY)])
            return True
        rung = stage.telemetry.alarms
        unlisted = self._stage.options.others.lists_nothing or not ABILITIES[name].shows_payments
        unlisted = unlisted or any(
            one in rung[event] for event in UNLISTED for one in page.charge_ids
        )
        if unlisted and (owner is None or owner.state is State.FAILED):
            self._books.colleague.tell_stripe(made, Name.TICKET, page.record)
            return True
        return False

    def _accept(self, record: str) -> bool:
        try:
            agreed = self._excess.weigh(record, self._deadline())
        except (NothingToAcceptError, PaymentNotFoundError) as error:
            self._stage.gate.note("accept excess", type(error).__name__, record)
            return False
        self._excess.carry_out(record, WHY, agreed, self._deadline())
        self._watch.accepted[record] += agreed.amount
        self.did[ACCEPT] += 1
        return True

    def waiting(self) -> list[Refund]:
        """The refunds that still wait for somebody, of every record."""
        return [
            one
            for one in self._stage.memory.refunds.values()
            if one.state is State.REVIEW
            or one.report.state in (ReportState.FAILED, ReportState.DUE)
        ]

    def _deadline(self) -> Deadline:
        return Deadline.after(self._stage.true_clock, LONG_MS)
