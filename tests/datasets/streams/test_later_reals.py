"""Streams whose later domains bring fakes alone (``later_reals = false``): their rows, their ids, and a whole run."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fretal_bench.benchmark.recipes.recipe import open_recipe
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.run import run
from fretal_bench.benchmark.tuning.search import prepare_search
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.file import Protocol, read_stream_file, toml_of_stream
from fretal_bench.datasets.streams.stream import Stream, open_orders
from fretal_bench.errors import BenchError
from fretal_bench.testing import tiny_stream
from tests_support import TINY

FAKES = "\n[protocol]\nlater_reals = false\n"
NAMES = ("D0", "D1", "D2")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A stream, and the same with fakes alone later, over one store."""
    plain = tiny_stream(tmp_path_factory.mktemp("later"))
    fakes = plain.with_name("fakes.toml")
    # Tables come last in the file.
    fakes.write_text(plain.read_text() + FAKES)
    return plain, fakes


def opened(path: Path, *orders: tuple[str, ...]) -> tuple[Stream, ...]:
    return open_orders(read_stream_file(path), orders or [NAMES])


def labels(domain: Domain, split: str) -> set[int]:
    return set(domain.store.index["label"].to_numpy()[domain.rows[split]].tolist())


def test_later_domains_train_and_are_validated_on_their_fakes_and_tested_on_both(
    paths: tuple[Path, Path],
) -> None:
    (plain,), (fakes,) = opened(paths[0]), opened(paths[1])
    assert fakes[0].fingerprint() == plain[0].fingerprint()
    for whole, domain in zip(plain.domains[1:], fakes.domains[1:], strict=True):
        label = domain.store.index["label"].to_numpy()
        for split in ("train", "val"):
            np.testing.assert_array_equal(
                domain.rows[split], [row for row in whole.rows[split] if label[row] == 1]
            )
        np.testing.assert_array_equal(domain.rows["test"], whole.rows["test"])
        assert (labels(domain, "val"), labels(domain, "test")) == ({1}, {0, 1})


def test_a_domain_has_reals_wherever_it_comes_first(paths: tuple[Path, Path]) -> None:
    orders = tuple(itertools.permutations(NAMES))
    for stream in opened(paths[1], *orders):
        assert [labels(domain, "train") for domain in stream] == [{0, 1}, {1}, {1}]
        assert [labels(domain, "val") for domain in stream] == [{0, 1}, {1}, {1}]


def test_streams_without_the_key_say_nothing_of_it_in_their_fingerprints(paths: tuple[Path, Path]) -> None:
    (plain,), (fakes,) = opened(paths[0]), opened(paths[1])
    assert plain.fingerprint()["protocol"] == {"videos_per_class": None, "shared_reals": True, "seed": 0}
    assert fakes.fingerprint()["protocol"] == {**plain.fingerprint()["protocol"], "later_reals": False}
    assert Protocol().content() == {"videos_per_class": None, "shared_reals": True, "seed": 0}


def test_a_stream_file_with_the_key_is_written_as_it_was_read(
    paths: tuple[Path, Path], tmp_path: Path
) -> None:
    file = read_stream_file(paths[1])
    (tmp_path / "again.toml").write_text(toml_of_stream(file))
    assert read_stream_file(tmp_path / "again.toml").protocol == file.protocol == Protocol(later_reals=False)


def test_few_videos_are_chosen_of_the_fakes_as_they_are_with_reals(paths: tuple[Path, Path]) -> None:
    few = paths[0].with_name("few.toml")
    rows = {}
    for later in (True, False):
        few.write_text(
            paths[0].read_text() + f"\n[protocol]\nvideos_per_class = 2\nlater_reals = {str(later).lower()}\n"
        )
        (stream,) = opened(few)
        label = stream[1].store.index["label"].to_numpy()
        rows[later] = [row for row in stream[1].rows["train"].tolist() if label[row] == 1]
        assert labels(stream[1], "train") == ({0, 1} if later else {1})
    assert rows[True] == rows[False]


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_domain_that_is_said_to_be_of_fakes_alone_is_held_to_that(
    paths: tuple[Path, Path], split: str
) -> None:
    (fakes,) = opened(paths[1])
    store, rows, index = fakes[1].store, dict(fakes[1].rows), fakes[1].store.index
    assert Domain("d", store, rows, fakes_only=True).fakes_only
    reals = np.flatnonzero((index["split"] == split) & (index["label"] == 0))
    mixed = np.sort(np.concatenate([rows[split], reals]))
    with pytest.raises(
        BenchError, match=f"domain 'd' holds real rows in its {split} split .* leave them out"
    ):
        Domain("d", store, {**rows, split: mixed}, fakes_only=True)
    with pytest.raises(BenchError, match=f"no fake rows in its {split} split"):
        Domain("d", store, {**rows, split: reals}, fakes_only=True)
    with pytest.raises(BenchError, match="no real rows in its train split"):
        Domain("d", store, rows)
    tested = rows["test"]
    with pytest.raises(BenchError, match="no real rows in its test split"):
        Domain("d", store, {**rows, "test": tested[index["label"].to_numpy()[tested] == 1]}, fakes_only=True)


def test_a_run_trains_on_fakes_alone_judges_both_classes_and_shares_its_first_step(
    tmp_path: Path,
) -> None:
    path = tiny_stream(tmp_path, domains=2)
    changed = path.with_name("fakes.toml")
    changed.write_text(path.read_text() + FAKES)
    common: dict[str, Any] = {
        "changes": {"recipe": TINY},
        "jobs": 1,
        "pool": tmp_path / "steps",
        "orders": "D0,D1;D1,D0",
    }
    plain = prepare(Call(["finetuning", "er"], str(path), out=tmp_path / "plain", **common)).plan
    results = run(["finetuning", "er"], str(changed), out=tmp_path / "fakes", **common)
    planned = json.loads((tmp_path / "fakes" / "plan.json").read_text())
    assert planned["stream"]["protocol"]["later_reals"] is False
    # The source model and what adopts it are the same steps; what is trained later is not.
    steps = {cell.strategy: [step.id for step in cell.path] for cell in plain.cells if cell.order == 0}
    for entry in planned["cells"]:
        if not entry.get("order", 0):
            assert entry["steps"][:3] == steps[entry["strategy"]][:3]
            assert entry["steps"][3] != steps[entry["strategy"]][3]
    for first, of_order in zip(("D0", "D1"), (results, *results.in_other_orders), strict=True):
        assert not of_order.failures
        assert len(of_order.cells) == 2
        for cell in of_order.cells:
            assert set(cell.scores.groupby("domain")["label"].nunique()) == {2}
            assert cell.validation().groupby("domain")["label"].agg(set).to_dict() == {
                name: {0, 1} if name == first else {1} for name in ("D0", "D1")
            }
    # Nothing holds fine-tuning back: it calls fake what is real in the end, where a memory has the first domain's reals.
    reals = {
        cell.strategy: cell.scores.query("step == 1 and label == 0")["score"].mean() for cell in results.cells
    }
    assert reals["er"] < reals["finetuning"]


@pytest.mark.parametrize("select", ["validation", "source-and-target"])
def test_no_epoch_is_chosen_by_fakes_alone(paths: tuple[Path, Path], tmp_path: Path, select: str) -> None:
    changes = {"recipe": {**TINY, "select": select}}
    with pytest.raises(BenchError) as caught:
        prepare(Call(["finetuning"], str(paths[1]), changes=changes, out=tmp_path / "r"))
    assert str(caught.value) == (
        "domain 'D1' of stream 'tiny' has validation rows of fakes alone (later_reals = false), which recipe 'mini' "
        f"chooses an epoch by (select={select}): calling everything fake is always right on them; "
        "use --set recipe.select=last"
    )


def test_nothing_is_tuned_by_fakes_alone(paths: tuple[Path, Path], tmp_path: Path) -> None:
    recipe = dataclasses.replace(open_recipe("mini"), epochs=1)
    call = Call(["ewc"], str(paths[1]), recipe=recipe, out=tmp_path / "r")
    with pytest.raises(BenchError, match=r"fakes alone .*; tune on a stream without that key"):
        prepare_search(call, budget=2)


def test_a_store_whose_later_domain_has_no_reals_to_train_on_is_enough(
    paths: tuple[Path, Path], tmp_path: Path
) -> None:
    store = CropStore.open(paths[0].with_name("store"))
    index = store.index
    # As a data set that brings a test of both classes and fakes to train on.
    from fretal_bench.datasets.store.store import CropStoreWriter

    kept = np.flatnonzero((index["method"] == "m1") | ((index["label"] == 0) & (index["split"] == "test")))
    with CropStoreWriter(tmp_path / "later", size=store.size, name="later") as writer:
        writer.add(store.crops[kept], index.iloc[kept].assign(dataset="later"))
        writer.finish()
    path = tmp_path / "two.toml"
    first = paths[0].with_name("store")
    path.write_text(
        f'name = "two"\n[[domains]]\nname = "D0"\nstore = "{first}"\nmethods = ["m0"]\n'
        '[[domains]]\nname = "D1"\nstore = "later"\n' + 'methods = ["m1"]\n' + FAKES
    )
    (stream,) = open_orders(read_stream_file(path), [("D0", "D1")])
    assert labels(stream[1], "train") == {1}
    with pytest.raises(BenchError, match="domain 'D1' has no real rows in its train split"):
        open_orders(read_stream_file(path), [("D1", "D0")])
