"""Secret sources: the running server reads its secrets from Vault, AWS and Azure, follows their rotation without a
restart, and keeps the last good value while they are down.

Vault's double is accepted by hvac and Azure's by Microsoft's SDK; AWS is moto, which verifies signatures and policies,
behind an STS that verifies web identities."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from pathlib import Path
from typing import Any, Self

import azure_double
import hvac
import jwt
import trustme
from aws_double import AUDIENCE, REGION, ROLE as AWS_ROLE, AwsFront, Moto, role_arn
from azure_double import CLIENT, CLIENT_SECRET, TENANT, AzureDouble
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from lib.checks import Checks
from lib.farends import FarEnds
from lib.http import call
from lib.processes import Bench
from lib.trackside import Settings, Trackside
from vault_double import ROLE, ROLE_ID, VaultDouble

ROTATED_SECONDS = 20
ISSUER = "https://cluster.example"
POD = "system:serviceaccount:trackside:trackside"


class Tunnel:
    """An HTTPS proxy that leads every name to this machine, as `*.vault.localhost` is in no name service."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096) or b"\r\n\r\n"
            port = int(head.split(b" ")[1].rsplit(b":", 1)[1])
            try:
                server = socket.create_connection(("127.0.0.1", port), timeout=5)
            except OSError:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            with server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                while True:
                    ready, _, _ = select.select([client, server], [], [], 60)
                    for one in ready:
                        data = one.recv(65536)
                        if not data:
                            return
                        (server if one is client else client).sendall(data)


# Each of these is a secret, a source, and the value of an API token: `NAME-first`, later `NAME-second`.
SOURCES = {
    "main": "{vault: {source: main, path: app, field: main}}",
    "by-token": "{vault: {source: by-token, path: kv/data/app, field: by-token}}",
    "by-jwt": "{vault: {source: by-jwt, path: app, field: by-jwt}}",
    "by-kubernetes": "{vault: {source: by-kubernetes, path: kv/app, field: by-kubernetes}}",
    "by-version-1": "{vault: {source: by-version-1, path: old/app, field: by-version-1}}",
    "cloud": "{aws: {source: cloud, name: prod/app, field: cloud}}",
    "by-role": "{aws: {source: by-role, name: prod/app, field: by-role}}",
    "azure": "{azure: app}",
}
_status_text = ""


def run(checks: Checks) -> None:
    """All of them, in one server."""
    with FarEnds() as ends, Bench("secret-sources") as bench, VaultDouble() as vault, Tunnel() as tunnel:
        authority, issued, principal = _certificates(bench.folder)
        moto = Moto(bench)
        with AzureDouble(issued, issued, principal) as azure, AwsFront(moto.port) as front:
            _accepted_by_hvac(checks, vault)
            secretsmanager = moto.boto("secretsmanager", moto.key, moto.secret)
            vault.secrets["app"], vault.old_secrets["app"] = [_values("first")], _values("first")
            secretsmanager.create_secret(Name="prod/app", SecretString=json.dumps(_values("first")))
            azure_double.VAULT_SECRETS["app"] = "azure-first"
            files = _identities(bench.folder, vault, front)
            trackside = Trackside(bench, Settings(
                far_end=ends.url, owners="  default: platform", tokens=_tokens(), sections=_vaults(vault, front, azure, authority, files),
                env={"AZURE": CLIENT_SECRET, "AWS_ID": moto.key, "AWS_KEY": moto.secret, "HTTPS_PROXY": tunnel.url, "NO_PROXY": "127.0.0.1"},
            ))  # fmt: skip
            trackside.start()
            _read(checks, trackside, vault, front)
            _rotated(checks, trackside, vault, secretsmanager, files["token"])
            _down(checks, trackside, vault, moto)
            _refused(checks, trackside)
            checks.equal("trackside ends cleanly", trackside.stop(), 0)
            seen = trackside.log() + _status_text
            secrets = [CLIENT_SECRET, moto.secret, "secret-id-1", "eyJ", "hvs."]
            secrets += [f"{name}-{which}" for name in SOURCES for which in ("first", "second")]
            shown = [secret for secret in secrets if secret in seen]
            checks.equal("no secret is in the log or the API", shown, [])
        if checks.failed:
            bench.show_logs()


def _values(which: str) -> dict[str, str]:
    return {name: f"{name}-{which}" for name in SOURCES}


def _identities(folder: Path, vault: VaultDouble, front: AwsFront) -> dict[str, Path]:
    """What is in files: a secret id, a token that somebody made, the tokens of a cluster for Vault and for AWS."""
    key = ec.generate_private_key(ec.SECP256R1())
    shown = {"keys": [{**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": "cluster-1", "alg": "ES256", "use": "sig"}]}
    keys = folder / "cluster.jwks"
    keys.write_text(json.dumps(shown))
    front.trust(ISSUER, keys.as_uri(), AWS_ROLE, POD)

    def token(audience: str) -> str:
        claims = {"iss": ISSUER, "sub": POD, "aud": audience, "exp": int(time.time()) + 600}
        return jwt.encode(claims, key, "ES256", headers={"kid": "cluster-1"})

    vault.identities |= {"jwt": token("vault"), "kubernetes": token("https://kubernetes.default.svc")}
    texts = {"secret-id": "secret-id-1", "token": vault.token(), "aws": token(AUDIENCE), **vault.identities}
    for name, text in texts.items():
        (folder / f"{name}.secret").write_text(text + "\n")
    return {name: folder / f"{name}.secret" for name in texts}


def _accepted_by_hvac(checks: Checks, vault: VaultDouble) -> None:
    client = hvac.Client(vault.url)
    auth = client.auth.approle.login(ROLE_ID, "secret-id-1")["auth"]
    checks.check("hvac logs in to the double", auth["renewable"] and client.is_authenticated())
    client.secrets.kv.v2.create_or_update_secret("probe", {"a": "b"}, mount_point="kv")
    read = client.secrets.kv.v2.read_secret_version("probe", mount_point="kv", raise_on_deleted_version=True)
    checks.equal("hvac reads what it wrote", read["data"]["data"], {"a": "b"})
    checks.check("hvac renews", client.auth.token.renew_self()["auth"]["lease_duration"] > 0)
    client.secrets.kv.v1.create_or_update_secret("probe", {"c": "d"}, mount_point="old")
    checks.equal("hvac reads what it wrote, version 1", client.secrets.kv.v1.read_secret("probe", mount_point="old")["data"], {"c": "d"})
    vault.identities |= {"jwt": "a.jwt.x", "kubernetes": "a.pod.x"}
    by_jwt = client.auth.jwt.jwt_login(role=ROLE, jwt="a.jwt.x")["auth"]["renewable"]
    by_pod = hvac.api.auth_methods.Kubernetes(client.adapter).login(role=ROLE, jwt="a.pod.x")["auth"]["renewable"]
    checks.equal("hvac logs in by JWT and Kubernetes", (by_jwt, by_pod), (True, True))
    vault.logins = vault.renewals = 0
    vault.logged_in.clear()


def _tokens() -> str:
    return "\n".join(f"  - {{name: of-{name}, role: viewer, secret: {place}}}" for name, place in SOURCES.items())


def _vaults(vault: VaultDouble, aws: AwsFront, azure: AzureDouble, authority: Path, files: dict[str, Path]) -> str:
    def hashicorp(auth: str, more: str = "mount: kv") -> str:
        return f"{{kind: hashicorp, address: {vault.url}, {more}, refresh: 5s, auth: {auth}}}"

    def amazon(credentials: str) -> str:
        where = f"region: {REGION}, endpoint: {aws.url}, sts_endpoint: {aws.url}, refresh: 5s"
        return f"{{kind: aws, {where}, credentials: {credentials}}}"

    by_role = f"{{web_identity: {{role_arn: \"{role_arn(AWS_ROLE)}\", token_file: {files['aws']}}}}}"
    return f"""vaults:
  main: {hashicorp(f"{{approle: {{role_id: {ROLE_ID}, secret_id: {{file: {files['secret-id']}}}}}}}")}
  by-token: {hashicorp(f"{{token: {{file: {files['token']}}}}}")}
  by-jwt: {hashicorp(f"{{jwt: {{role: {ROLE}, token_file: {files['jwt']}}}}}")}
  by-kubernetes: {hashicorp(f"{{kubernetes: {{role: {ROLE}, token_path: {files['kubernetes']}}}}}")}
  by-version-1: {hashicorp(f"{{token: {{file: {files['token']}}}}}", "mount: old, kv: 1")}
  cloud: {amazon("{static: {access_key_id: {env: AWS_ID}, secret_access_key: {env: AWS_KEY}}}")}
  by-role: {amazon(by_role)}
  azure:
    kind: azure
    vault_url: {azure.vault}
    ca: {authority}
    refresh: 5s
    credential:
      service_principal: {{tenant: {TENANT}, client_id: {CLIENT}, authority: "{azure.cloud}", proof: {{secret: {{env: AZURE}}}}}}
"""


def _lets_in(trackside: Trackside, token: str) -> bool:
    return call("GET", f"{trackside.url}/api/v1/overview", token=token).ok


def _status(trackside: Trackside) -> dict[str, dict[str, object]]:
    global _status_text  # noqa: PLW0603 - what was ever shown is searched for secrets at the end
    answer = call("GET", f"{trackside.url}/api/v1/secrets", token=trackside.admin_token)
    _status_text += answer.body.decode()
    return {str(one["source"]): one for one in answer.json()}


def _read(checks: Checks, trackside: Trackside, vault: VaultDouble, front: AwsFront) -> None:
    got = {name: _lets_in(trackside, f"{name}-first") for name in SOURCES}
    checks.equal("a token from each source lets in", got, dict.fromkeys(SOURCES, True))
    status = _status(trackside)
    checks.equal("every secret is fresh", {name: one["state"] for name, one in status.items()}, dict.fromkeys(SOURCES, "fresh"))
    checks.equal("Vault's version is shown", status["main"]["version"], "1")
    checks.equal("each way into Vault was used", set(vault.logged_in), {"approle", "jwt", "kubernetes", "token"})
    checks.equal("the role was taken by its web identity", [one["RoleSessionName"] for one in front.assumed], ["trackside"])
    viewer = call("GET", f"{trackside.url}/api/v1/secrets", token=trackside.viewer_token)
    checks.equal("how secrets stand is for administrators", viewer.status, 403)


def _rotated(checks: Checks, trackside: Trackside, vault: VaultDouble, secretsmanager: Any, token_file: Path) -> None:
    vault.secrets["app"].append(_values("second"))
    vault.old_secrets["app"] = _values("second")
    secretsmanager.put_secret_value(SecretId="prod/app", SecretString=json.dumps(_values("second")))
    azure_double.VAULT_SECRETS["app"] = "azure-second"
    for name in SOURCES:
        checks.eventually(f"a token rotated in {name} lets in without a restart", lambda: _lets_in(trackside, f"{name}-second"), ROTATED_SECONDS)
    checks.equal("those before do not", [name for name in SOURCES if _lets_in(trackside, f"{name}-first")], [])
    checks.check("Vault's tokens are renewed, not made anew for each read", vault.renewals > 0 and vault.logins < 4, (vault.renewals, vault.logins))
    vault.revoke_all()
    token_file.write_text(vault.token())
    vault.secrets["app"].append(_values("third"))
    vault.old_secrets["app"] = _values("third")
    for name in (name for name in SOURCES if name == "main" or name.startswith("by-") and name != "by-role"):
        checks.eventually(f"a revoked token of Vault leads to another, {name}", lambda: _lets_in(trackside, f"{name}-third"), ROTATED_SECONDS)


def _down(checks: Checks, trackside: Trackside, vault: VaultDouble, moto: Moto) -> None:
    vault.sealed = True
    moto.stop()
    del azure_double.VAULT_SECRETS["app"]
    checks.eventually("each failure is shown", lambda: all(one["state"] == "kept" for one in _status(trackside).values()), ROTATED_SECONDS)
    last = {name: "second" if name in ("cloud", "by-role", "azure") else "third" for name in SOURCES}
    got = [name for name, which in last.items() if not _lets_in(trackside, f"{name}-{which}")]
    checks.equal("the last good value of each is used on", got, [])
    status = _status(trackside)
    checks.check("a sealed Vault is named", "sealed" in str(status["main"]["error"]), status["main"])
    checks.check("a missing secret is named", "no secret `app`" in str(status["azure"]["error"]), status["azure"])
    metrics = call("GET", f"{trackside.url}/metrics", token=trackside.admin_token).body.decode()
    checks.check("failures and ages are measured", "trackside_secret_fetches_failed_total" in metrics and "trackside_secret_age_seconds{" in metrics)


def _refused(checks: Checks, trackside: Trackside) -> None:
    """A configuration whose secret cannot be had is not put in force."""
    (trackside.folder / "config" / "third.yaml").write_text(
        "connections:\n  other: {kind: pagerduty, routing_key: {vault: {source: main, path: nowhere, field: x}}}\n"
    )
    trackside.reload()
    checks.eventually("a missing secret refuses the configuration, with its place", lambda: "third.yaml:2" in trackside.log(), ROTATED_SECONDS)
    checks.check("what was in force stays", _lets_in(trackside, "cloud-second"))


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1", "localhost", "myvault.vault.localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "azure.pem")
    principal = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("trackside@example.net", key_type=trustme.KeyType.RSA)
    principal.cert_chain_pems[0].write_to_path(folder / "principal.pem")
    return folder / "ca.pem", folder / "azure.pem", folder / "principal.pem"
