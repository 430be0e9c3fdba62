"""Hyperswitch: the calls. Its answers are read in ``outcome`` and ``objects``.

Facts of the API: https://api-reference.hyperswitch.io. The merchant chooses a refund's id, which
must be unique. We send our refund's id, so a second instruction is refused (``HE_01``) and the
first can be read by it.
"""

import json
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import Charge, ProcessorRefund
from refund_bridge.domain.instruction import Instruction, Outcome
from refund_bridge.ports.processor import (
    Capabilities,
    ChargeNotFoundError,
    Dedupe,
    LookUp,
    News,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.hyperswitch.objects import (
    REASONS,
    TITLE,
    read_charge,
    read_processor_refund,
    written,
)
from refund_bridge.processors.hyperswitch.outcome import message_of, outcome_of
from refund_bridge.processors.shared.accepting import concluded
from refund_bridge.processors.shared.base import Adapter, not_asked
from refund_bridge.processors.shared.provider_http import (
    INSTRUCTION_MS_MAX,
    JSON,
    ProviderHttp,
    Sent,
    require_same,
)
from refund_bridge.processors.shared.settings import ProcessorSettings

# Hyperswitch's limit on metadata keys. Our own limits are the same, without room for the one key
# that is added here (``contract/requests.py``).
METADATA_KEYS_MAX: Final = 50
REASON_KEY: Final = "reason"


class HyperswitchSettings(ProcessorSettings):
    """``HYPERSWITCH_URL`` and the others.

    Attributes:
        refund_id_max: how many characters a refund's id may have. The source of Hyperswitch refuses
            more than 64, and its guide recommends UUIDs of 36, as long as ours; its schema says
            30. The first 30 of ours are still 130 random bits.
    """

    ACCOUNT: ClassVar[tuple[str, ...]] = ("url", "refund_id_max")

    refund_id_max: Annotated[int, Field(ge=30, le=64)] = 64


class Hyperswitch(Adapter):
    """``ports.processor.Processor`` for Hyperswitch.

    Args:
        base_url: ``https://api.hyperswitch.io``, the sandbox's, one's own, or a simulator's.
        key: the API key; read anew once when Hyperswitch refuses it.
        http: the caller whose limits and deadline bound every exchange.
        refund_id_max: see ``HyperswitchSettings``.
    """

    name = "hyperswitch"
    title = TITLE
    secret = "hyperswitch-api-key"  # noqa: S105 - a parameter's name, not its value
    live_host = "api.hyperswitch.io"
    sandbox_host = "sandbox.hyperswitch.io"
    settings_form = HyperswitchSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        dedupes=Dedupe.BY_KEY,
        looks_up=frozenset({LookUp.BY_REFUND, LookUp.BY_PAYMENT}),
        partial=True,
        repeated_partial=True,
        unlinked=False,
        may_be_pending=True,
        learns_by=News.POLLING,
        lists_charges=False,
    )

    def __init__(
        self, *, base_url: str, key: ApiKey, http: DeadlineHttp, refund_id_max: int = 64
    ) -> None:
        self._http = ProviderHttp(
            title=TITLE, base_url=base_url, key=key, http=http, headers=_headers, words=message_of
        )
        self._key_max = refund_id_max

    @classmethod
    def from_settings(cls, settings: HyperswitchSettings, key: ApiKey, http: DeadlineHttp) -> Self:
        """The adapter with these settings."""
        return cls(base_url=settings.url, key=key, http=http, refund_id_max=settings.refund_id_max)

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id; see ``ports.processor.Processor``."""
        source = self._http.get("/payments/", charge_id, deadline)
        if source is None:
            raise ChargeNotFoundError(f"Hyperswitch knows no payment {charge_id!r}")
        charge = read_charge(source, key_max=self._key_max)
        require_same(TITLE, "payment", charge.id, charge_id)
        return charge

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund of that id, as its connector shows it; see ``ports.processor.Processor``."""
        source = self._http.get(
            "/refunds/", processor_refund_id, deadline, query="?force_sync=true"
        )
        if source is None:
            return None
        processor_refund = read_processor_refund(
            source, key_max=self._key_max, secret=self._http.secret
        )
        require_same(TITLE, "refund", processor_refund.id, processor_refund_id)
        return processor_refund

    def find_by_key(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund that has our id; see ``ports.processor.Processor``."""
        processor_refund = self.processor_refund(self._key_of(refund_id), deadline)
        if processor_refund is None:
            return None
        if processor_refund.payment_id != payment_id:
            raise UnreadableAnswerError("Hyperswitch has this refund's id on another payment")
        return replace(processor_refund, instruction_id=refund_id)

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.processor.Processor``. May read when refused."""
        amount = written(instruction.money)
        if amount is None:
            return not_asked(
                f"Hyperswitch counts {instruction.money.currency} in whole units.",
                "amount_not_representable",
            )
        limited = deadline.at_most(INSTRUCTION_MS_MAX)
        key = self._key_of(instruction.refund_id)
        sent = self._http.send("/refunds", JSON, _body(instruction, amount, key), limited)
        return concluded(
            outcome_of(sent, instruction, key, key_max=self._key_max)
            if isinstance(sent, Sent)
            else sent,
            instruction,
            lambda: self.find_by_key(instruction.refund_id, instruction.payment_id, limited),
            title=TITLE,
        )

    def _key_of(self, refund_id: str) -> str:
        return refund_id[: self._key_max]


def _body(instruction: Instruction, amount: int, key: str) -> bytes:
    """The request's body. A reason that is not one of Stripe's words goes into the metadata.

    As ``reason`` it would be refused if the payment went through Stripe.
    """
    body: dict[str, Any] = {
        "payment_id": instruction.payment_id,
        "refund_id": key,
        "amount": amount,
        # A scheduled refund has already waited in our ledger; it must not wait at Hyperswitch.
        "refund_type": "instant",
    }
    metadata = dict(instruction.metadata)
    if instruction.reason in REASONS:
        body["reason"] = instruction.reason
    elif instruction.reason and len(metadata) < METADATA_KEYS_MAX:
        metadata.setdefault(REASON_KEY, instruction.reason)
    if metadata:
        body["metadata"] = metadata
    return json.dumps(body).encode()


def _headers(key: str) -> dict[str, str]:
    return {"api-key": key, "Accept": JSON}
