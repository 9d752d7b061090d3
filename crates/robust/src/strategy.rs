//! How many rows each class shall have.

use crate::Labelled;
use quadrat_core::{Error, Kind, Param, Params, Result, Settings};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

/// How many rows each class shall have. Over-sampling, under-sampling and cleaning read the same words, each in its own
/// direction.
///
/// The largest (smallest) class is the first one with the most (fewest) rows; classes without rows are left alone.
///
/// ```
/// use quadrat_robust::{Labelled, Strategy};
/// let data = Labelled::new(ndarray::Array2::zeros((9, 1)), vec![0, 0, 0, 0, 0, 0, 1, 1, 2]);
/// assert_eq!(Strategy::Auto.new_rows(&data)?, [(1, 4), (2, 5)]);
/// assert_eq!(Strategy::Percent(200).new_rows(&data)?, [(2, 2)]);
/// assert_eq!(Strategy::Auto.kept_rows(&data)?, [(0, 1), (1, 1)]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Strategy {
    /// Over-sampling: [`Strategy::NotMajority`]. Under-sampling and cleaning: every class but the smallest.
    #[default]
    Auto,
    /// Every class but the largest.
    NotMajority,
    /// The smallest class alone. Not for under-sampling.
    Minority,
    /// Every class.
    All,
    /// Rows of the smaller class for each row of the larger one, in (0, 1]; two classes only. Not for cleaning.
    Ratio(f64),
    /// The number of rows wanted of each named class; others are left alone. Not for cleaning.
    Counts(BTreeMap<String, usize>),
    /// The paper's per cent. Over-sampling by N adds N/100 rows for each row of the smallest class: N below 100 gives
    /// one new row to a random N% of them; from 100 on it must be a multiple of 100 and every row is a base equally
    /// often. Under-sampling at x drops rows of the other classes until the smallest class has at least x% as many
    /// rows as each of them (200 leaves half as many). Not for cleaning.
    Percent(u32),
}

/// The names of the strategies that are no numbers.
pub(crate) const NAMES: Kind = Kind::Choice(&[
    ("auto", "over-sampling: all but the largest; under-sampling and cleaning: all but the smallest"),
    ("not-majority", "all but the largest"),
    ("minority", "the smallest"),
    ("all", "every one"),
]);

const STRATEGY: Param = Param { name: "strategy", default: "auto", help: "which classes", kind: NAMES, ..Param::NONE };
const RATIO: Param = Param {
    name: "ratio",
    default: "none",
    help: "instead of a strategy, with two classes: rows of the smaller for each row of the larger",
    kind: Kind::Number { range: (Excluded(0.0), Included(1.0)), or: Some("none") },
    ..Param::NONE
};
const COUNTS: Param = Param {
    name: "counts",
    default: "none",
    help: "instead of a strategy: rows wanted of each class, as NAME=ROWS,NAME=ROWS",
    ..Param::NONE
};
const PERCENT: Param = Param {
    name: "percent",
    default: "none",
    help: "instead of a strategy: over-sampling makes new rows in per cent of the smallest class (below 100, or a multiple of \
           it), as in the paper; under-sampling leaves the smallest class this per cent of every other one",
    kind: Kind::Whole { range: (Included(1), Included(u32::MAX as usize)), or: Some("none") },
    ..Param::NONE
};

impl Settings for Strategy {
    const PARAMS: &'static [Param] = &[STRATEGY, RATIO, COUNTS, PERCENT];

    /// At most one of them is given; the value `none` is as good as not given.
    fn from_params(params: &Params) -> Result<Self> {
        let counts = params.get("counts").filter(|text| *text != "none").map(counts).transpose()?;
        let given: Vec<(&str, Strategy)> = [
            ("strategy", Some(Strategy::named(params.choose(&STRATEGY)?)?).filter(|named| *named != Strategy::Auto)),
            ("ratio", params.number(&RATIO)?.map(Strategy::Ratio)),
            ("counts", counts.map(Strategy::Counts)),
            ("percent", params.whole(&PERCENT)?.map(|percent| Strategy::Percent(percent as u32))),
        ]
        .into_iter()
        .filter_map(|(name, strategy)| Some((name, strategy?)))
        .collect();
        match given.as_slice() {
            [] => Ok(Strategy::Auto),
            [(_, one)] => Ok(one.clone()),
            several => {
                let got: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
                let want = "give only one of strategy, ratio, counts and percent";
                Err(Error::input("strategy", format!("`{}`", got.join(" and ")), want))
            }
        }
    }
}

/// `NAME=ROWS,NAME=ROWS`. A name may contain `=`; one with a comma cannot be given this way.
fn counts(text: &str) -> Result<BTreeMap<String, usize>> {
    let pair = |pair: &str| {
        let (name, rows) = pair.rsplit_once('=')?;
        Some((name.trim().to_owned(), rows.trim().parse().ok()?))
    };
    let want =
        || Error::input("counts", format!("`{text}`"), "write NAME=ROWS,NAME=ROWS, for example spam=500,ham=800");
    text.split(',').map(|one| pair(one).ok_or_else(want)).collect()
}

impl Strategy {
    /// The strategy of this name.
    pub(crate) fn named(name: &str) -> Result<Strategy> {
        let named = [Strategy::Auto, Strategy::NotMajority, Strategy::Minority, Strategy::All];
        let Kind::Choice(names) = NAMES else { return Ok(Strategy::Auto) };
        let found = names.iter().zip(named).find(|((known, _), _)| *known == name).map(|(_, strategy)| strategy);
        found.ok_or_else(|| {
            let names: Vec<String> = names.iter().map(|(name, _)| format!("`{name}`")).collect();
            Error::input("strategy", format!("`{name}`"), format!("use {}", names.join(" or ")))
        })
    }

    /// For over-sampling: the classes that get new rows and how many, by class number.
    ///
    /// Errors: fewer than two classes; a ratio outside (0, 1] or with more than two classes; an unknown class; a wanted
    /// count below the present one; a per cent of 0, or from 100 on no multiple of 100.
    pub fn new_rows(&self, data: &Labelled) -> Result<Vec<(u32, usize)>> {
        let sizes = Sizes::of(data)?;
        let level = |class: &(u32, usize)| (class.0, sizes.largest.1 - class.1);
        let mut wanted: Vec<(u32, usize)> = match self {
            Strategy::Auto | Strategy::NotMajority | Strategy::All => sizes.present.iter().map(level).collect(),
            Strategy::Minority => vec![level(&sizes.smallest)],
            Strategy::Ratio(ratio) => {
                let (class, present) = sizes.smallest_of_two(*ratio)?;
                let more = sizes.largest.1 as f64 * ratio - present as f64;
                if more < 0.0 {
                    let got =
                        format!("{ratio}, that is {} rows of {}", (more + present as f64).floor(), data.class(class));
                    let want = format!("it already has {present}: use a larger ratio, or an under-sampling method");
                    return Err(Error::input("ratio", got, want));
                }
                vec![(class, more as usize)]
            }
            Strategy::Counts(counts) => {
                let mut wanted = Vec::new();
                for (class, present, count) in sizes.counts(data, counts)? {
                    let more = count.checked_sub(present).ok_or_else(|| {
                        let want = format!("over-sampling keeps all {present} rows: ask for {present} or more");
                        Error::input(format!("rows wanted of {}", data.class(class)), count, want)
                    })?;
                    wanted.push((class, more));
                }
                wanted
            }
            Strategy::Percent(percent) => {
                if *percent == 0 || (*percent >= 100 && percent % 100 != 0) {
                    return Err(Error::input("percent", percent, "use 1 to 99, or a multiple of 100"));
                }
                vec![(sizes.smallest.0, percent_of(sizes.smallest.1, *percent))]
            }
        };
        if let Some((class, more)) = wanted.iter().find(|(_, more)| *more > u32::MAX as usize) {
            let what = format!("new rows of {}", data.class(*class));
            return Err(Error::input(what, more, format!("use at most {}", u32::MAX)));
        }
        wanted.retain(|(_, more)| *more > 0);
        wanted.sort_unstable();
        Ok(wanted)
    }

    /// For under-sampling: the classes to draw from and how many rows to keep of each, by class number.
    ///
    /// Errors: fewer than two classes; [`Strategy::Minority`]; a ratio outside (0, 1] or with more than two classes; an
    /// unknown class; a wanted count above the present one; a per cent of 0 or one that leaves nothing.
    pub fn kept_rows(&self, data: &Labelled) -> Result<Vec<(u32, usize)>> {
        let sizes = Sizes::of(data)?;
        let (smallest, fewest) = sizes.smallest;
        let down_to_smallest = |spared: Option<u32>| {
            sizes
                .present
                .iter()
                .filter(|(class, _)| Some(*class) != spared)
                .map(|(class, _)| (*class, fewest))
                .collect()
        };
        Ok(match self {
            Strategy::Auto => down_to_smallest(Some(smallest)),
            Strategy::NotMajority => down_to_smallest(Some(sizes.largest.0)),
            Strategy::All => down_to_smallest(None),
            Strategy::Minority => {
                let want = "under-sampling takes rows from larger classes: use auto, a ratio or counts";
                return Err(Error::input("strategy", "minority", want));
            }
            Strategy::Ratio(ratio) => {
                sizes.smallest_of_two(*ratio)?;
                let (class, present) = sizes.largest;
                let left = (fewest as f64 / ratio) as usize;
                if left > present {
                    let got = format!("{ratio}, that is {left} rows of {}", data.class(class));
                    let want = format!("it only has {present}: use a larger ratio, or an over-sampling method");
                    return Err(Error::input("ratio", got, want));
                }
                vec![(class, left)]
            }
            Strategy::Counts(counts) => {
                let mut wanted = Vec::new();
                for (class, present, count) in sizes.counts(data, counts)? {
                    if count > present {
                        let want = format!("under-sampling can keep at most the {present} rows there are");
                        return Err(Error::input(format!("rows wanted of {}", data.class(class)), count, want));
                    }
                    wanted.push((class, count));
                }
                wanted
            }
            Strategy::Percent(percent) => {
                let left = (100 * fewest as u64).checked_div(u64::from(*percent)).unwrap_or(0) as usize;
                if left == 0 {
                    let want = format!("use 1 to {}: {} has {fewest} rows", 100 * fewest, data.class(smallest));
                    return Err(Error::input("percent", percent, want));
                }
                let others = sizes.present.iter().filter(|(class, _)| *class != smallest);
                others.map(|&(class, present)| (class, left.min(present))).collect()
            }
        })
    }

    /// For cleaning: whether rows of each class (by number) may be removed.
    ///
    /// Errors: fewer than two classes; a strategy that wants a number of rows, which cleaning cannot promise.
    pub fn cleaned(&self, data: &Labelled) -> Result<Vec<bool>> {
        let sizes = Sizes::of(data)?;
        let all = 0..data.classes.len() as u32;
        Ok(match self {
            Strategy::Auto => all.map(|class| class != sizes.smallest.0).collect(),
            Strategy::NotMajority => all.map(|class| class != sizes.largest.0).collect(),
            Strategy::Minority => all.map(|class| class == sizes.smallest.0).collect(),
            Strategy::All => all.map(|_| true).collect(),
            Strategy::Ratio(_) | Strategy::Counts(_) | Strategy::Percent(_) => {
                let want = "cleaning removes the rows its rule finds, however many: use auto, not-majority, minority \
                            or all";
                return Err(Error::input("strategy", "a number of rows", want));
            }
        })
    }
}

/// N% of `rows`, rounded down.
pub(crate) fn percent_of(rows: usize, percent: u32) -> usize {
    (rows as u64 * u64::from(percent) / 100) as usize
}

/// The classes that have rows, as (class, rows).
struct Sizes {
    present: Vec<(u32, usize)>,
    largest: (u32, usize),
    smallest: (u32, usize),
}

impl Sizes {
    fn of(data: &Labelled) -> Result<Sizes> {
        let present: Vec<(u32, usize)> = (0..).zip(data.counts()).filter(|(_, rows)| *rows > 0).collect();
        let largest = present.iter().copied().reduce(|best, class| if class.1 > best.1 { class } else { best });
        let smallest = present.iter().copied().reduce(|best, class| if class.1 < best.1 { class } else { best });
        match (largest, smallest) {
            (Some(largest), Some(smallest)) if present.len() > 1 => Ok(Sizes { present, largest, smallest }),
            _ => Err(Error::input("labels", format!("{} class", present.len()), "there must be more than 1 class")),
        }
    }

    /// The smaller class of exactly two, for a usable ratio.
    fn smallest_of_two(&self, ratio: f64) -> Result<(u32, usize)> {
        if !(ratio > 0.0 && ratio <= 1.0) {
            return Err(Error::input("ratio", ratio, "use a number in (0, 1]"));
        }
        if self.present.len() > 2 {
            let want = format!(
                "a ratio needs 2 classes and there are {}: use auto, or counts for each class",
                self.present.len()
            );
            return Err(Error::input("ratio", ratio, want));
        }
        Ok(self.smallest)
    }

    /// (class, rows present, rows wanted) of the named classes, by class number.
    fn counts(&self, data: &Labelled, counts: &BTreeMap<String, usize>) -> Result<Vec<(u32, usize, usize)>> {
        let mut found = Vec::new();
        for (name, &count) in counts {
            let class = self.present.iter().find(|(class, _)| &data.classes[*class as usize] == name);
            let &(class, present) = class.ok_or_else(|| {
                let names: Vec<String> = self.present.iter().map(|(class, _)| data.class(*class)).collect();
                Error::input("class to resample", format!("`{name}`"), format!("there are {}", names.join(", ")))
            })?;
            found.push((class, present, count));
        }
        found.sort_unstable();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn table(sizes: &[usize]) -> Labelled {
        let y: Vec<u32> = (0..).zip(sizes).flat_map(|(class, n)| std::iter::repeat_n(class, *n)).collect();
        Labelled::new(Array2::zeros((y.len(), 1)), y)
    }

    fn counts(pairs: &[(&str, usize)]) -> Strategy {
        Strategy::Counts(pairs.iter().map(|(name, n)| (name.to_string(), *n)).collect())
    }

    /// A strategy, the classes' sizes, what it asks for.
    type Case = (Strategy, &'static [usize], &'static [(u32, usize)]);

    #[test]
    fn over_sampling_counts() {
        let cases: [Case; 12] = [
            (Strategy::Auto, &[3, 9, 5], &[(0, 6), (2, 4)]),
            (Strategy::NotMajority, &[3, 9, 9], &[(0, 6)]),
            (Strategy::All, &[3, 9, 5], &[(0, 6), (2, 4)]),
            (Strategy::Minority, &[5, 3, 9, 3], &[(1, 6)]),
            (Strategy::Auto, &[4, 4], &[]),
            (Strategy::Ratio(0.8), &[30, 64], &[(0, 21)]),
            (Strategy::Ratio(1.0), &[4, 4], &[]),
            (Strategy::Ratio(0.5), &[0, 4, 8], &[]),
            (counts(&[("2", 7), ("0", 3)]), &[3, 9, 5], &[(2, 2)]),
            (Strategy::Percent(50), &[9, 5], &[(1, 2)]),
            (Strategy::Percent(300), &[9, 5], &[(1, 15)]),
            (Strategy::Auto, &[0, 2, 0, 3], &[(1, 1)]),
        ];
        for (strategy, sizes, expected) in cases {
            assert_eq!(strategy.new_rows(&table(sizes)).unwrap(), expected, "{strategy:?} {sizes:?}");
        }
    }

    #[test]
    fn under_sampling_counts() {
        let cases: [Case; 8] = [
            (Strategy::Auto, &[3, 9, 5], &[(1, 3), (2, 3)]),
            (Strategy::NotMajority, &[3, 9, 5], &[(0, 3), (2, 3)]),
            (Strategy::All, &[3, 9], &[(0, 3), (1, 3)]),
            (Strategy::Ratio(0.4), &[3, 9], &[(1, 7)]),
            (counts(&[("1", 0)]), &[3, 9], &[(1, 0)]),
            (Strategy::Percent(200), &[6, 9], &[(1, 3)]),
            (Strategy::Percent(175), &[6, 9], &[(1, 3)]),
            (Strategy::Percent(10), &[6, 9], &[(1, 9)]),
        ];
        for (strategy, sizes, expected) in cases {
            assert_eq!(strategy.kept_rows(&table(sizes)).unwrap(), expected, "{strategy:?} {sizes:?}");
        }
    }

    #[test]
    fn cleaned_classes() {
        let data = table(&[3, 9, 5]);
        for (strategy, expected) in [
            (Strategy::Auto, [false, true, true]),
            (Strategy::NotMajority, [true, false, true]),
            (Strategy::Minority, [true, false, false]),
            (Strategy::All, [true; 3]),
        ] {
            assert_eq!(strategy.cleaned(&data).unwrap(), expected, "{strategy:?}");
        }
    }

    #[test]
    fn errors_say_both_numbers_and_what_to_do() {
        let two = table(&[3, 9]);
        let three = table(&[3, 9, 5]);
        let cases = [
            (Strategy::Auto.new_rows(&table(&[0, 4])), "labels: got 1 class; there must be more than 1 class"),
            (
                Strategy::Ratio(0.5).new_rows(&three),
                "ratio: got 0.5; a ratio needs 2 classes and there are 3: use auto",
            ),
            (Strategy::Ratio(1.5).new_rows(&two), "ratio: got 1.5; use a number in (0, 1]"),
            (Strategy::Ratio(f64::NAN).kept_rows(&two), "ratio: got NaN; use a number in (0, 1]"),
            (Strategy::Ratio(0.2).new_rows(&two), "ratio: got 0.2, that is 1 rows of class `0`; it already has 3"),
            (Strategy::Ratio(0.2).kept_rows(&two), "ratio: got 0.2, that is 15 rows of class `1`; it only has 9"),
            (counts(&[("0", 2)]).new_rows(&two), "rows wanted of class `0`: got 2; over-sampling keeps all 3 rows"),
            (
                counts(&[("1", 10)]).kept_rows(&two),
                "rows wanted of class `1`: got 10; under-sampling can keep at most the 9",
            ),
            (counts(&[("x", 10)]).new_rows(&two), "class to resample: got `x`; there are class `0`, class `1`"),
            (Strategy::Percent(150).new_rows(&two), "percent: got 150; use 1 to 99, or a multiple of 100"),
            (
                counts(&[("0", usize::MAX)]).new_rows(&two),
                "new rows of class `0`: got 18446744073709551612; use at most 4294967295",
            ),
            (Strategy::Percent(0).new_rows(&two), "percent: got 0; use 1 to 99"),
            (Strategy::Percent(0).kept_rows(&two), "percent: got 0; use 1 to 300: class `0` has 3 rows"),
            (Strategy::Percent(301).kept_rows(&two), "percent: got 301; use 1 to 300"),
            (
                Strategy::Minority.kept_rows(&two),
                "strategy: got minority; under-sampling takes rows from larger classes",
            ),
        ];
        for (result, text) in cases {
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
        let error = Strategy::Ratio(0.5).cleaned(&two).unwrap_err().to_string();
        assert!(error.starts_with("strategy: got a number of rows; cleaning removes"), "{error}");
    }
}
