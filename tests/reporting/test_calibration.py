"""Thresholds and temperatures in reports: every number a second time, from the scores of test and validation people."""

from __future__ import annotations

import dataclasses
import io
import json
import statistics

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.special import expit, logit
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from fretal_bench.errors import BenchError
from fretal_bench.metrics.calibration import best_threshold, fit_temperature
from fretal_bench.reporting.calibration import calibration_frame
from fretal_bench.reporting.calibration_tables import calibration_tables, threshold_note
from fretal_bench.reporting.report import print_summary, write_report
from fretal_bench.reporting.summary import summarize, summary_record
from fretal_bench.reporting.verdict import verdict

pytestmark = pytest.mark.usefixtures("undrawn")

DOMAINS = ("a", "b", "c")


def people(seed, move=0.0, blur=0.0, videos=20, fakes=0.5):
    """Scores of some people at every step, two frames a video: logits ``move`` higher and noisier with every step."""
    random = np.random.default_rng(seed)
    parts = []
    for number, name in enumerate(DOMAINS):
        label = np.repeat(np.arange(videos) >= round(videos * (1 - fakes)), 2).astype(np.int8)
        own = random.normal(np.where(label, 2.0, -2.0), 0.8)
        for step in range(-1, 3):
            later = max(0, step - number)
            z = own + move * later + blur * later * random.normal(size=len(own))
            parts.append(
                pd.DataFrame(
                    {
                        "step": np.int16(step),
                        "domain": name,
                        "row": np.arange(len(own)) + 100 * number,
                        "label": label,
                        "video": [
                            f"set/{'fake' if k else 'real'}/none/{name}{i // 2}" for i, k in enumerate(label)
                        ],
                        "score": expit(z).astype(np.float32),
                    }
                )
            )
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values("step", kind="stable", ignore_index=True)


COURSES = {"finetuning": {"blur": 2.0}, "mas": {"move": 2.0}, "joint": {"move": 2.0}}


@pytest.fixture
def results(make, tmp_path):
    """Three strategies, three seeds: one loses its ranking, one its threshold, a bound its threshold too."""
    made = make(dict.fromkeys(COURSES, (0.9, 0.1)), seeds=3, domains=DOMAINS)
    cells = []
    for number, cell in enumerate(made.cells):
        place = tmp_path / cell.id
        place.mkdir()
        course = COURSES[cell.label]
        people(100 + number, **course).to_parquet(place / "validation.parquet", index=False)
        cells.append(dataclasses.replace(cell, path=place, scores=people(number, **course)))
    return dataclasses.replace(made, cells=tuple(cells))


def levels(frame, level):
    if level == "frame":
        return frame
    columns = ["step", "domain", "video", "label"]
    return frame.astype({"score": float}).groupby(columns, as_index=False, sort=False)["score"].mean()


def by_hand(cell, level):
    """All quantities of one cell."""
    test, validation = levels(cell.scores, level), levels(cell.validation(), level)
    r = {name: np.full((3, 3), np.nan) for name in ("half", "threshold", "own", "auc")}
    for i in range(3):
        learned = validation[(validation["step"] == i) & validation["domain"].isin(DOMAINS[: i + 1])]
        at = best_threshold(learned["label"], learned["score"], learned["domain"]).value
        temperature = fit_temperature(learned["label"], learned["score"], learned["domain"]).otherwise(1)
        for j, name in enumerate(DOMAINS):
            of = test[(test["step"] == i) & (test["domain"] == name)]
            own = learned[learned["domain"] == name]
            r["half"][i, j] = accuracy_score(of["label"], of["score"] >= 0.5)
            r["threshold"][i, j] = accuracy_score(of["label"], of["score"] >= at)
            if len(own):
                own_at = best_threshold(own["label"], own["score"]).value
                r["own"][i, j] = accuracy_score(of["label"], of["score"] >= own_at)
            r["auc"][i, j] = roc_auc_score(of["label"], of["score"])
    lost = {name: np.mean([of[j, j] - of[2, j] for j in (0, 1)]) for name, of in r.items()}
    end = test[test["step"] == 2]
    scores = end["score"].to_numpy(float)
    return {
        "forgetting_at_half": lost["half"],
        "forgetting_at_threshold": lost["threshold"],
        "forgetting_threshold": lost["half"] - lost["threshold"],
        "forgetting_domains": lost["threshold"] - lost["own"],
        "forgetting_ranking": lost["own"],
        "forgetting_auc": lost["auc"],
        "average_at_half": r["half"][2].mean(),
        "average_at_threshold": r["threshold"][2].mean(),
        "threshold": at,
        "temperature": temperature,
        "nll": log_loss(end["label"], scores),
        "nll_after": log_loss(end["label"], expit(logit(scores) / temperature)),
    }


@pytest.mark.parametrize("level", ["frame", "video"])
def test_every_quantity_is_that_of_test_people_at_what_validation_people_give(results, level):
    calibration = summarize(results, "auc", level).calibration
    assert [(cell.label, cell.seed) for cell in calibration.cells] == [
        (c.label, c.seed) for c in results.cells
    ]
    for measured, cell in zip(calibration.cells, results.cells, strict=True):
        for name, value in by_hand(cell, level).items():
            assert measured.values[name] == pytest.approx(value, rel=1e-4, abs=1e-9), (cell.label, name)


def test_the_parts_of_forgetting_add_up_and_tables_show_their_means(results):
    summary = summarize(results)
    first, second = calibration_tables(summary)
    assert [row.cells[0] for row in first.rows] == ["finetuning", "mas", "joint"]
    for row in first.rows:
        half, at_threshold, moved, apart, ranking, _ = (number.value for number in row.cells[1:])
        assert half == pytest.approx(moved + apart + ranking)
        assert half == pytest.approx(moved + at_threshold)
        cells = [cell for cell in results.cells if cell.label == row.cells[0]]
        assert half == pytest.approx(
            statistics.fmean(by_hand(cell, "frame")["forgetting_at_half"] for cell in cells)
        )
    assert [row.apart for row in second.rows] == [False, False, True]
    assert [column.key for column in second.columns[5:7]] == ["ece", "ece_after"]


def test_what_is_only_the_threshold_is_told_from_what_is_ranking(results):
    calibration = summarize(results).calibration
    moved, ranking = (
        {label: statistics.fmean(calibration.by_seed(label, name).values()) for label in COURSES}
        for name in ("forgetting_threshold", "forgetting_ranking")
    )
    # All logits rise by 2 with every later domain: nothing is lost but the threshold.
    assert moved["mas"] > 0.1 > abs(ranking["mas"])
    assert ranking["finetuning"] > 0.05 > moved["finetuning"]


def test_the_report_says_who_loses_the_threshold_and_not_the_ranking(results):
    summary = summarize(results)
    (note,) = threshold_note(summary, list(COURSES)[:2])
    (mas,) = (row for row in calibration_tables(summary)[0].rows if row.cells[0] == "mas")
    half, moved = (mas.cells[at].value for at in (1, 3))
    words = f"mas (accuracy {-half:+.3f}, AUC 0.000; thresholds of validation people give back {moved:+.3f})"
    assert words in note
    # Fine-tuning loses its ranking, and a bound is not ranked.
    assert "finetuning" not in note
    assert "joint" not in note
    assert note in verdict(summary).notes


def test_results_without_validation_scores_have_no_such_table_and_no_false_alarm_rate(make):
    results = make(seeds=1)
    summary = summarize(results)
    assert summary.calibration is None
    assert calibration_tables(summary) == ()
    assert threshold_note(summary, ["ewc"]) == []
    with pytest.raises(BenchError, match="--fpr: expected scores of validation samples"):
        summarize(results, fpr=0.05)


def test_cells_without_validation_scores_are_named_and_left_out(results):
    (results.cells[0].path / "validation.parquet").unlink()
    summary = summarize(results)
    notes = " ".join(calibration_tables(summary)[0].notes)
    assert "No validation scores: finetuning, seed 0." in notes
    assert list(summary.calibration.by_seed("finetuning", "threshold")) == [1, 2]


def test_a_domain_without_validation_samples_takes_no_part_and_is_named(results):
    for cell in results.cells:
        frame = cell.validation()
        frame[frame["domain"] != "a"].to_parquet(cell.path / "validation.parquet", index=False)
    summary = summarize(results)
    table, _ = calibration_tables(summary)
    notes = " ".join(table.notes)
    assert "Domains without validation samples take no part in fitting: a." in notes
    assert "no threshold after a: no samples." in notes
    # Nothing was fitted when the first domain had been learned, so what was lost since does not exist.
    assert np.isnan(table.rows[0].cells[2].value)
    assert not np.isnan(table.rows[0].cells[1].value)
    assert not np.isnan(calibration_tables(summary)[1].rows[0].cells[2].value)


def test_at_a_false_alarm_rate_reals_and_fakes_are_counted_at_the_threshold_of_validation_reals(results):
    table = calibration_tables(summarize(results, fpr=0.1))[-1]
    assert table.name == "false-alarms"
    for row in table.rows:
        called_fake, found = [], []
        for cell in results.cells:
            if cell.label == row.cells[0]:
                validation, test = (of[of["step"] == 2] for of in (cell.validation(), cell.scores))
                reals = np.sort(validation["score"][validation["label"] == 0])[::-1]
                end = test.assign(fake=test["score"] > reals[len(reals) // 10])
                shares = end.groupby(["label", "domain"])["fake"].mean().groupby("label").mean()
                called_fake.append(shares[0])
                found.append(shares[1])
        assert row.cells[2].value == pytest.approx(statistics.fmean(called_fake))
        assert row.cells[3].value == pytest.approx(statistics.fmean(found))
    notes = " ".join(table.notes)
    assert "at most 10% of 60 real validation samples" in notes
    assert "are needed" not in notes
    few = " ".join(calibration_tables(summarize(results, fpr=0.01))[-1].notes)
    assert "100 are needed for one to be called fake" in few


def test_where_classes_differ_in_size_a_report_of_balanced_accuracy_is_of_it_throughout(results):
    cells = tuple(
        dataclasses.replace(cell, scores=people(number, move=2.0, fakes=0.2))
        for number, cell in enumerate(results.cells)
    )
    table = calibration_tables(summarize(dataclasses.replace(results, cells=cells), "balanced_accuracy"))[-1]
    of = [cell.scores[cell.scores["step"] == 2] for cell in cells[:3]]
    expected = [
        statistics.fmean(
            balanced_accuracy_score(p["label"], p["score"] >= 0.5) for _, p in end.groupby("domain")
        )
        for end in of
    ]
    assert table.rows[0].cells[1].value == pytest.approx(statistics.fmean(expected))
    assert table.columns[1].title == "balanced accuracy at 0.5"


def test_a_report_has_the_tables_and_every_value_and_an_earlier_rate_does_not_stay(results, tmp_path):
    out = tmp_path / "report"
    report = write_report(results, out, fpr=0.1)
    names = ("thresholds", "calibration", "false-alarms")
    assert all((out / "tables" / f"{name}.{kind}").exists() for name in names for kind in ("csv", "tex"))
    values = pd.read_csv(out / "tables" / "calibration-values.csv")
    first = values.query("label == 'mas' and seed == 0 and step == 0 and quantity == 'threshold'")
    assert len(first) == 1
    assert len(values) == len(calibration_frame(report.summary.calibration))
    for name in ("summary.md", "index.html"):
        text = (out / name).read_text("utf-8")
        assert text.count("What of forgetting is the threshold") == 1, name
        assert "The final detector at a false-alarm rate of 10%" in text, name
    record = json.loads(json.dumps(summary_record(report.summary)))["calibration"]
    assert record["fpr"] == 0.1
    assert record["strategies"][0]["values"]["temperature"]["n"] == 3
    write_report(results, out)
    assert not (out / "tables" / "false-alarms.csv").exists()


def test_the_tables_are_printed(results):
    summary = summarize(results)
    console = Console(file=io.StringIO(), width=200)
    print_summary(results, summary, verdict(summary), console)
    assert "What of forgetting is the threshold" in console.file.getvalue()


def test_a_stream_of_one_domain_has_thresholds_and_no_forgetting(make, tmp_path):
    made = make({"ewc": (0.9, 0.1)}, seeds=1, domains=("a",))
    frame = people(0)
    frame = frame[(frame["domain"] == "a") & (frame["step"] < 1)]
    frame.to_parquet(tmp_path / "validation.parquet", index=False)
    cell = dataclasses.replace(made.cells[0], path=tmp_path, scores=frame)
    summary = summarize(dataclasses.replace(made, cells=(cell,)))
    assert [table.name for table in calibration_tables(summary)] == ["calibration"]
