"""Callers: tokens of a certified provider, signed (RFC 9068) and opaque; tokens made by PyJWT and by npm jose in every
algorithm, and such as nobody should take; keys that change; client certificates. All over TLS, all asked `whoami`."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any

import jwt
import people_in
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from lib.checks import Checks
from lib.farends import FarEnds
from lib.http import Answer, call
from lib.processes import Bench, free_port, wait_until
from lib.trackside import Settings, Trackside

HERE = Path(__file__).resolve().parent
AUDIENCE = "urn:trackside"
START_SECONDS = 20
SEEN_SECONDS = 20
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SCIM = "  - {name: directory, role: service, scopes: [scim], secret: {env: SCIM_TOKEN}}"
TENANT = "11112222-bbbb-3333-cccc-4444dddd5555"
APPLICATION = "6f2a7d7c-1b1e-4f0e-9a55-3f5f5d6f6a11"
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"
GITHUB = "https://token.actions.githubusercontent.com"
PYJWT, JOSE = "https://pyjwt.example", "https://jose.example"


class PyJwt:
    """An issuer made with PyJWT: a key of each algorithm in a file that Trackside reads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._keys: dict[str, tuple[str, Any]] = {}
        for algorithm in ALGORITHMS:
            self.make(algorithm, f"py-{algorithm}")

    def make(self, algorithm: str, kid: str) -> None:
        """A key more."""
        self._keys[kid] = (algorithm, _key(algorithm))
        shown = [_shown(kid, *key) for kid, key in self._keys.items()]
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"keys": shown}))
        fresh.rename(self._file)

    def sign(self, key: str, claims: dict[str, object], **header: object) -> str:
        """A token."""
        algorithm, private = self._keys[key]
        return jwt.encode(claims, private, algorithm, headers={"kid": key, "typ": "at+jwt", **header})


class Jose:
    """An issuer made with npm jose, in a process of its own that shows its keys over HTTP."""

    def __init__(self, modules: Path) -> None:
        program = modules.parent / "mint.mjs"
        program.write_text((HERE / "mint.mjs").read_text())
        self.port = free_port()
        argv = ["node", str(program), str(self.port)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process.stdout.readline()
        for algorithm in ALGORITHMS:
            self.ask("make", alg=algorithm, kid=f"jose-{algorithm}")

    def ask(self, what: str, **more: object) -> dict[str, Any]:
        """What it answers: `value` or `error`."""
        self._process.stdin.write(json.dumps({"what": what, **more}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def sign(self, key: str, claims: dict[str, object], **header: object) -> str:
        """A token."""
        return self.ask("sign", kid=key, header=header, claims=claims)["value"]

    def stop(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()


def run(checks: Checks, modules: Path) -> None:
    """`modules` holds `oidc-provider` and `jose`."""
    jose = Jose(modules)
    try:
        with FarEnds() as ends, Bench("callers-in") as bench:
            server, clients = trustme.CA(), trustme.CA()
            _certificates(bench.folder, server, clients)
            pyjwt = PyJwt(bench.folder / "pyjwt.jwks")
            port = free_port()
            provider = f"http://127.0.0.1:{port}"
            program = modules.parent / "provider_callers.mjs"
            program.write_text((HERE / "provider_callers.mjs").read_text())
            child = bench.start("provider", ["node", program, str(port)], dict(os.environ))
            wait_until("provider ready", lambda: "ready" in child.log.read_text(), START_SECONDS)
            settings = Settings(
                far_end=ends.url, owners="  default: platform", server=_tls(bench.folder), env={"RS_SECRET": "rs/+ secret", "SCIM_TOKEN": people_in.TOKEN},
                sections=_sections(provider, bench.folder, jose.port), tokens=SCIM,
            )  # fmt: skip
            trackside = Trackside(bench, settings, scheme="https", ca=bench.folder / "server-ca.pem")
            trackside.start()
            tls = ssl.create_default_context(cafile=bench.folder / "server-ca.pem")
            _of_the_provider(checks, trackside, tls, provider, child.log)
            _minted(checks, trackside, tls, pyjwt, jose)
            _profiles(checks, trackside, tls, pyjwt)
            _keys_change(checks, trackside, tls, pyjwt, jose)
            _refused(checks, trackside, pyjwt, jose)
            _issuer_down(checks, trackside, tls, jose)
            _certificates_in(checks, trackside, bench.folder, clients)
            checks.note("people from a directory: SCIM")
            people_in.run(checks, trackside, bench.folder / "server-ca.pem",
                          lambda subject: _whoami(trackside, tls, pyjwt.sign("py-ES256", _claims(PYJWT, sub=subject))))  # fmt: skip
            checks.equal("trackside ends cleanly", trackside.stop(), 0)
            checks.check("no token in the log", "eyJ" not in trackside.log() and "rs/+ secret" not in trackside.log())
            if checks.failed:
                bench.show_logs()
    finally:
        jose.stop()


def _sections(provider: str, folder: Path, port: int) -> str:
    every = f"[{', '.join(ALGORITHMS)}]"
    return f"""\
issuers:
  provider:
    profile: access_token
    issuer: {provider}
    audience: ["{AUDIENCE}"]
    clients: [runner]
    introspection: {{client_id: trackside-rs, secret: {{env: RS_SECRET}}}}
    map: [{{when: {{scope: jobs.run}}, role: operator}}]
  pyjwt:
    issuer: {PYJWT}
    audience: ["{AUDIENCE}"]
    keys: {{file: {folder}/pyjwt.jwks}}
    algorithms: {every}
    types: [at+jwt]
    teams: {{claim: groups, map: {{ml-people: ml}}}}
    map: [{{when: {{groups: ml-people}}, role: responder, scope: own_teams}}, {{when: {{iss: {PYJWT}}}, role: viewer}}]
  entra:
    profile: entra
    issuer: {ENTRA}
    audience: ["{APPLICATION}"]
    keys: {{file: {folder}/pyjwt.jwks}}
    map: [{{when: {{roles: Jobs.Run}}, role: service}}]
  github:
    profile: github
    issuer: {GITHUB}
    audience: [trackside]
    keys: {{file: {folder}/pyjwt.jwks}}
    map: [{{when: {{repository_id: "482913", ref: refs/heads/main}}, role: ingest}}]
  jose:
    issuer: {JOSE}
    audience: ["{AUDIENCE}"]
    keys: {{url: "http://127.0.0.1:{port}/jwks"}}
    algorithms: {every}
    map: [{{role: viewer}}]
scim: {{groups: {{ML People: ml}}}}
certificates:
  - {{name: airflow, email: airflow@example.net, role: service, scopes: [jobs.run]}}
  - {{name: grafana, dns: grafana.example.net, role: viewer}}
"""


def _of_the_provider(checks: Checks, trackside: Trackside, tls: ssl.SSLContext, provider: str, log: Path) -> None:
    for algorithm in ("RS256", "ES256", "EdDSA"):
        token = _fetch(provider, "runner", "runner secret", f"{AUDIENCE}:{algorithm}")
        checks.equal(f"the provider's token is of RFC 9068, {algorithm}", _header(token), ("at+jwt", algorithm))
        told = _whoami(trackside, tls, token)
        checks.check(f"and is taken, {algorithm}", told.ok and told.json()["subject"] == "provider:runner", told.body)
    checks.equal("its scope gives a role and a name", (told.json()["rights"], told.json()["names"]), ("operator", ["jobs.run"]))
    checks.check("a signed token is never introspected", "/token/introspection" not in log.read_text(), log.read_text())
    for name, client, resource in (("for somebody else", "runner", "urn:other"), ("of an application that is not listed", "stranger", AUDIENCE)):
        answer = _whoami(trackside, tls, _fetch(provider, client, f"{client} secret", resource))
        checks.equal(f"a token {name} is refused", answer.status, 401)
    opaque = _fetch(provider, "runner", "runner secret", None)
    told = _whoami(trackside, tls, opaque)
    checks.check("an opaque token is asked about and taken", "." not in opaque and told.ok and told.json()["subject"] == "provider:runner", told.body)
    asked = log.read_text().count("/token/introspection 200")
    checks.check("its answer is kept", _whoami(trackside, tls, opaque).ok and log.read_text().count("/token/introspection 200") == asked == 1, asked)
    checks.equal("an opaque token of an application that is not listed is refused", _whoami(trackside, tls, _fetch(provider, "stranger", "stranger secret", None)).status, 401)
    checks.equal("one that the provider does not know is refused", _whoami(trackside, tls, "m" * 43).status, 401)


def _minted(checks: Checks, trackside: Trackside, tls: ssl.SSLContext, pyjwt: PyJwt, jose: Jose) -> None:
    for maker, issuer, name, prefix in ((pyjwt, PYJWT, "PyJWT", "py"), (jose, JOSE, "jose", "jose")):
        taken = {}
        for algorithm in ALGORITHMS:
            answer = _whoami(trackside, tls, maker.sign(f"{prefix}-{algorithm}", _claims(issuer)))
            taken[algorithm] = answer.status
        checks.equal(f"tokens of {name} are taken in every algorithm", taken, dict.fromkeys(ALGORITHMS, 200))
    told = _whoami(trackside, tls, pyjwt.sign("py-ES256", _claims(PYJWT, groups=["ml-people", "x"]))).json()
    checks.equal("a group is a team, and a role within it", (told["teams"], told["rights"], told["kind"]), (["ml"], "viewer, responder for ml", told["kind"]))


def _profiles(checks: Checks, trackside: Trackside, tls: ssl.SSLContext, pyjwt: PyJwt) -> None:
    """Tokens as Entra and GitHub make them (their documentation), signed by PyJWT."""
    now = int(time.time())
    entra = {
        "aud": APPLICATION, "iss": ENTRA, "iat": now, "nbf": now, "exp": now + 3599, "aio": "E2ZgYA==", "azp": "0a1b2c3d-1111-4222-8333-444455556666",
        "azpacr": "1", "idtyp": "app", "oid": "9f8e7d6c-0000-4000-8000-000000000001", "rh": "0.A", "roles": ["Jobs.Run"],
        "sub": "9f8e7d6c-0000-4000-8000-000000000001", "tid": TENANT, "uti": "u1", "ver": "2.0",
    }  # fmt: skip
    without = {name: value for name, value in entra.items() if name != "roles"}
    told = _whoami(trackside, tls, pyjwt.sign("py-RS256", entra, typ="JWT"))
    got = (told.json()["subject"], told.json()["rights"], told.json()["kind"]) if told.ok else told.body
    checks.equal("an application of Entra is its object id", got, (f"entra:{entra['oid']}", "service", "service"))
    for name, claims in (("without a role", without | {"uti": "u2"}), ("of another tenant", entra | {"tid": "0" * 8 + TENANT[8:], "uti": "u3"})):
        checks.equal(f"one {name} is refused", _whoami(trackside, tls, pyjwt.sign("py-RS256", claims, typ="JWT")).status, 401)
    build = {
        "iss": GITHUB, "aud": "trackside", "sub": "repo:example/app:ref:refs/heads/main", "exp": now + 300, "iat": now, "nbf": now, "jti": "g1",
        "repository": "example/app", "repository_id": "482913", "repository_owner": "example", "repository_owner_id": "77120",
        "ref": "refs/heads/main", "ref_type": "branch", "run_id": "1", "actor": "ana", "workflow": "ci",
    }  # fmt: skip
    told = _whoami(trackside, tls, pyjwt.sign("py-RS256", build, typ="JWT"))
    got = (told.json()["subject"], told.json()["rights"]) if told.ok else told.body
    checks.equal("a build is its repository's id", got, ("github:repository_id:482913", "ingest"))
    taken_over = _whoami(trackside, tls, pyjwt.sign("py-RS256", build | {"repository_id": "999", "jti": "g2"}, typ="JWT"))
    checks.check("who takes over its name gets nothing", not taken_over.ok or taken_over.json()["rights"] == "no role", taken_over.body)


def _refused(checks: Checks, trackside: Trackside, pyjwt: PyJwt, jose: Jose) -> None:
    now = int(time.time())
    good = _claims(PYJWT)

    def signed(key: str = "py-ES256", header: dict[str, object] | None = None, **change: object) -> str:
        claims = {name: value for name, value in (good | change).items() if value is not None}
        return pyjwt.sign(key, claims, **(header or {}))

    header, body, signature = signed().split(".")
    forged = base64.urlsafe_b64encode(json.dumps(good | {"sub": "root"}).encode()).rstrip(b"=").decode()
    cases = {
        "expired": signed(exp=now - 120), "not valid yet": signed(nbf=now + 120), "without end": signed(exp=None),
        "for another audience": signed(aud="urn:other"), "of another issuer": signed(iss=JOSE), "without subject": signed(sub=""),
        "of another type": signed(header={"typ": "logout+jwt"}), "with a critical extension": signed(header={"crit": ["x"], "x": 1}),
        "with another body": f"{header}.{forged}.{signature}", "without signature": jose.ask("unsigned", claims=good)["value"],
        "signed with a public key as secret": jose.ask("confuse", kid="jose-RS256", claims=_claims(JOSE))["value"],
        "signed with the key of another issuer": jose.sign("jose-ES256", good), "with an unknown key": signed(header={"kid": "nobody"}),
    }  # fmt: skip
    got, told = {}, {}
    for name, token in cases.items():
        got[name], told[name] = _refusal(trackside, token)
    checks.equal("tokens that nobody should take are refused", got, dict.fromkeys(cases, 401))
    silent = [name for name, text in told.items() if 'error="invalid_token"' not in text or "error_description=" not in text]
    checks.equal("each refusal says why", silent, [])
    checks.check("an expired one in words", "expired" in told["expired"], told["expired"])


def _keys_change(checks: Checks, trackside: Trackside, tls: ssl.SSLContext, pyjwt: PyJwt, jose: Jose) -> None:
    pyjwt.make("EdDSA", "py-next")
    checks.eventually("a new key in the file is taken without a restart", lambda: _whoami(trackside, tls, pyjwt.sign("py-next", _claims(PYJWT))).ok, SEEN_SECONDS)
    jose.ask("make", alg="ES256", kid="jose-next")
    token = jose.sign("jose-next", _claims(JOSE))
    checks.check("a new key at the address is fetched when it is first named", _whoami(trackside, tls, token).ok)


def _issuer_down(checks: Checks, trackside: Trackside, tls: ssl.SSLContext, jose: Jose) -> None:
    kept = jose.sign("jose-RS256", _claims(JOSE, jti="after"))
    jose.stop()
    checks.check("keys stay good while their address is down", _whoami(trackside, tls, kept).ok)


def _certificates_in(checks: Checks, trackside: Trackside, folder: Path, clients: trustme.CA) -> None:
    def context(authority: trustme.CA, identity: str) -> ssl.SSLContext:
        issued = authority.issue_cert(identity)
        issued.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
        tls = ssl.create_default_context(cafile=folder / "server-ca.pem")
        tls.load_cert_chain(folder / "client.pem")
        return tls

    for identity, expect in (("airflow@example.net", ("airflow", "service")), ("grafana.example.net", ("grafana", "viewer"))):
        told = _whoami(trackside, context(clients, identity), None)
        got = (told.json()["subject"], told.json()["rights"]) if told.ok else told.body
        checks.equal(f"the certificate of {identity} is somebody", got, expect)
    nobody = _whoami(trackside, context(clients, "stranger.example.net"), None)
    checks.equal("one that no rule knows is nobody", nobody.status, 401)
    try:
        status: object = _whoami(trackside, context(trustme.CA(), "grafana.example.net"), None).status
    except OSError as error:
        status = type(error).__name__
    checks.check("one of another authority gets no connection", status in ("SSLError", "URLError", "ConnectionResetError"), status)


def _fetch(provider: str, client: str, secret: str, resource: str | None) -> str:
    form = {"grant_type": "client_credentials", "scope": "jobs.run"} | ({"resource": resource} if resource else {})
    basic = base64.b64encode(f"{client}:{urllib.parse.quote_plus(secret)}".encode()).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"}
    answer = call("POST", f"{provider}/token", raw=urllib.parse.urlencode(form).encode(), headers=headers)
    return str(answer.json()["access_token"])


def _whoami(trackside: Trackside, tls: ssl.SSLContext, token: str | None) -> Answer:
    return call("GET", f"{trackside.url}/api/v1/whoami", token=token, tls=tls)


def _refusal(trackside: Trackside, token: str) -> tuple[int, str]:
    """Status and `WWW-Authenticate`."""
    import http.client

    host, port = trackside.authority.split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=ssl._create_unverified_context(), timeout=10)  # noqa: S323
    connection.request("GET", "/api/v1/whoami", headers={"Authorization": f"Bearer {token}"})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status, reply.headers.get("WWW-Authenticate", "")


def _claims(issuer: str, **more: object) -> dict[str, object]:
    now = int(time.time())
    return {"iss": issuer, "sub": "runner", "aud": AUDIENCE, "iat": now, "exp": now + 300, "client_id": "suite", "jti": "1"} | more


def _header(token: str) -> tuple[str, str]:
    header = jwt.get_unverified_header(token)
    return str(header["typ"]), str(header["alg"])


def _key(algorithm: str) -> Any:
    if algorithm.startswith("ES"):
        return ec.generate_private_key({"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def _shown(kid: str, algorithm: str, key: Any) -> dict[str, object]:
    kind = ECAlgorithm if algorithm.startswith("ES") else OKPAlgorithm if algorithm == "EdDSA" else RSAAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig", "alg": algorithm}


def _certificates(folder: Path, server: trustme.CA, clients: trustme.CA) -> None:
    server.cert_pem.write_to_path(folder / "server-ca.pem")
    clients.cert_pem.write_to_path(folder / "clients.pem")
    issued = server.issue_cert("127.0.0.1", "localhost")
    (folder / "server.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.key").write_bytes(pem)


def _tls(folder: Path) -> str:
    return f"  tls: {{cert: {folder}/server.pem, key: {folder}/server.key, client_ca: {folder}/clients.pem}}"
