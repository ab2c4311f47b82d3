"""Random tokens of browsers, links and programs, what is stored of them, and what is derived from them."""

import hashlib
import hmac
import secrets

TOKEN_BYTES = 32


def new_token() -> str:
    """A token that nobody guesses: 256 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> str:
    """What is stored of a token. It has 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()


def derived(token: str, purpose: str) -> str:
    """A value that belongs to a token and a purpose, and tells nobody the token."""
    return hmac.new(token.encode(), purpose.encode(), hashlib.sha256).hexdigest()
