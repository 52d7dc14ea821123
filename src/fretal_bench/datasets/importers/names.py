"""Rules that read names: real or fake, which split, which compression, whose face."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.names import NAME, escaped, shown

CLASS_WORDS: Final[Mapping[int, tuple[str, ...]]] = {
    REAL: (
        "real",
        "reals",
        "original",
        "originals",
        "pristine",
        "authentic",
        "genuine",
        "nature",
        "natural",
        "live",
        "bonafide",
    ),
    FAKE: (
        "fake",
        "fakes",
        "ai",
        "aigc",
        "generated",
        "synthetic",
        "synthesized",
        "synthesised",
        "manipulated",
        "deepfake",
        "deepfakes",
        "forged",
        "forgery",
        "spoof",
        "spoofed",
    ),
}
"""What people call the two classes, in folders' names and lists; whole words, letter case aside."""
_LABELS: Final = {word: label for label, words in CLASS_WORDS.items() for word in words}
_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_COMPRESSIONS: Final = {"raw": "raw", "c0": "raw", "c23": "c23", "c40": "c40"}
_NUMBERED: Final = re.compile(r"(?:(?P<number>[0-9]{1,9})[_\- ])?(?P<word>.+)")
_PARTED: Final = re.compile(r"[_\-. ]+")
_DENIALS: Final = frozenset({"not", "no", "non", "un"})
_LONGEST_FOLDER: Final = 60
_LONGEST_TEXT: Final = 1000
_FFPP: Final = re.compile(r"(?P<target>\d{3})(?:_(?P<source>\d{3}))?", re.ASCII)
_CELEB: Final = re.compile(r"(?P<target>id\d+)(?:_(?P<source>id\d+))?_(?P<take>\d{4})", re.ASCII)


class Contradiction(NamedTuple):
    """A class name whose number contradicts its word, as in ``1_real``; the words for a finding."""

    words: str


def label_of_class(name: str) -> int | Contradiction | None:
    """Read a class folder's name: a word of ``CLASS_WORDS``, as in ``real`` or ``aigc``, or ``0_real``, ``1_fake``.

    Returns:
        The label; a ``Contradiction`` where the name gives both; None if it names no class.
    """
    match = _NUMBERED.fullmatch(name.lower())
    if match is None:
        return None
    word = match["word"]
    label = _LABELS.get(word)
    if label is not None and match["number"] is not None and int(match["number"]) != label:
        return Contradiction(
            f"{name!r} says {int(match['number'])} and {word!r}; here 0 is real and 1 is fake"
        )
    return label


def label_of_last_word(name: str) -> int | None:
    """Read a name whose last word is ``real`` or ``fake``, as in ``CelebDFv2_real``, ``simswap_Fake``, ``FF-real``.

    Returns:
        The label; None where the class is no word of its own (``Surreal``, ``GenUnreal``), is denied (``not_real``), or
        comes with the other (``real_fake``).
    """
    words = _PARTED.split(name.lower())
    classes = [word for word in words if word in ("real", "fake")]
    if classes != words[-1:] or _DENIALS.intersection(words):
        return None
    return REAL if classes == ["real"] else FAKE


def dataset_of_folder(name: str) -> str:
    """Name a data set after its folder: what no name may hold becomes a hyphen; ``dataset`` if nothing is left."""
    characters = (character if not NAME.fault(f"a{character}a") else "-" for character in name)
    plain = "".join(characters).strip(" .-")[:_LONGEST_FOLDER].strip()
    return plain if not NAME.fault(plain) else "dataset"


def text_fault(text: str) -> str:
    """What is wrong with the name of a video or a person, in words; "" if nothing is."""
    if len(text) > _LONGEST_TEXT:
        return f"it has {len(text):,} characters, expected at most {_LONGEST_TEXT:,}"
    if "\\" in text or escaped(text) != text:
        return f"{shown(text)} holds a backslash, a control or a bidirectional character"
    return ""


def split_of(name: str) -> str | None:
    """Read a split's name: ``train``, ``val`` (``valid``, ``validation``), ``test``; None if it names none."""
    return _SPLITS.get(name.lower())


def compression_of(name: str) -> str | None:
    """Read a compression's name; ``c0`` is what papers call the download's ``raw``."""
    return _COMPRESSIONS.get(name.lower())


class Faces(NamedTuple):
    """Whose video it is, whose face it shows ("" where the name doesn't show it), and the real video behind a fake."""

    target: str
    source: str
    original: str


def ffpp_faces(video: str) -> Faces | None:
    """Read a FaceForensics++ id: ``TTT`` is a real video, ``TTT_SSS`` shows SSS's face in TTT."""
    match = _FFPP.fullmatch(video)
    if match is None:
        return None
    target = match["target"]
    return Faces(target, match["source"] or target, target if match["source"] else "")


def celeb_faces(video: str) -> Faces | None:
    """Read a Celeb-DF id: ``idT_NNNN`` is real, ``idT_idS_NNNN`` shows S's face in recording NNNN of T."""
    match = _CELEB.fullmatch(video)
    if match is None:
        return None
    source = match["source"]
    return Faces(
        match["target"], source or match["target"], f"{match['target']}_{match['take']}" if source else ""
    )


def recorded_faces(video: str, label: int) -> Faces:
    """Read the recordings behind any video id, in sets that mix naming rules.

    A Celeb-DF id names the recording (``idT_NNNN``), not the person: lists that mix sets follow the official test list,
    which tests people who are trained on too.
    """
    faces = ffpp_faces(video)
    if faces is None and (celeb := celeb_faces(video)) is not None:
        faces = Faces(celeb.original or video, "", celeb.original)
    if label == REAL or faces is None:
        return Faces(video, video if label == REAL else "", "")
    return faces


def frame_numbers(stems: list[str]) -> list[int]:
    """Number extracted frames by the last integer in each name; by position where that isn't unique."""
    integers = [re.findall(r"\d+", stem) for stem in stems]
    numbers = [int(digits[-1]) for digits in integers if digits and len(digits[-1]) < 10]
    return numbers if len(set(numbers)) == len(stems) else list(range(len(stems)))
