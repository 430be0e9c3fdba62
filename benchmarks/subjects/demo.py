"""The demo's flow as a measured process."""

from benchmarks.plain import demo
from benchmarks.worker import Job


def make() -> "Demo":
    """The process's subject."""
    return Demo()


class Demo:
    """Refunds as the demo does."""

    def do(self, job: Job) -> dict[str, object]:
        """Refund ``amount`` of the invoice ``id``."""
        return {"refund": demo.refund_by_invoice(job["id"], job["amount"], "sgd")}
