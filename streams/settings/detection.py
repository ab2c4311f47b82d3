"""What detection does not take from policies: the domain of bare names, lateness, the geo databases."""

from pydantic import field_validator

from streams.core.accounts import canonical_domain
from streams.settings.declare import Group, setting


class DetectionSettings(Group):
    """What detection does not take from policies: the domain of bare names, lateness, the geo databases."""

    default_domain: str = setting("", "Domain for login names without one; empty = such names are refused.")
    lateness: int = setting(
        10, "Logins this far behind the account's newest are still judged.", unit="minutes", ge=0, le=1440
    )
    geo_databases: tuple[str, ...] = setting(
        (), "MMDB files with country, city and coordinates; several = asked in order. None = no country rule."
    )
    geo_owner_databases: tuple[str, ...] = setting((), "MMDB files with the owner (ASN) of a network.")

    @field_validator("default_domain")
    @classmethod
    def _a_domain(cls, text: str) -> str:
        return canonical_domain(text) if text.strip() else ""
