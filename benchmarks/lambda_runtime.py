"""A handler run as Lambda runs it: AWS's Runtime Interface Emulator and AWS's runtime client.

The SAM CLI includes the emulator; it starts the runtime at the first call, as in a cold start, and
logs ``INIT REPORT`` and ``INVOKE RTDONE``. On Lambda the code directories are read-only, so here
too no start may write bytecode that the next start would use.
"""

import json
import os
import platform
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployed import paths
from deployed.polling import wait_for
from local.child_process import clean_environment

INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
INVOKE = re.compile(r"INVOKE RTDONE\(status: (\w+),.* duration: ([0-9.]+)ms\)")
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
START_SECONDS = 10.0
ANSWER_SECONDS = 30.0


class LambdaError(RuntimeError):
    """The function did not answer with success; the message has the emulator's log."""


@dataclass(frozen=True)
class Code:
    """An unpacked function: its own folder (``/var/task``) and its layers' (``/opt/python``)."""

    task: Path
    layers: Sequence[Path] = ()

    @property
    def bytes(self) -> int:
        """The size that Lambda counts: all files, unzipped."""
        trees = (self.task, *self.layers)
        return sum(p.stat().st_size for tree in trees for p in tree.rglob("*") if p.is_file())


@dataclass(frozen=True)
class ColdStart:
    """One start and its first call.

    Attributes:
        cpu_ms: processor time of the runtime's process for both, in the kernel's ticks (10 ms);
            unlike wall times, it does not grow when other programs use the machine.
        answer: what the function returned.
    """

    init_ms: float
    invoke_ms: float
    peak_kb: int
    cpu_ms: float
    answer: Any


def cold_start(
    code: Code,
    event: Mapping[str, Any],
    environment: Mapping[str, str],
    directory: Path,
    *,
    answer_s: float = ANSWER_SECONDS,
) -> ColdStart:
    """Start a function, call it once, wait at most ``answer_s`` seconds, and stop it.

    Raises:
        LambdaError: it did not start, or the call did not succeed.
    """
    port, log = _free_port(), directory / "rie.log"
    command = [
        str(_emulator()),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{_free_port()}"),
        *(
            str(paths.executable(paths.BENCH_ENVIRONMENT, "python")),
            "-m",
            "awslambdaric",
            "app.handler",
        ),
    ]
    variables = {
        **clean_environment(directory),
        "PYTHONPATH": ":".join(str(layer) for layer in code.layers),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(code.task),
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        **environment,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=code.task, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: _listens(port), "the runtime emulator", at_most=START_SECONDS)
        try:
            answer = _invoke(port, event, answer_s)
        except urllib.error.HTTPError as error:
            raise LambdaError(f"{error}\n{log.read_text()[-4000:]}") from error
        peak_kb, cpu_ms = _spent_by_child(process.pid)
        wait_for(lambda: INVOKE.search(log.read_text()), "the end of the call", at_most=5)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    init, invoke = INIT.search(log.read_text()), INVOKE.search(log.read_text())
    if init is None or invoke is None or invoke[1] != "success" or "errorType" in str(answer):
        raise LambdaError(f"{answer}\n{log.read_text()[-4000:]}")
    return ColdStart(float(init[1]), float(invoke[2]), peak_kb, cpu_ms, answer)


def _emulator() -> Path:
    machine = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    name = f"aws-lambda-rie-{machine}"
    found = list(paths.SAM_ENVIRONMENT.glob(f"lib/*/site-packages/samcli/local/rapid/{name}"))
    if not found:
        raise LambdaError(f"the SAM CLI ships no {name}")
    return found[0]


def _invoke(port: int, event: Mapping[str, Any], answer_s: float) -> Any:
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    request = urllib.request.Request(url, json.dumps(event).encode())
    with urllib.request.urlopen(request, timeout=answer_s) as response:
        return json.load(response)


def _spent_by_child(pid: int) -> tuple[int, float]:
    """Peak memory, kB, and processor time, ms, of the runtime: the emulator's only child."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    (child,) = {one for thread in threads for one in (thread / "children").read_text().split()}
    peak = PEAK.search(Path(f"/proc/{child}/status").read_text())
    # Read after the program's name, which is in parentheses. Fields 14 and 15 of the whole line are
    # user and system time.
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return int(peak[1]) if peak else 0, ticks * 1000 / os.sysconf("SC_CLK_TCK")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        time.sleep(0.01)
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
