"""Small breaks of a module's source, one at a time."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One break of a module: at which of its nodes, what, how the line reads.

    `nth` counts from 1 the breaks of a module that read the same.
    """

    node: int
    change: str
    place: str
    nth: int

    @property
    def key(self) -> str:
        """The same for as long as the broken line reads the same, and unlike all others."""
        text = f"{self.place} => {self.change}"
        return text if self.nth == 1 else f"{text} #{self.nth}"

    def applied_to(self, source: str) -> str:
        """The module, broken."""
        tree = ast.parse(source)
        _apply(_sites(tree)[self.node], self.change)
        return ast.unparse(ast.fix_missing_locations(tree))


def mutants(source: str) -> Iterator[Mutant]:
    """Every break of a module, in the order of its lines.

    Annotations, docstrings, texts, slots and decorators are left alone: they decide nothing.
    """
    lines = source.splitlines()
    seen: Counter[tuple[str, str]] = Counter()
    for number, node in enumerate(_sites(ast.parse(source))):
        place = lines[node.lineno - 1].strip()  # type: ignore[attr-defined]
        for change in _changes(node):
            seen[place, change] += 1
            yield Mutant(number, change, place, seen[place, change])


def _sites(tree: ast.AST) -> list[ast.AST]:
    return [node for node in _code_nodes(tree) if _changes(node)]


def _code_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that decide something, parents first."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "decorator_list", "type_params", "type_ignores"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_plain_text(child) or _is_declaration(child):
                continue
            yield child
            yield from _code_nodes(child)


def _is_plain_text(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_declaration(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.TypeAlias):
        return True
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in {"__slots__", "__all__"}
    return False


def _changes(node: ast.AST) -> list[str]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARE:
            return [_COMPARE[type(op)].__name__]
        case ast.Compare(ops=[_, *_]):
            return [f"{_COMPARE[type(op)].__name__}@{at}" for at, op in enumerate(node.ops)]
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _ARITHMETIC:
            return [_ARITHMETIC[type(op)].__name__]
        case ast.BoolOp():
            return ["and/or"]
        case ast.UnaryOp(op=ast.Not()) | ast.UnaryOp(op=ast.USub()):
            return ["sign dropped"]
        case ast.Constant(value=bool()):
            return ["flipped"]
        case ast.Constant(value=int()):
            return ["plus one"]
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            return [_CALLS[name]]
        case ast.If() | ast.IfExp() | ast.While():
            return ["condition negated"]
        case ast.Return(value=ast.Constant(value=False | None)):
            return []  # None does as well
        case ast.Return(value=value) if value is not None:
            return ["returns None"]
        case ast.Continue():
            return ["break"]
        case ast.Break():
            return ["continue"]
    return []


def _apply(node: ast.AST, change: str) -> None:
    match node:
        case ast.Compare():
            at = int(change.partition("@")[2] or 0)
            node.ops[at] = _COMPARE[type(node.ops[at])]()
        case ast.BinOp() | ast.AugAssign():
            node.op = _ARITHMETIC[type(node.op)]()
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.UnaryOp():
            node.op = ast.UAdd() if isinstance(node.op, ast.USub) else node.op
            if isinstance(node.op, ast.Not):
                node.operand = ast.UnaryOp(op=ast.Not(), operand=node.operand)
        case ast.Constant(value=bool() as flag):
            node.value = not flag
        case ast.Constant(value=int() as number):
            node.value = number + 1
        case ast.Call(func=ast.Name() as name):
            name.id = _CALLS[name.id]
        case ast.If() | ast.IfExp() | ast.While():
            node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
        case ast.Return():
            node.value = ast.Constant(value=None)
        case ast.Continue() | ast.Break():
            node.__class__ = ast.Break if isinstance(node, ast.Continue) else ast.Continue
