//! New rows by Markov chains on the learnt score.

use super::{AutoencoderScore, ScoreAutoencoder, choose_noise};
use crate::chains::{Chains, Draws, Guard};
use crate::generators::{Generated, Generator};
use crate::score::ScoreModel;
use ndarray::{ArrayView2, Axis};
use quadrat_core::{Error, Param, Params, Progress, Result, Seed, Settings, stats};
use quadrat_numeric::neighbours::nearest;

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

/// What is typed: one noise stands for the learner's or for those to choose from.
#[derive(Settings)]
struct Typed {
    /// Noise in standard deviations of the columns; several as 0.1,0.4; auto is the one of 0.05, 0.1, 0.2, 0.4 that
    /// fits held-out rows best.
    #[param(none = "auto")]
    noise: Option<Vec<f64>>,
    #[param(flatten)]
    learner: ScoreAutoencoder,
    #[param(flatten)]
    chains: Chains,
    /// Chains side by side, each from a random row.
    #[param(name = "chains", default = 20, from = 2)]
    count: usize,
    /// Reject proposals farther than this from every row, in standard deviations; none; auto is where training noise
    /// did not reach.
    #[param(default = Radius::Auto, text = "auto", parse = Radius::parse)]
    guard: Radius,
}

impl From<Typed> for AutoencoderGenerator {
    fn from(Typed { noise, learner, chains, count, guard }: Typed) -> Self {
        let choose = if noise.is_none() { vec![0.05, 0.1, 0.2, 0.4] } else { Vec::new() };
        let learner = ScoreAutoencoder { noise: noise.unwrap_or(learner.noise), ..learner };
        AutoencoderGenerator { learner, choose, chains, count, guard }
    }
}

impl Default for AutoencoderGenerator {
    fn default() -> Self {
        Typed::default().into()
    }
}

impl Settings for AutoencoderGenerator {
    const PARAMS: &'static [Param] = Typed::PARAMS;

    fn from_params(params: &Params) -> Result<Self> {
        Ok(Typed::from_params(params)?.into())
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
    fn parse(text: &str) -> Result<Self> {
        match (text, text.parse().ok().filter(|radius: &f64| radius.is_finite() && *radius > 0.0)) {
            ("none", _) => Ok(Radius::Unlimited),
            (_, Some(radius)) => Ok(Radius::Given(radius)),
            _ => Err(Error::input("guard", format!("`{text}`"), "use `auto`, `none` or a number above 0")),
        }
    }

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

/// What a reader of the rows must know of the chains.
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
