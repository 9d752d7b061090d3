//! New rows by Markov chains on the learnt score.

use super::{AutoencoderScore, CARD, Criterion, ScoreAutoencoder, choose_noise};
use crate::chains::{Chains, Draws, Guard, Kernel};
use crate::generators::{Generated, Generator};
use crate::score::{Quadrature, ScoreModel};
use ndarray::{ArrayView2, Axis};
use quadrat_core::{Error, Params, Progress, Result, Seed, stats};
use quadrat_numeric::neighbours::nearest;
use std::str::FromStr;

/// Trains an auto-encoder and samples from what it learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoencoderGenerator {
    /// The auto-encoder; its noise counts when `choose` is empty.
    pub learner: ScoreAutoencoder,
    /// Noises to choose from by [`choose_noise`]; none takes the learner's.
    pub choose: Vec<f64>,
    /// How chains run; a guard is set from `guard`.
    pub chains: Chains,
    /// Chains side by side, each from a random row.
    pub count: usize,
    /// Where proposals are rejected.
    pub guard: Radius,
}

impl Default for AutoencoderGenerator {
    fn default() -> Self {
        AutoencoderGenerator {
            learner: ScoreAutoencoder::default(),
            choose: vec![0.05, 0.1, 0.2, 0.4],
            chains: Chains::default(),
            count: 20,
            guard: Radius::Auto,
        }
    }
}

/// How far from every row a chain may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Radius {
    /// Anywhere.
    Unlimited,
    /// What 95% of rows are from their nearest other, and as far again as training noise nearly always reaches: t (root(d)
    /// + 2) for the widest noise t. Farther out the network saw nothing and may lead anywhere.
    Auto,
    /// This far, in standard deviations.
    Given(f64),
}

/// Rows that a guard looks at; of more, a random part.
const GUARDED: usize = 5000;

/// Each chain draws at least this often, whether the rows are needed or not: R-hat and effective sizes take that many.
const FEWEST: usize = 250;
/// R-hat above which chains count as not having mixed (Vehtari et al. 2021).
const MIXED: f64 = 1.01;

impl AutoencoderGenerator {
    /// From parameters as typed.
    ///
    /// # Errors
    /// Unknown names, values out of range.
    pub fn from_params(params: &Params) -> Result<Self> {
        params.check_names(&CARD)?;
        let d = AutoencoderGenerator::default();
        let noise = match params.get("noise") {
            None | Some("auto") => None,
            Some(text) => Some(numbers(text, "noise")?),
        };
        let above_zero = (std::ops::Bound::Excluded(0.0), std::ops::Bound::Unbounded);
        let guard = match params.get("guard") {
            Some("none") => Radius::Unlimited,
            _ => params.get_auto_f64("guard", None, above_zero)?.map_or(Radius::Auto, Radius::Given),
        };
        Ok(AutoencoderGenerator {
            learner: ScoreAutoencoder {
                noise: noise.clone().unwrap_or(d.learner.noise),
                criterion: params.get_choice("criterion", d.learner.criterion, &Criterion::NAMED)?,
                hidden: params.get("hidden").map_or(Ok(d.learner.hidden), |text| numbers(text, "hidden"))?,
                skip: params.get_bool("skip", d.learner.skip)?,
                steps: params.get_usize("steps", d.learner.steps, 1..)?,
                ..ScoreAutoencoder::default()
            },
            choose: if noise.is_none() { d.choose } else { Vec::new() },
            chains: Chains {
                kernel: params.get_choice("sampler", d.chains.kernel, &Kernel::NAMED)?,
                step: params.get_auto_f64("step", None, above_zero)?,
                quadrature: params.get("quadrature").map_or(Ok(d.chains.quadrature), Quadrature::from_str)?,
                burn_in: params.get_usize("burn-in", d.chains.burn_in, ..)?,
                thin: params.get_usize("thin", d.chains.thin, 1..)?,
                guard: None,
            },
            count: params.get_usize("chains", d.count, 2..)?,
            guard,
        })
    }
}

/// Numbers with commas between them.
fn numbers<T: FromStr>(text: &str, what: &str) -> Result<Vec<T>> {
    let number = |part: &str| part.trim().parse().ok();
    let numbers: Option<Vec<T>> = text.split(',').map(number).collect();
    numbers.ok_or_else(|| Error::input(what, format!("`{text}`"), "use a number, or several with commas"))
}

impl Generator for AutoencoderGenerator {
    fn draw(&self, x: ArrayView2<f64>, rows: usize, seed: Seed, progress: &dyn Progress) -> Result<Generated> {
        let mut learner = self.learner.clone();
        if !self.choose.is_empty() {
            learner.noise = vec![choose_noise(&learner, x, &self.choose, seed, progress)?.0];
        }
        let model = learner.fit(x, seed, progress)?;
        let mut rng = seed.stream("starts").rng(0);
        let starts: Vec<usize> = (0..self.count).map(|_| rng.below(x.nrows())).collect();
        let guard = self.guard.of(x, &model, learner.noise.iter().copied().fold(0.0, f64::max), seed, progress)?;
        let chains = Chains { guard, ..self.chains.clone() };
        let draws = rows.div_ceil(self.count).max(FEWEST);
        let drawn = chains.run(&model, x.select(Axis(0), &starts).view(), draws, seed, progress)?;
        let all = drawn.rows();
        let chosen = seed.stream("which draws").rng(0).sample(all.nrows(), rows);

        let noise: Vec<String> = learner.noise.iter().map(f64::to_string).collect();
        let mut figures = vec![("noise".to_owned(), learner.noise.iter().copied().fold(f64::INFINITY, f64::min))];
        figures.push(("acceptance".to_owned(), drawn.acceptance));
        figures.push(("step".to_owned(), drawn.step));
        figures.push(("effective sample size".to_owned(), drawn.least_effective()));
        figures.push(("R-hat".to_owned(), drawn.worst_r_hat()));
        figures.push(("training loss".to_owned(), model.losses().last().copied().unwrap_or(f64::NAN)));
        Ok(Generated {
            rows: all.select(Axis(0), &chosen),
            law: format!(
                "the rows' law smoothed by normal noise of {} standard deviations, as the network learnt it: not the law \
                 of the rows themselves",
                noise.join(" or ")
            ),
            figures,
            warnings: warnings(&drawn, rows),
        })
    }
}

impl Radius {
    fn of(
        self,
        x: ArrayView2<f64>,
        model: &AutoencoderScore,
        widest: f64,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Option<Guard>> {
        if self == Radius::Unlimited {
            return Ok(None);
        }
        let rows = x.select(Axis(0), &seed.stream("guard").rng(0).sample(x.nrows(), GUARDED));
        let radius = match self {
            Radius::Given(radius) => radius,
            _ => {
                let z = &rows / &model.scale();
                let own: Vec<usize> = (0..z.nrows()).collect();
                let near = nearest(z.view(), z.view(), Some(&own), 1, progress)?;
                let distances: Vec<f64> = near.squared.iter().map(|squared| squared.sqrt()).collect();
                stats::quantile(&distances, 0.95) + widest * ((x.ncols() as f64).sqrt() + 2.0)
            }
        };
        Ok(Some(Guard { rows, radius }))
    }
}

/// What a reader of the rows must know of the chains. Comparisons are such that NaN warns.
fn warnings(drawn: &Draws, rows: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    let (r_hat, effective) = (drawn.worst_r_hat(), drawn.least_effective());
    if r_hat.is_nan() || r_hat > MIXED {
        warnings.push(format!(
            "R-hat is {r_hat:.3}, above {MIXED}: the chains have not agreed, and shares of separate clusters are at \
             best those of the starting rows; use more burn-in, thinning or chains"
        ));
    }
    if effective.is_nan() || effective < rows as f64 {
        warnings.push(format!(
            "the {rows} rows are worth about {effective:.0} independent ones: thin more to get as many as you ask for"
        ));
    }
    warnings
}
