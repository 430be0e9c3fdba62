"""Hedge Payments: the calls. Its answers are read in ``outcome`` and ``objects``.

Facts of the API: https://hedgepayments.com/docs. A refund has no idempotency key and cannot be read
by its own id. So an instruction is sent once, and its refund is found in the payment.
"""

import json
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import Charge
from refund_bridge.domain.instruction import Instruction, Outcome
from refund_bridge.ports.processor import Capabilities, ChargeNotFoundError, Dedupe, LookUp, News
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.hedge.objects import (
    INSTRUCTION_KEY,
    REASONS,
    TITLE,
    is_in_cents,
    read_charge,
)
from refund_bridge.processors.hedge.outcome import message_of, outcome_of
from refund_bridge.processors.shared.base import Adapter, not_asked
from refund_bridge.processors.shared.provider_http import (
    INSTRUCTION_MS_MAX,
    JSON,
    ProviderHttp,
    Sent,
    require_same,
)
from refund_bridge.processors.shared.settings import ProcessorSettings


class HedgeSettings(ProcessorSettings):
    """``HEDGE_URL`` and the others.

    Attributes:
        other_decimals: what to do in a currency whose minor unit is not the hundredth. Hedge counts
            in cents and does not say what a cent is in such a currency: with ``refuse`` it is not
            asked, with ``minor`` a cent is taken to be the minor unit.
    """

    other_decimals: Literal["refuse", "minor"] = "refuse"


class Hedge(Adapter):
    """``ports.processor.Processor`` for Hedge Payments.

    Args:
        base_url: ``https://api.hedgepayments.com``, the sandbox's, or a simulator's.
        key: the secret API key; read anew once when Hedge refuses it.
        http: the caller whose limits and deadline bound every exchange.
        refuses_other_decimals: see ``HedgeSettings``.
    """

    name = "hedge"
    title = TITLE
    secret = "hedge-api-key"  # noqa: S105 - a parameter's name, not its value
    live_host = "api.hedgepayments.com"
    sandbox_host = "api-sandbox.hedgepayments.com"
    settings_form = HedgeSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        dedupes=Dedupe.BY_LOOK_UP,
        looks_up=frozenset({LookUp.BY_PAYMENT}),
        partial=True,
        repeated_partial=True,
        unlinked=False,
        may_be_pending=True,
        learns_by=News.POLLING,
        lists_charges=False,
    )

    def __init__(
        self,
        *,
        base_url: str,
        key: ApiKey,
        http: DeadlineHttp,
        refuses_other_decimals: bool = True,
    ) -> None:
        self._http = ProviderHttp(
            title=TITLE, base_url=base_url, key=key, http=http, headers=_headers, words=message_of
        )
        self._refuses_other_decimals = refuses_other_decimals

    @classmethod
    def from_settings(cls, settings: HedgeSettings, key: ApiKey, http: DeadlineHttp) -> Self:
        """The adapter with these settings."""
        refuses = settings.other_decimals == "refuse"
        return cls(base_url=settings.url, key=key, http=http, refuses_other_decimals=refuses)

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id; see ``ports.processor.Processor``."""
        source = self._http.get("/v1/payments/", charge_id, deadline)
        if source is None:
            raise ChargeNotFoundError(f"Hedge Payments knows no payment {charge_id!r}")
        charge = read_charge(source)
        require_same(TITLE, "payment", charge.id, charge_id)
        return charge

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.processor.Processor``."""
        if self._refuses_other_decimals and not is_in_cents(instruction.money.currency):
            return not_asked(
                f"Hedge Payments counts in cents, and {instruction.money.currency} has none.",
                "amount_not_representable",
            )
        if not instruction.payment_id.strip("."):
            return not_asked("There is no payment of that id.")
        path = f"/v1/payments/{quote(instruction.payment_id, safe='')}/refund"
        sent = self._http.send(path, JSON, _body(instruction), deadline.at_most(INSTRUCTION_MS_MAX))
        return outcome_of(sent, instruction) if isinstance(sent, Sent) else sent


def _body(instruction: Instruction) -> bytes:
    body: dict[str, Any] = {
        "amount": instruction.money.amount,
        "metadata": {**instruction.metadata, INSTRUCTION_KEY: instruction.refund_id},
    }
    if instruction.reason is not None:
        body["reason"] = REASONS.get(instruction.reason, instruction.reason)
    return json.dumps(body).encode()


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Accept": JSON}
