"""Fail when a file, a function or the core as a whole outgrows its limit.

A file's lines are counted as an editor shows them; a function's docstring is free. The core as a whole is
counted in lines of code, without docstrings, comments and blank lines: the reference documentation is made
from the docstrings, and a limit must not be met by documenting less. Every failure names the file, the line
and the number, and all of them are printed at once. Usage: python .ci/check_sizes.py [project directory]
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 300
ADAPTER_LINES = 150
CORE_LINES = 5200
FUNCTION_LINES = 40
NESTING = 4

ADAPTERS = {"flask.py", "django.py", "starlette.py", "fastapi.py"}
OPTIONAL = {"channels", "llm", "doctor", "testing", "client", "openapi.py", "rest_framework.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def function_lines(function: Function) -> int:
    """Count the lines of `function` from `def` to its end, without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def code_lines(source: str) -> int:
    """Count the lines of `source` that hold code: no docstring, comment or blank line."""
    idle = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in idle:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return len(lines)


def nesting(node: ast.AST) -> int:
    """Measure how many blocks deep the code under `node` goes; functions inside it start anew."""
    depths = [0]
    for field, value in ast.iter_fields(node):
        children = [child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)]
        # `elif` is an If that stands alone in an orelse: the same level to a reader.
        is_elif = (
            field == "orelse" and isinstance(node, ast.If) and len(children) == 1 and isinstance(children[0], ast.If)
        )
        depths.extend(
            nesting(child) + (isinstance(child, BLOCKS) and not is_elif)
            for child in children
            if not isinstance(child, SCOPES)
        )
    return max(depths)


def check_functions(path: Path, source: str) -> Iterator[str]:
    """Yield one line for each function in `source` that is too long or too deep."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, Function):
            continue
        lines, depth = function_lines(node), nesting(node)
        if lines > FUNCTION_LINES:
            yield f"{path}:{node.lineno}: {node.name} has {lines} lines, the limit is {FUNCTION_LINES}"
        if depth > NESTING:
            yield f"{path}:{node.lineno}: {node.name} nests {depth} deep, the limit is {NESTING}"


def check(root: Path) -> Iterator[str]:
    """Yield one line for each limit that the package under `root` breaks."""
    core = 0
    for file in sorted((root / "streamkit").rglob("*.py")):
        path, source = file.relative_to(root), file.read_text(encoding="utf-8")
        inside = path.relative_to("streamkit")
        lines = len(source.splitlines())
        limit = ADAPTER_LINES if str(inside) in ADAPTERS else FILE_LINES
        if lines > limit:
            yield f"{path}:{limit + 1}: the file has {lines} lines, the limit is {limit}"
        if inside.parts[0] not in OPTIONAL:
            core += code_lines(source)
        yield from check_functions(path, source)
    if core > CORE_LINES:
        yield f"streamkit:1: core and adapters have {core} lines of code together, the limit is {CORE_LINES}"


def main() -> int:
    """Print what is too large; return 1 if anything is."""
    failures = list(check(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
    print("\n".join(failures) or "sizes: all within their limits")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
