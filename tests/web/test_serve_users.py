"""Several pages at once: each has its own mask and pictures, and they take turns with the model."""

import time

import pytest
from api_page import Page

from fia.web import jobs
from fia.web.refusal import Refused
from fia.web.sessions import Picture, Pictures, Sessions

pytestmark = pytest.mark.slow


def test_two_pages_have_their_own_masks_and_pictures(client):
    one, two = Page(client), Page(client)
    jobs = one.find("church").json(), two.find("cat").json()
    assert one.ended(jobs[0])["result"]["concepts"][0]["name"] == "church"
    assert two.ended(jobs[1])["result"]["concepts"][0]["name"] == "cat"
    drawn = one.draw(strengths={"church": 1.0}).json()
    one.ended(drawn["job"])
    assert two.draw(strengths={"church": 1.0}).status_code == 422
    key = drawn["pictures"][0]["after"]
    assert one.get(f"/pictures/{key}.png").status_code == 200
    assert two.get(f"/pictures/{key}.png").status_code == 404
    assert two.get(f"/jobs/{drawn['job']['id']}").status_code == 404
    assert two.post(f"/jobs/{drawn['job']['id']}/cancel").status_code == 404


def test_a_page_waits_its_turn_and_may_leave_the_queue(client, gate):
    pages = [Page(client) for _ in range(3)]
    started = [page.find("church").json() for page in pages]
    while pages[0].job(started[0])["state"] == "queued":
        time.sleep(0.01)
    assert [page.job(job)["ahead"] for page, job in zip(pages, started, strict=True)] == [0, 1, 2]
    cancelled = pages[1].post(f"/jobs/{started[1]['id']}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert pages[2].job(started[2])["ahead"] == 1
    gate()
    assert pages[0].ended(started[0])["state"] == "done"
    assert pages[2].ended(started[2])["state"] == "done"
    assert pages[1].job(started[1])["result"] is None


def test_a_newer_job_of_a_page_takes_the_place_of_the_older(client, gate):
    page = Page(client)
    old = page.find("church").json()
    new = page.find("cat").json()
    gate()
    assert page.ended(new)["result"]["concepts"][0]["name"] == "cat"
    assert page.get(f"/jobs/{old['id']}").status_code == 404


def test_a_job_that_nobody_waits_for_is_given_up():
    worker, done = jobs.Worker(), []
    given_up, wanted = (jobs.Job(lambda job: done.append(job) or {}) for _ in range(2))
    given_up.last_asked -= jobs.UNWATCHED + 1
    worker.submit(given_up)
    worker.submit(wanted)
    until = time.monotonic() + 30
    while wanted.is_live and time.monotonic() < until:
        time.sleep(0.01)
    worker.close()
    assert (given_up.state, wanted.state) == ("cancelled", "done")
    assert done == [wanted]


def test_asking_for_its_progress_keeps_a_job(client, gate, monkeypatch):
    page = Page(client)
    job = page.find("church").json()
    touched = []
    monkeypatch.setattr(jobs.Job, "touch", lambda job: touched.append(job))
    page.job(job)
    assert len(touched) == 1
    gate()
    assert page.ended(job)["state"] == "done"


def test_a_reloaded_page_gets_back_what_it_showed(client):
    page = Page(client)
    page.found("church")
    page.ended(page.draw(strengths={"church": 0.5}).json()["job"])
    state = page.get("").json()
    assert state["found"]["model"] == "tiny"
    assert state["found"]["concepts"][0]["name"] == "church"
    assert state["drawn"]["strengths"] == {"church": 0.5}
    assert state["job"] is None


def test_a_page_that_the_server_does_not_know_is_told_so(client):
    answer = client.get("/api/sessions/made-up")
    assert answer.status_code == 410
    assert "no longer knows this page" in answer.json()["errors"][0]["message"]


def test_the_page_used_longest_ago_is_forgotten_unless_it_waits():
    sessions = Sessions(at_most=2)
    one, two = sessions.open(), sessions.open()
    one.job = jobs.Job(lambda _: {})
    three = sessions.open()
    with pytest.raises(Refused, match="no longer knows"):
        sessions.get(two.token)
    assert sessions.get(one.token) is one
    three.job = jobs.Job(lambda _: {})
    with pytest.raises(Refused, match="2 pages are waiting already"):
        sessions.open()


def test_old_pictures_go_first_but_none_that_is_shown():
    pictures = Pictures(at_most=25)
    for key in "abc":
        pictures.add(key, Picture(b"x" * 10, {}))
    assert [pictures.get(key) is not None for key in "abc"] == [False, True, True]
    assert pictures.keep(["b", "d", "e"]) == ["b"]
    for key in "de":
        pictures.add(key, Picture(b"x" * 10, {}))
    assert [pictures.get(key) is not None for key in "bcde"] == [True, False, True, True]


def test_a_page_loaded_again_during_a_second_search_follows_it(page, gate):
    gate()
    page.found("church")
    page.ended(page.draw(strengths={"church": 1.0}).json()["job"])
    assert page.get("").json()["drawn"] is not None
    job = page.find("cat").json()
    again = page.get("").json()
    assert again["drawn"] is None  # nothing that would be drawn in the search's place
    assert again["job"] is None or again["job"]["id"] == job["id"]
    assert page.ended(job)["state"] == "done"
