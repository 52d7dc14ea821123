"""What is read of docstrings without importing their modules."""

import sys
from dataclasses import dataclass

from fretal_bench.docstrings import arguments, docstring_of, paragraphs


def test_a_docstring_is_read_without_importing_its_module(tmp_path, monkeypatch):
    (tmp_path / "slow_module.py").write_text(
        'raise SystemExit\nclass Slow:\n    """First.\n\n    Second.\n    """\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert docstring_of("slow_module:Slow") == "First.\n\nSecond."
    assert "slow_module" not in sys.modules
    assert docstring_of("slow_module:Other") == docstring_of("no_such_module.at.all:Slow") == ""


def test_paragraphs_are_lines_and_lists_stay_lists():
    text = """First ``a``
    goes on.

    - one
      more
    - two

    Args:
        x: Left out.
    """
    assert paragraphs(text) == ["First a goes on.", "- one more\n- two"]


def test_arguments_are_those_of_all_classes_it_inherits_from_the_nearest_first():
    @dataclass
    class Base:
        """Base.

        Args:
            a: Of the base.
            b: Over
                two lines.
        """

    @dataclass
    class Derived(Base):
        """Derived; no args: here.

        Attributes:
            a: Its own: with a colon.

        Returns:
            nothing: at all.
        """

    assert arguments(Derived) == {"a": "Its own: with a colon.", "b": "Over two lines."}
