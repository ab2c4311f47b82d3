"""Lists as CSV, as the pages' downloads have them, and domains taken from one."""

from typing import Annotated

from fastapi import Body
from pydantic import BaseModel
from starlette.responses import Response

from streams.panel.api.calls import LARGEST_FILE, Caller, Calls
from streams.panel.api.filters import BlocksWanted, IncidentsWanted, SafeNetworksWanted
from streams.panel.pages.domain_lines import changed, read_lines
from streams.panel.pages.exports import blocks_csv, domains_csv, incidents_csv, safe_networks_csv
from streams.panel.problems import Unusable
from streams.panel.rights import Right

calls = Calls("files")
CSV = "text/csv"
MOST_SHOWN = 10


class CsvAnswer(Response):
    """A download; for the description alone."""

    media_type = CSV


class ImportAnswer(BaseModel):
    """How many domains have another group now, and how many had it already."""

    moved: int
    unchanged: int


@calls.get("/incidents.csv", right=Right.EXPORT, response_class=CsvAnswer)
def incidents(call: Caller, wanted: IncidentsWanted) -> Response:
    """The incidents in the token's scopes, with the filters of the list."""
    return incidents_csv(call, wanted)


@calls.get("/blocks.csv", right=Right.EXPORT, response_class=CsvAnswer)
def blocks(call: Caller, wanted: BlocksWanted) -> Response:
    """The blocks in the token's scopes, with the filters of the list."""
    return blocks_csv(call, wanted)


@calls.get("/safe-networks.csv", right=Right.EXPORT, response_class=CsvAnswer)
def safe_networks(call: Caller, wanted: SafeNetworksWanted) -> Response:
    """The safe networks in the token's scopes, with the filters of the list."""
    return safe_networks_csv(call, wanted)


@calls.get("/domains.csv", right=Right.EXPORT, response_class=CsvAnswer)
def domains(call: Caller) -> Response:
    """Domains and their groups, in the form that the import takes."""
    return domains_csv(call)


@calls.take("/domains/import", right=Right.CHANGE_DOMAINS, status_code=200)
def take_domains(
    call: Caller,
    text: Annotated[str, Body(media_type=CSV, max_length=LARGEST_FILE, description="Lines of domain,group")],
) -> ImportAnswer:
    """Put many domains under groups: all of the file, or, when a line cannot be used, none."""
    pairs, wrong = read_lines(call.words, text)
    if wrong:
        raise Unusable("text", " ".join(wrong[:MOST_SHOWN]))
    if not pairs:
        raise Unusable("text", call.words.gettext("There is no line with a domain in it."))
    moved = changed(call.panel, pairs)
    call.decide.set_groups(moved)
    return ImportAnswer(moved=len(moved), unchanged=len(pairs) - len(moved))
