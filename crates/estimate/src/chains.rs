//! Markov chains that draw from a density known by its score ([`ScoreModel`]).
//!
//! Many chains run side by side, each from a row of its own, so that a model sees batches. A chain's step never changes
//! after burn-in, which keeps its target what it is.
//!
//! Chains move where the density leads them: between modes that a deep valley parts they cannot agree on how much mass
//! each has, and the shares are those of the starting rows. R-hat shows this only when chains started on both sides.

use crate::score::{Quadrature, Rule, ScoreModel, check_columns};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis, Zip, s};
use quadrat_core::{Choice, Error, Progress, Result, Rng, Seed, Settings, checkpoint, stats};
use rayon::prelude::*;

/// How a chain moves. Lengths are in units of the model's [`scale`](ScoreModel::scale), q is the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Kernel {
    /// Random walk, accepted by the ratio of densities. y = x + q e with probability min(1, p(y) / p(x)); the ratio is
    /// a path integral.
    Metropolis,
    /// Langevin's drift with Hastings' correction. y = x + q^2 / 2 s(x) + q e (Roberts and Tweedie 1996).
    Mala,
    /// The same without a correction. Every proposal is accepted, and the target is off by O(q^2).
    Langevin,
    /// Corrupt with the model's own noise, take the noise out, and add it again, without a correction. Bengio et al.
    /// (2013, arXiv 1305.6663). One score a step, but steps of the noise's length.
    DaeChain,
}

impl Kernel {
    /// The acceptance that the step is tuned to: the middle of 0.23 to 0.5 for random walks; of MALA's limit (Roberts and
    /// Rosenthal 1998).
    fn wanted(self) -> Option<f64> {
        match self {
            Kernel::Metropolis => Some(0.35),
            Kernel::Mala => Some(0.574),
            Kernel::Langevin | Kernel::DaeChain => None,
        }
    }
}

/// Proposals farther than `radius` from every one of the rows are rejected: a learnt score means nothing out there.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// The rows, in the units of the model's points.
    pub rows: Array2<f64>,
    /// In units of the model's scale, above 0.
    pub radius: f64,
}

/// How chains are run.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Chains {
    /// How a chain moves.
    #[param(name = "sampler", default = Kernel::Metropolis)]
    pub kernel: Kernel,
    /// Proposal size in standard deviations; auto is tuned during burn-in. q, in units of the model's scale. `None`:
    /// tuned within the model's [`reach`](ScoreModel::reach) (Metropolis, MALA), or the model's noise, 0.1 where it has
    /// none (Langevin).
    #[param(none = "auto", above = 0)]
    pub step: Option<f64>,
    /// Path integral: one, taylor2, trapezoid:K or gauss:K.
    #[param(default = Quadrature::Gauss(5), text = "gauss:5", parse = str::parse)]
    pub quadrature: Quadrature,
    /// Steps before the first draw.
    #[param(default = 1000)]
    pub burn_in: usize,
    /// Steps between draws.
    #[param(default = 10, from = 1)]
    pub thin: usize,
    /// Where proposals are rejected.
    pub guard: Option<Guard>,
}

/// What the chains drew.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    /// Chain, draw, column.
    pub draws: Array3<f64>,
    /// Share of proposals accepted after burn-in.
    pub acceptance: f64,
    /// q, as it was after burn-in.
    pub step: f64,
    /// Of each column: how many independent draws all draws are worth ([`stats::effective_sample_size`]).
    pub effective: Vec<f64>,
    /// Of each column: [`stats::split_r_hat`].
    pub r_hat: Vec<f64>,
}

impl Draws {
    /// All draws, chain after chain.
    pub fn rows(&self) -> Array2<f64> {
        let (chains, draws, columns) = self.draws.dim();
        Array2::from_shape_fn((chains * draws, columns), |(row, j)| self.draws[[row / draws, row % draws, j]])
    }

    /// The smallest of the columns' effective sample sizes; NaN counts as smallest.
    pub fn least_effective(&self) -> f64 {
        self.effective.iter().copied().reduce(|a, b| if b.is_nan() || b < a { b } else { a }).unwrap_or(f64::NAN)
    }

    /// The largest of the columns' R-hats; NaN counts as largest.
    pub fn worst_r_hat(&self) -> f64 {
        self.r_hat.iter().copied().reduce(|a, b| if b.is_nan() || b > a { b } else { a }).unwrap_or(f64::NAN)
    }
}

/// Chains that share a batch: fixed, so that no sum depends on the number of threads.
const TOGETHER: usize = 16;
/// Steps between looks at progress and, during burn-in, at acceptance.
const ROUND: usize = 25;

/// Chains side by side and what goes with each.
struct Block {
    first: usize,
    x: Array2<f64>,
    /// At `x`, for kernels that reuse it.
    score: Array2<f64>,
    rngs: Vec<Rng>,
    accepted: usize,
}

/// What does not change while chains run.
struct Setting<'a> {
    model: &'a dyn ScoreModel,
    kernel: Kernel,
    rule: Rule,
    scale: Array1<f64>,
    guard: Option<(Array2<f64>, f64)>,
}

impl Chains {
    /// Draws `draws` times from each of the chains that start at the rows of `start`.
    ///
    /// Time O((burn_in + thin * draws) * chains) evaluations of the path integral (Metropolis: as many scores as the
    /// quadrature has nodes; MALA one more; the others one score). The result does not depend on the number of threads.
    ///
    /// # Errors
    /// Parameters out of range, no chain, starts of other columns than the model's, not finite or outside the guard; a
    /// score that is not finite (the message says where); [`Kernel::DaeChain`] for a model without noise; the user's
    /// cancelling.
    pub fn run(
        &self,
        model: &dyn ScoreModel,
        start: ArrayView2<f64>,
        draws: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Draws> {
        let setting = self.setting(model, start)?;
        let (chains, d) = start.dim();
        let stream = seed.stream("chains");
        let mut blocks: Vec<Block> = (0..chains)
            .step_by(TOGETHER)
            .map(|first| {
                let end = chains.min(first + TOGETHER);
                let x = start.slice(s![first..end, ..]).to_owned();
                let rngs = (first..end).map(|chain| stream.rng(chain as u64)).collect();
                Block { first, score: model.score(x.view()), x, rngs, accepted: 0 }
            })
            .collect();
        let mut step = self.step.unwrap_or_else(|| self.first_step(model, d));
        progress.begin("sampling", Some((self.burn_in + self.thin * draws) as u64));

        let rounds = self.burn_in.div_ceil(ROUND);
        for round in 0..rounds {
            let steps = ROUND.min(self.burn_in - round * ROUND);
            advance(&setting, &mut blocks, steps, step, progress)?;
            let accepted = share(&mut blocks, steps * chains);
            if let (None, Some(wanted)) = (self.step, self.kernel.wanted()) {
                // Stochastic approximation: large moves first, then ever smaller ones.
                step *= (4.0 * (accepted - wanted) / (1.0 + round as f64).sqrt()).exp();
                step = step.min(self.longest_step(model, d));
            }
        }
        let mut kept = Array3::zeros((chains, draws, d));
        let mut accepted = 0.0;
        for draw in 0..draws {
            advance(&setting, &mut blocks, self.thin, step, progress)?;
            accepted += share(&mut blocks, self.thin * chains);
            for block in &blocks {
                kept.slice_mut(s![block.first..block.first + block.x.nrows(), draw, ..]).assign(&block.x);
            }
        }
        let column = |j: usize| -> Vec<Vec<f64>> {
            kept.index_axis(Axis(2), j).rows().into_iter().map(|chain| chain.to_vec()).collect()
        };
        let columns: Vec<Vec<Vec<f64>>> = (0..d).map(column).collect();
        Ok(Draws {
            acceptance: accepted / draws as f64,
            step,
            effective: columns.iter().map(|chains| stats::effective_sample_size(chains)).collect(),
            r_hat: columns.iter().map(|chains| stats::split_r_hat(chains)).collect(),
            draws: kept,
        })
    }

    /// A tuned proposal is rarely longer than the model's reach: a jump over places where its score was never right gives
    /// odds that mean nothing, and tuning would find such jumps.
    fn longest_step(&self, model: &dyn ScoreModel, d: usize) -> f64 {
        model.reach() / (d as f64).sqrt()
    }

    /// Where none is given.
    fn first_step(&self, model: &dyn ScoreModel, d: usize) -> f64 {
        let d = d as f64;
        match self.kernel {
            // Optimal for normal targets of many columns.
            Kernel::Metropolis => 2.4 / d.sqrt(),
            Kernel::Mala => 1.6 / d.cbrt(),
            Kernel::Langevin | Kernel::DaeChain if model.noise() > 0.0 => model.noise(),
            Kernel::Langevin | Kernel::DaeChain => 0.1,
        }
    }

    /// What the chains run on, once it is known to be usable.
    fn setting<'a>(&self, model: &'a dyn ScoreModel, start: ArrayView2<f64>) -> Result<Setting<'a>> {
        check_columns(model.dims(), start)?;
        if start.nrows() == 0 {
            return Err(Error::input("chains", 0, "give at least one row to start from"));
        }
        if self.thin == 0 {
            return Err(Error::input("thinning", 0, "use at least 1 step a draw"));
        }
        if let Some(step) = self.step.filter(|step| !(*step > 0.0 && step.is_finite())) {
            return Err(Error::input("step", step, "it must be finite and above 0"));
        }
        if self.kernel == Kernel::DaeChain && model.noise() == 0.0 {
            return Err(Error::input(
                "kernel",
                "the denoising chain",
                "the model has no noise to take out: use another",
            ));
        }
        let scale = model.scale();
        let guard = match &self.guard {
            None => None,
            Some(guard) => {
                check_columns(model.dims(), guard.rows.view())?;
                if guard.radius.is_nan() || guard.radius <= 0.0 {
                    return Err(Error::input("guard", guard.radius, "the radius must be above 0"));
                }
                Some((&guard.rows / &scale, guard.radius * guard.radius))
            }
        };
        let setting = Setting { model, kernel: self.kernel, rule: self.quadrature.rule()?, scale, guard };
        if let Some(row) = (0..start.nrows()).find(|row| !setting.allowed(start.row(*row))) {
            let want = "start from rows within the guard's radius of its own, or widen it";
            return Err(Error::input("start", format!("row {row}"), want));
        }
        Ok(setting)
    }
}

/// Runs all chains for some steps.
fn advance(setting: &Setting, blocks: &mut [Block], steps: usize, step: f64, progress: &dyn Progress) -> Result<()> {
    checkpoint(progress)?;
    blocks.par_iter_mut().try_for_each(|block| (0..steps).try_for_each(|_| setting.move_on(block, step)))?;
    progress.advance(steps as u64);
    Ok(())
}

/// The share of proposals accepted since the last call.
fn share(blocks: &mut [Block], proposals: usize) -> f64 {
    let accepted: usize = blocks.iter_mut().map(|block| std::mem::take(&mut block.accepted)).sum();
    accepted as f64 / proposals.max(1) as f64
}

impl Setting<'_> {
    /// One step of each chain of a block.
    fn move_on(&self, block: &mut Block, q: f64) -> Result<()> {
        let squared_scale = &self.scale * &self.scale;
        match self.kernel {
            Kernel::Metropolis => {
                let y = &block.x + &self.noise(&mut block.rngs, q);
                let gain = self.rule.integrate(self.model, block.x.view(), y.view());
                self.accept(block, y, None, &gain)
            }
            Kernel::Mala => {
                let drift = |score: &Array2<f64>| score * &squared_scale * (0.5 * q * q);
                let there = &block.x + &drift(&block.score);
                let y = &there + &self.noise(&mut block.rngs, q);
                let score = self.model.score(y.view());
                let back = &y + &drift(&score);
                let mut gain = self.rule.integrate(self.model, block.x.view(), y.view());
                // Hastings: how much likelier the way back is than the way there.
                let miss = |from: ArrayView1<f64>, to: ArrayView1<f64>| {
                    let mut sum = 0.0;
                    Zip::from(&from).and(&to).and(&self.scale).for_each(|f, t, s| sum += ((t - f) / s).powi(2));
                    sum / (2.0 * q * q)
                };
                for (i, gain) in gain.iter_mut().enumerate() {
                    *gain += miss(there.row(i), y.row(i)) - miss(back.row(i), block.x.row(i));
                }
                self.accept(block, y, Some(score), &gain)
            }
            Kernel::Langevin => {
                let drift = self.model.score(block.x.view()) * &squared_scale * (0.5 * q * q);
                let y = &block.x + &drift + &self.noise(&mut block.rngs, q);
                self.accept_all(block, y)
            }
            Kernel::DaeChain => {
                let s = self.model.noise();
                let corrupt = &block.x + &self.noise(&mut block.rngs, s);
                let clean = &corrupt + &(self.model.score(corrupt.view()) * &squared_scale * (s * s));
                let y = clean + self.noise(&mut block.rngs, s);
                self.accept_all(block, y)
            }
        }
    }

    /// Normal noise for each chain, of standard deviation `width` in the columns' units.
    fn noise(&self, rngs: &mut [Rng], width: f64) -> Array2<f64> {
        let mut e = Array2::zeros((rngs.len(), self.scale.len()));
        for (mut e, rng) in e.rows_mut().into_iter().zip(rngs) {
            e.iter_mut().zip(&self.scale).for_each(|(e, s)| *e = width * s * rng.normal());
        }
        e
    }

    /// Metropolis' and Hastings' choice, from the logarithms of the ratios.
    fn accept(&self, block: &mut Block, y: Array2<f64>, score: Option<Array2<f64>>, gain: &[f64]) -> Result<()> {
        for (i, &gain) in gain.iter().enumerate() {
            if gain.is_nan() {
                return Err(self.lost(block, i, y.row(i)));
            }
            // Drawn in any case: a chain's later numbers do not depend on the guard.
            let bar = block.rngs[i].uniform().ln();
            if bar < gain && self.allowed(y.row(i)) {
                block.x.row_mut(i).assign(&y.row(i));
                if let Some(score) = &score {
                    block.score.row_mut(i).assign(&score.row(i));
                }
                block.accepted += 1;
            }
        }
        Ok(())
    }

    fn accept_all(&self, block: &mut Block, y: Array2<f64>) -> Result<()> {
        if let Some(i) = (0..y.nrows()).find(|i| y.row(*i).iter().any(|v| !v.is_finite())) {
            return Err(self.lost(block, i, y.row(i)));
        }
        let gain = vec![f64::INFINITY; y.nrows()];
        self.accept(block, y, None, &gain)
    }

    fn allowed(&self, x: ArrayView1<f64>) -> bool {
        let Some((rows, squared)) = &self.guard else { return true };
        let z = &x / &self.scale;
        rows.rows().into_iter().any(|row| row.iter().zip(&z).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() <= *squared)
    }

    fn lost(&self, block: &Block, i: usize, to: ArrayView1<f64>) -> Error {
        let from = block.x.row(i);
        let length = |v: ArrayView1<f64>| v.iter().zip(&self.scale).map(|(v, s)| (v / s).powi(2)).sum::<f64>().sqrt();
        let mut place = format!("chain {}, from {from} to {to}", block.first + i);
        if let Some((rows, _)) = &self.guard {
            let z = &from / &self.scale;
            let near = rows.rows().into_iter().map(|row| (&row - &z).mapv(|v| v * v).sum().sqrt());
            place.push_str(&format!(", {} from the nearest row", near.fold(f64::INFINITY, f64::min)));
        } else {
            place.push_str(&format!(", {} from the origin", length(from)));
        }
        Error::numeric(place, "the score is not finite there: use a guard, a smaller step or more noise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::IsotropicMixture;
    use ndarray::array;
    use quadrat_core::Silent;

    /// An isotropic mixture that says it was smoothed.
    struct Smoothed(IsotropicMixture, f64);

    impl ScoreModel for Smoothed {
        fn dims(&self) -> usize {
            self.0.dims()
        }
        fn score(&self, x: ArrayView2<f64>) -> Array2<f64> {
            self.0.score(x)
        }
        fn noise(&self) -> f64 {
            self.1
        }
    }

    fn mixture() -> IsotropicMixture {
        IsotropicMixture::new(array![[-1.0, 0.0], [1.0, 0.5]], &[1.0, 2.0], 0.6).unwrap()
    }

    /// Means, variances and the heavier mode's share agree with the law's to five standard errors by the chains' own
    /// effective size: once in a million for each.
    #[test]
    fn chains_draw_from_the_mixture() {
        // Small steps without a correction: their bias is 1% of the variance, and they take long.
        for (kernel, step, thin) in
            [(Kernel::Metropolis, None, 10), (Kernel::Mala, None, 10), (Kernel::Langevin, Some(0.12), 60)]
        {
            let chains = Chains { kernel, step, thin, burn_in: 500, ..Chains::default() };
            let start = mixture().sample(40, &mut Seed(1).rng(0));
            let drawn = chains.run(&mixture(), start.view(), 250, Seed(2), &Silent).unwrap();
            let truth = mixture().sample(200_000, &mut Seed(3).rng(0));
            let rows = drawn.rows();
            assert!(drawn.worst_r_hat() < 1.05, "{kernel:?} {:?}", drawn.r_hat);
            for j in 0..2 {
                let (found, exact) = (rows.column(j).to_vec(), truth.column(j).to_vec());
                let deviation = stats::standard_deviation(&exact);
                let n = drawn.effective[j].min(rows.nrows() as f64);
                let mean = stats::mean(&found) - stats::mean(&exact);
                assert!(mean.abs() < 5.0 * deviation / n.sqrt(), "{kernel:?} {j}: mean off by {mean}, {n} effective");
                let ratio = stats::variance(&found) / deviation.powi(2) - 1.0;
                assert!(ratio.abs() < 5.0 * (2.0 / n).sqrt(), "{kernel:?} {j}: variance off by {ratio}, {n} effective");
            }
            let right = |rows: &Array2<f64>| {
                let count = rows.rows().into_iter().filter(|row| row[0] + 0.25 * row[1] > 0.0).count();
                count as f64 / rows.nrows() as f64
            };
            let off = right(&rows) - right(&truth);
            assert!(off.abs() < 5.0 * 0.5 / drawn.least_effective().sqrt(), "{kernel:?}: share off by {off}");
            match kernel {
                Kernel::Metropolis => assert!((0.23..0.5).contains(&drawn.acceptance), "{}", drawn.acceptance),
                Kernel::Mala => assert!((0.45..0.7).contains(&drawn.acceptance), "{}", drawn.acceptance),
                _ => assert_eq!(drawn.acceptance, 1.0),
            }
        }
    }

    /// For a standard normal law smoothed by s, r shrinks by 1 / (1 + s^2): the chain is autoregressive, and its variance v
    /// solves v = (v + s^2) / (1 + s^2)^2 + s^2.
    #[test]
    fn the_denoising_chain_has_its_own_variance() {
        let s = 0.7;
        let model = Smoothed(IsotropicMixture::equal(array![[0.0]], (1.0_f64 + s * s).sqrt()).unwrap(), s);
        let chains = Chains { kernel: Kernel::DaeChain, burn_in: 100, thin: 5, ..Chains::default() };
        let drawn = chains.run(&model, Array2::zeros((50, 1)).view(), 400, Seed(4), &Silent).unwrap();
        let shrink = (1.0 + s * s).powi(-2);
        let expected = (s * s * shrink + s * s) / (1.0 - shrink);
        let variance = stats::variance(&drawn.rows().into_raw_vec_and_offset().0);
        let error = expected * (2.0 / drawn.least_effective()).sqrt();
        assert!((variance - expected).abs() < 5.0 * error, "{variance} {expected}");
    }

    #[test]
    fn a_guard_holds_chains_back() {
        let rows = array![[-1.0, 0.0], [1.0, 0.5]];
        let guard = Some(Guard { rows: rows.clone(), radius: 0.5 });
        let chains = Chains { guard, burn_in: 100, ..Chains::default() };
        let drawn = chains.run(&mixture(), rows.view(), 200, Seed(5), &Silent).unwrap();
        for row in drawn.rows().rows() {
            let nearest = rows.rows().into_iter().map(|r| (&r - &row).mapv(|v| v * v).sum().sqrt());
            assert!(nearest.fold(f64::INFINITY, f64::min) <= 0.5);
        }
        assert!(chains.run(&mixture(), array![[5.0, 5.0]].view(), 2, Seed(5), &Silent).is_err());
    }

    #[test]
    fn results_do_not_depend_on_threads_or_on_the_other_chains() {
        let start = mixture().sample(40, &mut Seed(6).rng(0));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                Chains { burn_in: 60, ..Chains::default() }.run(&mixture(), start.view(), 5, Seed(7), &Silent).unwrap()
            })
        };
        assert_eq!(run(1), run(2));
        let fixed = Chains { step: Some(0.5), burn_in: 0, ..Chains::default() };
        let all = fixed.run(&mixture(), start.view(), 5, Seed(7), &Silent).unwrap();
        let few = fixed.run(&mixture(), start.slice(s![..16, ..]), 5, Seed(7), &Silent).unwrap();
        assert_eq!(all.draws.slice(s![..16, .., ..]), few.draws);
    }

    #[test]
    fn bad_arguments_and_lost_chains_are_errors() {
        struct Broken;
        impl ScoreModel for Broken {
            fn dims(&self) -> usize {
                2
            }
            fn score(&self, x: ArrayView2<f64>) -> Array2<f64> {
                x.mapv(|_| f64::NAN)
            }
        }
        struct Stopped;
        impl Progress for Stopped {
            fn cancelled(&self) -> bool {
                true
            }
        }
        let start = array![[0.0, 0.0]];
        let run = |chains: Chains| chains.run(&mixture(), start.view(), 5, Seed(0), &Silent);
        assert!(run(Chains { thin: 0, ..Chains::default() }).is_err());
        assert!(run(Chains { step: Some(0.0), ..Chains::default() }).is_err());
        assert!(run(Chains { quadrature: Quadrature::Trapezoid(0), ..Chains::default() }).is_err());
        assert!(run(Chains { kernel: Kernel::DaeChain, ..Chains::default() }).is_err());
        let radius = f64::NAN;
        assert!(run(Chains { guard: Some(Guard { rows: start.clone(), radius }), ..Chains::default() }).is_err());
        let chains = Chains::default();
        assert!(chains.run(&mixture(), array![[0.0]].view(), 5, Seed(0), &Silent).is_err());
        assert!(chains.run(&mixture(), Array2::zeros((0, 2)).view(), 5, Seed(0), &Silent).is_err());
        assert!(matches!(chains.run(&mixture(), start.view(), 5, Seed(0), &Stopped), Err(Error::Cancelled)));
        for kernel in [Kernel::Metropolis, Kernel::Mala, Kernel::Langevin] {
            let error =
                Chains { kernel, ..Chains::default() }.run(&Broken, start.view(), 5, Seed(0), &Silent).unwrap_err();
            assert!(error.to_string().contains("chain 0"), "{error}");
        }
        // No draws, and too few for a diagnosis.
        assert_eq!(run(Chains { burn_in: 0, ..Chains::default() }).unwrap().draws.dim(), (1, 5, 2));
        let none = chains.run(&mixture(), start.view(), 0, Seed(0), &Silent).unwrap();
        assert!(none.rows().is_empty() && none.worst_r_hat().is_nan());
    }
}
