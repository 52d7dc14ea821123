"""The reference made anew, in ``tests``: ``python -m reference make``, then ``python -m reference write``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.reporting.report import write_report
from reference.quotations import DOCUMENTS, quoted
from reference.runs import FOLDERS, ROOT, make


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reference", description=__doc__)
    parser.add_argument(
        "what",
        choices=("make", "write"),
        help="make: run what is missing of the result folders, for hours; goes on where it was stopped. write: their "
        "reports, and the tables and sentences that README.md and docs quote of these",
    )
    parser.add_argument("--only", choices=tuple(FOLDERS), help="one of the folders")
    parser.add_argument("--jobs", type=int, help="processes")
    arguments = parser.parse_args()
    # What is written says where results are: as seen from the repository.
    os.chdir(ROOT)
    folders = FOLDERS if arguments.only is None else (arguments.only,)
    for folder in folders:
        if arguments.what == "make":
            make(folder, arguments.jobs)
        elif arguments.only is None and not Path("results", folder).exists():
            print(f"results/{folder} is not there; it has no report", flush=True)
        else:
            write_report(load_results(Path("results", folder)), Path("reports", folder))
            print(f"reports/{folder}", flush=True)
    if arguments.what == "write":
        for name in DOCUMENTS:
            document = ROOT / name
            document.write_text(quoted(document.read_text("utf-8")), "utf-8")
            print(name, flush=True)


if __name__ == "__main__":
    main()
