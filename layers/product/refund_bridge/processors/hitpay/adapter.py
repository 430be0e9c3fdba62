"""HitPay: the calls. Its answers are read in ``outcome``, ``charge`` and ``objects``.

Facts of the API: https://docs.hitpayapp.com; the refund call has no idempotency key, no client
reference and no currency, so it is sent once and every failure is classified.
"""

from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Final, Literal, Self
from urllib.parse import urlencode

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import Charge, ChargeStatus, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import CredentialRefused, Instruction, Outcome, Rejected
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
from refund_bridge.processors.hitpay.charge import read_charge
from refund_bridge.processors.hitpay.objects import (
    read_processor_refund,
    read_reference_number,
    read_succeeded_payments,
)
from refund_bridge.processors.hitpay.outcome import REFUSED_BY, message_of, outcome_of
from refund_bridge.processors.hitpay.payment_list import Place, oldest_day, read_page
from refund_bridge.processors.shared.base import Adapter
from refund_bridge.processors.shared.provider_http import (
    FORM,
    INSTRUCTION_MS_MAX,
    ProviderHttp,
    Sent,
    require_same,
)
from refund_bridge.processors.shared.settings import ProcessorSettings

# Even with every refund listed in each charge, a page stays well below the limit for answers.
CHARGES_PER_PAGE: Final = 50
# Without this filter HitPay leaves out ``partially_refunded``. With it, the list has only refunded
# charges, not all sales.
REFUNDED_STATUSES: Final = ("partially_refunded", "refunded")
TITLE: Final = "HitPay"


class HitPaySettings(ProcessorSettings):
    """``HITPAY_URL`` and the other.

    Attributes:
        zero_decimal_form: how amounts in currencies without minor units are printed, as ``5000`` or
            as ``5000.00``.
    """

    zero_decimal_form: Literal["integer", "decimal"] = "integer"


class HitPay(Adapter):
    """``ports.processor.Processor`` for HitPay.

    Args:
        base_url: ``https://api.hit-pay.com``, the sandbox's, or a simulator's.
        key: the API key; read anew once when HitPay refuses it.
        http: the caller whose limits and deadline bound every exchange.
        zero_decimals_as_integer: how amounts in currencies without minor units are printed
            (``5000`` or ``5000.00``); HitPay's documents do not say.
    """

    name = "hitpay"
    title = TITLE
    secret = "hitpay-api-key"  # noqa: S105 - a parameter's name, not its value
    live_host = "api.hit-pay.com"
    sandbox_host = "api.sandbox.hit-pay.com"
    only_there = True
    settings_form = HitPaySettings
    # Sources disagree on repeated partial refunds: one is sent, and a refusal is passed on.
    capabilities: ClassVar[Capabilities] = Capabilities(
        dedupes=Dedupe.BY_LOOK_UP,
        looks_up=frozenset({LookUp.BY_REFUND, LookUp.BY_PAYMENT}),
        partial=True,
        repeated_partial=True,
        unlinked=False,
        may_be_pending=True,
        learns_by=News.WEBHOOK,
        lists_charges=True,
    )

    def __init__(
        self,
        *,
        base_url: str,
        key: ApiKey,
        http: DeadlineHttp,
        zero_decimals_as_integer: bool = True,
    ) -> None:
        self._http = ProviderHttp(
            title=TITLE,
            base_url=base_url,
            key=key,
            http=http,
            headers=_headers,
            words=message_of,
            refused_by=REFUSED_BY,
        )
        self._zero_decimals_as_integer = zero_decimals_as_integer

    @classmethod
    def from_settings(cls, settings: HitPaySettings, key: ApiKey, http: DeadlineHttp) -> Self:
        """The adapter with these settings."""
        as_integer = settings.zero_decimal_form == "integer"
        return cls(base_url=settings.url, key=key, http=http, zero_decimals_as_integer=as_integer)

    def warm(self, deadline: Deadline) -> None:
        """Open a connection, so that the next call need not wait for one; never raises."""
        self._http.warm(deadline)

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id; see ``ports.processor.Processor``."""
        source = self._http.get("/v1/charges/", charge_id, deadline)
        if source is None:
            raise ChargeNotFoundError(f"HitPay knows no charge {charge_id!r}")
        charge = read_charge(source)
        require_same(TITLE, "charge", charge.id, charge_id)
        return charge

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        """The id of a payment request's one captured payment; see ``ports.processor.Processor``."""
        source = self._http.get("/v1/payment-requests/", payment_reference, deadline)
        if source is None:
            raise ChargeNotFoundError(f"HitPay knows no payment request {payment_reference!r}")
        payments = read_succeeded_payments(source)
        if len(payments) != 1:
            raise ChargeNotFoundError(
                f"payment request {payment_reference!r} has {len(payments)} succeeded payments"
            )
        return payments[0]

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        """The ``reference_number`` of its payment request; see ``ports.processor.Processor``."""
        if charge.request_id is None:
            return None
        source = self._http.get("/v1/payment-requests/", charge.request_id, deadline)
        return None if source is None else read_reference_number(source)

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        """One page of ``GET /v1/charges``; see ``ports.processor.Processor``."""
        query = [("per_page", str(CHARGES_PER_PAGE))]
        query += [("statuses[]", status) for status in REFUNDED_STATUSES]
        place = Place.at(cursor, deadline.clock.now_ms())
        query += place.asked.items()
        try:
            source = self._http.object_at(f"/v1/charges?{urlencode(query)}", deadline)
            return place.leading_to(read_page(source), oldest_day(source))
        except UnreadableAnswerError as error:
            raise UnreadablePageError(str(error), place.beyond) from error

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund of that id; see ``ports.processor.Processor``."""
        source = self._http.get("/v1/refund/", processor_refund_id, deadline)
        if source is None:
            return None
        processor_refund = read_processor_refund(source)
        require_same(TITLE, "refund", processor_refund.id, processor_refund_id)
        has_no_word = processor_refund.processor_status is None
        if has_no_word and processor_refund.status is ProcessorRefundStatus.PENDING:
            return self._as_its_charge_has_it(processor_refund, deadline)
        return processor_refund

    def _as_its_charge_has_it(
        self, processor_refund: ProcessorRefund, deadline: Deadline
    ) -> ProcessorRefund:
        """A refund that shows neither status nor time, with the status that its charge shows."""
        with suppress(ChargeNotFoundError):
            charge = self.charge(processor_refund.payment_id, deadline)
            same = (one for one in charge.processor_refunds or () if one.id == processor_refund.id)
            listed = next(same, None)
            is_all = charge.status is ChargeStatus.REFUNDED
            if is_all or (listed is not None and listed.status is ProcessorRefundStatus.SUCCEEDED):
                return replace(processor_refund, status=ProcessorRefundStatus.SUCCEEDED)
        return processor_refund

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.processor.Processor``. After a 403 it reads.

        HitPay answers 403 both to a wrong key and to a refund that it refuses. To find out which it
        was, we read the charge with the same key: if HitPay shows it, it accepts the key.
        """
        printed = instruction.money.decimal_string(
            zero_decimals_as_integer=self._zero_decimals_as_integer
        )
        form = urlencode({"payment_id": instruction.payment_id, "amount": printed}).encode()
        limited = deadline.at_most(INSTRUCTION_MS_MAX)
        sent = self._http.send("/v1/refund", FORM, form, limited)
        if not isinstance(sent, Sent):
            return sent
        outcome = outcome_of(sent.answer, instruction, secret=sent.key)
        if isinstance(outcome, Rejected) and outcome.status in REFUSED_BY:
            charge = self._http.shown("/v1/charges/", instruction.payment_id, sent.key, limited)
            if str((charge or {}).get("id")).casefold() != instruction.payment_id.casefold():
                return CredentialRefused(f"HitPay refused ({outcome.status}), and shows no charge")
        return outcome


def _headers(key: str) -> dict[str, str]:
    return {
        "X-BUSINESS-API-KEY": key,
        "X-Requested-With": "XMLHttpRequest",
        "Accept": "application/json",
    }
