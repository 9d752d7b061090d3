#!/usr/bin/env bash
# beir 2.2.0 loses the first judgement of a file of judgements without a line of names, and says nothing.
#
# Its loader skips the first line of qrels/SPLIT.tsv whatever it holds. Files in TREC's spirit have no such line; with one judgement a
# query, as in MS MARCO, a whole query is gone from the evaluation. Quadrat takes the first line for names only if its level is a word.
#
# Seen on Python 3.11; the loader needs none of the package's other dependencies but tqdm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-deps beir==2.2.0
"$folder/venv/bin/pip" -q install tqdm

mkdir -p "$folder/set/qrels"
echo '{"_id": "d1", "title": "", "text": "a cat"}' > "$folder/set/corpus.jsonl"
printf '{"_id": "q1", "text": "cats"}\n{"_id": "q2", "text": "pets"}\n' > "$folder/set/queries.jsonl"
printf 'q1\td1\t1\nq2\td1\t1\n' > "$folder/set/qrels/test.tsv"
"$folder/venv/bin/python" - "$folder/set" 2> /dev/null <<'PYTHON'
import sys

from beir.datasets.data_loader import GenericDataLoader

_, _, judgements = GenericDataLoader(data_folder=sys.argv[1]).load(split="test")
print("two judged queries in the file, loaded:", sorted(judgements))
assert sorted(judgements) == ["q2"], "beir has come to read the first judgement"
PYTHON
