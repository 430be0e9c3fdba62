"""What is required of the true books: while Stripe is told, when all rests, and at the very end."""

from collections import Counter

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refund_bridge.domain.refund import STRIPE
from refund_bridge.domain.report import ReportCause, ReportParameters
from refund_bridge.domain.state_machine import ReportState, State
from tests.fakes.abilities import ABILITIES, shows_refunds
from tests.fakes.processor_books import FakeRefund
from tests.simulation.alarms import is_open
from tests.simulation.liveness import is_ever_seen
from tests.simulation.money_watch import owner_of
from tests.simulation.others import MINUTE_MS
from tests.simulation.stage import Stage
from tests.simulation.true_books import Made, Page, TrueBooks, has_moved, is_before_adoption, sum_of
from tests.simulation.violation import require


class BookWatch:
    """Looks at the books of all that moved and all that Stripe was told.

    Attributes:
        accepted: by record, what a person accepted as shown too much, minor units.
        waived: by record, what Stripe is never told of, minor units.
    """

    def __init__(self, stage: Stage, books: TrueBooks) -> None:
        self.accepted: Counter[str] = Counter()
        self.waived: Counter[str] = Counter()
        self._stage = stage
        self._books = books

    def check_telling(self, parameters: ReportParameters) -> None:
        """What others made is not told to Stripe when it shows all that moved already.

        They may have told it a moment ago; and where somebody has booked what was ours, or Stripe
        was told of what came back, its sum says nothing of this.
        """
        record, reference = parameters.payment_record, parameters.refund_reference
        made, now_ms = self._stage.money.processor_refund(reference), self._stage.scheduler.now_ms
        owner = made and owner_of(self._stage.memory.processor_refunds, *self._named(made))
        refund = self._stage.memory.refunds.get(owner or "")
        if (
            made is None
            or made.instruction_id is not None
            or refund is None
            or refund.report.forced
        ):
            return
        booked = self._stage.book.inner.books.reports_of(record)
        if reference in {item.parameters.refund_reference for item in booked}:
            return  # it is refused
        if refund.report.attempts > 1 or self._books.is_told_twice(record) or self.accepted[record]:
            return
        mine = self._books.of(record)
        if any(ProcessorRefundStatus.FAILED in one.been for _, one in mine):
            return
        if self._stage.options.others.lists_other_ids:
            return  # what is one may seem to be two
        moved = sum(one.processor_refund.money.amount for _, one in mine if has_moved(one))
        lately = sum(
            one.processor_refund.money.amount
            for _, one in mine
            if self._books.colleague.booked_ms.get(one.processor_refund.id, 0) > now_ms - MINUTE_MS
        )
        shown = self._stage.book.inner.books.refunded(record) - lately
        fits = shown + parameters.amount <= moved
        require(fits, "stripe_is_not_told_what_it_shows", (parameters, shown, lately, moved))

    def check_alarmed(self) -> None:
        """Where the books differ, an alarm rings that names a command."""
        stage = self._stage
        for page in self._books.differing():
            if self._is_explained_by_what_came_back(page):
                continue
            too_little = page.shown < page.moved
            # What somebody booked twice can hide that another one was never told (seed 65121).
            sides = {True, False} if self._books.is_told_twice(page.record) else {too_little}
            rings = any(
                is_open(
                    stage.telemetry.alarms,
                    stage.memory,
                    page.record,
                    page.charge_ids,
                    shows_too_little=side,
                )
                for side in sides
            )
            name = "stripe_hears_of_it" if too_little else "stripe_hears_of_it_once"
            require(rings, name, page)

    def check_failures(self) -> None:
        """What Stripe has under its very reference is left to no person, if it can be asked."""
        if self._stage.options.rate or self._stage.options.outages:
            return
        stripe = self._stage.book.inner.books.reports
        booked = {item.parameters.refund_reference for item in stripe}
        for refund in self._stage.memory.refunds.values():
            failed = refund.report.state is ReportState.FAILED
            known = refund.processor_refund_id in booked
            refused = refund.report.cause is ReportCause.REFUSED
            needless = failed and known and refused
            require(not needless, "what_stripe_knows_needs_no_person", refund)

    def check_nothing_old_is_told(self) -> None:
        """What was over before this service was there is not reported now.

        Of two equal ones nobody can know which it was that others told Stripe of.
        """
        for page in self._books.pages():
            amounts = Counter(
                made.processor_refund.money.amount for _, made in self._books.of(page.record)
            )
            for item in self._stage.book.inner.books.reports_of(page.record):
                made = self._stage.money.processor_refund(item.parameters.refund_reference)
                ours = item.idempotency_key is not None and made is not None
                if ours and made is not None and is_before_adoption(made):
                    alone = amounts[made.processor_refund.money.amount] == 1
                    require(not alone, "what_is_older_is_not_reported", (item, made))

    def check_refundable(self) -> None:
        """What was captured and did not go back, nor was taken back, may be refunded."""
        for key, payment in self._stage.memory.payments.items():
            if key.is_unlinked or not ABILITIES[key.processor].shows_payments:
                continue
            others = self._stage.options.others
            if others.lists_other_ids or others.lists_nothing:
                continue
            of_it = [
                one for one in self._stage.memory.refunds.values() if payment_key_of(one) == key
            ]
            back = (one for one in of_it if one.late_failure_at_ms is not None)
            held = sum(one.amount for one in back if one.processor != STRIPE)
            made = self._stage.money.books[key.processor].of(key.charge_id)
            alive = (
                one
                for one in made
                if one.processor_refund.status is not ProcessorRefundStatus.FAILED
            )
            went = sum(one.processor_refund.money.amount for one in alive)
            most = payment.captured - went - held
            # What is not ours holds its amount for as long as it may still be found to be another.
            require(
                payment.refundable >= most,
                "what_is_left_is_refundable",
                (payment, of_it),
            )

    def check_closed(self) -> None:
        """When a person has done what the alarms say, what still differs is acknowledged."""
        for page in self._books.differing():
            if self._has_no_room(page):
                continue
            back = sum_of(page.taken_back) + sum_of(self._taken_for_told(page))
            most = back + self.accepted[page.record]
            least = -self.waived[page.record]
            evidence = (page, self.accepted, self.waived)
            right = page.may_show | {page.moved}
            agrees = any(least <= page.shown - one <= most for one in right)
            require(agrees, "the_books_agree_in_the_end", evidence)

    def _has_no_room(self, page: Page) -> bool:
        """Whether Stripe has no room for any that is not told.

        What somebody booked twice takes it, or what came back: Stripe un-reports nothing (37940).
        """
        too_big = all(sum_of([one]) > page.room for one in page.untold)
        back = sum_of(page.taken_back)
        would_fit = any(sum_of([one]) <= page.room + back for one in page.untold)
        taken = self._books.is_told_twice(page.record) or (bool(back) and would_fit)
        return bool(page.untold) and too_big and taken

    def _taken_for_told(self, page: Page) -> list[Made]:
        """What came back, and seemed to be at Stripe since somebody had booked another one twice.

        The alarm that it came back says then how much Stripe shows of it (seed 44469).
        """
        if not self._books.is_told_twice(page.record):
            return []
        rung = self._stage.telemetry.alarms["refund_taken_back"]
        return [
            (name, made)
            for name, made in self._books.of(page.record)
            if made.processor_refund.status is ProcessorRefundStatus.FAILED
            and (name, made) not in page.taken_back
            and owner_of(self._stage.memory.processor_refunds, name, made) in rung
        ]

    def _is_explained_by_what_came_back(self, page: Page) -> bool:
        """Stripe cannot un-report; each of these has an alarm of its own, if it was ever seen."""
        rung = self._stage.telemetry.alarms["refund_taken_back"]
        back = 0
        for name, made in page.taken_back:
            owner = owner_of(self._stage.memory.processor_refunds, name, made)
            unseen = owner is None and not is_ever_seen(ABILITIES[name])
            # It was over before anybody here had to do with its payment.
            key = PaymentKey(name, made.processor_refund.payment_id)
            unseen = unseen or key not in self._stage.memory.payments
            # It had failed before it was seen, and somebody booked it nevertheless: the next look
            # at the payment shows it.
            ours = self._stage.memory.refunds.get(owner or "")
            unseen = unseen or (ours is not None and ours.state is State.FAILED)
            unseen = unseen or self._is_of_another_account(name, made) or self._is_hidden(name)
            back += made.processor_refund.money.amount if unseen or owner in rung else 0
        return any(0 < page.shown - right <= back for right in page.may_show)

    def _is_hidden(self, name: str) -> bool:
        """Whether what becomes of a refund, once it is over, is not shown or cannot be placed."""
        others = self._stage.options.others
        shows_one = shows_refunds(ABILITIES[name])
        nothing_shown = others.lists_nothing and not shows_one
        return nothing_shown or others.lists_other_ids

    def _is_of_another_account(self, name: str, made: FakeRefund) -> bool:
        """Whether its instruction is not known any more by the form of keys that is set up."""
        form = self._stage.money.books[name].key_form
        return made.key is not None and made.key != f"{form}{made.instruction_id}"

    def _named(self, made: FakeRefund) -> Made:
        books = self._stage.money.books.items()
        return next(
            (name, made) for name, own in books if own.refunds.get(made.processor_refund.id) is made
        )
