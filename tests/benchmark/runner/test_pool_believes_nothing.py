"""What is in a pool is used only as far as it is what its name says."""

from __future__ import annotations

import json
import shutil

import pytest

from fretal_bench import parsing
from fretal_bench.benchmark.runner import opened
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.run import run, train
from fretal_bench.benchmark.runner.seals import seal
from fretal_bench.errors import BenchError
from tests_support import TINY, tiny_stream


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Fine-tuning and joint training on one domain: source, and what adopts it."""
    folder = tmp_path_factory.mktemp("believes")
    tiny_stream(folder, domains=2)
    whole = (folder / "tiny.toml").read_text().split("[[domains]]")
    (folder / "one.toml").write_text("[[domains]]".join(whole[:2]))
    call = ("finetuning", "joint"), str(folder / "one.toml")
    run(*call, changes={"recipe": TINY}, jobs=1, out=folder / "results" / "r")
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    shutil.copytree(trained / "results", tmp_path / "results")
    shutil.copytree(trained / "store", tmp_path / "store")
    shutil.copy(trained / "tiny.toml", tmp_path)
    return tmp_path


@pytest.fixture
def source(folder):
    """The source model's step and its folder; what adopted it is gone, and is made from it again."""
    pool = Pool(folder / "results" / "steps")
    plan = json.loads((folder / "results" / "r" / "plan.json").read_text())
    _, id, adopted = next(entry for entry in plan["cells"] if entry["strategy"] == "finetuning")["steps"]
    shutil.rmtree(pool.step(adopted))
    return id, pool.step(id)


def reseal(place, **changes):
    path = place / "step.json"
    path.write_text(parsing.to_json({**json.loads(path.read_text()), **changes}))
    (place / "checksums.json").unlink()
    seal(place)


def grown(folder):
    """Add a domain to the stream, and make the step that begins with ``source``."""
    results = run(
        ("finetuning",), str(folder / "tiny.toml"), changes={"recipe": TINY}, out=folder / "results" / "two"
    )
    pool = Pool(folder / "results" / "steps")
    plan = json.loads((folder / "results" / "two" / "plan.json").read_text())
    return [failure.reason for failure in results.failures], pool.has_step(plan["cells"][0]["steps"][2])


def test_nothing_is_trained_from_the_state_of_another_step_that_was_copied_there(folder, source):
    id, place = source
    other = next(path for path in sorted(place.parent.iterdir()) if path != place)
    shutil.rmtree(place)
    shutil.copytree(other, place)
    reasons, went_on = grown(folder)
    assert [f"expected {id!r}, found {other.name!r}" in reason for reason in reasons] == [True]
    assert not went_on


def test_nothing_is_trained_from_a_step_whose_file_was_given_another_id(folder, source):
    id, place = source
    other = next(path for path in sorted(place.parent.iterdir()) if path != place)
    shutil.rmtree(place)
    shutil.copytree(other, place)
    reseal(place, id=id)
    reasons, went_on = grown(folder)
    assert [f"its content is not that of the id {id}" in reason for reason in reasons] == [True]
    assert not went_on


def test_steps_and_scores_without_checksums_are_refused(folder, source):
    pool = Pool(folder / "results" / "steps")
    (place,) = set(pool.judged(source[0]).values())
    for path in (source[1], place):
        (path / "checksums.json").unlink()
    for read in (pool.state, pool.phases, pool.record, pool.judged):
        with pytest.raises(BenchError, match=r"checksums\.json: expected a file, found none"):
            read(source[0])


def changed_after_planning(folder, *domains):
    """Plan a run on both domains, change what the stream's file opens, and train."""
    stream = folder / "tiny.toml"
    call = Call(
        ("finetuning",), str(stream), changes={"recipe": TINY}, jobs=1, out=folder / "results" / "two"
    )
    prepared = prepare(call)
    text = stream.read_text()
    for before, after in domains:
        text = text.replace(before, after)
    stream.write_text(text)
    return prepared


@pytest.mark.parametrize("place", ["train", "test"])
def test_a_stream_that_was_changed_after_planning_is_not_taken_for_the_planned_one(
    folder, place, monkeypatch
):
    prepared = changed_after_planning(folder, ('methods = [\n    "m1",\n]', 'methods = [\n    "m0",\n]'))
    # As in a worker process or on another machine, which opens the stream itself.
    monkeypatch.setattr(
        opened,
        "use_stream",
        lambda reference, _, use=opened.use_stream: use(
            reference, opened.open_stream(reference, verify=False)
        ),
    )
    if place == "test":
        monkeypatch.setattr("fretal_bench.benchmark.runner.step.check_learned", lambda _: None)
    train(prepared)
    (failure,) = (folder / "results" / "two" / "failures").iterdir()
    assert "domain 'D1' holds other samples than when the run was planned" in failure.read_text()
