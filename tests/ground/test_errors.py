"""How errors are told: the nearest names, and the first line of what a library raised."""

import pytest

from fretal_bench.errors import first_line, unknown_name


def test_an_unknown_name_is_told_with_the_nearest_that_exist():
    error = unknown_name("strategy", "fretel", ["ewc", "fretal"])
    assert str(error) == "unknown strategy 'fretel'; did you mean 'fretal'? Known: ewc, fretal"
    assert error.exit_code == 2


def test_a_name_that_differs_in_case_only_is_the_only_one_that_is_told():
    assert "; did you mean 'FT'? Known: DF, FS, FT" in str(unknown_name("domain", "ft", ["FS", "FT", "DF"]))
    assert "; did you mean 'FS'? " in str(unknown_name("domain", "Fs", ["FS", "FT", "DF"]))


@pytest.mark.parametrize(("count", "listed", "rest"), [(40, 40, ""), (45, 20, ", ... and 25 more")])
def test_of_a_long_list_of_names_the_nearest_are_shown(count, listed, rest):
    known = [f"aaa{i:02}" for i in range(count - 1)] + ["zebra"]
    message = str(unknown_name("animal", "zebre", known))
    shown, _, _ = message.partition(", ...")
    names = shown.split("Known: ")[1].split(", ")
    assert len(names) == listed
    assert message.endswith(f"{names[-1]}{rest}")
    # The nearest is among them; the order is the alphabet's, whether or not the list is cut.
    assert "zebra" in names
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("no such operator\nat line 3"), "no such operator"),
        (RuntimeError("\n  \nno such operator"), "no such operator"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_of_an_error_with_several_lines_or_none_one_is_told(error, line):
    assert first_line(error) == line
