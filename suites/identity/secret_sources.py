"""Secret sources: the running server reads its secrets from Vault, AWS and Azure, follows their rotation without a
restart, and keeps the last good value while they are down.

Vault's double is accepted by hvac and Azure's by Microsoft's SDK; AWS is moto, which verifies signatures and policies."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import threading
from pathlib import Path
from typing import Self

import azure_double
import boto3
import hvac
import trustme
from azure_double import CLIENT, CLIENT_SECRET, TENANT, AzureDouble
from lib.checks import Checks
from lib.farends import FarEnds
from lib.http import call
from lib.processes import Bench, free_port, wait_until
from lib.trackside import Settings, Trackside
from vault_double import ROLE_ID, VaultDouble

ROTATED_SECONDS = 20
START_SECONDS = 30
# Calls that moto takes without a signature: those that make the user.
UNSIGNED = 3


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


def run(checks: Checks) -> None:
    """All three, in one server."""
    with FarEnds() as ends, Bench("secret-sources") as bench, VaultDouble() as vault, Tunnel() as tunnel:
        authority, issued, principal = _certificates(bench.folder)
        with AzureDouble(issued, issued, principal) as azure:
            aws = _Aws(bench)
            _accepted_by_hvac(checks, vault)
            vault.secrets["app"] = [{"token": "vault-first"}]
            aws.client.create_secret(Name="prod/app", SecretString=json.dumps({"token": "aws-first"}))
            azure_double.VAULT_SECRETS["app"] = "azure-first"
            secret_id = bench.folder / "secret-id"
            secret_id.write_text("secret-id-1\n")
            trackside = Trackside(bench, Settings(
                far_end=ends.url, owners="  default: platform", tokens=_tokens(), sections=_vaults(vault, aws, azure, authority, secret_id),
                env={"AZURE": CLIENT_SECRET, "AWS_ID": aws.key, "AWS_KEY": aws.secret, "HTTPS_PROXY": tunnel.url, "NO_PROXY": "127.0.0.1"},
            ))  # fmt: skip
            trackside.start()
            _read(checks, trackside)
            _rotated(checks, trackside, vault, aws)
            _down(checks, trackside, vault, aws)
            _refused(checks, trackside)
            checks.equal("trackside ends cleanly", trackside.stop(), 0)
            seen = trackside.log() + _status_text
            for secret in (CLIENT_SECRET, aws.secret, "secret-id-1", *(f"{name}-{which}" for name in NAMES for which in ("first", "second"))):
                checks.check("no secret in the log or the API", secret not in seen)
        if checks.failed:
            bench.show_logs()


NAMES = ("vault", "aws", "azure")
_status_text = ""


class _Aws:
    """moto with signature checking, and a user who may read and write secrets."""

    def __init__(self, bench: Bench) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = dict(os.environ) | {"INITIAL_NO_AUTH_ACTION_COUNT": str(UNSIGNED)}
        program = "from moto.server import main; main()"
        self._child = bench.start("moto", [sys.executable, "-c", program, "-p", str(self.port)], env)
        wait_until("moto listens", lambda: socket.create_connection(("127.0.0.1", self.port), timeout=1), START_SECONDS)
        anybody = {"region_name": "us-east-1", "endpoint_url": self.url, "aws_access_key_id": "x", "aws_secret_access_key": "y"}
        iam = boto3.client("iam", **anybody)
        iam.create_user(UserName="trackside")
        key = iam.create_access_key(UserName="trackside")["AccessKey"]
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        actions = [f"secretsmanager:{action}" for action in ("CreateSecret", "GetSecretValue", "PutSecretValue")]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam.put_user_policy(UserName="trackside", PolicyName="p", PolicyDocument=json.dumps(policy))
        signed = anybody | {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        self.client = boto3.client("secretsmanager", **signed)

    def stop(self) -> None:
        """Ends it."""
        self._child.kill()


def _accepted_by_hvac(checks: Checks, vault: VaultDouble) -> None:
    client = hvac.Client(vault.url)
    auth = client.auth.approle.login(ROLE_ID, "secret-id-1")["auth"]
    checks.check("hvac logs in to the double", auth["renewable"] and client.is_authenticated())
    client.secrets.kv.v2.create_or_update_secret("probe", {"a": "b"}, mount_point="kv")
    read = client.secrets.kv.v2.read_secret_version("probe", mount_point="kv", raise_on_deleted_version=True)
    checks.equal("hvac reads what it wrote", read["data"]["data"], {"a": "b"})
    checks.check("hvac renews", client.auth.token.renew_self()["auth"]["lease_duration"] > 0)
    vault.logins = vault.renewals = 0


def _tokens() -> str:
    places = {"vault": "{vault: \"kv/data/app#token\"}", "aws": "{aws: \"prod/app#token\"}", "azure": "{azure: app}"}
    return "\n".join(f"  - {{name: of-{name}, role: viewer, secret: {place}}}" for name, place in places.items())


def _vaults(vault: VaultDouble, aws: _Aws, azure: AzureDouble, authority: Path, secret_id: Path) -> str:
    return f"""vaults:
  main:
    kind: hashicorp
    address: {vault.url}
    mount: kv
    refresh: 5s
    auth: {{approle: {{role_id: {ROLE_ID}, secret_id: {{file: {secret_id}}}}}}}
  cloud:
    kind: aws
    region: us-east-1
    endpoint: {aws.url}
    refresh: 5s
    credentials: {{static: {{access_key_id: {{env: AWS_ID}}, secret_access_key: {{env: AWS_KEY}}}}}}
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


def _read(checks: Checks, trackside: Trackside) -> None:
    for name in NAMES:
        checks.check(f"a token from {name} lets in", _lets_in(trackside, f"{name}-first"))
    status = _status(trackside)
    checks.equal("every secret is fresh", {name: one["state"] for name, one in status.items()}, dict.fromkeys(("main", "cloud", "azure"), "fresh"))
    checks.equal("Vault's version is shown", status["main"]["version"], "1")
    viewer = call("GET", f"{trackside.url}/api/v1/secrets", token=trackside.viewer_token)
    checks.equal("how secrets stand is for administrators", viewer.status, 403)


def _rotated(checks: Checks, trackside: Trackside, vault: VaultDouble, aws: _Aws) -> None:
    vault.secrets["app"].append({"token": "vault-second"})
    aws.client.put_secret_value(SecretId="prod/app", SecretString=json.dumps({"token": "aws-second"}))
    azure_double.VAULT_SECRETS["app"] = "azure-second"
    for name in NAMES:
        checks.eventually(f"a token rotated in {name} lets in without a restart", lambda: _lets_in(trackside, f"{name}-second"), ROTATED_SECONDS)
        checks.check(f"the one before from {name} does not", not _lets_in(trackside, f"{name}-first"))
    vault.revoke_all()
    vault.secrets["app"].append({"token": "vault-third"})
    checks.eventually("a revoked token of Vault leads to another login", lambda: _lets_in(trackside, "vault-third"), ROTATED_SECONDS)
    checks.check("Vault's tokens are renewed, not made anew for each read", vault.renewals > 0 and vault.logins < 6, (vault.renewals, vault.logins))


def _down(checks: Checks, trackside: Trackside, vault: VaultDouble, aws: _Aws) -> None:
    vault.sealed = True
    aws.stop()
    del azure_double.VAULT_SECRETS["app"]
    sources = ("main", "cloud", "azure")
    checks.eventually("each failure is shown", lambda: all(_status(trackside)[source]["state"] == "kept" for source in sources), ROTATED_SECONDS)
    for name, token in (("vault", "vault-third"), ("aws", "aws-second"), ("azure", "azure-second")):
        checks.check(f"the last good value from {name} is used on", _lets_in(trackside, token))
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
    checks.check("what was in force stays", _lets_in(trackside, "aws-second"))


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1", "localhost", "myvault.vault.localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "azure.pem")
    principal = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("trackside@example.net", key_type=trustme.KeyType.RSA)
    principal.cert_chain_pems[0].write_to_path(folder / "principal.pem")
    return folder / "ca.pem", folder / "azure.pem", folder / "principal.pem"
