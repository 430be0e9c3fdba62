"""A pair of functions as a measured process, which plays both: one finds the other's work."""

import json
from functools import cached_property

from benchmarks.aws_calls import AwsCalls
from benchmarks.subjects.handlers import Handler, load, refunded, reported
from benchmarks.worker import Job


class Functions:
    """Does ``refund`` (the default) and ``report`` jobs; ``counted`` ones note what AWS was asked.

    Args:
        refund_api: the folder of the synchronous function.
        report_refund: the folder of the reporter.
        name: under which a message of the report queue holds the refund's id.
        calls: counts; ``None`` where there is no AWS.
    """

    def __init__(
        self, refund_api: str, report_refund: str, *, name: str, calls: AwsCalls | None
    ) -> None:
        self._folders = (refund_api, report_refund)
        self._name = name
        self._calls = calls

    @cached_property
    def _refund_api(self) -> Handler:
        return load(self._folders[0])

    @cached_property
    def _report_refund(self) -> Handler:
        return load(self._folders[1])

    def do(self, job: Job) -> dict[str, object]:
        """Refund, or report the refunds ``ids``."""
        if self._calls is None or not job.get("counted"):
            return self._done(job)
        with self._calls.noted() as noted:
            facts = self._done(job)
        return facts | {"aws": noted.as_json()}

    def _done(self, job: Job) -> dict[str, object]:
        if job.get("do") == "report":
            messages = [{self._name: one, "schema_version": 1} for one in job["ids"]]
            reported(self._report_refund, [json.dumps(message) for message in messages])
            return {}
        refund = refunded(self._refund_api, job)
        return {"refund": refund["id"], "status": refund["status"]}
