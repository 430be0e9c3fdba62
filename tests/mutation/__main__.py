"""Mutation: does any unit test notice when one line of the money's code says something else?

Run with ``make mutate`` (all modules), or ``make mutate MODULES="find_out report"`` (some).

Every mutant is one small change (``mutants.py``), tried in a forked process that sees it in place
of the module and runs the unit tests up to the first failure. A mutant that no test notices has
survived: then a test is missing, or nobody could tell the difference, and ``docs/mutation.md`` says
why, under the mutant's name. The run fails for a survivor that is not explained there, and for an
explanation that no survivor needs any more. Files of the working tree are never changed.

Why not a tool from PyPI: this product's state machine is a table, its limits are constants, and
its bookkeeping is keyword arguments. mutmut 3 changes function bodies only, and takes modules'
names from their paths, which differ here from the names that they are imported under; cosmic-ray
rewrites the files of the working tree and starts pytest anew for each change; neither takes an
entry out of a table.
"""

import ast
import os
import re
import resource
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from tests.mutation.mutants import Mutant, mutants_of

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = ROOT / "layers" / "product"
EXPLANATIONS: Final = ROOT / "docs" / "mutation.md"
# Processor time, which a busy machine does not lengthen, and several times as much as all of them
# take: under a virtual clock an endless loop is endless.
PROCESSOR_S: Final = 120
# fmt: off
MODULES: Final = (
    *(
        f"refund_bridge.{name}"
        for name in (
            "domain.state_machine", "domain.transitions", "domain.payment",
            "domain.external_refund",
            "domain.outcome", "domain.evidence", "domain.backoff", "domain.stripe_knows",
            "domain.listed_refunds", "refunding.claims", "refunding.record_outcome",
            "refunding.reserve", "refunding.execute", "refunding.learn_from_charge",
            "refunding.follow_refund", "refunding.payment_links",
            "refunding.look_up", "refunding.send", "refunding.unlinked", "refunding.withdraw",
            "reporting.report", "reporting.report_steps", "reporting.read_sums",
            "reporting.look_at_sums", "reporting.credit_note", "settling.settle",
            "settling.settling", "settling.find_out", "settling.follow_pending",
            "settling.run_scheduled", "settling.tell_stripe", "settling.look_after", "settling.run",
            "observing.observe_payment",
        )
    ),
    "refundctl.deciding.resolve", "refundctl.deciding.replay_credit_note",
)
# Where the tests of rules and use cases are, and which of them are of files and texts.
TESTED: Final = (
    "domain", "refunding", "reporting", "settling", "observing", "reading", "events",
    "refundctl/deciding",
)
ELSEWHERE: Final = frozenset({"test_money.py", "test_event_schemas.py", "test_requested.py"})
# fmt: on


class _InPlace(MetaPathFinder, Loader):
    """Gives a changed module to whoever imports it."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self._module = module
        self._tree = tree

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return spec_from_loader(name, self) if name == self._module else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._tree, f"{self._module}.py", "exec"), module.__dict__)  # noqa: S102


def leaf_of(module: str) -> str:
    """The module's own name: what it is asked for by, and what its mutants' names begin with."""
    return module.rpartition(".")[2]


def tests_of(module: str) -> list[list[str]]:
    """The unit tests named after the module, then the others of use cases and rules."""
    paths = [
        path
        for folder in TESTED
        for path in sorted((ROOT / "tests/unit" / folder).glob("test_*.py"))
    ]
    named = [path for path in paths if path.name.startswith(f"test_{leaf_of(module)}")]
    rest = [path for path in paths if path not in named and path.name not in ELSEWHERE]
    return [[str(path) for path in part] for part in (named, rest) if part]


def survives(mutant: Mutant, module: str) -> bool:
    """Whether every test passes on it; a test that never ends has noticed it too."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.meta_path.insert(0, _InPlace(module, mutant.tree))
    for some in tests_of(module):
        if status := pytest.main(["-x", "-q", "-p", "no:cacheprovider", *some]):
            os._exit(status)
    os._exit(0)


def survivors_of(module: str, explained: set[str]) -> set[str]:
    """Try every mutant of the module; the names of those that survive."""
    began = time.monotonic()
    root = ROOT if module.startswith("refundctl.") else PRODUCT
    source = (root / f"{module.replace('.', '/')}.py").read_text()
    if not survives(Mutant("unchanged", ast.parse(source)), module):
        raise SystemExit(f"{module}: its tests fail on it as it is")
    count, survivors = 0, list[str]()
    for mutant in mutants_of(source, leaf_of(module)):
        count += 1
        if survives(mutant, module):
            survivors.append(mutant.name)
            say(f"  {'explained' if mutant.name in explained else 'SURVIVED'}  {mutant.name}")
    killed = count - len(survivors)
    unexplained = sum(name not in explained for name in survivors)
    say(
        f"{module}: {count} mutants, {killed} killed, {count - killed - unexplained} explained, "
        f"{unexplained} survived; {time.monotonic() - began:.0f} s"
    )
    return set(survivors)


def say(line: str) -> None:
    """Print, and at once: a run takes a while."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def warm_up() -> None:
    """Import what the tests need of other people's code once, rather than once per mutant."""
    __import__("tests.fakes.world")
    for name in list(sys.modules):
        if name.split(".")[0] in ("refund_bridge", "refundctl", "tests"):
            del sys.modules[name]


def main(modules: list[str]) -> int:
    """Run the mutants of the modules; the exit status says whether all is in order."""
    sys.path[:0] = [str(ROOT), str(PRODUCT)]
    warm_up()
    # In the list of explanations a mutant's name stands in backquotes, first in its line.
    explained = set(re.findall(r"^- ``?(.+?)``?:\s", EXPLANATIONS.read_text(), re.MULTILINE))
    tried = [module for module in MODULES if not modules or leaf_of(module) in modules]
    survivors = set[str]().union(*(survivors_of(module, explained) for module in tried))
    leaves = {leaf_of(module) for module in tried}
    stale = {name for name in explained - survivors if re.split(r"[.:]", name)[0] in leaves}
    for name in sorted(stale):
        say(f"  explained, but killed or gone: {name}")
    return 1 if stale or survivors - explained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
