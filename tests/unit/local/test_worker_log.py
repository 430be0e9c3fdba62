"""The log of an invocation is whole when its answer is there, however busy the machine is."""

import os
import threading
from collections.abc import Iterator
from typing import IO

import pytest

from local.worker_log import AT_ONCE_BYTES, WorkerLog


@pytest.fixture
def pipe() -> Iterator[tuple[IO[str], int]]:
    reading, writing = os.pipe()
    with os.fdopen(reading) as end:
        yield end, writing


def test_what_was_written_before_is_taken_though_nobody_has_read_it(
    pipe: tuple[IO[str], int],
) -> None:
    # Given a worker that wrote two lines, and a reader who had no time
    end, writing = pipe
    log = WorkerLog(end)
    os.write(writing, "accepted: 3 €\nended\n".encode())
    # When the lines are taken, then both are there, once
    assert log.take() == "accepted: 3 €\nended"
    assert log.take() == ""
    os.close(writing)


def test_more_than_a_pipe_holds_is_taken_in_order_line_by_line_or_at_the_end(
    pipe: tuple[IO[str], int],
) -> None:
    # Given a worker that writes more than a pipe holds, and a reader beside it
    end, writing = pipe
    log = WorkerLog(end)
    reader = threading.Thread(target=log.follow)
    reader.start()
    lines = [f"line {number} {'x' * 100}" for number in range(AT_ONCE_BYTES // 25)]
    # When it has written and ended, with lines taken meanwhile
    half = len(lines) // 2
    _write(writing, lines[:half])
    before = log.take()
    _write(writing, lines[half:])
    os.close(writing)
    reader.join(timeout=30)
    # Then each line was taken once, at the first time that it could be
    assert not reader.is_alive()
    assert before.splitlines() == lines[:half]
    assert log.take().splitlines() == lines[half:]


def _write(writing: int, lines: list[str]) -> None:
    with os.fdopen(os.dup(writing), "w") as pipe:
        pipe.writelines(f"{line}\n" for line in lines)
