"""Payments that Stripe itself took: the calls. Answers are read in ``outcome`` and ``objects``.

Facts of the API: https://docs.stripe.com/api/refunds. The instruction carries our refund's id
twice: as Stripe's idempotency key, which Stripe forgets after a day, and in the refund's metadata,
by which the refund can always be found. The instruction is sent once.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote, urlencode

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import PROCESSOR_REFUNDS_MAX, Charge, ProcessorRefund
from refund_bridge.domain.instruction import Instruction, Outcome
from refund_bridge.domain.refund import STRIPE
from refund_bridge.ports.processor import (
    Capabilities,
    ChargeNotFoundError,
    ChargePage,
    Dedupe,
    LookUp,
    News,
    UnreadableAnswerError,
    UnreadablePageError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.shared.base import Adapter, not_asked
from refund_bridge.processors.shared.provider_http import (
    FORM,
    INSTRUCTION_MS_MAX,
    JSON,
    ProviderHttp,
    Sent,
    require_same,
)
from refund_bridge.processors.shared.settings import ProcessorSettings
from refund_bridge.processors.stripe.objects import (
    INSTRUCTION_KEY,
    TITLE,
    charges_of,
    read_charge,
    read_processor_refund,
    read_processor_refunds,
)
from refund_bridge.processors.stripe.outcome import OF_THE_KEY, message_of, outcome_of

PAGE: Final = 100
_ALL_REFUNDS: Final = f"/v1/refunds?limit={PAGE}"
# ``fraudulent`` would put the customer's card and e-mail on Stripe's block list, so it is not
# passed on. Stripe does not accept other texts as reason.
REASONS_PASSED_ON: Final = frozenset({"duplicate", "requested_by_customer"})
REASON_KEY: Final = "refund_bridge_reason"


class StripePayments(Adapter):
    """``ports.processor.Processor`` for payments that Stripe took.

    Args:
        base_url: ``https://api.stripe.com``, or a simulator's.
        key: the stage's secret key, which needs the right to refund for this; read anew once when
            Stripe refuses it.
        http: the caller whose limits and deadline bound every exchange.
    """

    name = STRIPE
    title = TITLE
    secret = "stripe-secret-key"  # noqa: S105 - a parameter's name, not its value
    # One address serves both modes: the key decides which, and ``ModeCheckedKey`` checks the key.
    live_host = ""
    sandbox_host = ""
    settings_form = ProcessorSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        dedupes=Dedupe.BY_LOOK_UP,
        looks_up=frozenset({LookUp.BY_REFUND, LookUp.BY_PAYMENT}),
        partial=True,
        repeated_partial=True,
        unlinked=False,
        may_be_pending=True,
        learns_by=News.POLLING,
        lists_charges=True,
    )

    def __init__(self, *, base_url: str, key: ApiKey, http: DeadlineHttp) -> None:
        self._http = ProviderHttp(
            title=TITLE,
            base_url=base_url,
            key=key,
            http=http,
            headers=_headers,
            words=message_of,
            refused_by=OF_THE_KEY,
        )

    @classmethod
    def from_settings(cls, settings: ProcessorSettings, key: ApiKey, http: DeadlineHttp) -> Self:
        """The adapter with these settings."""
        return cls(base_url=settings.url, key=key, http=http)

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The charge of that id, with all its refunds; see ``ports.processor.Processor``.

        The charge is read before its refunds, so that the list has every refund in the sum.
        """
        source = self._http.get("/v1/charges/", charge_id, deadline)
        if source is None:
            raise ChargeNotFoundError(f"Stripe knows no charge {charge_id!r}")
        listed = list(self._refunds_of(charge_id, deadline))
        charge = read_charge(source, read_processor_refunds(listed))
        require_same(TITLE, "charge", charge.id, charge_id)
        return charge

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund of that id; see ``ports.processor.Processor``."""
        source = self._http.get("/v1/refunds/", processor_refund_id, deadline)
        if source is None:
            return None
        processor_refund = read_processor_refund(source)
        require_same(TITLE, "refund", processor_refund.id, processor_refund_id)
        return processor_refund

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.processor.Processor``."""
        if not instruction.payment_id.strip("."):
            return not_asked("There is no charge of that id.")
        sent = self._http.send(
            "/v1/refunds",
            FORM,
            urlencode(_parameters(instruction)).encode(),
            deadline.at_most(INSTRUCTION_MS_MAX),
            headers={"Idempotency-Key": instruction.refund_id},
        )
        return outcome_of(sent, instruction) if isinstance(sent, Sent) else sent

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        """A page of refunds by their charges, newest first; see ``ports.processor.Processor``.

        A charge with several refunds may be on several pages. The list does not show its sum.
        """
        try:
            data, cursor = self._page(_ALL_REFUNDS, cursor, deadline)
        except UnreadableAnswerError as error:
            # For example, the cursor is of another account: the sweep begins anew.
            raise UnreadablePageError(error.reason, beyond=None) from error
        return ChargePage(charges_of(data), cursor)

    def _refunds_of(self, charge_id: str, deadline: Deadline) -> Iterator[Any]:
        """All refunds of a charge, page after page; stops after ``PROCESSOR_REFUNDS_MAX``."""
        path, found = f"{_ALL_REFUNDS}&charge={quote(charge_id, safe='')}", 0
        cursor: str | None = None
        while True:
            data, cursor = self._page(path, cursor, deadline)
            yield from data
            found += len(data)
            if cursor is None or found > PROCESSOR_REFUNDS_MAX:
                return

    def _page(
        self, path: str, cursor: str | None, deadline: Deadline
    ) -> tuple[list[Any], str | None]:
        """The refunds after ``cursor``, and where the next page begins; ``None`` at the end."""
        after = "" if cursor is None else f"&starting_after={quote(cursor, safe='')}"
        page = self._http.object_at(path + after, deadline) or {}
        data = page.get("data")
        if not isinstance(data, list) or type(page.get("has_more")) is not bool:
            raise UnreadableAnswerError("Stripe's list of refunds cannot be read")
        if not page["has_more"]:
            return data, None
        last = data[-1].get("id") if data and isinstance(data[-1], dict) else None
        if not isinstance(last, str) or not last:
            raise UnreadableAnswerError("Stripe's list of refunds does not go on")
        return data, last


def _parameters(instruction: Instruction) -> dict[str, str]:
    """The request's parameters, without the caller's metadata: Stripe takes only 50 keys."""
    asked = {
        "charge": instruction.payment_id,
        "amount": str(instruction.money.amount),
        f"metadata[{INSTRUCTION_KEY}]": instruction.refund_id,
    }
    if instruction.reason in REASONS_PASSED_ON:
        asked["reason"] = instruction.reason
    elif instruction.reason is not None:
        asked[f"metadata[{REASON_KEY}]"] = instruction.reason
    return asked


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Accept": JSON}
