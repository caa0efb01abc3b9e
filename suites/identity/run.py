#!/usr/bin/env python3
"""Identity with real parts: a certified OpenID Provider from npm, Chromium, a real Airflow, Azure as Microsoft's SDKs take
it, PyJWT as judge.

Needs Node.js 18 or newer with npm, and Chromium (`CHROMIUM` names another program). Runs itself again in its own virtual environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.checks import INSIDE, Checks, MissingPart, main  # noqa: E402
from lib.venvs import ROOT, python_of  # noqa: E402

HERE = Path(__file__).resolve().parent


def run(checks: Checks) -> None:
    import airflow_out
    import callers_in
    import credentials_out
    import secret_sources
    import sign_in

    modules, chromium = node_modules(), browser()
    checks.note("people: sign in and out, with a browser and with the command line")
    sign_in.run(checks, modules, chromium)
    checks.note("callers: tokens of a provider, of PyJWT, of jose; client certificates")
    callers_in.run(checks, modules)
    checks.note("secret sources: Vault, AWS, Azure; rotation; the last good value")
    secret_sources.run(checks)
    checks.note("credentials out: tokens fetched, exchanged, signed")
    credentials_out.run(checks, modules)
    checks.note("credentials out: a real Airflow")
    airflow_out.run(checks)


def browser() -> str:
    """The browser; one that is missing is said loudly."""
    for name in filter(None, (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")):
        if found := shutil.which(name):
            return found
    raise MissingPart("Chromium; `apt-get install chromium`, or say where it is with CHROMIUM=/path")


def node_modules() -> Path:
    """The folder with what `package.json` names; installs it when needed."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise MissingPart("Node.js with npm; `apt-get install nodejs npm`")
    folder = ROOT / ".suites" / "node-identity"
    wanted = (HERE / "package.json").read_text()
    stamp = folder / "package.json"
    if not (stamp.exists() and stamp.read_text() == wanted and (folder / "node_modules" / "oidc-provider").exists()):
        folder.mkdir(parents=True, exist_ok=True)
        stamp.write_text(wanted)
        argv = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        installed = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
        if installed.returncode != 0:
            stamp.unlink()
            raise MissingPart(f"oidc-provider, jose and puppeteer-core from npm:\n{installed.stderr[-2000:]}")
    return folder / "node_modules"


def enter_environment(checks: Checks) -> None:
    """Goes on inside the virtual environment."""
    del checks
    python = str(python_of("identity"))
    sys.stdout.flush()
    os.execve(python, [python, __file__], os.environ | {INSIDE: "1"})


if __name__ == "__main__":
    main("identity", run if os.environ.get(INSIDE) else enter_environment)
