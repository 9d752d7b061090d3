"""A server of the tests' own, on a folder of its own, and what talks to it without a browser."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path

QUADRAT = os.environ["QUADRAT"]

# Two classes, the second rare; a column that no method needs.
ROWS = [f"{i},{i % 7 + 0.25 * (i % 3)},{(i * 37 % 11) / 2},{'rare' if i % 8 == 0 else 'common'}" for i in range(240)]
CSV = "\n".join(["id,length,width,kind", *ROWS]) + "\n"


class Server:
    """`quadrat serve` on `folder`; it can be killed and started again on the same runs."""

    def __init__(self, folder, *options):
        self.folder, self.options = Path(folder), options
        self.start()

    def start(self):
        command = [QUADRAT, "serve", "--no-open", "--folder", str(self.folder), *self.options]
        self.errors = open(self.folder.parent / "server-errors.txt", "a+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.address = self.process.stdout.readline().strip()
        parts = urllib.parse.urlsplit(self.address)
        assert parts.netloc, f"no address but {self.address!r}"
        self.host, self.key = parts.netloc, urllib.parse.parse_qs(parts.query)["key"][0]
        self.root = f"http://{self.host}"
        answer = self.ask("GET", f"/?key={self.key}", cookie=False)
        assert answer.status == 200, answer.text[:500]
        self.cookie = answer.header("set-cookie").split(";")[0]

    def ask(self, method, path, body=None, cookie=True, headers=None):
        """One request with all that lets it in."""
        sent = {"X-Quadrat-Key": self.key, **({"Cookie": self.cookie} if cookie else {}), **(headers or {})}
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        host, port = self.host.rsplit(":", 1)
        line = http.client.HTTPConnection(host, int(port), timeout=60)
        line.request(method, path, body=body, headers=sent)
        answer = line.getresponse()
        told = Told(answer.status, dict((n.lower(), v) for n, v in answer.getheaders()), answer.read())
        line.close()
        return told

    def run(self, verb, **values):
        """Starts a run and says its number."""
        form = {"verb": verb, "values": {name.replace("_", "-"): str(value) for name, value in values.items()}}
        told = self.ask("POST", "/api/runs", form)
        assert told.status == 201, told.text
        return told.json["id"]

    def state(self, run):
        return self.ask("GET", f"/api/runs/{run}").json["state"]

    def wait(self, run, *states, seconds=120):
        end = time.time() + seconds
        while time.time() < end:
            if (state := self.state(run)) in states:
                return state
            time.sleep(0.1)
        raise AssertionError(f"run {run} is {self.state(run)}, not {' or '.join(states)}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


class Told:
    def __init__(self, status, headers, content):
        self.status, self.headers, self.content = status, headers, content

    @property
    def text(self):
        return self.content.decode(errors="replace")

    @property
    def json(self):
        return json.loads(self.content)

    def header(self, name):
        return self.headers.get(name, "")


def command_line(folder, text):
    """Runs a command line as the page prints it, in the served folder."""
    import shlex

    words = shlex.split(re.sub(r"\s+", " ", text.strip()))
    assert words[0] == "quadrat", text
    return subprocess.run([QUADRAT, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=300)
