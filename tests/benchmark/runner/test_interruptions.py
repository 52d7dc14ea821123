"""Runs that are killed, ended, or stopped by a full disk, and runs at the same time: the same bytes in the end."""

import errno
import multiprocessing
import os
import re
import signal
from pathlib import Path

import pytest

import run_children
from fretal_bench import files
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.errors import BenchError, RunError
from run_children import ended, started
from tests_support import TINY, recipe_options, tiny_stream

STRATEGIES = ("fretal", "joint")
WHOLE = ("avalanche:naive",)
"""Trained in one piece."""


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny"), domains=2, people=8))


@pytest.fixture(scope="module")
def reference(stream, tmp_path_factory):
    """One undisturbed run of all strategies, in this process, with a pool of its own."""
    out = tmp_path_factory.mktemp("reference") / "r"
    results = run((*STRATEGIES, *WHOLE), stream, changes={"recipe": TINY}, jobs=1, out=out)
    assert not results.failures
    return out


def cells(out, strategies):
    """Bytes of the test and validation scores of some strategies' cells by cell id and file."""
    ids = {cell.id for cell in load_results(out).cells if cell.strategy in strategies}
    assert len(ids) == len(strategies)
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in out.glob("cells/*/*.parquet")
        if path.parent.name in ids
    }


def states(out):
    """Bytes of the states in the pool beside a result folder, by step."""
    return {path.parent.name: path.read_bytes() for path in out.parent.glob("steps/steps/*/checkpoint.pt")}


def parts(folder):
    """What was left half-written."""
    return [path for path in folder.rglob("*") if ".part-" in path.name]


@pytest.mark.parametrize(
    ("strategies", "after", "least"),
    [(STRATEGIES[:1], True, 8), (STRATEGIES[:1], False, 8), (WHOLE, True, 6)],
    ids=["after", "before", "in one piece"],
)
def test_a_run_killed_at_each_rename_ends_with_the_same_bytes(
    strategies, after, least, stream, reference, tmp_path
):
    out = tmp_path / "r"
    kills = 0
    for _ in range(40):
        # The plan is written again at every start; the rename after it is the first that makes progress.
        number = 1 if kills == 0 else 2
        code = ended(started(run_children.run_until_rename, strategies, stream, out, number, after))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
        if not after and kills > 1:
            # Killed before the rename, nothing moved on: let this one step happen.
            ended(started(run_children.run_until_rename, strategies, stream, out, 2, True))
    assert kills >= least
    assert cells(out, strategies) == cells(reference, strategies)
    assert states(out).items() <= states(reference).items()
    assert not [path for path in parts(tmp_path) if path.is_dir()]


def test_a_disk_that_is_full_at_each_rename_stops_the_run_with_one_line_and_loses_nothing(
    stream, reference, tmp_path, monkeypatch
):
    out, real, room = tmp_path / "r", files.move, [0]

    def full(part, final):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= 1
        real(part, final)

    monkeypatch.setattr(files, "move", full)
    refused, kept = [], set()
    for attempt in range(40):
        # No room for the plan, then for the plan alone, then for one thing more at every attempt.
        room[0] = min(attempt, 2)
        refusal = None
        try:
            run((*STRATEGIES, *WHOLE), stream, changes={"recipe": TINY}, jobs=1, out=out)
        except RunError as error:
            refusal = error
        if refusal is None:
            break
        assert refusal.exit_code == 1
        assert str(refusal).count("no space left") == 1
        assert str(refusal).isprintable()
        refused.append(str(refusal).partition(": ")[0])
        there = {path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"}
        assert kept <= there
        assert not parts(tmp_path)
        kept = there
    for place in ("r/plan.json", "steps/steps/", "steps/scores/", "r/cells/"):
        assert any(str(tmp_path / place) in path for path in refused), place
    assert len(refused) >= 18
    assert cells(out, (*STRATEGIES, *WHOLE)) == cells(reference, (*STRATEGIES, *WHOLE))
    assert states(out) == states(reference)


def test_a_disk_that_is_full_where_a_failure_is_written_down_is_said_in_one_line(
    stream, tmp_path, monkeypatch
):
    monkeypatch.setattr("fretal_bench.strategies.penalties.ewc.EWC.penalty", lambda self: 1 / 0)
    real = files.move

    def full(part, final):
        if final.parent.name == "failures":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(part, final)

    monkeypatch.setattr(files, "move", full)
    with pytest.raises(RunError, match="no space left"):
        run(("ewc",), stream, changes={"recipe": TINY}, jobs=1, out=tmp_path / "r")


@pytest.mark.parametrize("name", ["checkpoint.pt", "scores.parquet"])
def test_a_disk_that_fills_while_a_file_is_written_is_said_in_the_same_line(
    name, stream, tmp_path, monkeypatch
):
    from pathlib import Path

    real = Path.write_bytes

    def full(path, content):
        if path.name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunError, match="no space left"):
        run(("finetuning",), stream, changes={"recipe": TINY}, jobs=1, out=tmp_path / "r")
    assert not parts(tmp_path)


def test_a_pool_that_cannot_be_written_is_refused_before_anything_runs(stream, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    for pool, words in (
        (tmp_path / "file", "cannot be written"),
        (tmp_path / "file" / "below", "cannot be written"),
        ("/proc/steps", "cannot be written"),
        (tmp_path / "mine", "is not empty and no pool of steps"),
    ):
        call = Call(("ewc",), stream, changes={"recipe": TINY}, out=tmp_path / "r", pool=pool)
        with pytest.raises(BenchError, match=rf"{pool}.*{words}.*give another --pool") as caught:
            prepare(call)
        assert caught.value.exit_code == 2
        assert str(caught.value).isprintable()
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


@pytest.mark.parametrize(
    ("place", "jobs"),
    [("steps", 1), ("scores", 1), ("locks", 1), pytest.param("steps", 2, marks=pytest.mark.long)],
)
def test_a_place_of_the_pool_that_cannot_be_written_is_one_line_a_cell_and_costs_nothing_else(
    place, jobs, stream, reference, tmp_path
):
    pool = Pool(tmp_path / "steps")
    pool.create()
    if place == "locks":
        # Where permissions say nothing, to root, a folder in the lock's place refuses as they would.
        ready = prepare(Call(("fretal",), stream, changes={"recipe": TINY}, out=tmp_path / "r", jobs=1))
        (blocked,) = [pool.path / "locks" / f"{ready.plan.cells[0].path[-1].id}.lock"]
        blocked.mkdir()
    else:
        blocked = pool.path / place
        blocked.write_text("in the way")
    call = {"changes": {"recipe": TINY}, "jobs": jobs, "out": tmp_path / "r"}
    (failure,) = run(("fretal",), stream, **call).failures
    assert "cannot be" in failure.reason
    assert str(pool.path) in failure.reason
    assert failure.reason.isprintable()
    blocked.rmdir() if place == "locks" else blocked.unlink()
    assert not run(("fretal",), stream, **call).failures
    assert cells(tmp_path / "r", ("fretal",)) == cells(reference, ("fretal",))


def _is_alive(pid):
    """Whether a process runs; one that has ended, and that nobody has asked how, does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at in /proc")
@pytest.mark.parametrize(("jobs", "to_all"), [(1, False), (2, False), (2, True)])
def test_a_run_that_is_sent_sigterm_ends_with_one_line_and_goes_on_to_the_same_bytes(
    jobs, to_all, stream, reference, tmp_path
):
    out = tmp_path / "r"
    words = ["run", "--strategies", ",".join(STRATEGIES), "--stream", stream, "--out", out, "--jobs", jobs]
    code = ended(started(run_children.bench_until_sigterm, [*words, *recipe_options()], tmp_path, to_all))
    lines = (tmp_path / "err").read_text().splitlines()
    (last,) = [line for line in lines if line.startswith("bench:")]
    assert re.fullmatch(
        r"bench: stopped by SIGTERM after \d+ of \d+ steps; what is done is kept; go on with: bench .*", last
    )
    assert code == 128 + signal.SIGTERM
    assert not any("Traceback" in line for line in lines)
    workers = (tmp_path / "workers").read_text().split()
    assert len(workers) == (jobs if jobs > 1 else 0)
    assert not any(_is_alive(int(pid)) for pid in workers)
    assert states(out)
    # A worker is ended in the midst of writing, too.
    assert jobs > 1 or not parts(tmp_path)
    run(STRATEGIES, stream, changes={"recipe": TINY}, jobs=1, out=out)
    assert not [path for path in parts(tmp_path) if path.is_dir()]
    assert cells(out, STRATEGIES) == cells(reference, STRATEGIES)


@pytest.mark.parametrize("folders", [("r", "r"), ("r", "other")], ids=["one folder", "two folders"])
def test_two_runs_at_once_share_a_pool_and_train_nothing_twice(folders, stream, reference, tmp_path):
    pipes, processes = [], []
    for folder in folders:
        here, there = multiprocessing.get_context("forkserver").Pipe(duplex=False)
        arguments = (STRATEGIES, stream, tmp_path / folder, tmp_path / "steps", there)
        processes.append(started(run_children.run_and_count, *arguments))
        there.close()
        pipes.append(here)
    trained = []
    for process, pipe in zip(processes, pipes, strict=True):
        assert ended(process) == 0
        trained += pipe.recv()
    # A source model, and the second domain of each strategy.
    assert len(trained) == len(set(trained)) == 1 + len(STRATEGIES)
    for folder in folders:
        assert cells(tmp_path / folder, STRATEGIES) == cells(reference, STRATEGIES)
