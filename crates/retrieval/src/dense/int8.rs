//! A byte a value, and the same list.
//!
//! A row x is coded as whole numbers times a scale, x', with an error of known length |x - x'|; so is a query q, more finely. By
//! Cauchy and Schwarz
//!
//! |q.x - q'.x'| <= |q| |x - x'| + |q - q'| |x'|,
//!
//! and a single-precision score is off q.x by no more than its columns times 2^-24 |q| |x|. So each coded product, which is exact in
//! whole numbers, gives a lower and an upper bound of the row's score. A row whose upper bound is below the k-th largest lower bound
//! is not among the best k. The others are scored as `search` does, those with the
//! largest upper bounds first, until the next bound is below the k-th best score.

use super::best::Best;
use super::scan::{BLOCK, TOGETHER, eligible, explain, is_allowed, parts};
use super::sieve::Sieve;
use super::{Found, Singles, View, check, not_finite, search};
use ndarray::ArrayView2;
use quadrat_core::{Error, Progress, Result, checkpoint};
use quadrat_numeric::products::{PANEL, Pair, pair_products, panel, products};
use quadrat_numeric::vectorised;
use rayon::prelude::*;
use std::ops::{Range, RangeInclusive};

/// Rows coded for a first pass of [`Int8::search`]: a byte a value and 12 bytes a row, beside the rows themselves.
#[derive(Debug, Clone)]
pub struct Int8 {
    rows: usize,
    columns: usize,
    /// Columns in pairs, the last one perhaps with a zero.
    pairs: usize,
    codes: Vec<[i8; 2]>,
    of_rows: Vec<Coded>,
    /// Whether bounds are sound for all rows.
    sound: bool,
}

/// What is known of a coded vector.
#[derive(Debug, Clone, Copy, Default)]
struct Coded {
    /// The vector is about this times the whole numbers.
    scale: f32,
    /// At least the length of that.
    length: f32,
    /// At least the length of what it lacks; of rows also what single precision adds, for a query of length 1.
    error: f32,
}

/// Largest values between which no product of scales leaves single precision.
const SOUND: RangeInclusive<f32> = 1e-10..=1e10;
const MOST_COLUMNS: usize = 1 << 20;

impl Int8 {
    /// Codes rows. O(rows x columns).
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn of(rows: ArrayView2<f32>) -> Result<Self> {
        if let Some(((row, column), value)) = rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
            return Err(not_finite("row", row, column, *value));
        }
        let (n, columns) = rows.dim();
        let pairs = columns.div_ceil(2).max(1);
        let mut codes = vec![[0; 2]; n * pairs];
        let rounding = (columns + 16) as f32 * f32::EPSILON;
        let singles = Singles::new(&rows);
        let code_row = |(row, codes): (&[f32], &mut [[i8; 2]])| {
            let codes = codes.as_flattened_mut();
            let mut coded = vectorised(|| coded(row, 127.0, codes, |code| code as i8));
            coded.error += rounding * (coded.length + coded.error);
            (coded, is_sound(row))
        };
        let (of_rows, sound): (Vec<Coded>, Vec<bool>) =
            singles.view().values.par_chunks(columns.max(1)).zip(codes.par_chunks_mut(pairs)).map(code_row).unzip();
        let sound = columns <= MOST_COLUMNS && sound.into_iter().all(|sound| sound);
        Ok(Int8 { rows: n, columns, pairs, codes, of_rows, sound })
    }

    /// What [`search`] finds in the coded `rows`, which must be unchanged, to the bit. Rows or queries whose largest value is below
    /// 1e-10 or above 1e10 (and not 0) are searched without codes.
    ///
    /// Cost: O(rows x queries x columns) of whole numbers, a quarter of the memory traffic of [`search`]. On two threads, which memory
    /// does not hold up, a batch of 32 among a million rows of 384 columns took 0.9 of the time of [`search`].
    /// Where many rows are hard to tell apart it takes up to the time of [`search`] more.
    ///
    /// # Errors
    /// Rows of another shape than those that were coded; as [`search`].
    pub fn search(
        &self,
        rows: ArrayView2<f32>,
        queries: ArrayView2<f32>,
        k: usize,
        allowed: Option<&[u64]>,
        progress: &dyn Progress,
    ) -> Result<Found> {
        if rows.dim() != (self.rows, self.columns) {
            let want = format!("{:?} were coded: search these", (self.rows, self.columns));
            return Err(Error::input("shape of the rows", format!("{:?}", rows.dim()), want));
        }
        check(queries, self.columns, k)?;
        let own = queries.as_standard_layout();
        let own = own.as_slice().unwrap_or_default();
        if !self.sound || !own.chunks(self.columns).all(is_sound) {
            return search(rows, queries, k, allowed, progress);
        }
        let k = k.min(eligible(self.rows, allowed)?);
        let mut found = Found { k, ..Found::default() };
        if k == 0 {
            return Ok(found);
        }
        let singles = Singles::new(&rows);
        let parts = parts(self.rows);
        progress.begin("searching", Some((queries.nrows().div_ceil(TOGETHER) * parts.len()) as u64));
        for together in own.chunks(TOGETHER * self.columns) {
            let panels: Vec<Queries> = together
                .chunks(PANEL * self.columns)
                .map(|queries| Queries::of(queries, self.columns, self.pairs))
                .collect();
            let of_part = |rows: &Range<usize>| {
                checkpoint(progress)?;
                let sieves = self.part(rows.clone(), &panels, k, allowed);
                progress.advance(1);
                Ok(sieves)
            };
            let of_parts: Vec<Vec<Sieve>> = parts.par_iter().map(of_part).collect::<Result<_>>()?;
            let of_query = |(at, query): (usize, &[f32])| {
                let sieves: Vec<&Sieve> = of_parts.iter().map(|part| &part[at]).collect();
                exact(&singles.view(), query, at, k, &sieves)
            };
            let best: Vec<Best> = together.par_chunks(self.columns).enumerate().map(of_query).collect::<Result<_>>()?;
            for (score, row) in best.into_iter().flat_map(Best::sorted) {
                found.rows.push(row);
                found.scores.push(score);
            }
        }
        Ok(found)
    }

    /// For each query the rows of a part that may be among the best.
    fn part(&self, rows: Range<usize>, panels: &[Queries], k: usize, allowed: Option<&[u64]>) -> Vec<Sieve> {
        let mut sieves: Vec<Vec<Sieve>> =
            panels.iter().map(|panel| (0..panel.count).map(|_| Sieve::new(k)).collect()).collect();
        let bar =
            |panel: &Queries| std::array::from_fn(|j| if j < panel.count { f32::NEG_INFINITY } else { f32::INFINITY });
        let mut bars: Vec<[f32; PANEL]> = panels.iter().map(bar).collect();
        let (mut pairs, mut sums) = (vec![[0; 2]; BLOCK * self.pairs], [[0; PANEL]; BLOCK]);
        let mut marks = [false; BLOCK];
        for start in rows.clone().step_by(BLOCK) {
            let block = start..(start + BLOCK).min(rows.end);
            let codes = &self.codes[block.start * self.pairs..block.end * self.pairs];
            let (pairs, sums) = (&mut pairs[..codes.len()], &mut sums[..block.len()]);
            vectorised(|| widen(codes.as_flattened(), pairs.as_flattened_mut()));
            let of_rows = &self.of_rows[block.clone()];
            for ((panel, sieves), bars) in panels.iter().zip(&mut sieves).zip(&mut bars) {
                pair_products(pairs, self.pairs, &panel.codes, sums);
                vectorised(|| mark(sums, of_rows, panel, bars, &mut marks[..sums.len()]));
                for i in (0..sums.len()).filter(|i| marks[*i] && is_allowed(allowed, start + i)) {
                    for (j, sieve) in sieves.iter_mut().enumerate() {
                        let bounds = panel.bounds(j, &of_rows[i], sums[i][j]);
                        if bounds.1 >= bars[j] {
                            bars[j] = sieve.hold(bounds, (start + i) as u32, bars[j]);
                        }
                    }
                }
            }
        }
        sieves.into_iter().flatten().collect()
    }
}

/// Coded queries of a panel.
struct Queries {
    count: usize,
    codes: Vec<Pair>,
    scales: [f32; PANEL],
    lengths: [f32; PANEL],
    errors: [f32; PANEL],
}

impl Queries {
    fn of(queries: &[f32], columns: usize, pairs: usize) -> Self {
        // The most that keeps sums of products with codes up to 127 within 32 bits.
        let most = (f64::from(i32::MAX) / (254.0 * pairs as f64)).min(32767.0).floor();
        let count = queries.len() / columns;
        let mut all = vec![[0; 2]; count * pairs];
        let [mut scales, mut lengths, mut errors] = [[0.0; PANEL]; 3];
        for (j, (query, codes)) in queries.chunks(columns).zip(all.chunks_mut(pairs)).enumerate() {
            let coded = coded(query, most as f32, codes.as_flattened_mut(), |code| code as i16);
            (scales[j], errors[j]) = (coded.scale, coded.error);
            lengths[j] = coded.length + coded.error;
        }
        Queries { count, codes: panel(&all, pairs), scales, lengths, errors }
    }

    /// Between which bounds the score of query `j` and a row lies, by the product of their codes.
    #[inline(always)]
    fn bounds(&self, j: usize, row: &Coded, product: i32) -> (f32, f32) {
        // Beside the vectors' errors the smallest number, for what underflows.
        let error = self.lengths[j] * row.error + self.errors[j] * row.length + f32::MIN_POSITIVE;
        let middle = product as f32 * (row.scale * self.scales[j]);
        (middle - error, middle + error)
    }
}

#[inline(always)]
fn widen(codes: &[i8], places: &mut [i16]) {
    for (place, code) in places.iter_mut().zip(codes) {
        *place = i16::from(*code);
    }
}

/// Writes the whole numbers up to `most` that, scaled, come nearest to a vector.
#[inline(always)]
fn coded<T>(vector: &[f32], most: f32, codes: &mut [T], whole: impl Fn(f32) -> T) -> Coded {
    let scale = largest(vector) / most;
    let (mut length, mut error) = (0.0_f64, 0.0_f64);
    for (place, value) in codes.iter_mut().zip(vector) {
        let code = if scale > 0.0 { (value / scale).round_ties_even().clamp(-most, most) } else { 0.0 };
        *place = whole(code);
        let back = f64::from(scale) * f64::from(code);
        length += back * back;
        error += (f64::from(*value) - back).powi(2);
    }
    // The margin is more than the roundings here.
    let at_least = |square: f64| (square.sqrt() * (1.0 + 1e-6)) as f32;
    Coded { scale, length: at_least(length), error: at_least(error) }
}

#[inline(always)]
fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

fn is_sound(vector: &[f32]) -> bool {
    let largest = largest(vector);
    largest == 0.0 || SOUND.contains(&largest)
}

/// Marks the rows of which some upper bound is not below its bar.
#[inline(always)]
fn mark(sums: &[[i32; PANEL]], of_rows: &[Coded], queries: &Queries, bars: &[f32; PANEL], marks: &mut [bool]) {
    for ((sums, coded), mark) in sums.iter().zip(of_rows).zip(marks) {
        *mark = (0..PANEL).fold(false, |any, j| any | (queries.bounds(j, coded, sums[j]).1 >= bars[j]));
    }
}

/// The best of the rows that a query's sieves hold, by their scores.
fn exact(rows: &View, query: &[f32], number: usize, k: usize, sieves: &[&Sieve]) -> Result<Best> {
    let columns = rows.columns;
    let mut lower = Best::new(k);
    sieves.iter().for_each(|sieve| lower.append(&sieve.lower));
    let bar = lower.kth();
    let held = sieves.iter().flat_map(|sieve| &sieve.held);
    let mut held: Vec<(f32, u32)> = held.filter(|(upper, _)| *upper >= bar).copied().collect();
    held.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let panel = panel(query, columns);
    let (mut values, mut scores) = (Vec::with_capacity(BLOCK * columns), [[0.0; PANEL]; BLOCK]);
    let mut best = Best::new(k);
    for (at, block) in held.chunks(BLOCK).enumerate() {
        if at * BLOCK >= k && block[0].0 < best.kth() {
            break;
        }
        values.clear();
        for (_, row) in block {
            values.extend_from_slice(&rows.values[*row as usize * columns..][..columns]);
        }
        products(&values, columns, &panel, &mut scores[..block.len()]);
        for ((_, row), scores) in block.iter().zip(&scores) {
            if !scores[0].is_finite() {
                return Err(explain(rows, *row as usize, number));
            }
            best.push(scores[0], *row);
        }
    }
    Ok(best)
}
