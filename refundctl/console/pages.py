"""The pages: what was read, as HTML.

Every value goes through Jinja's escaping, and no template marks anything as safe: reasons, metadata
and errors are other people's texts. Invisible characters in them are written out, and each text
stands in an element that isolates its direction, so that none changes the text beside it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deployed.command_lines import Spelt
from refund_bridge.delivering.ports import Cursor
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.refund import Entry, Refund
from refund_bridge.domain.state_machine import PUBLIC_STATUS, State
from refund_bridge.reading.listing import ListQuery, Page
from refundctl.checks.finding import Level
from refundctl.choices import choices
from refundctl.console import charts
from refundctl.console.activity import WINDOWS, Activity
from refundctl.console.attention import attention, stuck
from refundctl.console.monthly import Monthly
from refundctl.console.open_now import OpenNow
from refundctl.console.words import ago, count_of, duration, share
from refundctl.depths import Depths
from refundctl.facts import NOT_FINAL, TAKEN_BACK, evidence_text, goes_to, money, standing, why
from refundctl.plain_text import seen
from refundctl.show import payment_facts, refund_facts
from refundctl.times import rfc3339, shown, zone_name
from refundctl.webhooks_out import AddressAtWork, word_of

STUCK_SHOWN: Final = 50
LATEST_SHOWN: Final = 20
_MEANS: Final[Mapping[str, str]] = {
    State.REQUESTED: "scheduled, awaits its turn",
    State.SUBMITTING: "is being sent",
    State.UNKNOWN: "sent; whether it arrived is being looked up",
    State.PENDING: "accepted; the processor is not done",
    State.REVIEW: "a person must decide",
    State.SUCCEEDED: "the money moved",
    State.REJECTED: "the processor refused",
    State.ABORTED: "certainly not executed; may be tried again",
    State.FAILED: "no money moved",
    TAKEN_BACK: "succeeded; then the processor took it back",
}
_PUBLIC: Final[Mapping[str, str]] = {
    **{state.value: word for state, word in PUBLIC_STATUS.items()},
    TAKEN_BACK: PUBLIC_STATUS[State.FAILED],
}


class Pages:
    """Renders the pages of one console.

    Attributes:
        line: as in `Sources`.
        base: what the path of every address begins with.
        refresh_ms: how often the page reloads its data; 0: never.
    """

    def __init__(
        self, *, deployment: str, line: Callable[[Spelt], str], base: str, refresh_ms: int
    ) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            money=money,
            shown=shown,
            rfc3339=rfc3339,
            duration=duration,
            count_of=count_of,
            share=share,
        )
        self._templates.globals.update(
            deployment=deployment,
            line=line,
            base=base,
            refresh_ms=refresh_ms,
            ago=ago,
            zone_name=zone_name,
            why=why,
            goes_to=goes_to,
            standing=standing,
        )

    def overview(
        self,
        now: OpenNow,
        activity: Activity,
        depths: Sequence[Depths],
        webhooks: Sequence[AddressAtWork] = (),
    ) -> str:
        """The first page: what is open, what waits for a person, and what happened."""
        waits = stuck(now, activity)
        return self._render(
            "overview.html",
            now_ms=now.at_ms,
            title="Overview",
            findings=[(one, one.level.name.lower()) for one in attention(now, activity, depths)],
            now=now,
            open_states=[
                (state, _MEANS[state], now.by_state.get(state, 0))
                for state in State
                if state in NOT_FINAL
            ],
            final_states=[
                (state, _MEANS[state], activity.by_standing.get(state, 0))
                for state in (*State, TAKEN_BACK)
                if state not in NOT_FINAL
            ],
            public=_PUBLIC,
            currencies=sorted({*now.in_flight, *now.unreported, *activity.untold, *activity.moved}),
            depths=depths,
            webhooks=[(one, word_of(one, now.at_ms)) for one in webhooks],
            activity=activity,
            windows=WINDOWS.values(),
            charts=[
                charts.volume(activity),
                charts.latency(activity, "From request to success", activity.until_succeeded),
                charts.latency(
                    activity, "From success to the report at Stripe", activity.until_reported
                ),
            ],
            outcomes=charts.outcomes(activity),
            reports=charts.reports(activity),
            statuses=charts.STATUSES,
            stuck=waits[:STUCK_SHOWN],
            stuck_more=len(waits) - STUCK_SHOWN,
            latest=activity.refunds[:LATEST_SHOWN],
        )

    def months(self, monthly: Monthly, now_ms: int) -> str:
        """The last twelve months, each currency by itself."""
        return self._render(
            "months.html",
            now_ms=now_ms,
            title="Month by month",
            monthly=monthly,
            years=[
                (
                    year,
                    (charts.moved_by_month(year), charts.share_by_month(year)),
                    charts.reasons_by_month(year),
                    charts.reasons(year),
                )
                for year in monthly.years
            ],
        )

    def refunds(self, page: Page, query: ListQuery, following: str | None, now_ms: int) -> str:
        """A list; `following` is the address of the next page."""
        of = query.payment_record or query.payment_intent or query.invoice
        what = f"Refunds of {of}" if of else f"Refunds: {', '.join(query.statuses) or 'all'}"
        return self._list(page, what, following, now_ms)

    def refunds_of_charge(self, page: Page, charge: str, now_ms: int) -> str:
        """The newest refunds of a processor's payment."""
        return self._list(page, f"Refunds of {charge}", None, now_ms)

    def refunds_called(self, refunds: Sequence[Refund], text: str, now_ms: int) -> str:
        """The refunds that a name leads to, where several things have that name."""
        return self._found(refunds, f"called: {text}", now_ms)

    def refunds_saying(self, refunds: Sequence[Refund], text: str, now_ms: int) -> str:
        """The refunds whose reason, metadata, key or credit note have the words."""
        return self._found(refunds, f"saying: {text}", now_ms)

    def _found(self, refunds: Sequence[Refund], how: str, now_ms: int) -> str:
        page = Page(refunds=refunds[:STUCK_SHOWN], payments={}, has_more=False)
        return self._list(page, f"{count_of(len(refunds), 'refund')} {how}", None, now_ms)

    def refund(
        self,
        refund: Refund,
        payment: Payment | None,
        siblings: Sequence[Refund],
        now_ms: int,
        told: Sequence[Cursor] = (),
    ) -> str:
        """One refund: its history, its payment, the payment's other refunds, and its webhooks."""
        return self._render(
            "refund.html",
            now_ms=now_ms,
            title=f"Refund {refund.id}",
            refund=refund,
            facts=refund_facts(refund, now_ms),
            ids=defaultdict(str, _ids(refund)),
            payment_ids=defaultdict(str, {} if payment is None else _payment_ids(payment)),
            timeline=_timeline(refund.history),
            payment_facts={} if payment is None else payment_facts(payment),
            siblings=[one for one in siblings if one.id != refund.id],
            told=told,
            choices=[one for one in choices(refund) if one.level is not Level.OK],
        )

    def message(self, title: str, text: str, now_ms: int) -> str:
        """One sentence instead of a page."""
        return self._render("message.html", now_ms=now_ms, title=title, text=text)

    def _list(self, page: Page, title: str, following: str | None, now_ms: int) -> str:
        return self._render(
            "refunds.html", now_ms=now_ms, title=title, refunds=page.refunds, following=following
        )

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(values)


def _shown(value: object) -> object:
    """A value as a template prints it; HTML that another template made is left as it is."""
    return seen(value) if type(value) is str else value


def _ids(refund: Refund) -> dict[str, str]:
    """The ids that people copy among a refund's facts, by their names in `refund_facts`."""
    return {
        "idempotency key": refund.idempotency_key or "",
        "asked for": refund.request.reference_id,
        "processor's refund": refund.processor_refund_id or "",
    }


def _payment_ids(payment: Payment) -> dict[str, str]:
    """The ids that people copy among a payment's facts, by their names in `payment_facts`."""
    return {"payment record": payment.payment_record or "", "charge": payment.key.charge_id}


def _timeline(history: Sequence[Entry]) -> list[tuple[Entry, int | None, str]]:
    """Every line of history, the time since the line before it, and its evidence in words."""
    before = [None, *history[:-1]]
    return [
        (
            entry,
            None if last is None else max(0, entry.at_ms - last.at_ms),
            evidence_text(entry.evidence),
        )
        for last, entry in zip(before, history, strict=True)
    ]
