"""Scores that are brought along: read back as they were, and every kind of wrong row counted and named by its line."""

from __future__ import annotations

import dataclasses
import json
import shlex
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench.benchmark.importing.columns import mapping_of
from fretal_bench.benchmark.importing.folder import ImportCall, import_scores
from fretal_bench.benchmark.runner.inspection import inspect
from fretal_bench.benchmark.runner.results import CellResult, Results, load_results
from fretal_bench.datasets.streams.stream import find_stream
from fretal_bench.errors import BenchError
from fretal_bench.metrics.detection import auc
from fretal_bench.metrics.matrices import accuracy_matrix
from fretal_bench.reporting.page.command import run_commands
from fretal_bench.reporting.several import together
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict

OLDER = Path(__file__).parents[1] / "runner" / "older_results"
STEPS = ("A", "B")


def table(**changes):
    """Scores of two domains, four videos of two frames each, after both steps; ``changes`` replace columns."""
    rows = [
        (step, domain, f"{domain}{video}", frame, video % 2, round(0.1 + 0.2 * video + 0.01 * frame, 3))
        for step in (0, 1)
        for domain in STEPS
        for video in range(4)
        for frame in range(2)
    ]
    frame = pd.DataFrame(rows, columns=["step", "domain", "video", "frame", "label", "score"])
    return frame.assign(**changes)


def imported(tmp_path, frame, **call):
    """Write a table as a CSV and import it; returns the folder."""
    number = len(list(tmp_path.glob("r*")))
    path = tmp_path / "scores.csv"
    frame.to_csv(path, index=False)
    out = tmp_path / f"r{number}"
    import_scores(ImportCall(path, out, **{"strategy": "mine", **call}))
    return out


def csv_of(results):
    """The score tables of ordinary results as somebody would write them who ran the method elsewhere."""
    parts = [cell.scores.assign(seed=cell.seed, strategy=cell.strategy) for cell in results.cells]
    frame = pd.concat(parts, ignore_index=True).rename(columns={"row": "frame", "people": "person"})
    # In no particular order.
    return frame.sample(frac=1, random_state=0)


def noisy(results):
    """The same with scores that are right more often than not, other ones in every cell: toys are learned at once."""

    def of(number, cell):
        random = np.random.default_rng(number)
        score = 0.4 + 0.2 * cell.scores["label"] + random.normal(0, 0.25, len(cell.scores))
        return dataclasses.replace(cell, scores=cell.scores.assign(score=score.clip(0, 1).astype(np.float32)))

    return dataclasses.replace(results, cells=tuple(of(*pair) for pair in enumerate(results.cells)))


def folded():
    """Results of three strategies and four seeds on two folds of people who stand in each other's fakes."""
    cells = []
    for strategy in ("finetuning", "lwf", "zero-shot"):
        for seed in range(4):
            rows = [
                (step, domain, 4 * (6 * place + person) + frame, int(kind != "real"), kind, person, frame)
                for step in (-1, 0, 1)
                for place, domain in enumerate(("Deepfakes", "FaceSwap"))
                for kind in ("real", domain)
                for person in range(6 * (seed % 2), 6 * (seed % 2) + 6)
                for frame in range(2)
            ]
            frame = pd.DataFrame(rows, columns=["step", "domain", "row", "label", "kind", "person", "frame"])
            frame["row"] += 1000 * frame["label"]
            me, other = frame["person"], frame["person"] ^ 1
            frame["video"] = "ff/" + frame["kind"] + "/c23/" + me.astype(str)
            both = "ff/" + me.astype(str) + "+ff/" + other.astype(str)
            frame["people"] = both.where(frame["label"] == 1, "ff/" + me.astype(str))
            scores = frame[["step", "domain", "row", "label", "video", "people"]].assign(score=np.float32(0))
            cells.append(
                CellResult(
                    f"{strategy}{seed}", strategy, strategy, {}, seed, scores, {}, Path("r"), fold=seed % 2
                )
            )
    domains = [{"name": name} for name in ("Deepfakes", "FaceSwap")]
    plan = {
        "stream": {"name": "ff", "protocol": {"seed": 0}, "domains": domains},
        "recipe": {"name": "mini"},
        "folds": [{"domains": domains}],
    }
    return Results(Path("r"), plan, tuple(cells), (), ())


@pytest.mark.parametrize("which", ["folds of people", "an earlier version, which knows nobody"])
def test_scores_of_an_ordinary_folder_come_back_with_the_same_matrices_intervals_and_verdict(which, tmp_path):
    original = noisy(folded() if which == "folds of people" else load_results(OLDER))
    order = tuple(domain["name"] for domain in original.plan["stream"]["domains"])
    out = imported(tmp_path, csv_of(original), strategy="", domains=order)
    back = load_results(out)
    assert len(back.plan.get("folds", ())) == len(original.plan.get("folds", ()))
    assert {(c.strategy, c.seed) for c in back.cells} == {(c.strategy, c.seed) for c in original.cells}
    for metric, level in (("accuracy", "frame"), ("auc", "video")):
        one, other = summarize(original, metric, level), summarize(back, metric, level)
        assert one.clusters.unit == other.clusters.unit
        names = {s.strategy: s.label for s in one.strategies}
        for s in other.strategies:
            (first,) = (of for of in one.strategies if of.strategy == s.strategy)
            for name in ("accuracy", "baseline", "forgetting", "by_class"):
                for part in ("mean", "half"):
                    expected = getattr(getattr(first, name), part)
                    np.testing.assert_allclose(getattr(getattr(s, name), part), expected, atol=1e-9)
        for quantity, of in other.inference.items():
            for label, level_of in of.levels.items():
                expected = one.inference[quantity].levels[names[label]]
                for part in ("mean", "low", "high"):
                    assert getattr(level_of, part) == pytest.approx(
                        getattr(expected, part), abs=1e-9, nan_ok=True
                    )
            for pair in of.comparisons:
                expected = one.inference[quantity].between(names[pair.first], names[pair.second])
                assert pair.p_corrected == pytest.approx(expected.p_corrected, abs=1e-9, nan_ok=True)
                assert pair.effect.low == pytest.approx(expected.effect.low, abs=1e-9, nan_ok=True)
        # Labels of the original may name values that were set.
        sentence = verdict(one).sentence
        for name, label in names.items():
            sentence = sentence.replace(label, name)
        assert verdict(other).sentence == sentence


def test_what_was_imported_says_so_and_has_no_cost(tmp_path):
    import hashlib

    out = imported(tmp_path, table())
    (cell,) = load_results(out).cells
    sha256 = hashlib.sha256((tmp_path / "scores.csv").read_bytes()).hexdigest()
    assert (cell.imported.file, cell.imported.sha256) == ("scores.csv", sha256)
    assert cell.environment["phases"] == []
    summary = summarize(load_results(out))
    assert np.isnan(summary.strategies[0].values["train_seconds"].mean)
    assert any("imported from scores.csv (sha256" in note for note in verdict(summary).notes)
    about = inspect(out)
    assert (about.faults, about.done, about.cells) == ([], 1, 1)


def test_scores_are_those_of_the_file_also_by_names_of_domains_and_from_logits(tmp_path):
    frame = table()
    whole = load_results(imported(tmp_path, frame)).cells[0].scores
    for changed, call in (
        (frame.assign(step=frame["step"].map(dict(enumerate(STEPS)))), {}),
        (frame.assign(score=np.log(frame["score"] / (1 - frame["score"]))), {"logits": True}),
        (frame.assign(label=frame["label"].map({0: "Real", 1: "FAKE"})), {}),
        (frame.rename(columns={"step": "task"}).assign(step="x"), {"mapped": (("step", "task"),)}),
    ):
        (cell,) = load_results(imported(tmp_path, changed, **call)).cells
        assert cell.scores.drop(columns="score").equals(whole.drop(columns="score"))
        np.testing.assert_allclose(cell.scores["score"], whole["score"], atol=1e-6)
    r = accuracy_matrix(whole)
    for step in (0, 1):
        for place, domain in enumerate(STEPS):
            of = frame[(frame["step"] == step) & (frame["domain"] == domain)]
            assert r.values[step, place] == pytest.approx(np.mean((of["score"] >= 0.5) == (of["label"] == 1)))
    assert accuracy_matrix(whole, "auc").values[1, 0] == pytest.approx(
        auc(of["label"].to_numpy(), of["score"].to_numpy())
    )


def test_without_scores_before_training_forward_transfer_alone_does_not_exist(tmp_path):
    summary = summarize(load_results(imported(tmp_path, table())))
    (strategy,) = summary.strategies
    missing = {name for name, of in strategy.values.items() if np.isnan(of.mean)}
    assert missing == {"forward_transfer", "train_seconds", "peak_memory_mb"}
    assert summary.undefined == ()
    untrained = table()[lambda f: f["step"] == 0].assign(step=-1)
    whole = summarize(load_results(imported(tmp_path, pd.concat([table(), untrained]))))
    assert not np.isnan(whole.strategies[0].values["forward_transfer"].mean)


def test_real_videos_of_one_name_are_one_video_and_fakes_are_their_domains_own(tmp_path):
    frame = table()
    frame["video"] = frame["video"].str[1:]
    frame["person"] = "p" + frame["video"] + np.where(frame["label"] == 1, "+q", "")
    (cell,) = load_results(imported(tmp_path, frame)).cells
    videos = cell.scores.groupby("video")["domain"].nunique()
    assert videos.to_dict() == {
        "own/real/none/0": 2,
        "own/real/none/2": 2,
        **{f"own/{domain}/none/{video}": 1 for domain in STEPS for video in (1, 3)},
    }
    people = cell.scores.drop_duplicates("video").set_index("video")["people"]
    assert people["own/A/none/1"] == "own/p1+own/q"
    assert people["own/real/none/0"] == "own/p0"
    summary = summarize(load_results(tmp_path / "r0"))
    assert (summary.clusters.unit, summary.clusters.people) == ("people joined by fakes", 5)


def test_videos_that_are_named_as_results_name_them_keep_their_names(tmp_path):
    frame = table()
    kind = np.where(frame["label"] == 0, "real", frame["domain"])
    frame["video"] = "ff/" + kind + "/c23/" + frame["video"]
    (cell,) = load_results(imported(tmp_path, frame)).cells
    assert set(cell.scores["video"]) == set(frame["video"])
    with pytest.raises(BenchError, match="'ff/real/c23/A0' is labelled fake, and its name says otherwise"):
        imported(tmp_path, frame.assign(label=1))


def test_files_of_any_name_have_the_same_videos_unless_a_data_set_is_named(tmp_path):
    one, other, named = tmp_path / "ours.csv", tmp_path / "baseline.csv", tmp_path / "x.csv"
    table().to_csv(one, index=False)
    for path in (other, named):
        table(score=table()["score"].round(1)).to_csv(path, index=False)
    for path, dataset in ((one, ""), (other, ""), (named, "celeb")):
        import_scores(ImportCall(path, tmp_path / path.stem, path.stem, dataset=dataset))
    both = together([load_results(tmp_path / "ours"), load_results(tmp_path / "baseline")])
    assert {video.split("/")[0] for cell in both.cells for video in cell.scores["video"]} == {"own"}
    summary = summarize(both)
    assert {s.label for s in summary.strategies} == {"ours [ours]", "baseline [baseline]"}
    words = "4 and 4, 0 in common; e.g. 'celeb/A/none/A1' and 'own/A/none/A1'"
    with pytest.raises(BenchError, match=rf"\({words}\): .*bench import --dataset NAME says DATASET"):
        together([load_results(tmp_path / "ours"), load_results(tmp_path / "x")])
    fewer = table()[lambda f: f["video"] != "B2"]
    with pytest.raises(BenchError, match=r"\(3 and 4, 3 in common; 'own/real/none/B2' in one alone\)"):
        together([load_results(tmp_path / "ours"), load_results(imported(tmp_path, fewer))])


def test_a_data_set_is_not_named_where_videos_say_it(tmp_path):
    kind = np.where(table()["label"] == 0, "real", table()["domain"])
    frame = table(video="ff/" + kind + "/c23/" + table()["video"])
    with pytest.raises(BenchError, match=r"named with their data set \('ff/real/c23/A0'\); leave it out"):
        imported(tmp_path, frame, dataset="ff")


def test_without_a_column_frame_a_row_is_a_video(tmp_path):
    frame = table()[lambda f: f["frame"] == 0].drop(columns="frame")
    (cell,) = load_results(imported(tmp_path, frame)).cells
    assert len(cell.scores) == len(frame) + len(frame) // 2, "and the step before training"


def test_a_known_stream_gives_names_order_and_protocol(tmp_path):
    table_of = '[[domains]]\nname = "{0}"\nstore = "store"\nmethods = ["{0}"]\n'
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nprotocol = {videos_per_class = 3}\n'
        + "".join(map(table_of.format, ("Deepfakes", "FaceSwap")))
    )
    file = find_stream(str(tmp_path / "mine.toml"))
    names = [domain.name for domain in file.domains]
    frame = table()
    frame["domain"] = frame["domain"].map(dict(zip(STEPS, reversed(names), strict=True)))
    plan = load_results(imported(tmp_path, frame, stream=file)).plan
    assert [domain["name"] for domain in plan["stream"]["domains"]] == names
    assert (plan["stream"]["name"], plan["stream"]["protocol"]) == ("mine", file.protocol.content())
    words = (
        r"unknown domain 'FaceSwop', in 16 rows \(first line 2\); did you mean 'FaceSwap'\? Known: Deepfakes, FaceSwap; "
        "column 'domain' must hold the stream's names: rename them in the file, or leave --stream out"
    )
    with pytest.raises(BenchError, match=words):
        imported(tmp_path, frame.replace({"domain": {"FaceSwap": "FaceSwop"}}), stream=file)


def changed(row, column, value):
    frame = table()
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return frame


LINE = 5
"""The line of row 3."""


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (changed(3, "score", "NaN"), "1 row has no finite number in column 'score', in line 5 ('NaN')"),
        (changed(3, "score", ""), "1 row has no finite number in column 'score', in line 5 ('')"),
        (changed(3, "score", "inf"), "no finite number in column 'score', in line 5"),
        (changed(3, "score", "0,5"), "no finite number in column 'score', in line 5 ('0,5')"),
        (
            changed([3, 9], "score", 1.5),
            "2 rows have a score outside of [0, 1], the first in line 5 ('1.5'); a score is P(fake); if these are "
            "logits of it give --logits",
        ),
        (
            changed([3, 4], "label", 2),
            "2 rows have a label that is not 0, 1, real or fake, the first in line 5 ('2')",
        ),
        (changed(3, "frame", "x.png"), "no whole number from 0 to 2147483647 in column 'frame', in line 5"),
        (changed(3, "video", ""), "1 row has no name in column 'video', in line 5 (it is empty)"),
        (
            changed(3, "label", 0),
            "video 'A1' of domain 'A' is real in 1 row (line 5) and fake in 3 (first line 4); nothing was imported",
        ),
        (
            changed(2, "label", 0),
            "scores.csv: video 'A1' of domain 'A' is real in 1 row (line 4) and fake in 3 (first line 5); nothing was",
        ),
        (
            changed([0, 3, 12], "label", ["x", 0, 1]),
            "not 0, 1, real or fake, in line 2 ('x'); video 'A1' of domain 'A' is real in 1 row "
            "(line 5) and fake in 3 (first line 4); 1 more has both labels; nothing was imported",
        ),
        (
            pd.concat([table(), table().iloc[[3, 4]]]),
            "2 rows have a score of a sample that has one already (step, domain, video, frame, seed), the first in line "
            "34 (domain 'A', video 'A1', frame 1); nothing was imported",
        ),
        (
            table().drop(index=[3, 20]),
            "2 scores are missing, the first of mine, seed 0: domain 'A', video 'A1', frame 1 after step 0 (A); every",
        ),
        (
            table()[lambda f: (f["step"] != 1) | (f["domain"] != "A")],
            "mine, seed 0: domain 'A' has no score after step 1 (B)",
        ),
        (table()[lambda f: f["step"] == 0], "no row is of step 1, after 'B'"),
        (table(step=table()["step"] + 1), "steps 1 to 2: expected 0 to 1, 0 being after the first domain"),
        (
            changed(3, "step", 7),
            "step 7, in line 5: expected -1 (before training) or 0 to 1, as there are 2 domains",
        ),
        (
            changed(3, "step", "C"),
            "step 'C', in line 5: expected the domain that was learned last, or its number from 0",
        ),
        (table(domain="A", step=-1), "no row is of step 0, after 'A'; score all domains after every step"),
        (table().drop(columns="label"), "line 1: expected a column 'label', found 'step, domain, video"),
        (
            table().drop(columns=["label", "step"]),
            "line 1: expected columns 'step', 'label', found 'domain, video, frame, score'; say which they are: --map "
            "step=COLUMN,label=COLUMN",
        ),
        (
            pd.concat([table(gpu=0, model="a"), table(gpu=0, model="b")]),
            "; if the file holds several strategies or seeds: --map strategy=COLUMN,seed=COLUMN (columns not read: gpu, "
            "model); nothing was imported",
        ),
        (table(strategy="x"), "its column 'strategy' names strategies; leave --strategy out"),
        (table().iloc[:0], "holds no row"),
        (
            table(person=["p", *["q"] * 31]),
            "the people of video 'A0' of domain 'A' are 'p' in 1 row (line 2) and 'q' in 3 (first line 3); nothing was",
        ),
        (
            table(person=["q", "q", "", "q", *["q"] * 15, "", *["q"] * 12]),
            "the people of video 'A1' of domain 'A' are 'q' in 2 rows (first line 5) and nobody in 2 (first line 4)",
        ),
        (
            table(person=["p", *["q"] * 3, "p", *["q"] * 27]),
            "are 'p' in 1 row (line 2) and 'q' in 3 (first line 3); 1 more has several; nothing was imported",
        ),
        (table(person="a+b"), "has people 'a+b': a real video has one person"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_number_of_rows_and_the_first_line(frame, message, tmp_path):
    with pytest.raises(BenchError) as caught:
        imported(tmp_path, frame)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r0").exists(), "nothing half-written"


BY_NAME = table().assign(step=lambda f: f["step"].map(dict(enumerate(STEPS))))


def by_name(row, column, value):
    frame = BY_NAME.copy()
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "call", "message"),
    [
        (
            by_name(3, "domain", "Bb"),
            {},
            "domain 'Bb' is in 1 row (line 5), and nothing is scored after it: misspelt (did you mean 'A'?), or score "
            "all domains after every step",
        ),
        (
            changed([3, 9], "domain", "Bb"),
            {},
            "domain 'Bb' is in 2 rows (first line 5), and there are steps for 2 of 3 domains: misspelt (did you mean ",
        ),
        (
            by_name(3, "domain", "a"),
            {"domains": STEPS},
            "unknown domain 'a', in line 5; did you mean 'A'? Known: A, B",
        ),
        (
            by_name([3, 4], "step", "b"),
            {},
            "step 'b', in 2 rows (first line 5): expected the domain that was learned last, or its number from 0; "
            "unknown domain 'b'; did you mean 'B'? Known: A, B",
        ),
        (
            by_name(3, "step", "1"),
            {},
            "step '1', in line 5, and 'B', in 16 rows (first line 18): one step is",
        ),
        (
            BY_NAME.drop(index=20),
            {},
            "1 score is missing, the first of mine, seed 0: domain 'A', video 'A2', frame 0 after 'B'",
        ),
        (
            BY_NAME[lambda f: (f["step"] != "B") | (f["domain"] != "A")],
            {},
            "domain 'A' has no score after 'B'; every",
        ),
    ],
)
def test_steps_and_domains_that_are_wrong_are_shown_as_the_file_writes_them(frame, call, message, tmp_path):
    with pytest.raises(BenchError) as caught:
        imported(tmp_path, frame, **call)
    assert message in str(caught.value)


def test_fields_that_are_separated_otherwise_are_said_to_be(tmp_path):
    for mark, words in ((";", "';'"), ("\t", "tabs")):
        table().to_csv(tmp_path / "s.csv", index=False, sep=mark)
        with pytest.raises(BenchError, match=f"the file seems to be separated by {words}: write commas$"):
            import_scores(ImportCall(tmp_path / "s.csv", tmp_path / "r", "mine"))


def test_blanks_after_the_commas_are_said_to_be_there(tmp_path):
    text = table().to_csv(index=False).replace(",", ", ")
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(BenchError, match="there are blanks around names in its first line"):
        import_scores(ImportCall(tmp_path / "s.csv", tmp_path / "r", "mine"))


def test_a_column_may_say_two_things_and_people_are_called_so_too(tmp_path):
    for name in ("person", "people", "cluster"):
        mapped = tuple(mapping_of(f"{name}=video").items())
        (cell,) = load_results(imported(tmp_path, table(), mapped=mapped)).cells
        assert set(cell.scores["people"]) == {f"own/{d}{n}" for d in STEPS for n in range(4)}
    with pytest.raises(BenchError, match="--map names 'person' twice"):
        mapping_of("people=a,person=b")


def test_rows_that_are_not_as_long_as_the_header_are_counted(tmp_path):
    path = tmp_path / "s.csv"
    lines = table().to_csv(index=False).splitlines()
    lines[5] += ",1"
    lines[9] = "1,A"
    path.write_text("\n".join(lines) + "\n")
    words = r"2 rows have not as many fields as the header, the first in line 6 \(7 "
    with pytest.raises(BenchError, match=words):
        import_scores(ImportCall(path, tmp_path / "r", "mine"))


def test_empty_lines_are_passed_over_and_counted_as_lines(tmp_path):
    path = tmp_path / "s.csv"
    lines = table().to_csv(index=False).splitlines()
    lines[3:3] = ["", ""]
    path.write_text("\n".join(lines) + "\n\n\n")
    import_scores(ImportCall(path, tmp_path / "r", "mine"))
    (cell,) = load_results(tmp_path / "r").cells
    assert len(cell.scores) == 3 * len(table()) // 2
    path.write_text("\n".join([*lines, lines[6]]) + "\n")
    with pytest.raises(
        BenchError, match=r"1 row has a score of a sample that has one already .* in line 36 "
    ):
        import_scores(ImportCall(path, tmp_path / "other", "mine"))
    lines[6] = lines[6].replace("0.31", "3.1")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(BenchError, match=r"a score outside of .* in line 7 "):
        import_scores(ImportCall(path, tmp_path / "other", "mine"))


def test_seeds_are_tested_on_the_same_samples_or_on_those_of_their_folds(tmp_path):
    other = table().assign(seed=1)
    apart = other.assign(video="o" + other["video"])
    both = load_results(imported(tmp_path, pd.concat([table().assign(seed=0), other])))
    assert "folds" not in both.plan
    folds = load_results(imported(tmp_path, pd.concat([table().assign(seed=0), apart])))
    assert len(folds.plan["folds"]) == 1
    assert [cell.fold for cell in folds.cells] == [0, 1]
    lacking = pd.concat([table().assign(seed=0), other[(other["video"] != "A1") | (other["frame"] != 1)]])
    with pytest.raises(BenchError, match="1 of one alone, the first domain 'A', video 'A1', frame 1"):
        imported(tmp_path, lacking)
    with pytest.raises(
        BenchError, match=r"2 different sets of samples; expected folds, seed s being of fold s mod 2"
    ):
        imported(tmp_path, pd.concat([table().assign(seed=0), apart.assign(seed=2)]))


def test_logits_that_all_lie_between_0_and_1_are_refused(tmp_path):
    with pytest.raises(BenchError, match="these look like probabilities; leave it out"):
        imported(tmp_path, table(), logits=True)


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    out = imported(tmp_path, table())
    with pytest.raises(BenchError, match="is not empty; give another --out"):
        import_scores(ImportCall(tmp_path / "scores.csv", out, "mine"))


def test_what_is_kept_of_a_row_is_a_few_bytes(tmp_path):
    count = 60_000
    frame = pd.DataFrame(
        {
            "step": np.repeat([0, 1], count // 2),
            "domain": np.tile(np.repeat(["a long name of a domain", "another name"], count // 4), 2),
            "video": [f"a video with a long name {n // 10}" for n in np.tile(np.arange(count // 2), 2)],
            "frame": np.tile(np.arange(10), count // 10),
            "label": np.tile(np.arange(count // 2) // 10 % 2, 2),
            "score": 0.5,
        }
    )
    path = tmp_path / "s.csv"
    frame.loc[np.arange(count) % 7 == 0, "score"] = 0.25
    frame.to_csv(path, index=False)
    import_scores(ImportCall(path, tmp_path / "first", "mine"))
    tracemalloc.start()
    import_scores(ImportCall(path, tmp_path / "second", "mine"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * count, "texts of rows would be more"


VIDEOS = "videos are called own/METHOD/none/VIDEO, the same as those of other results that are called so; --dataset NAME"


def test_the_command_says_what_it_took_for_granted(bench, tmp_path):
    frame = table(note="x").rename(columns={"step": "task", "video": "clip"})
    frame.to_csv(tmp_path / "my.csv", index=False)
    call = (
        "import",
        "my.csv",
        "--out",
        "results/mine",
        "--strategy",
        "mine",
        "--map",
        "step=task,video=clip",
    )
    code, out, err = bench(*call)
    assert (code, err) == (0, "")
    for words in ("A → B  (as they first appear", "8 videos: no column says who", "not read: note", VIDEOS):
        assert words in out
    assert "bench report results/mine" in out
    cells = json.loads(bench("cells", "results/mine", "--json").out)["cells"]
    assert cells[0]["address"] == "results/mine:mine:0"
    for words in (
        ("export", "results/mine:mine:0"),
        ("score", "results/mine", "--corrupt", "jpeg"),
        ("predict", "results/mine:mine:0", "my.csv"),
    ):
        code, _, err = bench(*words)
        assert (code, err.count("\n")) == (2, 1)
    assert "imported from my.csv" in bench("export", "results/mine:mine:0").err
    code, out, _ = bench(*call[:2], "--out", "other", *call[4:], "--json")
    assert json.loads(out)["domains"] == ["A", "B"]


def test_the_command_stands_in_a_report_as_it_was_given(bench, tmp_path):
    frame = table().rename(columns={"step": "after task", "video": "clip"})
    frame["score"] = np.log(frame["score"] / (1 - frame["score"]))
    frame.to_csv(tmp_path / "my.csv", index=False)
    options = ("--strategy", "mine", "--domains", "A,B", "--map", "step=after task,video=clip")
    options += ("--dataset", "ours", "--logits")
    code, _, err = bench("import", "my.csv", "--out", "results/mine", *options)
    assert (code, err) == (0, "")
    (command,) = run_commands(load_results("results/mine").plan)
    words = shlex.split(command)
    assert words[:5] == ["bench", "import", "my.csv", "--out", "RESULTS"]
    assert words[5:] == list(options)
    words[4] = "results/again"
    assert bench(*words[1:]).code == 0
    first, again = (load_results(f"results/{name}").cells[0].scores for name in ("mine", "again"))
    pd.testing.assert_frame_equal(first, again)


def test_a_column_that_cannot_be_seen_is_in_no_command(tmp_path):
    frame = table().rename(columns={"step": "after\u202etask"})
    out = imported(tmp_path, frame, mapped=(("step", "after\u202etask"),))
    assert run_commands(load_results(out).plan) == ("bench import scores.csv --out RESULTS --strategy mine",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.csv", "--out", "r", "--strategy", "m"), "nowhere.csv"),
        (
            ("s.csv", "--out", "r"),
            "say what the method is called: --strategy NAME, or --map strategy=COLUMN if a column says it (columns not "
            "read: method, gpu)",
        ),
        (
            ("s.csv", "--out", "r", "--strategy", "m", "--map", "gpu=step"),
            "unknown column in --map 'gpu'. Known: domain, frame, label, person, score, seed, step, strategy, video; "
            "write the suite's name first: --map step=gpu",
        ),
        (("s.csv", "--out", "r", "--strategy", "m", "--map", "step"), "--map 'step': expected NAME=COLUMN"),
        (("s.csv", "--out", "r", "--strategy", "m", "--map", "stp=step"), "unknown column in --map 'stp'"),
        (("s.csv", "--out", "r", "--strategy", "m", "--map", "step=tsk"), "unknown column 'tsk'"),
        (("s.csv", "--out", "r", "--strategy", "m", "--stream", "ffpp-mimi"), "did you mean 'ffpp-mini'"),
        (("s.csv", "--out", "r", "--strategy", "a/b"), "--strategy"),
        (("s.csv", "--out", "r", "--strategy", "m", "--dataset", "a/b"), "--dataset: expected a name"),
        (("s.csv", "--strategy", "m"), "--out is missing"),
    ],
)
def test_a_wrong_call_is_one_line(bench, words, message, tmp_path):
    table(method="m", gpu=0).to_csv(tmp_path / "s.csv", index=False)
    code, out, err = bench("import", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "r").exists()
