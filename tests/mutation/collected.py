"""The unchanged product and its tests, imported and collected once, in a process of its own.

It never runs a test itself: for each mutant it forks a child, which changes one function
(``in_place.py``) and runs the tests that call it (``which_tests.py``). What no test notices here
may still be noticed by tests that are collected anew, so this process only says what is left.
"""

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from types import CodeType, FunctionType

import pytest

from tests.mutation.children import Tell, be_quiet, in_children
from tests.mutation.in_place import Live, changed_function, live_functions, put_in_place
from tests.mutation.modules import MODULES, leaf_of, path_of, tests_of
from tests.mutation.mutants import mutants_of
from tests.mutation.which_tests import (
    PASSED,
    CallsNoted,
    Choice,
    in_order,
    note,
    read_note,
    try_each,
)

# The numbers of mutants, with the tests that may notice them.
Left = dict[int, Choice]


class Collected:
    """Asks that process."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        Process(target=_serve, args=(theirs,), daemon=True).start()
        theirs.close()

    def left_of(self, module: str) -> Left:
        """The module's mutants that need tests which are collected anew."""
        try:
            self._connection.send(module)
            answer: Left | str = self._connection.recv()
        except (EOFError, BrokenPipeError) as error:
            raise SystemExit("the tests cannot be collected, or put to work") from error
        if isinstance(answer, str):
            raise SystemExit(answer)
        return answer


def _serve(connection: Connection) -> None:
    be_quiet()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    paths = [path for part in tests_of(MODULES[0]) for path in part]
    with CallsNoted() as early:
        pytest.main(["-q", "-p", "no:cacheprovider", *paths], plugins=[_Answers(connection, early)])


class _Answers:
    """In place of running the tests, answers for one module after the other."""

    def __init__(self, connection: Connection, early: CallsNoted) -> None:
        self._connection = connection
        self._early = early

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._early.__exit__()
        try:
            trials = Trials(session, self._early)
            while True:
                self._connection.send(trials.left_of(self._connection.recv()))
        except EOFError:
            return True
        except UnfitTestError as error:
            self._connection.send(str(error))
            return True


class UnfitTestError(Exception):
    """A test fails on unchanged code, so it cannot tell what was changed."""


@dataclass(frozen=True, slots=True)
class _Trial:
    number: int
    items: list[pytest.Item]
    # Of the same function: the tests that noticed earlier mutants, the latest first.
    killers: list[str]


class Trials:
    """Tries mutants on the functions of an imported product, with the tests of a session."""

    def __init__(self, session: pytest.Session, early: CallsNoted) -> None:
        # What tests got from a function when they were collected is no longer changed by changing
        # the function.
        called = set(early.called.values())
        live = live_functions([path_of(module) for module in MODULES])
        self._live: Live = {code: live[code] for code in live if code not in called}
        self._numbers = {code: number for number, code in enumerate(self._live)}
        # A child that looks for garbage would copy all that it shares with this process.
        gc.freeze()
        codes = [functions[0].__code__ for functions in self._live.values()]
        # Each in a child of its own: what one test left in a cache, the next would not call for.
        works = ((item, partial(note, item, codes)) for item in session.items)
        told = dict(in_children(works))
        if failed := next((item for item in session.items if not told[item]), None):
            raise UnfitTestError(f"fails alone, on the code as it is: {failed.nodeid}")
        self._tests = {item: read_note(told[item]) for item in session.items}

    def left_of(self, module: str) -> Left:
        """The numbers of the module's mutants that no test notices here."""
        killers: dict[CodeType, list[str]] = {}
        left: Left = {}
        path = path_of(module)
        source = path.read_text()
        own = {number for code, number in self._numbers.items() if code.co_filename == str(path)}
        all_tests = Choice([item.nodeid for item in in_order(self._tests, own, module)], True)

        def works() -> Iterator[tuple[_Trial, Callable[[Tell], None]]]:
            old = compile(source, path, "exec")
            for number, mutant in enumerate(mutants_of(source, leaf_of(module))):
                changed = changed_function(old, compile(mutant.tree, path, "exec"))
                if changed is None or changed[0] not in self._live:
                    left[number] = all_tests
                    continue
                before, after = changed
                known = killers.setdefault(before, [])
                items = in_order(self._tests, {self._numbers[before]}, module, known)
                yield _Trial(number, items, known), self._work(self._live[before], after, items)

        for trial, told in in_children(works()):
            if told in (PASSED, ""):
                left[trial.number] = Choice([item.nodeid for item in trial.items], False)
            else:
                trial.killers[:] = [told, *(one for one in trial.killers if one != told)]
        self._check(set(chain.from_iterable(killers.values())))
        return left

    def _check(self, killers: set[str]) -> None:
        """Whoever noticed a mutant must find nothing wrong where nothing is changed."""
        items = [item for item in self._tests if item.nodeid in killers]
        ((_, told),) = in_children([(None, partial(try_each, items, self._tests))])
        if told != PASSED:
            raise UnfitTestError(f"fails among others, on the code as it is: {told}")

    def _work(
        self, functions: list[FunctionType], code: CodeType, items: list[pytest.Item]
    ) -> Callable[[Tell], None]:
        def work(tell: Tell) -> None:
            put_in_place(functions, code)
            try_each(items, self._tests, tell)

        return work
