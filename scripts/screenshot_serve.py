"""Takes the pictures of `fia serve` in headless Chromium: the page after it forgot church, and its example.

    python scripts/screenshot_serve.py

It starts its own server on a free port, and needs Chromium and the package `playwright`.
"""

import argparse
import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import fia.web
from fia.files import written_whole

WAIT = 600_000  # milliseconds
OUT = Path("docs/serve.png")
EXAMPLE = Path(fia.web.__file__).parent / "page" / "example.webp"
GAP = 4  # pixels between the images of the example


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
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
            save_example(page)
            with written_whole(OUT) as partial:
                page.screenshot(path=partial, type="png")
            browser.close()
    finally:
        server.terminate()
        server.wait()
    with Image.open(OUT) as image, written_whole(OUT) as partial:  # 256 colours, dithered, are half the size
        whole = image.convert("RGB")
        palette = whole.quantize(256)
        whole.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(partial, format="PNG", optimize=True)
    for file in (OUT, EXAMPLE):
        print(f"{file}: {file.stat().st_size // 1000} kB")


def forget(page: Page, address: str) -> None:
    """Presses the first example, and waits until the page shows all images."""
    page.goto(address)
    page.get_by_role("button", name="Forget church").click()
    page.wait_for_selector("#mask:not([hidden])")
    page.click("#control")
    page.wait_for_selector("#progress:not([hidden])")
    page.wait_for_selector("#progress", state="hidden")
    page.wait_for_timeout(1000)  # until the page shows the last images
    page.evaluate("document.activeElement.blur()")


def save_example(page: Page) -> None:
    """Saves the first image of every prompt, before and after, for the page's first screen."""
    rows = []
    for state in ("before", "after"):
        images = page.locator(f"td.{state} figure:first-child img")
        addresses = images.evaluate_all("images => images.map(image => image.src)")
        rows.append([Image.open(io.BytesIO(page.request.get(address).body())) for address in addresses])
    size = rows[0][0].width + GAP
    picture = Image.new("RGBA", (size * len(rows[0]) - GAP, size * len(rows) - GAP))
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            picture.paste(image, (x * size, y * size))
    with written_whole(EXAMPLE) as partial:
        picture.save(partial, format="WEBP", quality=90)


if __name__ == "__main__":
    main()
