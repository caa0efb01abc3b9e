"""People sign in at the certified OpenID Provider of npm: with Chromium, and with the command line."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import time
from pathlib import Path

from lib.checks import Checks
from lib.farends import FarEnds
from lib.http import call
from lib.processes import Bench, free_port, wait_until
from lib.trackside import Settings, Trackside, binary

HERE = Path(__file__).resolve().parent
START_SECONDS = 20
BROWSER_SECONDS = 180
SCIM_TOKEN = "a-long-random-text-for-scim"
DIRECTORY = "  - {name: directory, role: service, scopes: [scim], secret: {env: SCIM_TOKEN}}"


def run(checks: Checks, modules: Path, chromium: str) -> None:
    with FarEnds() as ends, Bench("sign-in") as bench:
        port = free_port()
        provider = f"http://127.0.0.1:{port}"
        settings = Settings(
            far_end=ends.url, owners="  default: platform", sections=_sections(provider), tokens=DIRECTORY,
            env={"OIDC_SECRET": "a secret/+", "SCIM_TOKEN": SCIM_TOKEN},
        )
        trackside = Trackside(bench, settings)
        bench.start("provider", _node(modules, "provider_in.mjs", str(port), trackside.url), dict(os.environ))
        wait_until("the provider answers", lambda: call("GET", f"{provider}/.well-known/openid-configuration").ok, START_SECONDS)
        trackside.start()
        _browser(checks, modules, chromium, trackside.url, provider, SCIM_TOKEN)
        _command_line(checks, modules, chromium, bench, trackside)
        checks.equal("a logout token that is none is refused", _logout(trackside, "x.y.z"), 400)
        checks.check("no token is in the log", "eyJ" not in trackside.log())
        checks.equal("trackside ends cleanly", trackside.stop(), 0)
        if checks.failed:
            bench.show_logs()


def _sections(provider: str) -> str:
    return f"""\
issuers:
  corporate:
    issuer: {provider}
    audience: [urn:trackside]
    map: [{{when: {{groups: operators}}, role: operator}}]
sign_in:
  issuer: corporate
  title: Example Corp
  client_id: trackside
  secret: {{env: OIDC_SECRET}}
  cli: {{client_id: trackside-cli, scopes: [openid, profile, offline_access], resource: "urn:trackside"}}
"""


def _browser(checks: Checks, modules: Path, chromium: str, *arguments: str) -> None:
    argv = _node(modules, "browser.mjs", chromium, *arguments)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=BROWSER_SECONDS, check=False)
    for line in done.stdout.splitlines():
        seen = json.loads(line)
        checks.check(seen["name"], seen["ok"], seen["detail"])
    checks.check("the browser came to its end", done.returncode == 0, done.stderr[-1500:])


def _command_line(checks: Checks, modules: Path, chromium: str, bench: Bench, trackside: Trackside) -> None:
    """Signs in by the device flow; further commands use what it kept, renewed when it ends."""
    env = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(bench.folder / "home"), "TRACKSIDE_URL": trackside.url}
    login = bench.start("login", [binary(), "login", "--issuer", _issuer(trackside)], env)
    told = wait_until("a code", lambda: re.search(r"or open (\S+)", login.log.read_text()), START_SECONDS)
    _browser(checks, modules, chromium, "device", told[1], "bob")
    checks.equal("login ends well", login.wait(60), 0)
    kept = bench.folder / "home" / "trackside" / "logins.json"
    checks.equal("only its owner may read what is kept", stat.S_IMODE(kept.stat().st_mode), 0o600)
    checks.check("whoami knows bob", "corporate:bob" in _say(env, "whoami"), _say(env, "whoami"))
    before = kept.read_text()
    # Tokens of this provider live 40 s and are not used in their last 30.
    time.sleep(12)
    racing = [subprocess.Popen([binary(), "whoami"], env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [child.communicate(timeout=60)[0] for child in racing]
    checks.check("four commands at once renew it once", all("corporate:bob" in text for text in said), said)
    checks.check("the refresh token has changed", kept.read_text() != before)
    checks.check("logout forgets it", "bob" not in _say(env, "logout") and trackside.url not in kept.read_text())
    other = subprocess.run([binary(), "login", "--issuer", "https://other.example"], env=env, capture_output=True, text=True, check=False)
    checks.check("another issuer than expected is not asked", other.returncode == 1 and "nothing was asked" in other.stderr, other.stderr)


def _issuer(trackside: Trackside) -> str:
    return str(call("GET", f"{trackside.url}/api/v1/sign-in").json()["issuer"])


def _say(env: dict[str, str], *arguments: str) -> str:
    return subprocess.run([binary(), *arguments], env=env, capture_output=True, text=True, check=False).stdout


def _logout(trackside: Trackside, token: str) -> int:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return call("POST", f"{trackside.url}/sign-in/back-channel-logout", raw=f"logout_token={token}".encode(), headers=headers).status


def _node(modules: Path, program: str, *arguments: str) -> list[str]:
    """ES modules are found beside the program, so it runs from beside them."""
    place = modules.parent / program
    place.write_text((HERE / program).read_text())
    return ["node", str(place), *arguments]
