"""
The second factor: codes of RFC 6238 from an app, each taken once, and recovery codes for when the app is lost.
"""

import hmac
import secrets

import pyotp
import segno

STEP_S = 30
DRIFT = 1
"""Steps that a clock may be off, as RFC 6238 5.2 recommends."""
DIGITS = 6
RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters and digits that look like others."""
BASE32 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
ISSUER = "loginwatch"


def new_secret() -> str:
    """A secret of 160 bits in base32, as authenticator apps take it."""
    return str(pyotp.random_base32())


def address_for_app(secret: str, name: str) -> str:
    """The otpauth: address that an app reads from the picture."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER))


def picture(address: str) -> str:
    """A QR code as a data: address of an SVG."""
    return str(segno.make(address, error="m").svg_data_uri(border=2, omitsize=True, dark="#000", light="#fff"))


def matching_step(secret: str, code: str, now_ms: int) -> int | None:
    """The time step that a code belongs to; None when it is not a code of now. Takes the same time either way."""
    typed = code.replace(" ", "")
    if len(typed) != DIGITS or not typed.isascii() or not typed.isdigit():
        return None
    generator = pyotp.TOTP(secret)
    now = now_ms // 1000 // STEP_S
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):
        if hmac.compare_digest(generator.generate_otp(step), typed):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Codes of 74 bits each, in three groups of five."""
    return [
        "-".join("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(3)) for _ in range(RECOVERY_CODES)
    ]


def tidy_recovery_code(typed: str) -> str:
    """
    A recovery code as it was given out, however it is typed.

    >>> tidy_recovery_code(" ABCDE fghjk-mnpqr")
    'abcde-fghjk-mnpqr'
    """
    plain = "".join(character for character in typed.lower()[:100] if character in ALPHABET)
    return f"{plain[:5]}-{plain[5:10]}-{plain[10:]}"
