//! l_p sensitivities.

use super::leverage::Leverage;
use super::lewis::LewisWeights;
use super::sample::inclusion_probabilities;
use super::{RowScores, Scores, check};
use crate::convex::{Affine, dot};
use ndarray::ArrayView2;
use quadrat_core::{Choice, Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::linalg::product;
use rayon::prelude::*;

/// How sensitivities are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum SensitivityMode {
    /// Exact where that takes about a minute on two cores at most, else approximate, else the bound. The notes say
    /// which.
    Auto,
    /// One convex problem over all rows for each row. Each with a certificate of 1e-8.
    Exact,
    /// The same problems over a sample of rows, within some ten percent. The sample is drawn by Lewis weights, a few
    /// hundred rows for ten columns (the scheme of Padmanabhan, Woodruff and Zhang 2023).
    Approximate,
    /// The upper bound from Lewis weights. That is `min(1, d^max(0, p/2 - 1) w_i)`.
    Bound,
}

/// l_p sensitivities: `sigma_i = max_x |a_i x|^p / ||A x||_p^p`, the largest share of the norm that row i can have.
///
/// For p = 2 they are the leverage scores. Otherwise `1/sigma_i` is the minimum of `||A x||_p^p` over `a_i x = 1`, a
/// convex problem (a linear programme for p = 1), which is solved in the coordinates where the Lewis ellipsoid is round:
/// there `x = a_i / |a_i|^2` is already within a factor `d^|1/2 - 1/p|`. Rows are independent and run in parallel.
///
/// Cost: exact, for n rows, about n^2 d operations times 100 for p = 1 and n^2 d^2 times some 20 otherwise (more towards
/// p = 1); approximate, n problems on `16 r^max(1, p/2) (1 + ln r)` rows each, for rank r.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{RowScores, Sensitivity};
/// let a = array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0], [0.1, 0.2]];
/// let sigma = Sensitivity { p: 1.0, ..Sensitivity::default() }.scores(a.view(), Seed(0), &Silent)?;
/// assert!((sigma.values[1] - 0.3125).abs() < 1e-6 && (sigma.total() - 1.683099).abs() < 1e-6);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// The power, >= 1.
    pub p: f64,
    /// How they are found.
    pub mode: SensitivityMode,
    /// Rows whose upper bound is not above this keep the bound, which saves their problems; 0 solves all.
    pub floor: f64,
}

impl Default for Sensitivity {
    fn default() -> Self {
        Sensitivity { p: 1.0, mode: SensitivityMode::Auto, floor: 0.0 }
    }
}

/// Operations that `Auto` spends on exact or approximate problems: about a minute on two cores.
const AFFORDABLE: f64 = 3.6e11;

/// What every exact answer is certified to, relative to itself.
const CERTIFIED: f64 = 1e-8;

impl Sensitivity {
    /// Operations of the mode that `Auto` picks, or of the given one; the mode itself; the size of the sample it uses.
    fn choose(&self, n: usize, d: usize) -> (f64, SensitivityMode, usize) {
        let (size, dims) = (n as f64, d as f64);
        // A step of the minimiser on one row: an orthogonalisation, two solves and some twenty element-wise passes.
        let step = 2.0 * dims * dims + 16.0 * dims + 100.0;
        // p = 1: about twenty steps; where there are many rows two guesses on average, each with passes over all of them
        // and steps on those it leaves free. p < 2: steps gain a factor of 2 - p each. p > 2: a dozen.
        let problem = |rows: f64| match self.p {
            1.0 if rows <= 64.0 * dims => 20.0 * rows * step,
            1.0 => 12.0 * rows * dims + 2.0 * 20.0 * (rows / 16.0).max(32.0 * dims) * step,
            p if p < 2.0 => (-20.0 / (2.0 - p).ln()).clamp(5.0, 500.0) * rows * step,
            _ => 12.0 * rows * step,
        };
        let sample = (16.0 * dims.powf((0.5 * self.p).max(1.0)) * (1.0 + dims.ln())).ceil().min(size);
        let lewis = LewisWeights { p: self.p, ..LewisWeights::default() }.operations(n, d);
        let costs = [
            (SensitivityMode::Exact, lewis + size * problem(size)),
            (SensitivityMode::Approximate, lewis + size * problem(sample)),
            (SensitivityMode::Bound, lewis),
        ];
        let fits = |(mode, cost): &&(SensitivityMode, f64)| match self.mode {
            SensitivityMode::Auto => *cost <= AFFORDABLE || *mode == SensitivityMode::Bound,
            given => *mode == given,
        };
        let (mode, cost) = costs.iter().find(fits).copied().unwrap_or((SensitivityMode::Bound, lewis));
        (cost, mode, sample as usize)
    }
}

impl RowScores for Sensitivity {
    fn name(&self) -> &'static str {
        "sensitivity"
    }

    fn p(&self) -> f64 {
        self.p
    }

    fn scores(&self, a: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Scores> {
        let p = self.p;
        check(a, p)?;
        if p == 2.0 {
            return Leverage::default().scores(a, seed, progress);
        }
        let lewis = LewisWeights { p, ..LewisWeights::default() }.solve(a, progress)?;
        let (n, rank) = (a.nrows(), lewis.rank);
        let slack = (rank as f64).powf((0.5 * p - 1.0).max(0.0));
        let bounds: Vec<f64> = lewis.weights.iter().map(|w| (slack * w).min(1.0)).collect();
        let (_, mode, sample) = self.choose(n, rank);
        let round = Rounded::new(a, lewis.basis.view())?;
        let all = Problem::over(&round, (0..n).map(|i| (i, 1.0)), p);
        let (problem, kind) = match mode {
            SensitivityMode::Exact => (all, "exact".to_owned()),
            SensitivityMode::Approximate if sample < n => {
                let q = inclusion_probabilities(&lewis.weights, sample);
                let mut rng = seed.stream("sample").rng(0);
                let drawn = q.into_iter().enumerate().filter(|(_, q)| rng.uniform() < *q);
                let part = Problem::over(&round, drawn.map(|(i, q)| (i, 1.0 / q)), p);
                let kind = format!("approximate, on {} rows", part.lengths.len());
                (part, kind)
            }
            SensitivityMode::Approximate => (all, "exact: the sample would be all rows".to_owned()),
            _ => {
                let notes = vec![("sensitivities".to_owned(), "upper bounds from Lewis weights".to_owned())];
                return Ok(Scores { values: bounds, rank: Some(rank), notes });
            }
        };
        let exact = kind.starts_with("exact");
        progress.begin("sensitivities", Some(n as u64));
        let one = |i: usize| -> Result<f64> {
            checkpoint(progress)?;
            progress.advance(1);
            if bounds[i] <= self.floor {
                return Ok(bounds[i]);
            }
            let (sigma, gap) = problem.largest_share(round.row(i));
            if gap > CERTIFIED && exact {
                return Err(Error::numeric(
                    format!("sensitivity of row {i}"),
                    format!("not converged: certified to {gap:.1e} only; use the approximate mode or Lewis weights"),
                ));
            }
            Ok(sigma.min(bounds[i]))
        };
        let values = (0..n).into_par_iter().map(one).collect::<Result<Vec<f64>>>()?;
        Ok(Scores { values, rank: Some(rank), notes: vec![("sensitivities".to_owned(), kind)] })
    }

    fn operations(&self, n: usize, d: usize) -> f64 {
        if self.p == 2.0 { Leverage::default().operations(n, d) } else { self.choose(n, d).0 }
    }
}

/// The rows in the coordinates where the Lewis ellipsoid is the unit ball.
struct Rounded {
    values: Vec<f64>,
    dims: usize,
}

impl Rounded {
    fn new(a: ArrayView2<f64>, basis: ArrayView2<f64>) -> Result<Self> {
        Ok(Rounded { dims: basis.ncols(), values: product(a, basis)?.into_raw_vec_and_offset().0 })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.dims..][..self.dims]
    }
}

/// The rows in the denominator, each scaled by its weight to the power 1/p. Zero rows are left out.
struct Problem {
    values: Vec<f64>,
    lengths: Vec<f64>,
    dims: usize,
    p: f64,
}

impl Problem {
    fn over(round: &Rounded, rows: impl Iterator<Item = (usize, f64)>, p: f64) -> Self {
        let mut problem = Problem { values: Vec::new(), lengths: Vec::new(), dims: round.dims, p };
        for (i, weight) in rows {
            let row = round.row(i);
            let (length, scale) = (dot(row, row).sqrt(), weight.powf(1.0 / p));
            if length > 0.0 {
                problem.values.extend(row.iter().map(|v| scale * v));
                problem.lengths.push(scale * length);
            }
        }
        problem
    }

    fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.dims)
    }

    /// `max_x |c x|^p / ||A x||_p^p` and the relative gap to which it is certified.
    fn largest_share(&self, c: &[f64]) -> (f64, f64) {
        let length = dot(c, c).sqrt();
        if length == 0.0 {
            return (0.0, 0.0);
        }
        // 1/sigma is the minimum over c x = 1. With the unit vector u = c / |c|, x = (u + N y) / |c| where N spans what is
        // orthogonal to u: the minimum over y is free of constraints.
        let unit: Vec<f64> = c.iter().map(|v| v / length).collect();
        let frame = Reflection::new(&unit);
        let (value, bound) = if self.p == 1.0 { self.least_sum(unit, &frame) } else { self.least_norm(&frame) };
        ((length / value).powf(self.p), (value - bound) / value)
    }

    fn least_norm(&self, frame: &Reflection) -> (f64, f64) {
        let mut affine = frame.affine(self.lengths.len());
        for row in self.rows() {
            let along = frame.push(row, &mut affine.rows);
            affine.offset.push(along);
        }
        // The gap is on the norm; its p-th power has p times that.
        let found = affine.minimise_lp(self.p, 0.1 * CERTIFIED / self.p);
        (found.value, found.value - self.p * (found.value - found.bound))
    }

    /// p = 1, by guessing the signs of most rows (Portnoy and Koenker 1997): only rows nearly orthogonal to x can change
    /// their sign on the way to the optimum, the others add up to one linear function. The dual point of the reduced
    /// problem, extended by those signs, is feasible for the whole one, so its bound tells whether the guess was right;
    /// if not, the next guess starts from the better point and fixes fewer signs.
    fn least_sum(&self, mut x: Vec<f64>, frame: &Reflection) -> (f64, f64) {
        let (m, d) = (self.lengths.len(), self.dims);
        let mut free = if m <= 64 * d { m } else { (m / 16).max(32 * d) };
        let mut r: Vec<f64> = self.rows().map(|row| dot(row, &x)).collect();
        let mut here: f64 = r.iter().map(|r| r.abs()).sum();
        loop {
            let cut = self.cut(&r, free);
            let mut affine = frame.affine(free);
            let mut signs = vec![0.0; d];
            for ((row, &r), &length) in self.rows().zip(&r).zip(&self.lengths) {
                if r.abs() <= cut * length {
                    frame.push(row, &mut affine.rows);
                    affine.offset.push(r);
                } else {
                    let sign = r.signum();
                    signs.iter_mut().zip(row).for_each(|(s, v)| *s += sign * v);
                    affine.constant += r.abs();
                }
            }
            affine.slope.clear();
            frame.push(&signs, &mut affine.slope);
            let found = affine.minimise_l1(0.1 * CERTIFIED);
            let moved: Vec<f64> = frame.back(&found.y).iter().zip(&x).map(|(step, x)| x + step).collect();
            let residuals: Vec<f64> = self.rows().map(|row| dot(row, &moved)).collect();
            let there: f64 = residuals.iter().map(|r| r.abs()).sum();
            if there < here {
                (x, r, here) = (moved, residuals, there);
            }
            if here - found.bound <= CERTIFIED * here || affine.offset.len() == m {
                return (here, found.bound);
            }
            free = (4 * free).min(m);
        }
    }

    /// The ratio |r|/length that about `free` rows do not exceed, judged by every so many-th row.
    fn cut(&self, r: &[f64], free: usize) -> f64 {
        if free >= r.len() {
            return f64::INFINITY;
        }
        let every = (r.len() / 1024).max(1);
        let mut ratios: Vec<f64> = r.iter().zip(&self.lengths).step_by(every).map(|(r, l)| r.abs() / l).collect();
        let place = (free * ratios.len() / r.len()).min(ratios.len() - 1);
        *ratios.select_nth_unstable_by(place, f64::total_cmp).1
    }
}

/// Householder's reflection that maps a unit vector u to -+e_1: the first coordinate of a reflected row is -+(row . u),
/// the others are its coordinates orthogonal to u.
struct Reflection {
    mirror: Vec<f64>,
    sign: f64,
    half_square: f64,
}

impl Reflection {
    fn new(unit: &[f64]) -> Self {
        let mut mirror = unit.to_vec();
        let sign = if unit[0] < 0.0 { -1.0 } else { 1.0 };
        mirror[0] += sign;
        let half_square = 0.5 * dot(&mirror, &mirror);
        Reflection { mirror, sign, half_square }
    }

    /// A problem without rows yet.
    fn affine(&self, capacity: usize) -> Affine {
        let k = self.mirror.len() - 1;
        Affine::new(Vec::with_capacity(capacity * k), Vec::with_capacity(capacity), k)
    }

    /// Appends the coordinates of `row` orthogonal to u, and returns the one along u.
    fn push(&self, row: &[f64], out: &mut Vec<f64>) -> f64 {
        let share = dot(row, &self.mirror) / self.half_square;
        out.extend(row[1..].iter().zip(&self.mirror[1..]).map(|(v, m)| v - share * m));
        -self.sign * (row[0] - share * self.mirror[0])
    }

    /// The vector orthogonal to u with coordinates y.
    fn back(&self, y: &[f64]) -> Vec<f64> {
        let share = dot(&self.mirror[1..], y) / self.half_square;
        let mut x: Vec<f64> = self.mirror.iter().map(|m| -share * m).collect();
        x[1..].iter_mut().zip(y).for_each(|(x, y)| *x += y);
        x
    }
}

/// Leverage and sensitivity together. For p <= 2 their plain sum, with which (S + d) / eps^2 rows are enough (Munteanu
/// and Omlor 2024); for p > 2 the mixture `leverage/d + sensitivity/S` with equal weights, in place of the paper's
/// recursion, whose details are not verified: it asks for about `d^(2/p) S^(2 - 4/p)` rows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LevSens {
    /// The sensitivities, with their p.
    pub sensitivity: Sensitivity,
}

impl LevSens {
    /// Both scores together, from those of the same rows.
    pub fn of(p: f64, sensitivities: Scores, leverage: &Scores) -> Scores {
        let mut found = sensitivities;
        let (by_leverage, by_sensitivity) =
            if p <= 2.0 { (1.0, 1.0) } else { (1.0 / leverage.total(), 1.0 / found.total()) };
        for (value, leverage) in found.values.iter_mut().zip(&leverage.values) {
            *value = by_sensitivity * *value + by_leverage * leverage;
        }
        found
    }
}

impl RowScores for LevSens {
    fn name(&self) -> &'static str {
        "lev-sens"
    }

    fn p(&self) -> f64 {
        self.sensitivity.p
    }

    fn scores(&self, a: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Scores> {
        let sensitivities = self.sensitivity.scores(a, seed, progress)?;
        Ok(LevSens::of(self.p(), sensitivities, &Leverage::default().scores(a, seed, progress)?))
    }

    fn operations(&self, n: usize, d: usize) -> f64 {
        self.sensitivity.operations(n, d) + Leverage::default().operations(n, d)
    }
}
