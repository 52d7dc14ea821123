"""The model card of a detector: Markdown for people, of what its record says and of what P(fake) does not mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fretal_bench.benchmark.detectors.record import DetectorRecord

_LIMITS: Final = (
    "P(fake) is what this detector makes of a face crop. It is no probability that a person did anything, and it is "
    "calibrated only where a temperature is given above.",
    "A kind of fake that is not listed above may look real to it; a kind of real picture that is not (another camera, "
    "codec, filter or resolution) may look fake.",
    "The measurements are of the test samples named above. They say nothing of other data.",
    "Crop faces by the rule above: scores of crops with another margin are not comparable.",
    "It must not decide on anything about a person by itself.",
)


def card_of(record: DetectorRecord, name: str, *, plain: bool) -> str:
    """Write a model card.

    Args:
        record: What is known of the detector.
        name: The name that its files share.
        plain: Whether it is a plain classifier of the backbone; else a rule of the strategy's own judges.
    """
    parts = [
        f"# {name}",
        _summary(record, plain),
        "## Files",
        *_files(record, name),
        "## Input and output",
        _table(("key", "value"), _facts(record)),
        "## What it was trained on",
        *_trained_on(record),
        "## Measured",
        *_measured(record),
        "## What P(fake) means, and what not",
        "\n".join(f"- {line}" for line in _LIMITS),
        "## Licence",
        record.licence or "Not stated.",
        "## Made by",
        record.made_by or "Not stated.",
    ]
    return "\n\n".join(parts) + "\n"


def _summary(record: DetectorRecord, plain: bool) -> str:
    architecture = record.backbone or record.model
    strategy = f", updated by `{record.strategy}`" if record.strategy else ""
    rule = "" if plain else ", which judges by a rule of its own around it"
    return f"A detector of manipulated faces: {architecture} with two outputs, real and fake{strategy}{rule}."


def _files(record: DetectorRecord, name: str) -> list[str]:
    rows = [(f"`{name}.{suffix}`", f"`{digest}`") for suffix, digest in sorted(record.sha256.items())]
    parts = [_table(("file", "sha256"), rows)]
    examples = [
        f"    bench predict {name}.{suffix} FILE ..."
        for suffix in ("safetensors", "onnx")
        if suffix in record.sha256
    ]
    if "onnx" in record.sha256:
        examples += [
            "",
            "    import onnxruntime",
            f'    session = onnxruntime.InferenceSession("{name}.onnx")',
            '    (fake,) = session.run(["fake"], {"images": crops})  # float32 [N, 3, S, S], RGB in [0, 1]',
        ]
    if "torchscript" in record.sha256:
        examples += [
            "",
            "    import torch  # a TorchScript file is a program: load only one whose sha256 is the one above",
            f'    fake = torch.jit.load("{name}.torchscript")(crops)  # float32 [N, 3, S, S], RGB in [0, 1]',
        ]
    return [*parts, "\n".join(examples).strip("\n")] if examples else parts


def _facts(record: DetectorRecord) -> list[tuple[str, str]]:
    crop = record.crop
    rows = [("backbone", record.backbone or record.model)]
    if record.stem_stride:
        rows.append(("stride of the first convolution", str(record.stem_stride)))
    if crop is not None:
        finder = f", found by {crop.detector}" if crop.detector else ""
        rows.append(
            (
                "crop",
                f"square of {crop.margin:g} times the longer side of the face box{finder}, {crop.size} px",
            )
        )
    rows += [
        ("input of the network", f"{record.image_size or (crop.size if crop else 'the crops')} px, RGB"),
        (
            "pixels",
            f"(x / 255 - {_channels(record.mean)}) / {_channels(record.std)}; inside ONNX and TorchScript files",
        ),
        ("fake", f"output {record.fake} of {record.outputs}" if record.outputs == 2 else "one logit"),
        ("temperature", "none was fitted" if record.temperature == 1 else f"{record.temperature:g}"),
        (
            "threshold",
            "none was fitted: 0.5"
            if record.threshold is None
            else f"P(fake) >= {record.threshold:g} is fake",
        ),
    ]
    return rows


def _trained_on(record: DetectorRecord) -> list[str]:
    if not record.trained_on:
        return ["Not stated."]
    rows = [
        (str(place), part.domain, ", ".join(part.kinds), f"`{part.store[:16]}`" if part.store else "")
        for place, part in enumerate(record.trained_on, start=1)
    ]
    return [_table(("", "domain", "kinds", "crop store"), rows)]


def _measured(record: DetectorRecord) -> list[str]:
    if not record.measured:
        return ["Nothing."]
    rows = [
        (part.domain, str(part.samples), _share(part.accuracy), _share(part.auc), f"{part.threshold:g}")
        for part in record.measured
    ]
    learned = {part.domain for part in record.trained_on}
    new = [part.domain for part in record.measured if learned and part.domain not in learned]
    note = (
        f"Never trained on: {', '.join(new)}."
        if new
        else "Test samples of the domains that it was trained on."
    )
    return [_table(("domain", "images", "accuracy", "AUC", "at threshold"), rows), note]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _channels(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else f"[{', '.join(f'{value:g}' for value in values)}]"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
