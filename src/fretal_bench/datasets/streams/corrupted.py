"""Corrupted test samples: the crops of a batch source, each as a corruption leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.corruptions import Corruption
from fretal_bench.datasets.manifest import video_key
from fretal_bench.datasets.streams.domain import CropSource, Domain

if TYPE_CHECKING:
    import torch

    from fretal_bench.datasets.corruptions.pixels import Crops

HELD: Final = 1 << 28
"""A set of at most so many bytes is corrupted once and held."""


class CorruptedSource:
    """The test samples of a domain with corrupted pixels; everything else is theirs.

    A set of at most ``HELD`` bytes is corrupted at the first batch and held; of a larger one each batch is corrupted
    anew, and of H.264 every video that it has a crop of.

    Attributes:
        rows: int64 [n], row numbers of the store, ascending.
        targets: int64 tensor [n], 0 real, 1 fake.
        device: Where batches are wanted.
    """

    def __init__(self, domain: Domain, corruption: Corruption) -> None:
        """Describe the source; nothing is corrupted yet."""
        self._clean: CropSource = domain.batches("test")
        self._corruption = corruption
        self.rows, self.targets, self.device = self._clean.rows, self._clean.targets, self._clean.device
        self._shape = domain.store.crops.shape[1:]
        self.bytes = len(self.rows) * int(np.prod(self._shape))
        about = domain.store.index.iloc[self.rows]
        self._videos: npt.NDArray[np.int64] = np.unique(
            video_key(about).to_numpy().astype(str), return_inverse=True
        )[1]
        self._frames: npt.NDArray[np.int64] = about["frame"].to_numpy(np.int64)
        self._held: Crops | None = None
        self._clips: dict[int, tuple[npt.NDArray[np.int64], Crops]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """Fetch corrupted crops ``index`` (int64 [B]), as ``CropSource.images``."""
        import torch

        at = index.cpu().numpy()
        if self.bytes > HELD:
            return torch.from_numpy(self._corrupted(at)).to(self.device)
        if self._held is None:
            self._held = self._corrupted(np.arange(len(self)))
        return torch.from_numpy(self._held[at]).to(self.device)

    def _corrupted(self, at: npt.NDArray[np.int64]) -> Crops:
        if not len(at):
            return self._read(at)
        if not self._corruption.of_clips:
            return self._corruption.apply(self._read(at))
        videos = self._videos[at]
        # Those of the batch before may go on in this one.
        self._clips = {
            video: self._clips.get(video) or self._clip(video) for video in np.unique(videos).tolist()
        }
        result = np.empty((len(at), *self._shape), np.uint8)
        for video, (members, crops) in self._clips.items():
            of_video = videos == video
            result[of_video] = crops[np.searchsorted(members, at[of_video])]
        return result

    def _clip(self, video: int) -> tuple[npt.NDArray[np.int64], Crops]:
        """Corrupt the crops of a video in the order of their frames: their places, ascending, and the crops."""
        members = np.flatnonzero(self._videos == video)
        in_order = members[np.argsort(self._frames[members], kind="stable")]
        crops = self._corruption.apply(self._read(in_order))
        back = np.argsort(in_order, kind="stable")
        return members, crops[back]

    def _read(self, at: npt.NDArray[np.int64]) -> Crops:
        import torch

        clean: Crops = self._clean.images(torch.from_numpy(np.asarray(at, np.int64))).cpu().numpy()
        return clean
