"""Depths are asked for; no message is received, so none is hidden, counted or lost."""

from refundctl.depths import Depths, depths_of
from tests.unit.refundctl.operator import OUTPUTS
from tests.unit.refundctl.queues import FakeSqs


def test_each_queue_is_counted_with_what_is_being_worked_on() -> None:
    # Given messages in several queues, some of them in somebody's hands
    sqs = FakeSqs()
    for queue, count in (("report", 3), ("report-dead", 2), ("event-dead", 1)):
        for _ in range(count):
            sqs.put(queue, "{}")
    sqs.queues["report"][0].hidden = sqs.queues["report-dead"][0].hidden = True
    # When their depths are read
    depths = depths_of(sqs, OUTPUTS)  # type: ignore[arg-type]
    # Then dead letters count even while somebody looks at them
    assert depths == [
        Depths("reports", 2, 1, 2),
        Depths("requests", 0, 0, 0),
        Depths("events", None, None, 1),
        Depths("webhooks", None, None, 0),
    ]
    assert sqs.calls == []
    assert all(message.receives == 0 for some in sqs.queues.values() for message in some)
