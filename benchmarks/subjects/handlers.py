"""A function's handler, loaded from its file as Lambda loads it."""

import importlib.util
import json
from typing import Any, Protocol

from benchmarks.gateway import Context, refund_event, report_event
from benchmarks.worker import Job
from deployed import paths


class HandlerError(RuntimeError):
    """The handler did not answer with success; the message has its answer."""


class Handler(Protocol):
    """The function ``handler`` of an app.py."""

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Handle one event."""


def load(folder: str) -> Handler:
    """The handler of ``<folder>/app.py``, under a module name of its own."""
    path = paths.ROOT / folder / "app.py"
    spec = importlib.util.spec_from_file_location(folder.replace("/", "_") + "_app", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler


def refunded(handler: Handler, job: Job) -> dict[str, Any]:
    """Refund over HTTP, or accept a scheduled refund; returns the refund object of the answer."""
    answer = handler(refund_event(job), Context())
    if answer["statusCode"] not in ((202,) if job.get("scheduled") else (200, 201)):
        raise HandlerError(f"{answer['statusCode']}: {answer['body']}")
    body: dict[str, Any] = json.loads(answer["body"])
    return body


def reported(handler: Handler, bodies: list[str]) -> None:
    """Call the handler with a batch of the report queue; every message must succeed."""
    require_whole(handler(report_event(bodies), Context()))


def require_whole(answer: dict[str, Any]) -> None:
    """Raise a HandlerError if a part of a batch failed."""
    if answer["batchItemFailures"]:
        raise HandlerError(f"not done: {answer}")
