"""What the console may read: the ledger, queues' depths and webhooks' state; it never writes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from deployed.command_lines import Spelt
from refund_bridge.delivering.ports import Cursor
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.listing import Listing
from refund_bridge.ports.runtime import Clock
from refund_bridge.reading.listing import ListQuery, ListRefunds, Page
from refundctl.depths import Depths, depths_of
from refundctl.options import Call
from refundctl.webhooks_out import AddressAtWork

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class ReadLedger(Protocol):
    """Only the reads of `ports.ledger.Ledger`, so that no page can call one that writes."""

    def refund(self, refund_id: str) -> Refund | None:
        """As in `ports.ledger.Ledger`, like the other four."""

    def payment(self, key: PaymentKey) -> Payment | None: ...  # noqa: D102

    def payment_of_record(self, payment_record: str) -> PaymentKey | None: ...  # noqa: D102

    def claimed(  # noqa: D102
        self, processor: str, processor_refund_ids: Sequence[str]
    ) -> Mapping[str, str]: ...

    def due(  # noqa: D102
        self, shard: int, *, before_ms: int, limit: int, newest_first: bool = False
    ) -> Sequence[str]: ...


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the console asks.

    Attributes:
        stage: the deployment's name as it is part of refunds' ids.
        deployment: the deployment's name on the page: the stage and the stack.
        line: writes a command of `refundctl`, for the same deployment, as a line for any shell.
        list_refunds, newest_of: `ListRefunds` of `reading/listing.py`, a page at a time.
        depths: how many messages lie in each queue; one round trip for each number.
        processors: the names of the processors that may have taken payments.
        webhooks: the state of the merchants' webhook addresses.
        told: how far each address has been told of a refund.
    """

    stage: str
    deployment: str
    line: Callable[[Spelt], str]
    ledger: ReadLedger
    listing: Listing
    list_refunds: Callable[[ListQuery], Page]
    newest_of: Callable[[PaymentKey], Page]
    depths: Callable[[], Sequence[Depths]]
    processors: Sequence[str]
    clock: Clock
    webhooks: Callable[[], Sequence[AddressAtWork]] = tuple
    told: Callable[[str], Sequence[Cursor]] = lambda _refund_id: ()


def sources_of(call: Call) -> Sources:
    """The sources of the deployment that the command line names.

    Raises:
        UnreachableError: there is no such stack.
    """
    world, target = call.world, call.target
    sqs: SQSClient = target.client("sqs")
    outputs = target.stack.outputs
    lists = ListRefunds(ledger=world.ledger, listing=world.listing, clock=world.clock)
    return Sources(
        stage=world.stage,
        deployment=f"{target.stage} ({target.stack_name})",
        line=call.line_anywhere,
        ledger=world.ledger,
        listing=world.listing,
        list_refunds=lists,
        newest_of=lists.newest_of,
        depths=lambda: depths_of(sqs, outputs),
        processors=tuple(world.processors),
        clock=world.clock,
        webhooks=world.webhooks.at_work,
        told=world.webhooks.of_refund,
    )
