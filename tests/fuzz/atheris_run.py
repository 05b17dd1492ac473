"""Let atheris look for an input that breaks one target; ends as libFuzzer does, with what it found in a file.

python -m tests.fuzz.atheris_run TARGET [options of libFuzzer] [folder of inputs]
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["streamkit"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()
