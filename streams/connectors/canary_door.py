"""
The gateway as the canary meets it: it asks `allow` and reports, as Dovecot does after a right password.

Decision: one connection that is kept, so that behind a load balancer a round meets one gateway.
"""

from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from streams.bus.health import parse_listen, reachable
from streams.connectors.receivers import tls_of
from streams.errors import ConfigurationError, LoginwatchError
from streams.settings import Settings

TIMEOUT_S = 5.0
MOST_ANSWER_BYTES = 65_536
UNAUTHORIZED = 401
OK = 200


class SetbackError(LoginwatchError):
    """A round of the canary cannot go on: `outcome` as the metric has it, and a sentence."""

    def __init__(self, outcome: str, sentence: str) -> None:
        super().__init__(sentence)
        self.outcome = outcome


class CanaryDoor:
    """The door, between `with` and its end. All its methods raise SetbackError where the door does not do its part."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigurationError for an address or certificates that cannot be used."""
        self._url = url_of(settings)
        headers = [(b"Content-Type", b"application/json"), (b"User-Agent", b"loginwatch-canary")]
        if key := _key(settings):
            headers.append((b"X-API-Key", key))
        self._client = httpx.Client(
            headers=headers,
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            verify=tls_of(settings, "canary_ca_file"),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def lets_in(self, account: str, address: str) -> bool:
        """Would this account be let in from there now? Asking is no login."""
        status = self._ask("allow", _question(account, address))
        if type(status) is not int:
            raise SetbackError("door_fault", f"the gateway at {self._url} answers `allow` with status {status!r}")
        return status >= 0

    def report(self, account: str, address: str) -> None:
        """Tell of a login that went well."""
        status = self._ask("report", {**_question(account, address), "success": True, "policy_reject": False})
        if status != "ok":
            raise SetbackError("door_fault", f"the gateway at {self._url} answers a report with status {status!r}")

    def _ask(self, command: str, question: dict[str, Any]) -> Any:
        try:
            with self._client.stream(
                "POST", self._url, params={"command": command}, content=orjson.dumps(question)
            ) as response:
                body = _bounded(response)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise SetbackError(
                "door_away",
                f"the gateway at {self._url} does not answer: {said}; is it up, is canary_gateway_url right?",
            ) from error
        if response.status_code == UNAUTHORIZED:
            raise SetbackError(
                "door_refused", f"the gateway at {self._url} refuses our secret: gateway_api_key must be the same here"
            )
        try:
            answer = orjson.loads(body)
        except ValueError:
            answer = None
        if response.status_code != OK or not isinstance(answer, dict):
            raise SetbackError(
                "door_fault", f"the gateway at {self._url} answers {response.status_code}, and no status"
            )
        return answer.get("status")


def url_of(settings: Settings) -> str:
    """Where the gateway is. Raises ConfigurationError when that is no address."""
    if not settings.canary_gateway_url:
        host, port = parse_listen(settings.gateway_listen, "gateway_listen")
        return f"{'https' if settings.gateway_tls_cert_file else 'http'}://{reachable(host)}:{port}/"
    try:
        url = httpx.URL(settings.canary_gateway_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigurationError(f"setting canary_gateway_url is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise ConfigurationError(
            "setting canary_gateway_url must be http:// or https://, with a host and without a name and password"
        )
    return str(url)


def _key(settings: Settings) -> bytes:
    """The secret as a header has it: UTF-8, as the gateway reads it. Raises ConfigurationError for one that none can have."""
    key = settings.gateway_api_key.get_secret_value()
    if key != key.strip() or not key.replace(" ", "").isprintable():
        raise ConfigurationError(
            "setting gateway_api_key cannot be sent: it begins or ends with a space, or has a character that cannot be printed"
        )
    return key.encode()


def _question(account: str, address: str) -> dict[str, Any]:
    """What Dovecot sends by default."""
    return {
        "login": account,
        "remote": address,
        "protocol": "imap",
        "session_id": "canary",
        "device_id": "",
        "pwhash": "00",
        "tls": True,
    }


def _bounded(response: httpx.Response) -> bytes:
    found = b""
    for chunk in response.iter_bytes():
        found += chunk
        if len(found) > MOST_ANSWER_BYTES:
            raise SetbackError(
                "door_fault", f"the answer of {response.url.host} is longer than {MOST_ANSWER_BYTES} bytes"
            )
    return found
