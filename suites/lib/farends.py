"""PagerDuty and Slack as a notifier sees them, on one loopback port. They record everything and judge nothing.

Answers follow the public contracts: Events API v2 (202 with `dedup_key`), incoming webhooks (`ok`), `chat.postMessage`
and `chat.update` (`ok`, `channel`, `ts`).
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Message:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text, for searching."""
        return self.body.decode(errors="replace")


class FarEnds:
    """The recording server. Use as a context manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: list[Message] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def all(self) -> list[Message]:
        """Everything that arrived, in order."""
        with self._lock:
            return list(self._messages)

    def pages(self, action: str | None = None, about: str | None = None) -> list[dict[str, Any]]:
        """PagerDuty events, optionally of one action and naming one pipeline."""
        events = [(message.json, message.text) for message in self.all() if message.path == "/v2/enqueue"]
        return [
            event
            for event, text in events
            if (action is None or event.get("event_action") == action) and (about is None or about in text)
        ]

    def slack(self, path: str, about: str = "") -> list[Message]:
        """Slack messages posted to one path that contain a text."""
        return [message for message in self.all() if message.path == path and about in message.text]

    def record(self, message: Message) -> None:
        """Keeps a message."""
        with self._lock:
            self._messages.append(message)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(ends: FarEnds) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # noqa: N802 - the name the standard library calls
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            ends.record(Message(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, content_type, answer = _answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Silent: the suite prints what matters."""

    return Handler


def _answer(path: str, body: bytes) -> tuple[int, str, bytes]:
    if path == "/v2/enqueue":
        key = json.loads(body).get("dedup_key") or uuid.uuid4().hex
        answer = {"status": "success", "message": "Event processed", "dedup_key": key}
        return 202, "application/json", json.dumps(answer).encode()
    if path.startswith("/services/"):
        return 200, "text/plain", b"ok"
    if path.endswith(("/chat.postMessage", "/chat.update")):
        sent = json.loads(body)
        answer = {"ok": True, "channel": sent.get("channel"), "ts": sent.get("ts") or f"{time.time():.6f}"}
        return 200, "application/json", json.dumps(answer).encode()
    if path == "/careful":
        return 200, "application/json", b'{"done": true}'
    return 404, "text/plain", b"no such far end"
