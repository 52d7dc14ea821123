"""Metrics: pure functions from scores to numbers, from matrices to continual metrics, from seeds to intervals."""

from __future__ import annotations

from fretal_bench.metrics.continual import (
    CONTINUAL_METRICS,
    ContinualMetric,
    average_accuracy,
    average_incremental_accuracy,
    backward_transfer,
    forgetting,
    forgetting_matrix,
    forward_transfer,
    learning_accuracy,
    minimum_old_accuracy,
    zero_shot_accuracy,
)
from fretal_bench.metrics.detection import (
    DETECTION_METRICS,
    DetectionMetric,
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    detection_metric,
    ece,
    eer,
    video_level,
    why_undefined,
)
from fretal_bench.metrics.intervals import Interval, PairedDifference, mean_interval, paired_difference
from fretal_bench.metrics.matrices import Matrix, StreamScores, accuracy_matrix, align, matrix, micro_average

__all__ = [
    "CONTINUAL_METRICS",
    "DETECTION_METRICS",
    "ContinualMetric",
    "DetectionMetric",
    "Interval",
    "Matrix",
    "PairedDifference",
    "StreamScores",
    "accuracy",
    "accuracy_matrix",
    "align",
    "auc",
    "average_accuracy",
    "average_incremental_accuracy",
    "average_precision",
    "backward_transfer",
    "balanced_accuracy",
    "detection_metric",
    "ece",
    "eer",
    "forgetting",
    "forgetting_matrix",
    "forward_transfer",
    "learning_accuracy",
    "matrix",
    "mean_interval",
    "micro_average",
    "minimum_old_accuracy",
    "paired_difference",
    "video_level",
    "why_undefined",
    "zero_shot_accuracy",
]
