"""Domains as an Avalanche benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fretal_bench.datasets.manifest import SPLITS

if TYPE_CHECKING:
    import torch

    from fretal_bench.datasets.streams.domain import CropSource, Domain


class CropDataset:
    """One split of one domain, sample by sample: (float32 [3, H, W] in -1..1, int label).

    Attributes:
        source: Where whole batches come from.
        targets: Labels, a list as Avalanche wants them.
    """

    def __init__(self, source: CropSource) -> None:
        self.source = source
        self.targets: list[int] = source.targets.tolist()

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        import torch

        crop = self.source.images(torch.tensor([index]))[0]
        return (crop.permute(2, 0, 1).float() / 255 - 0.5) / 0.5, self.targets[index]


def benchmark(domains: Sequence[Domain]) -> Any:
    """Make an Avalanche benchmark: one experience a domain in the streams ``train``, ``val`` and ``test``.

    A sample is (float32 [3, H, W], label, 0): the crop as (x / 255 - 0.5) / 0.5, its int label, its task label, which
    is always 0: one head for all domains. Every experience also has ``source`` (the ``CropSource`` of its split, for
    whole-batch loading) and ``domain_name``. A domain without training rows has no experience in ``train``. Where some
    domain has no validation rows there is no ``val`` stream, and so with test rows.

    Args:
        domains: In the order in which they are learned; a ``Stream`` is such a sequence.

    Returns:
        An ``avalanche.benchmarks.CLScenario``.
    """
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.scenarios.supervised import with_classes_timeline
    from avalanche.benchmarks.scenarios.task_aware import with_task_labels

    learned = [domain for domain in domains if len(domain.rows["train"])]
    of_splits = {split: learned if split == "train" else domains for split in SPLITS}
    sources = {
        split: [domain.batches(split) for domain in of_split]
        for split, of_split in of_splits.items()
        if of_split and all(len(domain.rows[split]) for domain in of_split)
    }
    datasets = {split: [_dataset_of(source) for source in of_split] for split, of_split in sources.items()}
    scenario = with_task_labels(with_classes_timeline(benchmark_from_datasets(**datasets)))
    for split, of_split in sources.items():
        for experience, source, domain in zip(
            scenario.streams[split], of_split, of_splits[split], strict=True
        ):
            experience.source = source
            experience.domain_name = domain.name
    return scenario


def _dataset_of(source: CropSource) -> Any:
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
