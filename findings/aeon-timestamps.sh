#!/usr/bin/env bash
# aeon 1.6.0: a .ts file with timestamps loses the signs of its values, and its whole numbers altogether.
#
# In the dialect with (time,value) pairs, `load_from_ts_file` finds a channel's values by the pattern `\d+\.\d+|NaN`: a minus sign is
# no part of it, a value without a decimal point does not match, and a time with one is taken for a value. The series below come
# back as the same two numbers, without an error. sktime 1.2.0 reads them as they are written; so does Quadrat.
#
# Seen on Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install aeon==1.6.0

printf '%s\n' '@problemName signs' '@timeStamps true' '@missing false' '@univariate true' '@equalLength true' \
    '@classLabel true a b' '@data' '(0,-1.5),(1,2.5),(2,3):a' '(0,1.5),(1,-2.5),(2,3):b' > "$folder/signs.ts"
"$folder/venv/bin/python" -W ignore - "$folder/signs.ts" <<'PYTHON'
import sys

from aeon.datasets import load_from_ts_file

x, y = load_from_ts_file(sys.argv[1])
print("written: [-1.5, 2.5, 3] and [1.5, -2.5, 3]; read:", x.tolist())
assert x.tolist() == [[[1.5, 2.5]], [[1.5, 2.5]]], "aeon has come to read signs or whole numbers"
PYTHON
