//! What is wrong with labelled rows: classes of very different size, wrong labels, gaps, copies, columns that say nothing or
//! too much, rows far from all others.
//!
//! Each check is a test that stays silent on sound rows but for a stated chance, and says how many rows or columns, which,
//! and how sure it is. What mends a trouble is for the caller to say.
//!
//! | check | sound rows are called troubled |
//! |---|---|
//! | imbalance | never: sizes are counted |
//! | wrong labels | the interval of 95% of the share lies above [`LEAST_WRONG`] |
//! | gaps by class | 1%, over all columns |
//! | copies | 1% beyond what chance in any one column explains five times |
//! | near copies, far rows | 0.1% each |
//! | a column that leaks | p below 0.001, five times the errors without it, 97% right alone |

mod columns;
mod distances;
mod duplicates;
mod floor;
mod holes;
mod imbalance;
mod out_of_fold;
mod records;
mod suspects;

pub use floor::{Floor, floor};
pub use imbalance::{FEW, RATIO};
pub use records::{Cells, Field, NO_NAME, Records};
pub use suspects::{Suspect, Suspects, suspects};

use out_of_fold::OutOfFold;
use quadrat_core::{Progress, Result, Seed, checkpoint};

/// Labels are said to be wrong where the lower end of their share lies above this: fewer are hard to tell from rows that
/// are simply unusual.
pub const LEAST_WRONG: f64 = 0.05;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trouble {
    /// A class with few rows, or few for each row of another.
    Imbalance,
    /// Labels that are set without regard to the row.
    WrongLabels,
    /// Values are missing, more often in some class.
    HolesByClass,
    /// Values are missing.
    Holes,
    /// Rows of different classes are the same.
    CopiesAcrossLabels,
    /// Rows occur more than once.
    Copies,
    /// Rows are nearly the same.
    NearCopies,
    /// A column tells the class outright.
    Leak,
    /// A column has one value.
    Constant,
    /// A column only numbers or names the rows.
    Identifier,
    /// Rows are far from all others.
    Outliers,
}

impl Trouble {
    /// Its name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::Imbalance => "imbalance",
            Trouble::WrongLabels => "wrong-labels",
            Trouble::HolesByClass => "holes-by-class",
            Trouble::Holes => "holes",
            Trouble::CopiesAcrossLabels => "copies-across-labels",
            Trouble::Copies => "copies",
            Trouble::NearCopies => "near-copies",
            Trouble::Leak => "leak",
            Trouble::Constant => "constant",
            Trouble::Identifier => "identifier",
            Trouble::Outliers => "outliers",
        }
    }
}

/// One trouble of the rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which.
    pub trouble: Trouble,
    /// The columns it is in, by their place; none where it is in rows.
    pub columns: Vec<usize>,
    /// How many rows, or columns.
    pub count: usize,
    /// The rows, the most telling first.
    pub rows: Vec<usize>,
    /// What was found, in words.
    pub said: String,
    /// How sure that is.
    pub sure: String,
}

/// What an audit says.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// The troubles, in the order of [`Trouble`]; none: train as usual.
    pub findings: Vec<Finding>,
    /// The rows that look least like their class, whether or not there are more of them than overlapping classes explain.
    pub suspects: Vec<Suspect>,
    /// The share of labels that are wrong whatever the row.
    pub wrong: Floor,
    /// The learner that the suspects are from.
    pub learner: &'static str,
    /// The share of rows in which it is right, not having seen them.
    pub accuracy: f64,
    /// What a user should know of how it was looked.
    pub notes: Vec<String>,
}

/// Looks for all troubles. Same rows and seed give the same audit, whatever the number of threads.
///
/// Cost: five folds of three learners on at most 20,000 rows each; distances between all rows up to 4e11 operations, then
/// to a part of them; O(rows x columns x log rows) for the rest.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Records, Trouble, audit};
/// let mut rng = Seed(1).rng(0);
/// let x = Array2::from_shape_fn((330, 4), |(i, _)| rng.normal() + if i < 300 { 0.0 } else { 4.0 });
/// let y = (0..330).map(|i| u32::from(i >= 300)).collect();
/// assert_eq!(audit(&Records::of_numbers(&x, y), Seed(0), &Silent)?.findings, []);
/// let y = (0..330).map(|i| u32::from(i >= 315)).collect();
/// let found = audit(&Records::of_numbers(&x, y), Seed(0), &Silent)?.findings;
/// assert_eq!(found[0].trouble, Trouble::Imbalance);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// No column; lengths or class numbers that do not fit; an infinite number; rows of one class only; the user's stop.
pub fn audit(records: &Records, seed: Seed, progress: &dyn Progress) -> Result<Audit> {
    records.check()?;
    let seed = seed.stream("audit");
    let mut findings: Vec<Finding> = imbalance::look(records).into_iter().collect();
    findings.extend(holes::look(records));
    let constant = columns::constant(records);
    let copies = duplicates::look(records);
    checkpoint(progress)?;
    let leak = columns::leaks(records, seed, progress)?;
    // Models learn nothing from the former and nothing else beside the latter.
    let useless = constant.iter().chain(&leak).flat_map(|finding| finding.columns.clone()).collect::<Vec<usize>>();
    let (distances, mut notes) = distances::look(records, &copies.distinct, progress)?;
    let rows = judged(records, &copies);
    let fields: Vec<usize> = (0..records.fields.len()).filter(|c| !useless.contains(c)).collect();
    let labels: Vec<u32> = rows.iter().map(|row| records.y[*row]).collect();
    let (mut ranked, mut wrong) = (Vec::new(), Floor { share: 0.0, low: 0.0, high: 1.0, ratio: 0.0 });
    let (mut learner, mut accuracy) = ("none", f64::NAN);
    if !fields.is_empty() && rows.len() >= FEWEST {
        let best = out_of_fold::predict(records, &fields, &rows, seed.stream("suspects"), progress)?;
        wrong = floor(best.p.view(), &labels);
        accuracy = best.accuracy(&labels);
        learner = best.learner;
        ranked = suspects(best.p.view(), &labels)?.ranked;
        ranked.iter_mut().for_each(|suspect| suspect.row = rows[suspect.row]);
        findings.extend(labels_found(&best, &labels, wrong, &ranked));
        if rows.len() * 4 / 5 > out_of_fold::MOST_TAUGHT {
            notes.push(format!("models learnt from {} rows of each fold", out_of_fold::MOST_TAUGHT));
        }
    } else {
        notes.push(format!("labels: not looked at, as there are fewer than {FEWEST} different rows, or no column"));
    }
    findings.extend(copies.findings);
    findings.extend(leak);
    findings.extend(constant);
    findings.extend(columns::identifiers(records));
    findings.extend(distances);
    findings.sort_by_key(|finding| finding.trouble);
    Ok(Audit { findings, suspects: ranked, wrong, learner, accuracy, notes })
}

/// Fewer rows say nothing about their labels.
const FEWEST: usize = 50;

/// The rows whose labels are judged: one of each copy (others would be seen before they are judged), and none of those that
/// contradict each other, which are told apart.
fn judged(records: &Records, copies: &duplicates::Copies) -> Vec<usize> {
    if copies.findings.is_empty() {
        return (0..records.rows()).collect();
    }
    let mut contradict = vec![false; records.rows()];
    for group in copies.groups.iter().filter(|group| group.iter().any(|row| records.y[*row] != records.y[group[0]])) {
        group.iter().for_each(|row| contradict[*row] = true);
    }
    copies.distinct.iter().copied().filter(|row| !contradict[*row]).collect()
}

/// Wrong labels, where more of them are wrong than overlapping classes explain.
fn labels_found(best: &OutOfFold, labels: &[u32], wrong: Floor, ranked: &[Suspect]) -> Option<Finding> {
    let mut counts = vec![0usize; best.p.ncols()];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    let usual = counts.iter().max().copied().unwrap_or(0) as f64 / labels.len() as f64;
    // A model that does no better than the most frequent class knows no label better than the file does.
    let knows = best.accuracy(labels) > usual + (usual * (1.0 - usual) / labels.len() as f64).sqrt() * 3.0;
    (wrong.low > LEAST_WRONG && knows && !ranked.is_empty()).then(|| Finding {
        trouble: Trouble::WrongLabels,
        columns: Vec::new(),
        count: ranked.len(),
        rows: ranked.iter().map(|suspect| suspect.row).collect(),
        said: format!(
            "about {:.0}% of the labels are wrong; {} rows are suspect, the first most",
            100.0 * wrong.share,
            ranked.len()
        ),
        sure: format!(
            "interval of 95% for the share: {:.0} to {:.0}%, from the disagreement that stays where a {} that did not \
             see the row is surest (right in {:.0}%)",
            100.0 * wrong.low,
            100.0 * wrong.high,
            best.learner,
            100.0 * best.accuracy(labels)
        ),
    })
}

/// A probability as one would write it.
fn p_value(p: f64) -> String {
    match p {
        p if p < 1e-300 => "0".to_owned(),
        p if p < 1e-3 => format!("{p:.0e}"),
        p => format!("{p:.3}"),
    }
}
