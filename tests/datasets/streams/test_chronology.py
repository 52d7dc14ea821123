"""Streams in the order of their dates (``order = "date"``): the earliest fake counts, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.tuning.search import prepare_search
from fretal_bench.datasets.streams.data import locate
from fretal_bench.datasets.streams.file import read_stream_file
from fretal_bench.datasets.streams.stream import Stream, open_located, open_stream
from fretal_bench.errors import BenchError
from tests_support import TINY
from toy_stores import toy_rows, toy_store

METHODS = ("a", "b", "c")
HEAD = 'name = "mine"\norder = "date"\n'


def stream_file(folder: Path, head: str = HEAD, store: str = 'store = "s"\n') -> Path:
    path = folder / "mine.toml"
    domains = "".join(f'[[domains]]\nname = "{m}"\n{store}methods = ["{m}"]\n' for m in METHODS)
    path.write_text(head + domains)
    return path


def made(folder: Path, reals: str = "", **dates: str) -> Path:
    rows = toy_rows(METHODS)
    toy_store(folder / "s", rows.assign(date=rows["method"].map({"real": reals, **dates})))
    return stream_file(folder)


def names(stream: Stream) -> list[str]:
    return [domain.name for domain in stream]


def refusal(path: Path) -> str:
    with pytest.raises(BenchError) as caught:
        open_stream(path)
    return str(caught.value).removeprefix(f"{path}: key 'order': ")


def test_domains_are_learned_in_the_order_of_their_dates(tmp_path: Path) -> None:
    path = made(tmp_path, reals="1999", a="2024-05-17", b="2021", c="2024-04")
    stream = open_stream(path)
    assert names(stream) == ["b", "c", "a"]
    assert names(open_located(read_stream_file(path))) == ["b", "c", "a"]
    by_hand = stream_file(tmp_path, 'name = "mine"\n')
    assert names(open_stream(by_hand)) == ["a", "b", "c"]
    in_that_order = locate(read_stream_file(by_hand))
    assert {d.name: d.fingerprint() for d in open_located(in_that_order)} == {
        d.name: d.fingerprint() for d in stream
    }


def test_the_earliest_fake_of_a_domain_is_its_date_and_reals_do_not_count(tmp_path: Path) -> None:
    rows = toy_rows(METHODS)
    dates = rows["method"].map({"real": "2000", "a": "2022", "b": "2023", "c": "2024"})
    late = (rows["method"] == "c") & (rows["video"] == "x_y")
    toy_store(tmp_path / "s", rows.assign(date=dates.mask(late, "2020-01-01")))
    assert names(open_stream(stream_file(tmp_path))) == ["c", "a", "b"]


def test_first_counts_in_the_order_of_dates(tmp_path: Path) -> None:
    made(tmp_path, a="2024", b="2023", c="2022")
    assert names(open_stream(stream_file(tmp_path, HEAD + "first = 2\n"))) == ["c", "b"]


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        (
            {"a": "2024", "b": "2023", "c": "2024"},
            "found 'a' of 2024 and 'c' of 2024, of which neither is earlier",
        ),
        (
            {"a": "2024-05", "b": "2023", "c": "2024"},
            "found 'c' of 2024 and 'a' of 2024-05, of which neither",
        ),
        (
            {"a": "2024", "b": "", "c": "2022"},
            "found 30 of 30 without one in s, e.g. 'b/a_b.mp4'; import them",
        ),
    ],
)
def test_what_cannot_be_told_is_one_clear_line(tmp_path: Path, dates: dict[str, str], words: str) -> None:
    line = refusal(made(tmp_path, **dates))
    assert words in line
    assert line.endswith('or leave order = "date" out and write the domains in their order')
    assert "\n" not in line


def test_stores_without_dates_are_told(tmp_path: Path) -> None:
    toy_store(tmp_path / "s", toy_rows(METHODS))
    assert "expected a date of every fake of domain 'a', found 30 of 30 without one in s" in refusal(
        stream_file(tmp_path)
    )
    path = tmp_path / "mini.toml"
    path.write_text(
        HEAD + '[[domains]]\nname = "DF"\nstore = "builtin:ffpp-mini-c23"\nmethods = ["Deepfakes"]\n'
    )
    assert refusal(path).startswith("the fakes of domain 'DF' in builtin:ffpp-mini-c23 have no dates")


def test_another_order_is_no_value(tmp_path: Path) -> None:
    made(tmp_path, a="2024", b="2023", c="2022")
    with pytest.raises(BenchError, match="'order'"):
        read_stream_file(stream_file(tmp_path, 'name = "mine"\norder = "name"\n'))


def test_a_run_finds_its_stores_orders_its_domains_and_remembers_both(tmp_path: Path) -> None:
    made(tmp_path, a="2024", b="2023", c="2022")
    path = stream_file(tmp_path, store='datasets = ["toy"]\n')
    call = Call(
        ["finetuning"], str(path), changes={"recipe": TINY}, out=tmp_path / "r", data=[tmp_path / "s"], jobs=1
    )
    plan = prepare(call).plan
    assert [domain["name"] for domain in plan.stream["domains"]] == ["c", "b", "a"]
    kept = read_stream_file(tmp_path / "r" / "stream.toml")
    assert (kept.order, [domain.name for domain in kept.domains]) == ("", ["c", "b", "a"])


def test_tuning_takes_the_first_domains_and_so_wants_them_in_their_order(tmp_path: Path) -> None:
    path = made(tmp_path, a="2024", b="2023", c="2022")
    with pytest.raises(
        BenchError, match="key 'order': tuning takes the first domains as they stand in the file"
    ):
        prepare_search(Call(["ewc"], str(path), out=tmp_path / "r"), budget=2)
