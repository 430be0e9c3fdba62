"""The guide's flow as a measured process."""

from benchmarks.plain import guide
from benchmarks.worker import Job

FLOWS = {
    "payment_record": guide.refund_by_record,
    "payment_intent": guide.refund_by_intent,
    "invoice": guide.refund_by_invoice,
    "invoice_shortened": guide.refund_by_invoice_shortened,
}


def make() -> "Guide":
    """The process's subject."""
    return Guide()


class Guide:
    """Refunds as the guide does."""

    def do(self, job: Job) -> dict[str, object]:
        """Refund ``amount`` of the payment that ``by`` and ``id`` name."""
        return {"refund": FLOWS[job["by"]](job["id"], job["amount"], "sgd")}
