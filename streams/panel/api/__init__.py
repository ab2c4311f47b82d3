"""
What the pages can do, for programs: JSON under `/api/v1`, described by OpenAPI.

Decision: a call is judged as a page's visit is: the same rights, the same scopes, the same queries and the same
`Decisions`. Only who calls is found otherwise: by a token, never by a cookie, so that no other site can call in somebody's
name.
"""

from streams.panel.api.accounts import calls as accounts
from streams.panel.api.calls import Calls
from streams.panel.api.files import calls as files
from streams.panel.api.incidents import calls as incidents
from streams.panel.api.people import calls as people
from streams.panel.api.rules import calls as rules

PREFIX = "/api/v1"
OPENAPI = f"{PREFIX}/openapi.json"
API: tuple[Calls, ...] = (incidents, accounts, rules, files, people)

__all__ = ["API", "OPENAPI", "PREFIX"]
