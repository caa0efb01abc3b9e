#!/usr/bin/env python3
"""Hostile requests against the gateway of the real binary, judged by the raw bytes that reach the application behind it.

The requests are in `testdata/gateway/hostile*.json`, the configuration in `examples/gateway-hostile`. `hostile.py` is the
client and the application, `mint.py` makes the issuer's keys and tokens.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.checks import Checks, main  # noqa: E402
from lib.trackside import binary  # noqa: E402
from lib.venvs import ROOT, python_of  # noqa: E402

HERE = Path(__file__).resolve().parent
PORTS = {"server": "4180", "gateway": "4181", "application": "19200"}
START_SECONDS = 20
LEVELS = ("must", "should", "info")


def run(checks: Checks) -> None:
    python = python_of("gateway")
    with tempfile.TemporaryDirectory(prefix="trackside-gateway-") as name:
        folder = Path(name)
        env = os.environ | {"HOSTILE_KEYS": str(folder / "keys")}
        subprocess.run([python, HERE / "mint.py", "1"], check=True, env=env, stdout=subprocess.DEVNULL)
        log = (folder / "trackside.log").open("w")
        ports = {part: free_port() for part in PORTS}
        argv = [binary(), "serve", "--config", example(folder / "config", ports)]
        with subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log) as server:
            try:
                up = serves(server, ports["gateway"])
                if checks.check("the gateway starts", up, (folder / "trackside.log").read_text()):
                    attack(checks, python, folder, env, ports)
            finally:
                server.terminate()


def example(folder: Path, ports: dict[str, str]) -> Path:
    """The example, with ports that nobody listens on."""
    text = (ROOT / "examples" / "gateway-hostile" / "gateway.yaml").read_text()
    for part, port in PORTS.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ports[part]}")
    folder.mkdir()
    (folder / "gateway.yaml").write_text(text)
    return folder


def attack(checks: Checks, python: Path, folder: Path, env: dict[str, str], ports: dict[str, str]) -> None:
    """Sends every request, and counts each as a check."""
    told = folder / "results.json"
    argv = [python, HERE / "hostile.py", "--target", f"127.0.0.1:{ports['gateway']}", "--json", told]
    argv += ["--name", "trackside", "--upstream-port", ports["application"]]
    subprocess.run(argv, check=False, env=env, stdout=subprocess.DEVNULL)
    results = json.loads(told.read_text())
    for level in LEVELS:
        of_level = [result for result in results if result["level"] == level]
        failed = [f"{result['id']}: {'; '.join(result['why'])}" for result in of_level if not result["ok"]]
        checks.check(f"{len(of_level)} requests of level {level} are met", not failed, "\n       ".join(failed))


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def serves(server: subprocess.Popen[bytes], port: str) -> bool:
    """Whether the gateway takes connections in time."""
    for _ in range(START_SECONDS * 10):
        if server.poll() is not None:
            return False
        try:
            socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


if __name__ == "__main__":
    main("gateway", run)
