//! Training batches: rows with noise, each at a level of its own.
//!
//! Rows may have noise already, of known standard deviation (Daras, Cherapanamjeri, Daskalakis, "How Much is a Noisy Image Worth?",
//! ICLR 2025, arXiv 2411.02780): noise is added up to the level that was drawn, and what is compared is the prediction of the row as
//! it was given. Rows without noise are the case of none, to the bit.

use super::{NetworkDenoiser, Told, Weights, sum_of};
use ndarray::{Array2, ArrayView2};
use quadrat_core::distributions::{Tails, normal, normal_quantile};
use quadrat_core::{Error, Result, Rng, Seed};
use quadrat_nn::{At, Batch, Source};

/// Rows to learn from.
#[derive(Debug, Clone, Copy)]
pub struct Noising<'a> {
    /// The data, a sample a row.
    pub rows: ArrayView2<'a, f64>,
    /// The standard deviation of the noise that each row has; none: all are clean.
    pub noise: Option<&'a [f64]>,
    /// The class of each row, for a network that takes one.
    pub classes: Option<&'a [u32]>,
    /// A condition for each row, for a network that takes one.
    pub condition: Option<ArrayView2<'a, f64>>,
    /// How often a class or a condition is kept back, so that the network learns to do without.
    pub without: f64,
    /// Levels below a row's own noise: drawn again until there is none (false), or raised to it (true), as the authors' code has it, which
    /// wastes those draws.
    pub clamp: bool,
}

impl<'a> Noising<'a> {
    /// Clean rows, and nothing else.
    pub fn of(rows: ArrayView2<'a, f64>) -> Self {
        Noising { rows, noise: None, classes: None, condition: None, without: 0.1, clamp: false }
    }

    /// That all of it fits a network.
    pub(super) fn check(&self, denoiser: &NetworkDenoiser) -> Result<()> {
        let (n, purpose) = (self.rows.nrows(), denoiser.purpose());
        crate::denoiser::check_dims(purpose.dims, self.rows)?;
        if let Some(row) = self.rows.outer_iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(Error::input(format!("row {row}"), "a value that is not finite", "finite numbers"));
        }
        let as_many = |what: &str, len: Option<usize>| match len {
            Some(len) if len != n => Err(Error::input(what, format!("{len}"), format!("one for each of {n} rows"))),
            _ => Ok(()),
        };
        as_many("noise levels", self.noise.map(<[f64]>::len))?;
        as_many("classes", self.classes.map(<[u32]>::len))?;
        as_many("conditions", self.condition.map(|rows| rows.nrows()))?;
        if let Some((row, s)) =
            self.noise.into_iter().flatten().enumerate().find(|(_, s)| !(**s >= 0.0 && s.is_finite()))
        {
            return Err(Error::input(format!("noise of row {row}"), s, "a standard deviation, 0 for a clean row"));
        }
        if self.classes.is_some() != (purpose.classes > 0) {
            let got = if self.classes.is_some() { "classes" } else { "none" };
            return Err(Error::input("classes", got, format!("the network takes {}", purpose.classes)));
        }
        if let Some(class) = self.classes.into_iter().flatten().find(|class| **class as usize >= purpose.classes) {
            return Err(Error::input("class", class, format!("0 to {}", purpose.classes - 1)));
        }
        let width = self.condition.map_or(0, |rows| rows.ncols());
        if width != purpose.condition {
            return Err(Error::input("condition", format!("{width} numbers"), format!("{}", purpose.condition)));
        }
        if !(0.0..1.0).contains(&self.without) {
            return Err(Error::input("without", self.without, "a share, 0 to below 1"));
        }
        Ok(())
    }

    /// The least ρ that is taught: that of the least noisy row.
    pub(super) fn least(&self) -> f64 {
        self.noise.map_or(0.0, |noise| noise.iter().copied().fold(f64::INFINITY, f64::min))
    }
}

/// ln ρ is normal with this mean, for data of standard deviation 1, and deviation: Karras et al.'s, -1.2 and 1.2 at 0.5.
const LOG_NOISE: [f64; 2] = [-1.2 + std::f64::consts::LN_2, 1.2];

/// A level not below `least`.
fn level(deviation: f64, least: f64, clamp: bool, rng: &mut Rng) -> f64 {
    let [mean, spread] = LOG_NOISE;
    // Not 0, which is infinitely far.
    let (u, centre) = (rng.uniform().max(f64::MIN_POSITIVE), mean + deviation.ln());
    if least > 0.0 && !clamp {
        let above = normal((least.ln() - centre) / spread).above;
        // u of what lies above; where rounding leaves nothing there, the least itself.
        let z = normal_quantile(Tails::above(u * above));
        return (centre + spread * z).exp().max(least);
    }
    (centre + spread * normal_quantile(Tails::above(u))).exp().max(least)
}

/// Rows with noise for one network.
pub(super) struct Noised<'a, 'd> {
    pub rows: Noising<'a>,
    pub denoiser: &'d NetworkDenoiser,
    pub seed: Seed,
}

impl Source for Noised<'_, '_> {
    fn len(&self) -> usize {
        self.rows.rows.nrows()
    }

    fn outputs(&self) -> usize {
        self.rows.rows.ncols()
    }

    /// Levels and noise of a row in an epoch come from a stream of its own, whatever the batches.
    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let (data, purpose) = (&self.rows, self.denoiser.purpose());
        let stream = self.seed.stream(&at.epoch.to_string());
        let shape = (rows.len(), data.rows.ncols());
        let (mut scaled, mut targets) = (Array2::zeros(shape), Array2::zeros(shape));
        let (mut ratios, mut weights) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let mut told = Told::default();
        for (i, &row) in rows.iter().enumerate() {
            let mut rng = stream.rng(u64::from(row));
            let own = data.noise.map_or(0.0, |noise| noise[row as usize]);
            let ratio = level(purpose.deviation, own, data.clamp, &mut rng);
            let Weights { skip, out, input } = purpose.parametrisation.weights(ratio, purpose.deviation);
            // The noise that is missing, and how much of the row the data prediction tells: ŷ = c D + (1 - c) z.
            let c = 1.0 - (own / ratio).powi(2);
            let missing = ratio * c.max(0.0).sqrt();
            for (j, y) in data.rows.row(row as usize).iter().enumerate() {
                let z = y + missing * rng.normal();
                scaled[[i, j]] = input * z;
                // F for which ŷ is the row: at the row's own noise nothing is taught.
                targets[[i, j]] = if c > 0.0 { (((y - z) / c + (1.0 - skip) * z) / out) as f32 } else { 0.0 };
            }
            weights.push((c * c) as f32);
            ratios.push(ratio);
            let without = data.without > 0.0 && rng.uniform() < data.without;
            if let Some(classes) = data.classes {
                told.classes.push(if without { purpose.classes as u32 } else { classes[row as usize] });
            }
            if let Some(rows) = data.condition {
                let into = told.condition.get_or_insert_with(|| Array2::zeros((0, purpose.condition)));
                let one = rows.row(row as usize).mapv(|v| if without { 0.0 } else { v as f32 });
                into.push_row(one.view()).map_err(|e| Error::numeric("condition", e.to_string()))?;
            }
        }
        let (inputs, others) = self.denoiser.inputs(scaled.view(), &ratios, &told)?;
        let weights = data.noise.is_some_and(|noise| noise.iter().any(|s| *s > 0.0)).then_some(weights);
        Ok(Batch { others, weights, ..Batch::new(at, rows, inputs, targets) })
    }

    fn told(&self) -> String {
        let (sum, noise) = (sum_of(self.rows.rows), sum_of(self.rows.noise.into_iter().flatten()));
        format!("{} noised rows with the sums {sum:x} and {noise:x}", self.len())
    }
}
