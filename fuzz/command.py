#!/usr/bin/env python3
"""Drives the command with mutated files, over all readers and all verbs. No case may panic, end by a signal, hang, or leave
half a file behind.

    cargo build --release
    python3 fuzz/command.py --binary target/release/quadrat --cases 100000

Case i of seed s is always the same file and the same line; `--only i` runs it again and shows what it said. Cases that fail
are kept with their files under --keep. Needs Python 3.9 and nothing else.
"""

import argparse
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS = 60

NAMES = ["id", "x1", "x2", "x3", "n", "flag", "class", "city", "tags", "text"]
STRANGE = ["", "NaN", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "0", "-0", "9223372036854775807", "1e400", "NA",
           "null", "true", "é", "\u202e", '"', "''", "a,b", "0x10", "1_000", "1.5.2", "2020-01-02", " ", "\t", "\x00", "-999"]


def rows(rng):
    """A small table: numbers, whole numbers, truth, classes, names, labels, words."""
    count = rng.choice([0, 1, 2, 3, 5, 12, 30, 30, 60, 60, 120])
    classes = rng.choice([["a", "b"], ["a", "b"], ["a", "b", "c"], ["a"], ["0", "1"]])
    table = []
    for i in range(count):
        kind = rng.choice(classes)
        shift = classes.index(kind)
        table.append([
            f"r{i}", f"{rng.gauss(shift, 1):.4f}", f"{rng.gauss(-shift, 2):.3f}", f"{rng.random():.5f}", str(rng.randrange(9)),
            rng.choice(["true", "false"]), kind, rng.choice(["Oslo", "Rome", "Bath, UK"]),
            ";".join(rng.sample(["red", "green", "blue", "dark"], rng.randrange(1, 4))),
            " ".join(rng.choice(["how", "to", "choose", "rows", "well", "éé"]) for _ in range(rng.randrange(1, 8))),
        ])
    return table


def damage_table(rng, names, table):
    """What people's files have: columns that say nothing, cells that fit nothing, rows twice or once."""
    names, table = list(names), [list(row) for row in table]
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        column = rng.randrange(len(names)) if names else 0
        what = rng.randrange(9)
        if what == 0:
            value = rng.choice(STRANGE + ["1", "a"])
            for row in table:
                row[column] = value
        elif what == 1 and table:
            for _ in range(rng.randrange(1, 4)):
                rng.choice(table)[column] = rng.choice(STRANGE)
        elif what == 2 and len(names) > 1:
            del names[column]
            for row in table:
                del row[column]
        elif what == 3:
            names[column] = rng.choice(STRANGE + [names[0], "class", "x1"])
        elif what == 4 and table:
            table = [list(table[0]) for _ in table]
        elif what == 5:
            table = table[: rng.randrange(4)]
        elif what == 6:
            for i, row in enumerate(table):
                row[column] = str(i)
        elif what == 7:
            scale = rng.choice(["e300", "e-300", "e200", "e18"])
            for row in table:
                row[column] = row[column] + scale
        elif what == 8 and table:
            table = [list(row) for _ in range(rng.choice([2, 3])) for row in table]
    return names, table


def delimited(rng, names, table, separator):
    end = rng.choice(["\n", "\n", "\r\n"])
    quote = lambda cell: '"' + cell.replace('"', '""') + '"' if any(c in cell for c in separator + '"\r\n') else cell
    lines = [separator.join(quote(cell) for cell in row) for row in [names] + table]
    return (rng.choice(["", "", "\ufeff"]) + end.join(lines) + rng.choice([end, ""])).encode("utf-8", "surrogatepass")


def value(cell):
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def damage_bytes(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 4, 16])):
        if not data:
            break
        at = rng.randrange(len(data))
        what = rng.randrange(6)
        if what == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            data[at] = rng.choice(b'\x00\xff,;"\n\r\t {}[]:-.eE')
        elif what == 2:
            del data[at : at + rng.randrange(1, 9)]
        elif what == 3:
            data[at:at] = data[at : at + rng.randrange(1, 40)]
        elif what == 4:
            data[at:at] = rng.choice(STRANGE).encode("utf-8", "surrogatepass")
        elif what == 5 and rng.random() < 0.3:
            del data[at:]
    return bytes(data)


class Seeds:
    """Whole files of the formats that only the command itself writes, made once from tables as above."""

    def __init__(self, binary, folder):
        self.binary_files = []
        rng = random.Random("seeds")
        for i in range(4):
            table = [row for _ in range(3) for row in rows(random.Random(f"seed table {i}"))][:40] or [["r", *"123", "1", "true", "a", "b", "c", "d"]]
            plain = folder / f"seed{i}.csv"
            plain.write_bytes(delimited(rng, NAMES, table, ","))
            numbers = folder / f"numbers{i}.csv"
            numbers.write_bytes(delimited(rng, NAMES[1:4], [row[1:4] for row in table], ","))
            for source, ending in [(plain, "parquet"), (plain, "csv.zst"), (numbers, "npy"), (numbers, "npz"),
                                   (plain, "arrow"), (plain, "arff"), (plain, "csv.xz"), (plain, "csv.bz2")]:
                made = folder / f"seed{i}.{ending}"
                line = [binary, "select", "--in", source, "--method", "random", "--budget", "100%", "--out", made]
                done = subprocess.run(line, capture_output=True)
                if done.returncode:
                    sys.exit(f"cannot make {made.name}: {done.stderr.decode()}")
                self.binary_files.append((ending, made.read_bytes()))

    def file(self, rng):
        """A file's ending and content."""
        kind = rng.randrange(10)
        if kind < 2:
            ending, data = rng.choice(self.binary_files)
            return ending, damage_bytes(rng, data)
        names, table = damage_table(rng, NAMES, rows(rng))
        if kind < 7:
            ending, data = "csv", delimited(rng, names, table, rng.choice([",", ",", ",", ";", "|"]))
        elif kind == 7:
            ending, data = "tsv", delimited(rng, names, table, "\t")
        else:
            objects = [dict(zip(names, map(value, row))) for row in table]
            ending, data = "jsonl", "\n".join(json.dumps(row) for row in objects).encode()
            if kind == 9:
                ending, data = "json", json.dumps(rng.choice([objects, {"data": objects}])).encode()
        if rng.random() < 0.3:
            data = damage_bytes(rng, data)
        if rng.random() < 0.05:
            ending, data = ending + ".gz", gzip.compress(data)
            if rng.random() < 0.5:
                data = damage_bytes(rng, data)
        return ending, data


PROBLEM = """name = "p"
[[inputs]]
name = "a"
law = "beta"
a = 5000.0
b = 4000.0
[[inputs]]
name = "b"
law = "normal"
mean = 0.0
sd = 1.0
[[inputs]]
name = "c"
law = "uniform"
min = 0.0
max = 1.0
"""


def lines(rng, methods, file):
    """The lines of one case: a verb on the file, and what comes before or after it."""
    out = rng.choice(["csv", "csv", "jsonl", "parquet", "tsv", "npy", "npz"])
    column = lambda: rng.choice(["class", "class", "class", "city", "n", "x1", "flag"])
    some = lambda *options: [word for option in options if rng.random() < 0.35 for word in option]
    missing = rng.choice([[]] * 3 + [["--missing", how] for how in ["drop", "impute", "category"]] +
                         [["--impute", how] for how in ["mean", "knn", "indicator"]])
    common = missing + some(["--json"], ["--types", f"{rng.choice(NAMES)}={rng.choice(['text', 'category', 'float', 'integer', 'boolean'])}"])
    features = some(["--features", rng.choice(["x1,x2", "x1,x2,x3", "x1", "n,x1"])])
    verb = rng.choice(["select"] * 5 + ["balance"] * 4 + ["audit"] * 2 + ["sample", "split", "order", "compare", "allocate", "holdout", "sobol",
                                                       "bias", "pretrain", "ask", "train", "data"])
    budget = rng.choice(["3", "10%", "50%", "100%", "1", "20"])
    if verb == "select":
        method = rng.choice(methods["select"])
        more = some(["--target", column()], ["--score", "x3"], ["--labels", "tags"], ["--text", "text"], features)
        return [["select", "--in", file, "--method", method, "--budget", budget, "--out", f"out.{out}", *more, *common]]
    if verb == "balance":
        method = rng.choice(methods["balance"])
        more = features + some(["--categorical", rng.choice(["auto", "none", "city", "flag,city"])])
        return [["balance", "--in", file, "--method", method, "--target", column(), "--out", f"out.{out}", *more, *common]]
    if verb == "audit":
        more = some(["--suspects", "suspects.csv"], ["--report", "report.html"], ["--classes"])
        return [["audit", "--in", file, "--target", column(), *features, *more, *common]]
    if verb == "sample":
        method = rng.choice(methods["sample"])
        steps = {"autoencoder-score": ["--steps", "20"], "perturbed-likelihood": ["--steps", "20"]}.get(method, [])
        return [["sample", "--in", file, "--method", method, "--rows", "7", "--out", f"out.{out}", *features, *steps, *common]]
    if verb == "split":
        more = some(["--target", column()], features, ["--balanced"], ["--purge", "0.9"], ["--text", "text"])
        return [["split", "--in", file, "--out", "folds", "--folds", rng.choice(["2", "3"]), *more, *common]]
    if verb == "order":
        more = some(["--target", column()], ["--score", "x3"])
        return [["order", "--in", file, "--method", "rs2", "--fraction", budget, "--epochs", "3", "--out", "order.npy", *more]]
    if verb == "compare":
        chosen = ",".join(rng.sample(methods["select"], 2))
        more = some(["--target", column()], features, ["--score", "x3"])
        return [["compare", "--in", file, "--budgets", budget, "--seeds", "2", "--visits", "200", "--methods", chosen, *more, *common]]
    if verb == "allocate":
        return [["allocate", "--in", file, "--task", rng.choice(["city", "class"]), "--target-task", rng.choice(["Oslo", "a"]),
                 "--target", rng.choice(["x3", "x1", "n"]), "--rank", rng.choice(["1", "2"]), "--budget", "50", "--out", f"out.{out}", *common]]
    if verb == "holdout":
        method = rng.choice([["thresholdout"], ["gaussian"], ["ladder"], ["naive", "--train-share", "0.5"],
                             ["pmw", "--domain", "class,city"], ["split", "--queries", "3"]])
        question = rng.choice([["--mean", "x1", "--range", "0,1"], ["--mean", "n"], ["--where", "class=a"], ["--correlation", "x1,x2"],
                               ["--predictions", file]])
        return [["holdout", "init", "--in", file, "--ledger", "ledger", "--method", *method, *some(["--target", column()])],
                ["holdout", "ask", "--ledger", "ledger", *question, *some(["--json"])],
                ["holdout", "status", "--ledger", "ledger"]]
    if verb == "sobol":
        return [["estimate", "sobol", "--problem", "problem.toml", "--calls", "64", "--write-design", "points.csv"],
                ["estimate", "sobol", "--problem", "problem.toml", "--read-results", rng.choice([file, "points.csv"]), *some(["--json"])]]
    if verb == "bias":
        return [["estimate", "inductive-bias", "--in", file, "--target", column(), *features, *common]]
    if verb == "pretrain":
        kind = rng.choice(["fa", "ppca", "gmm"])
        return [["estimate", "pretrain-plan", "--unlabelled", file, "--labelled", file, "--target", column(), "--representation",
                 kind, "--repeats", "2", *features, *common]]
    if verb == "ask":
        return [["ask", "--in", file, "--answers", rng.choice(["y", "y,n,y", "n,n,n,n,n,n"]), *some(["--json"])]]
    if verb == "train":
        method = some(["--method", rng.choice(methods["train"])], ["--regression"])
        return [["train", "--in", file, "--target", column(), "--epochs", "2", "--hidden", "4", "--out", "model", *method, *features, *missing],
                ["predict", "--model", "model", "--in", file, "--out", f"out.{out}"],
                ["eval", "--model", "model", "--in", file, *some(["--json"])],
                ["train", "--in", file, "--from", "model", "--method", rng.choice(["sara", "lora"]), "--epochs", "2", "--delta", "d", "--out",
                 "tuned"],
                ["apply", "--model", "model", "--delta", "d", "--out", "again"]]
    return [["data", "show", file, *some(["--json"])]]


def run_case(seeds, methods, args, case, folder):
    """What is wrong with case number `case`; nothing if all is well."""
    rng = random.Random(f"{args.seed} {case}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ending, data = seeds.file(rng)
    name = f"in.{ending}"
    (folder / name).write_bytes(data)
    problem = PROBLEM.encode()
    (folder / "problem.toml").write_bytes(damage_bytes(rng, problem) if rng.random() < 0.7 else problem)
    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}
    for line in lines(rng, methods, name):
        try:
            done = subprocess.run([args.binary, *line], cwd=folder, capture_output=True, timeout=SECONDS, env=environment,
                                  stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return f"runs for more than {SECONDS} s: quadrat {' '.join(line)}"
        said = done.stderr.decode("utf-8", "replace")
        if args.only is not None:
            print(f"quadrat {' '.join(line)}\n{done.stdout.decode('utf-8', 'replace')[:2000]}{said[-2000:]}[{done.returncode}]")
        if done.returncode not in (0, 2) or "panicked at" in said:
            last = [text for text in said.splitlines() if "panicked at" in text or text.strip()][:3]
            return f"exit code {done.returncode}: quadrat {' '.join(line)}\n    " + "\n    ".join(last)
        left = [path.name for path in folder.rglob("*.part")]
        if left:
            return f"leaves {left}: quadrat {' '.join(line)}"
        if done.returncode:
            break
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/quadrat")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, default=Path("fuzz/failures"))
    parser.add_argument("--only", type=int, help="one case, with all it says")
    args = parser.parse_args()
    args.binary = str(Path(args.binary).resolve())
    listed = json.loads(subprocess.run([args.binary, "list", "--json"], capture_output=True, check=True).stdout)
    methods = {}
    for card in listed:
        for verb in card["verbs"]:
            methods.setdefault(verb, []).append(card["slug"])
    with tempfile.TemporaryDirectory(prefix="quadrat-fuzz-") as place:
        place = Path(place)
        seeds = Seeds(args.binary, place)
        cases = [args.only] if args.only is not None else range(args.first, args.first + args.cases)
        failures = {}

        def one(case):
            folder = place / f"case{case}"
            wrong = run_case(seeds, methods, args, case, folder)
            if wrong:
                kept = args.keep / f"{args.seed}-{case}"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(folder, kept)
                # One line a kind: where the panic was.
                kind = next((text for text in wrong.splitlines() if "panicked at" in text), wrong.split(":")[0]).strip()
                failures.setdefault(kind.split("at ")[-1], []).append(case)
                print(f"case {case}: {wrong}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)

        with ThreadPoolExecutor(args.jobs) as pool:
            for done, _ in enumerate(pool.map(one, cases), 1):
                if done % 1000 == 0:
                    print(f"{done} cases, {sum(map(len, failures.values()))} failures", file=sys.stderr, flush=True)
    for kind, found in failures.items():
        print(f"{len(found)} x {kind}: cases {found[:5]}")
    print(f"{len(cases)} cases, {sum(map(len, failures.values()))} failures of {len(failures)} kinds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
