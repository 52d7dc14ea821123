"""Judging while a domain is trained: nothing of the training changes, and a course says what the strategy was then."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from fretal_bench.benchmark.runner import agenda as agenda_module
from fretal_bench.benchmark.runner import course_table
from fretal_bench.benchmark.runner import step as step_module
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.cleaning import remove_unreferred, take_stock
from fretal_bench.benchmark.runner.inspection import inspect, inspect_pool
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.benchmark.runner.seals import seal
from fretal_bench.benchmark.runner.watching import undisturbed
from fretal_bench.errors import BenchError, RunError
from fretal_bench.metrics.detection import accuracy, auc
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.template import ContinualStrategy
from tests_support import TINY, recipe_options, tiny_backbone, tiny_stream

pytestmark = pytest.mark.usefixtures("undrawn")

SOME = ("finetuning", "er", "ncm")


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny"), domains=2, people=8))


@pytest.fixture(scope="module")
def watched(stream, tmp_path_factory):
    """Some strategies, watched from the beginning."""
    out = tmp_path_factory.mktemp("watched") / "r"
    results = run(SOME, stream, changes={"recipe": TINY}, out=out, watch=2)
    assert not results.failures
    return out


def states(folder):
    """SHA-256 of every state of the pool beside a folder, by step."""
    return {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.parent.glob("steps/steps/*/checkpoint.pt")
    }


def steps_of(folder):
    """The ids of the steps of each cell, by strategy."""
    plan = json.loads((folder / "plan.json").read_text())
    return {entry["strategy"]: entry["steps"] for entry in plan["cells"]}


def courses(folder):
    """Bytes of the courses of all cells of a folder, by grid and cell."""
    paths = folder.glob("courses/*/*/course.parquet")
    return {f"{path.parent.parent.name}/{path.parent.name}": path.read_bytes() for path in paths}


def cells(folder):
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in folder.glob("cells/*/*")
        if path.name != "environment.json" and path.name != "checksums.json"
    }


def test_what_is_watched_becomes_what_it_is_without_and_what_cannot_be_has_no_course(
    stream, watched, tmp_path
):
    """The kit's check of every strategy looks between updates; this is a whole run, Avalanche's own among them."""
    names = (*SOME, "avalanche:naive", "avalanche:lwf")
    for watch, out in ((None, tmp_path / "a" / "r"), (2, tmp_path / "b" / "r")):
        assert not run(names, stream, changes={"recipe": TINY}, out=out, watch=watch).failures
    assert states(tmp_path / "a" / "r") == states(tmp_path / "b" / "r")
    pool, steps = Pool(tmp_path / "b" / "steps"), steps_of(tmp_path / "b" / "r")
    assert {name: pool.has_course(steps[name][-1], 2) for name in names} == {
        name: find_strategy(name).watchable for name in names
    }


def test_layers_in_eval_mode_stay_so_and_dropout_draws_what_it_drew(stream, tmp_path):
    options = {"batchnorm": "frozen", "select": "validation", "precision": "bf16", "epochs": 2}
    kept = []
    for name, watch in (("a", None), ("b", 1)):
        out = tmp_path / name / "r"
        run(("fretal", "er"), stream, changes={"recipe": TINY | options}, out=out, watch=watch)
        kept.append(states(out))
    assert kept[0] == kept[1]


def test_what_is_done_undisturbed_leaves_modes_attributes_and_generators_as_they_were():
    model = tiny_backbone()
    strategy = ContinualStrategy(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    strategy.teacher = tiny_backbone().eval()
    model.train()
    model.body[1].eval()
    generators = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    with undisturbed(strategy):
        model.train()
        strategy.teacher.train()
        strategy.new, strategy.seed = 1, 99
        torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
    assert (model.training, model.body[1].training, strategy.teacher.training) == (True, False, False)
    assert not hasattr(strategy, "new")
    assert strategy.seed == 0
    assert torch.equal(torch.random.get_rng_state(), generators[0])
    assert np.array_equal(np.random.get_state()[1], generators[1])  # noqa: NPY002
    assert random.getstate() == generators[2]


def test_a_course_says_what_a_training_that_ends_there_would_be_judged_to_be(stream, tmp_path):
    """The source model after its first of two epochs is, at a constant rate, the one of a recipe with one epoch."""
    recipe = TINY | {"schedule": "constant"}
    long, short = (
        run(
            ("finetuning",),
            stream,
            changes={"recipe": recipe | {"source_epochs": epochs}},
            out=tmp_path / str(epochs) / "r",
            watch=1,
        ).cells[0]
        for epochs in (2, 1)
    )
    (_, updates), (_, short_updates) = (
        (c.courses[1].about.updates[0], c.courses[1].about.updates[0]) for c in (long, short)
    )
    assert updates == 2 * short_updates
    frame = long.courses[1].frame
    (there,) = frame[(frame["step"] == 0) & (frame["update"] == short_updates)].to_dict("records")
    scores = short.validation().query("step == 0 and domain == 'D0'")
    labels, p = scores["label"].to_numpy(), scores["score"].to_numpy()
    right = there["reals_right"] + there["fakes_right"]
    assert right / (there["reals"] + there["fakes"]) == accuracy(labels, p)
    assert there["auc"] == auc(labels, p)
    chosen = np.where(labels == 1, p, 1 - p).astype(np.float64)
    assert there["loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-6)
    assert there["ended"] is False


def test_a_course_has_the_grid_the_ends_and_no_domain_before_its_turn(watched):
    by_name = {cell.strategy: cell for cell in load_results(watched).cells}
    about, frame = by_name["er"].courses[2].about, by_name["er"].courses[2].frame
    first, second = about.updates
    assert (first, second) == (6, 3), (
        "24 training images, batches of 8; two epochs of the first domain, one of the second"
    )
    moments = list(frame[["step", "update", "ended", "domain"]].itertuples(index=False, name=None))
    assert moments == [
        *((0, update, update == 6, 0) for update in (0, 2, 4, 6)),
        *((1, update, update == 3, domain) for update in (0, 2, 3) for domain in (0, 1)),
    ]
    # Before its first update a domain finds the model as the last one left it.
    ends, begins = (
        frame[frame["ended"] & (frame["domain"] == 0)],
        frame[(frame["step"] == 1) & ~frame["ended"]],
    )
    columns = ["reals_right", "fakes_right", "auc"]
    assert ends.iloc[0][columns].tolist() == begins.iloc[0][columns].tolist()
    assert about.seconds > 0
    assert about.training_seconds > 0


def test_what_is_made_at_a_domains_end_is_judged_there_alone(watched):
    cell = next(cell for cell in load_results(watched).cells if cell.strategy == "ncm")
    about, frame = cell.courses[2].about, cell.courses[2].frame
    assert (about.watched, about.updates) == (False, (0, 0))
    assert frame["ended"].all()
    assert len(frame) == 1 + 2
    scores = cell.validation().query("step == 1 and domain == 'D0'")
    last = frame[(frame["step"] == 1) & (frame["domain"] == 0)].iloc[0]
    assert last["auc"] == auc(scores["label"].to_numpy(), scores["score"].to_numpy())


def test_a_run_that_was_not_watched_is_trained_again_for_its_course_and_stays_what_it_was(
    stream, watched, tmp_path, bench
):
    out = tmp_path / "r"
    common = {"changes": {"recipe": TINY}, "out": out, "jobs": 1}
    run(SOME, stream, **common)
    before = cells(out), states(out)
    call = ["--strategies", ",".join(SOME), "--stream", stream, "--out", out, "--jobs", 1, "--watch", 2]
    code, printed, err = bench("run", *call, *recipe_options())
    assert code == 0, err
    # The source model, and a later domain of two strategies: what NCM learns of it is there at its end.
    assert f"3 steps to train into {out} (3 of them again, for their course)" in " ".join(
        (printed + err).split()
    )
    assert (cells(out), states(out)) == before
    assert courses(out) == courses(watched)
    assert prepare(Call(SOME, stream, watch=2, **common)).agenda.cells == []
    assert inspect(out).faults == inspect_pool(tmp_path / "steps").faults == []
    assert inspect(out).notes == inspect_pool(tmp_path / "steps").notes == []


def test_another_grid_stands_beside_the_first(watched, stream, tmp_path):
    shutil.copytree(watched.parent, tmp_path / "both")
    out = tmp_path / "both" / "r"
    results = run(("er",), stream, changes={"recipe": TINY}, out=out, watch=3)
    (cell,) = (cell for cell in results.cells if cell.strategy == "er")
    assert sorted(cell.courses) == [2, 3]
    assert courses(watched).items() <= courses(out).items()


@pytest.mark.long
def test_two_processes_give_the_courses_of_one(watched, stream, tmp_path):
    run(SOME, stream, changes={"recipe": TINY}, out=tmp_path / "r", jobs=2, watch=2)
    assert courses(tmp_path / "r") == courses(watched)


def test_a_course_travels_with_its_step(stream, tmp_path):
    """As Ray brings it home."""
    ready = prepare(Call(("er",), stream, changes={"recipe": TINY}, out=tmp_path / "r", watch=2))
    task = ready.agenda.take()
    new = []
    step_module.compute(task, None, lambda _: None, new.append)
    (there,) = pickle.loads(pickle.dumps(new))
    assert there.course == new[0].course
    assert there.course.rows[0]["update"] == 0


def test_what_is_trained_in_one_piece_has_the_course_of_every_step(stream, tmp_path):
    (cell,) = run(("avalanche:naive",), stream, changes={"recipe": TINY}, out=tmp_path / "r", watch=1).cells
    frame = cell.courses[1].frame
    assert set(frame[~frame["ended"]]["step"]) == {0, 1}


def test_every_order_of_the_domains_has_courses(stream, tmp_path):
    results = run(("er",), stream, changes={"recipe": TINY}, out=tmp_path / "r", orders="all", watch=2)
    (other,) = results.in_other_orders
    assert [sorted(cell.courses) for cell in (*results.cells, *other.cells)] == [[2], [2]]


def test_a_run_that_was_killed_before_the_course_was_kept_goes_on_and_ends_the_same(
    stream, watched, tmp_path, monkeypatch
):
    common = {"changes": {"recipe": TINY}, "out": tmp_path / "r", "jobs": 1, "watch": 2}

    def killed(*_):
        raise RunError("killed")

    for place in ((Pool, "keep_course"), (agenda_module, "finish_course")):
        with monkeypatch.context() as patched:
            patched.setattr(*place, killed)
            with pytest.raises(RunError, match="killed"):
                run(SOME, stream, **common)
    run(SOME, stream, **common)
    assert courses(tmp_path / "r") == courses(watched)
    assert cells(tmp_path / "r") == cells(watched)


def test_a_step_that_becomes_another_gets_no_course_and_its_cell_stays(stream, tmp_path, bench):
    out = tmp_path / "r"
    common = {"changes": {"recipe": TINY}, "out": out, "jobs": 1}
    run(("er",), stream, **common)
    place = Pool(tmp_path / "steps").step(steps_of(out)["er"][-1])
    state = torch.load(place / "checkpoint.pt", weights_only=True)
    state["model"] = {name: weight + 1 for name, weight in state["model"].items()}
    torch.save(state, place / "checkpoint.pt")
    (place / "checksums.json").unlink()
    seal(place)
    before = cells(out)
    call = ["--strategies", "er", "--stream", stream, "--out", out, "--jobs", 1, "--watch", 2]
    code, _, err = bench("run", *call, *recipe_options())
    assert code == 1
    assert "1 done cell has no course (er, seed 0)" in err
    assert "trained again for its course it became another" in err
    assert cells(out) == before
    assert not courses(out)
    assert not load_results(out).failures


def test_a_cell_of_another_training_than_the_pools_gets_no_course(stream, tmp_path, monkeypatch):
    out = tmp_path / "r"
    common = {"changes": {"recipe": TINY}, "out": out, "jobs": 1}
    run(("er",), stream, **common)
    shutil.rmtree(tmp_path / "steps")
    real = step_module.build_network

    def other(recipe, seed, *architecture):
        return real(recipe, seed + 1, *architecture)

    monkeypatch.setattr(step_module, "build_network", other)
    with pytest.raises(
        RunError, match=r"validation.parquet: its scores after domain 'D0' are not those of step"
    ):
        run(("er",), stream, watch=2, **common)


def test_courses_go_with_their_steps_when_a_pool_is_cleaned(watched, tmp_path):
    shutil.copytree(watched.parent, tmp_path / "both")
    pool = tmp_path / "both" / "steps"
    assert inspect_pool(pool).courses == 3
    assert not take_stock(pool).unreferred
    shutil.rmtree(tmp_path / "both" / "r")
    remove_unreferred(take_stock(pool))
    assert not list(pool.glob("courses/*"))


@pytest.mark.parametrize("place", ["r/courses/*/*", "steps/courses/*/*"])
def test_a_damaged_course_is_named(watched, tmp_path, place):
    shutil.copytree(watched.parent, tmp_path / "both")
    path = sorted((tmp_path / "both").glob(place))[0] / course_table.NAME
    path.write_bytes(path.read_bytes()[:-1])
    (fault,) = (inspect if place.startswith("r") else inspect_pool)(
        tmp_path / "both" / place.split("/")[0]
    ).faults
    assert str(path) in fault
    assert "not the file that was written" in fault


def test_a_course_of_other_moments_or_impossible_counts_is_refused(watched):
    path = next(watched.glob("courses/*/*/course.parquet"))
    frame = pd.read_parquet(path)
    about = json.loads((path.parent / "course.json").read_text())
    every = about["every"] if about["watched"] else 0
    expected = [
        course_table.Grid(step, every, updates, ended=True) for step, updates in enumerate(about["updates"])
    ]
    assert course_table.read(path.read_bytes(), expected, "f", "do").equals(frame)
    for wrong, reason in (
        (frame.iloc[:-1], f"expected {len(frame)} rows, found {len(frame) - 1}"),
        (frame.iloc[::-1], "row 0: expected step, update, ended and domain"),
        (frame.assign(reals_right=frame["reals"] + 1), "'reals_right': expected 0 to"),
        (frame.assign(fakes=np.arange(len(frame), dtype=np.int32) + 9), "'fakes': the same domain"),
        (frame.assign(auc=2.0), "some values of auc"),
        (frame.drop(columns="loss"), "expected the columns"),
    ):
        with pytest.raises(BenchError, match=reason):
            course_table.read(course_table.to_bytes(wrong), expected, "f", "do")
    with pytest.raises(BenchError, match="expected a Parquet file"):
        course_table.read(b"no", expected, "f", "do")


def test_scores_that_are_no_numbers_are_on_no_side():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.9, np.nan, 0.5], np.float32)
    row = course_table.row((0, 0, False, 0), labels, scores)
    assert (row["reals"], row["fakes"], row["reals_right"], row["fakes_right"]) == (2, 2, 1, 1)
    assert np.isnan(row["auc"])
    assert np.isnan(row["loss"])


def test_a_training_that_diverges_is_said_to_with_a_watch_as_without(stream, tmp_path):
    changes = {"recipe": TINY, "ewc": {"lambda_": 1e300}}
    reasons = [
        run(("ewc",), stream, changes=changes, out=tmp_path / name / "r", watch=watch).failures[0].reason
        for name, watch in (("a", None), ("b", 1))
    ]
    assert reasons[0] == reasons[1]
    assert reasons[0].startswith("training diverged on domain 'D1'")


@pytest.mark.parametrize("watch", [0, -1, course_table.MOST + 1])
def test_a_number_of_updates_that_is_none_is_refused(stream, tmp_path, watch):
    with pytest.raises(BenchError, match=r"--watch must be a number of updates from 1 to"):
        prepare(Call(("er",), stream, changes={"recipe": TINY}, out=tmp_path / "r", watch=watch))
    assert not (tmp_path / "r").exists()


def test_a_stream_without_validation_people_cannot_be_watched(stream, tmp_path, monkeypatch):
    from fretal_bench.benchmark.runner import call as call_module

    asked = []
    monkeypatch.setattr(
        call_module, "check_validation", lambda stream, use, remedy: asked.append((use, remedy))
    )
    prepare(Call(("er",), stream, changes={"recipe": TINY}, out=tmp_path / "r", watch=2))
    assert ("--watch judges", "leave out --watch") in asked


def test_the_time_of_the_watch_is_no_part_of_the_training(stream, tmp_path, monkeypatch):
    from fretal_bench.benchmark.runner import environment as environment_module
    from fretal_bench.benchmark.runner.watching import Watch

    clock = [0.0]
    monkeypatch.setattr(environment_module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(Watch, "_judge", lambda self, _: clock.__setitem__(0, clock[0] + 1000))
    ready = prepare(Call(("er",), stream, changes={"recipe": TINY}, out=tmp_path / "r", watch=1))
    new = []
    step_module.compute(ready.agenda.take(), None, lambda _: None, new.append)
    assert new[0].phases[0]["seconds"] == 0
    assert new[0].course.seconds == 6000
    assert new[0].course.training_seconds == 0
