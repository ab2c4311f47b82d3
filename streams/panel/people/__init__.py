"""The people of the panel: signing in, their profile, who manages them, and what they did. The tuple is what the app serves."""

from streams.panel.people import (
    api_tokens,
    audit,
    links,
    management,
    profile,
    second_factor,
    sign_in,
    single_sign_on,
)
from streams.panel.web import Pages

PEOPLE_PAGES: tuple[Pages, ...] = (
    sign_in.pages,
    single_sign_on.pages,
    links.pages,
    profile.pages,
    second_factor.pages,
    api_tokens.pages,
    management.pages,
    audit.pages,
)
