"""Give one changed function to a product that is already imported.

Most mutants differ from the module in the body of one function. Then nothing needs to be imported
anew: the function object that everybody holds gets the changed code. All that a module does when
it is imported (constants, tables, defaults, fields of classes) must be the same for that.
"""

import gc
import inspect
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FunctionType

# For each code, the function objects that run it. Codes are equal by what they do and where.
Live = dict[CodeType, list[FunctionType]]


def changed_function(old: CodeType, new: CodeType) -> tuple[CodeType, CodeType] | None:
    """The only function whose code differs, as it was and as it is; none if other code does."""
    differing = _differing(old, new)
    if differing is None or len(differing) != 1:
        return None
    before, after = differing[0]
    # Python refuses, or will refuse, to give a function code of another kind.
    same = before.co_freevars == after.co_freevars and before.co_flags == after.co_flags
    return (before, after) if same else None


def _differing(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """Every function that differs, outermost ones only; none if what is around them differs."""
    if old == new:
        return []
    if old.co_flags & inspect.CO_OPTIMIZED:
        return [(old, new)]
    inner = list(zip(_inner(old), _inner(new), strict=False))
    if len(_inner(old)) != len(_inner(new)) or _without_inner(old) != _without_inner(new):
        return None
    found = []
    for before, after in inner:
        more = _differing(before, after)
        if more is None:
            return None
        found += more
    return found


def _inner(code: CodeType) -> list[CodeType]:
    return [const for const in code.co_consts if isinstance(const, CodeType)]


def _without_inner(code: CodeType) -> CodeType:
    consts = [None if isinstance(const, CodeType) else const for const in code.co_consts]
    return code.replace(co_consts=tuple(consts))


def live_functions(paths: Sequence[Path]) -> Live:
    """The functions of these files that exist now."""
    gc.unfreeze()  # what tests/conftest.py has frozen is not found
    gc.collect()
    files = {str(path) for path in paths}
    live: Live = {}
    for found in gc.get_objects():
        if isinstance(found, FunctionType) and found.__code__.co_filename in files:
            live.setdefault(found.__code__, []).append(found)
    return live


def put_in_place(functions: Sequence[FunctionType], code: CodeType) -> None:
    """Have these functions run other code from now on."""
    for function in functions:
        function.__code__ = code
