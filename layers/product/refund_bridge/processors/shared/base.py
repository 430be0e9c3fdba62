"""The base class of all processors' adapters: what each declares, and what it need not offer.

Only one thing is expected of every processor: that it refunds payments. An adapter overrides the
methods for what else its processor offers. The methods here say that the processor cannot do it, so
that nothing is ever concluded from an ability that it lacks.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Self

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import Charge, ProcessorRefund
from refund_bridge.domain.instruction import Instruction, Outcome, Rejected, UnlinkedInstruction
from refund_bridge.ports.processor import (
    Capabilities,
    ChargeNotFoundError,
    ChargePage,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.shared.settings import ProcessorSettings

# The status of the adapter's own refusals, for which the processor was not asked.
NOT_ASKED_STATUS: Final = 422


class Adapter(ABC):
    """``ports.processor.Processor`` without ``refund`` and without what is optional.

    Attributes:
        name: the processor's name in metadata (``<name>_payment_id``), settings and refunds.
        title: the processor's name in sentences.
        secret: the name of the parameter with its API key, below the stage's prefix.
        live_host: the host where money is real.
        sandbox_host: the host where it is not.
        only_there: whether money is real only at ``live_host``. Other processors may also be
            installed on a merchant's own host.
        settings_form: the class of its settings.
        capabilities: what the processor can do.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    secret: ClassVar[str]
    live_host: ClassVar[str]
    sandbox_host: ClassVar[str]
    only_there: ClassVar[bool] = False
    settings_form: ClassVar[type[ProcessorSettings]]
    capabilities: ClassVar[Capabilities]

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Any, key: ApiKey, http: DeadlineHttp) -> Self:
        """The adapter with settings of its own ``settings_form``; nothing is sent."""

    @abstractmethod
    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.processor.Processor``."""

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:  # noqa: ARG002
        """Unreadable; see ``ports.processor.Processor``."""
        raise UnreadableAnswerError(f"{self.title} shows no payments")

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:  # noqa: ARG002
        """Raises: the processor has no payment requests."""
        raise ChargeNotFoundError(f"{self.title} knows no payment requests")

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:  # noqa: ARG002
        """``None``: the processor has no reference of the merchant's."""
        return None

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:  # noqa: ARG002
        """Unreadable; see ``ports.processor.Processor``."""
        raise UnreadableAnswerError(f"{self.title} lists no payments")

    def processor_refund(
        self,
        processor_refund_id: str,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
    ) -> ProcessorRefund | None:
        """Unreadable; see ``ports.processor.Processor``."""
        raise UnreadableAnswerError(f"{self.title} shows a refund only in its payment")

    def find_by_key(
        self,
        refund_id: str,  # noqa: ARG002
        payment_id: str | None,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
    ) -> ProcessorRefund | None:
        """Unreadable; see ``ports.processor.Processor``."""
        raise UnreadableAnswerError(f"{self.title} keeps no key of ours")

    def refund_unlinked(self, instruction: UnlinkedInstruction, deadline: Deadline) -> Outcome:  # noqa: ARG002
        """Rejected without asking; see ``ports.processor.Processor``."""
        return not_asked(f"{self.title} refunds payments only.", "unlinked_not_supported")


def not_asked(message: str, code: str | None = None) -> Rejected:
    """A refusal of the adapter's own: the processor was not asked."""
    return Rejected(message, NOT_ASKED_STATUS, code, was_asked=False)
