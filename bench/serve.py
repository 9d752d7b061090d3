"""How fast the local page is.

    cargo build --release
    python bench/serve.py [--quadrat PATH] [--chromium PATH] [--rows N] [--repeats N]

Measured on a server of its own: the first page and the weight of all it loads; a search over all cards, in the server and as
a request; a run started from the page against the same command line started by hand, in turn; 50 clients at once; an answer
of the playground for 500 points by each of its methods. With `pip install playwright` and a Chromium, also a map of 50,000
points: its first drawing, and frames a second while it is dragged. Results go to bench/results/serve.json.
"""

import argparse
import csv
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results" / "serve.json"
PAGE = ROOT / "crates" / "serve" / "tests" / "page"
QUERIES = ["too few examples of one class", "labels are wrong", "choose rows", "mri", "honest probabilities", "overfitting"]


def clock(call, repeats):
    """Milliseconds: the median and the ninth tenth."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    times.sort()
    return {"median": round(statistics.median(times), 2), "p90": round(times[int(0.9 * (len(times) - 1))], 2)}


def write_rows(path, rows):
    rng = random.Random(1)
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow([f"x{j}" for j in range(10)] + ["class"])
        for _ in range(rows):
            rare = rng.random() < 0.1
            out.writerow([f"{rng.gauss(1.0 if rare else 0.0, 1):.5f}" for _ in range(10)] + ["rare" if rare else "common"])


def weight(server):
    """Bytes of the start page and all that it loads."""
    told = server.ask("GET", "/")
    files = set(re.findall(r"(?:src|href)=\"(/assets/[^\"]+)\"", told.text))
    return len(told.content) + sum(len(server.ask("GET", path).content) for path in files)


def pages(server, repeats):
    paths = {"start": "/", "method": "/method/smote", "form": "/run/smote", "play": "/play", "ask": "/ask"}
    times = {name: clock(lambda: server.ask("GET", path), repeats) for name, path in paths.items()}
    words = [query.replace(" ", "+") for query in QUERIES]
    turns = iter(range(10**9))
    times["search"] = clock(lambda: server.ask("GET", f"/?q={words[next(turns) % len(words)]}"), repeats)
    return times


def overhead(server, quadrat, folder, repeats):
    """The same work from the page and by hand, in turn. The page's time is the record's: from the request to the end."""
    asked = {"in": "train.csv", "target": "class", "method": "smote"}
    page, hand = [], []
    for _ in range(repeats):
        run = server.run("balance", **asked)
        server.wait(run, "done")
        record = server.ask("GET", f"/api/runs/{run}").json
        page.append((record["ended"] - record["queued"]) / 1000)
        start = time.perf_counter()
        subprocess.run([quadrat, *record["words"]], cwd=folder, check=True, capture_output=True)
        hand.append(time.perf_counter() - start)
    ratio = statistics.median(page) / statistics.median(hand)
    return {"page_seconds": round(statistics.median(page), 3), "hand_seconds": round(statistics.median(hand), 3), "ratio": round(ratio, 4)}


def crowd(server):
    start = time.perf_counter()
    with ThreadPoolExecutor(50) as pool:
        told = list(pool.map(lambda _: server.ask("GET", "/").status, range(500)))
    assert set(told) == {200}, set(told)
    return {"requests": 500, "clients": 50, "seconds": round(time.perf_counter() - start, 2)}


def playground(server, repeats):
    rng = random.Random(1)
    points = [[round(rng.gauss(i % 3, 0.3), 4), round(rng.gauss(0, 0.5), 4)] for i in range(500)]
    classes = [0 if i % 3 else 1 + (i % 2) for i in range(500)]
    shown = server.ask("GET", "/play").text
    times = {}
    for act in ["select", "balance", "diffuse"]:
        part = re.search(rf'data-act="{act}".*?</select>', shown, re.S).group(0)
        for method in re.findall(r'<option value="([^"]+)"', part):
            asked = {"points": points, "classes": classes, "act": act, "method": method, "budget": 20, "seed": 1}
            told = server.ask("POST", "/api/play", asked)
            if told.status == 200:
                times[method] = clock(lambda: server.ask("POST", "/api/play", asked), repeats)
            else:
                times[method] = told.json["error"]
    times["a question of the game"] = clock(lambda: server.ask("POST", "/api/ask", {"input": "builtin:zoo", "noise": 0.05, "replies": []}), repeats)
    return times


def drawn(server, chromium):
    """A map of 50,000 points in a browser without a screen."""
    from playwright.sync_api import sync_playwright
    from test_play import FIFTY_THOUSAND

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(server.address)
        page.goto(f"{server.root}/play")
        page.evaluate(FIFTY_THOUSAND)
        first, frames = page.evaluate("window.told")
        browser.close()
    return {"first_milliseconds": round(first, 1), "frames_a_second": frames}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quadrat", type=os.path.abspath, default=str(ROOT / "target" / "release" / "quadrat"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    os.environ["QUADRAT"] = options.quadrat
    sys.path.insert(0, str(PAGE))
    from server import Server

    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "folder"
        folder.mkdir()
        write_rows(folder / "train.csv", options.rows)
        server = Server(folder)
        told = {
            "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start",
            "start_page_bytes": weight(server),
            "pages_milliseconds": pages(server, 40),
            "run": {"rows": options.rows, **overhead(server, options.quadrat, folder, options.repeats)},
            "crowd": crowd(server),
            "play_milliseconds": playground(server, 10),
        }
        try:
            told["map"] = drawn(server, options.chromium)
        except ImportError:
            told["map"] = "not measured: no playwright"
        server.stop()
    RESULTS.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
