"""Domains: rows of a crop store by split, and the batch sources that strategies draw whole batches from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.manifest import FAKE, REAL, SPLITS
from fretal_bench.errors import BenchError, unknown_name

if TYPE_CHECKING:
    import torch

    from fretal_bench.datasets.store.store import CropStore

# A split of more bytes than this is read from the memory map batch by batch.
MEMORY_LIMIT: Final = 1 << 30


class CropSource:
    """Whole batches of one split of one domain; all that a strategy sees of the data.

    A split that fits ``memory_limit`` is copied into one tensor at the first batch and indexed there, on any
    device; a larger one is read from the store's memory map, each batch in the order of the rows on disk.

    Attributes:
        rows: int64 [n], row numbers of the store, ascending.
        targets: int64 tensor [n], 0 real, 1 fake; stays on the CPU.
    """

    def __init__(
        self,
        store: CropStore,
        rows: npt.NDArray[np.int64],
        *,
        device: torch.device | str = "cpu",
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        """Describe the source; nothing is read but the labels.

        Args:
            store: Where the crops are.
            rows: Row numbers of the store.
            device: Where batches are wanted.
            memory_limit: Bytes that may be held as one tensor.
        """
        import torch

        self.rows = rows
        self.targets = torch.from_numpy(store.index["label"].to_numpy(dtype=np.int64)[rows])
        self.device = torch.device(device)
        self._store = store
        self._limit = memory_limit
        self._held: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def in_memory(self) -> bool:
        """Whether the split is (or will be) held as one tensor."""
        return len(self.rows) * int(np.prod(self._store.crops.shape[1:])) <= self._limit

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """Fetch crops.

        Args:
            index: int64 [B], positions in this source (0 to len - 1), in any order and with repeats.

        Returns:
            uint8 tensor [B, H, W, 3] on the source's device, in the order of ``index``.
        """
        import torch

        if self.in_memory:
            if self._held is None:
                self._held = torch.from_numpy(self._store.crops[self.rows]).to(self.device)
            return self._held.index_select(0, index.to(self.device))
        # Rows in the order of the file: a batch is then read forwards, each row once.
        rows, back = np.unique(self.rows[index.cpu().numpy()], return_inverse=True)
        return torch.from_numpy(self._store.crops[rows][back]).to(self.device)

    def to(self, device: torch.device | str) -> CropSource:
        """Give the same source with its batches on another device; this one stays as it is."""
        import torch

        if torch.device(device) == self.device:
            return self
        return CropSource(self._store, self.rows, device=device, memory_limit=self._limit)


@dataclass(frozen=True, eq=False)
class Domain:
    """One step of a stream: real and fake crops of one kind, by split.

    Attributes:
        name: Its name in the stream.
        store: Where the crops are.
        rows: For ``train``, ``val`` and ``test`` the row numbers of the store, int64, ascending.
        withheld: Splits left out on purpose; they have no rows.
        fakes_only: Whether its reals are left out of ``train`` and ``val`` on purpose (``Protocol.later_reals``).
    """

    name: str
    store: CropStore
    rows: dict[str, npt.NDArray[np.int64]] = field(repr=False)
    withheld: tuple[str, ...] = ()
    fakes_only: bool = False
    _sources: dict[str, CropSource] = field(default_factory=dict, init=False, repr=False)
    _hashes: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        labels = self.store.index["label"].to_numpy()
        for split in SPLITS:
            present = set(labels[self.rows[split]].tolist())
            if split in self.withheld and not present:
                continue
            needed = {FAKE} if self.fakes_only and split != "test" else {REAL, FAKE}
            # Without validation rows a recipe can still train to its last epoch; half of them is a mistake.
            if present != needed and not (split == "val" and not present):
                if present > needed:
                    raise BenchError(
                        f"domain {self.name!r} holds real rows in its {split} split of {self.store.path}, where it "
                        "should bring fakes alone; leave them out"
                    )
                missing = "real" if REAL in needed - present else "fake"
                raise BenchError(
                    f"domain {self.name!r} has no {missing} rows in its {split} split of {self.store.path}; "
                    f"name other methods, prepare a store that has them, or leave {split!r} out of the domain's 'splits'"
                )

    def batches(self, split: str) -> CropSource:
        """Open one split; the same source each time, so that its crops are held once.

        Args:
            split: ``train``, ``val`` or ``test``.

        Raises:
            BenchError: If there is no such split.
        """
        if split not in self.rows:
            raise unknown_name("split", split, self.rows)
        if split not in self._sources:
            self._sources[split] = CropSource(self.store, self.rows[split])
        return self._sources[split]

    def shortcuts(self) -> str:
        """Say what tells its real from its fake without looking at a picture, as its store found; "" for nothing."""
        from fretal_bench.datasets.check.shortcuts import sentence, stored_shortcuts

        known = stored_shortcuts(self.store.info.details, str(self.store.path))
        if not known:
            return ""
        columns = ["dataset", "method", "compression", "split"]
        rows = np.concatenate([self.rows[split] for split in SPLITS])
        kinds = set(self.store.index[columns].iloc[rows].drop_duplicates().itertuples(index=False, name=None))
        own = [shortcut for shortcut in known if (*shortcut.domain, shortcut.split) in kinds]
        return sentence(own) if own else ""

    def content(self, *splits: str) -> dict[str, object]:
        """Say which data splits of the domain are, for ids: the same data give the same plain dict, under any name.

        Args:
            splits: Which of ``train``, ``val`` and ``test``; all three if none is given.

        Returns:
            ``store`` (its checksum) and ``rows``: for each of the splits a sha256 over its row numbers.

        Raises:
            BenchError: If there is no such split.
        """
        return {
            "store": self.store.checksum,
            "rows": {split: self._row_hash(split) for split in splits or SPLITS},
        }

    def fingerprint(self) -> dict[str, object]:
        """Say what the domain is in a stream: its name and the content of all its splits."""
        return {"name": self.name, **self.content()}

    def _row_hash(self, split: str) -> str:
        if split not in self.rows:
            raise unknown_name("split", split, self.rows)
        # A domain is in many streams where several orders are run.
        if split not in self._hashes:
            self._hashes[split] = row_hash(self.rows[split])
        return self._hashes[split]


def row_hash(rows: npt.NDArray[np.int64]) -> str:
    """Return the SHA-256 over row numbers of a store, hexadecimal: what a plan says of a split."""
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()


NO_ROWS: Final = row_hash(np.empty(0, np.int64))
"""What a plan says of a split without a row."""
