"""The page in a browser, on the embedded model: a person clicks through the whole story."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect, sync_playwright

from fia import NeuronMask

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_BROWSER = BROWSER is None and os.environ.get("CI") != "true"  # there, it is an error that none is installed
pytestmark = [pytest.mark.browser, pytest.mark.skipif(NO_BROWSER, reason="No Chromium is installed.")]
WAIT = 120_000  # milliseconds; a busy computer is slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where `fia serve` runs, as it is started on a command line."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fia", "serve", "--port", str(port), "--batch-size", "4"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        assert f"http://127.0.0.1:{port}" in server.stdout.readline()
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, address):
    """An open page; what it asked other servers for, and what went wrong in it, must be nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    foreign, wrong = [], []
    page.on("request", lambda request: None if request.url.startswith(address) else foreign.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    page.goto(address)
    expect(page.locator("#model")).to_have_value("testbed")
    yield page
    context.close()
    assert foreign == []
    assert wrong == []


def draw_little(page, prompts="a church in a forest\na photo of a cat on a lawn"):
    """Makes the page quick: few prompts to find with and to draw, one picture each, few steps."""
    if not page.locator("#prompts_per_concept").is_visible():
        page.locator("form summary", has_text="How to find").click()
    page.fill("#prompts_per_concept", "2")
    page.fill("#prompts", prompts)
    page.fill("#pictures_each", "1")
    page.fill("#num_inference_steps", "4")


def sources(page, state):
    return page.locator(f"td.{state} img").evaluate_all("images => images.map(image => image.src)")


def seen(page, addresses):
    return [page.request.get(address).body() for address in addresses]


def wait_for_pictures(page, number):
    expect(page.locator("#pictures img")).to_have_count(number)
    expect(page.locator("#pictures img.waiting")).to_have_count(0)
    expect(page.locator("#progress")).to_be_hidden()
    drawn = "[...document.querySelectorAll('#pictures img')].every(i => i.complete && i.naturalWidth === 64)"
    until = time.monotonic() + 30
    while not page.evaluate(drawn):  # the page's security policy forbids Playwright's own way of waiting for this
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_whole_story(page, tmp_path):
    page.locator("#concept").press_sequentially("church, golf ball")
    page.locator("#concept").press("Enter")
    expect(page.locator("#chips li")).to_have_text([re.compile("church"), re.compile("golf ball")])
    expect(page.locator("#prompts")).to_have_value(re.compile("a church in a .*\na golf ball on a "))
    draw_little(page)
    page.click("#find")
    expect(page.locator("#progress")).to_be_visible()
    wait_for_pictures(page, 4)

    before, after = sources(page, "before"), sources(page, "after")
    assert not set(seen(page, before)) & set(seen(page, after))
    expect(page.locator("#compare-note")).to_contain_text("same seeds")
    expect(page.locator("#pictures .gone")).to_have_text("church should go")
    expect(page.locator("#numbers")).to_contain_text("connections")
    expect(page.locator("#layers svg g")).to_have_count(3)  # two concepts and the mask
    expect(page.locator("#overlap tbody tr")).to_have_count(2)
    pruned = page.locator("#numbers dd").first.inner_text()

    page.get_by_role("switch", name="church").click()  # off: fused anew, and nothing is found again
    expect(page.locator("#numbers dd").first).not_to_have_text(pruned)
    wait_for_pictures(page, 4)
    assert sources(page, "before") == before
    assert not set(sources(page, "after")) & set(after)
    expect(page.locator("#pictures .gone")).to_have_count(0)

    page.get_by_role("switch", name="church").click()
    page.get_by_role("switch", name="random mask").click()
    wait_for_pictures(page, 6)
    assert sources(page, "after") == after

    page.locator("#compare summary").click()
    page.locator("#strength-1").fill("50")
    page.locator("#agnostic_ratio").fill("1.5")
    page.locator("#agnostic_ratio").press("Tab")
    expect(page.locator("#numbers")).to_contain_text("no connection is claimed")
    wait_for_pictures(page, 6)
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "without-church-golf-ball.zip"
    download.value.save_as(tmp_path / "mask.zip")
    shutil.unpack_archive(tmp_path / "mask.zip", tmp_path)
    mask = NeuronMask.from_pretrained(tmp_path / "without-church-golf-ball")
    assert mask.concepts == ("church", "golf ball")
    assert (mask.strengths["golf ball"], mask.agnostic_ratio) == (0.5, 1.5)
    assert f"{mask.number_pruned:,}" == page.locator("#numbers dd").first.inner_text()

    page.reload()
    wait_for_pictures(page, 6)
    expect(page.locator("#prompts")).to_have_value("a church in a forest\na photo of a cat on a lawn")
    expect(page.locator("#agnostic_ratio")).to_have_value("1.5")
    expect(page.get_by_role("switch", name="random mask")).to_be_checked()


def test_cancelling_ends_the_work_and_says_so(page):
    page.fill("#concept", "tench")
    page.fill("#prompts", "a tench on a road")
    page.fill("#num_inference_steps", "200")
    page.fill("#pictures_each", "8")
    page.click("#find")
    expect(page.locator("#progress-text")).to_contain_text("Generating the images before")
    page.click("#cancel")
    expect(page.locator("#problem")).to_have_text("Cancelled. The model is as it was.")
    expect(page.locator("#progress")).to_be_hidden()
    draw_little(page, "a tench on a road")
    page.click("#draw")
    expect(page.locator("#problem")).to_be_hidden()
    wait_for_pictures(page, 2)


def test_with_the_keyboard_alone_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#concept").focus()
    page.keyboard.type("zebra")
    page.keyboard.press("Enter")
    page.keyboard.press("Backspace")  # in the empty field it takes the last one out
    expect(page.locator("#chips li")).to_have_count(0)
    page.keyboard.type("duck")
    page.keyboard.press("Enter")
    draw_little(page, "a duck on a lawn")
    page.locator("#concept").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "find":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    wait_for_pictures(page, 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    switch = page.get_by_role("switch", name="duck")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).not_to_be_checked()
    expect(page.locator("#download")).not_to_have_attribute("href", re.compile("."))


def test_bad_input_is_explained_next_to_its_field(page):
    page.click("#find")
    expect(page.locator("#concepts-error")).to_have_text("No concept was given; name at least one.")
    expect(page.locator("#concept")).to_be_focused()
    expect(page.locator("#concept")).to_have_attribute("aria-invalid", "true")
    page.fill("#concept", "unicorn")
    page.click("#find")
    expect(page.locator("#concepts-error")).to_contain_text("does not know 'unicorn'")
    page.get_by_role("button", name="Remove unicorn").click()
    page.fill("#concept", "church")
    page.locator("form summary", has_text="How to find").click()
    page.fill("#spatial_ratio", "300")
    page.locator("form summary", has_text="How to find").click()
    page.click("#find")
    expect(page.locator("#spatial_ratio-error")).to_contain_text("outside [0, 1]")
    expect(page.locator("#concepts-error")).to_be_hidden()


def test_two_people_wait_for_each_other(page, browser, address):
    other = browser.new_page()
    other.set_default_timeout(WAIT)
    other.goto(address)
    for one, concept in ((page, "mug"), (other, "bus")):
        one.fill("#concept", concept)
        draw_little(one, f"a {concept} on a road")
        one.click("#find")
    for one in (page, other):
        wait_for_pictures(one, 2)
    expect(page.get_by_role("switch", name="mug")).to_be_checked()
    expect(other.get_by_role("switch", name="bus")).to_be_checked()
    assert not set(seen(page, sources(page, "after"))) & set(seen(other, sources(other, "after")))
    other.close()


def test_the_kind_of_what_the_model_knows_is_chosen_by_itself(page):
    page.locator("#concept").press_sequentially("Lumenza, cat,")
    expect(page.locator("#chips li")).to_have_text([re.compile("Lumenza ?style"), re.compile("^cat ?.$")])


def test_suggestions_that_come_late_do_not_replace_newer_ones(page):
    held = []
    page.route("**/api/suggestions", lambda route: route.continue_() if held else held.append(route))
    page.locator("#concept").press_sequentially("church,")
    expect(page.locator("#chips li")).to_have_count(1)
    page.locator("#concept").press_sequentially("golf ball,")
    both = re.compile("a church in a .*\na golf ball on a ")
    expect(page.locator("#prompts")).to_have_value(both)
    with page.expect_response("**/api/suggestions") as late:
        held[0].continue_()
    late.value.finished()
    page.wait_for_timeout(200)  # for the page to take it in
    expect(page.locator("#prompts")).to_have_value(both)


def test_it_says_when_the_server_is_gone(page):
    page.route("**/api/sessions/*/find", lambda route: route.abort())
    page.fill("#concept", "church")
    page.click("#find")
    expect(page.locator("#problem")).to_have_text("The server does not answer. Is fia serve still running?")
