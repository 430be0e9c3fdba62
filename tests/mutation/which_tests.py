"""Which tests call a function, and in which order they are worth trying."""

import json
import signal
import sys
import threading
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Final

import pytest

from tests.mutation.children import Tell
from tests.mutation.modules import is_named_after

PASSED: Final = "all passed"
# Processor time, which a busy machine does not lengthen: under a virtual clock an endless loop is
# endless. No test takes a tenth of it.
PROCESSOR_S: Final = 10
TIMES_AS_LONG: Final = 10


@dataclass(frozen=True, slots=True)
class Noted:
    """What a test did on unchanged code: how long it took, and the functions that it called."""

    seconds: float
    called: frozenset[int]


class CallsNoted:
    """Notes which code is called while it is in force; a context manager."""

    def __init__(self) -> None:
        # By identity: to compare codes at every call would take too long. What is in here lives.
        self.called: dict[int, CodeType] = {}

    def __enter__(self) -> "CallsNoted":
        threading.settrace(self._note)
        sys.settrace(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.called[id(frame.f_code)] = frame.f_code


def note(item: pytest.Item, codes: Sequence[CodeType], tell: Tell) -> None:
    """Run one test, and tell what is ``Noted``; nothing if it fails."""
    numbers = {id(code): number for number, code in enumerate(codes)}
    began = time.process_time()
    with CallsNoted() as calls:
        run(item, None)
    called = sorted(numbers[one] for one in calls.called.keys() & numbers.keys())
    if not item.session.testsfailed:
        tell(json.dumps([time.process_time() - began, called]))


def read_note(told: str) -> Noted:
    """What ``note`` told."""
    seconds, called = json.loads(told)
    return Noted(seconds, frozenset(called))


@dataclass(frozen=True, slots=True)
class Choice:
    """Tests by their ids, those first that are likely to notice."""

    likely: list[str]
    # Whether all other tests follow.
    then_others: bool


def in_order(
    tests: dict[pytest.Item, Noted], numbers: Set[int], module: str, killers: Sequence[str] = ()
) -> list[pytest.Item]:
    """The tests that call one of these functions, those that are likely to notice first."""
    return sorted(
        (item for item, noted in tests.items() if numbers & noted.called),
        key=lambda item: (
            killers.index(item.nodeid) if item.nodeid in killers else len(killers),
            not is_named_after(item.path, module),
            tests[item].seconds,
        ),
    )


def try_each(items: Sequence[pytest.Item], tests: dict[pytest.Item, Noted], tell: Tell) -> None:
    """Run the tests up to the first failure; the last one told has failed, or has never ended."""
    for item, after in zip(items, [*items[1:], None], strict=True):
        tell(item.nodeid)
        # By default this signal ends the process.
        limit = PROCESSOR_S + TIMES_AS_LONG * tests[item].seconds
        signal.setitimer(signal.ITIMER_PROF, limit)
        run(item, after)
        if item.session.testsfailed:
            return
    tell(PASSED)


def run(item: pytest.Item, after: pytest.Item | None) -> None:
    """Run one test as pytest does, and take down what the next one does not need."""
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
