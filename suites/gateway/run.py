#!/usr/bin/env python3
"""Hostile requests against the gateway of the real binary, judged by the raw bytes that reach the application behind it.

The requests are in `testdata/gateway/hostile.json`, the configuration in `examples/gateway-hostile`. `hostile.py` is the
client and the application, `mint.py` makes the issuer's keys and tokens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.checks import Checks, main  # noqa: E402
from lib.trackside import binary  # noqa: E402
from lib.venvs import ROOT, python_of  # noqa: E402

HERE = Path(__file__).resolve().parent
GATEWAY = "127.0.0.1:4181"
START_SECONDS = 20
LEVELS = ("must", "should", "info")


def run(checks: Checks) -> None:
    import tempfile

    python = python_of("gateway")
    with tempfile.TemporaryDirectory(prefix="trackside-gateway-") as name:
        folder = Path(name)
        env = os.environ | {"HOSTILE_KEYS": str(folder / "keys")}
        subprocess.run([python, HERE / "mint.py", "1"], check=True, env=env, stdout=subprocess.DEVNULL)
        log = (folder / "trackside.log").open("w")
        argv = [binary(), "serve", "--config", ROOT / "examples" / "gateway-hostile"]
        with subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log) as server:
            try:
                if checks.check("the gateway starts", serves(server), (folder / "trackside.log").read_text()):
                    attack(checks, python, folder, env)
            finally:
                server.terminate()


def attack(checks: Checks, python: Path, folder: Path, env: dict[str, str]) -> None:
    """Sends every request, and counts each as a check."""
    told = folder / "results.json"
    argv = [python, HERE / "hostile.py", "--target", GATEWAY, "--name", "trackside", "--json", told]
    subprocess.run(argv, check=False, env=env, stdout=subprocess.DEVNULL)
    results = json.loads(told.read_text())
    for level in LEVELS:
        of_level = [result for result in results if result["level"] == level]
        failed = [f"{result['id']}: {'; '.join(result['why'])}" for result in of_level if not result["ok"]]
        checks.check(f"{len(of_level)} requests of level {level} are met", not failed, "\n       ".join(failed))


def serves(server: subprocess.Popen[bytes]) -> bool:
    """Whether the gateway takes connections in time."""
    import socket
    import time

    host, port = GATEWAY.split(":")
    for _ in range(START_SECONDS * 10):
        if server.poll() is not None:
            return False
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


if __name__ == "__main__":
    main("gateway", run)
