"""Tuning: the same trials for all, judged by validation data of the first domains, kept in a recipe file."""

import contextlib
import dataclasses
import errno
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench import files, parsing
from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe, toml_of_recipe
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.benchmark.runner.seals import seal
from fretal_bench.benchmark.tuning.judged import judge
from fretal_bench.benchmark.tuning.search import prepare_search, run_search
from fretal_bench.benchmark.tuning.tuned import tuning_of
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter
from fretal_bench.datasets.streams.domain import CropSource
from fretal_bench.datasets.streams.file import read_stream_file, toml_of_stream
from fretal_bench.datasets.streams.stream import open_stream
from fretal_bench.errors import BenchError, BenchWarning, RunError
from fretal_bench.reporting.inputs import tuning_words
from fretal_bench.reporting.summary import summarize
from fretal_bench.strategies.registry import find_strategy
from tests_support import TINY, fingerprint_of, tiny_stream

STRATEGIES = ("lwf", "ewc", "finetuning")
RECIPE = dataclasses.replace(Recipe(), name="tiny-recipe", **TINY)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny")))


def search_in(out, stream, strategies=STRATEGIES, recipe=RECIPE, *, jobs=1, device=None, **options):
    call = Call(strategies, stream, recipe, jobs=jobs, device=device, out=out)
    return prepare_search(call, **{"budget": 3, "domains": 2, **options})


@pytest.fixture(scope="module")
def done(stream, tmp_path_factory):
    """An undisturbed search of three trials a strategy: the search and what it found."""
    search = search_in(tmp_path_factory.mktemp("done") / "r", stream)
    return search, run_search(search)


def files_of(out):
    """Everything that must not depend on how a search was run."""
    scores = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("cells/*/*.parquet"))}
    return {**scores, "tuned.toml": (out / "tuned.toml").read_bytes()}


def by_hand(validation, domains):
    """Average accuracy and max-based forgetting, straight from the rows: P(fake) >= 0.5 is called fake."""
    frame = pd.read_parquet(validation)
    right = (frame["score"] >= 0.5).astype(int) == frame["label"]
    r = right.groupby([frame["step"], frame["domain"]]).mean()
    last = len(domains) - 1
    accuracy = sum(r[last, name] for name in domains) / len(domains)
    lost = [
        max(r[step, name] for step in range(j, last)) - r[last, name] for j, name in enumerate(domains[:-1])
    ]
    return accuracy, sum(lost) / len(lost)


def test_a_trial_is_scored_by_its_validation_samples_of_the_first_domains(done):
    search, results = done
    assert search.tuning.domains == ("D0", "D1")
    for tuned in results:
        for scored in tuned.trials:
            cell = search.prepared.folder.cell(scored.trial.cell.id)
            assert set(pd.read_parquet(cell / "validation.parquet")["domain"]) == {"D0", "D1"}
            accuracy, forgetting = by_hand(cell / "validation.parquet", ["D0", "D1"])
            assert scored.accuracy == pytest.approx(accuracy, abs=1e-12)
            assert scored.forgetting == pytest.approx(forgetting, abs=1e-12)


def test_every_strategy_gets_the_same_number_of_trials_the_first_its_defaults(done):
    search, _ = done
    assert {name: len(of) for name, of in search.trials.items()} == {"lwf": 3, "ewc": 3, "finetuning": 1}
    for name, of_strategy in search.trials.items():
        assert of_strategy[0].cell.hyperparameters == dataclasses.asdict(
            find_strategy(name).hyperparameters()
        )
        assert of_strategy[0].cell.name == name
    assert len({trial.cell.path[1].id for of in search.trials.values() for trial in of}) == 1
    pool = search.prepared.agenda.pool
    strategies = [pool.record(path.name).strategy for path in pool.path.glob("steps/*")]
    assert strategies.count("source") == 1


def _with_accuracy(folder, right):
    """Rewrite a cell's validation scores so that a share ``right`` of each domain is right after every step."""
    frame = pd.read_parquet(folder / "validation.parquet")
    place = frame.groupby(["step", "domain"]).cumcount()
    hit = place < right * (place.max() + 1)
    frame["score"] = np.where(hit == (frame["label"] == 1), 0.9, 0.1).astype(np.float32)
    frame.to_parquet(folder / "validation.parquet")
    _seal_again(folder)


def _seal_again(folder):
    """Let a cell that was altered on purpose pass for one that was written so."""
    (folder / "checksums.json").unlink()
    seal(folder)


def ewc_of(search, folder):
    """Judge a folder of the search's trials anew, and return the result of ewc."""
    results = judge(search.trials, load_results(folder), search.tuning.domains)
    return next(tuned for tuned in results if tuned.strategy == "ewc")


@pytest.mark.parametrize(
    ("shares", "best", "rank"),
    [((0.5, 0.75, 1.0), 3, 3), ((0.75, 1.0, 0.5), 2, 2), ((0.75, 0.5, 0.75), 1, 1), ((0.25, 0.5, 0.5), 2, 3)],
)
def test_the_best_trial_is_chosen_the_first_of_equals(done, tmp_path, shares, best, rank):
    search, _ = done
    shutil.copytree(search.prepared.folder.path, tmp_path / "r")
    for trial, right in zip(search.trials["ewc"], shares, strict=True):
        _with_accuracy(tmp_path / "r" / "cells" / trial.cell.id, right)
    tuned = ewc_of(search, tmp_path / "r")
    assert [scored.accuracy for scored in tuned.trials] == pytest.approx(shares)
    assert tuned.best.trial.number == best
    assert tuned.rank == rank


def test_a_trial_without_finite_scores_is_never_the_best(done, tmp_path):
    search, _ = done
    shutil.copytree(search.prepared.folder.path, tmp_path / "r")
    first, second, third = (tmp_path / "r" / "cells" / trial.cell.id for trial in search.trials["ewc"])
    frame = pd.read_parquet(first / "validation.parquet")
    frame["score"] = np.float32("nan")
    frame.to_parquet(first / "validation.parquet")
    _seal_again(first)
    _with_accuracy(second, 0.25)
    _with_accuracy(third, 0.5)
    tuned = ewc_of(search, tmp_path / "r")
    assert tuned.best.trial.number == 3
    assert tuned.rank is None
    assert "not finite" in tuned.trials[0].reason


def _spoilt(folder, out):
    """Copy a tiny stream with black crops wherever tuning on two domains must not look."""
    shutil.copytree(folder, out)
    store = CropStore.open(out / "store")
    crops, index = np.array(store.crops), store.index
    unseen = (index["split"] == "test") | (index["method"] == "m2")
    crops[unseen.to_numpy()] = 0
    shutil.rmtree(out / "store")
    with CropStoreWriter(out / "store", size=store.size, name="tiny") as writer:
        writer.add(crops, index)
        writer.finish()
    return str(out / "tiny.toml")


def test_spoiling_test_data_and_later_domains_changes_nothing(done, stream, tmp_path):
    search, _ = done
    spoilt = search_in(tmp_path / "r", _spoilt(Path(stream).parent, tmp_path / "spoilt"))
    run_search(spoilt)
    assert spoilt.file.read_bytes() == search.file.read_bytes()
    for ours, theirs in zip(search.trials["ewc"], spoilt.trials["ewc"], strict=True):
        assert ours.cell.id != theirs.cell.id, "the stores differ"
        paths = [s.prepared.folder.cell(t.cell.id) for s, t in ((search, ours), (spoilt, theirs))]
        assert len({(path / "validation.parquet").read_bytes() for path in paths}) == 1


def test_no_test_row_and_no_row_of_a_later_domain_is_read(stream, tmp_path, monkeypatch):
    read = set()
    images = CropSource.images

    def spy(self, index):
        read.update(self.rows[index.cpu().numpy()].tolist())
        return images(self, index)

    monkeypatch.setattr(CropSource, "images", spy)
    search = search_in(tmp_path / "r", stream, ["ewc"], budget=1)
    run_search(search)
    index = open_stream(stream)[0].store.index
    seen = index.iloc[sorted(read)]
    assert set(seen["split"]) == {"train", "val"}
    assert set(seen["method"]) == {"real", "m0", "m1"}
    [cell] = load_results(tmp_path / "r").cells
    assert len(cell.scores) == 0


def test_no_cell_of_a_search_can_be_taken_for_one_of_a_benchmark(stream, tmp_path):
    search = search_in(tmp_path / "tune", stream, ["ewc"], domains=3)
    ready = prepare(Call(["ewc"], stream, RECIPE, out=tmp_path / "run"))
    assert search.trials["ewc"][0].cell.hyperparameters == ready.plan.cells[0].hyperparameters
    assert search.trials["ewc"][0].cell.id != ready.plan.cells[0].id
    # What they learned is the same, so its steps are; on test samples those of the search are judged by no trial.
    assert [step.id for step in search.trials["ewc"][0].cell.path] == [
        step.id for step in ready.plan.cells[0].path
    ]
    assert {of.split for of in search.trials["ewc"][0].cell.sets} == {"val"}
    assert {of.split for of in ready.plan.cells[0].sets} == {"test", "val"}


def test_a_search_trains_on_the_rows_that_the_whole_stream_gives_its_first_domains(stream, tmp_path):
    dealt = dataclasses.replace(read_stream_file(Path(stream)), name="dealt")
    dealt = dataclasses.replace(dealt, protocol=dataclasses.replace(dealt.protocol, shared_reals=False))
    file = Path(stream).with_name("dealt.toml")
    file.write_text(toml_of_stream(dealt))
    search_in(tmp_path / "r", str(file), ["ewc"])
    whole, part = open_stream(str(file)), open_stream(tmp_path / "r" / "stream.toml")
    assert [domain.name for domain in part] == ["D0", "D1"]
    for ours, theirs in zip(part, whole, strict=False):
        for split in ("train", "val"):
            assert np.array_equal(ours.rows[split], theirs.rows[split])
        assert len(theirs.rows["test"]) > len(ours.rows["test"]) == 0
    # Reals are dealt out: two of the three domains do not have them all.
    index = whole[0].store.index
    reals = {d.name: set(d.rows["train"][index["label"].to_numpy()[d.rows["train"]] == 0]) for d in whole}
    assert not reals["D0"] & reals["D2"]


def test_a_search_that_is_stopped_goes_on_and_ends_the_same(done, stream, tmp_path):
    search, _ = done
    steps = []

    def stop(progress):
        steps.append(progress)
        if sum(step.phase == "done" for step in steps) == 5:
            raise Killed("stopped")

    with pytest.raises(Killed):
        run_search(search_in(tmp_path / "r", stream), stop)
    assert not (tmp_path / "r" / "tuned.toml").exists()
    again = search_in(tmp_path / "r", stream)
    assert again.prepared.total == search.prepared.total - 5
    run_search(again)
    assert files_of(tmp_path / "r") == files_of(search.prepared.folder.path)


@pytest.mark.long
def test_two_processes_find_the_same(done, stream, tmp_path):
    search, _ = done
    run_search(search_in(tmp_path / "r", stream, jobs=2))
    assert files_of(tmp_path / "r") == files_of(search.prepared.folder.path)


def test_a_larger_budget_and_another_strategy_train_only_what_is_missing(done, stream, tmp_path):
    search, _ = done
    shutil.copytree(search.prepared.folder.path, tmp_path / "r")
    shutil.copytree(search.prepared.agenda.pool.path, tmp_path / "steps")
    larger = search_in(tmp_path / "r", stream, (*STRATEGIES, "kd"), budget=4)
    # One more trial of lwf and of ewc, four of kd, each the second of two domains.
    assert larger.prepared.total == 1 + 1 + 4
    for name in ("lwf", "ewc"):
        ids = [trial.cell.id for trial in search.trials[name]]
        assert [trial.cell.id for trial in larger.trials[name]][:3] == ids
    run_search(larger)
    assert open_recipe(tmp_path / "r" / "tuned.toml").tuning["budget"] == 4


def test_the_recipe_file_holds_what_was_found_and_how(done):
    search, results = done
    recipe = open_recipe(search.file)
    assert recipe.content() == RECIPE.content()
    assert tuning_of(recipe) == search.tuning
    assert search.tuning.strategies == ("lwf", "ewc"), "nothing of fine-tuning was searched"
    best = {tuned.strategy: dict(tuned.best.trial.values) for tuned in results}
    assert recipe.hyperparameters == {name: best[name] for name in ("lwf", "ewc")}
    assert toml_of_recipe(recipe) == search.file.read_text()


TUNED = {
    "hyperparameters": {"ewc": {"lambda_": 31.2, "fisher": "empirical"}, "lwf": {"temperature": 3.0}},
    "tuning": {
        "stream": "tiny",
        "domains": ["D0", "D1"],
        "budget": 7,
        "seed": 0,
        "objective": "o",
        "strategies": ["ewc", "lwf"],
    },
}


def test_a_recipes_hyperparameters_are_the_defaults_and_set_still_wins(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(toml_of_recipe(dataclasses.replace(RECIPE, **TUNED)))
    recipe = open_recipe(file)
    changes = {"ewc": {"lambda_": 31.2, "fisher": "empirical"}}
    plain = make_plan(["ewc", "kd"], "s", fingerprint_of("a"), RECIPE, [0], changes).cells
    tuned = make_plan(["ewc", "kd"], "s", fingerprint_of("a"), recipe, [0]).cells
    assert [cell.id for cell in tuned] == [cell.id for cell in plain]
    assert [cell.name for cell in tuned] == ["ewc", "kd"]
    [cell] = make_plan(["ewc"], "s", fingerprint_of("a"), recipe, [0], {"ewc": {"lambda_": "5"}}).cells
    assert (cell.hyperparameters["lambda_"], cell.hyperparameters["fisher"]) == (5.0, "empirical")
    assert cell.name == "ewc(lambda_=5.0)"


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ({"straem": "s"}, ["unknown key 'straem'", "'stream'"]),
        ({"stream": "s"}, ["key 'domains'", "a list of texts", "found nothing"]),
        ({**TUNED["tuning"], "budget": "7"}, ["key 'budget'", "a whole number", "found '7'"]),
    ],
)
def test_a_wrong_tuning_table_is_named_with_file_and_key(tmp_path, table, parts):
    file = tmp_path / "mine.toml"
    file.write_text(toml_of_recipe(dataclasses.replace(RECIPE, tuning=table)))
    with pytest.raises(BenchError) as error:
        open_recipe(file)
    assert str(error.value).startswith(f"{file}: [tuning]: ")
    for part in parts:
        assert part in str(error.value)


def test_results_and_report_say_how_hyperparameters_were_found(tmp_path):
    stream = str(tiny_stream(tmp_path, domains=2))
    tuned = dataclasses.replace(RECIPE, **TUNED)
    results = run(["ewc", "lwf", "finetuning"], stream, tuned, out=tmp_path / "r")
    assert results.plan["tuning"] == TUNED["tuning"]
    assert results.plan["hyperparameters"] == TUNED["hyperparameters"]
    summary = summarize(results).tuning
    assert (
        "Hyperparameters: found by random search, 7 trials a strategy, on validation data of D0, D1 (tiny), "
        "the same budget for all." in summary
    )
    with pytest.raises(BenchError, match=r"made by another plan: recipe\.hyper.* give another --out"):
        prepare(Call(["ewc"], stream, RECIPE, out=tmp_path / "r"))
    results = run(["kd"], stream, tuned, out=tmp_path / "r")
    summary = summarize(results).tuning
    assert "of ewc, lwf: found by random search" in summary
    assert "; of kd: the strategies' own defaults." in summary
    assert "the same budget for all" not in summary


def test_a_report_says_where_untuned_hyperparameters_come_from():
    given = {"hyperparameters": {"ewc": {"lambda_": 3.0}}}
    assert tuning_words({}, ["ewc", "kd"]) == "Hyperparameters: the strategies' own defaults."
    assert tuning_words({}, []) == "Hyperparameters: none."
    assert tuning_words(given, ["ewc"]) == "Hyperparameters: set in the recipe."
    assert tuning_words(given, ["ewc", "kd"], by_hand=True) == (
        "Hyperparameters of ewc: set in the recipe; of kd: the strategies' own defaults; "
        "shown in a label: set by hand."
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "--budget must be at least 1 trial a strategy, found 0"),
        ({"strategies": ["ewk"]}, "unknown strategy 'ewk'; did you mean 'ewc'"),
        ({"strategies": []}, "name at least one strategy"),
        ({"domains": 1}, "--domains must be 2 to 3, the domains of stream 'tiny', found 1"),
        ({"domains": 4}, "--domains must be 2 to 3, the domains of stream 'tiny', found 4"),
        ({"jobs": 0}, "--jobs must be at least 1"),
        ({"write": "tuned.txt"}, "a recipe file's name ends in .toml"),
        ({"write": f"{'x' * 300}.toml"}, "cannot be written .its name is too long.; give another --write"),
        ({"device": "gpu"}, "--device.*'gpu'"),
        ({"write": "/proc/x.toml"}, r"^/proc/x.toml: cannot be written .*give another --write"),
        (
            {"recipe": dataclasses.replace(RECIPE, backbone="test_byobnett")},
            "unknown backbone 'test_byobnett'; did you mean 'test_byobnet'",
        ),
    ],
)
def test_what_is_wrong_with_a_call_is_said_before_anything_is_written(stream, tmp_path, options, message):
    with pytest.raises(BenchError, match=message):
        search_in(tmp_path / "r", stream, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["x.toml", "deeper/x.toml"])
def test_a_recipe_file_that_could_not_be_written_is_refused_before_training(stream, tmp_path, below):
    (tmp_path / "afile").write_text("")
    with pytest.raises(
        BenchError, match=r"x\.toml: cannot be written \(\S+afile is no folder\); give another --write"
    ):
        search_in(tmp_path / "r", stream, write=tmp_path / "afile" / below)
    assert [path.name for path in tmp_path.iterdir()] == ["afile"]


def test_a_recipe_file_in_a_read_only_folder_is_refused_before_training(stream, tmp_path, monkeypatch):
    # Root may write anywhere, so the system's answer is given by hand.
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(BenchError, match=rf"x\.toml: cannot be written \({tmp_path} is read-only\); give"):
        search_in(tmp_path / "r", stream, write=tmp_path / "new" / "x.toml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"seed": 1}, "is of another search: seed is 1 there, 0 now"),
        ({"domains": ["D0", "D1", "D2"]}, "is of another search: domains"),
        ({"budget": 9}, "is of a larger search"),
        ({"strategies": ["ewc", "kd"]}, "is of a larger search"),
    ],
)
def test_the_recipe_file_of_another_search_is_not_overwritten(done, stream, tmp_path, theirs, message):
    search, _ = done
    file = tmp_path / "mine.toml"
    tuning = dataclasses.replace(search.tuning, **theirs)
    file.write_text(toml_of_recipe(dataclasses.replace(RECIPE, tuning=parsing.plain(tuning))))
    with pytest.raises(BenchError, match=message):
        search_in(tmp_path / "r", stream, write=file)
    file.write_text(toml_of_recipe(RECIPE))
    with pytest.raises(BenchError, match="is another recipe"):
        search_in(tmp_path / "r", stream, write=file)
    with pytest.raises(BenchError, match="this is the recipe that is tuned"):
        search_in(tmp_path / "r", stream, recipe=str(file), write=file)
    assert file.read_text() == toml_of_recipe(RECIPE)


def test_by_default_three_domains_are_learned_or_fewer_to_leave_one_unseen(stream, tmp_path):
    longer = tmp_path / "five"
    longer.mkdir()
    five = str(tiny_stream(longer, domains=5))
    assert search_in(tmp_path / "a", five, ["ewc"], domains=None).tuning.domains == ("D0", "D1", "D2")
    assert search_in(tmp_path / "b", stream, ["ewc"], domains=None).tuning.domains == ("D0", "D1")


def test_domains_without_validation_rows_cannot_be_tuned_on(stream, tmp_path):
    store = CropStore.open(Path(stream).parent / "store")
    keep = (store.index["split"] != "val").to_numpy()
    with CropStoreWriter(tmp_path / "store", size=store.size, name="tiny") as writer:
        writer.add(np.array(store.crops[keep]), store.index[keep])
        writer.finish()
    shutil.copy(stream, tmp_path / "tiny.toml")
    with pytest.raises(BenchError, match="domain 'D0' of stream 'tiny' has no validation rows"):
        search_in(tmp_path / "r", str(tmp_path / "tiny.toml"), ["ewc"])


def with_few_real_validation_samples(stream, folder):
    """The same stream with one of the real validation frames of a domain for three of its fakes."""
    store = CropStore.open(Path(stream).parent / "store")
    index = store.index
    real = (index["split"] == "val") & (index["label"] == 0)
    keep = (~real | (real.cumsum() % 3 == 1)).to_numpy()
    with CropStoreWriter(folder / "store", size=store.size, name="tiny") as writer:
        writer.add(np.array(store.crops[keep]), index[keep])
        writer.finish()
    shutil.copy(stream, folder / "tiny.toml")
    return str(folder / "tiny.toml")


def test_where_a_class_is_far_larger_trials_are_scored_by_balanced_accuracy(stream, tmp_path):
    few = with_few_real_validation_samples(stream, tmp_path)
    search = search_in(tmp_path / "r", few, ["ewc"], budget=2, write=tmp_path / "mine.toml")
    (tuned,) = run_search(search)
    for scored in tuned.trials:
        frame = pd.read_parquet(search.prepared.folder.cell(scored.trial.cell.id) / "validation.parquet")
        assert frame["label"].mean() > 0.6
        right = ((frame["score"] >= 0.5) == (frame["label"] == 1)).astype(float)
        by_class = right.groupby([frame["step"], frame["domain"], frame["label"]]).mean()
        r = by_class.groupby(level=[0, 1]).mean()
        assert scored.accuracy == pytest.approx((r[1, "D0"] + r[1, "D1"]) / 2, abs=1e-12)
        assert scored.forgetting == pytest.approx(r[0, "D0"] - r[1, "D0"], abs=1e-12)
    tuning = tuning_of(open_recipe(tmp_path / "mine.toml"))
    assert tuning.objective.startswith("average balanced validation accuracy (macro")
    # The same search goes on; one by plain accuracy is another search.
    run_search(search_in(tmp_path / "r", few, ["ewc"], budget=2, write=tmp_path / "mine.toml"))
    with pytest.raises(BenchError, match="objective is"):
        search_in(tmp_path / "other", stream, ["ewc"], budget=2, write=tmp_path / "mine.toml")


@pytest.fixture
def recipe_file(tmp_path):
    """The recipe in a file where ``bench`` runs."""
    path = tmp_path / "tiny-recipe.toml"
    path.write_text(toml_of_recipe(RECIPE))
    return path.name


def test_the_command_shows_every_trial_and_writes_a_recipe_that_runs(
    bench, done, stream, recipe_file, tmp_path
):
    search, results = done
    shutil.copytree(search.prepared.folder.path, tmp_path / "results" / "tune-tiny-tiny-recipe")
    call = ("tune", "--strategies", ",".join(STRATEGIES), "--stream", stream, "--recipe", recipe_file)
    call += ("--budget", "3", "--domains", "2", "--write", "mine.toml")
    code, out, err = bench(*call)
    assert (code, err) == (0, "")
    assert "nothing to train" in out
    assert "finetuning: nothing to tune" in out
    for tuned in results[:2]:
        best = tuned.best.trial.number
        assert f"{tuned.strategy}: 3 trials; best is trial {best}; the defaults rank {tuned.rank}" in out
        for scored in tuned.trials:
            assert str(next(iter(scored.trial.values.values()))) in out
    plugin = tmp_path / "my plugin.py"
    plugin.write_text("METRICS = []")
    spaced = tmp_path / "tiny [i] recipe.toml"
    _, out, _ = bench(*call[:-1], str(spaced), "--plugin", str(plugin))
    next_run = " ".join(out.split("(next: ")[1].split()).removesuffix(")")
    assert shlex.split(next_run)[2:] == [
        "--strategies",
        ",".join(STRATEGIES),
        "--stream",
        stream,
        "--recipe",
        str(spaced),
        "--plugin",
        str(plugin),
    ]
    code, out, _ = bench(*call, "--json")
    assert code == 0
    ewc = json.loads(out)["strategies"]["ewc"]
    assert ewc["best"] == results[1].best.trial.number
    assert [trial["validation_accuracy"] for trial in ewc["trials"]] == [
        scored.accuracy for scored in results[1].trials
    ]
    assert open_recipe("mine.toml").hyperparameters["ewc"] == ewc["hyperparameters"]
    code, _, err = bench("tune", "--strategies", "ewc", "--budget", "0")
    assert (code, err) == (2, "bench: --budget must be at least 1 trial a strategy, found 0\n")


def _divides(penalty):
    return 1 / 0


def _diverges(penalty):
    return penalty * float("nan")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(_divides, "ZeroDivisionError"), (_diverges, "training diverged on domain 'D1'")],
)
def test_a_failed_trial_is_named_and_another_is_chosen(
    bench, stream, recipe_file, tmp_path, monkeypatch, spoil, reason
):
    from fretal_bench.strategies.penalties.ewc import EWC

    penalty = EWC.penalty
    monkeypatch.setattr(
        EWC,
        "penalty",
        lambda self: penalty(self) if self.hyperparameters.lambda_ != 10 else spoil(penalty(self)),
    )
    call = ("tune", "--strategies", "ewc", "--stream", stream, "--recipe", recipe_file, "--jobs", "1")
    call += ("--domains", "2", "--budget")
    code, out, _ = bench(*call, "2")
    assert code == 1
    assert "best is trial 2; the defaults failed" in out
    assert reason in " ".join(out.split())
    assert open_recipe("results/tune-tiny-tiny-recipe/tuned.toml").hyperparameters["ewc"]["lambda_"] != 10


def test_what_was_found_for_the_others_is_written_if_no_trial_of_one_strategy_gave_a_value(
    bench, stream, recipe_file, tmp_path, monkeypatch
):
    from fretal_bench.strategies.penalties.ewc import EWC

    monkeypatch.setattr(EWC, "penalty", lambda self: 1 / 0)
    call = (
        "tune",
        "--stream",
        stream,
        "--recipe",
        recipe_file,
        "--jobs",
        "1",
        "--domains",
        "2",
        "--budget",
        "2",
    )
    code, out, err = bench(*call, "--strategies", "ewc,lwf")
    assert code == 1
    assert "bench: no trial of ewc gave a value; the first: ZeroDivisionError" in err
    assert "lwf: 2 trials; best is trial" in out
    recipe = open_recipe("results/tune-tiny-tiny-recipe/tuned.toml")
    assert set(recipe.hyperparameters) == set(recipe.tuning["strategies"]) == {"lwf"}
    code, out, err = bench(*call, "--strategies", "ewc,lwf", "--json")
    strategies = json.loads(out)["strategies"]
    assert (code, strategies["ewc"]["best"], strategies["ewc"]["hyperparameters"]) == (1, None, {})
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run_search(
        search_in(tmp_path / "results" / "tune-tiny-tiny-recipe", stream, ["ewc", "lwf"], budget=2)
    )
    recipe = open_recipe("results/tune-tiny-tiny-recipe/tuned.toml")
    assert set(recipe.hyperparameters) == {"ewc", "lwf"}, "it takes the place of the smaller one"


def test_no_recipe_file_is_written_if_no_trial_at_all_gave_a_value(
    bench, stream, recipe_file, tmp_path, monkeypatch
):
    from fretal_bench.strategies.penalties.ewc import EWC

    monkeypatch.setattr(EWC, "penalty", lambda self: 1 / 0)
    call = ("tune", "--strategies", "ewc", "--stream", stream, "--recipe", recipe_file, "--jobs", "1")
    code, out, err = bench(*call, "--domains", "2", "--budget", "1")
    assert code == 1
    assert "no trial of ewc gave a value; the first: ZeroDivisionError" in err
    assert "no recipe file was written" in err
    assert "next:" not in out
    assert not list(tmp_path.glob("results/*/tuned.toml"))


def test_a_full_disk_at_the_end_is_one_line_and_the_same_search_writes_the_file_later(
    done, stream, tmp_path, monkeypatch
):
    search, _ = done
    shutil.copytree(search.prepared.folder.path, tmp_path / "r")
    (tmp_path / "r" / "tuned.toml").unlink()
    again = search_in(tmp_path / "r", stream)
    assert again.prepared.total == 0

    def full(part, final):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("fretal_bench.files.move", full)
        with pytest.raises(RunError, match=r"tuned\.toml: no space left"):
            run_search(again)
    run_search(again)
    assert files_of(tmp_path / "r") == files_of(search.prepared.folder.path)


class Killed(RunError):
    """Ends a search where it is: a strategy's failure is caught, this is not."""


@pytest.mark.parametrize("after", [False, True])
def test_a_search_killed_at_each_rename_ends_with_the_same_bytes(after, stream, tmp_path, monkeypatch):
    # Each in a folder with a pool of its own.
    whole = search_in(tmp_path / "whole" / "r", stream, ("lwf",), budget=2)
    run_search(whole)
    real, out = files.move, tmp_path / "killed" / "r"
    killed = []

    def move(part, final):
        # The plan and the stream's file are written again at every start.
        due = final not in killed
        if due and not after:
            killed.append(final)
            raise Killed("killed")
        real(part, final)
        if due:
            killed.append(final)
            raise Killed("killed")

    monkeypatch.setattr(files, "move", move)
    for _ in range(30):
        with contextlib.suppress(Killed):
            run_search(search_in(out, stream, ("lwf",), budget=2))
            break
    else:
        pytest.fail("the search never ended")
    assert {"plan.json", "stream.toml", "tuned.toml"} <= {path.name for path in killed}
    assert len(killed) >= 8
    assert files_of(out) == files_of(tmp_path / "whole" / "r")


def test_what_must_be_known_of_a_strategy_is_said_before_it_is_tuned(stream, tmp_path):
    with pytest.warns(BenchWarning, match="avalanche:ewc: "):
        search_in(tmp_path / "r", stream, ["avalanche:ewc"], budget=1)
