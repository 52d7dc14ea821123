"""Names that may stand in paths, tables and pages."""

from __future__ import annotations

import pytest

from fretal_bench import names
from fretal_bench.errors import BenchError


@pytest.mark.parametrize(
    "text",
    ["a", "FF++", "Celeb-DF v2", "数据 é", "avalanche:ewc", "x" * 100, "a..b", "a-1", "ид", "नि\u200dश"],
)
def test_a_name_is_taken_as_it_is(text):
    assert names.check_name(text, "domain") == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("x" * 101, "101 characters"),
        ("数" * 90, "90 characters"),
        ("../up", "path"),
        ("/abs", "path"),
        ("a\\b", "path"),
        ("..", "dot"),
        (".hidden", "dot"),
        ("-rf", "dash"),
        ("\ufeffa", r"U\+FEFF"),
        ("a\u200bb", r"U\+200B"),
        (" a", "blank"),
        ("a\n", "blank"),
        ("a\nb", r"U\+000A"),
        ("a\x00b", r"U\+0000"),
        ("a\x1b[31mb", r"U\+001B"),
        ("a\u202eb", r"U\+202E"),
        ("a\u2028b", r"U\+2028"),
        ("a\ud800b", r"U\+D800"),
    ],
)
def test_what_is_no_name_is_refused_in_one_line_that_hides_nothing(text, fault):
    with pytest.raises(BenchError, match=fault) as error:
        names.check_name(text, "stream.toml: key 'name'")
    words = str(error.value)
    assert words.startswith("stream.toml: key 'name': expected a name")
    assert words.isprintable()


@pytest.mark.parametrize(
    "text", ["", "abcde", "../../etc", "ABCDEF12", "0123456789abcdeg", "a" * 65, "abcdef12\n"]
)
def test_an_id_is_hexadecimal_and_nothing_else(text):
    assert names.check_name("0123456789abcdef", "id", names.ID)
    with pytest.raises(BenchError, match="hexadecimal"):
        names.check_name(text, "id", names.ID)
