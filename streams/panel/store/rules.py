"""
Policies, safe networks and domains as they stand on the topics: what pages need of the three modules.

Decision: what applies to an account is resolved by the worker's own code (`core.book.RuleBook`), filled from these
tables; there is no second resolution.
"""

from streams.panel.store.hierarchy import DomainRow, GroupNode, Tree, domain, domains, groups, listed_domains, tree
from streams.panel.store.policies import Book, PolicyRow, above, inherited, listed_policies, policy
from streams.panel.store.safe_networks import (
    Coverage,
    Covered,
    SafeRow,
    SafeWanted,
    coverage,
    safe_network,
    safe_networks,
    some_safe_networks,
)

__all__ = [
    "Book",
    "Coverage",
    "Covered",
    "DomainRow",
    "GroupNode",
    "PolicyRow",
    "SafeRow",
    "SafeWanted",
    "Tree",
    "above",
    "coverage",
    "domain",
    "domains",
    "groups",
    "inherited",
    "listed_domains",
    "listed_policies",
    "policy",
    "safe_network",
    "safe_networks",
    "some_safe_networks",
    "tree",
]
