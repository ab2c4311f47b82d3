"""What holds for every answer: headers, CSRF, bounds, names of the panel, proxies, what thieves may choose."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from streams.panel.rights import Role
from streams.panel.store import people
from tests.panel.api.callers import MAKER, Program, token
from tests.panel.visitors import HOST, Site, token_of

ANNA = "anna@example.org"
XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "path", ["/sign-in", "/nothing", "/static/panel.css", "/health/live", "/", "/static/../app.py"]
)
async def test_every_answer_has_the_headers(site: Site, path: str) -> None:
    """Pages, files, errors and redirects alike: no frames, no foreign content, no guessing of types."""
    headers = (await site.browser().get(path)).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


async def test_pages_are_not_kept_by_browsers_and_files_are(site: Site) -> None:
    """A page is no-store; a file is kept under an address that names its content."""
    browser = site.browser()
    page = await browser.get("/sign-in")
    address = page.text.split('rel="stylesheet" href="')[1].split('"')[0]

    assert page.headers["cache-control"] == "no-store"
    assert "immutable" in (await browser.get(address)).headers["cache-control"]


async def test_pages_have_no_inline_script_or_style(site: Site) -> None:
    """The content security policy would refuse them, and with them the page's looks."""
    browser = await site.signed_in("owner@example.org", Role.OWNER)
    for path in ("/sign-in", "/profile", "/profile/second-factor", "/people", "/people/invite", "/audit", "/nothing"):
        text = (await browser.get(path)).text
        assert " style=" not in text, path
        assert "<style" not in text, path
        assert "<script>" not in text, path
        assert " onclick=" not in text, path


async def test_a_form_needs_its_token(site: Site) -> None:
    """None, a wrong one, and that of another session are refused, and nothing happens."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    other = await site.signed_in("bert@example.org", Role.READER, "everything")
    foreign = token_of((await other.get("/profile")).text)

    for fields in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": foreign}, {"csrf": "ü"}):
        assert (await browser.post("/sign-out", fields)).status_code == 403
    assert await browser.is_signed_in()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": HOST}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": HOST}, 303),
        ({}, 303),
    ],
)
async def test_a_form_of_another_site_is_refused(site: Site, headers: dict[str, str], status: int) -> None:
    """Even with the right token."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    token = token_of((await browser.get("/profile")).text)

    assert (await browser.post("/sign-out", {"csrf": token}, **headers)).status_code == status


async def test_signing_in_needs_a_token_too(site: Site) -> None:
    """Nobody is signed in to a stranger's account by a form elsewhere."""
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()

    assert (await browser.post("/sign-in", {"name": ANNA, "password": "x" * 12})).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9999", "", "localhost:8080.evil.example"])
async def test_a_foreign_host_header_is_refused(site: Site, host: str) -> None:
    """No link can be made to point elsewhere, and a name that somebody else points at this address opens nothing."""
    assert (await site.browser().get("/sign-in", Host=host)).status_code == 421


async def test_the_names_of_the_settings_are_taken(make_site: Callable[..., Site]) -> None:
    """panel_url and panel_hosts, in any case."""
    site = make_site(panel_url="https://Panel.example.org", panel_hosts=("other.example:8443",))

    for host in ("panel.example.org", "PANEL.example.org", "other.example:8443", "localhost:8080"):
        assert (await site.browser().get("/sign-in", Host=host)).status_code == 200


async def test_a_body_is_bounded(site: Site) -> None:
    """A form of more than 64 KiB, or of too many fields, is refused before it is read whole."""
    browser = site.browser()

    large = await browser.post("/sign-in", {"name": "x" * 70_000})
    many = await browser.post("/sign-in", {f"f{number}": "1" for number in range(600)})

    assert large.status_code == 413
    assert many.status_code == 400


@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/safe-networks"])
async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_defect(site: Site, path: str) -> None:
    """Nor one that was cut off because it took too long: no trace is logged for it."""
    parts: list[Message] = [{"type": "http.request", "body": b"name=", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8080"), (b"content-length", b"9")]
    asked = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await site.app({**asked, "http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)

    assert sent[0]["status"] == 408


async def test_what_is_no_form_is_refused(site: Site) -> None:
    """Other content types, and bytes that are no text, end with a page and not with a trace."""
    client = site.browser()._client
    for kind, body in (("application/json", b"{}"), ("application/x-www-form-urlencoded", b"name=\xff")):
        answer = await client.post("/sign-in", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 400
        assert "Traceback" not in answer.text


async def test_only_a_trusted_proxy_says_where_somebody_comes_from(make_site: Callable[..., Site]) -> None:
    """Without the setting, X-Forwarded-* change nothing: neither the address in the audit nor the cookies."""
    forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    for settings, address, cookie in (
        ({}, "198.51.100.7", "loginwatch"),
        ({"panel_trusted_proxies": ("198.51.100.0/24",)}, "203.0.113.9", "__Host-loginwatch"),
        ({"panel_trusted_proxies": ("192.0.2.1",)}, "198.51.100.7", "loginwatch"),
    ):
        site = make_site(**settings)
        site.add("owner@example.org", Role.OWNER)
        answer = await site.browser(**forwarded).get("/sign-in")
        assert answer.headers["set-cookie"].startswith(f"{cookie}="), settings
        assert ("strict-transport-security" in answer.headers) is cookie.startswith("__Host-")

        browser = site.browser()
        await browser.sign_in("owner@example.org")
        page = await browser.get("/audit", **forwarded)
        assert address in page.text or address == "203.0.113.9"


async def test_metrics_and_health_are_not_for_the_world(site: Site) -> None:
    """Scrapers reach the listener itself, by whatever name; through a proxy these pages are not there."""
    browser = site.browser()

    assert (await browser.get("/metrics", Host="10.0.0.1")).status_code == 200
    for path in ("/metrics", "/health/ready", "/health/live"):
        assert (await browser.get(path, **{"X-Forwarded-For": "203.0.113.9"})).status_code == 404


async def test_names_are_shown_and_never_run(site: Site) -> None:
    """Names, browsers' own strings and what was typed are escaped everywhere."""
    browser = site.browser(**{"User-Agent": XSS})
    site.add(ANNA, Role.OWNER, display=XSS)
    await browser.sign_in(ANNA)
    with site.panel.store.writing() as connection:
        people.create(connection, name=XSS, role="reader", scopes=[f"group:{XSS}"], now_ms=1)

    for path in ("/profile", "/people", "/audit", f"/audit?actor={XSS}", f"/sign-in?next=/{XSS}"):
        text = (await browser.get(path)).text
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path


async def test_headers_cannot_be_injected(site: Site) -> None:
    """Line breaks in where to go, or in a name that ends up in a header, stay out of the headers."""
    site.add(ANNA, Role.READER, "everything")

    answer = await site.browser().sign_in(ANNA, next="/x\r\nSet-Cookie: evil=1")

    assert answer.headers["location"] == "/"
    assert "evil" not in str(answer.headers)


async def test_a_database_that_is_away_is_answered_by_a_page(site: Site, tmp_path: Path) -> None:
    """503 and what to do, for pages as for forms; the next request finds it again."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    path, kept = tmp_path / "panel-0.sqlite", tmp_path / "kept.sqlite"
    site.panel.store.engine.dispose()
    path.rename(kept)

    for answer in (await browser.get("/profile"), await browser.post("/profile", {}), await browser.get("/nothing")):
        assert answer.status_code == 503
        assert "Try again" in answer.text
        assert "sqlite" not in answer.text

    site.panel.store.engine.dispose()
    kept.rename(path)
    assert await browser.is_signed_in()


async def test_a_method_that_a_page_does_not_have_is_answered_by_a_page(site: Site) -> None:
    """405 and 404 look like the rest and say nothing of the inside."""
    client = site.browser()._client

    assert (await client.request("DELETE", "/sign-in")).status_code == 405
    assert (await client.request("GET", "/static/nothing.css")).status_code == 404


async def test_who_asks_for_what_is_not_theirs_is_in_the_log(site: Site) -> None:
    """On pages and by the API: who, what kind of thing, and from where; not which account was named."""
    browser = await site.signed_in(ANNA, Role.READER, "domain:example.org")
    with capture_logs() as said:
        await browser.get("/people")
        await browser.get("/accounts/secret@other.example")
        await browser.get("/")
        program = Program(site, token(site, Role.READER, "domain:example.org"))
        await program("GET", "/people")
        await program("GET", "/accounts/secret@other.example/policy")

    refused = [(line["person"], line["what"], line["status"]) for line in said if line["event"] == "refused"]
    assert refused == [
        (ANNA, "GET /people", 403),
        (ANNA, "GET /accounts/{account:path}", 404),
        (MAKER, "API GET /people", 403),
        (MAKER, "API GET /accounts/{account:path}/policy", 404),
    ]
    assert "secret" not in str(said)
