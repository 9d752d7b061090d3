//! Lottery tickets, and two ways to give a frozen network a new task.
//!
//! Misra, Goyal, Runwal and Chen, "Reprogramming under constraints: Revisiting efficient and reliable transferability of
//! lottery tickets", 2023 (arXiv 2308.14969). Tickets come from iterative magnitude pruning with rewinding (Frankle et
//! al. 2020), [`TicketMaker`]. A ticket or a dense network is then adapted without touching its weights: by a new
//! linear head ([`LinearProbe`]) or by a learnt border around a smaller image and a relabelling of the old outputs
//! ([`VisualPrompt`], with iterative label mapping after Chen et al. 2023).
//!
//! How the authors made their own tickets could not be verified. Their scripts pass scores instead of probabilities to
//! the calibration error; use `quadrat_numeric::calibration` on probabilities.

#[cfg(test)]
mod tests;

use crate::classes_of;
use crate::density::layers;
use crate::masks::FixedMask;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Settings, Silent};
use quadrat_nn::{
    At, EpochEnd, Forward, Init, Input, Inputs, Mlp, Network, Optimizer, Parameters, Role, Run, Samples, Schedule,
    Spec, Tensor, TrainMethod, Trainer, accuracy, features, initialise, predict,
};

/// What survivors are set back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewind {
    /// The initial weights (the original hypothesis).
    Init,
    /// The weights after so many steps of the dense training.
    Step(usize),
}

/// Iterative magnitude pruning with rewinding.
///
/// Each round trains to the end, removes the share `rate` of the surviving weights that are smallest in absolute value,
/// and sets the survivors back to where they were after `rewind`; training then starts over with the pattern fixed.
/// State r has density (1 − rate)^r.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct TicketMaker {
    /// How often to prune.
    #[param(default = 9)]
    pub rounds: usize,
    /// Share of the survivors that a round removes, between 0 and 1.
    #[param(name = "prune", default = 0.2, above = 0, below = 1)]
    pub rate: f64,
    /// Rank the weights of all layers together, or each layer's by themselves.
    #[param(fixed = true)]
    pub global: bool,
    /// What survivors are set back to.
    #[param(fixed = Rewind::Step(100))]
    pub rewind: Rewind,
    /// Kernels that are never pruned.
    pub exclude: Vec<String>,
}

/// A trained state of iterative pruning.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Which weights are alive; empty for the dense network.
    pub masks: Vec<(String, Vec<bool>)>,
    /// The trained parameters, dead weights exactly zero.
    pub parameters: Parameters,
    /// Share of the prunable weights that is alive.
    pub density: f64,
}

impl Method for TicketMaker {
    const CARD: Card = Card {
        slug: "ticket-reprogramming",
        aliases: &["lottery-tickets", "visual-prompting"],
        title: "Lottery tickets and their reprogramming",
        paper: "Misra, Goyal, Runwal and Chen, 2023, arXiv 2308.14969",
        area: Area::Regularize,
        verbs: &["tickets"],
        summary: "Prunes a network iteratively into lottery tickets and adapts a frozen network to a new task by a \
                  linear probe or a learnt border around the input, with calibration of each.",
        useful_when: "what does sparsity cost after transfer; adapt a pre-trained network to a small new task without \
                      changing its weights; visual prompting; few labelled images",
        cost: "a whole training for each round of pruning; a probe costs one pass and a small head; a prompt costs \
               forward and backward passes of the frozen network",
        params: Self::PARAMS,
    };
}

impl TicketMaker {
    /// The dense network (state 0) and a ticket for each round.
    ///
    /// # Errors
    /// A rate outside (0, 1), a round that would leave a layer empty, or the training's own.
    pub fn run(
        &self,
        trainer: &Trainer,
        network: &dyn Network,
        data: &Samples,
        progress: &dyn Progress,
    ) -> Result<Vec<Ticket>> {
        if !(self.rate > 0.0 && self.rate < 1.0) {
            return Err(Error::input("rate", self.rate, "between 0 and 1"));
        }
        let start = initialise(network, trainer.seed.stream("parameters"))?;
        let mut snapshot = Snapshot { step: 0, taken: None };
        let mut methods: Vec<&mut dyn TrainMethod> = Vec::new();
        if let Rewind::Step(step) = self.rewind {
            snapshot.step = step;
            methods.push(&mut snapshot);
        }
        let dense = trainer.fit_from(network, start.clone(), data, None, &mut methods, progress)?;
        let rewound = match self.rewind {
            Rewind::Init | Rewind::Step(0) => start,
            Rewind::Step(step) => snapshot.taken.ok_or_else(|| {
                Error::input("rewind", format!("step {step}"), "a step of the training: it is shorter than that")
            })?,
        };
        let mut tickets = vec![Ticket { masks: Vec::new(), parameters: dense.parameters, density: 1.0 }];
        for round in 1..=self.rounds {
            let last = &tickets[round - 1];
            let masks = global_masks(&last.parameters, &last.masks, self.rate, self.global, &self.exclude)?;
            let (alive, all) = masks.iter().fold((0, 0), |(alive, all), (_, mask)| {
                (alive + mask.iter().filter(|alive| **alive).count(), all + mask.len())
            });
            let mut pattern = FixedMask { masks: masks.clone() };
            let fit = trainer.fit_from(network, rewound.clone(), data, None, &mut [&mut pattern], progress)?;
            tickets.push(Ticket { masks, parameters: fit.parameters, density: alive as f64 / all as f64 });
        }
        Ok(tickets)
    }
}

/// Remember the parameters after a number of steps.
struct Snapshot {
    step: usize,
    taken: Option<Parameters>,
}

impl TrainMethod for Snapshot {
    fn name(&self) -> &str {
        "snapshot"
    }

    fn after_step(&mut self, at: At, parameters: &mut Parameters) -> Result<()> {
        if at.step + 1 == self.step {
            self.taken = Some(parameters.clone());
        }
        Ok(())
    }
}

/// Masks after removing the share `rate` of the surviving prunable weights with the smallest magnitudes, over all layers
/// together or layer by layer; kernels named in `exclude` get no mask. Among equals the first survive.
///
/// # Errors
/// A layer that would keep nothing.
pub fn global_masks(
    parameters: &Parameters,
    masks: &[(String, Vec<bool>)],
    rate: f64,
    global: bool,
    exclude: &[String],
) -> Result<Vec<(String, Vec<bool>)>> {
    let prunable: Vec<_> = layers(parameters).into_iter().filter(|layer| !exclude.contains(&layer.name)).collect();
    let mut pruned: Vec<(String, Vec<bool>)> = Vec::new();
    let mut survivors: Vec<(f32, usize, usize)> = Vec::new();
    for (l, layer) in prunable.iter().enumerate() {
        let old = masks.iter().find(|(name, _)| *name == layer.name).map(|(_, mask)| mask.clone());
        let mask = old.unwrap_or_else(|| vec![true; layer.entries()]);
        let weights = parameters.get(&layer.name)?.dense();
        let alive = (0..weights.len()).filter(|&i| mask[i]);
        survivors.extend(alive.map(|i| (weights[i].abs(), l, i)));
        pruned.push((layer.name.clone(), mask));
    }
    let groups = if global { 1 } else { prunable.len() };
    for group in 0..groups {
        let mut ranked: Vec<_> = survivors.iter().filter(|(_, l, _)| global || *l == group).copied().collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then((b.1, b.2).cmp(&(a.1, a.2))));
        let remove = (rate * ranked.len() as f64).round() as usize;
        ranked.into_iter().take(remove).for_each(|(_, l, i)| pruned[l].1[i] = false);
    }
    match pruned.iter().find(|(_, mask)| !mask.contains(&true)) {
        Some((name, _)) => {
            Err(Error::input("rounds", format!("`{name}` would be empty"), "fewer rounds or a lower rate"))
        }
        None => Ok(pruned),
    }
}

/// The optimiser of both adaptations: Adam at 0.01 (for a probe), tenfold down at 50% and 72% of 100 epochs.
fn adaptation(seed: quadrat_core::Seed) -> Trainer {
    Trainer {
        epochs: 100,
        batch: 128,
        rate: 0.01,
        schedule: Schedule::Steps { at: vec![0.5, 0.72], factor: 0.1 },
        optimizer: Optimizer::adamw(0.0),
        seed,
        ..Trainer::default()
    }
}

/// A new linear head on the frozen network's last hidden representation.
#[derive(Debug, Clone)]
pub struct LinearProbe {
    head: Mlp,
    parameters: Parameters,
}

impl LinearProbe {
    /// Compute the features of all rows once and train the head on them, at the authors' learning rate of 0.01.
    ///
    /// # Errors
    /// A network that taps no features, or samples that do not fit it.
    pub fn fit(
        network: &dyn Network,
        parameters: &Parameters,
        data: &Samples,
        seed: quadrat_core::Seed,
    ) -> Result<LinearProbe> {
        let authors = adaptation(seed).rate;
        LinearProbe::fit_at(authors, network, parameters, data, seed)
    }

    /// [`LinearProbe::fit`] at another learning rate.
    ///
    /// # Errors
    /// As there, or a rate that is no positive number.
    pub fn fit_at(
        rate: f64,
        network: &dyn Network,
        parameters: &Parameters,
        data: &Samples,
        seed: quadrat_core::Seed,
    ) -> Result<LinearProbe> {
        let hidden = features(network, parameters, data.inputs.view())?;
        let head = Mlp::new(hidden.ncols(), &[], data.outputs());
        let samples = data.with_inputs(hidden);
        let trainer = Trainer { rate, ..adaptation(seed) };
        let fit = trainer.fit(&head, &samples, None, &mut [], &Silent)?;
        Ok(LinearProbe { head, parameters: fit.parameters })
    }

    /// Scores of the new classes.
    ///
    /// # Errors
    /// Inputs that do not fit the network.
    pub fn predict(
        &self,
        network: &dyn Network,
        parameters: &Parameters,
        inputs: ArrayView2<f32>,
    ) -> Result<Array2<f32>> {
        predict(&self.head, &self.parameters, features(network, parameters, inputs)?.view(), &[])
    }
}

/// How old classes are assigned to new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mapping {
    /// Any, drawn once.
    Random,
    /// By how often a new class's images are taken for the old class, once, before training.
    Frequency,
    /// The same, again before every epoch: the default.
    #[default]
    Iterative,
}

/// A learnt border around a smaller image, and a relabelling of the frozen network's outputs.
#[derive(Debug, Clone)]
pub struct VisualPrompt {
    /// How labels are mapped.
    pub mapping: Mapping,
    /// Epochs.
    pub epochs: usize,
    /// Learning rate (Adam). A step moves a pixel's free value by at most this, from 0 (grey): a border becomes black or
    /// white (sigmoid(±4) = 0.02 and 0.98) only if the steps at full rate add up to more than 4. With the authors' 0.01 a
    /// hundred steps reach 0.27 and 0.73 at most.
    pub rate: f64,
}

impl Default for VisualPrompt {
    fn default() -> Self {
        VisualPrompt { mapping: Mapping::Iterative, epochs: 100, rate: 0.1 }
    }
}

/// A frozen network behind a border: takes images of `target` = [channels, height, width], gives scores of new classes.
pub struct Prompt<'a> {
    backbone: &'a dyn Network,
    source: [usize; 3],
    target: [usize; 3],
    classes: Option<usize>,
    frame: Vec<f32>,
}

const PROGRAM: &str = "prompt.program";
const ASSIGNMENT: &str = "prompt.mapping";

impl<'a> Prompt<'a> {
    /// A border for images of `target` around which the network that takes images of `source` sees its own size.
    ///
    /// # Errors
    /// A target larger than the source, other channels, or more new classes than the network has outputs.
    pub fn new(backbone: &'a dyn Network, source: [usize; 3], target: [usize; 3], classes: usize) -> Result<Self> {
        let [c, h, w] = source;
        if target[0] != c || target[1] > h || target[2] > w {
            let want = format!("{c} channels, at most {h} x {w}: resize the images first");
            return Err(Error::input("target images", format!("{target:?}"), want));
        }
        if classes > backbone.outputs() {
            let got = format!("{classes} classes");
            return Err(Error::input("target classes", got, format!("the network has {} outputs", backbone.outputs())));
        }
        let inside = |y: usize, x: usize| {
            let (top, left) = ((h - target[1]).div_ceil(2), (w - target[2]).div_ceil(2));
            (top..top + target[1]).contains(&y) && (left..left + target[2]).contains(&x)
        };
        let border = |i: usize| if inside(i / w % h, i % w) { 0.0 } else { 1.0 };
        Ok(Prompt { backbone, source, target, classes: Some(classes), frame: (0..c * h * w).map(border).collect() })
    }

    /// The same border, giving the network's own scores.
    fn unmapped(&self) -> Prompt<'a> {
        Prompt { classes: None, frame: self.frame.clone(), ..*self }
    }
}

impl Network for Prompt<'_> {
    fn inputs(&self) -> usize {
        self.target.iter().product()
    }

    fn others(&self) -> Vec<Input> {
        self.backbone.others()
    }

    fn outputs(&self) -> usize {
        self.classes.unwrap_or(self.backbone.outputs())
    }

    fn parameters(&self) -> Vec<Spec> {
        let mut specs = self.backbone.parameters();
        specs.push(Spec::new(PROGRAM, &self.source, Role::Other, Init::Constant(0.0)));
        if let Some(classes) = self.classes {
            specs.push(Spec::new(ASSIGNMENT, &[classes, self.backbone.outputs()], Role::Other, Init::Constant(0.0)));
        }
        specs
    }

    /// pad(x) + sigmoid(P) ⊙ M through the frozen network, then the mapped scores.
    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let n = inputs.rows();
        let ([c, h, w], [_, th, tw]) = (self.source, self.target);
        let (top, left) = ((h - th).div_ceil(2), (w - tw).div_ceil(2));
        let image = inputs.numbers().reshape([n, c, th, tw]).pad((left, w - tw - left, top, h - th - top), 0.0);
        let frame = Tensor::<1>::from_floats(&self.frame[..], &image.device());
        let program = quadrat_nn::sigmoid(forward.vars().flat(PROGRAM)?) * frame;
        let image = image.reshape([n, c * h * w]) + program.unsqueeze();
        let scores = forward.frozen(|forward| self.backbone.forward(forward, &inputs.with(image)))?;
        match self.classes {
            Some(_) => Ok(scores.matmul(forward.vars().get::<2>(ASSIGNMENT)?.transpose())),
            None => Ok(scores),
        }
    }
}

impl VisualPrompt {
    /// Learn the border and the mapping; returns the parameters of `prompt`: the network's own, untouched, and the
    /// border's.
    ///
    /// # Errors
    /// Samples that do not fit the prompt, a class without a row, or inputs outside 0 to 1.
    pub fn fit(
        &self,
        prompt: &Prompt<'_>,
        backbone: &Parameters,
        data: &Samples,
        seed: quadrat_core::Seed,
        progress: &dyn Progress,
    ) -> Result<Parameters> {
        if let Some(v) = data.inputs.iter().find(|v| !(0.0..=1.0).contains(*v)) {
            return Err(Error::input("images", v, "values from 0 to 1"));
        }
        let labels = data.labels().ok_or_else(|| Error::input("samples", "numbers", "classes"))?;
        if let Some(k) = (0..data.outputs()).find(|k| !labels.contains(&(*k as u32))) {
            return Err(Error::input("samples", format!("no image of class {k}"), "at least one of each"));
        }
        let mut parameters = backbone.clone();
        parameters.iter_mut().for_each(|p| p.trainable = false);
        for spec in prompt.parameters().into_iter().filter(|s| s.name == PROGRAM || s.name == ASSIGNMENT) {
            parameters.add(spec, seed)?;
        }
        parameters.get_mut(ASSIGNMENT)?.trainable = false;
        let mut relabel = Relabel { mapping: self.mapping, epochs: self.epochs, unmapped: prompt.unmapped(), data };
        let trainer = Trainer { epochs: self.epochs, rate: self.rate, ..adaptation(seed) };
        let fit = trainer.fit_from(prompt, parameters, data, None, &mut [&mut relabel], progress)?;
        Ok(fit.parameters)
    }
}

/// Assign old classes to new ones before epochs. What the last epoch was trained for is kept after it.
struct Relabel<'a> {
    mapping: Mapping,
    epochs: usize,
    unmapped: Prompt<'a>,
    data: &'a Samples,
}

impl Relabel<'_> {
    fn assign(&self, parameters: &mut Parameters) -> Result<()> {
        let scores = predict(&self.unmapped, parameters, self.data.inputs.view(), &[])?;
        let mut counts = Array2::<usize>::zeros((scores.ncols(), self.data.outputs()));
        let labels = classes_of(self.data)?;
        for (row, &label) in scores.outer_iter().zip(labels) {
            let top = (0..row.len()).fold(0, |top, k| if row[k] > row[top] { k } else { top });
            counts[[top, label as usize]] += 1;
        }
        set_mapping(parameters, &greedy_mapping(&counts))
    }
}

impl TrainMethod for Relabel<'_> {
    fn name(&self) -> &str {
        "label-mapping"
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        match self.mapping {
            Mapping::Random => {
                let old = self.unmapped.outputs();
                let drawn = run.seed.rng(0).sample(old, run.data.outputs());
                set_mapping(parameters, &drawn)
            }
            Mapping::Frequency | Mapping::Iterative => self.assign(parameters),
        }
    }

    fn end_epoch(&mut self, epoch: usize, model: &mut dyn EpochEnd) -> Result<()> {
        let again = self.mapping == Mapping::Iterative && epoch + 1 < self.epochs;
        if again { self.assign(model.parameters()) } else { Ok(()) }
    }
}

fn set_mapping(parameters: &mut Parameters, mapping: &[usize]) -> Result<()> {
    let assignment = parameters.get_mut(ASSIGNMENT)?;
    let old = assignment.shape[1];
    assignment.update(|m| {
        m.fill(0.0);
        mapping.iter().enumerate().for_each(|(new, &source)| m[new * old + source] = 1.0);
    });
    Ok(())
}

/// For each new class (column) its old class (row): the largest count is taken first, then its row and column are
/// struck; among equals the one that comes first row by row.
pub(crate) fn greedy_mapping(counts: &Array2<usize>) -> Vec<usize> {
    let (old, new) = counts.dim();
    let mut mapping = vec![usize::MAX; new];
    let mut taken = vec![false; old];
    for _ in 0..new {
        let free = (0..old * new).filter(|&i| !taken[i / new] && mapping[i % new] == usize::MAX);
        let best = free.fold(None, |best: Option<usize>, i| match best {
            Some(b) if counts[[b / new, b % new]] >= counts[[i / new, i % new]] => Some(b),
            _ => Some(i),
        });
        let Some(best) = best else { break };
        taken[best / new] = true;
        mapping[best % new] = best / new;
    }
    mapping
}

/// Upstream accuracy of a ticket on some samples with classes.
///
/// # Errors
/// Samples that do not fit the network.
pub fn upstream_accuracy(network: &dyn Network, ticket: &Ticket, samples: &Samples) -> Result<f64> {
    let outputs = predict(network, &ticket.parameters, samples.inputs.view(), &[])?;
    Ok(accuracy(&outputs, classes_of(samples)?))
}
