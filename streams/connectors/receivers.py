"""
What backends and webhooks have in common: who may be sent a secret, over which connection, and how much is read back.

Decision: a redirect is never followed, since it would hand the order and its signature to somebody else. Plain HTTP to
another machine needs a setting of its own, as it shows the secret to everybody between.
"""

import hashlib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import aiohttp
from yarl import URL

from streams.core.refusal import Refused
from streams.errors import ConfigurationError
from streams.settings import Settings

MOST_ANSWER_BYTES = 4 << 20
MOST_RECEIVERS = 100
READ_BYTES = 65_536


@dataclass(frozen=True)
class Receiver:
    """Where to send. `name` stands in logs, metrics and consumer groups: no path or password, since those may be secret."""

    url: URL
    name: str


def receivers_of(urls: Sequence[str], setting: str, *, allow_plaintext: bool) -> list[Receiver]:
    """
    The receivers of a setting, each once. Raises ConfigurationError that names the setting.

    >>> receivers_of(["https://hooks.example.org/x"], "enforcement_webhooks", allow_plaintext=False)[0].name
    'hooks.example.org-31f1f0cc'
    """
    if len(urls) > MOST_RECEIVERS:
        raise ConfigurationError(f"setting {setting}: {len(urls)} addresses are too many, at most {MOST_RECEIVERS}")
    return [_receiver(text, setting, allow_plaintext=allow_plaintext) for text in dict.fromkeys(urls)]


def _receiver(text: str, setting: str, *, allow_plaintext: bool) -> Receiver:
    try:
        url = URL(text)
        sound = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError(f"setting {setting}: {_without_secrets(text)!r} is not a URL with http:// or https://")
    if url.scheme == "http" and not allow_plaintext and not _is_loopback(url.host or ""):
        raise ConfigurationError(
            f"setting {setting}: {url.host} would be sent a secret without TLS. Use https://, or set"
            " enforcement_allow_plaintext where nobody else can read the network between"
        )
    return Receiver(url, f"{url.host}-{hashlib.sha256(text.encode()).hexdigest()[:8]}")


def _without_secrets(text: str) -> str:
    """Only the name of the machine."""
    return re.split(r"[/?#]", text.rpartition("@")[2].rpartition("//")[2])[0][:80]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def new_session(settings: Settings) -> aiohttp.ClientSession:
    """The HTTP client of all receivers; on the running event loop. Raises ConfigurationError for unusable certificates."""
    return session_of(tls_of(settings), settings.enforcement_timeout)


def session_of(tls: ssl.SSLContext, total_s: float, *, reuse: bool = True) -> aiohttp.ClientSession:
    """
    A client that gives every request `total_s`, all of it; on the running event loop.

    Without `reuse` every request has a connection of its own.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls, force_close=not reuse),
        timeout=aiohttp.ClientTimeout(total=total_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "loginwatch"},
    )


def tls_of(settings: Settings, setting: str = "enforcement_ca_file") -> ssl.SSLContext:
    """How certificates are judged, by the file of that setting. Raises ConfigurationError when it cannot be used."""
    ca_file = getattr(settings, setting)
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(f"setting {setting}: {ca_file} cannot be used ({error})") from error


async def read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body. Raises Refused (`bad_answer`) when it is too long to be an answer."""
    found = bytearray()
    async for chunk in response.content.iter_chunked(READ_BYTES):
        found += chunk
        if len(found) > MOST_ANSWER_BYTES:
            raise Refused("bad_answer", f"the answer is longer than {MOST_ANSWER_BYTES} bytes")
    return bytes(found)


def trouble_of(error: BaseException) -> str:
    """A failed connection in one short sentence, without the URL, which may hold a secret."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "its certificate is not accepted"
        case aiohttp.ClientConnectorError():
            return f"cannot connect: {(error.os_error.strerror or 'no such host')[:100]}"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError():
            return "it closed the connection without an answer"
        case _:
            return f"no usable answer ({type(error).__name__})"
