"""What people read follows the glossary, and the check that ``make lint`` runs finds what does not."""

from __future__ import annotations

import pytest

pytest.importorskip("proselint", reason="needs the extra develop")

from prose import GLOSSARY, advised_against, objections, texts_of

MODULE = '''"""Whoever."""

@make("x")
def command():
    """It speaks for it."""

TEXT = f"{1} goes on " f"to work."
WORD = "whoever"
'''


def test_words_of_the_glossary_are_found_in_documents_and_in_code(tmp_path):
    document = tmp_path / "text.md"
    document.write_text("It goes on\nto work. `goes on to work`\n\n```console\n$ whoever\n```\n", "utf-8")
    module = tmp_path / "module.py"
    module.write_text(MODULE, "utf-8")
    assert [line.removeprefix(str(tmp_path)) for line in objections([document, module])] == [
        "/text.md:1: See docs/glossary.md: 'goes on to work'",
        "/module.py:5: See docs/glossary.md: 'speaks for'",
        "/module.py:7: See docs/glossary.md: 'goes on to work'",
    ]


def test_the_glossarys_lists_are_read():
    words = advised_against(GLOSSARY.read_text("utf-8"))
    assert {"in force", "static model", "goes on to work"} <= set(words)
    assert len(words) == len(set(words))
    assert "in force" not in texts_of(GLOSSARY)
