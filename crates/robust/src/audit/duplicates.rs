//! Rows that occur more than once.

use super::{Finding, Records, Trouble, p_value};
use quadrat_core::distributions::gamma;
use rayon::prelude::*;
use std::collections::HashMap;

/// The chance of telling of copies that came about by themselves.
const FALSE_ALARMS: f64 = 0.01;

/// Columns that go together make chance copies more frequent than their values alone say: up to so many times.
const TOGETHER: f64 = 5.0;

/// Though never so frequent that no pair would differ.
const ALMOST_ALWAYS: f64 = 0.9;

/// Rows by what they hold.
pub(super) struct Copies {
    /// The first row of each different one, ascending.
    pub distinct: Vec<usize>,
    /// The groups of rows that are the same in all columns, each ascending.
    pub groups: Vec<Vec<usize>>,
    pub findings: Vec<Finding>,
}

/// Finds rows that are the same in all columns, and tells of them unless a coarse table has such rows by itself.
///
/// In a table of few values rows meet by chance. Rows that agree in all columns but one show how often: of them, as many
/// should agree in the last one too as two of its values do. Where that explains the copies (times five, as columns go
/// together; Poisson's law at 1%) for any one column, they are no finding.
///
/// Cost: O(rows x columns x log rows).
pub(super) fn look(records: &Records) -> Copies {
    let rows = records.rows();
    let hashes: Vec<u64> = (0..rows).into_par_iter().map(|row| hash(records, row)).collect();
    let groups = grouped(&hashes);
    let mut first = vec![true; rows];
    groups.iter().for_each(|group| group[1..].iter().for_each(|row| first[*row] = false));
    let distinct = (0..rows).filter(|row| first[*row]).collect();
    let pairs: f64 = groups.iter().map(|group| pairs(group.len())).sum();
    let chance = if groups.is_empty() { 1.0 } else { by_chance(records, &hashes, pairs) };
    let findings = if chance <= FALSE_ALARMS { findings(records, &groups, chance) } else { Vec::new() };
    Copies { distinct, groups, findings }
}

fn findings(records: &Records, groups: &[Vec<usize>], chance: f64) -> Vec<Finding> {
    let all: Vec<usize> = (0..records.fields.len()).collect();
    let agree = |group: &&Vec<usize>| group.iter().all(|row| records.y[*row] == records.y[group[0]]);
    let (same, contradict): (Vec<&Vec<usize>>, Vec<&Vec<usize>>) = groups.iter().partition(agree);
    let sure = format!("p = {} that a table of these values holds so many by chance", p_value(chance));
    let mut findings = Vec::new();
    if !contradict.is_empty() {
        let rows: Vec<usize> = contradict.iter().flat_map(|group| group.iter().copied()).collect();
        findings.push(Finding {
            trouble: Trouble::CopiesAcrossLabels,
            columns: Vec::new(),
            count: rows.len(),
            said: format!(
                "{} rows are the same in {} columns as rows of another class, {} different ones",
                rows.len(),
                all.len(),
                contradict.len()
            ),
            rows,
            sure: sure.clone(),
        });
    }
    if !same.is_empty() {
        let rows: Vec<usize> = same.iter().flat_map(|group| group[1..].iter().copied()).collect();
        let are = if rows.len() == 1 { "row is a copy" } else { "rows are copies" };
        findings.push(Finding {
            trouble: Trouble::Copies,
            columns: Vec::new(),
            count: rows.len(),
            said: format!("{} {are} of an earlier one, class and all", rows.len()),
            rows,
            sure,
        });
    }
    findings
}

/// How probable so many equal pairs are, by the column that explains them best: of pairs that agree in all other columns,
/// as many should agree in this one too as its values do.
fn by_chance(records: &Records, hashes: &[u64], equal: f64) -> f64 {
    // One column says all: rows are equal where it is.
    if records.fields.len() == 1 {
        return 1.0;
    }
    let of = |c: usize| {
        let field = &records.fields[c];
        let cells: Vec<u64> = (0..records.rows()).map(|row| mix(c, field.key(row))).collect();
        let without: Vec<u64> = hashes.iter().zip(&cells).map(|(all, cell)| all.wrapping_sub(*cell)).collect();
        let differ = sizes(without).map(pairs).sum::<f64>() - equal;
        let alike = sizes(cells).map(pairs).sum::<f64>() / pairs(records.rows());
        let alike = (TOGETHER * alike).min(ALMOST_ALWAYS);
        let expected = differ * alike / (1.0 - alike);
        // P(Poisson(expected) >= equal).
        if expected > 0.0 { gamma(expected, equal).below } else { 0.0 }
    };
    (0..records.fields.len()).into_par_iter().map(of).collect::<Vec<f64>>().into_iter().fold(0.0, f64::max)
}

fn pairs(rows: usize) -> f64 {
    let rows = rows as f64;
    0.5 * rows * (rows - 1.0)
}

/// The sum of a number for each cell: what is left without a column is a subtraction. (Of 10^6 different rows two have the
/// same once in 10^7 times.)
fn hash(records: &Records, row: usize) -> u64 {
    records.fields.iter().enumerate().fold(0, |sum, (c, field)| sum.wrapping_add(mix(c, field.key(row))))
}

/// SplitMix64's finaliser.
fn mix(column: usize, cell: u64) -> u64 {
    let mut z = cell ^ (column as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How often each value occurs.
fn sizes(mut values: Vec<u64>) -> impl Iterator<Item = usize> {
    values.sort_unstable();
    values.chunk_by(|a, b| a == b).map(<[u64]>::len).collect::<Vec<_>>().into_iter()
}

/// The rows of each value that occurs more than once, in the order of their first row.
fn grouped(hashes: &[u64]) -> Vec<Vec<usize>> {
    let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
    hashes.iter().enumerate().for_each(|(row, hash)| groups.entry(*hash).or_default().push(row));
    let mut groups: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable_by_key(|group| group[0]);
    groups
}
