//! How good a ranking is, by judgements.
//!
//! A [`Measure`] sees the levels of the ranked documents, best first, and all levels that were judged for the query. One
//! rule for all measures, trec_eval's: levels above 0 are relevant; a document without a judgement is not relevant. A query
//! without any relevant document has the value 0 by all measures but `judged`.
//!
//! | name | what it is |
//! |---|---|
//! | `ndcg@k` | the sum of level / log2(1 + rank) over the first k, divided by what the best order has (Järvelin and Kekäläinen 2002; trec_eval's `ndcg_cut`) |
//! | `ndcg_exp@k` | the same with the gain 2^level - 1 (Burges et al. 2005) |
//! | `map@k` | the sum of the precisions at the ranks of relevant documents among the first k, divided by the number of relevant documents |
//! | `mrr@k` | 1 / rank of the first relevant document; 0 where there is none among the first k |
//! | `recall@k` | relevant documents among the first k, divided by the number of relevant documents |
//! | `precision@k` | relevant documents among the first k, divided by k |
//! | `success@k`, `hits@k` | 1 if there is a relevant document among the first k |
//! | `judged@k` | the share of documents with a judgement among the first k |
//! | `rprec` | precision among the first R, with R the number of relevant documents |
//! | `bpref` | how rarely documents judged as level 0 stand above relevant ones (Buckley and Voorhees 2004) |
//!
//! `ndcg`, `ndcg_exp`, `map` and `mrr` without `@k` look at the whole ranking.

use quadrat_core::{Error, Result};

/// A measure of a ranking, such as `ndcg@10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    kind: Kind,
    /// How many ranks are looked at; `usize::MAX` for all.
    cut: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ndcg,
    NdcgExp,
    AveragePrecision,
    ReciprocalRank,
    Recall,
    Precision,
    Success,
    Judged,
    RPrecision,
    Bpref,
}

/// Whether a measure says how many ranks it looks at.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    May,
    Must,
    Never,
}

const NAMES: [(&str, Kind, Cut); 11] = [
    ("ndcg", Kind::Ndcg, Cut::May),
    ("ndcg_exp", Kind::NdcgExp, Cut::May),
    ("map", Kind::AveragePrecision, Cut::May),
    ("mrr", Kind::ReciprocalRank, Cut::May),
    ("recall", Kind::Recall, Cut::Must),
    ("precision", Kind::Precision, Cut::Must),
    ("success", Kind::Success, Cut::Must),
    ("hits", Kind::Success, Cut::Must),
    ("judged", Kind::Judged, Cut::Must),
    ("rprec", Kind::RPrecision, Cut::Never),
    ("bpref", Kind::Bpref, Cut::Never),
];

impl Measure {
    /// The measure that a text names: `map`, `recall@100`.
    ///
    /// # Errors
    /// No such name; a number of ranks that is missing, is not wanted, or is no whole number from 1.
    pub fn parse(text: &str) -> Result<Measure> {
        let (name, cut) = text.split_once('@').map_or((text, None), |(name, cut)| (name, Some(cut)));
        let fail = |want: String| Error::input("measure", format!("`{text}`"), want);
        let Some((_, kind, wants)) = NAMES.iter().find(|known| known.0 == name) else {
            let known = NAMES.map(|(name, _, cut)| match cut {
                Cut::May => format!("{name}[@k]"),
                Cut::Must => format!("{name}@k"),
                Cut::Never => name.to_owned(),
            });
            return Err(fail(format!("use one of {}", known.join(", "))));
        };
        let cut = match (cut, wants) {
            (None, Cut::Must) => return Err(fail(format!("say among how many documents, as in {name}@10"))),
            (Some(_), Cut::Never) => return Err(fail(format!("{name} has no @: it looks at the whole ranking"))),
            (None, _) => usize::MAX,
            (Some(cut), _) => match cut.parse() {
                Ok(cut) if cut > 0 => cut,
                _ => return Err(fail("behind @ stands a whole number from 1".to_owned())),
            },
        };
        Ok(Measure { kind: *kind, cut })
    }

    /// The value for one query, 0 to 1. `ranked` holds the level of each document found, best first, `None` for one without a
    /// judgement; `judged` all levels of the query's judgements in any order, those found included.
    ///
    /// Cost: O(found), and sorting `judged` for `ndcg`.
    ///
    /// ```
    /// use quadrat_retrieval::measures::Measure;
    /// let (ranked, judged) = ([None, Some(1), Some(0), Some(2)], [2, 1, 0, -1]);
    /// assert_eq!(Measure::parse("mrr@10")?.of(&ranked, &judged), 0.5);
    /// assert_eq!(Measure::parse("map")?.of(&ranked, &judged), (1.0 / 2.0 + 2.0 / 4.0) / 2.0);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn of(&self, ranked: &[Option<i32>], judged: &[i32]) -> f64 {
        let relevant = judged.iter().filter(|level| **level > 0).count();
        let top = &ranked[..self.cut.min(ranked.len())];
        if self.kind == Kind::Judged {
            return top.iter().flatten().count() as f64 / top.len().max(1) as f64;
        }
        if relevant == 0 {
            return 0.0;
        }
        let hits = |ranks: &[Option<i32>]| ranks.iter().filter(|level| is_relevant(**level)).count() as f64;
        match self.kind {
            Kind::Ndcg => ndcg(top, judged, self.cut, f64::from),
            Kind::NdcgExp => {
                // 2^level - 1, divided by the largest power: that cancels, and no level is too high.
                let largest = f64::from(judged.iter().copied().max().unwrap_or(0));
                ndcg(top, judged, self.cut, |level| (f64::from(level) - largest).exp2() - (-largest).exp2())
            }
            Kind::AveragePrecision => average_precision(top) / relevant as f64,
            Kind::ReciprocalRank => {
                top.iter().position(|level| is_relevant(*level)).map_or(0.0, |at| 1.0 / (at + 1) as f64)
            }
            Kind::Recall => hits(top) / relevant as f64,
            Kind::Precision => hits(top) / self.cut as f64,
            Kind::Success => hits(top).min(1.0),
            Kind::RPrecision => hits(&ranked[..relevant.min(ranked.len())]) / relevant as f64,
            Kind::Bpref => bpref(ranked, judged, relevant),
            Kind::Judged => 0.0,
        }
    }
}

fn is_relevant(level: Option<i32>) -> bool {
    level.is_some_and(|level| level > 0)
}

/// Discounted gains of the ranking, divided by those of the best order of what was judged.
fn ndcg(top: &[Option<i32>], judged: &[i32], cut: usize, gain: impl Fn(i32) -> f64) -> f64 {
    let discounted = |at: usize, level: i32| gain(level) / ((at + 2) as f64).log2();
    let mut best: Vec<i32> = judged.iter().copied().filter(|level| *level > 0).collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    let ideal: f64 = best.iter().take(cut).enumerate().map(|(at, level)| discounted(at, *level)).sum();
    let found = top.iter().enumerate().filter_map(|(at, level)| Some((at, (*level).filter(|level| *level > 0)?)));
    found.map(|(at, level)| discounted(at, level)).sum::<f64>() / ideal
}

/// The sum of the precisions at the relevant documents' ranks.
fn average_precision(top: &[Option<i32>]) -> f64 {
    let (mut hits, mut sum) = (0, 0.0);
    for (at, _) in top.iter().enumerate().filter(|(_, level)| is_relevant(**level)) {
        hits += 1;
        sum += f64::from(hits) / (at + 1) as f64;
    }
    sum
}

/// For each relevant document found, the share of the first R documents of level 0 that do not stand above it.
fn bpref(ranked: &[Option<i32>], judged: &[i32], relevant: usize) -> f64 {
    let others = judged.iter().filter(|level| **level == 0).count().min(relevant);
    let (mut above, mut sum) = (0, 0.0);
    for level in ranked.iter().flatten() {
        match level {
            0 => above += 1,
            1.. if above > 0 => sum += 1.0 - above.min(relevant) as f64 / others as f64,
            1.. => sum += 1.0,
            _ => {}
        }
    }
    sum / relevant as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(measure: &str, ranked: &[Option<i32>], judged: &[i32]) -> f64 {
        Measure::parse(measure).unwrap().of(ranked, judged)
    }

    /// pytrec_eval 0.5.11 on a query judged a 1, b 0, c 2, d -1, found as z d c b a.
    #[test]
    fn the_values_of_a_small_ranking() {
        let (ranked, judged) = ([None, Some(-1), Some(2), Some(0), Some(1)], [1, 0, 2, -1]);
        for (measure, expected) in [
            ("map", 0.366_667),
            ("ndcg@10", 0.527_134),
            ("mrr", 1.0 / 3.0),
            ("mrr@2", 0.0),
            ("precision@5", 0.4),
            ("precision@10", 0.2),
            ("bpref", 0.5),
            ("rprec", 0.0),
            ("recall@3", 0.5),
            ("success@2", 0.0),
            ("hits@3", 1.0),
            ("judged@5", 0.8),
            ("judged@1", 0.0),
            ("judged@9", 0.8),
            ("map@3", 1.0 / 6.0),
        ] {
            let found = value(measure, &ranked, &judged);
            assert!((found - expected).abs() < 1e-6, "{measure}: {found}");
        }
        // ranx: judged a 1, b 3, found as a, b.
        assert!((value("ndcg", &[Some(1), Some(3)], &[1, 3]) - 0.796_707_6).abs() < 1e-7);
        assert!((value("ndcg_exp", &[Some(1), Some(3)], &[1, 3]) - 0.709_809_7).abs() < 1e-7);
    }

    #[test]
    fn degenerate_rankings_have_values() {
        for (name, _, wants) in NAMES {
            let measure = if wants == Cut::Must { format!("{name}@3") } else { name.to_owned() };
            assert_eq!(value(&measure, &[], &[1, 0]), 0.0, "{measure}");
            let nothing_relevant = value(&measure, &[Some(0), Some(-1)], &[0, -1]);
            assert_eq!(nothing_relevant, f64::from(u8::from(name == "judged")), "{measure}");
            let best = value(&measure, &[Some(1); 3], &[1; 3]);
            assert!((best - 1.0).abs() < 1e-15, "{measure}: {best}");
        }
        // Gains beyond any number.
        assert_eq!(value("ndcg_exp@2", &[Some(i32::MAX)], &[i32::MAX, 1]), 1.0);
    }

    #[test]
    fn what_is_no_measure_is_refused() {
        for (text, part) in [
            ("ndgc@10", "use one of ndcg[@k], ndcg_exp[@k], map[@k], mrr[@k], recall@k"),
            ("recall", "as in recall@10"),
            ("rprec@5", "rprec has no @"),
            ("map@0", "a whole number from 1"),
            ("map@ten", "a whole number from 1"),
            ("", "use one of"),
        ] {
            let message = Measure::parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    proptest! {
        #[test]
        fn values_lie_between_0_and_1_and_the_best_order_has_1(
            judged in prop::collection::vec(-2..4_i32, 1..20),
            found in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            strangers in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            cut in 1..25_usize,
        ) {
            // Each judged document at most once, with unjudged ones between.
            let mut places: Vec<usize> = found.iter().map(|i| i.index(judged.len())).collect();
            let mut seen = std::collections::HashSet::new();
            places.retain(|place| seen.insert(*place));
            let mut ranked: Vec<Option<i32>> = places.iter().map(|place| Some(judged[*place])).collect();
            strangers.iter().for_each(|at| ranked.insert(at.index(ranked.len() + 1), None));
            let mut best: Vec<Option<i32>> = judged.iter().map(|level| Some(*level)).collect();
            best.sort_unstable_by(|a, b| b.cmp(a));
            let relevant = judged.iter().any(|level| *level > 0);
            for (name, kind, wants) in NAMES {
                let measure = Measure { kind, cut: if wants == Cut::Never { usize::MAX } else { cut } };
                let found = measure.of(&ranked, &judged);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&found), "{}: {}", name, found);
                if ["ndcg", "ndcg_exp", "mrr", "success", "rprec", "bpref"].contains(&name) {
                    let ideal = measure.of(&best, &judged);
                    prop_assert!((ideal - f64::from(u8::from(relevant))).abs() < 1e-12, "{}: {}", name, ideal);
                }
            }
        }
    }
}
