"""Checks what people read: the documents and the texts in the code, with proselint and the words of the glossary.

``python tests/project/prose.py`` prints each place where a text has a word that ``docs/glossary.md`` advises against or
that proselint objects to. Code in documents is left out.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from proselint.checks import __register__
from proselint.config import DEFAULT, Config
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckFlags, types
from proselint.tools import LintFile

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`|<!--.*?-->|https?://\S+", re.MULTILINE | re.DOTALL)
PROSE = re.compile(r"[A-Za-z]{2,}\W+ [A-Za-z]|[A-Za-z] [A-Za-z]")
OFF = ("cliches", "dates_times", "lexical_illusions", "typography", "uncomparables", "weasel_words")


def advised_against(glossary: str) -> list[str]:
    """The words of a glossary's tables that are not to be used: those in code marks, outside of the meanings."""
    rows = [row.strip("|").split("|") for row in glossary.splitlines() if row.startswith("|")]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row[2] if len(row) == 3 else row[0])]


def check_of(words: list[str]) -> Check:
    """The check of proselint that finds words, also when a line ends inside them."""
    items = tuple(re.escape(word).replace("\\ ", r"\s+") for word in words)
    flags = CheckFlags(allow_quotes=True)
    return Check(types.Existence(items), path="glossary", message="See docs/glossary.md: '{}'", flags=flags)


def texts_of(path: Path) -> str:
    """What people read of a file, on the lines on which it stands there."""
    content = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(content)["cells"] if cell["cell_type"] == "markdown"]
        content = "\n\n".join("".join(cell["source"]) for cell in cells)
    if path.suffix != ".py":
        return CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), content)
    lines = [""] * (content.count("\n") + 1)
    for line, text in literals(ast.parse(content)):
        lines[line - 1] += f"{' '.join(text.split())} ; " if PROSE.search(text) else ""
    return "\n".join(lines)


def literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of the string literals of a module, without keys; a placeholder is ``…``.

    Of the docstrings, those that a decorator with arguments gets: it makes commands and their help of functions.
    """
    skip = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(isinstance(made, ast.Call) for made in node.decorator_list):
            skip -= {id(node.body[0].value)} if isinstance(node.body[0], ast.Expr) else set()
    skip.update(id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skip.update(id(part) for part in node.values)
            yield (
                node.lineno,
                "".join(str(getattr(part, "value", "")) if is_text(part) else "…" for part in node.values),
            )
        elif is_text(node) and id(node) not in skip:
            yield node.lineno, node.value


def is_text(node: ast.AST) -> bool:
    """Whether a node is a string without placeholders."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def files() -> list[Path]:
    """Documents and modules whose texts people read."""
    documents = [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/README.md")),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "docs/tutorial.ipynb",
    ]
    modules = [*(ROOT / "moodlemlbackend").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    return sorted([*documents, *(path for path in modules if "migrations" not in path.parts)])


def objections(paths: list[Path]) -> Iterator[str]:
    """A line for each place in files that proselint or the glossary objects to."""
    registry = CheckRegistry()
    if not registry.checks:
        registry.register_many((*__register__, check_of(advised_against(GLOSSARY.read_text("utf-8")))))
    checks = {**dict.fromkeys(OFF, False), "glossary": True}
    config = Config(max_errors=1000, checks={**DEFAULT["checks"], **checks})
    for path in paths:
        for result in LintFile(str(path), texts_of(path)).lint(config):
            yield f"{path}:{result.pos[0]}: {' '.join(result.check_result.message.split())}"


if __name__ == "__main__":
    lines = list(objections(files()))
    print("\n".join(lines) or "Texts: nothing to object to.")  # noqa: T201
    sys.exit(bool(lines))
