//! The files of Quadrat's built-in sets: a crate of their own, so that those that read and compute stay small. What they
//! are is told in the README beside them; `quadrat-data` opens them.

/// The README: every set with its rows, columns, classes, source and licence.
pub const README: &str = include_str!("README.md");

/// A file by its name: tables are compressed by zstd (`iris.csv.zst`), photographs and brains are PNG
/// (`photographs/coffee.png`).
pub fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(own, _)| *own == name).map(|(_, bytes)| *bytes)
}

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_bytes!($name))),*]
    };
}

static FILES: &[(&str, &[u8])] = files! {
    "abalone9-18.csv.zst"
    "austen.jsonl.zst"
    "breast_cancer.csv.zst"
    "diabetes.csv.zst"
    "digits.csv.zst"
    "ecoli1.csv.zst"
    "ecoli2.csv.zst"
    "fashion-mnist.csv.zst"
    "german.csv.zst"
    "glass0.csv.zst"
    "glass1.csv.zst"
    "glosses.jsonl.zst"
    "iris.csv.zst"
    "letter.csv.zst"
    "magic.csv.zst"
    "mnist.csv.zst"
    "page-blocks.csv.zst"
    "phoneme.csv.zst"
    "pima.csv.zst"
    "satimage.csv.zst"
    "senses.jsonl.zst"
    "spambase.csv.zst"
    "wine.csv.zst"
    "yeast1.csv.zst"
    "yeast3.csv.zst"
    "yeast4.csv.zst"
    "yeast6.csv.zst"
    "zoo.csv.zst"
    "photographs/astronaut.png"
    "photographs/brick.png"
    "photographs/camera.png"
    "photographs/chelsea.png"
    "photographs/coffee.png"
    "photographs/retina.png"
    "photographs/rocket.png"
    "brains/colin27-fine.png"
    "brains/colin27.png"
    "brains/macaque.png"
    "brains/mni152.png"
};
