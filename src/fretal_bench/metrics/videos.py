"""Scores of videos from the scores of their frames: by mean, median, maximum, or mean logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.metrics.losses import LEAST
from fretal_bench.metrics.numbers import NAN, Floats

if TYPE_CHECKING:
    import pandas as pd


MEAN: Final = "mean"
"""How videos are scored unless another way is asked for."""
VIDEO_SCORES: Final[dict[str, str]] = {
    MEAN: "mean frame score",
    "median": "median frame score",
    "max": "highest frame score",
    "logit": "mean frame logit",
}
"""How the score of a video is made of its frames' -> that in words."""


def level_words(level: str, by: str = MEAN) -> str:
    """Name a level in a sentence: ``frame level``, ``video level``, ``video level (median frame score)``."""
    return f"{level} level" + (f" ({VIDEO_SCORES[by]})" if level == "video" and by != MEAN else "")


def level_key(level: str, by: str = MEAN) -> str:
    """Name a level in CSV: ``frame``, ``video``, ``video-median``."""
    return f"{level}-{by}" if level == "video" and by != MEAN else level


def check_video_score(by: str) -> str:
    """Return ``by`` if it is a way to score videos.

    Raises:
        BenchError: It is not; the message names the nearest.
    """
    if by not in VIDEO_SCORES:
        raise unknown_name("video score", by, VIDEO_SCORES)
    return by


def scores_of_groups(scores: npt.NDArray[Any], groups: npt.NDArray[np.int64], by: str = MEAN) -> Floats:
    """Give each group of frames one score.

    ``mean``: ``mean_i s_i``, the field's default. ``median``: half of the frames lie on either side; of an even number
    the mean of the two in the middle. ``max``: ``max_i s_i``, for clips that are forged in part; it rises with the
    number of frames, so compare only videos with equally many. ``logit``: ``1 / (1 + exp(-mean_i ln(s_i / (1 - s_i))))``
    with ``s_i`` cut to [2^-24, 1 - 2^-24] (``losses.LEAST``): the mean of the margins of the two logits, turned back
    into a probability, so that 0.5 stays the threshold (MSFD scores videos by the mean of clip logits).

    Args:
        scores: ``[n]``, P(fake) of frames.
        groups: ``[n]``, the number of each frame's group: 0 to m - 1, each there.
        by: One of :data:`VIDEO_SCORES`.

    Returns:
        ``[m]``, P(fake) of groups; NaN for a group with a frame whose score is NaN.

    Raises:
        BenchError: There is no such way.
    """
    import pandas as pd

    check_video_score(by)
    values = np.asarray(scores, dtype=np.float64)
    if by == "logit":
        cut = np.clip(values, LEAST, 1 - LEAST)
        means = pd.Series(np.log(cut) - np.log1p(-cut)).groupby(groups).mean()
        of_groups = 1 / (1 + np.exp(-means.to_numpy(dtype=np.float64)))
    else:
        of_groups = pd.Series(values).groupby(groups).agg(by).to_numpy(dtype=np.float64, copy=True)
    result = np.asarray(of_groups, dtype=np.float64)
    # pandas leaves NaN out: a video with a frame that has no score would get one from the others.
    result[groups[np.isnan(values)]] = NAN
    return result


def _groups(keys: Sequence[pd.Series[Any]]) -> npt.NDArray[np.int64]:
    """Number the different keys of frames in the order of their first appearance; -1 where a part of one is missing.

    ``groupby(keys, sort=False).ngroup()``, which takes several times as long.
    """
    import pandas as pd

    codes = [pd.factorize(part)[0].astype(np.int64) for part in keys]
    together, is_in = np.zeros(len(codes[0]), dtype=np.int64), np.ones(len(codes[0]), dtype=bool)
    for of_part in codes:
        together = together * (1 + of_part.max(initial=0)) + of_part
        is_in &= of_part >= 0
    number = np.full(len(together), -1, dtype=np.int64)
    number[is_in] = pd.factorize(together[is_in])[0]
    return number


def video_level(frame: pd.DataFrame, by: str = MEAN) -> pd.DataFrame:
    """Scores of frames -> scores of videos: one of a video's frame scores, and the video's label.

    A video is known by its key (data set, method, compression and id, as in the ``video`` column of the
    scores), and is looked at apart in each ``step`` and ``domain`` where the frame has such columns: a real
    video may stand in many domains.

    Args:
        frame: Columns ``video``, ``label``, ``score``, and if wanted ``step`` and ``domain``; one row a frame
            of a video.
        by: How, as ``scores_of_groups``.

    Returns:
        One row a video, in order of first appearance: the key columns, ``label``, ``score`` (float64),
        ``frames`` (their number).

    Raises:
        BenchError: If a column is missing, or one video key holds two labels (then the key does not name one
            video), or there is no such way to score videos.
    """
    number, first = video_groups(frame)
    keys = [name for name in ("step", "domain", "video") if name in frame.columns]
    videos = frame[[*keys, "label"]].iloc[first].reset_index(drop=True)
    is_in = number >= 0
    videos["score"] = scores_of_groups(frame["score"].to_numpy(np.float64)[is_in], number[is_in], by)
    videos["frames"] = np.bincount(number[is_in], minlength=len(first))
    return videos


def video_groups(frame: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the number of each frame's video, in the order of first appearance, and the place of each video's first frame.

    A frame without a video has the number -1. Frame, keys and errors as ``video_level``.
    """
    missing = [name for name in ("video", "label", "score") if name not in frame.columns]
    if missing:
        raise BenchError(
            f"scores have no column {missing[0]!r} but {', '.join(map(str, frame.columns)) or 'none'}; "
            "give video, label and score"
        )
    number = _groups([frame[name] for name in ("step", "domain", "video") if name in frame.columns])
    places = np.flatnonzero(number >= 0)
    numbers, labels = number[places], frame["label"].to_numpy()
    first = places[np.unique(numbers, return_index=True)[1]]
    mixed = np.unique(numbers[labels[places] != labels[first][numbers]])
    if len(mixed):
        raise BenchError(
            f"video {frame['video'].iloc[first[mixed[0]]]!r} holds both real and fake frames ({len(mixed)} such); a "
            "video key must name one video: use dataset/method/compression/video"
        )
    return number, first
