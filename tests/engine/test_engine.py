"""The engine as the worker drives it: whose record it is, what was applied already, what is counted."""

import orjson
import pytest

from streams.core.accounts import is_passed_on
from streams.core.state import applied_offsets, unpack
from streams.engine.batch import Forward
from streams.engine.engine import Engine
from tests.engine.feeding import (
    AMERICAN,
    CODEC,
    ELSEWHERE,
    FRENCH,
    GERMAN,
    HEADERS,
    HOME,
    INPUTS,
    LOGIN,
    NOW,
    POLICY,
    USER,
    Records,
)
from tests.model.places import FixedPlaces


@pytest.mark.parametrize("topic", INPUTS)
@pytest.mark.parametrize(
    ("key", "partition"),
    [(b"User@Example.org", HOME), (b"other@example.org", HOME), (None, HOME), (b"", HOME), (USER.encode(), ELSEWHERE)],
)
def test_a_record_in_the_wrong_place_is_passed_on_once_under_its_account(records, topic, key, partition):
    """Its bytes as they came, with the header that says so; nothing is kept of it here."""
    raw = orjson.dumps(INPUTS[topic])

    records.read(topic, key=key, partition=partition, raw=raw)
    batch = records.engine.take()

    assert batch.forwards == [Forward(topic, USER, raw, HEADERS)]
    assert batch.outputs == []
    assert batch.touched == {}
    assert not any(records.engine.accounts.values())


@pytest.mark.parametrize("topic", INPUTS)
def test_a_record_passed_on_that_is_wrong_again_is_refused(records, topic):
    """Else two producers that disagree about partitions would send it in circles for ever."""
    records.read(topic, partition=ELSEWHERE, headers=HEADERS)
    batch = records.engine.take()

    assert batch.forwards == []
    assert batch.counts == {("dead_letters", "bad-partition"): 1}
    letter = CODEC.decode("DeadLetter", batch.outputs[0].value)
    assert (letter["topic"], letter["partition"], letter["offset"]) == (topic, ELSEWHERE, 0)
    assert "murmur2" in letter["detail"]


def test_a_record_passed_on_that_is_right_is_taken(records):
    """The header alone refuses nothing."""
    records.policy()

    records.read(headers=HEADERS, account=" USER@example.org ")
    batch = records.engine.take()

    assert batch.counts == {("logins", "counted"): 1}
    assert list(batch.states()) == [USER]


def test_a_known_account_under_a_wrong_key_is_passed_on_too(records):
    """Also where its login would take the hot path: what is known of the account does not excuse the key."""
    records.policy()
    records.read()
    records.read()
    records.engine.take()

    records.read(key=b"other@example.org", partition=HOME)

    assert [forward.key for forward in records.engine.take().forwards] == [USER]


@pytest.mark.parametrize("topic", INPUTS)
@pytest.mark.parametrize("success", [True, False])
@pytest.mark.parametrize("key", [None, b"User@Example.org", USER.encode()])
@pytest.mark.parametrize("partition", [HOME, ELSEWHERE])
def test_what_the_engine_passes_on_is_what_the_rule_says(records, topic, success, key, partition):
    """`loginwatch import` leaves out by that rule what workers had passed on."""
    failed = topic == "logins" and not success

    records.read(topic, key=key, partition=partition, raw=orjson.dumps({**INPUTS[topic], "success": success}))

    expected = is_passed_on(USER, key, in_place=partition == HOME, failed=failed)
    assert bool(records.engine.take().forwards) == expected


def test_without_a_route_a_wrong_key_is_no_matter():
    """A replay judges at once."""
    engine = Engine(codec=CODEC, places=FixedPlaces(), lateness_ms=0)

    engine.process("logins", 0, 0, NOW, b"nobody", orjson.dumps(LOGIN))
    batch = engine.take()

    assert batch.forwards == []
    assert list(batch.states()) == [USER]


REPLAYED = {
    "logins": ("logins", "replayed"),
    "submissions": ("messages_repeated",),
    "account-commands": ("commands", "replayed"),
}


@pytest.mark.parametrize("topic", INPUTS)
def test_a_replayed_record_is_skipped_and_its_account_written_once_more(records, topic):
    """The changelog may not have got it before the crash; the state itself stays as it is."""
    records.policy()
    records.read(topic, offset=7)
    before = records.engine.take().states()[USER]

    for offset in (7, 3):
        records.read(topic, offset=offset)
        batch = records.engine.take()

        assert batch.states() == {USER: before}
        assert batch.outputs == []
        assert batch.counts == {REPLAYED[topic]: 1}


def test_a_login_of_the_hot_path_is_not_applied_twice(records):
    """Nor does it count as the usual one that it was at first."""
    records.policy()
    for offset in range(3):
        records.read(offset=offset, time=NOW + offset, now=NOW + offset)
    before = records.engine.take().states()[USER]

    records.read(offset=2, time=NOW + 2, now=NOW + 2)
    batch = records.engine.take()

    assert batch.states() == {USER: before}
    assert batch.counts == {("logins", "replayed"): 1}


def test_each_input_topic_has_its_own_offset(records):
    """The next record of another topic is not mistaken for a replayed one."""
    for offset, topic in ((9, "logins"), (5, "submissions"), (2, "account-commands")):
        records.read(topic, offset=offset)
    batch = records.engine.take()

    assert applied_offsets(batch.states()[USER]) == {"logins": 9, "submissions": 5, "account-commands": 2}
    assert batch.counts[("messages",)] == 1
    assert batch.counts[("commands", "block")] == 1


def test_replayed_outputs_are_the_same_bytes(records):
    """A worker that died before its changelog was written writes the same again."""
    again = Records()
    for run in (records, again):
        run.policy()
        run.read(ip=GERMAN)
        run.read(ip=FRENCH)

    first, second = records.engine.take(), again.engine.take()

    assert [output.topic for output in first.outputs] == ["incidents", "blocks"]
    assert (first.outputs, first.states()) == (second.outputs, second.states())


def test_logins_are_counted_by_what_became_of_them(records):
    """The words of the metric, whichever way the login took."""
    records.policy(ignored_countries=["US"], allowed_ips=5, block_time=0)
    records.engine.apply_table(
        "safe-networks",
        b"everyone 198.51.100.0/24",
        orjson.dumps(
            {"scope": "everyone", "network": "198.51.100.0/24", "description": "office", "actor": "test", "time": NOW}
        ),
    )
    records.read()
    records.read()
    records.read(success=False)
    records.read(ip=FRENCH)
    records.read(ip=AMERICAN)
    records.read(time=NOW - 600_001)
    records.read(offset=0)
    records.read(offset=50, time=NOW + 300_001)
    records.read(key=b"other")

    outcomes = {"counted": 3, "failed": 1, "safe": 1, "ignored": 1, "late": 1, "replayed": 1}
    assert records.engine.take().counts == {
        **{("logins", outcome): number for outcome, number in outcomes.items()},
        ("skew",): 1,
        ("forwarded", "logins"): 1,
    }


def test_what_was_decided_is_counted(records):
    """An incident by its rule and the level of its limit, blocks by kind, commands by action, and when it happened."""
    records.engine.apply_table("domains", b"example.org", orjson.dumps({"domain": "example.org", "group": "a/b"}))
    records.engine.apply_table("policies", b"group:a", orjson.dumps({**POLICY, "scope": "group:a"}))
    records.read(ip=GERMAN)
    records.read(ip=FRENCH, time=NOW + 1, now=NOW + 2)
    records.read(ip=FRENCH, time=NOW + 3, now=NOW + 3)
    records.read(ip=AMERICAN, time=NOW + 4, now=NOW + 4)
    records.read("account-commands", id="c-2", action="unblock", now=NOW + 5)
    records.read("account-commands", id="c-3", now=NOW + 6)
    batch = records.engine.take()

    assert batch.counts == {
        ("logins", "counted"): 2,
        ("logins", "blocked"): 2,
        ("incidents", "ips", "group"): 1,
        ("revisions",): 1,
        ("blocks", "automatic"): 1,
        ("blocks", "lifted"): 1,
        ("blocks", "manual"): 1,
        ("commands", "unblock"): 1,
        ("commands", "block"): 1,
    }
    assert [(decision.now_ms, decision.blocked) for decision in batch.decisions] == [(NOW + 2, True)]


def test_an_account_with_too_many_networks_says_how_many_were_let_go(records):
    """The bound is felt in a metric, not in memory."""
    records.policy(allowed_ips=0)
    for number in range(70):
        records.read(ip=f"198.18.0.{number}", time=NOW + number, now=NOW + number)
    batch = records.engine.take()

    assert batch.counts[("let_go",)] == 6
    assert len(unpack(batch.states()[USER]).networks) == 64


def test_what_was_taken_is_taken_once(records):
    """The next batch starts empty."""
    records.policy()
    records.read()
    records.read(raw=b"no record")
    records.read(key=b"other")
    assert records.engine.has_outputs
    records.engine.take()

    batch = records.engine.take()

    assert not records.engine.has_outputs
    assert (batch.outputs, batch.forwards, batch.touched, batch.counts, batch.decisions) == ([], [], {}, {}, [])


def test_a_large_key_is_cut_in_its_dead_letter(records):
    """Sent whole beside the letter it would be more than Kafka takes, and the worker would end at it for ever."""
    records.read(key=b"k" * 900_000, raw=b"r" * 900_000)

    (letter,) = records.engine.take().outputs

    assert len(letter.key) == 1_000
    assert len(letter.value) < 70_000


def test_only_accepted_messages_are_counted(records):
    """One that the mail server refused was not sent."""
    records.read("submissions", accepted=False)
    assert records.engine.take().touched == {}

    records.read("submissions")
    records.read("account-commands", action="describe", id="d-1")

    [(topic, view)] = records.written()
    assert (topic, view["messages_24h"], view["request"]) == ("account-views", 1, "d-1")


def test_the_same_message_told_twice_counts_once(records):
    """A log reader that was killed repeats lines: the records come again at other offsets."""
    for _ in range(2):
        records.read("submissions", id="8c1f0d9e", queue_id="4E88A2300001")
    records.read("submissions", id="8c1f0d9f", queue_id="4E88A2300002")
    batch = records.engine.take()
    records.read("account-commands", action="describe", id="d-1")

    assert batch.counts == {("messages",): 2, ("messages_repeated",): 1}
    assert applied_offsets(batch.states()[USER])["submissions"] == 2
    [(_, view)] = records.written()
    assert view["messages_24h"] == 2


def test_a_message_read_again_after_a_crash_is_skipped_and_written_once_more(records):
    """Its offset says that it was applied; the changelog may not have it."""
    records.read("submissions", offset=5)
    first = records.engine.take()
    records.read("submissions", offset=5)
    again = records.engine.take()

    assert again.states() == first.states()
    assert again.counts == {("messages_repeated",): 1}


def test_foreign_senders_are_shown_in_the_incident_its_notification_and_the_view(records):
    """Evidence for who asks what was done with the account; its own address is none."""
    records.policy(notify=["soc@example.org"])
    for minute, sender in enumerate(("Boss@Example.com", USER, "alias@example.org", "boss@example.com")):
        records.read("submissions", sender=sender, time=NOW - 60_000 * minute)
    records.read(ip=GERMAN)
    records.read(ip=FRENCH)
    records.read("account-commands", action="describe", id="d-1")
    written = dict(records.written())

    expected = [
        {"sender": "boss@example.com", "relation": "foreign", "messages": 2, "first": NOW - 180_000, "last": NOW},
        {
            "sender": "alias@example.org",
            "relation": "domain",
            "messages": 1,
            "first": NOW - 120_000,
            "last": NOW - 120_000,
        },
    ]
    for shown in (written["incidents"], written["notifications"]["details"], written["account-views"]):
        assert (shown["messages_24h"], shown["foreign_messages_24h"]) == (4, 3)
        assert shown["foreign_senders"] == expected


def test_a_message_leaves_the_rest_of_an_account_as_it_was(records):
    """Networks, an open incident and its block: messages are counted beside them."""
    records.policy()
    records.read(ip=GERMAN)
    records.read(ip=FRENCH)
    before = unpack(records.engine.take().states()[USER])

    records.read("submissions")

    after = unpack(records.engine.take().states()[USER])
    assert after.messages.in_24h(NOW) == 1
    after.messages = before.messages
    assert after == before


def test_a_question_is_answered_each_time_it_is_asked(records):
    """It changes nothing, so it is no command that could have been applied already."""
    for _ in range(2):
        records.read("account-commands", action="describe", id="d-1")
    batch = records.engine.take()

    assert [output.topic for output in batch.outputs] == ["account-views", "account-views"]
    assert batch.touched == {}


def test_another_geo_database_is_asked_anew(records):
    """What was remembered of an address with the old one is forgotten."""
    records.policy(allowed_ips=0, allowed_countries=1, block_time=0)
    records.read(ip=GERMAN)
    records.read(ip="192.0.2.2")
    assert records.written() == []

    records.engine.use_places(Everywhere("FR"))
    records.read(ip="192.0.2.2", time=NOW + 1, now=NOW + 1)

    [(topic, incident)] = records.written()
    assert (topic, incident["rule"]) == ("incidents", "countries")


class Everywhere(FixedPlaces):
    """A geo database that knows one country only."""

    def __init__(self, country: str) -> None:
        self._country = country

    def country_of(self, number: int) -> str | None:
        """Always the same."""
        return self._country


@pytest.mark.parametrize("now", [-1, 2**63 - 1])
def test_a_record_without_a_usable_timestamp_becomes_a_dead_letter(records, now):
    """On a topic without LogAppendTime a producer may write anything: it must not stop the worker."""
    records.read(now=now)

    letter = records.letter()
    assert letter["reason"] == "bad-timestamp"
    assert "LogAppendTime" in letter["detail"]


def test_a_command_with_an_empty_id_is_refused(records):
    """It would be taken for a repetition of no command at all, and vanish."""
    records.read("account-commands", id="")

    assert records.letter()["reason"] == "bad-id"


def test_a_reset_that_forgets_leaves_nothing_of_the_account(records):
    """Its state and its blocks end in tombstones; what comes afterwards is a new account's, and repeating it is harmless."""
    records.policy(allowed_ips=5)
    records.read()
    records.read("submissions")
    records.read("account-commands")
    records.engine.take()

    for _ in range(2):
        records.read("account-commands", id="c-2", action="reset", forget=True, offset=9)
        batch = records.engine.take()

        assert batch.states() == {USER: None}
        assert (batch.outputs[-1].topic, batch.outputs[-1].key, batch.outputs[-1].value) == ("blocks", USER, None)
        assert records.engine.accounts[HOME] == {}

    records.read("account-commands", id="c-3", action="describe", offset=10)
    [(_, view)] = records.written()
    assert (view["networks"], view["messages_24h"], view["cutoff"]) == ([], 0, None)


def test_only_a_reset_forgets(records):
    """Another order with that mark does what it says."""
    records.read("account-commands", action="block", forget=True)

    assert records.engine.take().states()[USER] is not None
