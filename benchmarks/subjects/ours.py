"""This service's functions, on the AWS that the environment names."""

from benchmarks.aws_calls import AwsCalls
from benchmarks.subjects.functions import Functions


def make() -> Functions:
    """The process's subject."""
    return on(AwsCalls())


def on(calls: AwsCalls | None) -> Functions:
    """This service's functions; ``calls`` counts calls to AWS, if there is an AWS."""
    folders = {
        "refund": "functions/refund_api",
        "report": "functions/report_refund",
        "settle": "functions/settle_refunds",
        "publish": "functions/publish_events",
    }
    return Functions(folders, name="refund_id", calls=calls)
