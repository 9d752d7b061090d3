//! How far norms in a sample are from those of all rows.

use super::cases::gaussian;
use super::{CLIMBERS, DIRECTIONS, EPS, STEPS, power};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_numeric::linalg::{product, whitening};
use quadrat_select::{LewisWeights, RowScores, ScoreSampler};

/// What a matrix is probed with: its rows in orthonormal coordinates and directions with their norms.
pub(super) struct Probe {
    pub p: f64,
    pub u: Array2<f64>,
    /// rank x directions.
    pub directions: Array2<f64>,
    /// ||U z||_p^p for each direction.
    pub norms: Vec<f64>,
}

impl Probe {
    pub fn new(a: ArrayView2<f64>, p: f64, seed: Seed) -> Result<Self> {
        let basis = whitening(a, None)?;
        let u = product(a, basis.view())?;
        let rank = u.ncols();
        let mut directions = gaussian(rank, DIRECTIONS, seed);
        // Towards a row in the coordinates of the Lewis ellipsoid, the row has about its largest possible share.
        let w = LewisWeights { p, ..LewisWeights::default() }.scores(u.view(), seed, &Silent)?.values;
        let density: Vec<f64> = w.iter().map(|w| if *w > 0.0 { w.powf(1.0 - 2.0 / p) } else { 0.0 }).collect();
        let round = whitening(u.view(), Some(&density))?;
        let mut order: Vec<usize> = (0..w.len()).collect();
        order.sort_by(|a, b| w[*b].total_cmp(&w[*a]).then(a.cmp(b)));
        for (at, row) in order.iter().take(DIRECTIONS / 2).enumerate() {
            let towards = round.dot(&round.t().dot(&u.row(*row)));
            directions.column_mut(2 * at).assign(&towards);
        }
        let norms = powers_of(&u, &vec![1.0; u.nrows()], &directions, p);
        Ok(Probe { p, u, directions, norms })
    }

    /// Where the distortion of d rows and doublings of it falls to [`EPS`], by interpolation in logarithms; all rows where it
    /// never does.
    pub fn needed(&self, sampler: &ScoreSampler, a: ArrayView2<f64>, seed: Seed) -> Result<f64> {
        let (n, d) = (self.u.nrows(), self.u.ncols());
        let mut before: Option<f64> = None;
        let mut m = d;
        while m < n {
            let chosen = sampler.sample(a, m, seed.stream(&m.to_string()), &Silent)?;
            let weights =
                chosen.weights.ok_or_else(|| Error::input("selection", "no weights", "a sampler of weights"))?;
            let distortion = self.distortion(&chosen.indices, &weights);
            if distortion <= EPS {
                let Some(above) = before else { return Ok(m as f64) };
                let share = ((above / EPS).ln() / (above / distortion.max(1e-12)).ln()).clamp(0.0, 1.0);
                return Ok(m as f64 * 2.0_f64.powf(share - 1.0));
            }
            before = Some(distortion);
            m *= 2;
        }
        Ok(n as f64)
    }

    /// The largest distortion found.
    pub fn distortion(&self, rows: &[usize], weights: &[f64]) -> f64 {
        let sample = self.u.select(Axis(0), rows);
        let estimates = powers_of(&sample, weights, &self.directions, self.p);
        let mut off: Vec<(f64, usize)> =
            estimates.iter().zip(&self.norms).enumerate().map(|(k, (e, n))| ((e / n - 1.0).abs(), k)).collect();
        off.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let climb = |&(start, k): &(f64, usize)| start.max(self.climb(&sample, weights, k));
        off.iter().take(CLIMBERS).map(climb).fold(0.0, f64::max)
    }

    /// Gradient ascent of |ln ratio| on the sphere from direction k.
    pub fn climb(&self, sample: &Array2<f64>, weights: &[f64], k: usize) -> f64 {
        let ones = vec![1.0; self.u.nrows()];
        let mut z = self.directions.column(k).to_owned();
        z /= z.dot(&z).sqrt();
        let ratio = |z: &Array1<f64>| {
            let (above, up) = norm_and_gradient(sample, weights, z, self.p);
            let (below, down) = norm_and_gradient(&self.u, &ones, z, self.p);
            (above / below, up / above.max(f64::MIN_POSITIVE) - down / below)
        };
        let (mut value, mut gradient) = ratio(&z);
        let side = if value >= 1.0 { 1.0 } else { -1.0 };
        let mut step = 0.3;
        for _ in 0..STEPS {
            let length = gradient.dot(&gradient).sqrt();
            if length == 0.0 || value == 0.0 {
                break;
            }
            let mut next = &z + &(&gradient * (side * step / length));
            next /= next.dot(&next).sqrt();
            let (there, slope) = ratio(&next);
            if side * there > side * value {
                (z, value, gradient, step) = (next, there, slope, 1.5 * step);
            } else {
                step *= 0.3;
            }
        }
        (value - 1.0).abs()
    }
}

/// `sum_i w_i |rows_i z|^p` for each column z of `directions`.
pub(super) fn powers_of(rows: &Array2<f64>, w: &[f64], directions: &Array2<f64>, p: f64) -> Vec<f64> {
    let mut sums = vec![0.0; directions.ncols()];
    for (image, w) in rows.dot(directions).axis_iter(Axis(0)).zip(w) {
        sums.iter_mut().zip(image).for_each(|(sum, r)| *sum += w * power(*r, p));
    }
    sums
}

/// The same for one z, with its gradient divided by p.
pub(super) fn norm_and_gradient(rows: &Array2<f64>, w: &[f64], z: &Array1<f64>, p: f64) -> (f64, Array1<f64>) {
    let mut pull = rows.dot(z);
    let mut total = 0.0;
    for (r, w) in pull.iter_mut().zip(w) {
        let value = w * power(*r, p);
        total += value;
        *r = if *r == 0.0 { 0.0 } else { value / *r };
    }
    (total, pull.dot(rows))
}
