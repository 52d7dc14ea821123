"""States and result folders that several runs share: none is lost that is needed, and what is lost is made again."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from fretal_bench import plugins
from fretal_bench.benchmark.prediction.detectors import FakeDetector
from fretal_bench.benchmark.runner import cleaning
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.cleaning import remove_unreferred, take_stock
from fretal_bench.benchmark.runner.environment import environment
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.pool import NewStep, Pool
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import execute, run
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import find_strategy
from tests_support import TINY, tiny_stream


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Fine-tuning on the first two of three domains."""
    folder = tmp_path_factory.mktemp("states")
    text = tiny_stream(folder, domains=3).read_text().split("[[domains]]")
    (folder / "two.toml").write_text("[[domains]]".join(text[:3]))
    run(("finetuning",), str(folder / "two.toml"), changes={"recipe": TINY}, out=folder / "results" / "two")
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    for name in ("results", "store"):
        shutil.copytree(trained / name, tmp_path / name)
    for name in ("tiny.toml", "two.toml"):
        shutil.copy(trained / name, tmp_path)
    return tmp_path


def call_of(folder, stream="two.toml", **options):
    options = {"out": folder / "results" / "two", "jobs": 1, **options}
    return Call(("finetuning",), str(folder / stream), changes={"recipe": TINY}, **options)


def steps_of(folder):
    (entry,) = json.loads((folder / "plan.json").read_text())["cells"]
    return entry["steps"]


def test_a_run_that_keeps_the_last_states_spares_what_cells_of_other_folders_end_with(folder):
    grown = folder / "results" / "three"
    results = execute(prepare(call_of(folder, "tiny.toml", out=grown, keep="last")))
    assert len(results.cells) == 1
    pool = Pool(folder / "results" / "steps")
    ends = {steps_of(folder / "results" / name)[-1] for name in ("two", "three")}
    assert {id for id in steps_of(grown)[1:] if pool.has_state(id)} == ends


def test_states_that_are_removed_after_a_run_was_planned_are_made_again(folder):
    prepared = prepare(call_of(folder, "tiny.toml", out=folder / "results" / "three"))
    assert prepared.total == 1
    pool = Pool(folder / "results" / "steps")
    before = {id: pool.state(id) for id in steps_of(folder / "results" / "two")[1:]}
    for id in before:
        pool.drop_state(id)
    results = execute(prepared)
    assert not results.failures
    assert len(results.cells) == 1
    # On the way to what is made again nothing is changed.
    assert {id: pool.state(id) for id in before} == before


def new_step(folder, state):
    step = prepare(call_of(folder)).plan.cells[0].path[1]
    phases = [{"phase": "train", "step": 0, "seconds": 99.0}]
    return NewStep(step, state, None, phases, environment("cpu"), {"size": 32, "margin": 0.0})


def test_a_checkpoint_that_is_made_again_leaves_what_the_step_took_as_it_was(folder):
    pool, id = Pool(folder / "results" / "steps"), steps_of(folder / "results" / "two")[1]
    state, phases = pool.state(id), pool.phases(id)
    inode = pool.step(id).stat().st_ino
    pool.drop_state(id)
    pool.keep_step(new_step(folder, state))
    assert pool.state(id) == state
    assert pool.phases(id) == phases
    assert pool.step(id).stat().st_ino == inode, "the step was away for a moment"


def test_a_step_that_is_made_again_otherwise_is_whole_and_leaves_nothing(folder):
    pool, id = Pool(folder / "results" / "steps"), steps_of(folder / "results" / "two")[1]
    pool.drop_state(id)
    pool.keep_step(new_step(folder, b"other"))
    assert pool.state(id) == b"other"
    assert pool.phases(id)[0]["seconds"] == 99.0
    assert not [path for path in pool.step(id).parent.iterdir() if path.name.startswith(".")]


def test_cleaning_leaves_what_a_process_is_writing(folder):
    pool, id = Pool(folder / "results" / "steps"), "abcdef01"
    draft = pool.path / "steps" / f".{id}.part-x"
    draft.mkdir()
    with pool.hold(id):
        remove_unreferred(take_stock(pool.path))
        assert draft.is_dir()
    remove_unreferred(take_stock(pool.path))
    assert not draft.exists()


def test_cleaning_leaves_files_that_are_not_of_a_run(folder):
    note = folder / "results" / "steps" / "steps" / "notes.txt"
    note.write_text("mine")
    remove_unreferred(take_stock(folder / "results" / "steps"))
    assert note.exists()


def test_what_a_run_removes_while_a_pool_is_looked_through_is_not_counted(folder, monkeypatch):
    pool = folder / "results" / "steps"
    here = take_stock(pool).held
    gone = [
        ("steps", "abcdef01", pool / "steps" / "abcdef01"),
        ("steps", ".ab.part-x", pool / "steps" / ".ab.part-x"),
    ]
    places = cleaning._places(pool)
    monkeypatch.setattr(cleaning, "_places", lambda _: [*places, *gone])
    held = dict(take_stock(pool).held)
    assert held.pop("abcdef01").bytes == 0
    assert held == here


def test_a_run_that_goes_on_uses_the_pool_that_its_folder_used(folder):
    out = folder / "results" / "other"
    first = prepare(call_of(folder, out=out, pool=folder / "pool"))
    again = prepare(dataclasses.replace(call_of(folder, out=out), seeds=(0, 1)))
    assert again.agenda.pool.path == first.agenda.pool.path == folder / "pool" == ResultFolder(out).pool


def test_the_pool_of_a_folder_that_is_a_link_is_beside_the_link(folder):
    out = folder / "results" / "link"
    (folder / "far" / "away").mkdir(parents=True)
    out.symlink_to(folder / "far" / "away")
    prepared = prepare(call_of(folder, out=out))
    assert prepared.agenda.pool.path == ResultFolder(out).pool == folder / "results" / "steps"
    assert set(steps_of(out)) <= take_stock(folder / "results" / "steps").referred


def test_a_plugin_cannot_be_called_as_source_models_are(folder):
    # Its steps would be trained as those of the source model, under the plugin's name.
    path = folder / "mine.py"
    path.write_text(
        "from fretal_bench.strategies import ContinualStrategy, StrategyInfo\n"
        "class Mine(ContinualStrategy): pass\n"
        'STRATEGY = StrategyInfo("source", ":Mine", "mine", "mine")\n'
    )
    plugins.use_files([path])
    try:
        with pytest.raises(BenchError, match="strategy 'source': the source model's training is called so"):
            find_strategy("source")
    finally:
        plugins.forget()


def test_a_detector_is_found_from_inside_the_folder_of_cells(folder, monkeypatch):
    (cell,) = load_results(folder / "results" / "two").cells
    monkeypatch.chdir(cell.path.parent)
    assert FakeDetector(cell.id, "cpu").use.crop.size == 32
