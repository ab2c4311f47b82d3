"""What incidents and accounts show alike: networks, messages, foreign senders."""

from typing import Any

from streams.cli.output import iso
from streams.cli.session import Session

NETWORK_COLUMNS = (
    "Network",
    "Last address",
    "Place",
    "Owner",
    "First login",
    "Last login",
    "Service",
    "Logins",
    "Days",
)
RELATIONS = {
    "domain": "another address of the domain",
    "foreign": "an address of another domain",
    "malformed": "no address",
}
"""What the relation of a foreign sender means."""


def network_row(network: dict[str, Any]) -> tuple[Any, ...]:
    """The cells of `NETWORK_COLUMNS`."""
    return (
        network["network"],
        network["address"],
        place(network),
        network["owner"],
        iso(network["first"]),
        iso(network["last"]),
        network["service"],
        network["logins"],
        network["days"],
    )


def messages(record: dict[str, Any]) -> str:
    """The messages of 24 hours in an incident or a view, and how many of them were sent as somebody else."""
    foreign = record["foreign_messages_24h"]
    return (
        f"{record['messages_24h']}, {foreign} of them with foreign senders" if foreign else str(record["messages_24h"])
    )


def show_senders(run: Session, record: dict[str, Any]) -> None:
    """The foreign senders of an incident or a view, if there are any."""
    rows = [
        (
            sender["sender"],
            RELATIONS[sender["relation"]],
            sender["messages"],
            iso(sender["first"]),
            iso(sender["last"]),
        )
        for sender in record["foreign_senders"]
    ]
    more = record["foreign_messages_24h"] - sum(sender["messages"] for sender in record["foreign_senders"])
    if more > 0:
        rows.append(("others", "", more, "", ""))
    if rows:
        run.out.table(("Foreign sender", "What it is", "Messages", "First message", "Last message"), rows, [], "")


def place(network: dict[str, Any]) -> str:
    """Country and city of a network, as far as they are known."""
    return " ".join(part for part in (network.get("country"), network.get("city")) if part) or "unknown"
