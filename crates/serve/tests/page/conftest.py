"""A server and a browser for all tests; every page a test opens is watched for errors."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from server import CSV, Server

AXE = Path(os.environ["AXE"]).read_text()
PICTURES = Path(os.environ["PAGE_PICTURES"])


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "folder"
    folder.mkdir()
    (folder / "train.csv").write_text(CSV)
    server = Server(folder)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
        yield browser
        browser.close()


def is_error(said):
    """Chromium tells the console of every refusal; those are answers, not errors."""
    return said.type == "error" and "status of 4" not in said.text


@pytest.fixture
def tab(server, browser):
    """Opens tabs: tab(), tab(width=390), tab(dark=True). None of them may say an error to the console."""
    contexts, wrong = [], []

    def open_tab(width=1200, height=850, dark=False, touch=False):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=touch,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(f"{page.url}: {said.text}") if is_error(said) else None)
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.goto(server.address)
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def picture():
    """Keeps a screenshot for whoever wants to look."""

    def keep(page, name):
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    return keep


def violations(page):
    """What axe finds, a line each. The script runs in a world of its own, as a browser's extension does."""
    session = page.context.new_cdp_session(page)
    frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]
    run = "axe.run(document, {iframes: false}).then(r => r.violations.map(v => v.id + ': ' + v.help + ' ' + " \
          "v.nodes.map(n => n.target.join(' ')).slice(0, 4).join(', ')))"
    session.send("Runtime.evaluate", {"expression": AXE + "; true", "contextId": world})
    told = session.send(
        "Runtime.evaluate",
        {"expression": run, "contextId": world, "awaitPromise": True, "returnByValue": True},
    )
    assert "exceptionDetails" not in told, told
    return told["result"]["value"]
