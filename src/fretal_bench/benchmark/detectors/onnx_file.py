"""Detectors as ONNX files: a graph from crops to P(fake), run by onnxruntime."""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fretal_bench import files
from fretal_bench.errors import BenchError, first_line

INPUT: Final = "images"
"""float32 [batch, 3, S, S], RGB in [0, 1]."""
OUTPUT: Final = "fake"
"""P(fake), float32 [batch]."""
_WRITING: Final = ("onnx", "onnxscript", "onnxruntime")
_READING: Final = ("onnxruntime",)
_INSTALL: Final = "pip install 'fretal-bench[onnx]'"
_REMEDY: Final = "give a file that `bench export --format onnx` wrote"
_LARGEST: Final = 2**31
"""Bytes of a protobuf message."""
_BATCH: Final = 64


def check_installed(packages: tuple[str, ...] = _WRITING) -> None:
    """Find out whether what writes, or reads, ONNX is installed.

    Raises:
        BenchError: A package is not; the message says how it is had.
    """
    try:
        for package in packages:
            importlib.import_module(package)
    except ImportError as error:
        raise BenchError(
            f"ONNX needs packages that are not installed ({first_line(error)}); {_INSTALL}"
        ) from error


class OnnxJudge:
    """A graph that judges crops.

    Args:
        content: The file's bytes: a graph alone, which names no other file.
        where: What it is, for the errors.
        threads: Threads that it may use; 0 = as many as onnxruntime takes.

    Attributes:
        size: S, the side of its crops.

    Raises:
        BenchError: onnxruntime is not installed, cannot read it, or it takes or gives something else.
    """

    def __init__(self, content: bytes, where: str, threads: int = 0) -> None:
        check_installed(_READING)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        try:
            # Of bytes: a graph that keeps its weights in other files is refused, wherever these are.
            self._session: Any = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has a dozen classes of its own
            raise BenchError(
                f"{where}: onnxruntime cannot read it ({first_line(error)[:160]}); {_REMEDY}"
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        found = ", ".join(f"{part.name} {part.type} {part.shape}" for part in (*inputs, *outputs))
        shape = list(inputs[0].shape) if inputs else []
        if (
            [part.name for part in inputs] != [INPUT]
            or [part.name for part in outputs] != [OUTPUT]
            or inputs[0].type != "tensor(float)"
            or len(shape) != 4
            or shape[1] != 3
            or not isinstance(shape[2], int)
            or shape[2] != shape[3]
        ):
            raise BenchError(
                f"{where}: expected {INPUT} [batch, 3, S, S] in and {OUTPUT} [batch] out, found {found[:200]}; {_REMEDY}"
            )
        self.size: int = shape[2]

    def score(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return P(fake), float32 [N], of images float32 [N, 3, S, S], RGB in [0, 1]."""
        parts = [
            self._session.run([OUTPUT], {INPUT: images[start : start + _BATCH]})[0]
            for start in range(0, len(images), _BATCH)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)


def read_onnx(path: str | os.PathLike[str]) -> OnnxJudge:
    """Read an ONNX file; errors as ``OnnxJudge`` and ``files.read_bytes``."""
    content = files.read_bytes(path, "detector", _REMEDY, _LARGEST)
    return OnnxJudge(content, os.fspath(path))
