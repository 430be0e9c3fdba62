"""Several functions in one measured process, so that one finds the work of another."""

import json
from collections.abc import Mapping

from benchmarks.aws_calls import AwsCalls
from benchmarks.gateway import Context
from benchmarks.subjects.handlers import Handler, load, refunded, reported, require_whole
from benchmarks.worker import Job


class Functions:
    """Does ``refund`` (the default), ``report``, ``settle`` and ``publish`` jobs.

    For jobs that are ``counted``, the calls to AWS are counted.

    Args:
        folders: the folder of each function, by the job that it does.
        name: the member of a report queue's message that has the refund's id.
        calls: counts calls to AWS; ``None`` where there is no AWS.
    """

    def __init__(self, folders: Mapping[str, str], *, name: str, calls: AwsCalls | None) -> None:
        self._folders = folders
        self._handlers: dict[str, Handler] = {}
        self._name = name
        self._calls = calls

    def do(self, job: Job) -> dict[str, object]:
        """Refund, report the refunds ``ids``, settle, or publish the changes of ``event``."""
        if self._calls is None or not job.get("counted"):
            return self._done(job)
        with self._calls.noted() as noted:
            facts = self._done(job)
        return facts | {"aws": noted.as_json()}

    def _done(self, job: Job) -> dict[str, object]:
        kind = job.get("do", "refund")
        handler = self._handler(kind)
        if kind == "report":
            messages = [{self._name: one, "schema_version": 1} for one in job["ids"]]
            reported(handler, [json.dumps(message) for message in messages])
            return {}
        if kind == "settle":
            return handler({}, Context())
        if kind == "publish":
            require_whole(handler(job["event"], Context()))
            return {}
        refund = refunded(handler, job)
        return {"refund": refund["id"], "status": refund["status"]}

    def _handler(self, job: str) -> Handler:
        if job not in self._handlers:
            self._handlers[job] = load(self._folders[job])
        return self._handlers[job]
