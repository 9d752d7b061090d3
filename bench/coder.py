"""A range coder beside constriction, and self-BLEU beside nltk.

    pip install constriction==0.5.0 nltk==3.10.4 numpy
    cargo build --release -p quadrat-bench
    python bench/coder.py [--only NAME ...] [--repeats N]

Coder: ten million symbols of a law that falls like 1 / (v + 1), one table, one thread; `seconds` are those of encoding. Both decode what
they encoded, and both tell the length in bits (constriction's in words of 32).
Self-BLEU: 1,000 texts of 128 tokens each, of 2,000 by the same law; BLEU-4 of each against the other 999, smoothed by adding one. nltk is
asked for the first 20 texts only (all references), and its seconds are multiplied by 50.
"""

import time

import side_by_side

SYMBOLS = 10_000_000
TEXTS, LENGTH, ASKED = 1000, 128, 20


def law(size):
    import numpy

    weights = 1 / numpy.arange(1, size + 1)
    return weights / weights.sum()


def write_data(folder):
    import numpy

    rng = numpy.random.default_rng(1)
    for size in [256, 50_000]:
        message = rng.choice(size, p=law(size), size=(1, SYMBOLS))
        numpy.save(f"{folder}/message{size}.npy", message.astype(numpy.float32))
    numpy.save(f"{folder}/texts.npy", rng.choice(2000, p=law(2000), size=(TEXTS, LENGTH)).astype(numpy.float32))


def peer(what, file, size="0"):
    return coder(file, int(size)) if what == "coder" else self_bleu(file)


def coder(file, size):
    import constriction
    import numpy

    message = numpy.load(file).astype(numpy.int32).ravel()
    model = constriction.stream.model.Categorical(law(size), perfect=False)
    start = time.perf_counter()
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(message, model)
    words = encoder.get_compressed()
    encoding = time.perf_counter() - start
    start = time.perf_counter()
    decoded = constriction.stream.queue.RangeDecoder(words).decode(model, len(message))
    decoding = time.perf_counter() - start
    return encoding, {"decode_seconds": decoding, "bits": 32 * len(words), "wrong": int((decoded != message).sum())}


def self_bleu(file):
    import numpy
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    texts = numpy.load(file).astype(int).tolist()
    smooth = SmoothingFunction().method2
    start = time.perf_counter()
    for at in range(ASKED):
        sentence_bleu(texts[:at] + texts[at + 1 :], texts[at], smoothing_function=smooth)
    return (time.perf_counter() - start) * TEXTS / ASKED, {}


if __name__ == "__main__":
    cases = {
        f"coder-{size}": (
            ["coder", f"message={{folder}}/message{size}.npy", f"symbols={size}"],
            ["coder", f"{{folder}}/message{size}.npy", str(size)],
            {"peer": "constriction"},
        )
        for size in [256, 50_000]
    }
    cases["self-bleu"] = (["self-bleu", "texts={folder}/texts.npy"], ["self-bleu", "{folder}/texts.npy"], {"peer": "nltk"})
    side_by_side.pairs(__file__, ["constriction", "nltk", "numpy"], cases, peer, write_data)
