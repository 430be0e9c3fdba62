"""The Convenient Checkout Gateway: the calls. Answers are read in ``outcome`` and ``objects``.

Facts of the API: https://developers.healthsafepay.com/docs. The merchant chooses a refund's
``merchantTransactionId``, and the gateway rejects a second instruction with the same one. We send
our refund's id as that. There is no documented way to read a payment.
"""

from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import urlencode

from pydantic import Field

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.http.exact_json import dumps
from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.instruction import Instruction, Outcome, UnlinkedInstruction
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.ports.processor import Capabilities, Dedupe, LookUp, News, UnreadableAnswerError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.ccg.objects import TITLE, AmountUnit, read_processor_refund
from refund_bridge.processors.ccg.outcome import message_of, outcome_of
from refund_bridge.processors.shared.accepting import AnyInstruction, concluded, without_words
from refund_bridge.processors.shared.base import Adapter, not_asked
from refund_bridge.processors.shared.provider_http import (
    INSTRUCTION_MS_MAX,
    JSON,
    ProviderHttp,
    Sent,
    require_same,
)
from refund_bridge.processors.shared.settings import ProcessorSettings

# Only the first is documented; the others are words of Stripe, to which the gateway passes refunds.
DOCUMENTED_REASONS: Final = {"duplicate": "DUPLICATE"}
REASONS: Final = {
    **DOCUMENTED_REASONS,
    "fraudulent": "FRAUDULENT",
    "requested_by_customer": "REQUESTED_BY_CUSTOMER",
}
REASON_MAX: Final = 50


class CcgSettings(ProcessorSettings):
    """``CCG_URL`` and the others.

    Attributes:
        merchant_id: the merchant whose refunds they are.
        amount_unit: the unit in which the gateway counts. Its documents do not say which, and a
            wrong one would move a hundred times too much or too little, so there is no default.
        currency: of the merchant's account; no answer names a currency.
        reasons: which reasons are passed on: those that the documents show, or all, with free text
            cut to the allowed length. It is not documented which words the gateway refuses.
        upstream_env: ``dev``, ``stage`` or ``test``; needed outside of production, and only there.
    """

    ACCOUNT: ClassVar[tuple[str, ...]] = ("url", "merchant_id", "upstream_env")

    merchant_id: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
    amount_unit: AmountUnit
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")] = "usd"
    reasons: Literal["documented", "all"] = "documented"
    upstream_env: Annotated[str, Field(pattern=r"^[a-z]{1,16}$")] | None = None


class Ccg(Adapter):
    """``ports.processor.Processor`` for the Convenient Checkout Gateway.

    Args:
        settings: where it is and how it counts.
        key: the access token; read anew once when the gateway refuses it.
        http: the caller whose limits and deadline bound every exchange.
    """

    name = "ccg"
    title = TITLE
    secret = "ccg-access-token"  # noqa: S105 - a parameter's name, not its value
    live_host = "api.uhg.com"
    sandbox_host = "api-stg.uhg.com"
    settings_form = CcgSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        dedupes=Dedupe.BY_KEY,
        looks_up=frozenset({LookUp.BY_REFUND}),
        partial=True,
        repeated_partial=True,
        unlinked=True,
        may_be_pending=True,
        learns_by=News.POLLING,
        lists_charges=False,
    )

    def __init__(self, settings: CcgSettings, *, key: ApiKey, http: DeadlineHttp) -> None:
        self._settings = settings
        self._http = ProviderHttp(
            title=TITLE,
            base_url=settings.url,
            key=key,
            http=http,
            headers=self._headers,
            words=message_of,
        )

    @classmethod
    def from_settings(cls, settings: CcgSettings, key: ApiKey, http: DeadlineHttp) -> Self:
        """The adapter with these settings."""
        return cls(settings, key=key, http=http)

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund of that id; see ``ports.processor.Processor``."""
        source = self._http.get("/v1/refunds/", processor_refund_id, deadline)
        if source is None:
            return None
        processor_refund = self._read(source.get("data"))
        require_same(TITLE, "refund", processor_refund.id, processor_refund_id)
        return processor_refund

    def find_by_key(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund whose ``merchantTransactionId`` is our id; see ``ports.processor.Processor``.

        The gateway documents this query for payments, not for refunds. Only an answer counts that
        shows that the gateway understood it: the refund itself, or an empty result. Any other
        answer, also a 404, does not tell what became of the instruction.
        """
        query = urlencode({"merchantTransactionId": refund_id})
        source = self._http.object_at(f"/v1/refunds?{query}", deadline)
        if source is None or "data" not in source:
            raise UnreadableAnswerError(f"{TITLE} cannot be asked for a refund by our id")
        data = source["data"]
        found = [self._read(item) for item in (data if isinstance(data, list) else [data]) if item]
        if (
            any(processor_refund.instruction_id != refund_id for processor_refund in found)
            or len(found) > 1
        ):
            raise UnreadableAnswerError(f"{TITLE} showed other refunds than the one of our id")
        if not found:
            return None
        if found[0].payment_id != (payment_id or ""):
            raise UnreadableAnswerError(f"{TITLE} has our id on another payment")
        return found[0]

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.processor.Processor``. May read when refused."""
        return self._ask(
            instruction, {"paymentId": instruction.payment_id}, instruction.payment_id, deadline
        )

    def refund_unlinked(self, instruction: UnlinkedInstruction, deadline: Deadline) -> Outcome:
        """Ask once to send money to a card; see ``ports.processor.Processor``.

        The gateway rejects bank accounts, so it is not asked if the method is known to be one.
        """
        if instruction.kind is PaymentMethodKind.BANK_ACCOUNT:
            return not_asked(
                f"{TITLE} sends no money to a bank account without a payment.",
                "bank_account_refused",
            )
        target = {
            "paymentMethodId": instruction.payment_method,
            "customer": dict(instruction.customer),
        }
        outcome = self._ask(instruction, target, None, deadline)
        return without_words(outcome, tuple(instruction.customer.values()))

    def _ask(
        self,
        instruction: AnyInstruction,
        target: dict[str, Any],
        payment_id: str | None,
        deadline: Deadline,
    ) -> Outcome:
        settings = self._settings
        if instruction.money.currency != settings.currency:
            return not_asked(f"{TITLE} moves {settings.currency} only.", "currency_not_supported")
        body: dict[str, Any] = {
            "amount": settings.amount_unit.written(instruction.money),
            **target,
            "merchantTransactionId": instruction.refund_id,
        }
        if reason := self._reason(instruction.reason):
            body["reason"] = reason
        limited = deadline.at_most(INSTRUCTION_MS_MAX)
        sent = self._http.send("/v1/refunds", JSON, dumps(body), limited)
        return concluded(
            outcome_of(sent, instruction, unit=settings.amount_unit)
            if isinstance(sent, Sent)
            else sent,
            instruction,
            lambda: self.find_by_key(instruction.refund_id, payment_id, limited),
            title=TITLE,
        )

    def _reason(self, reason: str | None) -> str | None:
        if reason is None or self._settings.reasons == "documented":
            return DOCUMENTED_REASONS.get(reason or "")
        whole = REASONS.get(reason, reason)
        return whole if len(whole) <= REASON_MAX else whole[: REASON_MAX - 1] + "…"

    def _read(self, data: Any) -> ProcessorRefund:
        settings = self._settings
        return read_processor_refund(data, unit=settings.amount_unit, currency=settings.currency)

    def _headers(self, key: str) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {key}",
            "X-Merchant-Id": self._settings.merchant_id,
            "Accept": JSON,
        }
        if self._settings.upstream_env:
            headers["X-Upstream-Env"] = self._settings.upstream_env
        return headers
