"""What a person does with the site, in a real browser: log in to the admin, upload an image, see it."""

import secrets
import shutil
import struct
import zlib

import pytest
from playwright.sync_api import Error, sync_playwright

testinfra_hosts = ["ansible://web"]

# As root no sandbox is to be had; the rest keeps the browser from calling home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def png(width, height):
    """Return a picture that was not there before: a gradient in a colour of its own."""
    blue = secrets.randbelow(256)
    rows = b"".join(b"\0" + bytes(c for x in range(width) for c in (x * 255 // width, y * 255 // height, blue)) for y in range(height))
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or "/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


def test_an_editor_logs_in_uploads_an_image_and_sees_it(site, administrator, browser, artifacts):
    # The browser drops its connections when this machine's networks change, and those of other hosts of the lab come and go.
    for tries_left in reversed(range(5)):
        with browser.new_context(ignore_https_errors=True, base_url=site.url, viewport={"width": 1280, "height": 900}) as context:
            # Milliseconds; an emulated host takes more than the usual half minute.
            context.set_default_timeout(180_000)
            dropped = []
            context.on("requestfailed", lambda request: dropped.append(request.failure))
            try:
                return edit(site, administrator, context.new_page(), artifacts)
            except Error:
                if "net::ERR_NETWORK_CHANGED" not in dropped or not tries_left:
                    raise


def edit(site, administrator, page, artifacts):
    failures = []
    page.on("response", lambda response: failures.append(f"{response.status} {response.url}") if response.status >= 400 else None)
    picture, title = png(320, 200), f"sunset {secrets.token_hex(4)}"
    name = title.replace(" ", "_") + ".png"

    page.goto("/admin/")
    assert page.url.startswith(f"{site.url}/admin/login/")
    assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    page.fill("input[name=username]", administrator.name)
    page.fill("input[name=password]", administrator.password)
    with page.expect_navigation(url="**/admin/"):
        page.click("button[type=submit]")

    page.goto("/admin/images/add/")
    page.set_input_files("input[name=file]", {"name": name, "mimeType": "image/png", "buffer": picture})
    page.fill("input[name=title]", title)
    with page.expect_navigation(url="**/admin/images/"):
        page.locator("form[action*='/images/add/'] [type=submit]").first.click()

    page.get_by_role("link", name=title).first.click()
    page.wait_for_load_state("load")
    shown = page.locator("img[src*='/media/images/']:visible").first
    shown.scroll_into_view_if_needed()
    address = shown.evaluate("async image => { await image.decode(); return image.currentSrc }")
    assert shown.evaluate("image => image.naturalWidth") > 0
    assert address.startswith(f"{site.url}/media/")
    page.screenshot(path=artifacts / f"wagtail-image-{site.entrance}.png")

    original = site.get(f"/media/original_images/{name}")
    assert original.headers["Content-Type"] == "image/png"
    assert original.content == picture
    assert not failures
