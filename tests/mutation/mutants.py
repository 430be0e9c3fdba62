"""Every mutant of one module: the smallest changes that a careless edit could make to it.

Standard library only, and deterministic: the syntax tree is walked in reading order, and every
change that fits a node makes one mutant. Docstrings, annotations and prose (text with a blank in
it, and f-strings) are left alone.
"""

import ast
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import chain

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
}
EXTREMES = {"min": "max", "max": "min"}

# What a node becomes, and how that is told.
Changes = Iterator[tuple[ast.AST, str]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. Its ``name``, ``function: old → new``, stays the same when lines are moved."""

    name: str
    tree: ast.Module


def mutants_of(source: str, module: str) -> Iterator[Mutant]:
    """Every mutant of the module, in reading order. Their trees share what did not change."""
    tree = ast.parse(source)
    for changed, name in _Mutator(_words(tree)).within(tree, module):
        assert isinstance(changed, ast.Module)
        yield Mutant(name, changed)


def _words(tree: ast.Module) -> dict[str, list[str]]:
    """For every enumeration that the module uses (``State.UNKNOWN``), the words it uses of it."""
    words: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name(name), word) if name[0].isupper() and word.isupper():
                words.setdefault(name, set()).add(word)
    return {name: sorted(found) for name, found in words.items()}


@dataclass(frozen=True, slots=True)
class _Mutator:
    """Makes every change in a copy, which shares with the original whatever is not around it."""

    words: dict[str, list[str]]

    def of(self, node: ast.AST, scope: str) -> Changes:
        """The node with each change that fits it, or fits what is within it."""
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                # Defaults and the body; decorators and bases are left alone.
                scope = f"{scope}.{node.name}"
                if isinstance(node, ast.FunctionDef):
                    yield from self._in_field(node, "args", scope)
                yield from self._in_field(node, "body", scope)
            case ast.AnnAssign(value=ast.expr()):
                yield from self._in_field(node, "value", scope)
            case ast.AnnAssign() | ast.arg() | ast.JoinedStr() | ast.Expr(ast.Constant()):
                return
            case _:
                for new, told in chain(_in_flow(node), _in_values(node), self._in_words(node)):
                    yield _placed(new, node), f"{scope}: {told}"
                yield from self.within(node, scope)

    def within(self, node: ast.AST, scope: str) -> Changes:
        """The node with each change of a part of it."""
        for field in node._fields:
            yield from self._in_field(node, field, scope)

    def _in_field(self, node: ast.AST, field: str, scope: str) -> Changes:
        match getattr(node, field):
            case ast.AST() as part:
                for new, name in self.of(part, scope):
                    yield _with(node, **{field: new}), name
            case [*parts]:
                for index, part in enumerate(parts):
                    for new, name in self.of(part, scope) if isinstance(part, ast.AST) else ():
                        changed = [*parts[:index], new, *parts[index + 1 :]]
                        yield _with(node, **{field: changed}), name

    def _in_words(self, node: ast.AST) -> Changes:
        """Another word of an enumeration, another number, another name."""
        match node:
            case ast.Attribute(ast.Name(name), word) if len(self.words.get(name, ())) > 1:
                words = self.words[name]
                if word in words:
                    other = words[(words.index(word) + 1) % len(words)]
                    yield _told(node, _with(node, attr=other))
            case ast.Constant(bool() as value):
                yield _told(node, ast.Constant(not value))
            case ast.Constant(int() as value):
                yield _told(node, ast.Constant(value + 1))
            case ast.Constant(str() as value) if " " not in value:
                yield _told(node, ast.Constant(value + "_"))


def _in_flow(node: ast.AST) -> Changes:
    """A statement left out, a condition turned round, a result or a remedy forgotten."""
    match node:
        case ast.Expr() | ast.Raise() | ast.AugAssign():
            yield ast.Pass(), f"without {_shown(node)}"
        case ast.Return(ast.expr() as value) if _shown(value) != "None":
            yield _told(node, ast.Return(ast.Constant(None)))
        case ast.Continue():
            yield _told(node, ast.Break())
        case ast.Break():
            yield _told(node, ast.Continue())
        case ast.If(test) | ast.While(test) | ast.IfExp(test):
            yield _with(node, test=_not(test)), f"not {_shown(test)}"
        case ast.match_case(guard=ast.expr() as guard):
            yield _with(node, guard=_not(guard)), f"not {_shown(guard)}"
        case ast.comprehension(ifs=ifs):
            yield from _drops(node, "ifs", ifs)
        case ast.ExceptHandler(body=body) if not isinstance(body[0], ast.Raise):
            yield _with(node, body=[ast.Raise()]), f"{_shown(node)} raise"


def _in_values(node: ast.AST) -> Changes:
    """Another comparison, another sum, one argument or one element less."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            yield _told(node, _with(node, ops=[COMPARISONS[type(op)]()]))
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            yield _told(node, _with(node, op=ARITHMETIC[type(op)]()))
        case ast.BoolOp(op, values):
            word = "and" if isinstance(op, ast.And) else "or"
            for index, value in enumerate(values):
                rest = [*values[:index], *values[index + 1 :]]
                new = _with(node, values=rest) if len(rest) > 1 else rest[0]
                yield new, f"without {_shown(value)} of {word}"
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield _told(node, operand)
        case ast.Call(ast.Name("min" | "max" as name)):
            yield _told(node, _with(node, func=ast.Name(EXTREMES[name], ast.Load())))
        case ast.Call(keywords=keywords):
            yield from _drops(node, "keywords", keywords)
        case ast.Dict(keys, values):
            for i, key in enumerate(keys):
                kept = {
                    "keys": [*keys[:i], *keys[i + 1 :]],
                    "values": [*values[:i], *values[i + 1 :]],
                }
                yield _with(node, **kept), f"without {_shown(key or values[i])}"
        case ast.Tuple(elts, ast.Load()) | ast.Set(elts) | ast.List(elts, ast.Load()):
            yield from _drops(node, "elts", elts)


def _drops(node: ast.AST, field: str, parts: Sequence[ast.AST]) -> Changes:
    for index, part in enumerate(parts):
        rest = [*parts[:index], *parts[index + 1 :]]
        yield _with(node, **{field: rest}), f"without {_shown(part)}"


def _told(old: ast.AST, new: ast.AST) -> tuple[ast.AST, str]:
    return new, f"{_shown(old)} → {_shown(new)}"


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _placed(new: ast.AST, old: ast.AST) -> ast.AST:
    """The new node where the old one is, unless it has a place: a compiler asks for one."""
    is_placed = "lineno" not in new._attributes or hasattr(new, "lineno")
    return ast.fix_missing_locations(new if is_placed else ast.copy_location(new, old))


def _not(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _shown(node: ast.AST) -> str:
    """The first line of the node as source, in one style."""
    return ast.unparse(node).strip().split("\n", maxsplit=1)[0]
