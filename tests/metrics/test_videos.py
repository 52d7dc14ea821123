"""Scores of videos from those of their frames, each way against a loop over videos."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pandas as pd
import pytest

from fretal_bench.errors import BenchError
from fretal_bench.metrics.matrices import align, align_levels
from fretal_bench.metrics.videos import VIDEO_SCORES, video_level


def frames(**columns: list) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_a_videos_score_is_the_mean_of_its_frames():
    videos = video_level(frames(video=["b", "a", "b"], label=[1, 0, 1], score=np.float32([0.25, 0.5, 0.75])))
    assert videos.to_dict("list") == {
        "video": ["b", "a"],
        "label": [1, 0],
        "score": [0.5, 0.5],
        "frames": [2, 1],
    }


def test_videos_of_different_steps_and_domains_are_not_mixed():
    videos = video_level(
        frames(
            step=[0, 0, 1], domain=["x", "y", "x"], video=["v"] * 3, label=[1, 0, 1], score=[0.1, 0.2, 0.3]
        )
    )
    assert videos["score"].tolist() == [0.1, 0.2, 0.3]


def test_a_video_with_two_labels_is_an_error():
    with pytest.raises(BenchError, match="video 'ff/DF/c23/7' holds both real and fake"):
        video_level(
            frames(step=[0, 0], domain=["x", "x"], video=["ff/DF/c23/7"] * 2, label=[0, 1], score=[0.1, 0.2])
        )


def test_a_video_with_a_frame_without_a_score_has_none():
    assert np.isnan(video_level(frames(video=["v", "v"], label=[1, 1], score=[0.5, np.nan]))["score"][0])


def test_video_level_names_the_column_that_is_missing():
    with pytest.raises(BenchError, match="no column 'video'"):
        video_level(frames(label=[0], score=[0.1]))


def mean_logit(scores):
    cut = [min(max(score, 2**-24), 1 - 2**-24) for score in scores]
    return 1 / (1 + math.exp(-statistics.fmean(math.log(score / (1 - score)) for score in cut)))


BY = {"mean": statistics.fmean, "median": statistics.median, "max": max, "logit": mean_logit}


@pytest.fixture(scope="module")
def stream():
    """The scores of a stream of two domains, videos of one to five frames; certain scores among those of step 0."""
    rng = np.random.default_rng(3)
    videos = {domain: np.repeat(np.arange(12), rng.integers(1, 6, 12)) for domain in ("a", "b")}
    parts = [
        pd.DataFrame(
            {
                "step": step,
                "domain": domain,
                "row": np.arange(len(of_domain)),
                "label": (of_domain % 2).astype(np.int8),
                "video": [f"{domain}/{video:02}" for video in of_domain],
                "score": rng.choice(
                    [0.0, 1.0, 0.25, 0.5, 1e-30] if step == 0 else rng.random(99), len(of_domain)
                ),
            }
        )
        for step in (-1, 0, 1)
        for domain, of_domain in videos.items()
    ]
    return pd.concat(parts, ignore_index=True).astype({"score": np.float32})


def test_every_way_to_score_videos_has_its_words_and_a_test():
    assert BY.keys() == VIDEO_SCORES.keys()


@pytest.mark.parametrize("by", BY)
def test_the_score_of_a_video_is_what_is_asked_for_of_its_frames(stream, by):
    keys = ["step", "domain", "video"]
    expected = {key: BY[by](part["score"].astype(float).tolist()) for key, part in stream.groupby(keys)}
    videos = video_level(stream, by)
    assert len(videos) == len(expected)
    for row in videos.itertuples():
        assert row.score == pytest.approx(expected[row.step, row.domain, row.video], abs=1e-12)
    laid_out = align_levels(stream.sample(frac=1, random_state=1), ("a", "b"), by)["video"]
    for domain, scores in zip(("a", "b"), laid_out.scores, strict=True):
        names = sorted({video for _, of, video in expected if of == domain})
        for step in (-1, 0, 1):
            assert scores[step + 1] == pytest.approx([expected[step, domain, name] for name in names])


@pytest.mark.parametrize("by", BY)
def test_a_lost_frame_leaves_its_video_without_a_score_whatever_the_way(by):
    videos = video_level(frames(video=["v", "v", "w"], label=[1, 1, 0], score=[0.5, np.nan, 0.25]), by)
    assert np.isnan(videos["score"]).tolist() == [True, False]


def test_another_way_to_score_videos_is_refused_at_either_level(stream):
    with pytest.raises(BenchError, match="unknown video score 'medain'; did you mean 'median'"):
        align(stream, "frame", video="medain")
