"""weakforced's clients at the gateway: exact codes and bodies, lists that hold on every gateway, and what happens without Kafka."""

import asyncio
import base64
import json
import threading
import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.connectors.blocks_view import BlocksView
from streams.connectors.weakforced_door import WeakforcedDoor
from streams.metrics import Metrics
from streams.settings import Settings
from tests.connectors.doors import CODEC, KEY, Door, block, gateway_settings, now_ms, open_door, wait_for, write_blocks

ALICE, ADDRESS = "alice@example.org", "192.0.2.10"
OK = (200, {"status": "ok"})
PASSED = {"status": 0, "msg": "ok"}
HOUR = {"expire_secs": 3600, "reason": "a test"}
DENIED = Settings().gateway_list_message
BASIC = {"Authorization": "Basic " + base64.b64encode(f"anyone:{KEY}".encode()).decode()}


@pytest.fixture
def broker():
    with EmbeddedBroker(Settings(partitions=2)) as broker:
        yield broker


@pytest.fixture
def door(broker):
    with open_door(gateway_settings(broker.settings)) as door:
        yield door


def call(door, command, fields=None, *, form="/command/{}"):
    """POST with a body, GET without; status and JSON."""
    body = None if fields is None else json.dumps(fields).encode()
    status, answer, _ = door.request("GET" if body is None else "POST", form.format(command), body, BASIC)
    return status, json.loads(answer)


def add(door, command, **fields):
    assert call(door, command, {**HOUR, **fields}) == OK


def failed(answer, *, status=500):
    """The sentence of a failure in weakforced's form."""
    assert answer[0] == status
    assert answer[1]["status"] == "failure"
    return answer[1]["reason"]


def topic(settings, name):
    """Every key and raw value of one partition of a topic, the last of each key."""
    consumer = Consumer({"bootstrap.servers": settings.bootstrap_servers, "group.id": "tests", "log_level": 0})
    try:
        found = {}
        for number in range(2 if name == "account-commands" else 1):
            place = TopicPartition(name, number, 0)
            left = consumer.get_watermark_offsets(place, timeout=20)[1]
            consumer.assign([place])
            while left:
                for message in consumer.consume(left, timeout=20):
                    found[message.key().decode()] = message.value()
                    left -= 1
        return found
    finally:
        consumer.close()


def safe_networks(settings):
    return {
        key: CODEC.decode("SafeNetwork", raw)
        for key, raw in topic(settings, "safe-networks").items()
        if raw is not None
    }


def write(settings, name, key, record, value):
    producer = Producer(settings)
    producer.send(name, CODEC.encode(record, value), key=key)
    producer.close(20)


def entry(listed="blacklist", account=None, network=None, *, expires):
    return {"list": listed, "network": network, "account": account, "reason": "old", "actor": "a test",
            "time": now_ms(), "expires": expires}  # fmt: skip


@pytest.mark.parametrize("form", ["/command/{}", "/?command={}"])
def test_every_command_answers_in_weakforceds_words(door, form):
    """The table of the API: method, body, exact status and body, in both forms of the URL."""
    for method, command, body, status, expected in (
        ("GET", "ping", None, 200, '{"status":"ok"}'),
        ("GET", "getBL", None, 200, '{"bl_entries":[]}'),
        ("GET", "getWL", None, 200, '{"wl_entries":[]}'),
        ("POST", "report", {"login": ALICE, "remote": ADDRESS, "pwhash": "1234", "success": True}, 200, '{"status":"ok"}'),
        ("POST", "allow", {"login": ALICE, "remote": ADDRESS, "pwhash": "1234"}, 200, '{"status":0,"msg":"ok"}'),
        ("POST", "addBLEntry", {**HOUR, "login": ALICE}, 200, '{"status":"ok"}'),
        ("POST", "delBLEntry", {"login": ALICE}, 200, '{"status":"ok"}'),
        ("POST", "delBLEntry", {"login": "nobody@example.org"}, 200, '{"status":"ok"}'),
        ("POST", "addWLEntry", {**HOUR, "ip": ADDRESS, "login": ALICE}, 200, '{"status":"ok"}'),
        ("POST", "delWLEntry", {"ip": ADDRESS, "login": ALICE}, 200, '{"status":"ok"}'),
        ("POST", "addBLEntry", {"login": ALICE, "reason": "x"}, 500, '{"status":"failure","reason":"Missing mandatory expire_secs field"}'),
        ("POST", "addBLEntry", {"login": ALICE, "expire_secs": 5}, 500, '{"status":"failure","reason":"Missing mandatory reason field"}'),
        ("POST", "reset", {"login": ALICE}, 200, '{"status":"ok"}'),
        ("POST", "reset", {"ip": ADDRESS}, 200, '{"status":"ok"}'),
        ("POST", "reset", {}, 400, '{"status":"failure","reason":"No ip, login or ja3 field supplied"}'),
        ("POST", "getDBStats", {}, 400, '{"status":"failure","reason":"No ip, login or ja3 field supplied"}'),
        ("POST", "getDBStats", {"ip": ADDRESS}, 200,
         '{"ip":"192.0.2.10","blacklisted":false,"bl_reason":"","bl_expire":"","whitelisted":false,"wl_reason":"","wl_expire":"","stats":{}}'),
    ):  # fmt: skip
        data = None if body is None else json.dumps(body).encode()

        got, answered, headers = door.request(method, form.format(command), data, BASIC)

        assert (got, answered.decode()) == (status, expected), (command, body)
        assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("command", "fields", "words"),
    [
        ("addBLEntry", {**HOUR, "ja3": "d41d8cd98f00b204"}, "JA3"),
        ("reset", {"ja3": "d41d8cd98f00b204"}, "JA3"),
        ("getDBStats", {"ja3": "d41d8cd98f00b204"}, "JA3"),
        ("addBLEntry", HOUR, "No ip"),
        ("addWLEntry", {**HOUR, "netmask": "192.0.2.0/24", "login": ALICE}, "netmask stands alone"),
        ("delWLEntry", {"netmask": "nonsense"}, "not a network"),
        ("addBLEntry", {**HOUR, "login": "alice"}, "no domain"),
        ("report", {"remote": ADDRESS}, "login"),
    ],
)
def test_what_cannot_be_done_is_a_failure_with_a_sentence(door, command, fields, words):
    """500 and the reason, which an operator understands."""
    assert words in failed(call(door, command, fields))


def test_what_loginwatch_does_not_have_is_said_so(door):
    """Custom functions and siblings: 501, in the forms of both kinds of failure; an unknown command is 404."""
    for command, fields in (("custom", {"attrs": {"a": "b"}}), ("customGet", None), ("syncDBs", {})):
        answer = call(door, command, fields)
        assert "does not do" in failed(answer, status=501)
        assert answer[1]["success"] is False
    assert "No such command" in failed(call(door, "myOwnFunction", {}), status=404)


def test_who_does_not_know_the_secret_changes_nothing(door):
    """401 in weakforced's form, for every command; the wrong method is 405."""
    for command, method in (("addBLEntry", "POST"), ("getBL", "GET"), ("ping", "GET"), ("reset", "POST")):
        status, body, headers = door.request(method, f"/command/{command}", b"{}", {"Authorization": "Basic eDp5"})
        assert (status, body) == (401, b'{"status":"failure","reason":"Unauthorized"}')
        assert headers["WWW-Authenticate"] == 'Basic realm="wforce"'
    assert door.request("GET", "/command/addBLEntry")[0] == 405
    assert door.request("POST", "/command/getBL", b"")[0] == 405


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"ip": ADDRESS}, "ip"),
        ({"netmask": "192.0.2.0/24"}, "ip"),
        ({"login": "ALICE@example.org"}, "login"),
        ({"ip": ADDRESS, "login": ALICE}, "iplogin"),
    ],
)
def test_a_black_list_entry_denies_until_it_is_deleted(door, fields, key):
    """At once on the gateway that took it, and only whom it names."""
    add(door, "addBLEntry", **fields)
    answer = door.ask("allow")
    assert (answer["status"], answer["msg"]) == (-1, DENIED)
    assert {name: answer["r_attrs"][name] for name in ("reason", "blacklisted", "key")} == {
        "reason": "a test", "blacklisted": "1", "key": key,
    }  # fmt: skip
    assert door.count("loginwatch_door_answers_total", answer="blacklisted") == 1
    assert door.ask("allow", login="bob@example.org", remote="198.51.100.9") == PASSED

    assert call(door, "delBLEntry", fields) == OK
    assert door.ask("allow") == PASSED


def test_a_listed_address_is_denied_whatever_name_it_tries(door):
    """A name that nobody can have passes unjudged, but not from there."""
    add(door, "addBLEntry", ip=ADDRESS)

    assert door.ask("allow", login="")["status"] == -1
    assert door.ask("allow", login="", remote="198.51.100.9") == PASSED
    assert door.count("loginwatch_door_answers_total", answer="open_bad-account") == 1


def test_the_white_list_wins_over_the_black_list_and_over_a_block(broker, door):
    """weakforced's order: white list, black list, policy."""
    write_blocks(broker.settings, block())
    wait_for(lambda: door.count("loginwatch_blocks_held") == 1, "the block")
    add(door, "addBLEntry", login=ALICE)
    assert "r_attrs" in door.ask("allow")

    add(door, "addWLEntry", ip=ADDRESS, login=ALICE)
    answer = door.ask("allow")
    assert (answer["status"], answer["r_attrs"]["key"], answer["r_attrs"]["whitelisted"]) == (0, "iplogin", "1")
    assert door.ask("allow", remote="198.51.100.9")["status"] == -1

    call(door, "delWLEntry", {"ip": ADDRESS, "login": ALICE})
    call(door, "delBLEntry", {"login": ALICE})
    assert door.ask("allow") == {"status": -1, "msg": Settings().gateway_deny_message}


def test_the_lists_show_what_holds(door):
    """All kinds in one flat array, with the moment of expiry counted from receipt."""
    before = time.time()
    add(door, "addBLEntry", login=ALICE, reason="first")
    add(door, "addBLEntry", netmask="192.0.2.77/24")
    add(door, "addBLEntry", ip="2001:db8::7", login=ALICE)
    add(door, "addBLEntry", login=ALICE, reason="again", expire_secs=60)
    add(door, "addWLEntry", ip="198.51.100.1")

    rows = call(door, "getBL")[1]["bl_entries"]
    assert [{k: v for k, v in row.items() if k != "expiration"} for row in rows] == [
        {"ip": "192.0.2.0/24", "reason": "a test"},
        {"login": ALICE, "reason": "again"},
        {"iplogin": f"2001:db8::7:{ALICE}", "reason": "a test"},
    ]
    expires = time.mktime(time.strptime(rows[1]["expiration"], "%Y-%b-%d %H:%M:%S")) - time.timezone
    assert before + 59 <= expires <= time.time() + 60
    assert [row["ip"] for row in call(door, "getWL")[1]["wl_entries"]] == ["198.51.100.1/32"]


def test_an_entry_holds_on_every_gateway_and_after_a_restart(broker, door):
    """What one takes, another denies within moments, and one that starts later knows it when ready."""
    with open_door(gateway_settings(broker.settings)) as other:
        add(door, "addBLEntry", login=ALICE)
        wait_for(lambda: other.ask("allow") != PASSED, "the entry on the other gateway")
        assert call(other, "getBL") == call(door, "getBL")

        assert call(other, "delBLEntry", {"login": ALICE}) == OK
        wait_for(lambda: door.ask("allow") == PASSED, "the deletion on the first gateway")
        add(other, "addBLEntry", netmask="192.0.2.0/24")

    with open_door(gateway_settings(broker.settings)) as later:
        assert later.ask("allow")["status"] == -1
        assert len(call(later, "getBL")[1]["bl_entries"]) == 1


def test_an_expired_entry_holds_no_longer_and_leaves(broker, door):
    """It denies nobody and is not shown; its record is deleted an hour later, and nothing else is."""
    add(door, "addBLEntry", login=ALICE, expire_secs=1)
    add(door, "addBLEntry", login="bob@example.org")
    write(broker.settings, "access-lists", "blacklist 192.0.2.0/24", "AccessEntry",
          entry(network="192.0.2.0/24", expires=now_ms() - 3_700_000))  # fmt: skip
    wait_for(lambda: door.count("loginwatch_access_entries") == 3, "the entries")
    wait_for(lambda: door.ask("allow") == PASSED, "the expiry")
    assert [row["login"] for row in call(door, "getBL")[1]["bl_entries"]] == ["bob@example.org"]
    assert call(door, "getDBStats", {"login": ALICE})[1]["blacklisted"] is False

    assert asyncio.run(door.gateway._weakforced.tidy()) == 1

    wait_for(lambda: door.count("loginwatch_access_entries") == 2, "the old record to leave")
    assert topic(broker.settings, "access-lists")["blacklist 192.0.2.0/24"] is None


def test_a_white_listed_network_is_a_safe_network_as_long_as_it_is_listed(broker, door):
    """Of everyone, with reason and expiry; entries of logins are none, and it goes with its entry."""
    add(door, "addWLEntry", netmask="192.0.2.0/24", reason="the office")
    add(door, "addWLEntry", login=ALICE)
    add(door, "addWLEntry", ip="198.51.100.1", login=ALICE)

    [(key, safe)] = safe_networks(broker.settings).items()
    assert key == "everyone 192.0.2.0/24"
    assert (safe["scope"], safe["network"], safe["description"]) == ("everyone", "192.0.2.0/24", "the office")
    assert 3_590_000 < safe["expires"] - now_ms() <= 3_600_000
    wait_for(lambda: door.gateway._weakforced._trusted, "the safe network")
    assert call(door, "delWLEntry", {"netmask": "192.0.2.0/24"}) == OK
    assert safe_networks(broker.settings) == {}


def test_an_administrators_safe_network_is_never_touched(broker, door):
    """Neither replaced when the same network is white-listed, nor removed with it."""
    own = {"scope": "everyone", "network": "192.0.2.0/24", "description": "head office", "actor": "carol",
           "time": now_ms(), "expires": None}  # fmt: skip
    write(broker.settings, "safe-networks", "everyone 192.0.2.0/24", "SafeNetwork", own)
    wait_for(lambda: door.gateway._weakforced._trusted, "the safe network")

    add(door, "addWLEntry", netmask="192.0.2.0/24")
    assert call(door, "delWLEntry", {"netmask": "192.0.2.0/24"}) == OK

    assert safe_networks(broker.settings) == {"everyone 192.0.2.0/24": own}


def test_a_reset_tells_the_worker_and_takes_the_login_off_the_black_list(broker, door):
    """All entries of the login go, those of others stay, and one order to reset is written under the account."""
    for fields in ({"login": ALICE}, {"login": ALICE, "ip": ADDRESS}, {"ip": ADDRESS}, {"login": "bob@example.org"}):
        add(door, "addBLEntry", **fields)

    assert call(door, "reset", {"login": "Alice@example.org"}) == OK

    assert [row.get("ip") or row.get("login") for row in call(door, "getBL")[1]["bl_entries"]] == [
        f"{ADDRESS}/32", "bob@example.org",
    ]  # fmt: skip
    [(key, raw)] = topic(broker.settings, "account-commands").items()
    command = CODEC.decode("AccountCommand", raw)
    assert (key, command["account"], command["action"]) == (ALICE, ALICE, "reset")
    assert command["actor"] == "weakforced client 127.0.0.1"
    assert call(door, "reset", {"ip": ADDRESS}) == OK
    assert len(call(door, "getBL")[1]["bl_entries"]) == 1


def test_db_stats_know_the_lists_and_the_blocks(broker, door):
    """A blocked login is blacklisted, by the entry if there is one, else by loginwatch."""
    write_blocks(broker.settings, block(until=now_ms() + 60_000))
    wait_for(lambda: door.count("loginwatch_blocks_held") == 1, "the block")

    stats = call(door, "getDBStats", {"login": "Alice@Example.org"})[1]
    assert (stats["login"], stats["blacklisted"], stats["bl_reason"]) == (ALICE, True, "blocked by loginwatch")
    assert stats["stats"]["loginwatch"]["blocked"] == 1
    add(door, "addBLEntry", login=ALICE, reason="by hand")
    add(door, "addWLEntry", netmask="192.0.2.0/24", reason="office")
    assert call(door, "getDBStats", {"login": ALICE})[1]["bl_reason"] == "by hand"
    address = call(door, "getDBStats", {"ip": ADDRESS})[1]
    assert (address["whitelisted"], address["wl_reason"]) == (True, "office")


def test_stats_count_what_was_asked(door):
    """The deprecated numbers, for graphs that still ask."""
    add(door, "addBLEntry", login=ALICE)
    door.ask("allow")
    door.ask("allow", login="bob@example.org")
    door.ask("report", success=True)

    status, stats = call(door, "stats")

    assert (status, stats["allows"], stats["denieds"], stats["reports"]) == (200, 2, 1, 1)
    assert stats["commandstats"]["addBLEntry"] == 1
    assert {"user-msec", "sys-msec", "uptime", "perfstats", "customstats"} <= stats.keys()


def test_without_kafka_a_change_fails_and_what_is_known_holds(broker, door):
    """500 says why within seconds, nothing half done is shown; with Kafka back the same change is taken."""
    add(door, "addBLEntry", login=ALICE)
    broker.down()

    assert "Kafka did not take the change" in failed(call(door, "addBLEntry", {**HOUR, "login": "bob@example.org"}))
    assert door.ask("allow")["status"] == -1
    assert door.ask("allow", login="bob@example.org") == PASSED
    assert door.count("loginwatch_access_changes_total", outcome="failed") == 1

    broker.up()
    wait_for(lambda: call(door, "addBLEntry", {**HOUR, "login": "bob@example.org"}) == OK, "Kafka to take it", 60)
    assert door.ask("allow", login="bob@example.org")["status"] == -1


def test_while_the_lists_load_nothing_is_changed_and_ping_says_warmup(broker):
    """What is not known yet could be overwritten."""
    broker.down()
    door = Door(gateway_settings(broker.settings))
    door.start_unready()

    assert call(door, "ping") == (200, {"status": "warmup"})
    assert door.request("GET", "/readyz")[0] == 503
    assert door.request("GET", "/livez")[0] == 200
    assert "cannot be changed now" in failed(call(door, "addWLEntry", {**HOUR, "ip": ADDRESS}))
    broker.up()
    wait_for(lambda: call(door, "ping") == OK, "readiness", 60)
    door.stop()


def test_a_full_list_takes_no_more_but_renews(broker):
    """The bound counts what is in force on both lists."""
    with open_door(gateway_settings(broker.settings, gateway_list_entries=2)) as door:
        add(door, "addBLEntry", login=ALICE)
        add(door, "addWLEntry", ip=ADDRESS)
        assert "gateway_list_entries" in failed(call(door, "addBLEntry", {**HOUR, "login": "bob@example.org"}))
        add(door, "addBLEntry", login=ALICE, expire_secs=7200)
        call(door, "delWLEntry", {"ip": ADDRESS})
        add(door, "addBLEntry", login="bob@example.org")
        assert door.count("loginwatch_access_changes_total", outcome="refused") == 1


class Full:
    """A door with a clock of its own whose two entries are all it takes; what it writes is there at once."""

    def __init__(self, monkeypatch, most=2):
        self.now_ms, self.counted = 1_000_000, []
        self.door = WeakforcedDoor(
            Settings(gateway_list_entries=most), CODEC, Metrics("gateway"), BlocksView(CODEC, self.clock_ms, print),
            clock_ms=self.clock_ms, ready=lambda: True, stats=lambda: b"",
        )  # fmt: skip
        self.door.view.caught_up.set()
        monkeypatch.setattr(self.door._writer, "write", self.write)
        count = self.door.lists.in_force
        monkeypatch.setattr(
            self.door.lists, "in_force", lambda at_ms: self.counted.append(threading.current_thread()) or count(at_ms)
        )

    def clock_ms(self):
        return self.now_ms

    async def write(self, writes):
        self.door.lists.apply((write.key, write.value) for write in writes)

    async def call(self, command, login, expire_secs=3600):
        """Whether an entry was taken, or deleted."""
        body = json.dumps({"login": f"{login}@example.org", "reason": "x", "expire_secs": expire_secs}).encode()
        status, answer = await self.door.calls()[command].run(body, "127.0.0.1")
        assert status == 200 or b"gateway_list_entries" in answer
        return status == 200

    async def add(self, login, expire_secs=3600):
        return await self.call("addBLEntry", login, expire_secs)


async def test_full_lists_are_counted_once_a_second_and_not_where_logins_wait(monkeypatch):
    """A feed that goes on adding to a full list of many entries would hold up every login otherwise."""
    full = Full(monkeypatch)
    assert [await full.add(login) for login in ("a", "b")] == [True, True]

    assert await asyncio.gather(*(full.add(f"c{n}") for n in range(20))) == [False] * 20
    full.now_ms += 999
    assert not await full.add("d")
    assert len(full.counted) == 1
    full.now_ms += 1
    assert not await full.add("d")
    assert len(full.counted) == 2
    assert threading.current_thread() not in full.counted


async def test_expired_entries_make_room_for_as_many(monkeypatch):
    """Their records are there for another hour; what is added within the second counts."""
    full = Full(monkeypatch, most=3)
    assert [await full.add(login, seconds) for login, seconds in (("a", 1), ("b", 1), ("c", 60))] == [True] * 3
    full.now_ms += 5000

    assert await asyncio.gather(*(full.add(login) for login in ("d", "e", "f", "g"))) == [True, True, False, False]
    assert not await full.add("h")
    assert len(full.counted) == 1


@pytest.mark.parametrize("command", ["delBLEntry", "reset"])
async def test_a_deletion_makes_room_at_once(monkeypatch, command):
    """Also while records of expired entries are held, and while it is known for a second that the lists are full."""
    full = Full(monkeypatch)
    assert [await full.add(login, seconds) for login, seconds in (("a", 1), ("b", 60))] == [True, True]
    full.now_ms += 5000
    assert [await full.add(login) for login in ("c", "d")] == [True, False]

    assert await full.call(command, "b")

    assert [await full.add(login) for login in ("d", "e")] == [True, False]


async def test_a_clock_set_back_leaves_no_list_full(monkeypatch):
    """Else it stays so until the clock is there again."""
    full = Full(monkeypatch)
    assert [await full.add(login) for login in ("a", "b", "c")] == [True, True, False]
    full.now_ms -= 500_000
    assert not await full.add("c")
    assert len(full.counted) == 2


def test_a_body_over_the_limit_is_refused(door):
    """As for every command."""
    status, body, _ = door.request("POST", "/command/addBLEntry", b"x" * 20_000)

    assert (status, json.loads(body)["status"]) == (413, "failure")


def test_any_bytes_get_a_failure_or_an_answer(broker):
    """Fuzz over the wire: never a fault of ours, always JSON, the connection stays usable."""
    fields = st.dictionaries(
        st.sampled_from(("ip", "netmask", "login", "expire_secs", "reason", "ja3")),
        st.none() | st.integers() | st.text(max_size=20) | st.sampled_from((ADDRESS, ALICE, "192.0.2.0/24")),
    )
    bodies = st.binary(max_size=100) | fields.map(lambda value: json.dumps(value).encode())
    commands = st.sampled_from(
        ("addBLEntry", "delBLEntry", "addWLEntry", "delWLEntry", "getDBStats", "reset", "custom")
    )
    with open_door(gateway_settings(broker.settings)) as door:

        @hypothesis_settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
        @given(commands, bodies)
        def ask(command, body):
            status, answered, _ = door.request("POST", f"/command/{command}", body, BASIC)
            assert status in (200, 400, 500, 501)
            assert isinstance(json.loads(answered), dict)

        ask()
        assert door.count("loginwatch_door_refused_total", reason="fault") == 0
