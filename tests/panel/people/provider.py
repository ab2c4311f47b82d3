"""A small OpenID Connect provider on loopback: it signs id tokens for whoever the test says is there."""

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "panel", "the panel's secret"


class Provider:
    """Speaks the code flow with PKCE. `claims` are those of who signs in next; the other switches make it misbehave."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "42", "email": "anna@example.org", "email_verified": True}
        self.overrides: dict[str, Any] = {}
        self.signing = self.published = RSAKey.generate_key(2048, {"kid": "one"})
        self.codes: dict[str, dict[str, str]] = {}
        self.issuer = ""

    def __enter__(self) -> Self:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer(self, urlsplit(self.path).path, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider.answer(self, self.path, {name: values[0] for name, values in parse_qs(body).items()})

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def sign_in(self, url: str) -> str:
        """What a browser that was sent to `url` brings back, signed in: the path of the panel."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        back = urlsplit(asked["redirect_uri"]).path
        return f"{back}?{urlencode({'code': code, 'state': asked['state']})}"

    def answer(self, request: BaseHTTPRequestHandler, path: str, fields: dict[str, str]) -> None:
        """One request of the panel."""
        pages = {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.overrides.get("issuer", self.issuer),
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            },
            "/keys": lambda: {"keys": [self.published.as_dict(private=False) | {"use": "sig", "alg": "RS256"}]},
            "/token": lambda: self._token(request, fields),
        }
        body = pages[path]()
        raw = json.dumps(body).encode()
        request.send_response(400 if "error" in body else 200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(raw)))
        request.end_headers()
        request.wfile.write(raw)

    def _token(self, request: BaseHTTPRequestHandler, fields: dict[str, str]) -> dict[str, Any]:
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(fields["code"], None)  # a code works once
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if request.headers["Authorization"] != f"Basic {basic}":
            return {"error": "invalid_client"}
        if asked is None or asked["code_challenge"] != challenge:
            return {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.claims,
        }
        claims |= self.overrides.get("claims", {})
        algorithm = self.overrides.get("alg", "RS256")
        header = {"alg": algorithm, "kid": self.signing.kid}
        token = jwt.encode(header, claims, self.signing, algorithms=[algorithm])
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": token}
