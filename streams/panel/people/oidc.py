"""
OpenID Connect: the provider says who somebody is (Core 1.0, code flow with PKCE); what they may do is said here.

Decision: nothing is stored between the way out and the way back. State, nonce and PKCE verifier are derived from the
visitor's cookie, so they fit only in the browser that began; where the visitor wanted to go travels inside the state,
sealed. Keys are asked for anew when a token names one that is not known, since providers rotate them.
"""

import hmac
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from ssl import SSLContext, create_default_context
from time import monotonic
from typing import Any

import structlog
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet

from streams.core.refusal import Refused
from streams.errors import ConfigurationError, LoginwatchError
from streams.panel.paths import HOME, local_path
from streams.panel.rights import Role, parse_person_scope
from streams.panel.tokens import derived
from streams.settings import Settings

LOG = structlog.get_logger(__name__)
BACK = "/sign-in/single/back"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key pair only: `none` and shared secrets are refused."""
SCOPES = "openid email profile"
TIMEOUT_S = 10.0
KEPT_S = 3600.0
ASK_AGAIN_S = 10.0
"""Unknown keys are asked for at most this often."""
LEEWAY_S = 60
MOST_NAMES = 200


class SingleSignOnError(LoginwatchError):
    """The provider does not answer, or answered what cannot be believed: see the panel's log."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, as the provider says: `subject` never changes, `email` is None unless the provider has checked it."""

    subject: str
    email: str | None
    display: str
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Post:
    """What somebody is to be in the panel."""

    role: Role
    scopes: tuple[str, ...]


class SingleSignOn:
    """The provider of `panel_oidc_*`. Raises ConfigurationError for roles that cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self.label = settings.panel_oidc_label
        self._settings = settings
        self._issuer = settings.panel_oidc_issuer
        self._posts = _posts(settings)
        self._lock = threading.Lock()
        self._known: dict[str, Any] = {}
        self._known_until_s = 0.0
        self._keys: KeySet | None = None
        self._keys_at_s = 0.0
        ca_file = settings.panel_oidc_ca_file
        self._verify: SSLContext | bool = create_default_context(cafile=ca_file) if ca_file else True

    def way_out(self, cookie: str, then: str) -> str:
        """Where the browser with this cookie is sent to sign in. Raises SingleSignOnError."""
        try:
            with self._client() as client:
                where = self._about(client)["authorization_endpoint"]
                url, _ = client.create_authorization_url(
                    where,
                    state=_sealed(cookie, then),
                    nonce=derived(cookie, "oidc nonce"),
                    code_verifier=derived(cookie, "oidc verifier"),
                )
        except Exception as error:  # whichever HTTP library Authlib found has errors of its own
            raise _failed("cannot be asked", error) from error
        return str(url)

    def way_back(self, cookie: str, state: str, code: str) -> tuple[Identity, str]:
        """Who came back, and where they wanted to go. Raises SingleSignOnError."""
        then = _opened(cookie, state)
        try:
            with self._client() as client:
                token = client.fetch_token(
                    self._about(client)["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=derived(cookie, "oidc verifier"),
                )
                claims = self._claims(client, token, derived(cookie, "oidc nonce"))
        except Exception as error:
            raise _failed("gave no token that can be believed", error) from error
        return _identity(self._issuer, claims), then

    def post_of(self, identity: Identity) -> Post | None:
        """What the claims say somebody is; None where they say nothing."""
        name = self._settings.panel_oidc_role_claim
        value = identity.claims.get(name) if name else None
        values = value if isinstance(value, list) else [value]
        return next((post for wanted, post in self._posts if wanted in values[:MOST_NAMES]), None)

    @property
    def default_post(self) -> Post | None:
        """What somebody is who is not known here; None = not let in."""
        role = self._settings.panel_oidc_default_role
        return Post(Role(role), self._settings.panel_oidc_default_scopes) if role else None

    def _client(self) -> Any:
        settings = self._settings
        secret = settings.panel_oidc_client_secret.get_secret_value()
        return OAuth2Client(
            settings.panel_oidc_client_id,
            secret or None,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope=SCOPES,
            redirect_uri=settings.panel_url.rstrip("/") + BACK,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            verify=self._verify,
        )

    def _about(self, client: Any) -> dict[str, Any]:
        """What the provider says of itself. Its issuer must be the one that is set, or anybody could speak for it."""
        with self._lock:
            if monotonic() >= self._known_until_s:
                found = _json(client, self._issuer.rstrip("/") + "/.well-known/openid-configuration")
                if found["issuer"] != self._issuer:
                    raise ValueError(f"it calls itself {str(found['issuer'])[:200]!r}, not {self._issuer!r}")
                self._known, self._known_until_s = found, monotonic() + KEPT_S
            return self._known

    def _claims(self, client: Any, token: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        raw = token["id_token"]
        try:
            decoded = jwt.decode(raw, self._key_set(client, anew=False), algorithms=list(ALGORITHMS))
        except (InvalidKeyIdError, BadSignatureError):  # the provider may have new keys
            decoded = jwt.decode(raw, self._key_set(client, anew=True), algorithms=list(ALGORITHMS))
        options = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._settings.panel_oidc_client_id},
        }
        params = {
            "nonce": nonce,
            "client_id": self._settings.panel_oidc_client_id,
            "access_token": token.get("access_token"),
        }
        claims: Any = CodeIDToken(decoded.claims, decoded.header, options, params)
        claims.validate(leeway=LEEWAY_S)
        return dict(claims)

    def _key_set(self, client: Any, *, anew: bool) -> KeySet:
        where = self._about(client)["jwks_uri"]
        with self._lock:
            old = monotonic() - self._keys_at_s > (ASK_AGAIN_S if anew else KEPT_S)
            if self._keys is None or old:
                self._keys, self._keys_at_s = KeySet.import_key_set(_json(client, where)), monotonic()
            return self._keys


def _posts(settings: Settings) -> list[tuple[str, Post]]:
    """What values of the role claim mean, in order. Raises ConfigurationError."""
    found = []
    try:
        for line in settings.panel_oidc_roles:
            value, equals, meaning = line.rpartition("=")
            role, _, scopes = meaning.partition("@")
            if not equals or not value:
                raise ValueError(line)
            parsed = tuple(sorted({parse_person_scope(scope) for scope in scopes.split("+") if scope}))
            found.append((value, Post(Role(role), parsed)))
        for scope in settings.panel_oidc_default_scopes:
            parse_person_scope(scope)
    except (ValueError, Refused) as error:
        raise ConfigurationError(
            f"panel_oidc_roles or panel_oidc_default_scopes cannot be read ({error}): write value=role@scope+scope with the"
            " roles owner, administrator, help_desk, reader and scopes like everything, group:a/b, domain:example.org"
        ) from error
    return found


def _identity(issuer: str, claims: Mapping[str, Any]) -> Identity:
    email = claims.get("email")
    checked = isinstance(email, str) and claims.get("email_verified") in (True, "true")
    display = claims.get("name")
    return Identity(
        subject=f"{issuer} {claims['sub']}",
        email=email.strip().lower() if checked and isinstance(email, str) else None,
        display=display[:200] if isinstance(display, str) and display.isprintable() else "",
        claims=claims,
    )


def _json(client: Any, url: str) -> Any:
    answer = client.request("GET", url, withhold_token=True)
    answer.raise_for_status()
    return answer.json()


def _sealed(cookie: str, then: str) -> str:
    text = urlsafe_b64encode(then.encode()).decode().rstrip("=")
    return f"{derived(cookie, f'oidc state {text}')}.{text}"


def _opened(cookie: str, state: str) -> str:
    """Where the visitor wanted to go. Raises SingleSignOnError for a state that this browser did not begin with."""
    seal, _, text = state.partition(".")
    if not cookie or not hmac.compare_digest(seal.encode(), derived(cookie, f"oidc state {text}").encode()):
        raise SingleSignOnError("single sign-on came back to another browser than it began in, or much later")
    try:
        return local_path(urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except ValueError:
        return HOME


def _failed(what: str, error: Exception) -> SingleSignOnError:
    LOG.warning("single sign-on failed", what=what, error=f"{type(error).__name__}: {error}"[:500])
    return SingleSignOnError(f"the provider of single sign-on {what}: {type(error).__name__}")
