"""How the next refund at a processor behaves: it ends at once, or changes later."""

from dataclasses import replace
from random import Random
from typing import Final

from refund_bridge.domain.charge import ProcessorRefundStatus
from tests.fakes.processor import AnyInstruction
from tests.fakes.processor_fates import Conduct, Look
from tests.simulation.options import Options
from tests.simulation.others import HOUR_MS, MINUTE_MS, Others

_OTHER: Final = {
    ProcessorRefundStatus.SUCCEEDED: ProcessorRefundStatus.FAILED,
    ProcessorRefundStatus.FAILED: ProcessorRefundStatus.SUCCEEDED,
}
_SECOND_THOUGHTS_MS: Final = (30_000, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS)


# Taken back before anybody reports it, and later successful again.
_FLIP: Final = Conduct(
    ProcessorRefundStatus.SUCCEEDED,
    ProcessorRefundStatus.FAILED,
    45_000,
    ((20 * MINUTE_MS, ProcessorRefundStatus.SUCCEEDED),),
)


def conduct_of(random: Random, options: Options, instruction: AnyInstruction | None) -> Conduct:
    """How the next processor refund behaves; ``instruction``: ours that makes it, if one does."""
    if instruction is None and options.others.flips:
        return _FLIP
    if random.random() >= options.odd_conduct:
        return Conduct()
    after_ms = random.choice((0, 1_000, MINUTE_MS, HOUR_MS, 3 * HOUR_MS))
    if options.takes_back and random.random() < 0.3:
        usual = Conduct(ProcessorRefundStatus.SUCCEEDED, ProcessorRefundStatus.FAILED, after_ms)
    else:
        last = random.choice((ProcessorRefundStatus.SUCCEEDED, ProcessorRefundStatus.FAILED))
        usual = Conduct(random.choice((ProcessorRefundStatus.PENDING, last)), last, after_ms)
    return _odd(random, options.others, usual, instruction)


def _odd(
    random: Random, others: Others, usual: Conduct, instruction: AnyInstruction | None
) -> Conduct:
    """The usual behaviour, or an unexpected one if the world is about that."""
    if (
        usual.first is ProcessorRefundStatus.PENDING
        and instruction is not None
        and others.moves_less
    ):
        less = instruction.money.amount // 2
        return replace(usual, last=ProcessorRefundStatus.SUCCEEDED, amount=less)
    if usual.first is ProcessorRefundStatus.PENDING and others.look is Look.GONE:
        return replace(usual, last=ProcessorRefundStatus.FAILED, look=others.look)
    if usual.first is ProcessorRefundStatus.PENDING and others.look is not Look.AS_IT_IS:
        return replace(usual, look=others.look)
    if usual.last is None or random.random() >= others.changes_mind:
        return usual
    times, now, more = random.choice((1, 1, 2, 3)), usual.last, []
    for _ in range(times):
        now = _OTHER[now]
        more.append((random.choice(_SECOND_THOUGHTS_MS), now))
    return replace(usual, more=tuple(more))
