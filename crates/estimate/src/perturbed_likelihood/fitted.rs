//! The fitted law.

use super::training::Networks;
use super::{PerturbedMle, Prior, Scaling, quadrature, variational};
use crate::{Generated, GenerativeModel, Generator};
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Progress, Result, Rng, Seed, stats};
use quadrat_numeric::check_finite;
use quadrat_numeric::low_discrepancy::Sobol;
use rayon::prelude::*;

/// Rows a stream of random numbers.
const BLOCK: usize = 1024;
/// Draws or points behind [`GenerativeModel::log_density`].
const DENSITY_DRAWS: usize = 1000;

/// A fitted generator: the law of f(Z).
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The noise level it was fitted with, in the rows' units.
    pub t: f64,
    /// The decoder's noise s, in the rows' units: left out by [`sample`](GenerativeModel::sample).
    pub sigma: f64,
    /// Noise levels and distances to the rows held out; empty when the level was given.
    pub validation: Vec<(f64, f64)>,
    /// Nats that each dimension of Z carries about a row, on average; empty without an encoder. All near 0 is the known
    /// collapse: the decoder has stopped listening.
    pub divergences: Vec<f64>,
    latent: usize,
    prior: Prior,
    networks: Networks,
    scaling: Scaling,
}

impl Fitted {
    /// `x` are the training rows in the networks' units, without noise.
    pub(super) fn new(
        method: &PerturbedMle,
        networks: Networks,
        scaling: Scaling,
        t: f64,
        x: ArrayView2<f64>,
    ) -> Fitted {
        let rows = x.mapv(|v| v as f32);
        let divergences = networks.encoder.as_ref().map(|encoder| variational::divergences(encoder, rows.view()));
        Fitted {
            t,
            sigma: f64::from(networks.sigma()) * scaling.scale,
            validation: Vec::new(),
            divergences: divergences.unwrap_or_default(),
            latent: method.latent,
            prior: method.prior,
            networks,
            scaling,
        }
    }

    /// f(z) of each row of `z`.
    ///
    /// # Errors
    /// Columns other than the latent dimensions, and values that are not finite.
    pub fn decode(&self, z: ArrayView2<f64>) -> Result<Array2<f64>> {
        if z.ncols() != self.latent {
            return Err(Error::input("columns of z", z.ncols(), format!("Z has {} dimensions", self.latent)));
        }
        check_finite("z", z)?;
        Ok(self.scaling.to_rows(self.networks.decoder.outputs(z.mapv(|v| v as f32).view())))
    }

    /// The encoder's mean of Z for each row of `x`; none without an encoder.
    ///
    /// # Errors
    /// Columns that differ in number, and values that are not finite.
    pub fn encode(&self, x: ArrayView2<f64>) -> Result<Option<Array2<f64>>> {
        let x = self.to_networks(x)?;
        Ok(self.networks.encoder.as_ref().map(|encoder| variational::means(encoder, x.view())))
    }

    /// Draws with the decoder's noise: the law that the likelihood was of, noise of the training rows included.
    pub fn sample_noisy(&self, rows: usize, seed: Seed) -> Array2<f64> {
        let mut made = self.generate(rows, seed);
        let mut rng = seed.stream("decoder noise").rng(0);
        made.mapv_inplace(|v| v + self.sigma * rng.normal());
        made
    }

    /// ln p(x) of each row, noise s included, by `k` points: with an encoder the importance-weighted bound of `k` draws,
    /// which lies below ln p by less the larger k; else quadrature on `k` Sobol' points.
    ///
    /// # Errors
    /// Columns that differ in number, values that are not finite, and `k` of 0.
    pub fn log_lik(&self, x: ArrayView2<f64>, k: usize, seed: Seed) -> Result<Vec<f64>> {
        let Some(encoder) = &self.networks.encoder else { return self.log_lik_by_quadrature(x, k, seed) };
        check_points(k)?;
        let x = self.to_networks(x)?;
        let one = |row: usize| {
            let mut rng: Rng = seed.stream("likelihood").rng(row as u64);
            variational::log_bound(&self.networks, encoder, x.slice(s![row..row + 1, ..]), k, &mut rng)
        };
        Ok(self.in_rows_units((0..x.nrows()).into_par_iter().map(one).collect()))
    }

    /// ln p(x) of each row by quadrature on `m` Sobol' points, whatever the bound was.
    ///
    /// # Errors
    /// As [`log_lik`](Self::log_lik).
    pub fn log_lik_by_quadrature(&self, x: ArrayView2<f64>, m: usize, seed: Seed) -> Result<Vec<f64>> {
        check_points(m)?;
        let x = self.to_networks(x)?;
        let cube = Sobol::scrambled(self.latent, seed.stream("quadrature"))?.points(0, m)?;
        let points = quadrature::points(&cube, self.prior);
        Ok(self.in_rows_units(quadrature::log_densities(&self.networks, &points, x.view())))
    }

    /// Log-densities in the rows' units, from those in the networks'.
    fn in_rows_units(&self, logs: Vec<f64>) -> Vec<f64> {
        let change = self.columns() as f64 * self.scaling.scale.ln();
        logs.into_iter().map(|log| log - change).collect()
    }

    fn to_networks(&self, x: ArrayView2<f64>) -> Result<Array2<f32>> {
        if x.ncols() != self.columns() {
            let want = format!("the generator was fitted to {}", self.columns());
            return Err(Error::input("columns", x.ncols(), want));
        }
        check_finite("rows", x)?;
        Ok(self.scaling.to_networks(x).mapv(|v| v as f32))
    }

    /// What makes draws less than they seem.
    fn warnings(&self, x: ArrayView2<f64>) -> Vec<String> {
        let mut warnings = Vec::new();
        let spreads: Vec<f64> = x.columns().into_iter().map(|c| stats::standard_deviation(&c.to_vec())).collect();
        let (least, most) = spreads.iter().fold((f64::INFINITY, 0.0_f64), |(l, m), s| (l.min(*s), m.max(*s)));
        if most > 10.0 * least {
            warnings.push(format!(
                "one column spreads {:.0} times as far as another, and all get the same noise: rescale them if that is not \
                 meant",
                most / least
            ));
        }
        if !self.divergences.is_empty() && self.divergences.iter().all(|nats| *nats < 0.05) {
            warnings.push(
                "the decoder does not listen to its input (less than 0.05 nats a dimension): take less noise or more steps"
                    .to_owned(),
            );
        }
        warnings
    }

    /// f(Z), blocks of rows in parallel.
    pub(super) fn generate(&self, rows: usize, seed: Seed) -> Array2<f64> {
        let columns = self.columns();
        let mut made = vec![0.0; rows * columns];
        made.par_chunks_mut(BLOCK * columns).enumerate().for_each(|(block, part)| {
            let mut rng = seed.stream("latent").rng(block as u64);
            let shape = (part.len() / columns, self.latent);
            let z = Array2::from_shape_simple_fn(shape, || self.prior.draw(&mut rng) as f32);
            let values = self.scaling.to_rows(self.networks.decoder.outputs(z.view()));
            part.iter_mut().zip(values).for_each(|(to, from)| *to = from);
        });
        Array2::from_shape_fn((rows, columns), |(i, j)| made[i * columns + j])
    }
}

fn check_points(k: usize) -> Result<()> {
    if k == 0 { Err(Error::input("k", 0, "use at least 1 point")) } else { Ok(()) }
}

impl GenerativeModel for Fitted {
    fn columns(&self) -> usize {
        self.scaling.centre.len()
    }

    /// f(Z), without the decoder's noise: step 3 of the method.
    fn sample(&self, rows: usize, seed: Seed) -> Array2<f64> {
        self.generate(rows, seed)
    }

    /// ln p with the decoder's noise, by [`log_lik`](Fitted::log_lik) on a thousand points.
    fn log_density(&self, x: ArrayView2<f64>, seed: Seed) -> Result<Option<Vec<f64>>> {
        self.log_lik(x, DENSITY_DRAWS, seed).map(Some)
    }
}

impl Generator for PerturbedMle {
    fn draw(&self, x: ArrayView2<f64>, rows: usize, seed: Seed, progress: &dyn Progress) -> Result<Generated> {
        let fitted = self.fit(x, seed, progress)?;
        let mut figures = vec![("noise".to_owned(), fitted.t), ("left out noise".to_owned(), fitted.sigma)];
        let of_level = fitted.validation.iter().find(|(t, _)| *t == fitted.t);
        figures.extend(of_level.map(|(_, w1)| ("distance to rows held out".to_owned(), *w1)));
        let nats = |(at, nats): (usize, &f64)| (format!("nats in dimension {}", at + 1), *nats);
        figures.extend(fitted.divergences.iter().enumerate().map(nats));
        Ok(Generated {
            rows: fitted.sample(rows, seed.stream("drawn")),
            law: "a decoder of random numbers, fitted to rows with noise and drawn from without".to_owned(),
            figures,
            warnings: fitted.warnings(x),
        })
    }
}
