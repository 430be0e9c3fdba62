"""The instructions of these tests, and what became of them."""

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import Accepted, Instruction, Outcome, UnlinkedInstruction
from refund_bridge.domain.money import Money
from refund_bridge.refunding.look_up import processor_refund_of
from tests.contract.processor.worlds import ProcessorWorld

PAID = Money(9999, "sgd")
REFUND_ID = "rfd_qjkjrqprswwq4hhnrgfyrr7o2iwtwmjd"
OTHER_REFUND_ID = "rfd_zzkjrqprswwq4hhnrgfyrr7o2iwtwmjd"


def instruction(
    amount: int = 2500,
    charge: str = "pay-1",
    currency: str = "sgd",
    *,
    refund_id: str = REFUND_ID,
    listed_before: frozenset[str] | None = None,
    repeated: bool = False,
) -> Instruction:
    return Instruction(
        refund_id=refund_id,
        payment_id=charge,
        money=Money(amount, currency),
        listed_before=listed_before,
        repeated=repeated,
    )


def unlinked(
    amount: int = 2500, method: str = "method-1", *, repeated: bool = False
) -> UnlinkedInstruction:
    return UnlinkedInstruction(
        refund_id=REFUND_ID,
        money=Money(amount, "sgd"),
        payment_method=method,
        customer={"hsid": "9c80e161-d337-4047-9baa-49178ae87571"},
        repeated=repeated,
    )


def refund_one(
    world: ProcessorWorld, amount: int = 2500, *, refund_id: str = REFUND_ID
) -> ProcessorRefund:
    """A refund that is accepted."""
    outcome = world.processor.refund(instruction(amount, refund_id=refund_id), world.deadline())
    assert isinstance(outcome, Accepted), outcome
    return outcome.processor_refund


def ended(world: ProcessorWorld, outcome: Outcome) -> ProcessorRefund:
    """The refund that was accepted, looked up once more if it was not yet final.

    Some processors never say in their answer what a refund comes to.
    """
    assert isinstance(outcome, Accepted), outcome
    processor_refund = outcome.processor_refund
    if processor_refund.status is ProcessorRefundStatus.SUCCEEDED:
        return processor_refund
    found = processor_refund_of(
        world.processor, processor_refund.id, processor_refund.payment_id, world.deadline()
    )
    assert found is not None
    return found
