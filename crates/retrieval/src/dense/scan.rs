//! All rows before all queries, block by block.

use super::best::Best;
use super::{Found, check, not_finite};
use ndarray::{ArrayView2, Axis};
use quadrat_core::{Error, Progress, Result, checkpoint};
use quadrat_numeric::products::{PANEL, panel, products};
use quadrat_numeric::vectorised;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a block: with some hundred columns they stay in the second cache. A multiple of six, which are multiplied together.
pub const BLOCK: usize = 96;
/// Queries that pass over the rows together.
pub const TOGETHER: usize = 8 * PANEL;

/// Rows that can be had as single precision.
pub trait Stored: Sync {
    /// Rows and columns.
    fn shape(&self) -> (usize, usize);

    /// Some rows, one behind the other; `room` may hold them.
    fn block<'a>(&'a self, rows: Range<usize>, room: &'a mut Vec<f32>) -> &'a [f32];
}

/// A score that is not finite: its row, and its query among those that pass together.
struct Overflow {
    row: usize,
    query: usize,
}

/// [`super::search`] of rows however they are stored.
pub fn search(
    stored: &impl Stored,
    queries: ArrayView2<f32>,
    k: usize,
    allowed: Option<&[u64]>,
    progress: &dyn Progress,
) -> Result<Found> {
    let (rows, columns) = stored.shape();
    check(queries, columns, k)?;
    let k = k.min(eligible(rows, allowed)?);
    let mut found = Found { k, ..Found::default() };
    if k == 0 {
        return Ok(found);
    }
    let parts = parts(rows);
    progress.begin("searching", Some((queries.nrows().div_ceil(TOGETHER) * parts.len()) as u64));
    for (at, together) in queries.axis_chunks_iter(Axis(0), TOGETHER).enumerate() {
        let panels: Vec<(Vec<f32>, usize)> = together
            .axis_chunks_iter(Axis(0), PANEL)
            .map(|queries| {
                (panel(queries.as_standard_layout().as_slice().unwrap_or_default(), columns), queries.nrows())
            })
            .collect();
        let of_part = |rows: &Range<usize>| {
            checkpoint(progress)?;
            let best = part(stored, rows.clone(), &panels, k, allowed);
            progress.advance(1);
            Ok(best)
        };
        let found_in_parts: Vec<_> = parts.par_iter().map(of_part).collect::<Result<_>>()?;
        let mut all: Vec<Best> = (0..together.nrows()).map(|_| Best::new(k)).collect();
        for part in found_in_parts {
            let part = part.map_err(|o| explain(stored, o.row, at * TOGETHER + o.query))?;
            all.iter_mut().zip(&part).for_each(|(all, part)| all.append(part));
        }
        for (score, row) in all.into_iter().flat_map(Best::sorted) {
            found.rows.push(row);
            found.scores.push(score);
        }
    }
    Ok(found)
}

/// How many rows may be found.
pub fn eligible(rows: usize, allowed: Option<&[u64]>) -> Result<usize> {
    if u32::try_from(rows).is_err() {
        return Err(Error::input("rows", rows, format!("at most {} can be searched", u32::MAX)));
    }
    let Some(words) = allowed else { return Ok(rows) };
    if words.len() < rows.div_ceil(64) {
        let want = format!("{} words of 64 bits for {rows} rows", rows.div_ceil(64));
        return Err(Error::input("words of allowed rows", words.len(), want));
    }
    Ok((0..rows).filter(|row| is_allowed(allowed, *row)).count())
}

pub fn is_allowed(allowed: Option<&[u64]>, row: usize) -> bool {
    allowed.is_none_or(|words| (words[row / 64] >> (row % 64)) & 1 == 1)
}

/// Whole blocks for the threads to share: some parts each, but long ones, since each begins without a bar.
pub fn parts(rows: usize) -> Vec<Range<usize>> {
    let length = rows.div_ceil(4 * rayon::current_num_threads()).max(4096).next_multiple_of(BLOCK);
    (0..rows).step_by(length).map(|start| start..(start + length).min(rows)).collect()
}

/// The best of some rows for each query.
fn part(
    stored: &impl Stored,
    rows: Range<usize>,
    panels: &[(Vec<f32>, usize)],
    k: usize,
    allowed: Option<&[u64]>,
) -> std::result::Result<Vec<Best>, Overflow> {
    let columns = stored.shape().1;
    let mut best: Vec<Vec<Best>> =
        panels.iter().map(|(_, queries)| (0..*queries).map(|_| Best::new(k)).collect()).collect();
    // No score is above the bar of a query that is not there.
    let bar =
        |best: &Vec<Best>| std::array::from_fn(|j| if j < best.len() { f32::NEG_INFINITY } else { f32::INFINITY });
    let mut bars: Vec<[f32; PANEL]> = best.iter().map(bar).collect();
    let (mut room, mut scores, mut marks) = (Vec::new(), [[0.0; PANEL]; BLOCK], [false; BLOCK]);
    for start in rows.clone().step_by(BLOCK) {
        let block = start..(start + BLOCK).min(rows.end);
        let scores = &mut scores[..block.len()];
        let values = stored.block(block, &mut room);
        for (at, (panel, _)) in panels.iter().enumerate() {
            products(values, columns, panel, scores);
            if !vectorised(|| mark(scores, &bars[at], &mut marks[..scores.len()])) {
                return Err(first_overflow(scores, start, at * PANEL));
            }
            let bars = &mut bars[at];
            for i in (0..scores.len()).filter(|i| marks[*i] && is_allowed(allowed, start + i)) {
                for (j, best) in best[at].iter_mut().enumerate() {
                    if scores[i][j] > bars[j] {
                        bars[j] = best.push(scores[i][j], (start + i) as u32);
                    }
                }
            }
        }
    }
    Ok(best.into_iter().flatten().collect())
}

/// Marks the rows of which some score is above its bar, and says whether all scores are finite.
#[inline(always)]
fn mark(scores: &[[f32; PANEL]], bars: &[f32; PANEL], marks: &mut [bool]) -> bool {
    // What is not finite makes NaN of 0.
    let mut zeros = [0.0; PANEL];
    for (scores, mark) in scores.iter().zip(marks) {
        *mark = (0..PANEL).fold(false, |any, j| any | (scores[j] > bars[j]));
        zeros.iter_mut().zip(scores).for_each(|(zero, score)| *zero += 0.0 * score);
    }
    zeros == [0.0; PANEL]
}

fn first_overflow(scores: &[[f32; PANEL]], start: usize, first_query: usize) -> Overflow {
    let found =
        scores.iter().enumerate().find_map(|(i, scores)| Some((i, scores.iter().position(|s| !s.is_finite())?)));
    let (i, j) = found.unwrap_or_default();
    Overflow { row: start + i, query: first_query + j }
}

/// Why a score is not finite.
pub fn explain(stored: &impl Stored, row: usize, query: usize) -> Error {
    let mut room = Vec::new();
    let values = stored.block(row..row + 1, &mut room);
    match values.iter().position(|value| !value.is_finite()) {
        Some(column) => not_finite("row", row, column, values[column]),
        None => {
            let want = "single precision does not hold it: make the vectors shorter";
            Error::input(format!("score of query {query} and row {row}"), "an infinite one", want)
        }
    }
}
