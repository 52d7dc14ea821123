"""One thread for numerical libraries, set before torch is imported; the tests' own modules on the path."""

import os
import shutil
import sys
from pathlib import Path

import pytest

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, str(Path(__file__).parent))

from faces_support import face  # noqa: E402
from fretal_bench.datasets.ffpp_mini.tree import make_mini  # noqa: E402

PEOPLE = (0, 14, 28, 30)
"""Two pairs: 000 with 014 in train, 028 with 030 in val."""


@pytest.fixture(scope="session")
def mini(tmp_path_factory):
    """The tree, read only: 4 people, 5 methods, c23."""
    root = tmp_path_factory.mktemp("mini") / "ffpp"
    make_mini(root, ["c23"], PEOPLE)
    return root


@pytest.fixture
def tree(mini, tmp_path):
    """A copy of the tree that a test may spoil."""
    return shutil.copytree(mini, tmp_path / "ffpp")


@pytest.fixture
def detector(monkeypatch):
    """Put a detector in MTCNN's place; ``use(answers)`` says what it gives, picture by picture, the last for ever."""

    class Scripted:
        name = "mtcnn"

        def __init__(self):
            self.answers = [[face(40, 40, 140)]]
            self.seen = []

        def detect(self, image):
            self.seen.append(image.copy())
            return self.answers[min(len(self.seen), len(self.answers)) - 1]

        @property
        def calls(self):
            return len(self.seen)

    scripted = Scripted()
    for module in ("unit", "prepare"):
        monkeypatch.setattr(f"fretal_bench.datasets.faces.{module}.open_detector", lambda *_: scripted)
    return scripted
