"""Virtual environments for the real parts, by package name from the package index.

They live in `.suites/venvs` of the clone (git-ignored), or in the folder that `TRACKSIDE_SUITE_VENVS` names.
One that already holds the wanted versions is used as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from lib.checks import MissingPart

ROOT = Path(__file__).resolve().parents[2]
SUITES = ROOT / "suites"
OLDEST_PYTHON = (3, 11)

_PROBE = """
import importlib.metadata as m, sys
for wanted in sys.argv[1:]:
    name, version = wanted.split("==")
    if m.version(name) != version:
        sys.exit(f"{name} is {m.version(name)}")
"""


def python_of(name: str) -> Path:
    """The interpreter of the environment for `suites/<name>/requirements.txt`; makes the environment when needed."""
    folder = Path(os.environ.get("TRACKSIDE_SUITE_VENVS", ROOT / ".suites" / "venvs")) / name
    requirements = SUITES / name / "requirements.txt"
    python = folder / "bin" / "python"
    wanted = [line for line in requirements.read_text().split("\n") if line and not line.startswith("#")]
    if python.exists() and _holds(python, wanted):
        print(f"  .. {name}: using {', '.join(wanted)} as installed")
        return python
    if sys.version_info < OLDEST_PYTHON:
        raise MissingPart(f"Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer; this is {sys.version.split()[0]}")
    started = time.monotonic()
    print(f"  .. {name}: installing {', '.join(wanted)}", flush=True)
    _install(folder, python, requirements, SUITES / name / "constraints.txt")
    if not _holds(python, wanted):
        raise MissingPart(f"{folder} does not hold {', '.join(wanted)} although the installation succeeded")
    print(f"  .. {name}: installed in {time.monotonic() - started:.0f} s", flush=True)
    return python


def _holds(python: Path, wanted: list[str]) -> bool:
    return subprocess.run([python, "-c", _PROBE, *wanted], capture_output=True, check=False).returncode == 0


def _install(folder: Path, python: Path, requirements: Path, constraints: Path) -> None:
    """Makes the environment. The constraints pin what the parts themselves leave open."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary"]
    steps = [
        [sys.executable, "-m", "venv", "--clear", folder],
        [*pip, "-r", requirements, *(["-c", constraints] if constraints.exists() else [])],
    ]
    for step in steps:
        done = subprocess.run([str(part) for part in step], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MissingPart(
                f"`{' '.join(str(part) for part in step)}` failed. On Debian: apt-get install python3-venv; and the"
                f" package index must be reachable.\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
            )
