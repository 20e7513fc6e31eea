"""Takes the screenshot of `fia serve` for the README: the page after forgetting, in headless Chromium.

    python scripts/screenshot_serve.py [docs/serve.png]

It starts its own server on a free port, and needs Chromium and the package `playwright`.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from fia.files import written_whole

WAIT = 600_000  # milliseconds
CONCEPTS = "church, golf ball,"


def main() -> None:
    out = Path(sys.argv[1] if sys.argv[1:] else "docs/serve.png")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    command = [sys.executable, "-m", "fia", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = next(word for word in server.stdout.readline().split() if word.startswith("http"))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(WAIT)
            forget(page, address)
            with written_whole(out) as partial:
                page.screenshot(path=partial, type="png")
            browser.close()
    finally:
        server.terminate()
        server.wait()
    with Image.open(out) as image, written_whole(out) as partial:  # 256 colours, dithered, are half the size
        whole = image.convert("RGB")
        palette = whole.quantize(256)
        whole.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(partial, format="PNG", optimize=True)
    print(f"{out}: {out.stat().st_size // 1000} kB")


def forget(page: Page, address: str) -> None:
    """Clicks through the page until it shows all images."""
    page.goto(address)
    page.locator("#concept").press_sequentially(CONCEPTS)
    expect(page.locator("#prompts")).to_have_value(re.compile("golf ball"))
    page.click("#find")
    page.wait_for_selector("#mask:not([hidden])")
    page.click("#control")
    page.wait_for_selector("#progress:not([hidden])")
    page.wait_for_selector("#progress", state="hidden")
    page.wait_for_timeout(1000)  # until the page shows the last images
    page.evaluate("document.activeElement.blur()")


if __name__ == "__main__":
    main()
