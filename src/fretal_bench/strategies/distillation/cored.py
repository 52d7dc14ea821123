"""CoReD: FReTAL along a stream."""

from __future__ import annotations

from fretal_bench.strategies import distillation
from fretal_bench.strategies.distillation.fretal import FReTAL


class CoReD(FReTAL):
    """FReTAL's loss, the student after each domain being the teacher of the next.

    Source: Kim, Tariq, Woo, "CoReD: Generalizing Fake Media Detection with Continual Representation using
    Distillation", ACM Multimedia 2021, and its released code.
    """

    info = distillation.CORED
