"""The demo as a story on the terminal: who, where, what, and at the end the figures."""

import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from streams.demo.mailbox import Mail
from streams.demo.tally import Raid, Tally, middle_and_tail
from streams.simulator.door import Outcome
from streams.simulator.thieves import Takeover

KINDS = {
    "abroad": "from one network abroad",
    "botnet": "with a botnet: another home's address every time",
    "home": "from rented access lines in the owner's own country",
    "slow": "slowly: few logins, each from another hoster",
}
LIMITS = {"ips": "allowed_ips", "countries": "allowed_countries"}
NETWORKS_SHOWN = 6


class Story:
    """Prints what happens, with the seconds since people began to log in."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()

    def begin(self) -> None:
        """From now on the seconds count."""
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._start

    def note(self, text: str) -> None:
        """A remark outside the story."""
        self._console.print(Text(text, style="dim"), soft_wrap=True)

    def running(self, rows: list[tuple[str, str]]) -> None:
        """What is running and where."""
        self._rows(rows, 10)

    def panel(self, link: str) -> None:
        """Where to watch it in a browser."""
        self._console.print()
        self._console.print(
            Text("Open the panel; this link signs you in once, within 15 minutes:", style="bold"), soft_wrap=True
        )
        self._console.print(Text(f"  {link}", style="cyan"), soft_wrap=True)

    def setting(self, people: int, thieves: int, policies: list[str]) -> None:
        """Who there is, and what the administrator demands."""
        self._console.print()
        self.note(f"{people} people with their phones and computers; {thieves} of them will be taken over.")
        for policy in policies:
            self.note(f"  {policy}")
        self._console.print()

    def thief(self, takeover: Takeover, address: str) -> None:
        """Somebody came in with a stolen password."""
        self._line(
            "THIEF", "bold red", f"{takeover.account}: somebody has the password and logs in {KINDS[takeover.kind]}"
        )
        self._more(f"first login from {address}")

    def incident(self, record: dict[str, Any], raid: Raid | None) -> None:
        """Loginwatch found an account used from too many places: with its evidence."""
        self._line("INCIDENT", "bold yellow", f"{record['account']}: {record['summary']}")
        networks = sorted(record["networks"], key=lambda network: network["first"])
        for network in networks[:NETWORKS_SHOWN]:
            place = " ".join(filter(None, (network["country"] or "??", network["city"], _owner(network))))
            self._more(f"{network['network']:<24} {place:<38} {network['service']:<5} {_clock(network['last'])}")
        if len(networks) > NETWORKS_SHOWN:
            self._more(f"and {len(networks) - NETWORKS_SHOWN} more networks")
        limit = LIMITS[record["rule"]]
        self._more(f"allowed by the policy of {record['policy']['origins'][limit]}: {record['limit']}")
        if raid is None or not raid.begun:
            self._more("nobody took this account over: a false alarm")

    def block(self, record: dict[str, Any]) -> None:
        """The order to deny an account."""
        self._line("BLOCK", "bold magenta", f"{record['account']}: logins are denied until {_clock(record['until'])}")

    def closed(self, raid: Raid) -> None:
        """The door refuses the account."""
        late = raid.closing_ms
        after = "" if late is None else f" {late} ms after the login that was one too many"
        self._line("DOOR", "bold magenta", f"{raid.takeover.account}: closed{after}")

    def mail(self, mail: Mail) -> None:
        """A notification arrived."""
        self._line("MAIL", "bold cyan", f"to {', '.join(mail.recipients)}: {mail.subject}")
        self._more(str(mail.path))

    def refused(self, takeover: Takeover, address: str) -> None:
        """A thief came again and was turned away."""
        self._line(
            "REFUSED", "bold green", f"{takeover.account}: the thief came again from {address}, and Dovecot says no"
        )

    def counts(self, tally: Tally) -> str:
        """One line of counts."""
        return (
            f"{self.seconds:4.0f} s  logins {tally.outcomes[Outcome.IN]}  wrong password {tally.outcomes[Outcome.WRONG_PASSWORD]}"
            f"  refused {tally.outcomes[Outcome.REFUSED]}  incidents {len(tally.incidents)}  mails {tally.mails}"
            f"  thieves {len(tally.begun)}, out {sum(raid.over for raid in tally.begun)}"
        )

    def summary(self, tally: Tally, unanswered: int) -> None:
        """The figures. `unanswered`: requests to which the door gave no proper answer."""
        rows = _figures(tally)
        if unanswered:
            rows.append(("requests without an answer", str(unanswered)))
        self._console.print()
        self._console.print(Text("Summary", style="bold underline"))
        self._rows(rows, 42)
        for raid in tally.begun:
            if not raid.over:
                state = "was not caught" if raid.incident is None else "was caught, but never refused"
                sentence = f"The thief in {raid.takeover.account} ({raid.takeover.kind}) {state}."
                self._console.print(Text(sentence, style="red"), soft_wrap=True)

    def _rows(self, rows: list[tuple[str, str]], width: int) -> None:
        for name, text in rows:
            self._console.print(Text(f"{name:<{width}}", style="bold").append(text, style="not bold"), soft_wrap=True)

    def _line(self, word: str, style: str, text: str) -> None:
        line = Text(f"{self.seconds:6.1f} s  ", style="dim")
        line.append(f"{word:<9}", style=style)
        line.append(text, style="default")
        self._console.print(line, soft_wrap=True)

    def _more(self, text: str) -> None:
        self._console.print(Text(" " * 19 + text, style="dim"), soft_wrap=True)


def _figures(tally: Tally) -> list[tuple[str, str]]:
    begun = tally.begun
    caught = sum(raid.incident is not None for raid in begun)
    times = tally.closing_times()
    found = middle_and_tail(times)
    closing = (
        "not measured"
        if found is None
        else f"median {found[0]:.0f} ms, 99th percentile {found[1]} ms ({len(times)} blocks)"
    )
    honest = tally.honest_blocked
    return [
        ("logins", f"{tally.outcomes.total()} ({tally.outcomes[Outcome.REFUSED]} refused at the door)"),
        ("incidents", str(len(tally.incidents))),
        ("from login to closed door", closing),
        ("thieves caught", f"{caught} of {len(begun)}"),
        ("thieves refused", f"{sum(raid.refused > 0 for raid in begun)} of {len(begun)}"),
        ("thieves' logins before that", str(sum(raid.came_in for raid in begun))),
        ("mails", str(tally.mails)),
        ("honest people blocked", f"{len(honest)}" + (f" ({', '.join(honest[:3])})" if honest else "")),
        ("owners' logins refused with their thief", str(tally.owners_refused)),
    ]


def _owner(network: dict[str, Any]) -> str:
    return f"({network['owner']})" if network["owner"] else ""


def _clock(time_ms: int) -> str:
    """Time of day, UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%H:%M:%S")
