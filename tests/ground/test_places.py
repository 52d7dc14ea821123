"""Where an error was raised: the innermost line of code of others, or of all where there is none."""

import json
from pathlib import Path

import fretal_bench
from fretal_bench.places import place_in, place_of

SUITE = Path(fretal_bench.__file__).parent


def trace(*files, last="AttributeError: no attribute 'old'"):
    frames = "".join(f'  File "{file}", line {line}, in f\n    f()\n' for line, file in enumerate(files, 1))
    return f"Traceback (most recent call last):\n{frames}{last}\n"


def test_the_innermost_frame_of_code_of_others_is_named():
    loop, torch = SUITE / "strategies" / "template.py", "/v/lib/python3.12/site-packages/torch/nn.py"
    reason = "AttributeError: no attribute 'old'"
    assert place_in(trace(loop, "/home/me/p4.py", torch), reason) == "p4.py, line 2"
    assert place_in(trace(loop, "/home/fretal_bench/p4.py", loop), reason) == "p4.py, line 2"
    assert place_in(trace(loop, "C:\\\\me\\\\p4.py"), reason) == "p4.py, line 2"


def test_of_no_code_of_others_the_innermost_frame_is_named_unless_the_suite_says_what_to_do():
    loop, torch = "/other/fretal_bench/strategies/template.py", "/v/lib/python3.12/site-packages/torch/nn.py"
    assert place_in(trace(loop, torch), "AttributeError: no attribute 'old'") == "nn.py, line 2"
    last = "fretal_bench.errors.RunError: training diverged on D1: the loss is nan"
    assert place_in(trace(loop, loop, last=last), "training diverged on D1: the loss is nan") == ""
    assert place_in("", "killed") == ""


def test_an_error_is_placed_by_its_own_traceback():
    def caught(call):
        try:
            call()
        except ValueError as error:
            return place_of(error)

    assert caught(lambda: json.loads("{")).startswith("test_places.py, line ")
    assert place_of(ValueError("never raised")) == ""
