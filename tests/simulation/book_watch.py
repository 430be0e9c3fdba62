"""Invariants of the true books: at each report, when nothing happens any more, and at the end."""

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
    """Compares all money that moved with all reports to Stripe.

    Attributes:
        accepted: the excess that a person accepted, by record, minor units.
        waived: the sum of waived reports, by record, minor units.
    """

    def __init__(self, stage: Stage, books: TrueBooks) -> None:
        self.accepted: Counter[str] = Counter()
        self.waived: Counter[str] = Counter()
        self._stage = stage
        self._books = books

    def check_telling(self, parameters: ReportParameters) -> None:
        """An external refund is not reported if Stripe already shows all that moved.

        Not counted is what others booked within the last minute. Nothing can be concluded from
        Stripe's sum if somebody booked a refund that we reported too, or if Stripe was told of a
        refund that was taken back.
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
        booked = self._stage.stripe.inner.books.reports_of(record)
        if reference in {item.parameters.refund_reference for item in booked}:
            return  # Stripe has this reference already, and refuses it
        if refund.report.attempts > 1 or self._books.is_told_twice(record) or self.accepted[record]:
            return
        mine = self._books.of(record)
        if any(ProcessorRefundStatus.FAILED in one.been for _, one in mine):
            return
        if self._stage.options.others.lists_other_ids:
            return  # one refund with two ids may look like two refunds
        moved = sum(one.processor_refund.money.amount for _, one in mine if has_moved(one))
        lately = sum(
            one.processor_refund.money.amount
            for _, one in mine
            if self._books.colleague.booked_ms.get(one.processor_refund.id, 0) > now_ms - MINUTE_MS
        )
        shown = self._stage.stripe.inner.books.refunded(record) - lately
        fits = shown + parameters.amount <= moved
        require(fits, "stripe_is_not_told_what_it_shows", (parameters, shown, lately, moved))

    def check_alarmed(self) -> None:
        """If the books differ, an alarm is open that names a command."""
        stage = self._stage
        for page in self._books.differing():
            if self._is_explained_by_what_came_back(page):
                continue
            too_little = page.shown < page.moved
            # A refund that was booked twice can hide another that nobody reported.
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
        """A report that Stripe has under its reference waits for no person, if Stripe answers."""
        if self._stage.options.rate or self._stage.options.outages:
            return
        stripe = self._stage.stripe.inner.books.reports
        booked = {item.parameters.refund_reference for item in stripe}
        for refund in self._stage.memory.refunds.values():
            failed = refund.report.state is ReportState.FAILED
            known = refund.processor_refund_id in booked
            refused = refund.report.cause is ReportCause.REFUSED
            needless = failed and known and refused
            require(not needless, "what_stripe_knows_needs_no_person", refund)

    def check_nothing_old_is_told(self) -> None:
        """Refunds that had ended before this service was there are not reported now.

        If two refunds have equal amounts, nobody can know which of them others reported.
        """
        for page in self._books.pages():
            amounts = Counter(
                made.processor_refund.money.amount for _, made in self._books.of(page.record)
            )
            for item in self._stage.stripe.inner.books.reports_of(page.record):
                made = self._stage.money.processor_refund(item.parameters.refund_reference)
                ours = item.idempotency_key is not None and made is not None
                if ours and made is not None and is_before_adoption(made):
                    alone = amounts[made.processor_refund.money.amount] == 1
                    require(not alone, "what_is_older_is_not_reported", (item, made))

    def check_refundable(self) -> None:
        """What was captured, and neither refunded nor refunded and taken back, may be refunded."""
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
            # More may be refundable than this: only too little is wrong.
            require(
                payment.refundable >= most,
                "what_is_left_is_refundable",
                (payment, of_it),
            )

    def check_closed(self) -> None:
        """After a person has done what the alarms say, only acknowledged differences are left."""
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
        """Whether a refund was booked twice, so that no unreported one fits in Stripe's sum."""
        too_big = all(sum_of([one]) > page.room for one in page.untold)
        back = sum_of(page.taken_back)
        would_fit = any(sum_of([one]) <= page.room + back for one in page.untold)
        taken = self._books.is_told_twice(page.record) or (bool(back) and would_fit)
        return bool(page.untold) and too_big and taken

    def _taken_for_told(self, page: Page) -> list[Made]:
        """Refunds that were taken back, and seemed to be reported because another was booked twice.

        Or because of an equal one. Their alarm says how much of them Stripe shows.
        """
        if not self._books.is_told_twice(page.record):
            return self._taken_for_an_equal_one(page)
        return self._taken_back_with_alarm(page)

    def _taken_for_an_equal_one(self, page: Page) -> list[Made]:
        """Refunds that were taken back, and an equal one was booked by hand.

        Nobody can know which of the two Stripe's sum means.
        """
        return [
            (name, made)
            for name, made in self._taken_back_with_alarm(page)
            if self._is_like_a_booked_one(page, made)
        ]

    def _taken_back_with_alarm(self, page: Page) -> list[Made]:
        rung = self._stage.telemetry.alarms["refund_taken_back"]
        return [
            (name, made)
            for name, made in self._books.of(page.record)
            if made.processor_refund.status is ProcessorRefundStatus.FAILED
            and (name, made) not in page.taken_back
            and owner_of(self._stage.memory.processor_refunds, name, made) in rung
        ]

    def _is_like_a_booked_one(self, page: Page, made: FakeRefund) -> bool:
        return any(
            other is not made
            and other.processor_refund.money.amount == made.processor_refund.money.amount
            and other.processor_refund.id in self._books.colleague.booked_ms
            for _, other in self._books.of(page.record)
        )

    def _is_explained_by_what_came_back(self, page: Page) -> bool:
        """Whether refunds that were taken back explain the difference: a report cannot be undone.

        Each of them has an alarm of its own, unless this service could not see it.
        """
        rung = self._stage.telemetry.alarms["refund_taken_back"]
        back = sum_of(self._taken_for_an_equal_one(page))
        for name, made in page.taken_back:
            owner = owner_of(self._stage.memory.processor_refunds, name, made)
            unseen = owner is None and not is_ever_seen(ABILITIES[name])
            # It had ended before this service had anything to do with its payment.
            key = PaymentKey(name, made.processor_refund.payment_id)
            unseen = unseen or key not in self._stage.memory.payments
            # It had failed before it was seen, and somebody booked it nevertheless: the next check
            # of the payment shows it.
            ours = self._stage.memory.refunds.get(owner or "")
            unseen = unseen or (ours is not None and ours.state is State.FAILED)
            unseen = unseen or self._is_of_another_account(name, made) or self._is_hidden(name)
            back += made.processor_refund.money.amount if unseen or owner in rung else 0
        return any(0 < page.shown - right <= back for right in page.may_show)

    def _is_hidden(self, name: str) -> bool:
        """Whether a later change of a refund is not shown, or is shown under an unknown id."""
        others = self._stage.options.others
        shows_one = shows_refunds(ABILITIES[name])
        nothing_shown = others.lists_nothing and not shows_one
        return nothing_shown or others.lists_other_ids

    def _is_of_another_account(self, name: str, made: FakeRefund) -> bool:
        """Whether its instruction was sent with another form of keys than is set up now."""
        form = self._stage.money.books[name].key_form
        return made.key is not None and made.key != f"{form}{made.instruction_id}"

    def _named(self, made: FakeRefund) -> Made:
        books = self._stage.money.books.items()
        return next(
            (name, made) for name, own in books if own.refunds.get(made.processor_refund.id) is made
        )
