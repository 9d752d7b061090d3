//! The rows to choose from and those to test on.

use super::{Apart, Case, Court, needs, repetition};
use crate::Pool;
use crate::rows::{classes, points};
use ndarray::Array2;
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_numeric::Points;
use quadrat_numeric::impute::{Fill, Imputer};
use quadrat_numeric::splits;

/// Rows to choose from and rows to measure on.
pub(super) struct Split {
    pub pool: Case,
    pub x: Array2<f64>,
    pub y: Vec<u32>,
    pub test_x: Array2<f64>,
    pub test_y: Vec<u32>,
    pub classes: usize,
}

impl Court {
    /// Rows left to choose from, out of `rows`, once the test rows are set aside; where that differs from one repetition
    /// to the other, in the one that leaves least.
    ///
    /// # Errors
    /// A test share out of range, and no rows left; groups or times of another number of rows.
    pub fn rows_to_choose_from(&self, rows: usize, seed: Seed) -> Result<usize> {
        if !(self.test_share > 0.0 && self.test_share < 1.0) {
            return Err(Error::input("test share", self.test_share, "use a share above 0 and below 1"));
        }
        let given = match &self.apart {
            Apart::Any => rows,
            Apart::Groups(groups) => groups.len(),
            Apart::Times(times) => times.len(),
        };
        if given != rows {
            return Err(Error::input("groups or times", format!("{given} rows"), format!("the pool has {rows} rows")));
        }
        let left = match &self.apart {
            Apart::Any => rows - self.test_rows(rows).min(rows),
            Apart::Times(_) => self.sides(rows, seed)?.0.len(),
            Apart::Groups(_) => {
                let each = (0..self.repeats).map(|r| Ok(self.sides(rows, repetition(seed, r))?.0.len()));
                each.collect::<Result<Vec<_>>>()?.into_iter().min().unwrap_or(0)
            }
        };
        if left == 0 {
            return Err(Error::input("rows", rows, "there must be some to choose from and some to test on"));
        }
        Ok(left)
    }

    fn test_rows(&self, rows: usize) -> usize {
        ((self.test_share * rows as f64).round() as usize).max(1)
    }

    /// Rows to choose from and rows to test on.
    pub(super) fn sides(&self, rows: usize, seed: Seed) -> Result<(Vec<usize>, Vec<usize>)> {
        let seed = seed.stream("split");
        let split = match &self.apart {
            Apart::Any => {
                let mut test: Vec<usize> = (0..rows).collect();
                seed.rng(0).shuffle(&mut test);
                let train = test.split_off(self.test_rows(rows).min(rows));
                return Ok((train, test));
            }
            Apart::Groups(groups) => splits::by_groups(groups, self.test_share, seed)?,
            Apart::Times(times) => splits::by_time(times, self.test_share)?,
        };
        Ok((split.train, split.test))
    }

    pub(super) fn split(&self, case: &Case, seed: Seed, progress: &dyn Progress) -> Result<Split> {
        let (train, test) = self.sides(case.pool.rows, seed)?;
        let (mut pool, mut test) = (case.pool.take(&train), case.pool.take(&test));
        let mut raw = case.raw.as_ref().map(|raw| raw.take(&train));
        if let Some(how) = case.gaps {
            [pool.points, test.points] = filled([pool.points, test.points], how, progress)?;
            [raw, _] = filled([raw, None], how, progress)?;
            pool.check(1, needs(true))?;
            test.check(1, needs(true))?;
        }
        let parts = |pool: &Pool| Ok((points(pool)?.to_f64().into_owned(), classes(pool)?.to_vec()));
        let ((x, y), (test_x, test_y)) = (parts(&pool)?, parts(&test)?);
        let count = y.iter().chain(&test_y).max().map_or(0, |class| *class as usize + 1);
        Ok(Split { pool: Case { pool, raw, gaps: None }, x, y, test_x, test_y, classes: count })
    }
}

/// Points without NaN: what fills them is learnt from the first.
fn filled(points: [Option<Points>; 2], how: Fill, progress: &dyn Progress) -> Result<[Option<Points>; 2]> {
    // Embeddings and features from text have no gaps.
    if points.iter().flatten().any(|points| matches!(points, Points::F32(_))) {
        return Ok(points);
    }
    let [first, second] = points.map(|points| points.map(|points| points.to_f64().into_owned()));
    let Some(mut first) = first else { return Ok([None, second.map(Points::F64)]) };
    let imputer = Imputer::fit(first.view(), how);
    if let Some(column) = imputer.values.iter().position(|v| v.is_nan()) {
        let want = "leave the column out, or choose other rows to test on";
        return Err(Error::input(format!("column {column} of the points"), "no value in any row to choose from", want));
    }
    imputer.fill(&mut first, progress)?;
    let fill = |mut x: Array2<f64>| imputer.fill(&mut x, progress).map(|()| Points::F64(x));
    Ok([Some(Points::F64(first)), second.map(fill).transpose()?])
}
