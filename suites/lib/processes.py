"""Child processes with a log each, free ports, waiting with a deadline. Every child ends with the suite."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

TAIL_LINES = 40


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, probe: Callable[[], object], seconds: float) -> object:
    """Returns the first true answer of `probe`. A refused connection means "not yet"; the deadline is an error."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = probe()
        except OSError as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.1)
    raise TimeoutError(f"{what} did not happen within {seconds:g} s; last answer: {last!r}")


class Child:
    """A process in its own group, so that nothing it starts outlives it. Output goes to a log file."""

    def __init__(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                [str(part) for part in argv],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """The exit code, or nothing while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Ends it at once, as a power cut would."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Holds it still; what reaches its sockets waits."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        self._signal(signal.SIGCONT)

    def hang_up(self) -> None:
        """SIGHUP: asks it to read its configuration again."""
        self._signal(signal.SIGHUP, group=False)

    def stop(self, seconds: float = 15) -> int:
        """Asks it to end, insists after `seconds`, and returns the exit code."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM, group=False)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self._signal(signal.SIGKILL)
        return self._process.wait()

    def wait(self, seconds: float) -> int:
        """Waits for its own end."""
        return self._process.wait(seconds)

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"    | {line}" for line in lines[-TAIL_LINES:])

    def _signal(self, number: signal.Signals, *, group: bool = True) -> None:
        try:
            if group:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:
            pass


class Bench:
    """A temporary folder and the processes that work in it; leaving it ends them all, newest first.

    When the body fails, the end of every log is shown. `TRACKSIDE_SUITE_KEEP=1` keeps the folder.
    """

    def __init__(self, suite: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"trackside-{suite}-"))
        self._children: list[Child] = []

    def start(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str]) -> Child:
        """Starts a child whose log is `<name>.log` in the folder."""
        child = Child(name, argv, env, self.folder / f"{name}.log")
        self._children.append(child)
        return child

    def alive(self) -> bool:
        """True while no child has died by accident."""
        return all(child.exit_code in (None, 0) for child in self._children)

    def show_logs(self) -> None:
        """Prints the end of every log."""
        for log in sorted(self.folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            print(f"  -- {log.name}", *(f"    | {line[:300]}" for line in lines), sep="\n", file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self._children):
            child.stop()
        if kind is not None:
            self.show_logs()
        if os.environ.get("TRACKSIDE_SUITE_KEEP"):
            print(f"  .. kept {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
