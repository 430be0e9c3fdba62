"""Mutation: does any unit test notice when one line of the money's code says something else?

Run with ``make mutate`` (all modules), or ``make mutate MODULES="find_out report"`` (some).

Every mutant is one small change (``mutants.py``). A mutant that no test notices has survived: then
a test is missing, or nobody could tell the difference, and ``docs/mutation.md`` says why, under the
mutant's name. The run fails for a survivor that is not explained there, and for an explanation that
no survivor needs any more. Files of the working tree are never changed.

There are thousands of mutants, so each is tried in up to two ways, always in a forked process
(``children.py``). First ``collected.py``: one process has imported the unchanged product and
collected its tests; a child of it gives the changed function its new code and runs only the tests
that call it, likely ones first, up to the first failure. That notices nearly all, in a moment. What
is left is for ``afresh.py``: a child imports the changed module in place of the real one, and runs
those tests again. Whatever is not a change of one function, or of one that is called while tests
are collected, is for ``afresh.py`` at once, with all tests. Only that decides what survives.

Why not a tool from PyPI: this product's state machine is a table, its limits are constants, and
its bookkeeping is keyword arguments. mutmut 3 changes function bodies only, and takes modules'
names from their paths, which differ here from the names that they are imported under; cosmic-ray
rewrites the files of the working tree and starts pytest anew for each change; neither takes an
entry out of a table.
"""

import re
import sys
import time
from collections.abc import Iterator
from typing import Final

from tests.mutation.afresh import survivors_among, try_chosen, warm_up
from tests.mutation.children import in_children
from tests.mutation.collected import Collected
from tests.mutation.modules import MODULES, PRODUCT, ROOT, leaf_of, path_of, tree_of
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.which_tests import PASSED, Choice

EXPLANATIONS: Final = ROOT / "docs" / "mutation.md"


def survivors_of(module: str, explained: set[str], collected: Collected) -> set[str]:
    """Try every mutant of the module; the names of those that survive."""
    began = time.monotonic()
    left = collected.left_of(module)
    count, survivors = 0, list[str]()

    def mutants_left() -> Iterator[tuple[Mutant, Choice]]:
        nonlocal count
        for mutant in mutants_of(path_of(module).read_text(), leaf_of(module)):
            if count in left:
                yield mutant, left[count]
            count += 1

    for mutant in survivors_among(mutants_left(), module):
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


def main(modules: list[str]) -> int:
    """Run the mutants of the modules; the exit status says whether all is in order."""
    sys.path[:0] = [str(ROOT), str(PRODUCT)]
    warm_up()
    tried = [module for module in MODULES if not modules or leaf_of(module) in modules]
    collected = Collected()
    trees = {module: tree_of(module) for module in tried}
    unchanged = try_chosen(trees, MODULES[0], Choice([], then_others=True), ())
    ((_, told),) = in_children([("unchanged", unchanged)])
    if told != PASSED:
        raise SystemExit(f"a test fails on the code as it is: {told}")
    # In the list of explanations a mutant's name stands in backquotes, first in its line.
    explained = set(re.findall(r"^- ``?(.+?)``?:\s", EXPLANATIONS.read_text(), re.MULTILINE))
    survivors = set[str]().union(*(survivors_of(module, explained, collected) for module in tried))
    leaves = {leaf_of(module) for module in tried}
    stale = {name for name in explained - survivors if re.split(r"[.:]", name)[0] in leaves}
    for name in sorted(stale):
        say(f"  explained, but killed or gone: {name}")
    return 1 if stale or survivors - explained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
