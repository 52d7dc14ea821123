"""Distributions as pip leaves them: modules and a .dist-info folder with entry points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def an_installation(
    folder: Path,
    name: str,
    version: str,
    modules: Mapping[str, str],
    kind: str,
    points: Mapping[str, str],
    direct_url: str = "",
) -> None:
    """Write a distribution that adds things of one ``kind`` to the suite into a folder, to be on ``sys.path``."""
    for module, code in modules.items():
        (folder / f"{module}.py").write_text(code)
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"[fretal_bench.{kind}]", *(f"{point} = {target}" for point, target in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    if direct_url:
        (about / "direct_url.json").write_text(direct_url)
