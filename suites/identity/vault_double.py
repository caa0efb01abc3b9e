"""HashiCorp Vault on loopback, as its API documentation says: AppRole, JWT and Kubernetes, tokens with leases, the
key-value engine in both versions. Its fidelity is shown by `hvac`, which the suite runs against it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

ROLE_ID = "role-1"
ROLE = "trackside"
LEASE_SECONDS = 6
LONGEST_SECONDS = 20


@dataclass
class Token:
    """A token with the end of its lease and of its life."""

    ends: float
    longest: float


class VaultDouble:
    """Serves until left. `sealed` and `down` make it fail; `secret_ids` counts the uses that are left."""

    def __init__(self) -> None:
        self.secret_ids = {"secret-id-1": 100}
        self.sealed = False
        self.secrets: dict[str, list[dict[str, str] | None]] = {}
        self.old_secrets: dict[str, dict[str, str]] = {}
        self.identities: dict[str, str] = {}
        self.logged_in: list[str] = []
        self.logins = 0
        self.renewals = 0
        self._tokens: dict[str, Token] = {}
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing."""

            def _take(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
                address = urlsplit(self.path)
                status, reply = double._answer(self.command, address.path, parse_qs(address.query), body, self.headers)
                data = b"" if reply is None else json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = _take

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self) -> str:
        """A token that somebody made. It can be renewed for ever."""
        return str(self._make("token", float("inf"))["client_token"])

    def revoke_all(self) -> None:
        """Every token ends now."""
        self._tokens.clear()

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: dict, headers: object) -> tuple[int, object]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if path == "/v1/auth/approle/login":
            return self._login(body)
        if path in ("/v1/auth/jwt/login", "/v1/auth/kubernetes/login"):
            method = path.split("/")[3]
            if body.get("role") != ROLE or self.identities.get(method) != body.get("jwt"):
                return 403, {"errors": ["permission denied"]}
            return 200, _whole(auth=self._make(method))
        name = headers.get("X-Vault-Token") or ""
        token = self._tokens.get(name)
        if token is None or token.ends < time.time():
            return 403, {"errors": ["permission denied", "invalid token"]}
        if path == "/v1/auth/token/renew-self":
            self.renewals += 1
            token.ends = min(time.time() + LEASE_SECONDS, token.longest)
            return 200, _whole(auth=_auth(name, token))
        if path == "/v1/auth/token/lookup-self":
            left = max(0, int(token.ends - time.time()))
            return 200, _whole(data={"id": name, "ttl": left, "renewable": True, "policies": ["default", "trackside"]})
        if path.startswith("/v1/kv/data/"):
            return self._key_value(method, path.removeprefix("/v1/kv/data/"), query, body)
        if path.startswith("/v1/old/"):
            return self._old_key_value(method, path.removeprefix("/v1/old/"), body)
        return 404, {"errors": [f'no handler for route "{path}". route entry not found.']}

    def _login(self, body: dict) -> tuple[int, object]:
        secret_id = body.get("secret_id", "")
        if body.get("role_id") != ROLE_ID or self.secret_ids.get(secret_id, 0) <= 0:
            return 400, {"errors": ["invalid role or secret ID"]}
        self.secret_ids[secret_id] -= 1
        self.logins += 1
        return 200, _whole(auth=self._make("approle"))

    def _make(self, how: str, longest: float = LONGEST_SECONDS) -> dict[str, object]:
        self.logged_in.append(how)
        name, now = f"hvs.{uuid.uuid4().hex}", time.time()
        self._tokens[name] = Token(now + LEASE_SECONDS, now + longest)
        return _auth(name, self._tokens[name])

    def _old_key_value(self, method: str, path: str, body: dict) -> tuple[int, object]:
        """Version 1: no versions, and a lease that is none."""
        if method in ("POST", "PUT"):
            self.old_secrets[path] = body
            return 204, None
        if path not in self.old_secrets:
            return 404, {"errors": []}
        return 200, _whole(data=self.old_secrets[path]) | {"lease_duration": 2_764_800}

    def _key_value(self, method: str, path: str, query: dict[str, list[str]], body: dict) -> tuple[int, object]:
        if method in ("POST", "PUT"):
            self.secrets.setdefault(path, []).append(body["data"])
            return 200, _whole(data=_metadata(len(self.secrets[path]), gone=False))
        versions = self.secrets.get(path)
        if not versions:
            return 404, {"errors": []}
        version = int(query.get("version", ["0"])[0]) or len(versions)
        data = versions[version - 1]
        found = {"data": data, "metadata": _metadata(version, gone=data is None)}
        # A version that was deleted is a 404 with a body.
        return (404 if data is None else 200), _whole(data=found)


def _whole(data: object = None, auth: object = None) -> dict[str, object]:
    return {"request_id": str(uuid.uuid4()), "lease_id": "", "renewable": False, "lease_duration": 0, "data": data,
            "wrap_info": None, "warnings": None, "auth": auth}  # fmt: skip


def _auth(name: str, token: Token) -> dict[str, object]:
    return {"client_token": name, "accessor": uuid.uuid4().hex, "policies": ["default", "trackside"], "metadata": {},
            "lease_duration": max(0, round(token.ends - time.time())), "renewable": True, "token_type": "service"}  # fmt: skip


def _metadata(version: int, *, gone: bool) -> dict[str, object]:
    deleted = "2026-11-20T01:00:00Z" if gone else ""
    return {"created_time": "2026-11-20T00:00:00Z", "custom_metadata": None, "deletion_time": deleted, "destroyed": False, "version": version}
