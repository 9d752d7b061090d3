"""What sktime 1.2.0 and aeon 1.6.0 read of the two small files beside this script; the test holds the values of the classic
dialect, on which all agree. Of the dialect with times sktime keeps each channel's own times.

    pip install sktime==1.2.0 aeon==1.6.0 && python golden.py
"""
import pathlib, warnings

warnings.filterwarnings("ignore")
here = pathlib.Path(__file__).parent


def shown(read):
    try:
        return read()
    except Exception as error:  # A refusal is what is to be seen.
        return f"{type(error).__name__}: {error}"


def sktime(path):
    from sktime.datasets import load_from_tsfile_to_dataframe

    x, y = load_from_tsfile_to_dataframe(str(path))
    return [[(s.index.tolist(), s.tolist()) for s in row] for row in x.to_numpy()], list(y)


def aeon(path):
    from aeon.datasets import load_from_ts_file

    x, y = load_from_ts_file(str(path))
    return [s.tolist() for s in x], list(y)


for name in ["golden_classic.ts", "golden_timed.ts"]:
    for reader in [sktime, aeon]:
        print(name, reader.__name__, shown(lambda: reader(here / name)))
