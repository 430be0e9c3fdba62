"""The emulator's own process: MiniStack behind a gate, corrected where it differs from AWS.

With these corrections the template needs no local variant. This runs in the emulator's environment,
where nothing of ours is installed: it uses only the standard library, MiniStack itself and modules
of `local` and `deployed` that need no more than these. MiniStack is pinned by hash; if a later
version has other names, this fails at start.
"""

import base64
import copy
import hashlib
import json
import os
import runpy
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deployed import paths
from local.emulator_gate import EmulatorGate
from local.emulator_keys import give_functions_keys_that_nobody_can_guess, was_issued
from local.worker_log import WorkerLog

STREAM_PAUSE_SECONDS = 0.1  # AWS polls four times a second
NAME_SEVERAL = ("ssm:GetParameters", "ssm:GetParametersByPath")

_asked_for: ContextVar[tuple[str, ...]] = ContextVar("asked_for", default=())
_put_by: ContextVar[str | None] = ContextVar("put_by", default=None)


def ask_about_each_parameter() -> None:
    """Authorize reading several parameters one by one, as AWS does.

    MiniStack checks the right to `*`: every role would need the right to read every secret, and a
    test of narrow rights would prove nothing.
    """
    actions: Any = import_module("ministack.core.iam_actions")
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    extract, enforce = actions.extract_resource_arn, evaluator.enforce

    def extract_resource_arn(*request: Any) -> Any:
        service, _method, _path, _headers, body, _query, region, account_id = request
        named = parameter_arns(body or b"", region, account_id) if service == "ssm" else ()
        _asked_for.set(named)
        return extract(*request)

    def enforce_each(access_key: str, action: str, service: str, region: str, **about: Any) -> Any:
        resources = _asked_for.get() if action in NAME_SEVERAL else ()
        for resource in resources or (about.get("resource_arn", "*"),):
            if denied := enforce(
                access_key, action, service, region, **about | {"resource_arn": resource}
            ):
                return denied
        return None

    actions.extract_resource_arn = extract_resource_arn
    evaluator.enforce = enforce_each


def parameter_arns(body: bytes, region: str, account_id: str) -> tuple[str, ...]:
    """The ARNs, as in a policy, of the parameters that a request asks for."""
    try:
        request = json.loads(body)
    except ValueError:
        return ()
    if not isinstance(request, Mapping):
        return ()
    names = request.get("Names") or [request.get("Path")]
    prefix = f"arn:aws:ssm:{region}:{account_id}:parameter"
    return tuple(f"{prefix}/{name.lstrip('/')}" for name in names if isinstance(name, str))


def name_streams_as_policies_do() -> None:
    """Authorize reading the ledger's stream, and writing to a log stream, by AWS's own ARNs.

    MiniStack checks the right to `*`, or to the whole log group, so a narrow role could do neither.
    """
    actions: Any = import_module("ministack.core.iam_actions")
    tables: Any = import_module("ministack.services.dynamodb_streams")
    extract = actions.extract_resource_arn

    def extract_resource_arn(*request: Any) -> Any:
        service, _method, _path, headers, body, *_ = request
        found = extract(*request)
        if service == "dynamodbstreams":
            stream, table = named_stream(body or b"")
            return stream or (tables._enabled_stream_info(table) or {}).get("StreamArn", found)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if service == "logs" and action in ("CreateLogStream", "PutLogEvents"):
            return f"{found}:log-stream:"
        return found

    actions.extract_resource_arn = extract_resource_arn


def named_stream(body: bytes) -> tuple[str | None, str]:
    """The ARN of the stream that a request of DynamoDB Streams names, or else the table's name."""
    try:
        request = json.loads(body)
        if iterator := request.get("ShardIterator"):
            request = {"StreamArn": json.loads(base64.urlsafe_b64decode(iterator)).get("arn")}
    except (ValueError, AttributeError):
        return None, ""
    return request.get("StreamArn"), request.get("TableName", "")


def count_loopback_as_secure() -> None:
    """Make `aws:SecureTransport` true: the template's queues refuse callers without TLS."""
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    resolve = evaluator._resolve_condition_key

    def resolve_condition_key(key: str, context: Any) -> Any:
        return "true" if key.lower() == "aws:securetransport" else resolve(key, context)

    evaluator._resolve_condition_key = resolve_condition_key


def know_the_source_of_events() -> None:
    """Support the condition key `events:source`, which MiniStack lacks: no policy would match."""
    actions: Any = import_module("ministack.core.iam_actions")
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    extract, resolve = actions.extract_resource_arn, evaluator._resolve_condition_key

    def extract_resource_arn(*request: Any) -> Any:
        service, _method, _path, _headers, body, *_ = request
        _put_by.set(source_of_events(body or b"") if service == "events" else None)
        return extract(*request)

    def resolve_condition_key(key: str, context: Any) -> Any:
        return _put_by.get() if key.lower() == "events:source" else resolve(key, context)

    actions.extract_resource_arn = extract_resource_arn
    evaluator._resolve_condition_key = resolve_condition_key


def source_of_events(body: bytes) -> str | None:
    """The source of the events that a request puts; several become a text that no policy names."""
    try:
        entries = json.loads(body).get("Entries") or []
        sources = {str(entry["Source"]) for entry in entries}
    except (ValueError, AttributeError, TypeError, KeyError):
        return None
    return ", ".join(sorted(sources)) or None


def expand_sam_with_the_values_given() -> None:
    """Give SAM's transform the values of the parameters; MiniStack gives it only the defaults."""
    engine: Any = import_module("ministack.services.cloudformation.engine")
    apply = engine._apply_transforms

    def apply_transforms(template: Any, provided: Any = None, previous: Any = None) -> Any:
        values = engine._transform_parameters(template, provided, previous)
        template = copy.deepcopy(template)
        for name, value in values.items():
            template["Parameters"][name]["Default"] = value
        return apply(template, provided, previous)

    for name in ("handlers", "changesets"):
        user: Any = import_module(f"ministack.services.cloudformation.{name}")
        user._apply_transforms = apply_transforms


def read_concurrency_as_a_number() -> None:
    """Accept MaximumConcurrency from a parameter: that is text, which AWS reads as a number."""
    functions: Any = import_module("ministack.services.lambda_svc")
    allowed = functions._sqs_esm_concurrency

    def concurrency(mapping: dict[str, Any], *more: Any, **named: Any) -> Any:
        if scaling := mapping.get("ScalingConfig"):
            mapping = {**mapping, "ScalingConfig": {k: int(v) for k, v in scaling.items()}}
        return allowed(mapping, *more, **named)

    functions._sqs_esm_concurrency = concurrency


def show_again_what_failed_of_a_stream() -> None:
    """Retry a stream's batch from the first record that the function reports as failed, as on AWS.

    MiniStack supports ReportBatchItemFailures only for queues: failed records of a stream would
    never be delivered again, and a test about lost records would prove nothing.
    """
    functions: Any = import_module("ministack.services.lambda_svc")
    tables: Any = import_module("ministack.services.dynamodb")
    execute = functions._execute_function

    def execute_batch(function: Any, event: Any) -> Any:
        result = execute(function, event)
        failed = first_failed_of_a_stream(event, result)
        if failed is None:
            return result
        source = failed["eventSourceARN"]
        table = source.split("/")[1]
        numbers = [r["dynamodb"]["SequenceNumber"] for r in tables.stream_live_records(table)]
        position = tables.stream_start_position(table)
        position += numbers.index(failed["dynamodb"]["SequenceNumber"])
        for _account, _region, mapping in functions._iter_all_esms():
            if mapping.get("EventSourceArn") == source:
                functions._dynamodb_stream_positions[mapping["UUID"]] = position
        return {**result, "error": True}

    functions._execute_function = execute_batch


def first_failed_of_a_stream(event: Any, result: Mapping[str, Any]) -> Any:
    """The first record of a stream's batch that the function reports as failed, if any."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if result.get("error") or not records or records[0].get("eventSource") != "aws:dynamodb":
        return None
    body = result.get("body")
    answer = json.loads(body or "null") if isinstance(body, str) else body
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    if not failures:
        return None
    named = {failure.get("itemIdentifier") for failure in failures}
    # A failure that names no record of the batch fails all of it.
    failed = [record for record in records if record["dynamodb"]["SequenceNumber"] in named]
    return (failed or records)[0]


def read_streams_beside_queues() -> None:
    """Give streams a thread of their own.

    MiniStack waits for a stream's function in the thread that polls all queues, so a slow function
    would delay every report.
    """
    functions: Any = import_module("ministack.services.lambda_svc")
    poll = functions._poll_dynamodb_streams
    functions._poll_dynamodb_streams = lambda: False
    pause = threading.Event()

    def read() -> None:
        while True:
            if not poll():
                pause.wait(STREAM_PAUSE_SECONDS)

    threading.Thread(target=read, name="streams", daemon=True).start()


def look_at_schedules_every_second() -> None:
    """Fire schedules when they are due; MiniStack checks every ten seconds, so it is late."""
    schedules: Any = import_module("ministack.services.scheduler")
    schedules._SCHEDULE_TICK_INTERVAL = min(1, schedules._SCHEDULE_TICK_INTERVAL)


def keep_alarms_on_sums_by_their_first_metric() -> None:
    """Accept alarms on several metrics; MiniStack refuses the whole stack.

    It evaluates no alarm on metrics from functions' logs or from AWS itself, so it does not matter
    which metric it keeps. Such alarms are tested on the expanded template.
    """
    provisioners: Any = import_module("ministack.services.cloudformation.provisioners")
    record_of = provisioners._cw_metric_alarm_record

    def record_of_any(name: str, properties: Mapping[str, Any]) -> Any:
        return record_of(name, by_first_metric(properties))

    provisioners._cw_metric_alarm_record = record_of_any


def by_first_metric(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Write an alarm's properties as those of an alarm on one metric."""
    plain = {key: value for key, value in alarm.items() if key != "Metrics"}
    stats = [
        metric["MetricStat"] for metric in alarm.get("Metrics") or () if "MetricStat" in metric
    ]
    if stats:
        first = stats[0]
        plain |= {**first["Metric"], "Period": first["Period"], "Statistic": first["Stat"]}
    return plain


def share_what_workers_unpack() -> None:
    """Unpack each archive once and link to it: as in `/opt` on AWS, nothing is written there.

    MiniStack unpacks every layer for every worker; fifty requests at once would write gigabytes.
    An archive of a build that is still there is not even unpacked: its files get second names here,
    which stay when the build is removed.
    """
    runtime: Any = import_module("ministack.core.lambda_runtime")
    together = Path(tempfile.mkdtemp(prefix="unpacked-"))
    one_at_a_time = threading.Lock()

    class SharedArchive:
        """The part of ZipFile that MiniStack's workers use."""

        def __init__(self, file: str) -> None:
            self._file = Path(file)
            self._digest = hashlib.sha256(self._file.read_bytes()).hexdigest()
            self._unpacked = together / self._digest

        def __enter__(self) -> "SharedArchive":
            return self

        def __exit__(self, *_error: object) -> None:
            return

        def namelist(self) -> list[str]:
            """No names to check for paths that lead elsewhere: unpacking refuses those itself."""
            return []

        def extractall(self, path: str) -> None:
            with one_at_a_time:
                if not self._unpacked.is_dir() and not linked(self._digest, self._unpacked):
                    shutil.unpack_archive(self._file, self._unpacked, "zip")
            for entry in self._unpacked.iterdir():
                (Path(path) / entry.name).symlink_to(entry)

    runtime.zipfile = SimpleNamespace(
        ZipFile=SharedArchive, BadZipFile=zipfile.BadZipFile, LargeFileError=zipfile.LargeZipFile
    )


def linked(digest: str, directory: Path) -> bool:
    """Give the files of a packed build second names in `directory`; False where that cannot be."""
    try:
        shutil.copytree(paths.PACKED / digest, directory, copy_function=os.link)
    except OSError:  # of no build that is here, or on another file system
        shutil.rmtree(directory, ignore_errors=True)
        return False
    return True


def start_no_more_workers_at_once_than_there_are_processors() -> None:
    """Queue a burst of cold starts: fifty at once would leave no processor time for the others."""
    worker: Any = import_module("ministack.core.lambda_runtime").Worker
    spawn = worker._spawn
    starting = threading.BoundedSemaphore(os.cpu_count() or 1)

    def spawn_in_turn(self: Any) -> None:
        with starting:
            spawn(self)

    worker._spawn = spawn_in_turn


def give_each_invocation_its_whole_log() -> None:
    """Take all that a worker wrote before it answered; MiniStack waits 5 ms for further lines."""
    worker: Any = import_module("ministack.core.lambda_runtime").Worker
    finding = threading.Lock()

    def log_of(self: Any) -> WorkerLog:
        with finding:
            log: WorkerLog | None = getattr(self, "log", None)
            # Each process of a worker has a pipe; one that was just killed is no longer known.
            if self._proc is not None and (log is None or log.pipe is not self._proc.stderr):
                log = self.log = WorkerLog(self._proc.stderr)
        if log is None:
            raise RuntimeError("a worker that was never started has no log")
        return log

    worker._read_stderr = lambda self: log_of(self).follow()
    worker._drain_stderr = worker._drain_stderr_bounded = lambda self: log_of(self).take()


def stand_a_gate_in_front() -> None:
    """Put the gate in front; its settings come from the environment."""
    server: Any = import_module("ministack.app")
    server.app = EmulatorGate(
        server.app,
        port=int(os.environ["GATEWAY_PORT"]),
        root_key=os.environ["AWS_ACCESS_KEY_ID"],
        issued=was_issued,
        webhook_host=os.environ.pop("WEBHOOK_HOST", ""),
    )


if __name__ == "__main__":
    ask_about_each_parameter()
    name_streams_as_policies_do()
    count_loopback_as_secure()
    know_the_source_of_events()
    expand_sam_with_the_values_given()
    read_concurrency_as_a_number()
    show_again_what_failed_of_a_stream()
    read_streams_beside_queues()
    look_at_schedules_every_second()
    keep_alarms_on_sums_by_their_first_metric()
    share_what_workers_unpack()
    start_no_more_workers_at_once_than_there_are_processors()
    give_each_invocation_its_whole_log()
    give_functions_keys_that_nobody_can_guess()
    stand_a_gate_in_front()
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
