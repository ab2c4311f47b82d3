"""The pages about accounts and rules. Each module has its `pages`; the tuple here is what the app serves."""

from streams.panel.pages import (
    account,
    blocks,
    domains,
    home,
    incident,
    incidents,
    mark_safe,
    orders,
    policies,
    safe_networks,
)
from streams.panel.web import Pages

PAGES: tuple[Pages, ...] = (
    home.pages,
    incidents.pages,
    incident.pages,
    # before the account's own page, whose path takes everything behind `/accounts/`
    orders.pages,
    mark_safe.pages,
    account.pages,
    policies.pages,
    blocks.pages,
    safe_networks.pages,
    domains.pages,
)
