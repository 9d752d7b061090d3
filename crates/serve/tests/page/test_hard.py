"""What nobody should do to the page: nonsense, a crowd, and a kill in the middle."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from server import CSV, Server

ROUTES = [
    ("GET", "/"), ("GET", "/method/{}"), ("GET", "/run/{}"), ("GET", "/runs"), ("GET", "/runs/{}"), ("GET", "/runs/{}/files/{}"),
    ("GET", "/compare"), ("GET", "/play"), ("GET", "/ask"), ("GET", "/assets/{}"), ("GET", "/api/describe"), ("GET", "/api/runs"),
    ("GET", "/api/runs/{}"), ("GET", "/{}"), ("POST", "/api/runs"), ("POST", "/api/preview"), ("POST", "/api/play"),
    ("POST", "/api/ask"), ("POST", "/api/runs/{}/cancel"), ("POST", "/api/files"),
]
NAMES = [
    "smote", "k-center", "balance", "diffuse-sample", "1", "0", "-1", "99999999999999999999999", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "report.html", "run.json", "style.css", "%00", "%ff%fe", "a" * 3000, "%E2%98%83", "%F0%9F%98%80", "' or 1=1 --", "<script>", "%",
    "builtin:zoo", "train.csv", "con", "~", "*",
]
WORDS = [
    "", "select", "balance", "diffuse sample", "smote", "k-center", "kernel", "train.csv", "builtin:zoo", "../x.csv", "/etc/passwd",
    "--command", "-", "\u0000", "\u2603", "\U0001f600", "\ud7ff", "x" * 5000, "1e999", "-1", "nan", "kind", "id,length", "10%", "none", "100",
]
KEYS = [
    "verb", "values", "points", "classes", "act", "method", "parameters", "budget", "seed", "input", "noise", "replies", "query", "reply",
    "in", "out", "target", "k", "width", "rows", "solver", "command", "score-model", "counts",
]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "BREW"]


def value(rng, depth=0):
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return rng.choice(WORDS)
    if kind == 1:
        return rng.choice([0, 1, -1, 2**63, 2**64, 10**30, 0.5, -1e308, 1e-320])
    if kind == 2:
        return rng.choice([None, True, False])
    if kind < 5:
        return rng.choice(WORDS)
    if kind == 5:
        return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    return {rng.choice(KEYS): value(rng, depth + 1) for _ in range(rng.randrange(6))}


def nearly_right(rng, path):
    """A request that would be answered but for one thing, now and then."""
    points = [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(rng.choice([1, 2, 5, 60]))]
    whole = {
        "/api/play": {
            "points": points, "classes": [rng.randrange(3) for _ in points], "act": rng.choice(["select", "balance", "diffuse"]),
            "method": rng.choice(["k-center", "smote", "kernel", "adasyn", "dpp-least-squares", "tomek-links", "d2"]),
            "parameters": {}, "budget": rng.choice([0, 1, 3, 10**9]), "seed": rng.choice([0, 1, 2**64 - 1]),
        },
        "/api/ask": {"input": "builtin:zoo", "noise": rng.random(), "replies": []},
        "/api/runs": {"verb": "no verb", "values": {}},
        "/api/preview": {"verb": "balance", "values": {"in": "train.csv", "target": "kind", "method": "smote"}},
    }.get(path)
    if whole is None or rng.random() < 0.3:
        return value(rng)
    part = whole
    if rng.random() < 0.4 and isinstance(whole.get("values"), dict):
        part = whole["values"]
    if rng.random() < 0.8:
        part[rng.choice(list(part) or KEYS)] = value(rng)
    return whole


def request(rng):
    method, path = rng.choice(ROUTES)
    while "{}" in path:
        path = path.replace("{}", rng.choice(NAMES), 1)
    if rng.random() < 0.1:
        method = rng.choice(METHODS)
    if rng.random() < 0.3:
        path += "?" + "&".join(f"{rng.choice(['q', 'area', 'form', 'verdict', 'run', 'a', 'b', 'from', 'verb', 'name', 'key'])}={rng.choice(NAMES)}"
                               for _ in range(rng.randrange(1, 4)))
    path = path.replace(" ", "%20").replace("<", "%3C").replace(">", "%3E")
    body = None
    if method in ("POST", "PUT", "PATCH"):
        body = json.dumps(nearly_right(rng, path.split("?")[0])).encode()
        if rng.random() < 0.1:
            body = rng.choice([b"", b"{", b"\xff\xfe\x00", body[: len(body) // 2], b"[" * 10_000])
    headers = {} if rng.random() < 0.9 else {"Content-Type": rng.choice(["text/plain", "application/json", "multipart/form-data"])}
    return method, path, body, headers


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_is_refused_and_nothing_breaks(server, seed):
    rng = random.Random(seed)
    for _ in range(250):
        method, path, body, headers = request(rng)
        told = server.ask(method, path, body, headers=headers)
        assert told.status < 500, (method, path, body, told.text[:300])
    assert server.process.poll() is None


def test_strangers_stay_outside(server):
    evil = {"Host": "evil.example"}
    assert server.ask("GET", "/", headers=evil).status == 403
    assert server.ask("GET", "/", headers={"Origin": "http://evil.example"}).status == 403
    assert server.ask("GET", "/", cookie=False).status == 403
    assert server.ask("POST", "/api/play", {}, headers={"X-Quadrat-Key": "0" * 64}).status == 403
    outside = {"verb": "balance", "values": {"in": "/etc/passwd", "target": "x", "method": "smote"}}
    assert server.ask("POST", "/api/runs", outside).status == 403


def test_fifty_clients_at_once(server):
    points = [[i % 23 / 11, i % 17 / 8] for i in range(300)]
    asked = {"points": points, "classes": [i % 9 // 8 for i in range(300)], "act": "balance", "method": "smote", "seed": 1}

    def client(number):
        pages = [server.ask("GET", path).status for path in ["/", "/method/smote", "/runs", f"/?q=rare+{number}"]]
        played = server.ask("POST", "/api/play", asked)
        return pages, played.status, played.json["made"]

    with ThreadPoolExecutor(50) as pool:
        told = list(pool.map(client, range(50)))
    assert all(pages == [200] * 4 and status == 200 for pages, status, _ in told)
    assert all(made == told[0][2] for _, _, made in told)


def test_a_kill_in_the_middle_loses_nothing(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train.csv").write_text(CSV)
    server = Server(folder)
    done = server.run("select", **{"in": "train.csv", "method": "k-center", "budget": 10})
    server.wait(done, "done")
    before = {path: path.read_bytes() for path in (folder / "quadrat-runs" / str(done)).iterdir() if path.is_file()}
    broken = server.run("diffuse train", **{"in": "builtin:iris", "epochs": 100_000})
    server.wait(broken, "running")
    waiting = server.run("select", **{"in": "train.csv", "method": "random", "budget": 10})
    server.kill()
    server.start()
    try:
        assert server.state(done) == "done"
        assert server.state(broken) == "interrupted"
        assert server.wait(waiting, "done") == "done"
        assert {path: path.read_bytes() for path in before} == before
        halves = [str(path) for path in (folder / "quadrat-runs").rglob("*") if ".tmp" in path.name or path.name.endswith(".part")]
        assert halves == []
        left = sorted(path.name for path in (folder / "quadrat-runs" / str(broken)).iterdir())
        assert not {"stdout.json", "report.html", "model", "diffuse-train"} & set(left), left
    finally:
        server.stop()
