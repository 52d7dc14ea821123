"""Result folders of strategies with several names, of names that a strategy had, and of defaults that were others."""

import json
from dataclasses import replace

import pytest

from fretal_bench.benchmark.prediction.detectors import FakeDetector
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.documents import Entry
from fretal_bench.benchmark.runner.results import labels_of, load_results
from fretal_bench.benchmark.runner.run import execute, run
from fretal_bench.reporting.report import write_report
from fretal_bench.strategies import registry
from fretal_bench.strategies.distillation import FRETAL, FReTALHyperparameters
from fretal_bench.strategies.record import StrategyInfo
from tests_support import TINY, tiny_stream

VALUES = {"temperature": 20.0, "alpha": 0.5, "feature": "scalar", "representation_weight": 1.0}
OLD = {**VALUES, "teacher": "source"}


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return str(tiny_stream(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def shown(stream, tmp_path_factory):
    """One run that names a strategy by both of its names: (its folder, the steps that it trained)."""
    out = tmp_path_factory.mktemp("both") / "r"
    ready = prepare(
        Call(("cored", "finetuning", "fretal"), stream, changes={"recipe": TINY}, out=out, jobs=1)
    )
    assert not execute(ready).failures
    return out, ready.total


@pytest.fixture(scope="module")
def old(stream, tmp_path_factory):
    """A folder in which CoReD is a strategy of its own, as in earlier versions."""
    former = StrategyInfo(
        "cored", FRETAL.target, "as it was", "none", teacher=True, constants=FReTALHyperparameters
    )
    own = [info for info in registry.BUILT_IN if info is not FRETAL]
    out = tmp_path_factory.mktemp("old") / "r"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "BUILT_IN", (*own, replace(FRETAL, aliases=()), former))
        source = {"fretal": {"teacher": "source"}}
        results = run(("fretal", "cored"), stream, changes={"recipe": TINY, **source}, out=out, jobs=1)
        assert [cell.strategy for cell in results.cells] == ["fretal", "cored"]
    return out


def entry(id, label, values, strategy="fretal", seed=0):
    return Entry(id=id, strategy=strategy, label=label, hyperparameters=values, seed=seed)


def test_both_names_train_once_and_show_one_row_with_both(shown, tmp_path):
    out, trained = shown
    # The source model, and two further domains of two strategies.
    assert trained == 1 + 2 * 2
    results = load_results(out)
    assert [(cell.strategy, cell.label) for cell in results.cells] == [
        ("fretal", "fretal/cored"),
        ("finetuning", "finetuning"),
    ]
    report = write_report(results, tmp_path / "report")
    for name in (
        "summary.md",
        "index.html",
        "tables/summary.csv",
        "tables/summary.tex",
        "plots/domain-courses.svg",
    ):
        assert "fretal/cored" in (report.path / name).read_text("utf-8"), name
    rows = (report.path / "tables" / "summary.csv").read_text("utf-8").splitlines()
    assert sum("fretal" in row or "cored" in row for row in rows) == 1
    assert "set by hand" not in (report.path / "summary.md").read_text("utf-8")
    strategies = [strategy["strategy"] for strategy in report.to_dict()["strategies"]]
    assert strategies == ["fretal", "finetuning"]


def test_a_cell_of_a_former_name_is_read_and_judges_as_it_did(old, shown):
    by_label = {cell.label: cell for cell in load_results(old).cells}
    assert list(by_label) == ["fretal(teacher=source)", "cored"]
    assert by_label["cored"].strategy == "cored"
    # It is what the strategy of the name that is left trains.
    (now, _) = load_results(shown[0]).cells
    assert by_label["cored"].scores.equals(now.scores)
    detector = FakeDetector(by_label["cored"].path, "cpu")
    assert type(detector.strategy).__name__ == "FReTAL"
    assert detector.strategy.hyperparameters.teacher == "previous"


def test_a_run_in_a_folder_of_a_former_name_puts_that_cell_away(old, stream):
    results = run(("cored",), stream, changes={"recipe": TINY}, out=old, jobs=1)
    assert [cell.label for cell in results.cells] == ["fretal(teacher=source)", "fretal/cored"]
    (away,) = (old / "replaced").iterdir()
    assert json.loads((away / "cell.json").read_text())["strategy"] == "cored"


def test_cells_of_a_former_default_are_told_from_those_of_the_new_one():
    now = {**VALUES, "teacher": "previous"}
    labels = labels_of(
        [
            entry("aaaaaa", "fretal", OLD),
            entry("bbbbbb", "fretal", now, seed=1),
            entry("cccccc", "fretal", OLD, seed=2),
        ]
    )
    assert labels == {"aaaaaa": "fretal", "bbbbbb": "fretal/cored", "cccccc": "fretal"}
    warm = [
        entry("dddddd", "kd(temperature=3.0)", {**of, "temperature": 3.0}, "kd", seed)
        for seed, of in enumerate((OLD, now))
    ]
    warm = [replace(one, id=f"{one.seed}" * 6) for one in warm]
    assert labels_of(warm) == {
        "000000": "kd(temperature=3.0, teacher=source)",
        "111111": "kd(temperature=3.0, teacher=previous)",
    }
    # A hyperparameter that is newer than a cell tells it from no other.
    assert set(
        labels_of([entry("eeeeee", "kd", {}, "kd"), entry("ffffff", "kd", now, "kd", 1)]).values()
    ) == {"kd"}
    assert labels_of([entry("012345", "gone", {}, "gone")]) == {"012345": "gone"}


def test_one_adaptation_is_the_same_with_either_teacher_and_two_are_not(tmp_path):
    for domains, same in ((2, True), (3, False)):
        place = tmp_path / str(domains)
        place.mkdir()
        stream = str(tiny_stream(place, domains=domains))
        for strategy in ("fretal", "kd"):
            scores = []
            for teacher in ("previous", "source"):
                changes = {"recipe": TINY, strategy: {"teacher": teacher}}
                (cell,) = run(
                    (strategy,), stream, changes=changes, out=place / strategy / teacher, jobs=1
                ).cells
                scores.append(cell.scores)
            assert scores[0].equals(scores[1]) == same, (domains, strategy)
