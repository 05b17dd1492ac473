"""Fail when a module of streamkit imports a third-party package that is not its business.

A package is imported by the one module or subpackage that carries its name: flask by streamkit/flask.py,
gevent by streamkit/_engine/_gevent.py. The few others stand in ALSO. asgiref lends types: any module may import it
under TYPE_CHECKING, as it may the stubs of _typeshed; none may at run time. Which module of ours may import which is
import-linter's part, in pyproject.toml.
Usage: python .ci/check_imports.py [project directory]
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ALSO = {
    "_json": {"orjson", "msgspec"},
    "flask": {"werkzeug"},  # whose classes Flask's own are, and not all of them has Flask a name for
    "doctor": {"click", "rich", "httpx", "h2"},
    "client": {"httpx"},
    "openapi": {"pydantic"},
}
TYPES_ONLY = {"_typeshed", "asgiref"}


def imported(tree: ast.AST, *, typing_only: bool = False) -> Iterator[tuple[int, str, bool]]:
    """Yield line, top-level package and whether it is for the type checker only, for each import in `tree`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0], typing_only
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and node.module:
                yield node.lineno, node.module.partition(".")[0], typing_only
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            # What follows `else:` is run, so it does not count as typing.
            yield from imported(ast.Module(node.body, []), typing_only=True)
            yield from imported(ast.Module(node.orelse, []), typing_only=typing_only)
        else:
            yield from imported(node, typing_only=typing_only)


def check(root: Path) -> Iterator[str]:
    """Yield one line for each import in the package under `root` that is out of place."""
    for file in sorted((root / "streamkit").rglob("*.py")):
        path = file.relative_to(root)
        names = path.relative_to("streamkit").with_suffix("").parts
        allowed = {name.removeprefix("_") for name in names}.union(*(ALSO.get(name, ()) for name in names))
        for line, package, typing_only in imported(ast.parse(file.read_text(encoding="utf-8"))):
            if package == "streamkit" or package in sys.stdlib_module_names or package in allowed:
                continue
            if package not in TYPES_ONLY:
                yield f"{path}:{line}: {package} belongs into a module of that name"
            elif not typing_only:
                yield f"{path}:{line}: {package} is for types: import it under TYPE_CHECKING"


def main() -> int:
    """Print what is out of place; return 1 if anything is."""
    failures = list(check(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
    print("\n".join(failures) or "imports: each package in the module that carries its name")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
