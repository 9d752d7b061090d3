//! Points from a learnt density: DAS and AAS.

use super::domain::Domain;
use super::flow::Flow;
use super::pinn::{BetaScale, Pinn};
use super::sampler::{Collocation, Points, Residuals, Sampler};
use ndarray::Array2;
use quadrat_core::{Result, Seed};
use quadrat_nn::{Descent, Optimizer, Parameters, Tensor, tensor_of};
use std::ops::Range;

/// What the density descends in, for each point drawn from p': β p² |∇ ln p|² / p' − r² p / p'.
fn descent(ln_p: Tensor<2>, slopes: Tensor<2>, ln_old: Tensor<2>, gain: Tensor<2>, beta: f32) -> Tensor<2> {
    let ln_p = ln_p.clamp(LN_DENSITY.0, LN_DENSITY.1);
    let ratio = (ln_p.clone() - ln_old.clone()).exp().clamp_max(MOST_RATIO);
    (ln_p * 2.0 - ln_old).exp() * slopes.square().sum_dim(1) * beta - gain * ratio
}

/// The logarithm of a density stays within this, where its exponential is taken (as in the code of DAS).
const LN_DENSITY: (f32, f32) = (-23.03, 5.0);
/// A point counts at most so many times as much as when it was drawn.
const MOST_RATIO: f32 = 10.0;

/// A flow on a box under training.
struct Density {
    flow: Flow,
    parameters: Parameters,
    descent: Descent,
    rate: f64,
    middle: Vec<f64>,
    half: Vec<f64>,
    seed: Seed,
    drawn: u64,
}

impl Density {
    fn new(flow: Flow, domain: &Domain, rate: f64, seed: Seed) -> Result<Self> {
        let parameters = flow.initialise(seed.stream("flow"))?;
        let (middle, half) = domain.middle();
        let descent = Descent::new(Optimizer::adamw(0.0))?;
        Ok(Density { flow, parameters, descent, rate, middle, half, seed: seed.stream("drawn"), drawn: 0 })
    }

    /// `n` points of the box.
    fn draw(&mut self, n: usize) -> Result<Points> {
        self.drawn += 1;
        let (cube, ln_density) = self.flow.draw(&self.parameters, n, self.seed.stream(&self.drawn.to_string()))?;
        let place = |k: usize, v: f32| (self.middle[k] + self.half[k] * f64::from(v)) as f32;
        Ok(Points { x: Array2::from_shape_fn(cube.dim(), |(i, k)| place(k, cube[[i, k]])), ln_density })
    }

    /// One step along the gradient of the mean of `loss`, of each point's number, ln p (rows x 1) and its gradient (rows x dims);
    /// what comes back is ln p before the step.
    fn step(
        &mut self,
        points: &Points,
        loss: &(dyn Fn(Range<usize>, Tensor<2>, Tensor<2>) -> Tensor<2> + Sync),
    ) -> Result<Vec<f32>> {
        let place = |k: usize, v: f32| ((f64::from(v) - self.middle[k]) / self.half[k]) as f32;
        let cube = Array2::from_shape_fn(points.x.dim(), |(i, k)| place(k, points.x[[i, k]]).clamp(-1.0, 1.0));
        let d = self.half.len();
        let losses = |rows: Range<usize>, outputs: &Tensor<2>| {
            let n = rows.len();
            let columns = |from: usize, to: usize| outputs.clone().slice([0..n, from..to]);
            Ok(loss(rows, columns(0, 1), columns(1, 1 + d)).reshape([n]))
        };
        let (_, outputs) = self.descent.step(&self.flow, &mut self.parameters, cube.view(), self.rate, &losses)?;
        Ok(outputs.column(0).to_vec())
    }
}

/// Numbers as a column of a pass under training.
fn column(values: &[f32]) -> Tensor<2> {
    let rows = Array2::from_shape_fn((values.len(), 1), |(i, _)| values[i]);
    tensor_of(rows.view(), true)
}

/// AAS (Tang et al. 2024): the density climbs ∫ r² p − β ∫ |∇p|², of which the second part keeps it from falling onto one point; the
/// solver descends in the mean of r² over points drawn from it.
///
/// Both integrals are means over the points of the epoch, which were drawn from the density as it was at its beginning, p':
/// of r² p / p' and of β p² |∇ ln p|² / p'. That a point's weight p / p' is bounded keeps the first from exploding.
pub(super) struct Adversarial {
    density: Density,
    first: Points,
    n: usize,
    beta: f64,
    scale: BetaScale,
    /// The running mean of r², and how much has gone into it.
    mean: (f64, f64),
    /// The effective shares of this epoch's batches so far, and of the last one.
    shares: Vec<f64>,
    effective: Option<f64>,
}

impl Adversarial {
    pub fn new(pinn: &Pinn, domain: Domain, seed: Seed) -> Result<Self> {
        Ok(Adversarial {
            density: Density::new(Flow::smooth(domain.dims())?, &domain, pinn.flow_rate, seed)?,
            first: pinn.first(&domain, seed),
            n: pinn.points,
            beta: pinn.beta(),
            scale: pinn.beta_scale,
            mean: (0.0, 0.0),
            shares: Vec::new(),
            effective: None,
        })
    }

    /// The running mean of r² with this batch in it: the last ten batches count most.
    fn mean_with(&mut self, squares: &[f64]) -> f64 {
        let now = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
        let (sum, weight) = self.mean;
        self.mean = (0.9 * sum + 0.1 * now, 0.9 * weight + 0.1);
        self.mean.0 / self.mean.1
    }
}

impl Collocation for Adversarial {
    fn start(&mut self) -> Result<Points> {
        Ok(self.first.clone())
    }

    fn learn(&mut self, batch: &Points, squares: &[f64]) -> Result<()> {
        let mean = self.mean_with(squares);
        let unit = if self.scale == BetaScale::Mean { mean.max(f64::MIN_POSITIVE) } else { 1.0 };
        // Divided by both units, so that a large β does not make a large loss.
        let by = 1.0 + self.beta;
        let gain: Vec<f32> = squares.iter().map(|square| (square / unit / by) as f32).collect();
        let beta = (self.beta / by) as f32;
        let ln_old = &batch.ln_density;
        let ln_p = self.density.step(batch, &|rows, ln_p, slopes| {
            descent(ln_p, slopes, column(&ln_old[rows.clone()]), column(&gain[rows]), beta)
        })?;
        let ratios = ln_p.iter().zip(ln_old).map(|(new, old)| f64::from(new - old).exp().min(f64::from(MOST_RATIO)));
        let (sum, square) = ratios.fold((0.0, 0.0), |(sum, square), w| (sum + w, square + w * w));
        self.shares.push(sum * sum / (square * ln_p.len() as f64).max(f64::MIN_POSITIVE));
        Ok(())
    }

    fn next(&mut self, _: usize, _: Points, _: Residuals) -> Result<Points> {
        let shares = std::mem::take(&mut self.shares);
        self.effective = Some(shares.iter().sum::<f64>() / shares.len().max(1) as f64);
        self.density.draw(self.n)
    }

    fn density(&self) -> Option<(&Flow, &Parameters)> {
        Some((&self.density.flow, &self.density.parameters))
    }

    fn effective(&self) -> Option<f64> {
        self.effective
    }
}

/// DAS (Tang, Wan and Yang 2023): after each stage the density is fitted to the residual by its cross-entropy, −Σ r²/p' ln p; the
/// points it then draws replace all (DAS-R) or are added (DAS-G).
pub(super) struct DeepAdaptive {
    density: Density,
    first: Points,
    n: usize,
    batch: usize,
    /// Steps of a stage.
    stage: usize,
    due: usize,
    adds: bool,
    seed: Seed,
}

/// Steps of the fit, as a share of the stage before it.
const FIT: f64 = 0.5;

impl DeepAdaptive {
    pub fn new(pinn: &Pinn, domain: Domain, seed: Seed) -> Result<Self> {
        let stage = pinn.steps.div_ceil(pinn.stages);
        Ok(DeepAdaptive {
            density: Density::new(Flow::new(domain.dims())?, &domain, pinn.flow_rate, seed)?,
            first: pinn.first(&domain, seed),
            n: pinn.points,
            batch: pinn.batch,
            stage,
            due: stage,
            adds: pinn.method == Sampler::DasG,
            seed: seed.stream("fit"),
        })
    }

    /// The density by the residuals of these points.
    fn fit(&mut self, points: &Points, squares: &[f64]) -> Result<()> {
        // Of an even density, so that the sizes do not depend on the number of dimensions.
        let even = -(points.x.ncols() as f64) * std::f64::consts::LN_2;
        let weights: Vec<f64> =
            squares.iter().zip(&points.ln_density).map(|(r2, ln)| r2 * (even - f64::from(*ln)).exp()).collect();
        let mean = (weights.iter().sum::<f64>() / weights.len().max(1) as f64).max(f64::MIN_POSITIVE);
        let weights: Vec<f32> = weights.into_iter().map(|weight| (weight / mean) as f32).collect();
        let seed = self.seed.stream(&self.due.to_string());
        for step in 0..(FIT * self.stage as f64).ceil() as u64 {
            let mut rng = seed.rng(step);
            let some: Vec<usize> = (0..self.batch).map(|_| rng.below(points.len())).collect();
            let weight: Vec<f32> = some.iter().map(|row| weights[*row]).collect();
            self.density.step(&points.select(&some), &|rows, ln_p, _| {
                column(&weight[rows]) * ln_p.clamp(LN_DENSITY.0, LN_DENSITY.1).neg()
            })?;
        }
        Ok(())
    }
}

impl Collocation for DeepAdaptive {
    fn start(&mut self) -> Result<Points> {
        Ok(self.first.clone())
    }

    fn next(&mut self, step: usize, points: Points, residuals: Residuals) -> Result<Points> {
        if step < self.due {
            return Ok(points);
        }
        self.due = step + self.stage;
        let squares = residuals(points.x.view())?;
        self.fit(&points, &squares)?;
        let found = self.density.draw(self.n)?;
        if self.adds { points.and(found) } else { Ok(found) }
    }

    fn density(&self) -> Option<(&Flow, &Parameters)> {
        Some((&self.density.flow, &self.density.parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient by the density's parameters, from points drawn from it, is on average that of the integral on a grid: of 24
    /// batches of 500 points the mean of each of a few parameters is within 6 standard errors (t with 23 degrees: 4 in a million a
    /// parameter).
    #[test]
    fn the_ascent_is_that_of_the_integral() {
        let flow = Flow::smooth(2).unwrap();
        let mut parameters = flow.initialise(Seed(4)).unwrap();
        let mut rng = Seed(5).rng(0);
        for parameter in parameters.iter_mut() {
            let size = if parameter.name.contains("fc3") { 0.1 } else { 0.02 };
            parameter.update(|v| v.iter_mut().for_each(|v| *v += size * rng.normal() as f32));
        }
        let r2 = |x: &[f32]| 1.0 + 4.0 * x[0] * x[0] + (3.0 * x[1]).sin();
        let plain = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        // The gradient of the mean of what the points say, each times a weight; p' is the density itself.
        let gradient = |x: &Array2<f32>, weights: &[f32], ln_old: &[f32]| {
            let gain: Vec<f32> = x.rows().into_iter().map(|x| r2(&x.to_vec())).collect();
            let mut after = parameters.clone();
            let losses: quadrat_nn::RowLosses = &|rows, outputs| {
                let n = rows.len();
                let columns = |from: usize, to: usize| outputs.clone().slice([0..n, from..to]);
                let (old, gain) = (column(&ln_old[rows.clone()]), column(&gain[rows.clone()]));
                Ok((descent(columns(0, 1), columns(1, 3), old, gain, 0.3) * column(&weights[rows])).reshape([n]))
            };
            Descent::new(plain).unwrap().step(&flow, &mut after, x.view(), 1e-2, losses).unwrap();
            let moved = after.iter().zip(parameters.iter()).step_by(9);
            moved.map(|(new, old)| f64::from(old.values()[0] - new.values()[0]) / 1e-2).collect::<Vec<f64>>()
        };
        let side = 120;
        let place = |i: usize| (2.0 * (i as f64 + 0.5) / side as f64 - 1.0) as f32;
        let grid = Array2::from_shape_fn((side * side, 2), |(i, k)| place(if k == 0 { i / side } else { i % side }));
        let ln: Vec<f32> = flow.density(&parameters, grid.view()).unwrap().column(0).to_vec();
        // Points are drawn from what is inside the cube.
        let total: f32 = ln.iter().map(|ln| ln.exp()).sum();
        let weights: Vec<f32> = ln.iter().map(|ln| ln.exp() / total * (side * side) as f32).collect();
        let wanted = gradient(&grid, &weights, &ln);
        let batches: Vec<Vec<f64>> = (0..24)
            .map(|i| {
                let (x, ln) = flow.draw(&parameters, 500, Seed(6).stream(&i.to_string())).unwrap();
                gradient(&x, &[1.0; 500], &ln)
            })
            .collect();
        for (k, wanted) in wanted.iter().enumerate() {
            let each: Vec<f64> = batches.iter().map(|batch| batch[k]).collect();
            let mean = each.iter().sum::<f64>() / 24.0;
            let error = (each.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 23.0 / 24.0).sqrt();
            // And the grid's own error.
            assert!((mean - wanted).abs() < 6.0 * error + 0.01 * (1e-2 + wanted.abs()), "{k}: {mean} {wanted} {error}");
        }
    }
}
