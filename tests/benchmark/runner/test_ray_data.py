"""What a machine of a cluster is given: stores once, checked, in bounded memory; plugins; streams as on the head."""

import asyncio
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from cluster_support import write_mortal
from fretal_bench import plugins
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner import opened, ray_data
from fretal_bench.benchmark.runner.graph import Step, TestSet, set_id
from fretal_bench.benchmark.runner.opened import samples, the_sets, the_stream
from fretal_bench.benchmark.runner.ray_data import (
    Desk,
    StorePlace,
    local_store,
    needs,
    open_here,
    sent,
    setting,
    settle,
)
from fretal_bench.benchmark.runner.task import Task
from fretal_bench.datasets.store.info import DATA
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import find_strategy
from tests_support import tiny_stream


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    tiny_stream(folder)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """This machine's cache."""
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fetched(monkeypatch):
    """The pieces that were fetched, as (name, offset, bytes), with what fetches them from the head's files."""
    monkeypatch.setattr(ray_data, "PIECE", 10_000)
    pieces = []

    def fetch(place, name, size):
        for offset in range(0, size, ray_data.PIECE):
            piece = ray_data._piece(place.path, place.checksum, name, offset)
            pieces.append((name, offset, len(piece)))
            yield piece

    fetch.pieces = pieces
    return fetch


def place_of(folder, path=None, cached=None):
    store = CropStore.open(folder)
    info = (folder / "store.json").read_bytes()
    return StorePlace(path or folder, cached, store.checksum, info)


def elsewhere(place, fetch):
    """The same place on a machine that has no such folder: what is fetched is the head's."""
    away = StorePlace(Path("/nowhere/store"), place.cached, place.checksum, place.info)
    return away, lambda _, name, size: fetch(place, name, size)


def test_a_store_that_is_there_is_opened_by_its_path(world, cache, fetched):
    store = local_store(place_of(world / "store"), fetched)
    assert store.path == world / "store"
    assert fetched.pieces == []


def test_the_built_in_store_is_opened_where_this_machine_has_it(world, cache, fetched):
    shutil.copytree(world / "store", cache / "stores" / "built-in")
    place, fetch = elsewhere(place_of(world / "store", cached=Path("stores/built-in")), fetched)
    assert local_store(place, fetch).path == cache / "stores" / "built-in"
    assert fetched.pieces == []


def test_another_store_of_the_same_path_is_not_taken_for_it(world, cache, fetched, tmp_path):
    other = tiny_stream(tmp_path / "other", domains=2).parent / "store"
    place = place_of(world / "store")
    taken = StorePlace(other, None, place.checksum, place.info)
    store = local_store(taken, lambda _, name, size: fetched(place, name, size))
    assert store.path.parent == cache / "stores"
    assert store.checksum == place.checksum


def test_a_store_is_sent_whole_once_and_in_pieces(world, cache, fetched):
    place, fetch = elsewhere(place_of(world / "store"), fetched)
    store = local_store(place, fetch)
    assert np.array_equal(store.crops, CropStore.open(world / "store").crops)
    sizes = {name: (world / "store" / name).stat().st_size for name in DATA}
    assert {name: sum(n for of, _, n in fetched.pieces if of == name) for name in DATA} == sizes
    assert max(n for _, _, n in fetched.pieces) == 10_000
    fetched.pieces.clear()
    assert local_store(place, fetch).path == store.path
    assert fetched.pieces == []


def test_of_two_processes_that_lack_a_store_one_fetches_it(world, cache, fetched):
    place, fetch = elsewhere(place_of(world / "store"), fetched)
    both = threading.Barrier(2)

    def one(_):
        both.wait()
        return local_store(place, fetch).path

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(one, range(2))
    assert first == second
    assert len(fetched.pieces) == len(set(fetched.pieces))


def test_a_sent_store_that_was_damaged_is_sent_again(world, cache, fetched):
    place, fetch = elsewhere(place_of(world / "store"), fetched)
    path = local_store(place, fetch).path
    with (path / "crops.npy").open("r+b") as file:
        file.seek(5_000)
        file.write(b"\xff" * 100)
    store = local_store(place, fetch)
    assert np.array_equal(store.crops, CropStore.open(world / "store").crops)


def test_what_is_sent_and_is_not_the_store_is_kept_nowhere(world, cache, fetched):
    place = place_of(world / "store")
    away = StorePlace(Path("/nowhere"), None, place.checksum, place.info)

    def garbled(_, name, size):
        yield b"\0" * size

    with pytest.raises(BenchError, match="sha256"):
        local_store(away, garbled)
    assert [path.name for path in (cache / "stores").iterdir() if not path.name.endswith(".lock")] == []


def test_a_store_that_changed_since_the_run_began_is_not_sent(world, tmp_path):
    folder = shutil.copytree(world / "store", tmp_path / "store")
    other = tiny_stream(tmp_path / "other", domains=2).parent / "store"
    checksum = CropStore.open(other).checksum
    desk = Desk(0.0)
    with pytest.raises(BenchError, match="its content has changed since the run began"):
        asyncio.run(desk.piece(folder, checksum, "crops.npy", 0))
    with pytest.raises(BenchError, match="its content has changed"):
        asyncio.run(desk.piece(folder, CropStore.open(folder).checksum, "../secret", 0))


def test_the_desk_gives_the_news_in_order_and_once():
    async def told():
        desk = Desk(0.0)
        for number in range(3):
            await desk.tell(number)
        return await desk.news(), await desk.news()

    assert asyncio.run(told()) == ([0, 1, 2], [])


def step_of(stream, trains=True):
    order = ("D0", "D1", "D2")
    first = Step("0" * 16, -1, None, "plain", "s", {}, Recipe(), 0, stream, order)
    return Step("1" * 16, 0, first, "plain", "s", {}, Recipe(), 0, stream, order)


def test_a_task_needs_the_stream_it_trains_on_and_the_sets_it_is_judged_on():
    own = TestSet("a" * 16, "D0", "test", "mine")
    further = TestSet("b" * 16, "x", "test", "there", further=True, data=("d",))
    step = step_of("mine")
    assert needs(Task(step, (own, further))) == ("mine", ("there", ("d",), 0))
    assert needs(Task(step, (further,), trains=False)) == (("there", ("d",), 0),)


@pytest.mark.parametrize("protocol", ["videos_per_class = 2", "later_reals = false"])
def test_a_stream_that_is_sent_has_the_same_rows_in_every_order(tmp_path, cache, fetched, protocol):
    path = tiny_stream(tmp_path, domains=3, people=16)
    # Later domains are thinned, the first is not: an order changes which rows a domain has.
    path.write_text(path.read_text() + f"\n[protocol]\n{protocol}\n")
    here = the_stream(str(path))
    prints = {order: here.in_order(order).fingerprint() for order in (("D0", "D1", "D2"), ("D2", "D0", "D1"))}
    of_test = TestSet(set_id(here[1].content("test"), "test"), "D1", "test", str(path))
    test = samples(of_test).rows
    of = sent(str(path))
    opened.use_stream("another", here)
    open_here([of], fetched)
    assert {order: the_stream(str(path), order).fingerprint() for order in prints} == prints
    assert len({str(content) for content in prints.values()}) == 2
    assert np.array_equal(samples(of_test).rows, test)
    # A domain's validation samples are found as they are where it comes first, and where it comes later.
    for place in (0, 1):
        domain = here.at("D2", place)
        of_val = TestSet(set_id(domain.content("val"), "val"), "D2", "val", str(path))
        assert np.array_equal(samples(of_val).rows, domain.rows["val"])
    # It stays open for the next task.
    again = the_stream(str(path))
    open_here([of], fetched)
    assert the_stream(str(path)) is again


def test_further_sets_that_are_sent_are_the_same_samples(world, cache, fetched):
    place = (str(world / "store"), (), 0)
    prints = [domain.fingerprint() for domain in the_sets(place)]
    of = sent(place)
    opened.use_sets(("elsewhere", (), 0), ())
    open_here([of], fetched)
    assert [domain.fingerprint() for domain in the_sets(place)] == prints


@pytest.mark.parametrize("name", ["h264-40", "jpeg-30"])
def test_corrupted_sets_of_a_stream_that_is_sent_have_the_same_pixels(tmp_path, cache, fetched, name):
    path = str(tiny_stream(tmp_path))
    id = set_id({**the_stream(path)[1].content("test"), "corruption": name}, "test")
    corrupted = TestSet(id, "D1", "test", path, corruption=name)
    assert needs(Task(step_of(path), (corrupted,), trains=False)) == (path,)
    every = torch.arange(len(samples(corrupted)))
    here = samples(corrupted).images(every)
    of = sent(path)
    opened.use_stream("another", the_stream(path))
    opened._corrupted.clear()
    open_here([of], fetched)
    there = samples(corrupted)
    assert torch.equal(there.images(every), here)
    assert samples(corrupted) is there, "it is kept for the next model"
    assert not torch.equal(here, the_stream(path)[1].batches("test").images(every))


def test_a_plugin_file_that_is_sent_has_the_same_origin(tmp_path, cache):
    path = write_mortal(tmp_path)
    plugins.use_files([path])
    origin, here = find_strategy("mortal").origin, setting()
    plugins.forget()
    path.unlink()
    settle(here)
    assert find_strategy("mortal").origin == origin
    (kept,) = plugins.plugin_files()
    assert kept.is_relative_to(cache)
    plugins.forget()
