"""What result folders share by their pool: grown streams, pairs of domains, orders, and pools that are damaged."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fretal_bench.benchmark.runner import step as step_module
from fretal_bench.benchmark.runner.content import content_id
from fretal_bench.benchmark.runner.documents import plan_checksum
from fretal_bench.benchmark.runner.inspection import inspect
from fretal_bench.benchmark.runner.pool import NewStep
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.benchmark.runner.seals import CHECKSUMS, seal
from fretal_bench.errors import BenchError
from fretal_bench.reporting.report import write_report
from tests_support import TINY, namespace, tiny_stream

pytestmark = pytest.mark.usefixtures("undrawn")

NAMES = ("D0", "D1", "D2", "D3")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store with the fakes of four domains, and the stream of all."""
    folder = tmp_path_factory.mktemp("world")
    tiny_stream(folder, domains=4, people=8)
    return folder


@pytest.fixture(scope="module")
def stream_of(world):
    """Write the stream of some of the domains, and return its path."""

    def stream_of(*names):
        head, *domains = (world / "tiny.toml").read_text().split("[[domains]]")
        by_name = dict(zip(NAMES, domains, strict=True))
        path = world / f"{'-'.join(names)}.toml"
        path.write_text("[[domains]]".join([head, *(by_name[name] for name in names)]))
        return str(path)

    return stream_of


@pytest.fixture(scope="module")
def two(stream_of, tmp_path_factory):
    """A run on the first two domains; its parent folder holds the pool too."""
    out = tmp_path_factory.mktemp("two") / "r"
    assert not trained(("finetuning", "fretal"), stream_of("D0", "D1"), out)[0].failures
    return out


def trained(strategies, stream, out, **more):
    """Run, and return the results and which steps were trained: label and number."""
    done = []

    def listen(report):
        if report.phase == "done":
            done.append((report.label, report.step))

    results = run(strategies, stream, changes={"recipe": TINY}, out=out, jobs=1, listener=listen, **more)
    return results, done


def tables(out):
    """Bytes of every cell's test and validation scores by cell id and file."""
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in out.glob("cells/*/*.parquet")}


def rows_of(table, step, domains):
    """What a table of scores says of some domains after a step, as bytes."""
    frame = table[(table["step"] == step) & table["domain"].isin(domains)]
    return [frame[column].to_numpy().tobytes() for column in ("row", "label", "score")]


def test_a_grown_stream_trains_one_step_a_cell_and_has_the_same_scores_so_far(two, stream_of, tmp_path):
    shutil.copytree(two.parent, tmp_path / "both")
    before = load_results(two)
    grown, done = trained(("finetuning", "fretal"), stream_of("D0", "D1", "D2"), tmp_path / "both" / "grown")
    assert done == [("finetuning, seed 0", 2), ("fretal, seed 0", 2)]
    for old, new in zip(before.cells, grown.cells, strict=True):
        assert old.id != new.id
        for of in (lambda cell: cell.scores, lambda cell: cell.validation()):
            for step in (-1, 0, 1):
                old_rows, new_rows = (rows_of(of(cell), step, NAMES[:2]) for cell in (old, new))
                assert old_rows == new_rows
                assert old_rows[0]
    # All of it is what a run without anything to share gives.
    alone, done = trained(("finetuning", "fretal"), stream_of("D0", "D1", "D2"), tmp_path / "alone" / "r")
    assert len(done) == 1 + 2 * 2
    assert tables(alone.path) == tables(grown.path)


def test_twelve_ordered_pairs_of_four_domains_take_four_source_models_and_twelve_steps(stream_of, tmp_path):
    done = []
    for first, second in itertools.permutations(NAMES, 2):
        results, here = trained(("finetuning",), stream_of(first, second), tmp_path / f"{first}-{second}")
        assert len(results.cells) == 1
        done += here
    assert done.count(("source model, seed 0", 0)) == 4
    assert done.count(("finetuning, seed 0", 1)) == 12
    assert len(done) == 16
    states = list(tmp_path.glob("steps/steps/*/checkpoint.pt"))
    # Beside those that were trained, every source model is adopted once.
    assert len(states) == 16 + 4


def test_all_orders_of_four_domains_train_every_beginning_once(world, tmp_path, monkeypatch):
    histories = []

    def stand_in(task, state, listener):
        """Learn the name of a domain in place of training."""
        learned = [*(json.loads(state) if state else []), task.step.domain]
        histories.append(tuple(learned))
        return kept(task.step, learned)

    def kept(step, learned, judges_as=None):
        made_with = {"versions": {}, "system": "", "machine": "", "processor": "", "device": "cpu"}
        crop = {"size": 32, "margin": 0.0}
        return NewStep(step, json.dumps(learned).encode(), judges_as, [], made_with, crop)

    def adopted(step, state):
        return kept(step, json.loads(state), step.before.id)

    def judge(judge, source):
        return np.full(len(source), 0.5, np.float32)

    monkeypatch.setattr(step_module, "_trained", stand_in)
    monkeypatch.setattr(step_module, "_adopted", adopted)
    monkeypatch.setattr(step_module, "_judge", lambda *_: namespace(device=torch.device("cpu")))
    monkeypatch.setattr(step_module.life, "judge", judge)
    results, done = trained(("finetuning",), str(world / "tiny.toml"), tmp_path / "r", orders="all")
    assert len(done) == len(histories) == 4 + 12 + 24 + 24
    expected = {beginning for size in range(1, 5) for beginning in itertools.permutations(NAMES, size)}
    assert set(histories) == expected
    runs = (results, *results.in_other_orders)
    assert len(runs) == 24
    orders = {tuple(domain["name"] for domain in of.plan["stream"]["domains"]) for of in runs}
    assert orders == set(itertools.permutations(NAMES))
    assert all(len(of.cells) == 1 and not of.missing and not of.failures for of in runs)


def test_orders_that_begin_alike_share_steps_and_score_as_a_run_of_that_order_alone(stream_of, tmp_path):
    orders = "D0,D1,D2;D0,D2,D1"
    results, done = trained(("finetuning",), stream_of("D0", "D1", "D2"), tmp_path / "r", orders=orders)
    assert len(done) == 1 + 2 * 2
    (other,) = results.in_other_orders
    alone, done = trained(("finetuning",), stream_of("D0", "D2", "D1"), tmp_path / "alone" / "r")
    assert len(done) == 3
    assert (other.path / "cells" / other.cells[0].id / "scores.parquet").read_bytes() == (
        alone.path / "cells" / alone.cells[0].id / "scores.parquet"
    ).read_bytes()
    assert other.cells[0].id == alone.cells[0].id


def test_last_states_alone_are_kept_and_a_larger_run_trains_again_only_what_it_needs(
    two, stream_of, tmp_path
):
    out = tmp_path / "r"
    results, done = trained(("finetuning", "fretal"), stream_of("D0", "D1"), out, keep="last")
    assert len(done) == 3
    assert tables(out) == tables(two)
    lasts = {json.loads((cell.path / "cell.json").read_text())["steps"][-1] for cell in results.cells}
    assert {path.parent.name for path in tmp_path.glob("steps/steps/*/checkpoint.pt")} == lasts
    # Gone on from the last state; the source model is to be judged on the new domain too, and its state is gone.
    grown, done = trained(("finetuning",), stream_of("D0", "D1", "D2"), tmp_path / "grown", keep="last")
    assert done == [("source model, seed 0", 0), ("finetuning, seed 0", 2)]
    # Another strategy needs the source model, whose state is gone; no strategy's steps.
    larger, done = trained(("finetuning", "fretal", "ewc"), stream_of("D0", "D1"), out)
    assert done == [("source model, seed 0", 0), ("ewc, seed 0", 1)]
    assert tables(two).items() <= tables(out).items()
    alone, _ = trained(("ewc",), stream_of("D0", "D1"), tmp_path / "alone" / "r")
    assert tables(alone.path).items() <= tables(larger.path).items()
    alone, _ = trained(("finetuning",), stream_of("D0", "D1", "D2"), tmp_path / "alone" / "grown")
    assert tables(alone.path) == tables(grown.path)


def test_a_result_folder_that_was_moved_away_from_its_pool_still_reports(two, stream_of, tmp_path):
    write_report(load_results(two), tmp_path / "before")
    moved = shutil.copytree(two, tmp_path / "elsewhere" / "moved")
    write_report(load_results(moved), tmp_path / "after")
    name = Path("tables") / "values.csv"
    assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    # And it is done: nothing is trained, and no pool is made.
    _, done = trained(("finetuning", "fretal"), stream_of("D0", "D1"), moved)
    assert not done
    assert not list(tmp_path.glob("elsewhere/steps/steps"))


def test_what_is_trained_in_one_piece_is_trained_anew_when_it_grows_and_its_steps_stay(stream_of, tmp_path):
    strategy = ("avalanche:naive",)
    small, done = trained(strategy, stream_of("D0", "D1"), tmp_path / "small")
    assert done == [("avalanche:naive, seed 0", 1)], "one task for all"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("steps/steps/*/*")}
    contents = {path: path.read_bytes() for path in before}
    assert len({path.parent for path in before}) == 2
    grown, done = trained(strategy, stream_of("D0", "D1", "D2"), tmp_path / "grown")
    assert done == [("avalanche:naive, seed 0", 2)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path: path.read_bytes() for path in before} == contents
    assert len(list(tmp_path.glob("steps/steps/*"))) == 3
    for step in (-1, 0, 1):
        assert rows_of(small.cells[0].scores, step, NAMES[:2]) == rows_of(
            grown.cells[0].scores, step, NAMES[:2]
        )
    alone, _ = trained(strategy, stream_of("D0", "D1", "D2"), tmp_path / "alone" / "r")
    assert tables(alone.path) == tables(grown.path)


def step_folder(out, at=-1, strategy="finetuning"):
    """The folder of a step of a cell, in the pool beside its result folder."""
    cell = next(cell for cell in load_results(out).cells if cell.strategy == strategy)
    steps = json.loads((cell.path / "cell.json").read_text())["steps"]
    return out.parent / "steps" / "steps" / steps[at]


def changed_json(name, **changes):
    def change(folder):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        (folder / CHECKSUMS).unlink()
        seal(folder)

    return change


def truncated(folder):
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])


def of_another_step(folder):
    other = next(path for path in folder.parent.iterdir() if path != folder)
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


DAMAGED = {
    "truncated state": (truncated, "checkpoint.pt", "not the file that was written"),
    "state that is gone bad": (
        lambda folder: (folder / "checkpoint.pt").write_bytes(b""),
        "checkpoint.pt",
        "not the file that was written",
    ),
    "another format": (
        changed_json("step.json", format=7),
        "step.json",
        "key 'format': expected 1, found 7: another version of fretal-bench wrote it; give another --pool",
    ),
    "another step": (of_another_step, "step.json", "key 'id': expected"),
    "no step.json": (lambda folder: (folder / "step.json").unlink(), "step.json", "No such file"),
}


@pytest.mark.parametrize(("damage", "name", "words"), DAMAGED.values(), ids=DAMAGED)
def test_a_step_that_is_damaged_or_of_another_version_is_named_and_trained_again_once_it_is_removed(
    damage, name, words, two, stream_of, tmp_path
):
    shutil.copytree(two.parent, tmp_path / "both")
    out = tmp_path / "both" / "grown"
    spoilt = step_folder(tmp_path / "both" / "r")
    damage(spoilt)
    there = {path for path in (tmp_path / "both").rglob("*") if path.is_file()}
    line = refusal(("finetuning",), stream_of("D0", "D1", "D2"), out)
    assert str(spoilt / name) in line
    assert words in line
    assert line.isprintable()
    assert there <= set((tmp_path / "both").rglob("*")), "nothing is lost"
    # The done cells do without their pool.
    assert len(load_results(two).cells) == 2
    shutil.rmtree(spoilt)
    results, done = trained(("finetuning",), stream_of("D0", "D1", "D2"), out)
    assert not results.failures
    assert done == [("finetuning, seed 0", 1), ("finetuning, seed 0", 2)]
    alone, _ = trained(("finetuning",), stream_of("D0", "D1", "D2"), tmp_path / "alone" / "r")
    assert tables(alone.path) == tables(out)


def refusal(strategies, stream, out):
    """The line with which a run fails, or is refused, for its only cell."""
    try:
        results, _ = trained(strategies, stream, out)
    except BenchError as error:
        return str(error)
    (failure,) = results.failures
    return failure.reason


def test_scores_of_the_pool_that_are_damaged_are_named_and_judged_again_once_they_are_removed(
    two, stream_of, tmp_path
):
    shutil.copytree(two.parent, tmp_path / "both")
    out = tmp_path / "both" / "grown"
    step = step_folder(tmp_path / "both" / "r").name
    (table,) = tmp_path.glob(f"both/steps/scores/{step}/*/scores.parquet")
    frame = pd.read_parquet(table)
    frame.assign(score=np.float32(0.5)).to_parquet(table, index=False)
    line = refusal(("finetuning",), stream_of("D0", "D1", "D2"), out)
    assert line.startswith(f"{table}: not the file that was written")
    shutil.rmtree(table.parent)
    results, done = trained(("finetuning",), stream_of("D0", "D1", "D2"), out)
    assert not results.failures
    assert not done, "judged again without training: the last domain was learned before"
    alone, _ = trained(("finetuning",), stream_of("D0", "D1", "D2"), tmp_path / "alone" / "r")
    assert tables(alone.path) == tables(out)


def test_a_pool_of_other_scores_than_the_streams_is_refused(two, stream_of, tmp_path):
    shutil.copytree(two.parent, tmp_path / "both")
    step = step_folder(tmp_path / "both" / "r").name
    (batch,) = tmp_path.glob(f"both/steps/scores/{step}/*")
    changed_json("judged.json", step="0" * 16)(batch)
    line = refusal(("finetuning",), stream_of("D0", "D1", "D2"), tmp_path / "both" / "grown")
    assert line.startswith(f"{batch / 'judged.json'}: key 'step': expected {step!r}")


def as_first_format(out, pool):
    """Rewrite a result folder as versions before the pool of steps wrote it."""
    plan = json.loads((out / "plan.json").read_text())
    content = {key: plan["recipe"][key] for key in plan["recipe"] if key != "name"}
    stream = {key: plan["stream"][key] for key in plan["stream"] if key not in ("left_out", "shortcuts")}
    for entry in plan["cells"]:
        source = content_id({"stream": stream, "recipe": content, "seed": entry["seed"]})
        last = entry.pop("steps")[-1]
        entry["source"] = source
        folder = out / "cells" / entry["id"]
        about = json.loads((folder / "cell.json").read_text())
        del about["steps"]
        (folder / "cell.json").write_text(json.dumps({**about, "source": source}))
        shutil.copy(pool / "steps" / last / "checkpoint.pt", folder)
        (folder / CHECKSUMS).unlink()
        seal(folder)
    plan["format"] = 1
    plan["checksum"] = plan_checksum(plan)
    (out / "plan.json").write_text(json.dumps(plan))


def test_a_folder_of_the_first_format_is_joined_by_a_new_run_and_its_cells_stay_as_they_are(
    two, stream_of, tmp_path
):
    out = tmp_path / "r"
    shutil.copytree(two, out)
    as_first_format(out, two.parent / "steps")
    assert not inspect(out).faults
    written = {path: path.read_bytes() for path in out.glob("cells/*/*")}
    write_report(load_results(out), tmp_path / "before")
    write_report(load_results(two), tmp_path / "now")
    values = Path("tables") / "values.csv"
    assert (tmp_path / "before" / values).read_bytes() == (tmp_path / "now" / values).read_bytes()

    results, done = trained(("finetuning", "fretal", "ewc"), stream_of("D0", "D1"), out)
    assert [cell.strategy for cell in results.cells] == ["finetuning", "fretal", "ewc"]
    # Its source model is not in a pool.
    assert done == [("source model, seed 0", 0), ("ewc, seed 0", 1)]
    assert {path: path.read_bytes() for path in written} == written
    assert not inspect(out).faults
    assert json.loads((out / "plan.json").read_text())["format"] == 2
    alone, _ = trained(("ewc",), stream_of("D0", "D1"), tmp_path / "alone" / "r")
    assert tables(alone.path).items() <= tables(out).items()


def test_an_unfinished_cell_of_the_first_format_is_trained_anew_and_its_old_steps_go(
    two, stream_of, tmp_path
):
    out = tmp_path / "r"
    shutil.copytree(two, out)
    as_first_format(out, two.parent / "steps")
    first, second = (cell.path for cell in load_results(out).cells)
    left = out / "progress" / second.name / "step-0"
    left.mkdir(parents=True)
    (left / "checkpoint.pt").write_bytes(b"of an earlier version")
    shutil.rmtree(second)
    results, done = trained(("finetuning", "fretal"), stream_of("D0", "D1"), out)
    assert done == [("source model, seed 0", 0), ("fretal, seed 0", 1)]
    assert tables(out) == tables(two)
    assert first.is_dir()
    assert not results.missing
