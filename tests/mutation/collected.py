"""The unchanged product and its tests, imported and collected once, in a process of its own.

It never runs a test itself: for each mutant it forks a child, which changes one function
(``in_place.py``) and runs the tests that call it (``which_tests.py``). What no test notices here
may still be noticed by tests that are collected anew, so this process only says what is left.
"""

import gc
import os
from collections.abc import Callable, Iterator
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from types import CodeType, FunctionType

import pytest

from tests.mutation.children import Tell, be_quiet, in_children
from tests.mutation.in_place import Live, changed_function, live_functions, put_in_place
from tests.mutation.modules import MODULES, leaf_of, path_of, tests_of, tree_of
from tests.mutation.mutants import mutants_of
from tests.mutation.which_tests import (
    PASSED,
    CallsNoted,
    in_order,
    note_each,
    read_notes,
    try_each,
)


class Collected:
    """Asks that process."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        Process(target=_serve, args=(theirs,), daemon=True).start()
        theirs.close()

    def left_of(self, module: str) -> list[int]:
        """The numbers of the module's mutants that need tests which are collected anew."""
        self._connection.send(module)
        left: list[int] = self._connection.recv()
        return left


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
        trials = Trials(session, self._early)
        while True:
            try:
                module = self._connection.recv()
            except EOFError:
                return True
            self._connection.send(trials.left_of(module))


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
        work = (None, lambda tell: note_each(session.items, codes, tell))
        ((_, told),) = in_children([work])
        if not told:
            raise pytest.UsageError("the tests fail on the code as it is")
        self._tests = dict(zip(session.items, read_notes(told), strict=True))

    def left_of(self, module: str) -> list[int]:
        """The numbers of the module's mutants that no test notices here."""
        killers: dict[CodeType, list[str]] = {}
        left = []

        def works() -> Iterator[tuple[tuple[int, CodeType], Callable[[Tell], None]]]:
            path = path_of(module)
            old = compile(tree_of(module), path, "exec")
            for number, mutant in enumerate(mutants_of(path.read_text(), leaf_of(module))):
                changed = changed_function(old, compile(mutant.tree, path, "exec"))
                if changed is None or changed[0] not in self._live:
                    left.append(number)
                    continue
                before, after = changed
                items = in_order(
                    self._tests, self._numbers[before], module, killers.get(before, [])
                )
                yield (number, before), self._trial(self._live[before], after, items)

        for (number, code), told in in_children(works()):
            if told in (PASSED, ""):
                left.append(number)
            else:
                known = killers.setdefault(code, [])
                known[:] = [told, *(one for one in known if one != told)]
        return sorted(left)

    def _trial(
        self, functions: list[FunctionType], code: CodeType, items: list[pytest.Item]
    ) -> Callable[[Tell], None]:
        def work(tell: Tell) -> None:
            put_in_place(functions, code)
            try_each(items, self._tests, tell)

        return work
