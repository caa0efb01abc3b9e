"""Checks: one line each, a count at the end, an exit code. Knows nothing of what is checked."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable

# Set when a suite has started itself again inside its virtual environment.
INSIDE = "TRACKSIDE_SUITE_INSIDE"


class MissingPart(Exception):
    """Something the suite needs is not there. The text says what, and what to do."""


class Checks:
    """Collects the outcome of a suite. A check that fails never stops the ones after it."""

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.passed = 0
        self.failed = 0
        self._started = time.monotonic()

    def note(self, text: str) -> None:
        """Says what happens now."""
        print(f"  .. {time.monotonic() - self._started:6.1f}s {text}", flush=True)

    def check(self, name: str, ok: bool, detail: object = "") -> bool:
        """One check; `detail` is shown only when it fails."""
        if ok:
            self.passed += 1
            print(f"  ok   {name}", flush=True)
        else:
            self.failed += 1
            print(f"  FAIL {name}{': ' if detail else ''}{detail}", flush=True)
        return ok

    def equal(self, name: str, got: object, want: object) -> bool:
        """Checks that two values are equal."""
        return self.check(name, got == want, f"got {got!r}, want {want!r}")

    def eventually(self, name: str, probe: Callable[[], object], seconds: float) -> bool:
        """Checks that `probe` becomes true within `seconds`; shows its last answer when it does not."""
        last: object = None
        deadline = time.monotonic() + seconds
        while True:
            try:
                last = probe()
            except (OSError, ValueError, KeyError) as error:
                last = f"{type(error).__name__}: {error}"
            else:
                if last:
                    return self.check(name, True)
            if time.monotonic() > deadline:
                return self.check(name, False, f"not within {seconds:g} s; last answer: {last!r}")
            time.sleep(0.1)

    def summary(self) -> int:
        """Prints the closing line and returns the exit code: no check at all is a failure too."""
        if self.passed + self.failed == 0:
            self.check(f"{self.suite} checks anything", False)
        print(f"{self.suite}: {time.monotonic() - self._started:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def main(suite: str, run: Callable[[Checks], None]) -> None:
    """Runs a suite and exits. A missing part or an accident counts as a failed check and is said loudly."""
    checks = Checks(suite)
    if INSIDE not in os.environ:
        print(f"== suite {suite}", flush=True)
    try:
        run(checks)
    except MissingPart as missing:
        checks.check(f"{suite} has all its parts", False, f"MISSING PART: {missing}")
    except Exception:  # noqa: BLE001 - the suite must end with its count whatever happened
        traceback.print_exc()
        checks.check(f"{suite} ran to its end", False, "see the traceback above")
    sys.exit(checks.summary())
