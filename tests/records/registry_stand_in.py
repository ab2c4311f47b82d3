"""
A stand-in for a schema registry: a real HTTP server that follows the registry's API in the calls we make.

It is not the real registry: it judges compatibility by our own rules and knows Avro only. It speaks HTTP over TCP, numbers
schemas, and answers with the registry's status codes and error codes, so the real client runs unchanged against it.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

SUBJECT_NOT_FOUND = (404, {"error_code": 40401, "message": "Subject not found."})
NO_RULE = (404, {"error_code": 40408, "message": "Subject does not have subject-level compatibility configured"})
SCHEMA_NOT_FOUND = (404, {"error_code": 40403, "message": "Schema not found"})


class RegistryStandIn:
    """`schemas` is what it holds, by id from 1; `questions` counts what it was asked; `broken` makes it answer 500."""

    def __init__(self) -> None:
        self.schemas: list[dict[str, Any]] = []
        self.subjects: dict[str, list[int]] = {}
        self.rules: dict[str, str] = {}
        self.questions: list[str] = []
        self.broken = False
        self.refuses = False
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve on the port of before, or any free one."""
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in._serve(self, None)

            def do_POST(self) -> None:
                stand_in._serve(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def do_PUT(self) -> None:
                self.do_POST()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Close the port: connections are refused from now on."""
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add(self, schema: str, subject: str = "somebody-value", **rest: Any) -> int:
        """Register as another program would; the id."""
        self.schemas.append({"schema": schema, **rest})
        self.subjects.setdefault(subject, []).append(len(self.schemas))
        return len(self.schemas)

    def _serve(self, request: BaseHTTPRequestHandler, body: dict[str, Any] | None) -> None:
        self.questions.append(f"{request.command} {urlsplit(request.path).path}")
        broken = (500, {"error_code": 50001, "message": "Error in the backend data store"})
        status, answer = broken if self.broken else self._answer(request, body)
        data = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _answer(self, request: BaseHTTPRequestHandler, body: dict[str, Any] | None) -> tuple[int, Any]:
        match [unquote(part) for part in urlsplit(request.path).path.split("/")[1:]]:
            case ["schemas", "ids", number]:
                known = 1 <= int(number) <= len(self.schemas)
                return (200, self.schemas[int(number) - 1]) if known else SCHEMA_NOT_FOUND
            case ["subjects", subject]:
                return self._lookup(subject, body or {})
            case ["subjects", subject, "versions"] if body is None:
                known = self.subjects.get(subject, [])
                return (200, list(range(1, len(known) + 1))) if known else SUBJECT_NOT_FOUND
            case ["config", subject]:
                if body is not None:
                    self.rules[subject] = body["compatibility"]
                    return 200, {"compatibility": body["compatibility"]}
                return (200, {"compatibilityLevel": self.rules[subject]}) if subject in self.rules else NO_RULE
            case ["subjects", subject, "versions"]:
                status, answer = self._lookup(subject, body or {})
                if status == 200:
                    return status, answer
                if self.refuses:
                    return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
                return 200, {"id": self.add(str((body or {})["schema"]), subject)}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _lookup(self, subject: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if subject not in self.subjects:
            return SUBJECT_NOT_FOUND
        for version, number in enumerate(self.subjects[subject], 1):
            if self.schemas[number - 1]["schema"] == body["schema"]:
                return 200, {"subject": subject, "id": number, "version": version, "schema": body["schema"]}
        return SCHEMA_NOT_FOUND
