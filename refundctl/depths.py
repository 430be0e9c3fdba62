"""How many messages lie in each queue, and in the dead-letter queue behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refundctl.dlq import QUEUES

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_WAITING: "QueueAttributeNameType" = "ApproximateNumberOfMessages"
_IN_WORK: "QueueAttributeNameType" = "ApproximateNumberOfMessagesNotVisible"


@dataclass(frozen=True)
class Depths:
    """The depths of a queue and of its dead-letter queue; SQS counts only approximately.

    Attributes:
        waiting, in_work: `None` where the source is not a queue but the ledger's stream.
        dead: the dead letters, those included that somebody reads just now.
    """

    name: str
    waiting: int | None
    in_work: int | None
    dead: int


def depths_of(sqs: "SQSClient", outputs: Mapping[str, str]) -> Sequence[Depths]:
    """The depths of all queues of a stack. Nothing is received, so nothing is hidden or counted."""
    return [
        Depths(
            name=name,
            waiting=None if alive is None else _count(sqs, outputs[alive], _WAITING),
            in_work=None if alive is None else _count(sqs, outputs[alive], _IN_WORK),
            dead=_count(sqs, outputs[dead], _WAITING, _IN_WORK),
        )
        for name, (dead, alive) in QUEUES.items()
        if dead in outputs  # a stack of a former release has fewer
    ]


def _count(sqs: "SQSClient", url: str, *attributes: "QueueAttributeNameType") -> int:
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=attributes)
    return sum(int(asked["Attributes"][name]) for name in attributes)
