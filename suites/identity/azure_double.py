"""Azure on loopback, as its documentation says: metadata service, App Service identity, Entra v2, Key Vault.

Entra checks what a client sends as the real one does (secret, certificate thumbprint and signature, federated tokens by
the keys of their issuer). Its fidelity is shown by Microsoft's own SDKs, which the suite runs against it.
"""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import threading
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

TENANT = "11112222-bbbb-3333-cccc-4444dddd5555"
CLIENT = "6f2a7d7c-1b1e-4f0e-9a55-3f5f5d6f6a11"
CLIENT_SECRET = "s3cr3t+/=~"
IDENTITY_HEADER = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a"
VAULT_SECRETS = {"slack-webhook": "https://hooks.slack.com/services/T/B/X"}
FEDERATED_AUDIENCE = "api://AzureADTokenExchange"


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class Reply:
    """What goes out."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


class AzureDouble:
    """Two servers: plain HTTP for what is on the machine, HTTPS for the cloud. `metadata_failures` are answered first."""

    def __init__(self, certificate: Path, key: Path, principal: Path) -> None:
        """`principal` is the certificate that is registered with the application."""
        registered = x509.load_pem_x509_certificate(principal.read_bytes())
        self._public = registered.public_key()
        self._thumbprints = {
            "PS256": ("x5t#S256", _b64(registered.fingerprint(hashes.SHA256()))),
            "RS256": ("x5t", _b64(registered.fingerprint(hashes.SHA1()))),
        }
        self._signing = rsa.generate_private_key(65537, 2048)
        self._seen: set[str] = set()
        self.log: list[Request] = []
        self.metadata_failures: list[int] = []
        self.federated: dict[str, str] = {}
        self.proofs: list[str] = []
        self._machine = _server(self._of_machine, self.log)
        self._cloud = _server(self._of_cloud, self.log)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._cloud.socket = context.wrap_socket(self._cloud.socket, server_side=True)
        self.machine = f"http://127.0.0.1:{self._machine.server_port}"
        self.cloud = f"https://127.0.0.1:{self._cloud.server_port}"
        self.vault = f"https://myvault.vault.localhost:{self._cloud.server_port}"

    def trust(self, issuer: str, subject: str) -> None:
        """A federated credential of the application: tokens of this issuer and subject are taken."""
        self.federated[issuer] = subject

    def __enter__(self) -> Self:
        for server in (self._machine, self._cloud):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._machine, self._cloud):
            server.shutdown()
            server.server_close()

    def _token(self, audience: str, life: int) -> str:
        now = int(time.time())
        claims = {
            "aud": audience, "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "iat": now, "nbf": now,
            "exp": now + life, "azp": CLIENT, "oid": CLIENT, "sub": CLIENT, "tid": TENANT, "ver": "2.0",
            "roles": ["Jobs.Run"], "idtyp": "app",
        }  # fmt: skip
        return jwt.encode(claims, self._signing, "RS256", headers={"kid": "azure-1"})

    def _of_machine(self, request: Request) -> Reply:
        now, life = int(time.time()), 86_399
        resource = request.query.get("resource", "")
        token = {"access_token": "", "resource": resource, "token_type": "Bearer", "client_id": CLIENT, "expires_on": str(now + life)}
        if request.path == "/metadata/identity/oauth2/token":
            if self.metadata_failures:
                return Reply(self.metadata_failures.pop(0), {"error": "x", "error_description": "y"})
            if request.headers.get("metadata") != "true" or "x-forwarded-for" in request.headers:
                return Reply(400, {"error": "invalid_request", "error_description": "Required metadata header not specified"})
            # Every number is a string here.
            more = {"expires_in": str(life), "ext_expires_in": str(life), "not_before": str(now)}
            return Reply(200, token | more | {"access_token": self._token(resource, life)})
        if request.path == "/msi/token":
            if request.headers.get("x-identity-header") != IDENTITY_HEADER:
                return Reply(401, {"statusCode": 401, "message": "The identity header is invalid"})
            return Reply(200, token | {"access_token": self._token(resource, life)})
        return Reply(404, {"error": "not_found"})

    def _of_cloud(self, request: Request) -> Reply:
        if request.path == f"/{TENANT}/oauth2/v2.0/token" and request.method == "POST":
            return self._entra(request.form)
        if request.path.endswith("/.well-known/openid-configuration"):
            base = f"{self.cloud}/{TENANT}"
            return Reply(200, {
                "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0", "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint": f"{base}/oauth2/v2.0/token", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode", "tenant_region_scope": "EU",
            })  # fmt: skip
        if request.path.startswith("/secrets/"):
            return self._key_vault(request)
        return Reply(404, {"error": {"code": "NotFound", "message": request.path}})

    def _entra(self, form: dict[str, str]) -> Reply:
        if form.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", 70003, "grant type")
        if form.get("client_id") != CLIENT:
            return _refused(400, "unauthorized_client", 700016, "Application was not found in the directory")
        scope = form.get("scope", "")
        if not scope.endswith("/.default"):
            return _refused(400, "invalid_scope", 1002012, "Client credential flows must have a scope value with /.default")
        if "client_assertion" in form:
            if refused := self._assertion(form["client_assertion"]):
                return refused
        elif form.get("client_secret") == CLIENT_SECRET:
            self.proofs.append("secret")
        else:
            return _refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
        token = self._token(scope.removesuffix("/.default"), 3599)
        return Reply(200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})

    def _assertion(self, assertion: str) -> Reply | None:
        """What is wrong with an assertion."""
        header = jwt.get_unverified_header(assertion)
        told = jwt.decode(assertion, options={"verify_signature": False})
        if told.get("jti") in self._seen:
            return _refused(401, "invalid_client", 700024, "The assertion was used before")
        self._seen.add(str(told.get("jti")))
        if told.get("iss") in self.federated:
            return self._federated(assertion, str(told["iss"]))
        member, thumbprint = self._thumbprints.get(header["alg"], ("", ""))
        if not member or str(header.get(member, "")).rstrip("=") != thumbprint:
            return _refused(401, "invalid_client", 700027, "The certificate is not registered on application")
        audiences = [f"{base}/{TENANT}/oauth2/v2.0/token" for base in (self.cloud, "https://login.microsoftonline.com")]
        try:
            jwt.decode(assertion, self._public, [header["alg"]], audience=audiences, options={"require": ["exp", "iss", "sub", "jti"]})
        except jwt.PyJWTError as error:
            return _refused(401, "invalid_client", 700024, f"Client assertion: {error}")
        self.proofs.append(header["alg"])
        return None

    def _federated(self, assertion: str, issuer: str) -> Reply | None:
        """A token of another issuer: found by its discovery page, verified by its keys."""
        with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=5) as page:
            keys = jwt.PyJWKClient(json.load(page)["jwks_uri"])
        try:
            key = keys.get_signing_key_from_jwt(assertion)
            told = jwt.decode(assertion, key, ["ES256", "RS256", "EdDSA"], audience=FEDERATED_AUDIENCE, issuer=issuer)
        except jwt.PyJWTError as error:
            return _refused(401, "invalid_client", 700023, f"Client assertion: {error}")
        if told["sub"] != self.federated[issuer]:
            return _refused(401, "invalid_client", 700213, "No matching federated identity record found")
        self.proofs.append("federated")
        return None

    def _key_vault(self, request: Request) -> Reply:
        if not request.headers.get("authorization", "").startswith("Bearer "):
            challenge = f'Bearer authorization="{self.cloud}/{TENANT}", resource="{self.vault.replace("myvault.", "")}"'
            missing = {"error": {"code": "Unauthorized", "message": "AKV10000: Request is missing a Bearer or PoP token."}}
            return Reply(401, missing, {"WWW-Authenticate": challenge})
        name = request.path.split("/")[2]
        if name not in VAULT_SECRETS:
            return Reply(404, {"error": {"code": "SecretNotFound", "message": f"A secret with (name/id) {name} was not found"}})
        now = int(time.time())
        attributes = {"enabled": True, "created": now, "updated": now, "recoveryLevel": "Recoverable", "recoverableDays": 90}
        return Reply(200, {"value": VAULT_SECRETS[name], "id": f"{self.vault}/secrets/{name}/{secrets.token_hex(16)}", "attributes": attributes})


def _refused(status: int, error: str, code: int, text: str) -> Reply:
    trace = {"error_codes": [code], "trace_id": str(uuid.uuid4()), "correlation_id": str(uuid.uuid4())}
    return Reply(status, {"error": error, "error_description": f"AADSTS{code}: {text}. Trace ID: x", **trace})


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _server(answer: Callable[[Request], Reply], log: list[Request]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing: the requests are recorded."""

        def _take(self) -> None:
            address = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            query, form = (dict(urllib.parse.parse_qsl(text)) for text in (address.query, body))
            request = Request(self.command, address.path, query, headers, form)
            log.append(request)
            reply = answer(request)
            data = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _take

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
