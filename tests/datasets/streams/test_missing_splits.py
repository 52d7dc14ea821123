"""Domains of which only some splits are used, and the table [source] of a stream file."""

from __future__ import annotations

from pathlib import Path

import pytest

from fretal_bench.datasets.streams.data import absolute_stores
from fretal_bench.datasets.streams.file import read_stream_file, toml_of_stream
from fretal_bench.datasets.streams.stream import Stream, open_orders, open_stream
from fretal_bench.errors import BenchError
from toy_stores import toy_rows, toy_store

SOURCE = '[source]\nweights = "mine.pt"\nbackbone = "resnet18"\nfake = 0\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("splits")
    toy_store(path / "toy")
    return path


def _file(folder: Path, splits: str, head: str = "", store: str = "toy") -> Path:
    text = f'name = "mine"\n{head}\n'
    for name, method, line in (("old", "Deepfakes", splits), ("new", "FaceSwap", "")):
        text += f'[[domains]]\nname = "{name}"\nstore = "{store}"\nmethods = ["{method}"]\n{line}\n'
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _sizes(stream: Stream, place: int) -> dict[str, bool]:
    return {split: bool(len(rows)) for split, rows in stream[place].rows.items()}


def test_a_domain_may_have_test_rows_alone(folder: Path) -> None:
    stream = open_stream(_file(folder, 'splits = ["test"]'))
    assert _sizes(stream, 0) == {"train": False, "val": False, "test": True}
    assert _sizes(stream, 1) == {"train": True, "val": True, "test": True}
    whole = open_stream(_file(folder, ""))
    assert whole[0].rows["test"].tolist() == stream[0].rows["test"].tolist()
    learned = stream.as_avalanche()
    assert [experience.domain_name for experience in learned.train_stream] == ["new"]
    assert "val" not in learned.streams


def test_a_domain_may_be_without_a_test_set(folder: Path) -> None:
    stream = open_stream(_file(folder, 'splits = ["train"]'))
    assert _sizes(stream, 0) == {"train": True, "val": False, "test": False}
    assert set(stream.as_avalanche().streams) == {"train"}


def test_a_store_of_test_rows_alone_is_opened_where_that_is_stated(folder: Path) -> None:
    rows = toy_rows()
    toy_store(folder / "tests", rows[rows["split"] == "test"])
    text = _file(folder, 'splits = ["test"]').read_text().replace('store = "toy"', 'store = "tests"', 1)
    (folder / "mine.toml").write_text(text)
    assert len(open_stream(folder / "mine.toml")[0].rows["test"])
    (folder / "mine.toml").write_text(text.replace('splits = ["test"]', ""))
    with pytest.raises(
        BenchError, match=r"no real rows in its train split .* leave 'train' out of the domain's"
    ):
        open_stream(folder / "mine.toml")


def test_reals_that_are_dealt_go_to_domains_that_learn(folder: Path) -> None:
    head = "[protocol]\nshared_reals = false\n"
    whole = open_stream(_file(folder, "", head))
    alone = open_stream(_file(folder, 'splits = ["test"]', head))
    index = whole[1].store.index
    reals = {int(row) for row in index.index[(index["label"] == 0) & (index["split"] == "train")]}
    dealt = [{*stream[1].rows["train"].tolist()} & reals for stream in (whole, alone)]
    assert dealt[0] < dealt[1] == reals


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ('splits = ["val"]', "domains[0].splits': expected 'train' or 'test' among them"),
        ('splits = ["tests"]', "did you mean 'test'?"),
        ('splits = ["test", "test"]', "each name once"),
    ],
)
def test_a_mistake_in_splits_is_named(folder: Path, splits: str, words: str) -> None:
    with pytest.raises(BenchError) as error:
        open_stream(_file(folder, splits))
    assert words in str(error.value)


def test_a_source_model_is_read_written_and_placed(folder: Path) -> None:
    file = read_stream_file(_file(folder, 'splits = ["test"]', SOURCE))
    assert file.brought is not None
    assert (file.paper, file.brought.weights, file.brought.fake) == ("", "mine.pt", 0)
    placed = absolute_stores(file)
    other = folder / "elsewhere"
    other.mkdir(exist_ok=True)
    (other / "stream.toml").write_text(toml_of_stream(placed))
    again = read_stream_file(other / "stream.toml")
    assert again.brought == placed.brought
    assert again.brought is not None
    assert again.brought.weights == str(folder / "mine.pt")
    assert again.domains[0].splits == ("test",)


def test_the_paper_of_a_protocol_is_text_as_before(folder: Path) -> None:
    file = read_stream_file(_file(folder, "", 'source = "Kim et al., 2021"'))
    assert (file.paper, file.brought) == ("Kim et al., 2021", None)
    assert read_stream_file(_file(folder, "")).paper == ""


def test_a_wrong_source_names_its_key(folder: Path) -> None:
    with pytest.raises(BenchError, match=r"mine.toml: unknown key 'source.weight'; did you mean 'weights'"):
        read_stream_file(_file(folder, "", SOURCE.replace("weights", "weight")))
    with pytest.raises(BenchError, match=r"mine.toml: key 'source.fake': expected one of 0, 1, found 2"):
        read_stream_file(_file(folder, "", SOURCE.replace("fake = 0", "fake = 2")))


def test_with_a_source_model_the_first_domain_is_thinned_as_a_later_one(folder: Path) -> None:
    head = "[protocol]\nvideos_per_class = 1\n"
    usual = open_stream(_file(folder, "", head))
    brought = open_stream(_file(folder, "", head + SOURCE))
    assert len(usual[0].rows["train"]) > len(brought[0].rows["train"])
    assert len(usual[1].rows["train"]) == len(brought[1].rows["train"])
    file = read_stream_file(folder / "mine.toml")
    orders = open_orders(file, [["old", "new"], ["new", "old"]])
    assert orders[0][0] is orders[1][1]
