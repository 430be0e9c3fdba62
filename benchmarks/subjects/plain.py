"""The plainly written functions, on the AWS that the environment names."""

from benchmarks.aws_calls import AwsCalls
from benchmarks.subjects.functions import Functions


def make() -> Functions:
    """The process's subject."""
    folders = {"refund": "benchmarks/plain/refund_api", "report": "benchmarks/plain/report_refund"}
    return Functions(folders, name="id", calls=AwsCalls())
