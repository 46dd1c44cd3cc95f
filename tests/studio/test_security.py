"""Who gets into the studio, and who does not."""

import pytest

httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.responses import Response  # noqa: E402

from stylekit.studio.security import Guard, Keys, allowed_hosts  # noqa: E402

from .conftest import PLAIN, Browser  # noqa: E402


def get(address, path="/", **headers):
    return httpx.get(f"http://127.0.0.1:{address.port}{path}", headers=headers, **PLAIN)


def token_of(address):
    return address.url.partition("token=")[2]


def test_the_token_is_exchanged_for_a_cookie_that_scripts_cannot_read(address):
    browser = Browser(address.url)
    assert browser.entered.status_code == 303
    assert "token" not in browser.base
    cookie = browser.entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert token_of(address).lower() not in cookie
    assert browser.call("GET", "").status_code == 200


def test_the_cookie_is_not_sent_to_other_servers_of_this_machine(address):
    browser = Browser(address.url)
    place = browser.base.removeprefix(browser.root)
    assert f"path={place}".lower() in browser.entered.headers["set-cookie"].lower()
    assert "cookie" not in browser.http.build_request("GET", f"{browser.root}/").headers


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=wrong", "/?token=%ff", "/api/state", "/static/studio.js"])
def test_without_the_token_there_is_nothing(address, path):
    assert get(address, path).status_code == 403


def test_a_page_without_the_cookie_gets_nothing(address):
    base = Browser(address.url).base
    for path in ("", "studio.js", "api/state", "api/events?page=0123456789abcdef", "api/photos/x/image"):
        assert httpx.get(base + path, **PLAIN).status_code == 403
    cookie = {"Cookie": f"stylekit-studio-{address.port}=wrong"}
    assert httpx.get(base, headers=cookie, **PLAIN).status_code == 403


@pytest.mark.parametrize("other", ['a={"b": 1}', "x[y]=1", "alone", "name=a b"])
def test_cookies_of_other_servers_of_this_machine_do_no_harm(address, other):
    browser = Browser(address.url)
    (own,) = browser.http.cookies.jar
    header = {"Cookie": f"{other}; {own.name}={own.value}"}
    assert httpx.get(browser.base + "api/state", headers=header, **PLAIN).status_code == 200


def test_a_script_sends_the_token_in_a_header(address):
    base = Browser(address.url).base
    right, wrong = ({"Authorization": f"Bearer {token}"} for token in (token_of(address), "wrong"))
    assert httpx.get(f"{base}api/state", headers=right, **PLAIN).status_code == 200
    assert httpx.get(f"{base}api/state", headers=wrong, **PLAIN).status_code == 403


def test_the_token_that_opens_the_browser_works_once(address):
    assert httpx.get(address.launch_url, **PLAIN).status_code == 303
    assert httpx.get(address.launch_url, **PLAIN).status_code == 403
    assert httpx.get(address.url, **PLAIN).status_code == 303


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "localhost.evil.example:{port}"]
)
def test_a_name_that_was_pointed_here_is_refused(address, host):
    browser = Browser(address.url)
    answer = browser.call("GET", "api/state", headers={"Host": host.format(port=address.port)})
    assert answer.status_code == 403
    assert get(address, f"/?token={token_of(address)}", Host=host.format(port=address.port)).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_is_a_host(address, host):
    assert get(address, f"/?token={token_of(address)}", Host=f"{host}:{address.port}").status_code == 303


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://localhost:{port}"],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "api/state"), ("POST", "api/photos?name=x.jpg"), ("PUT", "api/wants")]
)
def test_pages_of_other_origins_can_neither_read_nor_post(address, origin, method, path):
    browser = Browser(address.url)
    answer = browser.call(method, path, headers={"Origin": origin.format(port=address.port)})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_requests_that_a_browser_says_come_from_elsewhere_are_refused(address):
    browser = Browser(address.url)
    for site, status in {"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200}.items():
        assert browser.call("GET", "api/state", headers={"Sec-Fetch-Site": site}).status_code == status


def test_a_change_needs_an_origin(address):
    browser = Browser(address.url)
    del browser.http.headers["Origin"]
    assert browser.call("GET", "api/state").status_code == 200
    assert browser.call("DELETE", "api/photos/x").status_code == 403


def test_every_answer_forbids_other_hosts_scripts_and_frames(address):
    browser = Browser(address.url)
    for answer in (
        browser.call("GET", ""),
        browser.call("GET", "api/state"),
        browser.call("GET", "nothing"),
        get(address),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


def test_the_page_loads_nothing_from_elsewhere(address):
    browser = Browser(address.url)
    for name in ("", "studio.js", "studio.css", "icon.svg"):
        text = browser.call("GET", name).text.replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text
        assert "@import" not in text


def test_no_path_leads_out_of_the_page(address):
    browser = Browser(address.url)
    for path in ("../server.py", "..%2fserver.py", "static/../app.py", "%2e%2e/app.py", "api/exports/..%2f..%2f/file"):
        assert browser.http.get(browser.base + path).status_code in (403, 404)


def test_hosts_by_the_address_that_is_listened_on():
    assert set(allowed_hosts("127.0.0.1", 80) or ()) == {"127.0.0.1:80", "localhost:80", "[::1]:80"}
    assert "192.0.2.7:80" in (allowed_hosts("192.0.2.7", 80) or ())
    assert "[2001:db8::1]:80" in (allowed_hosts("2001:db8::1", 80) or ())
    assert allowed_hosts("0.0.0.0", 80) is None


@pytest.mark.parametrize(
    ("host", "is_host"),
    [
        ("192.0.2.7:80", True),
        ("[2001:db8::1]:80", True),
        ("localhost:80", True),
        ("evil.example:80", False),
        ("192.0.2.7:81", False),
        ("192.0.2.7", True),
    ],
)
def test_on_all_interfaces_any_address_is_a_host_but_no_name(host, is_host):
    assert Guard(Response(), Keys(), None, 80)._is_host(host) is is_host
    assert Guard(Response(), Keys(), None, 8000)._is_host(host.replace(":80", ":8000")) is (is_host and ":80" in host)


@pytest.mark.parametrize(("port", "is_host"), [(80, True), (8000, False)])
def test_browsers_leave_port_80_out(port, is_host):
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert Guard(Response(), Keys(), allowed_hosts("127.0.0.1", port), port)._is_host(host) is is_host
