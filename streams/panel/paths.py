"""Where a visitor may be sent: only to pages of this panel."""

from urllib.parse import quote

HOME = "/"
LONGEST = 8_000
"""The longest name of an account is 320 characters, each up to 12 in an address, and 20 where that is part of another."""


def local_path(text: str) -> str:
    """
    A path of this panel with its query; the home page for anything else.

    >>> local_path("/incidents?open=1"), local_path("//evil.example/"), local_path("https://evil.example/")
    ('/incidents?open=1', '/', '/')
    """
    strange = any(character <= " " or character in "\\\x7f" for character in text)
    if not text.startswith("/") or text.startswith("//") or strange or len(text) > LONGEST:
        return HOME
    return text


def segment(text: str) -> str:
    """
    Any text as one part of a path.

    >>> segment("a/b@example.org")
    'a%2Fb@example.org'
    """
    return quote(text, safe="@:")
