//! Two classes of Gaussian-process series whose class probabilities are known whatever is missing.

use ndarray::{Array1, Array2};
use quadrat_core::{Result, Rng};
use quadrat_numeric::linalg::{cholesky, solve_lower};

pub const LENGTH: usize = 20;
pub const CHANNELS: usize = 3;
/// 0, 1, 2, …
pub const TIMES: [f64; LENGTH] = {
    let mut times = [0.0; LENGTH];
    let mut t = 1;
    while t < LENGTH {
        times[t] = t as f64;
        t += 1;
    }
    times
};

/// Series with holes, as they were before, and their classes.
pub struct Drawn {
    pub values: Vec<Array2<f64>>,
    pub whole: Vec<Array2<f64>>,
    pub labels: Vec<u32>,
}

/// Mean and covariance of each class; entry t x CHANNELS + c is channel c at time t.
pub struct World {
    means: [Array1<f64>; 2],
    covariances: [Array2<f64>; 2],
    factors: [Array2<f64>; 2],
}

impl World {
    /// All channels follow one slow path and a faster one of their own. The third channel follows the slow path upside down in the
    /// second class, whose first channel also has a wave for its mean: one must look at channels together, at near times.
    pub fn new() -> Result<Self> {
        let n = LENGTH * CHANNELS;
        let near = |a: usize, b: usize, scale: f64| (-0.5 * ((a as f64 - b as f64) / scale).powi(2)).exp();
        let covariance = |class: usize| {
            let follows = [0.6, 0.6, if class == 0 { 0.5 } else { -0.5 }];
            Array2::from_shape_fn((n, n), |(i, j)| {
                let ((s, a), (t, b)) = ((i / CHANNELS, i % CHANNELS), (j / CHANNELS, j % CHANNELS));
                let own = if a == b { 0.6 * near(s, t, 1.5) } else { 0.0 };
                follows[a] * follows[b] * near(s, t, 4.0) + own + if i == j { 0.1 } else { 0.0 }
            })
        };
        let wave = |i: usize| {
            let angle = std::f64::consts::TAU * (i / CHANNELS) as f64 / LENGTH as f64;
            if i.is_multiple_of(CHANNELS) { 0.3 * angle.sin() } else { 0.0 }
        };
        let covariances = [covariance(0), covariance(1)];
        let factors = [cholesky(covariances[0].view())?, cholesky(covariances[1].view())?];
        Ok(World { means: [Array1::zeros(n), Array1::from_shape_fn(n, wave)], covariances, factors })
    }

    /// So many series, each value missing with this probability.
    pub fn draw(&self, n: usize, missing: f64, rng: &mut Rng) -> Drawn {
        let mut drawn = Drawn { values: Vec::new(), whole: Vec::new(), labels: Vec::new() };
        for i in 0..n {
            let class = i % 2;
            let noise = Array1::from_shape_fn(LENGTH * CHANNELS, |_| rng.normal());
            let flat = &self.means[class] + &self.factors[class].dot(&noise);
            let whole = Array2::from_shape_fn((LENGTH, CHANNELS), |(t, c)| flat[t * CHANNELS + c]);
            drawn.values.push(whole.mapv(|v| if rng.uniform() < missing { f64::NAN } else { v }));
            drawn.whole.push(whole);
            drawn.labels.push(class as u32);
        }
        drawn
    }

    /// The probability of the second class given what was observed of each series.
    pub fn posterior(&self, drawn: &Drawn) -> Result<Vec<f64>> {
        let one = |values: &Array2<f64>| -> Result<f64> {
            let seen: Vec<(usize, f64)> = values.iter().copied().enumerate().filter(|(_, v)| !v.is_nan()).collect();
            if seen.is_empty() {
                return Ok(0.5);
            }
            let log_density = |class: usize| -> Result<f64> {
                let n = seen.len();
                let part = Array2::from_shape_fn((n, n), |(i, j)| self.covariances[class][[seen[i].0, seen[j].0]]);
                let away = Array2::from_shape_fn((n, 1), |(i, _)| seen[i].1 - self.means[class][seen[i].0]);
                let factor = cholesky(part.view())?;
                let white = solve_lower(factor.view(), away.view())?;
                Ok(-0.5 * white.iter().map(|v| v * v).sum::<f64>() - factor.diag().iter().map(|v| v.ln()).sum::<f64>())
            };
            Ok(1.0 / (1.0 + (log_density(0)? - log_density(1)?).exp()))
        };
        drawn.values.iter().map(one).collect()
    }
}
