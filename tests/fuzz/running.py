"""A case run: a damaged copy of the world, the whole command in a child process, and what came of it."""

from __future__ import annotations

import hashlib
import os
import pickle
import resource
import shutil
import stat
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

MEMORY: Final = 1536 * 2**20
"""Bytes that one reading may add to the process; the suite promises less than 2 GB."""
SECONDS: Final = 10
"""Seconds of processor time that one reading may take."""
PATIENCE: Final = 120
"""Seconds that a case may last where the machine is busy, or where it waits for something that never comes."""


class Refused(Exception):
    """The command, or the suite's own functions after it, said no; carried out of a reader's function."""


@dataclass(frozen=True)
class Outcome:
    """How a call of ``bench`` ended."""

    code: int
    out: str
    err: str


@dataclass
class Ran:
    """What a child process tells of a case.

    Attributes:
        code: Exit code of the last call of ``bench``.
        err: What stands on standard error.
        out: What stands on standard output.
        claim: What the reader's function says was believed; None where it was refused.
        trace: The traceback, where one reached the user.
        memory: Bytes that the process grew by at most.
        escaped: Paths outside of the case's folder that were written to.
        changed: Paths inside that the command may not write, and did.
        died: Why the child was ended or ended itself; empty where it came to its end.
    """

    code: int = 0
    err: str = ""
    out: str = ""
    claim: Any = None
    trace: str = ""
    memory: int = 0
    seconds: float = 0.0
    escaped: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    died: str = ""


class Bench:
    """The whole command, called in this process as a new one would run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcome = Outcome(0, "", "")

    def __call__(
        self, *words: object, findings: bool = False, failing: bool = False, missing: bool = False
    ) -> Outcome:
        """Call ``bench``; a call that is refused ends the case.

        Args:
            words: The arguments.
            findings: Whether exit code 1 with nothing on standard error is an answer, not a refusal.
            failing: Whether exit code 1 with a line for each failed cell is one.
            missing: Whether one with a line for each value that was not measured is one.
        """
        from fretal_bench import plugins
        from fretal_bench.cli.main import main

        plugins.forget()
        begun = {name: (self.folder / name).stat().st_size for name in ("out", "err")}
        sys.argv = ["bench", *map(str, words)]
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = (
            (self.folder / name).read_bytes()[size:].decode("utf-8", "backslashreplace")
            for name, size in begun.items()
        )
        self.outcome = Outcome(code, out, err)
        answered = code == 1 and (
            (findings and not err.strip())
            or missing
            or (failing and all(line.startswith("bench: failed: ") for line in err.splitlines()))
        )
        if code and not answered:
            raise Refused
        return self.outcome


def run_case(
    folder: Path, function: Callable[[Bench], Any], writes: Sequence[str], seconds: int = SECONDS
) -> Callable[[], None]:
    """Give what a child process does: call a reader's function in ``folder/in`` and leave a ``Ran`` in ``folder``."""

    def child() -> None:
        _redirect(folder)
        os.chdir(folder / "in")
        os.environ.update(
            FRETAL_BENCH_CACHE=str(folder / "cache"),
            TMPDIR=str(folder / "tmp"),
            COLUMNS="200",
            HOME=str(folder),
        )
        os.environ.pop("FRETAL_BENCH_DATA", None)
        # A plugin that loops would be given half a minute.
        os.environ["FRETAL_BENCH_PLUGIN_SECONDS"] = "3"
        import tempfile

        tempfile.tempdir = None
        sys.dont_write_bytecode = True
        (folder / "tmp").mkdir()
        ran = Ran()
        before, size = snapshot(folder / "in"), _status("VmRSS")
        limit = _status("VmSize") + MEMORY + 2**29
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds + int(time.process_time()) + 1,) * 2)
        begun = time.process_time()
        bench = Bench(folder)
        with _watched(folder, ran.escaped):
            try:
                ran.claim = function(bench)
            except Refused:
                pass
            except BaseException as error:
                _keep(ran, bench, error)
        ran.seconds = time.process_time() - begun
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        sys.stdout.flush()
        sys.stderr.flush()
        ran.memory = _status("VmHWM") - size
        last = bench.outcome
        ran.code, ran.out = ran.code or last.code, last.out
        ran.err = ran.err or (folder / "err").read_bytes().decode("utf-8", "backslashreplace")
        ran.changed = _changes(before, snapshot(folder / "in"), writes)
        (folder / "ran.pickle").write_bytes(pickle.dumps(ran))
        os._exit(0)

    return child


def _keep(ran: Ran, bench: Bench, error: BaseException) -> None:
    """Note an error that was raised: the suite's own as the command would print it, any other as a traceback."""
    from fretal_bench.errors import BenchError

    if isinstance(error, BenchError):
        # Of a function that is called after the command: it stands for a command that reads more.
        ran.code, ran.err = error.exit_code, f"bench: {error}\n"
    else:
        ran.trace = "".join(traceback.format_exception(error)[-8:])


def _redirect(folder: Path) -> None:
    for name, descriptor in (("out", 1), ("err", 2)):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    # Whoever forked may have replaced these.
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0


_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_TARGETS: Final = {
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.link": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
}


@contextmanager
def _watched(folder: Path, escaped: list[str]) -> Iterator[None]:
    """Note every path outside of the case's folder that Python code writes to or removes."""
    inside = os.path.realpath(folder)
    active = True

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if not active:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(path, str | bytes | os.PathLike) and (
                bool(flags & _WRITES)
                if isinstance(flags, int)
                else any(letter in (mode or "") for letter in "wax+")
            )
            paths = [path] if writes else []
        else:
            paths = [arguments[place] for place in _TARGETS.get(event, ())]
        for path in paths:
            real = (
                os.path.realpath(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else inside
            )
            if not real.startswith((inside, "/dev/", "/proc/")):
                escaped.append(real)

    sys.addaudithook(look)
    try:
        yield
    finally:
        active = False


def snapshot(folder: Path) -> dict[str, str]:
    """Say what every path below a folder is: a hash of a file's content, a link's target, or a kind."""
    state: dict[str, str] = {}
    for top, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(top, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                says = f"link to {os.readlink(path)}"
            elif stat.S_ISREG(mode):
                says = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                says = str(stat.S_IFMT(mode))
            state[path.relative_to(folder).as_posix()] = says
    return state


def _changes(before: dict[str, str], after: dict[str, str], writes: Sequence[str]) -> list[str]:
    paths = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return [path for path in paths if not any(fnmatchcase(path, pattern) for pattern in writes)]


def copy_in(world: Path, names: Sequence[str], folder: Path) -> None:
    """Copy parts of the world into a case's folder."""
    (folder / "in").mkdir(parents=True)
    for name in names:
        source, target = world / name, folder / "in" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target)
