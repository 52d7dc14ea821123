"""What a pool holds, what nothing refers to, and its removal."""

from __future__ import annotations

import json
import shutil

import pytest

from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.cleaning import remove_states, remove_unreferred, take_stock
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.errors import BenchError
from tests_support import TINY, tiny_stream


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two result folders on one pool: one of fine-tuning, one of fine-tuning and EWC."""
    folder = tmp_path_factory.mktemp("cleaning")
    stream = str(tiny_stream(folder, domains=2))
    for name, strategies in (("a", ("finetuning",)), ("b", ("finetuning", "ewc"))):
        run(strategies, stream, changes={"recipe": TINY}, jobs=1, out=folder / "results" / name)
    return folder / "results"


@pytest.fixture
def results(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "results")
    return tmp_path / "results"


def bytes_of(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def paths_of(folder):
    return [json.loads(path.read_text())["steps"] for path in sorted(folder.glob("cells/*/cell.json"))]


def test_all_that_a_pool_holds_is_counted(results):
    stock = take_stock(results / "steps")
    # The untrained model, the source model, and of both strategies what adopts it and domain 1.
    assert len(stock.held) == 6
    assert sum(1 for held in stock.held.values() if held.state) == 5
    places = [results / "steps" / kind for kind in ("steps", "scores")]
    assert sum(held.bytes for held in stock.held.values()) == sum(map(bytes_of, places))
    assert {path.name: len(steps) for path, steps in stock.folders.items()} == {"a": 4, "b": 6}
    assert not stock.unreferred


def test_what_nothing_refers_to_is_removed_and_the_rest_is_not(results):
    shutil.rmtree(results / "b")
    stock = take_stock(results / "steps")
    (path,) = paths_of(results / "a")
    assert set(stock.unreferred) == set(stock.held) - set(path)
    before = bytes_of(results / "steps")
    removed = remove_unreferred(stock)
    assert removed == before - bytes_of(results / "steps") > 0
    assert set(take_stock(results / "steps").held) == set(path)
    assert load_results(results / "a").cells


def test_only_the_checkpoints_that_no_cell_ends_with_are_removed(results):
    pool, paths = Pool(results / "steps"), paths_of(results / "b")
    stock = take_stock(pool.path)
    expected = sum(
        (pool.step(id) / "checkpoint.pt").stat().st_size for id in {*paths[0][1:-1], *paths[1][1:-1]}
    )
    assert remove_states(stock) == expected
    assert all(pool.has_state(path[-1]) for path in paths)
    assert not any(pool.has_state(id) for path in paths for id in path[1:-1])


def test_a_step_that_another_process_is_at_is_left(results):
    shutil.rmtree(results / "b")
    stock, pool = take_stock(results / "steps"), Pool(results / "steps")
    held = next(iter(stock.unreferred))
    with pool.hold(held):
        remove_unreferred(stock)
    assert set(take_stock(pool.path).unreferred) == {held}


def test_a_folder_elsewhere_that_uses_the_pool_is_known(results, tmp_path):
    stream = str(tiny_stream(tmp_path / "data", domains=2))
    run(
        ("lwf",), stream, changes={"recipe": TINY}, jobs=1, out=tmp_path / "far" / "c", pool=results / "steps"
    )
    stock = take_stock(results / "steps")
    assert tmp_path / "far" / "c" in stock.folders
    assert not stock.unreferred
    shutil.rmtree(tmp_path / "far")
    assert len(take_stock(results / "steps").unreferred) == 2


def test_nothing_is_removed_where_a_plan_cannot_be_read(results):
    (results / "b" / "plan.json").write_text("{")
    stock = take_stock(results / "steps")
    with pytest.raises(BenchError, match=r"nothing is removed, since it is not known what .*b refers to"):
        remove_unreferred(stock)
    assert len(take_stock(results / "steps").held) == 6


def test_what_killed_processes_left_is_counted_and_removed(results):
    left = results / "steps" / "steps" / ".abcdef01.part-x"
    left.mkdir()
    (left / "checkpoint.pt").write_bytes(b"half")
    stock = take_stock(results / "steps")
    assert stock.leftovers == {left: 4}
    assert remove_unreferred(stock) == 4
    assert not left.exists()


def test_what_is_no_pool_is_refused(results):
    with pytest.raises(BenchError, match="is no pool of steps"):
        take_stock(results)


def test_a_pool_is_no_result_folder_and_a_result_folder_no_pool(results, tmp_path):
    stream = str(tiny_stream(tmp_path / "data", domains=2))
    common = {"strategies": ("finetuning",), "stream": stream, "changes": {"recipe": TINY}}
    with pytest.raises(BenchError, match="is a pool of steps and no result folder; give another --out"):
        prepare(Call(**common, out=results / "steps"))
    with pytest.raises(BenchError, match="is a result folder and no pool of steps; give another --pool"):
        prepare(Call(**common, out=tmp_path / "new", pool=results / "a"))
    assert not (tmp_path / "new").exists()
