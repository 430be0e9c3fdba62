"""A change of one function is put in place and noticed; whatever else is left for all tests."""

import ast
import gc
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import pytest

from tests.mutation import afresh, collected
from tests.mutation.afresh import survivors_among
from tests.mutation.children import Tell, in_children
from tests.mutation.collected import Collected
from tests.mutation.in_place import changed_function, live_functions, put_in_place
from tests.mutation.mutants import mutants_of
from tests.mutation.which_tests import CallsNoted, Choice, Noted, in_order

SOURCE = """
LIMIT = 3
class C:
    def f(self, a=1):
        return a + 1
    def g(self):
        return [one + 1 for one in (LIMIT,)]
"""


def code(source: str, path: str = "m.py") -> CodeType:
    return compile(ast.parse(source), path, "exec")


def changed(old: str, new: str) -> str | None:
    found = changed_function(code(SOURCE), code(SOURCE.replace(old, new)))
    return found[1].co_qualname if found else None


@pytest.mark.parametrize(
    ("old", "new", "name"), [("a + 1", "a - 1", "C.f"), ("one + 1", "one - 1", "C.g")]
)
def test_a_change_in_a_function_is_that_functions(old: str, new: str, name: str) -> None:
    assert changed(old, new) == name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("a=1", "a=2"),
        ("class C:", "class C:\n    x = 1"),
        ("return a + 1", "yield a + 1"),
        ("LIMIT = 3", "LIMIT = 3"),
    ],
)
def test_what_happens_at_import_and_another_kind_of_function_are_not(old: str, new: str) -> None:
    assert changed(old, new) is None


def test_a_function_that_everybody_holds_gets_the_changed_code(tmp_path: Path) -> None:
    # Given a module, and somebody who holds a function of it
    path = tmp_path / "m.py"
    module = ModuleType("m")
    exec(code(SOURCE, str(path)), module.__dict__)  # noqa: S102
    held = module.C().f
    # And what is there is no garbage to anybody (tests/conftest.py)
    gc.freeze()
    # When the function is changed in place
    found = changed_function(code(SOURCE), code(SOURCE.replace("a + 1", "a - 1")))
    assert found
    before, after = found
    put_in_place(live_functions([path])[before], after)
    # Then they run the change
    assert held(3) == 2


def test_a_child_tells_and_leaves_its_parent_as_it_was() -> None:
    # Given three works, one of which ends without a word, and one in the midst of its words
    here = [0]

    def work(number: int, tell: Tell) -> None:
        here[0] = number
        if number:
            tell("begun")
            tell("x" * 200_000 if number == 1 else str(1 // 0))

    # When they are done, two at a time
    works = ((number, partial(work, number)) for number in range(3))
    told = dict(in_children(works, at_once=2))
    # Then the last line of each is known, and here nothing has happened
    assert told == {0: "", 1: "x" * 200_000, 2: "begun"}
    assert here == [0]


def test_a_work_is_asked_for_when_there_is_room() -> None:
    asked: list[int] = []

    def works() -> Iterator[tuple[int, Callable[[Tell], None]]]:
        for number in range(3):
            asked.append(number)
            yield number, lambda tell: tell("done")

    done = in_children(works(), at_once=1)
    assert next(done) == (0, "done")
    assert asked == [0]
    assert [number for number, _ in done] == [1, 2]


class Named(NamedTuple):
    """As much of a collected test as its order depends on."""

    nodeid: str
    path: Path


def test_the_tests_that_call_a_function_come_in_the_order_of_their_promise() -> None:
    # Given tests that call function 7, and one that does not
    def noted(seconds: float, *called: int) -> Noted:
        return Noted(seconds, frozenset(called))

    tests: Any = {
        Named("long", Path("test_other.py")): noted(2, 7),
        Named("named", Path("test_backoff_twice.py")): noted(3, 7, 8),
        Named("elsewhere", Path("test_backoff.py")): noted(0, 8),
        Named("short", Path("test_other.py")): noted(1, 7),
        Named("killer", Path("test_other.py")): noted(4, 7),
    }
    # When they are put in order
    ordered = in_order(tests, {7}, "refund_bridge.domain.backoff", ["gone", "killer"])
    # Then who noticed before comes first, then who is named after the module, then the shortest
    assert [item.nodeid for item in ordered] == ["killer", "named", "short", "long"]


def test_calls_are_noted_while_that_is_in_force() -> None:
    with CallsNoted() as calls:
        code(SOURCE)
    changed("LIMIT = 3", "LIMIT = 4")
    assert code.__code__ in calls.called.values()
    assert changed.__code__ not in calls.called.values()


def test_only_what_no_test_notices_survives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a product with tests that look at a constant and at one function, not at the other
    product, tests = tmp_path / "planted.py", tmp_path / "test_planted.py"
    product.write_text(
        "LIMIT = 3\n"
        "def seen(a):\n    return a + 1\n"
        "def called(a):\n    return a + 2\n"
        "def early(a):\n    return a + 4\n"
    )
    tests.write_text(
        "import planted\n"
        "EARLY = planted.early(0)\n"
        "def test_limit():\n    assert planted.LIMIT == 3\n"
        "def test_seen():\n    assert planted.seen(1) == 2\n"
        "def test_called():\n    planted.called(1)\n"
        "def test_early():\n    assert EARLY == 4\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(afresh, "ROOT", tmp_path)
    for part in (afresh, collected):
        monkeypatch.setattr(part, "path_of", lambda _: product)
        monkeypatch.setattr(part, "tests_of", lambda _: [[str(tests)]])
    mutants = list(mutants_of(product.read_text(), "planted"))
    # When its mutants are put in place
    left = Collected().left_of("planted")
    # Then those of the function that a test looks at are noticed; of a function that tests call
    # some tests are left to try, and of what happens when something is imported all tests
    called, every = Choice(["test_planted.py::test_called"], False), left[0]
    assert every.then_others
    assert left == {0: every, **dict.fromkeys((4, 5, 6), called), **dict.fromkeys((7, 8, 9), every)}
    # And what those do not notice either has survived
    survivors = survivors_among([(mutants[number], left[number]) for number in left], "planted")
    assert sorted(mutant.name for mutant in survivors) == [
        "planted.called: 2 → 3",
        "planted.called: a + 2 → a - 2",
        "planted.called: return a + 2 → return None",
    ]


def test_what_processes_send_each_other_is_of_the_same_classes_after_the_warm_up() -> None:
    sent = Choice(["test"], then_others=True)

    def work(tell: Tell) -> None:
        afresh.warm_up()
        tell(str(pickle.loads(pickle.dumps(sent)) == sent))  # noqa: S301

    assert list(in_children([("here", work)])) == [("here", "True")]


def test_a_test_that_fails_on_the_code_as_it_is_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = tmp_path / "test_planted.py"
    tests.write_text("def test_it():\n    raise OSError\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(collected, "tests_of", lambda _: [[str(tests)]])
    with pytest.raises(SystemExit, match=r"fails alone, on the code as it is: .*::test_it"):
        Collected().left_of("refund_bridge.domain.backoff")
