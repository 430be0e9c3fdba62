"""What every processor's adapter says of itself, and what it need not offer.

Of a processor nothing is taken for granted but that it refunds payments. An adapter overrides what
its processor offers besides; what is left says truthfully that it cannot be done, so that nothing
is ever concluded from an ability that is not there.
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

# The status of a refusal that is the adapter's own: nobody was asked.
NOT_ASKED_STATUS: Final = 422


class Adapter(ABC):
    """``ports.processor.Processor``, but for ``refund`` and what the processor offers besides.

    Attributes:
        name: as in metadata (``<name>_payment_id``), in settings and on the refund.
        title: as in sentences.
        secret: the name of the parameter that holds its key, below the stage's prefix.
        live_host: where money is real.
        sandbox_host: where it is not.
        only_there: whether money is real at ``live_host`` and nowhere else. Others may be installed
            somewhere of one's own.
        settings_form: what it is set up with.
        capabilities: what it can do.
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
        """The adapter that is set up by its own ``settings_form``; nothing is sent."""

    @abstractmethod
    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.processor.Processor``."""

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:  # noqa: ARG002
        """Unreadable; see ``ports.processor.Processor``."""
        raise UnreadableAnswerError(f"{self.title} shows no payments")

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:  # noqa: ARG002
        """None: there is nothing that stands for a payment but the payment itself."""
        raise ChargeNotFoundError(f"{self.title} knows no payment requests")

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:  # noqa: ARG002
        """None: it is not told what the merchant calls a payment."""
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
