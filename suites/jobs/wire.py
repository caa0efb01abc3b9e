"""The network between Trackside and the API: a TCP proxy that can be cut after a request has gone through."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Self

# Closing sends a reset, as a cut line looks from afar.
AT_ONCE = struct.pack("ii", 1, 0)


class Wire:
    """Passes everything on. `cut(n)`: the next n answers do not come back, although the requests arrive."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._cuts = 0
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self, answers: int) -> None:
        """Cuts the line at the next answers."""
        with self._lock:
            self._cuts = answers

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
        self._pass(server, client, True)

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                if answers and self._is_cut():
                    for end in (source, sink):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _is_cut(self) -> bool:
        with self._lock:
            if self._cuts == 0:
                return False
            self._cuts -= 1
            self.lost += 1
            return True
