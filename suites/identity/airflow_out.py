"""Credentials out to a real Airflow 3: its own sign-in for programs (`/auth/token`), and tokens that Trackside signs, which
Airflow trusts by our key page (`[api_auth] trusted_jwks_url`)."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from pathlib import Path

from lib.checks import Checks, MissingPart
from lib.farends import FarEnds
from lib.http import call
from lib.processes import Bench, free_port, wait_until
from lib.trackside import Settings, Trackside
from lib.venvs import python_of

USER = "suite"
MIGRATE_SECONDS = 180
START_SECONDS = 240
# The key page must show Airflow's own key too, under the name that Airflow gives it.
MAKE_KEY = """
import json, sys
from pathlib import Path
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from airflow.api_fastapi.auth.tokens import key_to_jwk_dict
folder = Path(sys.argv[1])
key = Ed25519PrivateKey.generate()
(folder / "airflow.pem").write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
(folder / "airflow.jwks").write_text(json.dumps({"keys": [key_to_jwk_dict(key)]}))
"""


def run(checks: Checks) -> None:
    """Starts only Airflow's API server: nothing is scheduled here."""
    python = python_of("airflow")
    with FarEnds() as ends, Bench("airflow-out") as bench:
        home, password, port = bench.folder / "airflow", secrets.token_hex(12), free_port()
        home.mkdir()
        (home / "passwords.json").write_text(json.dumps({USER: password}))
        subprocess.run([python, "-c", MAKE_KEY, str(home)], check=True, capture_output=True, timeout=120,
                       env=os.environ | {"AIRFLOW_HOME": str(home)})  # fmt: skip
        airflow = f"http://127.0.0.1:{port}"
        trackside = Trackside(bench, Settings(
            far_end=ends.url, owners="  default: platform", connections=_connections(airflow),
            sections=f'workload: {{also_publish: ["{home}/airflow.jwks"]}}\n', env={"AIRFLOW_USER": USER, "AIRFLOW_PASSWORD": password},
        ))  # fmt: skip
        trackside.start()
        env = _environment(home, trackside.url)
        migrated = subprocess.run([python.parent / "airflow", "db", "migrate"], env=env, capture_output=True, text=True,
                                  timeout=MIGRATE_SECONDS, check=False)  # fmt: skip
        if migrated.returncode != 0:
            raise MissingPart(f"`airflow db migrate` failed:\n{migrated.stdout[-2000:]}{migrated.stderr[-2000:]}")
        bench.start("airflow-api", [python.parent / "airflow", "api-server", "--port", str(port), "--workers", "1"], env)
        wait_until("Airflow's API", lambda: call("GET", f"{airflow}/api/v2/version").ok, START_SECONDS)
        for name, what in (
            ("login", "Airflow takes a token that it gave for a password"),
            ("signed", "Airflow takes a token that Trackside signed"),
        ):
            came = _check(trackside, name)
            checks.check(what, came["good"], came)
        for name, status, what in (
            ("viewer", 200, "a signed token with the role viewer reads"),
            ("stranger", 403, "a signed token for somebody else is refused"),
        ):
            checks.equal(what, _check(trackside, name)["status"], status)
        checks.equal("trackside ends cleanly", trackside.stop(), 0)
        checks.check("no secret in the log", password not in trackside.log())
        if checks.failed:
            bench.show_logs()


def _check(trackside: Trackside, connection: str) -> dict[str, object]:
    url = f"{trackside.url}/api/v1/connections/{connection}/check"
    return call("POST", url, token=trackside.admin_token, timeout=30).json()


def _connections(airflow: str) -> str:
    def connection(name: str, credential: dict[str, object]) -> str:
        return f"  {name}: {json.dumps({'kind': 'airflow', 'url': airflow, 'credential': credential})}\n"

    def signed(audience: str, role: str) -> dict[str, object]:
        return {"kind": "workload", "audience": audience, "subject": "oncall", "claims": {"role": role}}

    return "".join((
        connection("login", {"kind": "airflow_login", "username": {"env": "AIRFLOW_USER"}, "password": {"env": "AIRFLOW_PASSWORD"}}),
        connection("signed", signed("apache-airflow", "admin")),
        connection("viewer", signed("apache-airflow", "viewer")),
        connection("stranger", signed("somebody-else", "admin")),
    ))  # fmt: skip


def _environment(home: Path, trackside: str) -> dict[str, str]:
    settings = {
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": str(home / "dags"),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "API_AUTH__TRUSTED_JWKS_URL": f"{trackside}/.well-known/jwks.json",
        "API_AUTH__JWT_PRIVATE_KEY_PATH": str(home / "airflow.pem"),
        "API_AUTH__JWT_ISSUER": f"airflow-suite,{trackside}",
    }
    return os.environ | {"AIRFLOW_HOME": str(home)} | {f"AIRFLOW__{name}": value for name, value in settings.items()}
