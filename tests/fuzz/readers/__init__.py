"""Readers: every place where the suite reads a file, how it is called, how files are damaged for it, what it believes.

To add one, write a function in the file of its family:

    @reader("recipe TOML", "recipes", parts="recipes", file="recipe.toml", damages=(*TEXT, *PLACES, *trees(TOML)))
    def recipe(bench):
        bench("run", "--recipe", "recipe.toml", ...)
        return Claim(used, written)

It is called in a folder that holds copies of the world's ``parts`` and nothing else, ``file`` damaged. ``bench`` ends the
case where the command refuses; what the function returns says what was used, and what is written (``judging.Claim``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fuzz.damage import Damage
from fuzz.judging import Claim
from fuzz.running import Bench

Function = Callable[[Bench], Claim]


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        name: What it reads, and by which command.
        owner: Who repairs it.
        function: Calls the command and says what it believed; its folder is the current one.
        parts: The parts of the world that it needs.
        file: Pattern of the file that is damaged; of several that fit one is drawn.
        damages: What may be done to it.
        writes: Patterns of the paths that the command may write.
        weight: How many cases it has, against 1 of others.
        quick: Whether the ordinary test suite exercises it too.
        is_code: Whether the file is Python code, so that an error's name is what is wrong with it.
        warns: Whether the command may say in a line of its own what it passes over, before it refuses.
    """

    name: str
    owner: str
    function: Function
    parts: frozenset[str]
    file: str
    damages: tuple[Damage, ...]
    writes: tuple[str, ...] = ()
    weight: int = 1
    quick: bool = True
    is_code: bool = False
    warns: bool = False

    def files(self, folder: Path) -> list[Path]:
        """The files that may be damaged, sorted."""
        return sorted(folder.glob(self.file))


READERS: Final[dict[str, Reader]] = {}


def reader(
    name: str,
    owner: str,
    *,
    parts: str,
    file: str,
    damages: Sequence[Damage],
    writes: Sequence[str] = (),
    weight: int = 1,
    quick: bool = True,
    is_code: bool = False,
    warns: bool = False,
) -> Callable[[Function], Function]:
    """Register a reader; see ``Reader``. ``parts`` are separated by blanks."""

    def register(function: Function) -> Function:
        if name in READERS:
            raise ValueError(f"two readers are called {name!r}")
        needed, kinds = frozenset(parts.split()), tuple(damages)
        READERS[name] = Reader(
            name, owner, function, needed, file, kinds, tuple(writes), weight, quick, is_code, warns
        )
        return function

    return register
