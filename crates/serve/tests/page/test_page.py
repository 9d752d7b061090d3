"""What a person does with the page, done by a browser."""

import re
import shlex
import time

import pytest
from conftest import violations
from server import CSV, command_line

PAGES = ["/", "/?q=rare+class", "/method/smote", "/run/smote", "/run/k-center", "/run/diffuse-train", "/runs", "/play", "/ask"]


def finished(page):
    """Waits for the end of the run whose page is open."""
    page.get_by_text(re.compile("^done$")).first.wait_for(timeout=120_000)


def under_way(page):
    """Waits until the run whose page is open says how far it is."""
    # The page's policy forbids what Playwright would evaluate while it polls, so its own waiting functions are no use here.
    begin = time.monotonic()
    while page.locator("#bar").evaluate("bar => bar.value") <= 0:
        assert time.monotonic() - begin < 60, "no progress"
        time.sleep(0.05)


def test_from_words_to_a_balanced_file_in_five_clicks(tab, server, tmp_path, picture):
    page = tab()
    page.get_by_role("searchbox").fill("too few examples of one class")
    page.keyboard.press("Enter")
    smote = page.get_by_role("link", name=re.compile("^SMOTE: synthetic")).first
    smote.wait_for()
    picture(page, "find")
    smote.click()
    page.wait_for_url(re.compile("/method/smote$"))
    assert "neighbours" in page.inner_text("main").lower()
    picture(page, "read")

    page.get_by_role("link", name=re.compile("Run it")).first.click()
    page.locator("#o-in-bring").set_input_files({"name": "my train.csv", "mimeType": "text/csv", "buffer": CSV.encode()})
    page.locator("#o-target option").nth(2).wait_for(state="attached")
    page.select_option("#o-target", "kind")
    page.fill("#p-k", "3")
    picture(page, "form")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/runs/\d+$"))
    finished(page)
    picture(page, "run")

    # The report, its file and the command line agree with what the command does by itself.
    assert page.frame_locator("iframe").locator("h1").inner_text() != ""
    with page.expect_download() as download:
        page.get_by_role("link", name="balance.csv").click()
    here = tmp_path / "from-page.csv"
    download.value.save_as(here)
    line = page.get_by_label("Command line").inner_text()
    done = command_line(server.folder, line)
    assert done.returncode == 0, done.stderr
    out = shlex.split(line)[shlex.split(line).index("--out") + 1]
    assert here.read_bytes() == (server.folder / out).read_bytes()


def test_progress_cancel_and_a_reload_in_the_middle(tab, server, picture):
    run = server.run("diffuse train", **{"in": "builtin:iris", "epochs": 100_000})
    page = tab()
    page.goto(f"{server.root}/runs/{run}")
    under_way(page)
    picture(page, "progress")
    page.reload()
    under_way(page)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text(re.compile("^cancelled$")).first.wait_for(timeout=60_000)
    assert server.state(run) == "cancelled"


def test_two_tabs_see_the_same_run(tab, server):
    first, second = tab(), tab()
    run = server.run("diffuse train", **{"in": "builtin:iris", "epochs": 100_000})
    for page in (first, second):
        page.goto(f"{server.root}/runs/{run}")
        under_way(page)
    first.get_by_role("button", name="Cancel").click()
    for page in (first, second):
        page.get_by_text(re.compile("^cancelled$")).first.wait_for(timeout=60_000)


def test_by_keyboard_alone(tab, server):
    page = tab()
    page.goto(f"{server.root}/run/smote")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    page.locator("#o-in").focus()
    page.keyboard.type("train.csv")
    page.keyboard.press("Tab")
    page.locator("#o-target option").nth(2).wait_for(state="attached")
    page.locator("#o-target").focus()
    page.keyboard.type("kind")
    for _ in range(200):
        if page.evaluate("document.activeElement.textContent.trim()") == "Start":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/runs/\d+$"))
    finished(page)


@pytest.mark.parametrize("way", ["light", "dark", "phone"])
def test_every_page_is_accessible(tab, server, picture, way):
    page = tab(width=390 if way == "phone" else 1200, dark=way == "dark", touch=way == "phone")
    done = server.run("select", **{"in": "train.csv", "method": "k-center", "budget": 10})
    other = server.run("select", **{"in": "train.csv", "method": "random", "budget": 10})
    server.wait(done, "done")
    server.wait(other, "done")
    found = []
    for path in [*PAGES, f"/runs/{done}", f"/compare?run={done}&run={other}"]:
        page.goto(server.root + path)
        page.wait_for_load_state("networkidle")
        found += [f"{path} {violation}" for violation in violations(page)]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found.append(f"{path} is {wide} pixels wider than the window")
        name = re.sub(r"\W+", "-", path).strip("-") or "start"
        picture(page, f"{way}-{re.sub(r'[0-9]+', 'N', name)}")
    assert found == []


def test_no_script_or_style_stands_in_the_page(server):
    for path in PAGES:
        told = server.ask("GET", path)
        assert told.status == 200, path
        policy = told.header("content-security-policy")
        assert "unsafe" not in policy and "frame-ancestors 'self'" in policy, policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", told.text), path
        assert not re.search(r"(src|href)=\"https?://(?!doi|arxiv)", told.text), path


def test_the_page_is_light(server):
    seen, todo, total = set(), ["/"], 0
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        told = server.ask("GET", path)
        total += len(told.content)
        todo += re.findall(r"(?:src|href)=\"(/assets/[^\"]+)\"", told.text) if path == "/" else []
    assert total < 300_000, total
