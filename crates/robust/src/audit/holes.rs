//! Missing values, and whether a class lacks them more often than the others.

use super::{Finding, Records, Trouble};
use quadrat_core::distributions::ln_gamma;
use rayon::prelude::*;

/// The chance of naming a column although gaps fall on all classes alike, over all columns together.
const FALSE_ALARMS: f64 = 0.01;

/// A class must lack a value more, or less, often than the other rows by so much for the difference to be told.
const MATTERS: f64 = 0.05;

/// What is missing at all, and the columns in which that depends on the class.
///
/// Each class is compared with all other rows by Fisher's exact test, two-sided (twice the smaller tail), Bonferroni's
/// correction over the classes of a column and Holm's over columns.
pub(super) fn look(records: &Records) -> Vec<Finding> {
    let holed: Vec<(usize, Vec<usize>)> = (0..records.fields.len())
        .into_par_iter()
        .map(|c| (c, (0..records.rows()).filter(|row| records.fields[c].lacks(*row)).collect::<Vec<usize>>()))
        .filter(|(_, rows)| !rows.is_empty() && rows.len() < records.rows())
        .collect();
    if holed.is_empty() {
        return Vec::new();
    }
    let mut tested: Vec<(usize, Told)> =
        holed.par_iter().enumerate().map(|(at, (_, rows))| (at, test(records, rows))).collect();
    tested.sort_by(|a, b| a.1.p.total_cmp(&b.1.p));
    let tests = tested.len();
    let significant =
        tested.iter().enumerate().take_while(|(i, (_, told))| told.p * (tests - i) as f64 <= FALSE_ALARMS).count();
    let (by_class, others): (Vec<usize>, Vec<usize>) = {
        let named = |at: &usize| tested[..significant].iter().any(|(t, told)| t == at && told.difference() >= MATTERS);
        (0..holed.len()).partition(named)
    };
    let finding = |trouble, columns: &[usize], said: String, sure: String| {
        let mut lacks = vec![false; records.rows()];
        columns.iter().for_each(|at| holed[*at].1.iter().for_each(|row| lacks[*row] = true));
        let rows: Vec<usize> = (0..records.rows()).filter(|row| lacks[*row]).collect();
        Finding {
            trouble,
            columns: columns.iter().map(|at| holed[*at].0).collect(),
            count: rows.len(),
            rows,
            said,
            sure,
        }
    };
    let named = |columns: &[usize]| {
        const SHOWN: usize = 4;
        let mut most = columns.to_vec();
        most.sort_by_key(|at| std::cmp::Reverse(holed[*at].1.len()));
        let one = |at: &usize| {
            format!("`{}` ({:.0}%)", records.fields[holed[*at].0].name, percent(holed[*at].1.len(), records.rows()))
        };
        let shown: Vec<String> = most.iter().take(SHOWN).map(one).collect();
        let more = most.len().saturating_sub(SHOWN);
        shown.join(", ") + &if more > 0 { format!(" and {more} more columns") } else { String::new() }
    };
    let mut findings = Vec::new();
    if let Some((at, told)) = tested.iter().find(|(at, _)| by_class.contains(at)) {
        let said = format!(
            "values are missing by class in {}: of `{}`, {:.0}% of the rows of class `{}` lack it and {:.0}% of the others",
            named(&by_class),
            records.fields[holed[*at].0].name,
            100.0 * told.inside,
            records.classes[told.class],
            100.0 * told.outside,
        );
        let p = told.p * tests as f64;
        let sure = format!("p = {} (Fisher's exact test, corrected for {tests} columns)", super::p_value(p));
        findings.push(finding(Trouble::HolesByClass, &by_class, said, sure));
    }
    if !others.is_empty() {
        let said = format!("values are missing in {}", named(&others));
        let sure = "counted; no class lacks them clearly more often than the others".to_owned();
        findings.push(finding(Trouble::Holes, &others, said, sure));
    }
    findings
}

/// The class that stands out most in a column.
struct Told {
    p: f64,
    class: usize,
    /// Share of the class's rows that lack the value, and of the other rows.
    inside: f64,
    outside: f64,
}

impl Told {
    fn difference(&self) -> f64 {
        (self.inside - self.outside).abs()
    }
}

fn test(records: &Records, missing: &[usize]) -> Told {
    let counts = records.counts();
    let mut hits = vec![0; counts.len()];
    missing.iter().for_each(|row| hits[records.y[*row] as usize] += 1);
    let (n, gaps) = (records.rows(), missing.len());
    let compared = counts.iter().filter(|count| **count > 0 && **count < n).count();
    let of = |class: usize| Told {
        p: (two_sided(hits[class], gaps, counts[class], n) * compared as f64).min(1.0),
        class,
        inside: hits[class] as f64 / counts[class] as f64,
        outside: (gaps - hits[class]) as f64 / (n - counts[class]) as f64,
    };
    let all = (0..counts.len()).filter(|class| counts[*class] > 0 && counts[*class] < n).map(of);
    let order = |a: &Told, b: &Told| a.p.total_cmp(&b.p).then(b.difference().total_cmp(&a.difference()));
    all.min_by(order).unwrap_or(Told { p: 1.0, class: 0, inside: 0.0, outside: 0.0 })
}

/// Twice the smaller tail of the hypergeometric law: `hits` of `drawn` rows among the `marked` ones of `n`.
fn two_sided(hits: usize, drawn: usize, marked: usize, n: usize) -> f64 {
    let choose = |n: usize, k: usize| {
        let f = |m: usize| ln_gamma(m as f64 + 1.0);
        f(n) - f(k) - f(n - k)
    };
    let (least, most) = ((drawn + marked).saturating_sub(n), drawn.min(marked));
    let log = |k: usize| choose(marked, k) + choose(n - marked, drawn - k) - choose(n, drawn);
    let here = log(hits).exp();
    // Chances fall off on either side of the mode: the sum may end where they vanish.
    let tail = |chances: &mut dyn Iterator<Item = usize>| {
        let mut sum = 0.0;
        for k in chances {
            let chance = log(k).exp();
            sum += chance;
            if chance < 1e-17 * sum {
                break;
            }
        }
        sum
    };
    let mode = (drawn + 1) as f64 * (marked + 1) as f64 / (n + 2) as f64;
    let outer = if (hits as f64) < mode { tail(&mut (least..hits).rev()) } else { tail(&mut (hits + 1..=most)) };
    (2.0 * (here + outer)).min(1.0)
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.hypergeom 1.16: 2 min(cdf(k), sf(k - 1)) with N, marked, drawn.
    #[test]
    fn tails_are_the_hypergeometric_laws() {
        for (hits, drawn, marked, n, expected) in [
            (0, 5, 5, 10, 0.007936507936507936),
            (5, 5, 5, 10, 0.007936507936507936),
            (3, 10, 30, 100, 1.0),
            (9, 10, 30, 100, 0.00011918279307435856),
        ] {
            let p = two_sided(hits, drawn, marked, n);
            assert!((p - expected).abs() < 1e-6 * expected, "{hits} {drawn} {marked} {n}: {p}");
        }
        // The largest tail is found on whichever side the mode lies.
        assert!(two_sided(30_000, 60_000, 30_000, 60_000) > 0.9 && two_sided(0, 500, 500, 1000) < 1e-200);
    }
}
