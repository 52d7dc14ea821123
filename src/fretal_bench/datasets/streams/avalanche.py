"""A stream as an Avalanche benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fretal_bench.datasets.streams.domain import SPLITS

if TYPE_CHECKING:
    import torch

    from fretal_bench.datasets.streams.domain import BatchSource
    from fretal_bench.datasets.streams.stream import Stream


class CropDataset:
    """One split of one domain, sample by sample: (float32 [3, H, W] in -1..1, int label).

    Attributes:
        source: Where whole batches come from.
        targets: Labels, a list as Avalanche wants them.
    """

    def __init__(self, source: BatchSource) -> None:
        self.source = source
        self.targets: list[int] = source.targets.tolist()

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        import torch

        crop = self.source.images(torch.tensor([index]))[0]
        return (crop.permute(2, 0, 1).float() / 255 - 0.5) / 0.5, self.targets[index]


def benchmark_of(stream: Stream) -> Any:
    """Make the Avalanche benchmark of a stream; see ``Stream.as_avalanche``."""
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.scenarios.supervised import with_classes_timeline
    from avalanche.benchmarks.scenarios.task_aware import with_task_labels

    sources = {
        split: [domain.batches(split) for domain in stream]
        for split in SPLITS
        if all(len(domain.rows[split]) for domain in stream)
    }
    datasets = {split: [_dataset_of(source) for source in of_split] for split, of_split in sources.items()}
    benchmark = with_task_labels(with_classes_timeline(benchmark_from_datasets(**datasets)))
    for split, of_split in sources.items():
        for experience, source, domain in zip(benchmark.streams[split], of_split, stream, strict=True):
            experience.source = source
            experience.domain_name = domain.name
    return benchmark


def _dataset_of(source: BatchSource) -> Any:
    from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
    from avalanche.benchmarks.utils.data_attribute import DataAttribute
    from avalanche.benchmarks.utils.flat_data import ConstantSequence

    dataset = CropDataset(source)
    return TaskAwareSupervisedClassificationDataset(
        [dataset],
        data_attributes=[
            DataAttribute(dataset.targets, "targets"),
            DataAttribute(ConstantSequence(0, len(dataset)), "targets_task_labels", use_in_getitem=True),
        ],
    )
