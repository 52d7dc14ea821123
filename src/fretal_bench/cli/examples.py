"""Calls that the help of each command shows, by its words; a test reads every one as the command would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "run": (
        "fretal lwf ewc",
        "all --seeds 0-4 --jobs 2",
        "@replay fretal --stream stream.toml --data stores --recipe paper-fretal",
    ),
    "adapt": (
        "--weights detector.safetensors --new stores/new-kind --test stores/ffpp-c23",
        "--weights own.pth --backbone legacy_xception --new stores/new-kind --test stores/ffpp-c23 --videos-per-class 25",
    ),
    "tune": (
        "--strategies ewc,lwf --budget 10",
        "--strategies ewc --write ewc.toml",
    ),
    "score": (
        "results/ffpp-mini-mini --on ffpp-mini-c40",
        "results/ffpp-mini-mini --on stores/celeb-df",
    ),
    "report": (
        "results/ffpp-mini-mini --full",
        "results/ffpp-mini-mini --metric auc --level video --out reports/auc",
        "results/ffpp-mini-mini results/mine",
    ),
    "cells": ("results/ffpp-mini-mini", "results/ffpp-mini-mini --json"),
    "import": (
        "scores.csv --strategy my-method --out results/mine",
        "logits.csv --strategy my-method --out results/mine --logits",
    ),
    "show": ("strategy ewc", "stream ffpp-mini"),
    "list": ("strategies", "streams 'ffpp*' --json"),
    "predict": (
        "results/ffpp-mini-mini:fretal:0 clip.mp4",
        "detector.safetensors clips --html faces.html",
    ),
    "export": (
        "results/ffpp-mini-mini:fretal:0",
        "results/ffpp-mini-mini:fretal:0 --format onnx --out detector.onnx",
    ),
    "data check": ("FaceForensics++", "videos --hash"),
    "data prepare": ("FaceForensics++ --out stores/ffpp-c23", "videos --out stores/own --size 299"),
    "data preview": ("stores/ffpp-c23", "stores/own --out own.png"),
    "data make-mini": ("FFpp-mini", "FFpp-mini --compression c23,c40"),
    "paper list": ("", "--json"),
    "paper show": ("fretal-table-1", "fretal-table-1 --json"),
    "paper run": ("fretal-table-1 --data stores", "fretal-table-1 --stream-as ffpp-mini"),
    "new strategy": ("my-method", "my-method --into plugins"),
    "doctor": ("", "--json"),
    "clean": ("", "--remove"),
}
