"""Which incidents stand on top."""

from streams.panel.store.likelihood import likelihood

HOUR_MS = 3_600_000


def network(country: str | None, *, days: int = 1, first: int = 0, last: int = 0, logins: int = 5) -> dict[str, object]:
    return {"country": country, "days": days, "first": first, "last": last, "logins": logins}


def incident(*networks: dict[str, object], limit: int = 2, messages: int = 0) -> dict[str, object]:
    return {"networks": list(networks), "count": len(networks), "limit": limit, "messages_24h": messages}


HOME = network("DE", days=40, last=100 * HOUR_MS)


def test_a_takeover_stands_above_a_traveller_and_a_phone() -> None:
    """Many countries at once and much mail; one country after another; many networks of one country."""
    abroad = [network(country, first=99 * HOUR_MS, last=100 * HOUR_MS) for country in ("BR", "VN", "NG", "US")]
    takeover = likelihood(incident(HOME, *abroad, messages=2000))
    hotel = network("AT", first=130 * HOUR_MS, last=160 * HOUR_MS)
    traveller = likelihood(incident(HOME, hotel, network("AT", first=140 * HOUR_MS, last=150 * HOUR_MS), messages=3))
    phone = likelihood(incident(HOME, *(network("DE") for _ in range(4)), messages=3))

    assert takeover > 80
    assert traveller < 30
    assert phone < 30


def test_it_is_a_number_from_0_to_100_whatever_is_known() -> None:
    """Without a geo database, without networks, and with everything at once."""
    everything = [network(f"{a}{b}") for a in "ABC" for b in "ABCDEFGH"]

    assert likelihood(incident()) == 0
    assert 0 <= likelihood(incident(network(None), network(None))) <= 10
    assert likelihood({**incident(HOME, *everything, messages=10**6), "foreign_messages_24h": 3}) == 100


def test_foreign_senders_weigh() -> None:
    """Mail under other people's addresses is a sign; a record of an older version says nothing of it."""
    plain = incident(HOME, network("AT"))

    assert likelihood({**plain, "foreign_messages_24h": 1}) > likelihood(plain)


def test_many_strange_senders_weigh_more_than_an_alias() -> None:
    """Addresses of the own domain are often the owner's; every further strange one adds, up to a bound."""

    def told(*relations: str) -> int:
        senders = [{"relation": relation, "sender": f"{n}", "messages": 1} for n, relation in enumerate(relations)]
        return likelihood({**incident(HOME, limit=1), "foreign_messages_24h": len(senders), "foreign_senders": senders})

    nothing, alias, one, two = told(), told("domain", "domain"), told("foreign"), told("domain", "foreign", "malformed")

    assert nothing < alias < one < two
    assert told(*["foreign"] * 16) == nothing + 20
