"""Other web pages cannot use the server, and the page loads nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import fia.web
from fia.cli import main
from fia.commands.serve import Serve, address, listen
from fia.web.app import create_app
from fia.web.guard import allowed_hosts
from fia.web.offers import make_offers

pytestmark = pytest.mark.slow

PAGE = Path(fia.web.__file__).parent / "page"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:1234", "[::1]:8000", "LOCALHOST"])
def test_it_answers_to_its_own_names(client, host):
    assert client.get("/api/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[", "192.168.0.2"]
)
def test_it_answers_to_no_other_name(client, host):
    answer = client.get("/api/models", headers={"Host": host})
    assert answer.status_code == 421
    assert "tiny" not in answer.text


def test_bound_to_every_address_it_answers_to_addresses_but_not_to_foreign_names(offer):
    with TestClient(create_app([offer], host="0.0.0.0"), base_url="http://192.168.0.2:8000") as client:
        assert client.get("/api/models").status_code == 200
        assert client.get("/api/models", headers={"Host": "evil.example"}).status_code == 421
    assert "my-computer" in allowed_hosts("My-Computer")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),  # another program on this computer
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Length": "999999999"}, 413),
        ({"Content-Length": "2", "Transfer-Encoding": "chunked"}, 413),
    ],
)
def test_only_its_own_page_may_change_anything(client, headers, status):
    assert client.post("/api/sessions", headers=headers).status_code == status


def test_the_browser_is_told_to_load_nothing_from_elsewhere(client):
    for path in ("/", "/app.js", "/api/models", "/api/sessions/none"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; ")
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/docs").status_code == 404
    for file in PAGE.glob("*.[hcjs]*"):
        addresses = re.findall(r"https?://[^\"' ]+", file.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file.name  # the name of a format, never fetched


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/api/nothing", None, 404),
        ("GET", "/nothing", None, 404),
        ("DELETE", "/api/sessions", None, 405),
        ("POST", "/api/sessions/none/find", b"\xff", 400),
    ],
)
def test_what_the_framework_refuses_is_answered_as_the_page_expects(client, method, path, content, status):
    answer = client.request(method, path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    [error] = answer.json()["errors"]
    assert error["field"] is None
    assert error["message"]


def test_a_model_that_cannot_exist_is_refused_before_the_page_is_up(capsys):
    assert main(["serve", "./nope"]) == 2
    assert "There is no folder or file './nope'" in capsys.readouterr().err


def test_only_the_testbed_and_the_named_models_are_offered(client, tmp_path):
    (tmp_path / "mine").mkdir()
    offers = make_offers((str(tmp_path / "mine"), "owner/name", "testbed"), 8)
    assert [offer.label for offer in offers] == ["mine", "owner/name", "testbed"]
    with pytest.raises(ValueError, match="Two models are called 'owner/name'"):
        make_offers(("owner/name", "owner/name"), 8)
    assert [model["name"] for model in client.get("/api/models").json()] == ["tiny"]


def test_the_testbed_refuses_what_it_has_never_seen():
    with TestClient(create_app(make_offers((), 8)), base_url="http://127.0.0.1:8000") as client:
        path = f"/api/sessions/{client.post('/api/sessions').json()['token']}/find"
        answer = client.post(path, json={"model": "testbed", "concepts": [{"name": "unicorn"}]})
    assert answer.status_code == 422
    assert "testbed does not know 'unicorn'." in answer.json()["errors"][0]["message"]


def test_a_port_in_use_is_an_error_that_names_it(capsys):
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port]) == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(("field", "value"), [("port", 70_000), ("port", -1), ("batch_size", 0)])
def test_numbers_out_of_range_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field}={value}; it must be"):
        Serve(**{field: value})


def test_without_the_extra_the_command_says_what_to_install():
    code = "import sys; sys.modules['fastapi'] = None; from fia.cli import main; raise SystemExit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert 'pip install "forget-it-all[serve]"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def locked(offer):
    """A server that other computers can reach, as one of them sees it."""
    app = create_app([offer], host="0.0.0.0", secret="a good secret")
    with TestClient(app, base_url="http://192.168.0.2:8000", follow_redirects=False) as client:
        yield client


def test_without_the_token_nothing_is_served(locked):
    for path in ("/", "/app.js", "/?token=", "/?token=another", "/api/models?token=a+good+secret"):
        assert locked.get(path).status_code == 401, path
    assert "with ?token= at its end" in locked.get("/").text
    answer = locked.post("/api/sessions", headers={"Authorization": b"Bearer \xff"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (401, None)
    assert locked.get("/api/models", headers={"Authorization": "Bearer a good secret"}).status_code == 200


def test_the_token_in_the_address_lets_a_browser_in_from_then_on(locked):
    entered = locked.get("/?token=a+good+secret")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert locked.get("/").status_code == 200
    assert locked.post("/api/sessions").status_code == 200
    locked.cookies.set("fia-8000", "another")
    locked.cookies.delete("fia-8000", domain="192.168.0.2")
    assert locked.get("/").status_code == 401


@pytest.mark.parametrize(
    ("host", "token", "expected"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:80"),
        ("::1", "a b/c", "http://[::1]:80/?token=a%20b%2Fc"),
        ("0.0.0.0", "secret", "http://127.0.0.1:80/?token=secret"),
        ("::", "secret", "http://[::1]:80/?token=secret"),
        ("my-computer", "secret", "http://my-computer:80/?token=secret"),
    ],
)
def test_the_address_brings_the_token(host, token, expected):
    assert address(host, 80, token) == expected


@pytest.mark.parametrize(
    ("host", "local"), [("localhost", True), ("127.0.0.2", True), ("::1", True), ("0.0.0.0", False)]
)
def test_another_address_than_this_computers_asks_for_a_token(host, local, monkeypatch, capsys, caplog):
    made = []
    monkeypatch.setattr("fia.web.app.create_app", lambda *_, secret, **__: made.append(secret))
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    monkeypatch.setattr("fia.commands.serve.listen", lambda *_: listen("127.0.0.1", 0))
    Serve(host=host).run()
    Serve(host=host, token="my own token").run()
    assert made[1] == "my own token"
    printed = capsys.readouterr().out
    assert "/?token=my%20own%20token (Ctrl-C" in printed
    assert (made[0] is None) == local
    assert local or (len(made[0]) == 32 and f"/?token={made[0]} " in printed)
    assert ("Other computers can reach" in caplog.text) != local


@pytest.mark.parametrize(("given", "message"), [({"token": "short"}, "fewer than 8"), ({"host": " "}, "host is empty")])
def test_a_token_or_host_that_protects_nothing_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Serve(**given)


@pytest.mark.parametrize("model", ["./nope", "/nowhere/model.safetensors", "{folder}", "{folder}/notes.txt"])
def test_a_model_that_is_not_there_is_said_before_the_page_opens(model, tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    assert main(["serve", model.format(folder=tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("fia: ")
    assert said.err.count("\n") == 1
