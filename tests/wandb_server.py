"""A W&B server that accepts a run and goes away at a request: for tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    last_request = ""  # text in the path or the body of the request after which the server is gone


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        query = json.loads(request) if self.path == "/graphql" else {"query": ""}
        if self.server.last_request.encode() in self.path.encode() + request:
            threading.Thread(target=self.server.shutdown).start()
            self.server.server_close()
        if "upsertBucket" in query["query"]:
            project = {"id": "1", "name": "glyphline", "entity": {"id": "2", "name": "me"}}
            bucket = {"id": "3", "name": query["variables"]["name"], "displayName": "run", "config": "{}",
                      "project": project, "historyLineCount": 0}  # fmt: skip
            self._answer({"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}})
        elif query["query"].lstrip().startswith("mutation"):
            self._answer({"errors": [{"message": "not taken here"}]})
        else:
            self._answer({"data": {"viewer": {"id": "4", "entity": "me", "username": "me"}}})

    def _answer(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve_wandb_until(last_request: str) -> Iterator[str]:
    """Serve on a free port until a request whose path or body holds a text, and return the address."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.last_request = last_request
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
