//! A network that learns signals from observations of them.

use super::{ForwardModel, Seen, SignalModel, check_width};
use crate::network::{TOLD, average, sum_of, told_of};
use crate::{Level, Schedule};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings, stats};
use quadrat_nn::{
    Activation, At, Batch, Epoch, Loss, Mlp, Optimizer, Parameters, Piece, Source, Tensor, TrainMethod, Trainer,
    initialise, pieces_that_pay, predict,
};
use quadrat_numeric::check_finite;

/// Observations: which signal each row is of, its φ, and what was observed.
#[derive(Debug, Clone, Copy)]
pub struct Observations<'a> {
    /// A number for each signal; rows of one signal need not be neighbours.
    pub signals: &'a [usize],
    /// φ, a row for each observation.
    pub parameters: ArrayView2<'a, f64>,
    /// What was observed.
    pub observed: ArrayView2<'a, f64>,
}

/// Training a diffusion model of signals that are only measured.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct ForwardModels {
    /// How often all signals are visited.
    #[param(default = 200, from = 1)]
    pub epochs: usize,
    /// Signals in a step.
    #[param(default = 256, from = 1)]
    pub batch: usize,
    /// The first learning rate of Adam, which falls along half a cosine.
    #[param(default = 1e-3, above = 0)]
    pub rate: f64,
    /// Observations in the context, at most.
    #[param(default = 1, from = 1)]
    pub contexts: usize,
    /// How often the context is kept back, so that signals can be drawn without, or by guidance.
    #[param(default = 0.1, from = 0, below = 1)]
    pub without: f64,
    /// Whether a third observation, where there is one, is predicted as well: it ties down what neither context nor target sees.
    #[param(default = true)]
    pub novel: bool,
}

impl Method for ForwardModels {
    const CARD: Card = Card {
        slug: "diffusion-forward-models",
        aliases: &["dfm"],
        title: "Diffusion with forward models",
        paper: "Tewari, Yin, Cazenavette, Rezchikov, Tenenbaum, Durand, Freeman, Sitzmann: Diffusion with Forward Models: Solving \
                Stochastic Inverse Problems Without Direct Supervision. NeurIPS 2023, arXiv 2306.11719",
        area: Area::Diffusion,
        verbs: &[],
        summary: "Learns to draw signals that are consistent with one observation, from partial observations alone: signals themselves are \
                  never seen.",
        useful_when: "inverse problems without ground truth, only partial or masked measurements, incomplete observations, projections, \
                      tomography, several views of each object, posterior samples instead of a blurred average",
        cost: "training: about three passes of the network and of the forward model for each signal and epoch; drawing: solver steps x \
               targets x samples passes",
        params: Self::PARAMS,
    };
}

/// A multilayer perceptron as a model of signals.
///
/// It is trained over ρ = σ/α, so that one network serves every schedule.
#[derive(Debug, Clone)]
pub struct SignalNetwork {
    network: Mlp,
    parameters: Parameters,
    sizes: Sizes,
    /// The standard deviation of what is observed, which signals are taken to have as well.
    deviation: f64,
    without: bool,
}

/// Numbers in an observation and in φ, and the most contexts.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    observed: usize,
    parameters: usize,
    contexts: usize,
}

/// An observation and its φ.
type Pair = (Vec<f64>, Vec<f64>);

impl Sizes {
    fn width(&self) -> usize {
        let Sizes { observed, parameters, contexts } = *self;
        observed + TOLD + parameters + contexts * (1 + observed + parameters)
    }

    /// What the network is given: an observation noised to ρ, both in units of the deviation, the noise, φ, and each place of the context:
    /// 1, what was observed and its φ, or zeros.
    fn row(&self, noised: &[f64], ratio: f64, phi: &[f64], context: &[Pair], deviation: f64) -> Vec<f32> {
        let unit = 1.0 / (1.0 + ratio * ratio).sqrt();
        let mut row: Vec<f64> = noised.iter().map(|x| x * unit).collect();
        row.extend(told_of(ratio).map(f64::from));
        row.extend(phi);
        for slot in 0..self.contexts {
            match context.get(slot) {
                Some((observed, phi)) => {
                    row.push(1.0);
                    row.extend(observed.iter().map(|o| o / deviation));
                    row.extend(phi);
                }
                None => row.extend(std::iter::repeat_n(0.0, 1 + self.observed + self.parameters)),
            }
        }
        row.into_iter().map(|v| v as f32).collect()
    }
}

impl ForwardModels {
    /// Trains a network with these hidden layers.
    ///
    /// At each visit a signal's observations take roles by chance: one is the target, one of three or more the novel one, and one or more of
    /// the rest are the context. Noise levels are those of uniform times on the cosine schedule. What is kept is a moving average of the
    /// parameters over a twentieth of the steps.
    ///
    /// # Errors
    /// Rows of other widths than the forward model's, or not finite; a signal with one observation; the same φ everywhere; observations
    /// that are all alike; settings out of their ranges; a loss that is not finite; cancelled.
    pub fn fit(
        &self,
        forward: &dyn ForwardModel,
        data: Observations,
        hidden: &[usize],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<(SignalNetwork, Vec<Epoch>)> {
        let groups = self.groups(forward, &data)?;
        let values: Vec<f64> = data.observed.iter().copied().collect();
        let deviation = stats::mean(&values.iter().map(|v| v * v).collect::<Vec<f64>>()).sqrt();
        if deviation.is_nan() || deviation <= 0.0 {
            return Err(Error::input("observations", "all of them 0", "observations that differ"));
        }
        let sizes = Sizes { observed: forward.observed(), parameters: forward.parameters(), contexts: self.contexts };
        let network = Mlp { activation: Activation::Silu, ..Mlp::new(sizes.width(), hidden, forward.signal()) };
        let source = Roles { settings: self, forward, data, groups, sizes, deviation, seed: seed.stream("roles") };
        let steps = self.epochs * source.len().div_ceil(self.batch.max(1));
        let trainer = Trainer {
            epochs: self.epochs,
            batch: self.batch,
            rate: self.rate,
            optimizer: Optimizer::adamw(0.0),
            loss: Loss::Nothing,
            clip: Some(1.0),
            average: Some(average(steps)),
            pieces: pieces_that_pay(&network, self.batch),
            seed,
            ..Trainer::default()
        };
        let parameters = initialise(&network, seed.stream("parameters"))?;
        let mut measured = Measured { forward, deviation };
        let fit = trainer.fit_from(&network, parameters, &source, None, &mut [&mut measured], progress)?;
        let without = self.without > 0.0;
        Ok((SignalNetwork { network, parameters: fit.parameters, sizes, deviation, without }, fit.curve))
    }

    /// The observations of each signal.
    fn groups(&self, forward: &dyn ForwardModel, data: &Observations) -> Result<Vec<Vec<usize>>> {
        let n = data.signals.len();
        check_width("parameters", data.parameters.ncols(), forward.parameters())?;
        check_width("observations", data.observed.ncols(), forward.observed())?;
        if data.parameters.nrows() != n || data.observed.nrows() != n || n == 0 {
            let got = format!("{n} signals, {} parameters, {} rows", data.parameters.nrows(), data.observed.nrows());
            return Err(Error::input("observations", got, "as many of each, at least 2"));
        }
        check_finite("parameters", data.parameters)?;
        check_finite("observations", data.observed)?;
        if self.contexts == 0 || !(0.0..1.0).contains(&self.without) {
            let got = format!("{} contexts, without {}", self.contexts, self.without);
            return Err(Error::input("context", got, "at least 1, and a share of 0 to below 1"));
        }
        let mut groups = std::collections::BTreeMap::<usize, Vec<usize>>::new();
        for (row, signal) in data.signals.iter().enumerate() {
            groups.entry(*signal).or_default().push(row);
        }
        if let Some((signal, _)) = groups.iter().find(|(_, rows)| rows.len() < 2) {
            let want = "at least 2 of each: one to be drawn, another as its context";
            return Err(Error::input(format!("signal {signal}"), "1 observation", want));
        }
        let first = data.parameters.row(0);
        if data.parameters.outer_iter().all(|phi| phi == first) {
            let want = "parameters that differ: else nothing beyond the context is ever observed";
            return Err(Error::input("parameters", "the same for all observations", want));
        }
        Ok(groups.into_values().collect())
    }
}

/// Signals with roles for their observations.
struct Roles<'a, 'd> {
    settings: &'a ForwardModels,
    forward: &'a dyn ForwardModel,
    data: Observations<'d>,
    groups: Vec<Vec<usize>>,
    sizes: Sizes,
    deviation: f64,
    seed: Seed,
}

impl Source for Roles<'_, '_> {
    fn len(&self) -> usize {
        self.groups.len()
    }

    fn outputs(&self) -> usize {
        self.forward.signal()
    }

    /// Targets are, for the one to be drawn and for the novel one: whether it counts, φ, what was observed.
    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let stream = self.seed.stream(&at.epoch.to_string());
        let width = 1 + self.sizes.parameters + self.sizes.observed;
        let mut inputs = Vec::with_capacity(rows.len() * self.sizes.width());
        let mut targets = Array2::zeros((rows.len(), 2 * width));
        for (i, &row) in rows.iter().enumerate() {
            let mut rng = stream.rng(u64::from(row));
            let mut order = self.groups[row as usize].clone();
            rng.shuffle(&mut order);
            let (target, rest) = (order[0], &order[1..]);
            let novel = (self.settings.novel && rest.len() > 1).then(|| rest[0]);
            let rest = &rest[usize::from(novel.is_some())..];
            let count = 1 + rng.below(rest.len().min(self.sizes.contexts));
            let count = if rng.uniform() < self.settings.without { 0 } else { count };
            for (place, wanted) in [Some(target), novel].into_iter().enumerate() {
                let Some(wanted) = wanted else { continue };
                let both = self.data.parameters.row(wanted).into_iter().chain(self.data.observed.row(wanted));
                let numbers = std::iter::once(&1.0).chain(both);
                for (to, from) in targets.row_mut(i).iter_mut().skip(place * width).zip(numbers) {
                    *to = *from as f32;
                }
            }
            let [low, high] = Schedule::Cosine.times();
            let ratio = Schedule::Cosine.level(low + (high - low) * rng.uniform()).ratio();
            let seen = |rows: ArrayView2<f64>, row: usize| rows.row(row).to_vec();
            let noised: Vec<f64> =
                self.data.observed.row(target).iter().map(|o| o / self.deviation + ratio * rng.normal()).collect();
            let pair = |row: &usize| (seen(self.data.observed, *row), seen(self.data.parameters, *row));
            let context: Vec<Pair> = rest[..count].iter().map(pair).collect();
            let phi = seen(self.data.parameters, target);
            inputs.extend(self.sizes.row(&noised, ratio, &phi, &context, self.deviation));
        }
        let inputs = Array2::from_shape_vec((rows.len(), self.sizes.width()), inputs);
        Ok(Batch::new(at, rows, inputs.map_err(|e| Error::numeric("observations", e.to_string()))?, targets))
    }

    fn told(&self) -> String {
        let sum = sum_of(self.data.observed);
        format!("{} signals with observations of the sum {sum:x}", self.groups.len())
    }
}

/// The loss behind the forward model: mean squares, in units of the deviation, of what observations of the signal miss.
pub(super) struct Measured<'a> {
    pub forward: &'a dyn ForwardModel,
    pub deviation: f64,
}

impl Measured<'_> {
    /// The loss of one signal, and its gradient there.
    pub fn of(&self, signal: &[f32], wanted: &[f32], gradient: &mut [f32]) -> f64 {
        let forward = self.forward;
        let (m, scale) = (forward.observed(), self.deviation);
        let signal: Vec<f64> = signal.iter().map(|v| scale * f64::from(*v)).collect();
        let (mut found, mut pulled) = (vec![0.0; m], vec![0.0; signal.len()]);
        let mut total = 0.0;
        gradient.fill(0.0);
        for part in wanted.chunks_exact(1 + forward.parameters() + m).filter(|part| part[0] > 0.0) {
            let numbers: Vec<f64> = part[1..].iter().map(|v| f64::from(*v)).collect();
            let (phi, observed) = numbers.split_at(forward.parameters());
            forward.apply(&signal, phi, &mut found);
            found.iter_mut().zip(observed).for_each(|(found, o)| *found = (*found - o) / scale);
            total += found.iter().map(|v| v * v).sum::<f64>() / m as f64;
            found.iter_mut().for_each(|v| *v *= 2.0 / m as f64);
            forward.pull_back(&signal, phi, &found, &mut pulled);
            gradient.iter_mut().zip(&pulled).for_each(|(g, p)| *g += *p as f32);
        }
        total
    }
}

impl TrainMethod for Measured<'_> {
    fn name(&self) -> &str {
        ForwardModels::CARD.slug
    }

    fn replaces_loss(&self) -> bool {
        true
    }

    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        Ok(piece.losses(outputs, |row, signal, gradient| {
            let wanted = piece.batch.targets.row(row).to_vec();
            self.of(signal, &wanted, gradient) as f32
        }))
    }
}

impl SignalModel for SignalNetwork {
    fn signals(&self, x: ArrayView2<f64>, at: &Level, phi: ArrayView2<f64>, context: &[Seen]) -> Result<Array2<f64>> {
        let n = x.nrows();
        check_width("samples", x.ncols(), self.sizes.observed)?;
        if context.len() > self.sizes.contexts {
            let want = format!("at most {}, as it was trained with", self.sizes.contexts);
            return Err(Error::input("context", format!("{} observations", context.len()), want));
        }
        for rows in
            context.iter().flat_map(|seen| [seen.parameters.nrows(), seen.observed.nrows()]).chain([phi.nrows()])
        {
            if rows != 1 && rows != n {
                return Err(Error::input(
                    "context",
                    format!("{rows} rows"),
                    format!("one, or one for each of {n} samples"),
                ));
            }
        }
        let row = |rows: ArrayView2<f64>, i: usize| rows.row(if rows.nrows() == 1 { 0 } else { i }).to_vec();
        let mut inputs = Vec::with_capacity(n * self.sizes.width());
        // Below the least noise it was never taught.
        let [least, _] = Schedule::Cosine.times();
        let ratio = (at.ratio() / self.deviation).max(Schedule::Cosine.level(least).ratio());
        for i in 0..n {
            let noised: Vec<f64> = x.row(i).iter().map(|x| x / (at.alpha * self.deviation)).collect();
            let pair = |seen: &Seen| (row(seen.observed.view(), i), row(seen.parameters.view(), i));
            let context: Vec<Pair> = context.iter().map(pair).collect();
            inputs.extend(self.sizes.row(&noised, ratio, &row(phi, i), &context, self.deviation));
        }
        let inputs = Array2::from_shape_vec((n, self.sizes.width()), inputs);
        let inputs = inputs.map_err(|e| Error::numeric("signals", e.to_string()))?;
        let answer = predict(&self.network, &self.parameters, inputs.view(), &[])?;
        Ok(answer.mapv(|v| self.deviation * f64::from(v)))
    }

    fn knows_no_context(&self) -> bool {
        self.without
    }
}
