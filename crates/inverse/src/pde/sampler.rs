//! Where the equation is asked to hold next: points without a learnt density.

use super::adaptive::{Adversarial, DeepAdaptive};
use super::domain::Domain;
use super::flow::Flow;
use super::pinn::Pinn;
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use quadrat_core::{Choice, Error, Result, Seed};
use quadrat_nn::Parameters;
use quadrat_numeric::low_discrepancy::Sobol;

/// Points at which the equation is asked to hold.
#[derive(Debug, Clone)]
pub struct Points {
    /// The points, a row each.
    pub x: Array2<f32>,
    /// The logarithm of the density that each was drawn from, on the domain scaled to \[−1, 1\]^d.
    pub ln_density: Vec<f32>,
}

impl Points {
    /// `n` points drawn uniformly.
    fn uniform(domain: &Domain, n: usize, seed: Seed, item: u64) -> Self {
        Points::even(domain, domain.draw(n, &mut seed.rng(item)))
    }

    /// Points of the uniform density.
    fn even(domain: &Domain, x: Array2<f32>) -> Self {
        let ln_density = vec![-(domain.dims() as f32) * std::f32::consts::LN_2; x.nrows()];
        Points { x, ln_density }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.x.nrows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of them.
    pub fn select(&self, rows: &[usize]) -> Self {
        let ln_density = rows.iter().map(|row| self.ln_density[*row]).collect();
        Points { x: self.x.select(Axis(0), rows), ln_density }
    }

    /// Both.
    pub(super) fn and(self, other: Points) -> Result<Self> {
        let wrong = |e| Error::numeric("points", format!("{e}"));
        let x = concatenate(Axis(0), &[self.x.view(), other.x.view()]).map_err(wrong)?;
        Ok(Points { x, ln_density: [self.ln_density, other.ln_density].concat() })
    }
}

/// Squared residuals of the equation at any points, as the solver is now.
pub type Residuals<'a> = &'a mut dyn FnMut(ArrayView2<f32>) -> Result<Vec<f64>>;

/// Says at which points the equation is asked to hold.
pub trait Collocation {
    /// The points of the first epoch.
    ///
    /// # Errors
    /// The method's own.
    fn start(&mut self) -> Result<Points>;

    /// After a step of the solver on a batch: its points and their squared residuals before the step.
    ///
    /// # Errors
    /// The method's own.
    fn learn(&mut self, _batch: &Points, _squares: &[f64]) -> Result<()> {
        Ok(())
    }

    /// The points of the next epoch; `step` steps are over.
    ///
    /// # Errors
    /// The method's own.
    fn next(&mut self, step: usize, points: Points, residuals: Residuals) -> Result<Points>;

    /// The density that was learnt, if one is.
    fn density(&self) -> Option<(&Flow, &Parameters)> {
        None
    }

    /// The effective share of the points in the last epoch where densities moved away from them, if they have weights.
    fn effective(&self) -> Option<f64> {
        None
    }
}

/// The ways to choose points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Sampler {
    /// Anew in every epoch, from the whole domain.
    Uniform,
    /// Along a scrambled Sobol' sequence.
    Sobol,
    /// The candidates with the largest residuals are added.
    Rar,
    /// Drawn from candidates by their residuals.
    Rad,
    /// From a learnt density of the residual, in stages that replace all points.
    DasR,
    /// From a learnt density of the residual, in stages that add points.
    DasG,
    /// From a density that is trained against the solver.
    Aas,
}

impl Pinn {
    /// The method's way to choose points of a domain.
    ///
    /// # Errors
    /// More dimensions than the method can do with.
    pub fn collocation(&self, domain: &Domain, seed: Seed) -> Result<Box<dyn Collocation>> {
        let seed = seed.stream("points");
        let (n, domain) = (self.points, domain.clone());
        let candidates = Candidates { period: self.period, number: self.candidates, due: self.period, drawn: 0 };
        Ok(match self.method {
            Sampler::Uniform => Box::new(Uniform { domain, n, seed, epoch: 0 }),
            Sampler::Sobol => {
                let sequence = Sobol::scrambled(domain.dims(), seed)?;
                Box::new(Sequence { domain, sequence, n, used: 0 })
            }
            Sampler::Rar => Box::new(Largest { domain, n, seed, candidates }),
            Sampler::Rad => Box::new(Drawn { domain, n, seed, candidates }),
            Sampler::DasR | Sampler::DasG => Box::new(DeepAdaptive::new(self, domain, seed)?),
            Sampler::Aas => Box::new(Adversarial::new(self, domain, seed)?),
        })
    }

    /// Uniform points, for the methods that begin with them.
    pub(super) fn first(&self, domain: &Domain, seed: Seed) -> Points {
        Points::uniform(domain, self.points, seed.stream("first"), 0)
    }
}

struct Uniform {
    domain: Domain,
    n: usize,
    seed: Seed,
    epoch: u64,
}

impl Collocation for Uniform {
    fn start(&mut self) -> Result<Points> {
        self.epoch += 1;
        Ok(Points::uniform(&self.domain, self.n, self.seed, self.epoch))
    }

    fn next(&mut self, _: usize, _: Points, _: Residuals) -> Result<Points> {
        self.start()
    }
}

struct Sequence {
    domain: Domain,
    sequence: Sobol,
    n: usize,
    used: u64,
}

impl Collocation for Sequence {
    fn start(&mut self) -> Result<Points> {
        let unit = self.sequence.points(self.used, self.n)?;
        self.used += self.n as u64;
        Ok(Points::even(&self.domain, self.domain.place(unit.view())))
    }

    fn next(&mut self, _: usize, _: Points, _: Residuals) -> Result<Points> {
        self.start()
    }
}

/// Uniform points to choose from, every so many steps.
struct Candidates {
    period: usize,
    number: usize,
    due: usize,
    drawn: u64,
}

impl Candidates {
    /// New ones with their squared residuals, if it is time for them.
    fn draw(&mut self, step: usize, domain: &Domain, seed: Seed, of: Residuals) -> Result<Option<(Points, Vec<f64>)>> {
        if step < self.due {
            return Ok(None);
        }
        self.due = step + self.period;
        self.drawn += 1;
        let points = Points::uniform(domain, self.number, seed.stream("candidates"), self.drawn);
        let squares = of(points.x.view())?;
        Ok(Some((points, squares)))
    }
}

/// RAR (Lu et al. 2021, DeepXDE): the largest are added, a tenth of the first points each time.
struct Largest {
    domain: Domain,
    n: usize,
    seed: Seed,
    candidates: Candidates,
}

impl Collocation for Largest {
    fn start(&mut self) -> Result<Points> {
        Ok(Points::uniform(&self.domain, self.n, self.seed, 0))
    }

    fn next(&mut self, step: usize, points: Points, residuals: Residuals) -> Result<Points> {
        let Some((found, squares)) = self.candidates.draw(step, &self.domain, self.seed, residuals)? else {
            return Ok(points);
        };
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|a, b| squares[*b].total_cmp(&squares[*a]));
        order.truncate(self.n.div_ceil(10));
        points.and(found.select(&order))
    }
}

/// RAD (Wu et al. 2023): all points are drawn anew, without replacement, in proportion to |r| / mean |r| + 1.
struct Drawn {
    domain: Domain,
    n: usize,
    seed: Seed,
    candidates: Candidates,
}

impl Collocation for Drawn {
    fn start(&mut self) -> Result<Points> {
        Ok(Points::uniform(&self.domain, self.n, self.seed, 0))
    }

    fn next(&mut self, step: usize, points: Points, residuals: Residuals) -> Result<Points> {
        let Some((found, squares)) = self.candidates.draw(step, &self.domain, self.seed, residuals)? else {
            return Ok(points);
        };
        let sizes: Vec<f64> = squares.iter().map(|square| square.sqrt()).collect();
        let mean = (sizes.iter().sum::<f64>() / sizes.len() as f64).max(f64::MIN_POSITIVE);
        let weights: Vec<f64> = sizes.iter().map(|size| size / mean + 1.0).collect();
        let mut rng = self.seed.stream("drawn").rng(self.candidates.drawn);
        let chosen = rng.weighted_sample(&weights, self.n);
        let mut some = found.select(&chosen);
        // Their density beside the uniform one, as far as drawing without replacement leaves it so.
        let total: f64 = weights.iter().sum::<f64>() / weights.len() as f64;
        let each = some.ln_density.iter_mut().zip(&chosen);
        each.for_each(|(ln, row)| *ln += (weights[*row] / total).ln() as f32);
        Ok(some)
    }
}
