"""Findings of many files: told once, with their number and an example; what differs is told apart."""

import pytest

from fretal_bench.datasets.importers.family import Finding
from fretal_bench.datasets.importers.findings import Findings, ordered_findings


def told(findings, files=1000):
    gathered = Findings()
    for finding in findings:
        gathered.add(finding)
    return gathered.told(files)


def finding(file, words, kind="name", action="rename it"):
    return Finding(file, kind, "error", words, action)


def test_a_few_findings_of_one_wording_are_told_one_by_one():
    few = [finding(f"a/{n}.mp4", f"expected a name like 000, found 'x{n}'") for n in range(20)]

    assert told(few) == few


def test_many_findings_of_one_wording_are_one_with_their_number_and_the_first():
    many = [finding(f"a/{n % 2}/{n}.mp4", f"expected a name like 000, found 'x{n}'") for n in range(500)]

    words = "500 times; the first (a/0/0.mp4): expected a name like 000, found 'x0'"
    assert told(many) == [finding("a", words)]


@pytest.mark.parametrize(("files", "count"), [(5, 1), (6, 3)])
def test_what_more_than_half_of_the_files_have_is_told_once(files, count):
    most = [finding(f"a/{n}.mp4", f"no list names {n}") for n in range(3)]

    assert len(told(most, files)) == count


def test_findings_of_one_list_keep_the_list_as_their_file():
    lines = [finding("a.csv", f"line {n}: expected 3 fields, found 4") for n in range(2, 32)]

    assert told(lines) == [finding("a.csv", "30 times; the first: line 2: expected 3 fields, found 4")]


def test_findings_that_differ_in_kind_words_or_remedy_are_told_apart():
    different = [
        finding("a", "x"),
        finding("a", "y"),
        finding("a", "x", kind="label"),
        finding("a", "x", action="z"),
    ]

    assert told(different * 30) == different


def test_findings_are_told_once_and_in_one_line():
    assert ordered_findings([finding("a\nb", "x\x1b[31m"), finding("a\nb", "x\x1b[31m")]) == (
        finding("a\\nb", "x\\x1b[31m"),
    )
