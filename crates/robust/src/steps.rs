//! What the SMOTE family shares: neighbours inside a class, the choice of bases, and the rows in between.

use crate::draws::Draws;
use crate::strategy::percent_of;
use crate::{Labelled, Origin, Resampled, Strategy};
use ndarray::{Array2, Axis};
use quadrat_core::{Error, Progress, Result, checkpoint};
use quadrat_numeric::neighbours::{Neighbours, nearest};
use rayon::prelude::*;

/// A new row: from the table's row `base` towards its row `neighbour` by `gap`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub base: usize,
    pub neighbour: usize,
    pub gap: f64,
    pub class: u32,
}

/// The `k` nearest rows of the class for each of the class's rows (`queries` are places in `rows`). The indices found
/// are rows of the table.
pub(crate) fn nearest_in_class(
    data: &Labelled,
    class: u32,
    rows: &[usize],
    queries: &[usize],
    k: usize,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    check_class_size(data, class, rows.len(), k)?;
    let base = data.x.select(Axis(0), rows);
    let mut found = if queries.len() == rows.len() {
        nearest(base.view(), base.view(), Some(queries), k, progress)?
    } else {
        nearest(base.view(), base.select(Axis(0), queries).view(), Some(queries), k, progress)?
    };
    found.index.iter_mut().for_each(|place| *place = rows[*place as usize] as u32);
    Ok(found)
}

/// The `k` nearest rows of the whole table for each of `rows`.
pub(crate) fn nearest_in_table(
    data: &Labelled,
    rows: &[usize],
    k: usize,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    let n = data.x.nrows();
    if k == 0 || k >= n {
        return Err(Error::input("neighbours", k, format!("the table has {n} rows: use 1 to {}", n - 1)));
    }
    if rows.len() == n {
        return nearest(data.x.view(), data.x.view(), Some(rows), k, progress);
    }
    nearest(data.x.view(), data.x.select(Axis(0), rows).view(), Some(rows), k, progress)
}

/// A class whose `size` rows shall have `k` neighbours each needs one row more than that.
pub(crate) fn check_class_size(data: &Labelled, class: u32, size: usize, k: usize) -> Result<()> {
    if k == 0 {
        return Err(Error::input("k", k, "use at least 1 neighbour"));
    }
    if size <= k {
        let what = format!("rows of {}", data.class(class));
        let want = match size - 1 {
            0 => format!("{k} neighbours need at least {} rows: use random-over-sampling", k + 1),
            most => format!("{k} neighbours need at least {} rows: set k to {most} or less", k + 1),
        };
        return Err(Error::input(what, size, want));
    }
    Ok(())
}

/// (base, which neighbour, gap) of a class's new rows, bases counted from 0: uniform over all pairs of a base and one
/// of its `k` neighbours, or every base equally often when the strategy is the paper's per cent.
pub(crate) fn plan(
    draws: &mut Draws,
    strategy: &Strategy,
    class: u32,
    count: usize,
    bases: usize,
    k: usize,
) -> Vec<(usize, usize, f64)> {
    let Strategy::Percent(percent) = *strategy else {
        let pairs = draws.pairs(class, bases * k, count);
        return pairs.into_iter().map(|(pair, gap)| (pair / k, pair % k, gap)).collect();
    };
    let order: Vec<usize> = if percent < 100 {
        draws.sample(class, bases, percent_of(bases, percent))
    } else {
        (0..bases).flat_map(|base| std::iter::repeat_n(base, percent as usize / 100)).collect()
    };
    let columns = draws.pairs(class, k, order.len());
    order.into_iter().zip(columns).map(|(base, (column, gap))| (base, column, gap)).collect()
}

/// Rows of one block: large enough that a thread's work outweighs its start.
const BLOCK: usize = 4096;

/// The new rows, `fill`ed block by block in parallel into one array: `fill` gets the row's number, its step and its
/// place.
pub(crate) fn make_rows(
    columns: usize,
    steps: &mut [Step],
    progress: &dyn Progress,
    fill: impl Fn(usize, &mut Step, &mut [f64]) + Sync,
) -> Result<Array2<f64>> {
    progress.begin("new rows", Some(steps.len() as u64));
    let shape = (steps.len(), columns);
    let mut values = vec![0.0; steps.len() * columns];
    values.par_chunks_mut(BLOCK * columns).zip(steps.par_chunks_mut(BLOCK)).enumerate().try_for_each(
        |(block, (rows, steps))| {
            checkpoint(progress)?;
            for (i, (row, step)) in rows.chunks_exact_mut(columns).zip(steps.iter_mut()).enumerate() {
                fill(block * BLOCK + i, step, row);
            }
            progress.advance(steps.len() as u64);
            Ok(())
        },
    )?;
    Array2::from_shape_vec(shape, values).map_err(|e| Error::numeric("new rows", e.to_string()))
}

/// base + gap (neighbour - base), in every column.
pub(crate) fn interpolate(data: &Labelled, steps: &mut [Step], progress: &dyn Progress) -> Result<Array2<f64>> {
    make_rows(data.x.ncols(), steps, progress, |_, step, row| {
        let (base, neighbour) = (data.x.row(step.base), data.x.row(step.neighbour));
        for ((value, b), n) in row.iter_mut().zip(base).zip(neighbour) {
            *value = b + step.gap * (n - b);
        }
    })
}

impl Resampled {
    /// All rows of `from`, then the new ones.
    pub(crate) fn grown(from: &Labelled, steps: &[Step], synthetic: Array2<f64>) -> Self {
        let made = steps.iter().map(|s| Origin::Synthetic { base: s.base, neighbour: s.neighbour, gap: s.gap });
        Resampled {
            origin: (0..from.y.len()).map(Origin::Kept).chain(made).collect(),
            synthetic,
            y: from.y.iter().copied().chain(steps.iter().map(|s| s.class)).collect(),
            notes: Vec::new(),
        }
    }
}
