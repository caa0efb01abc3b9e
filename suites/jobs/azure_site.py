"""An App Service on loopback, as the documentation of Azure Resource Manager and Kudu says, with the machine's metadata service.

Restart and slot swap of `Microsoft.Web/sites` (a swap answers 202 and is asked after), Kudu's zip deployment from an address
(asynchronous, listed first as a placeholder, 3 is failed and 4 is done). Every call needs a token for the right resource.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

RESOURCE = "https://management.azure.com"
SITE = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/shop/providers/Microsoft.Web/sites/shop"
QUESTIONS = 2
FAILS = "broken.zip"


@dataclass
class Reply:
    """What goes out; nothing when `cut`, as if the line broke."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: str = ""


class AzureSite:
    """Counts what was carried out. `cut_next`: the next action is carried out, and its answer is lost."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.deployments: list[dict[str, object]] = []
        self.cut_next = False
        self._tokens: set[str] = set()
        self._open: dict[str, int] = {}
        self._swapped: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, address: str, headers: dict[str, str], body: bytes) -> Reply:
        """One request."""
        split = urllib.parse.urlsplit(address)
        path, query = split.path, dict(urllib.parse.parse_qsl(split.query))
        if path == "/metadata/identity/oauth2/token":
            return self._token(query, headers)
        if headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            return Reply(401, {"error": {"code": "AuthenticationFailed"}})
        if path.startswith("/api/"):
            return self._kudu(method, path, query, body)
        if query.get("api-version") != "2025-05-01":
            return Reply(400, {"error": {"code": "MissingApiVersionParameter"}})
        if path.startswith("/operations/"):
            return self._progress(path)
        return self._site(method, path, body)

    def _token(self, query: dict[str, str], headers: dict[str, str]) -> Reply:
        if headers.get("metadata") != "true" or query.get("resource") != RESOURCE:
            return Reply(400, {"error": "invalid_request"})
        token = uuid.uuid4().hex
        self._tokens.add(token)
        life = {"expires_in": "86399", "expires_on": str(int(time.time()) + 86399)}
        return Reply(200, {"access_token": token, "resource": RESOURCE, "token_type": "Bearer", **life})

    def _site(self, method: str, path: str, body: bytes) -> Reply:
        if (method, path) == ("GET", SITE):
            return Reply(200, {"name": "shop", "properties": {"slotSwapStatus": self._swapped or None}})
        if (method, path) == ("POST", f"{SITE}/slots/staging/restart"):
            self.done.append("restart")
            return Reply(200, cut=self._cut())
        if (method, path) == ("POST", f"{SITE}/slots/staging/slotsswap"):
            target = json.loads(body)["targetSlot"]
            self.done.append("swap")
            now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1)) + "Z"
            self._swapped = {"timestampUtc": now, "sourceSlotName": "staging", "destinationSlotName": target}
            number = uuid.uuid4().hex
            self._open[number] = QUESTIONS
            where = f"{self.url}/operations/{number}?api-version=2025-05-01"
            return Reply(202, None, {"Location": where, "Retry-After": "1"}, cut=self._cut())
        return Reply(404, {"error": {"code": "ResourceNotFound", "message": path}})

    def _progress(self, path: str) -> Reply:
        number = path.rsplit("/", 1)[1]
        self._open[number] -= 1
        return Reply(202, None, {"Retry-After": "1"}) if self._open[number] > 0 else Reply(200, {"name": "staging"})

    def _kudu(self, method: str, path: str, query: dict[str, str], body: bytes) -> Reply:
        if path == "/api/zipdeploy" and method == "PUT":
            package = json.loads(body)["packageUri"]
            self.done.append(f"deploy {package}")
            # Until it has the package, there is a placeholder with a message of Kudu's own.
            self.deployments.insert(0, {
                "id": f"temp-{uuid.uuid4().hex[:8]}", "status": 0, "status_text": "Receiving changes.", "is_temp": True,
                "complete": False, "message": "Deploying from pushed zip file", "deployer": query.get("deployer", "ZipDeploy"),
                "asked_for": query.get("message", ""), "package": package,
            })  # fmt: skip
            where = f"{self.url}/api/deployments/latest?deployer={query.get('deployer')}&time=2026-11-20_10-00-00Z"
            return Reply(202, None, {"Location": where, "Retry-After": "2"}, cut=self._cut())
        if path == "/api/deployments" and method == "GET":
            shown = [dict(deployment) for deployment in self.deployments]
            self._go_on()
            return Reply(200, shown)
        return Reply(404, "no such page")

    def _go_on(self) -> None:
        """Every look is a step: the placeholder gives way to the deployment, which then ends."""
        for one in self.deployments:
            if one["is_temp"]:
                one |= {"id": uuid.uuid4().hex, "is_temp": False, "status": 1, "status_text": "Building", "message": one["asked_for"]}
            elif not one["complete"]:
                failed = str(one["package"]).endswith(FAILS)
                one |= {"status": 3 if failed else 4, "status_text": "Package is not a zip" if failed else "", "complete": True}

    def _cut(self) -> str:
        cut, self.cut_next = self.cut_next, False
        return "cut" if cut else ""


def _handler(site: AzureSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Silent: the suite prints what matters."""

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = site.answer(self.command, self.path, headers, body)
            if reply.cut:
                self.close_connection = True
                return
            data = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _take

    return Handler
