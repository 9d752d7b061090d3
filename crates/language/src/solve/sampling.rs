//! Training a transformer on its own solutions.

use super::words::{END, Words};
use super::{Counts, Executor, SolutionBuffer};
use crate::objective::{Group, SequenceObjective, Targets};
use crate::sequences::{Draws, Prompts, Sequence, fitted, log_likelihoods, weighed};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use quadrat_nn::{
    At, Batch, Forward, Loss, Optimizer, Parameters, Piece, Run, Schedule, StepEnd, Tensor, TrainMethod, Trainer,
    Transformer, initialise,
};

/// A task with its reference solution.
#[derive(Debug, Clone, PartialEq)]
pub struct Task<A> {
    /// What is asked.
    pub problem: String,
    /// A solution, one statement a line.
    pub program: String,
    /// The right answer.
    pub answer: A,
}

/// Learn to write programs from one solution a task, and from those that the model samples while it is trained.
///
/// The paper fine-tunes a model that was trained on code; one that begins with nothing must first have learnt to write programs that
/// run, so sampling begins after a share of the epochs. The loss is taken over programs, not over the problems before them as in
/// the authors' program.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct SelfSampling {
    /// How several targets of a task become one loss.
    #[param(flatten)]
    pub objective: Targets,
    /// Whether good beginnings are kept, gone on from and learnt, beside whole solutions.
    #[param(default = true)]
    pub partial: bool,
    /// Samples of a task and epoch; 0 learns from the reference alone.
    #[param(default = 1)]
    pub samples: usize,
    /// Temperature of the samples.
    #[param(default = 0.8, above = 0)]
    pub temperature: f64,
    /// Most targets of a task, the reference first, then whole solutions.
    #[param(default = 10, from = 1)]
    pub targets: usize,
    /// Share of the epochs before the first sample.
    #[param(default = 0.3, from = 0, to = 1)]
    pub alone: f64,
    /// Most tokens that a sample adds.
    #[param(default = 100, from = 1)]
    pub tokens: usize,
    /// How often every task is visited.
    #[param(default = 40, from = 1)]
    pub epochs: usize,
    /// Tasks of a step.
    #[param(default = 32, from = 1)]
    pub batch: usize,
    /// First learning rate.
    #[param(default = 1e-3, above = 0)]
    pub rate: f64,
    /// Blocks of the transformer.
    #[param(default = 2, from = 1)]
    pub layers: usize,
    /// Its width, a multiple of 8.
    #[param(default = 128, from = 8)]
    pub width: usize,
}

impl Method for SelfSampling {
    const CARD: Card = Card {
        slug: "self-sampled-solutions",
        aliases: &["self-sampling"],
        title: "Self-sampled correct and partially correct solutions",
        paper: "Ni et al., ICLR 2023, arXiv 2205.14318",
        area: Area::Language,
        verbs: &["language self-sample"],
        summary: "Trains a transformer to write small programs from one reference solution a task: what it samples and what runs to \
                  the right answer, or through a state of a known solution, is learnt too.",
        useful_when: "math word problems; program synthesis with execution; few solutions per task; raise pass@k without more labels",
        cost: "each epoch: one decoded sample and up to ten targets a task, about as many passes as targets; programs are run in \
               microseconds",
        params: Self::PARAMS,
    };
}

/// A model that writes programs.
#[derive(Debug, Clone)]
pub struct Solver {
    /// The network.
    pub network: Transformer,
    /// Its parameters.
    pub parameters: Parameters,
    /// Its tokens.
    pub words: Words,
    /// Most tokens of a program.
    pub tokens: usize,
}

/// A solver and how it came about.
#[derive(Debug, Clone)]
pub struct Learnt<E: Executor> {
    /// The solver.
    pub solver: Solver,
    /// What is known of each task's solutions.
    pub buffers: Vec<SolutionBuffer<E>>,
    /// What became of all samples.
    pub counts: Counts,
}

impl SelfSampling {
    /// Learns from tasks whose programs `executor` runs.
    ///
    /// # Errors
    /// No tasks, a reference that does not run to its answer (the task's number is named), a width that is no multiple of 8, a loss
    /// that is not finite, cancelled.
    pub fn fit<E: Executor + Clone>(
        &self,
        tasks: &[Task<E::Answer>],
        executor: E,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Learnt<E>> {
        if tasks.is_empty() || !self.width.is_multiple_of(8) {
            let got = format!("{} tasks, width {}", tasks.len(), self.width);
            return Err(Error::input("self-sampling", got, "at least one task, and a width that is a multiple of 8"));
        }
        let buffer = |(i, task): (usize, &Task<E::Answer>)| {
            let seeded = SolutionBuffer::seed(executor.clone(), &task.program, task.answer.clone());
            seeded.map_err(|error| Error::input(format!("task {}", i + 1), error, "mend its program or its answer"))
        };
        let buffers = tasks.iter().enumerate().map(buffer).collect::<Result<Vec<_>>>()?;
        let words = Words::of(tasks.iter().flat_map(|task| [task.problem.as_str(), task.program.as_str()]));
        let problems: Vec<Vec<u32>> = tasks.iter().map(|task| words.problem(&task.problem)).collect();
        let reference =
            |buffer: &SolutionBuffer<E>| words.program(&buffer.full()[0], true).map(|program| program.len());
        let written = buffers.iter().map(reference).collect::<Result<Vec<_>>>()?;
        let longest = problems.iter().map(Vec::len).max().unwrap_or(1);
        let tokens = self.tokens.max(written.iter().copied().max().unwrap_or(1));
        // A program that stops for want of room may still be right, and is then given its last two ends.
        let context = longest + tokens + ENDS;
        let network = Transformer::llama(words.len(), context, self.width, [4, 4], 2 * self.width, self.layers);
        let parameters = initialise(&network, seed.stream("parameters"))?;
        let trainer = Trainer {
            epochs: self.epochs,
            batch: self.batch,
            rate: self.rate,
            schedule: Schedule::Linear.warmed_up(0.05),
            optimizer: Optimizer::adamw(0.1),
            loss: Loss::Tokens { vocabulary: network.vocabulary },
            clip: Some(1.0),
            seed,
            ..Trainer::default()
        };
        let rows = Prompts { prompts: tasks.len(), rows: tasks.len(), context };
        let mut sampling = Sampling {
            settings: self,
            network: &network,
            words: &words,
            problems: &problems,
            policy: parameters.clone(),
            buffers,
            first: (self.alone * self.epochs as f64).ceil() as usize,
            seed: seed.stream("samples"),
            loss: 0.0,
        };
        let fit = trainer.fit_from(&network, parameters, &rows, None, &mut [&mut sampling], progress)?;
        let buffers = sampling.buffers;
        let mut counts = Counts::default();
        buffers.iter().for_each(|buffer| counts += buffer.counts());
        let solver = Solver { network, parameters: fit.parameters, words, tokens };
        Ok(Learnt { solver, buffers, counts })
    }
}

/// The ends of a statement and of a program.
const ENDS: usize = 2;

/// The training under way.
struct Sampling<'a, E: Executor> {
    settings: &'a SelfSampling,
    network: &'a Transformer,
    words: &'a Words,
    problems: &'a [Vec<u32>],
    policy: Parameters,
    buffers: Vec<SolutionBuffer<E>>,
    /// The epoch of the first sample.
    first: usize,
    seed: Seed,
    loss: f64,
}

impl<E: Executor> TrainMethod for Sampling<'_, E> {
    fn name(&self) -> &str {
        "self-sampled-solutions"
    }

    fn begin(&mut self, _: &Run<'_>, _: &mut Parameters) -> Result<()> {
        Ok(())
    }

    /// Samples, filters and keeps; then the tasks' targets take the tasks' place.
    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let tasks = batch.rows.clone();
        if batch.at.epoch >= self.first && self.settings.samples > 0 {
            self.sample(&tasks, batch.at)?;
        }
        let (mut sequences, mut rows, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        for &task in &tasks {
            let own = self.targets(task as usize)?;
            rows.extend(std::iter::repeat_n(task, own.len()));
            sizes.push(own.len());
            sequences.extend(own);
        }
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        // What does not read likelihoods has the same weights whatever they are, but a value all the same.
        let known = self.settings.objective.reads_likelihoods();
        let logs = if known { log_likelihoods(self.network, &self.policy, &sequences)? } else { vec![0.0; rows.len()] };
        let (mut loss, mut weights, mut at) = (0.0, Vec::with_capacity(rows.len()), 0);
        for size in sizes {
            let pull = self.settings.objective.pull(&Group { policy: &logs[at..at + size], ..Group::default() })?;
            loss += pull.loss / tasks.len() as f64;
            weights.extend(pull.weights.iter().map(|w| w / tasks.len() as f64));
            at += size;
        }
        self.loss = if known { loss } else { f64::NAN };
        *batch = weighed(batch.at, &rows, &sequences, &weights, self.network.context);
        Ok(())
    }

    /// Where the weights are known beforehand the value is that of the weighed log-probabilities; elsewhere the objective's.
    fn loss(&self, _: &mut Forward, _: &Piece, _: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        match self.loss.is_nan() {
            true => Ok(rows),
            false => Ok(rows.clone() - rows.detach() + self.loss as f32),
        }
    }

    fn end_step(&mut self, _: At, model: &mut dyn StepEnd) -> Result<()> {
        self.policy = model.in_effect()?;
        Ok(())
    }
}

impl<E: Executor> Sampling<'_, E> {
    /// Goes on from a beginning of each task and offers what comes to its buffer.
    fn sample(&mut self, tasks: &[u32], at: At) -> Result<()> {
        let seed = self.seed.stream(&at.step.to_string());
        let each = self.settings.samples;
        let network = fitted(self.network, self.network.context + 1 - ENDS)?;
        let rows: Vec<usize> = tasks.iter().flat_map(|task| std::iter::repeat_n(*task as usize, each)).collect();
        let mut starts = Vec::with_capacity(rows.len());
        for (i, &task) in rows.iter().enumerate() {
            let mut rng = seed.stream("prefixes").rng(i as u64);
            let prefix = if self.settings.partial { self.buffers[task].prefix(&mut rng) } else { &[] };
            let start = [&self.problems[task][..], &self.words.program(prefix, false)?].concat();
            // A beginning that leaves no room is left aside.
            starts.push(if start.len() <= network.context { start } else { self.problems[task].clone() });
        }
        let starts: Vec<&[u32]> = starts.iter().map(Vec::as_slice).collect();
        let models = [&self.policy];
        let draws = Draws { network: &network, models: &models, ends: &[END], most: self.settings.tokens };
        let drawn = draws.draw(&starts, |i| seed.rng(i as u64), &tempered(self.settings.temperature))?;
        for (&task, drawn) in rows.iter().zip(drawn) {
            let text = self.words.text(&drawn.sequence.tokens[self.problems[task].len()..]);
            self.buffers[task].offer(&text);
        }
        Ok(())
    }

    /// The targets of a task as sequences.
    fn targets(&self, task: usize) -> Result<Vec<Sequence>> {
        let most = if self.settings.objective == Targets::Mle { 1 } else { self.settings.targets };
        let targets = self.buffers[task].targets(most);
        let wanted = targets.into_iter().filter(|(_, full)| *full || self.settings.partial);
        let sequence = |(statements, full): (&[String], bool)| {
            let problem = &self.problems[task];
            let tokens = [&problem[..], &self.words.program(statements, full)?].concat();
            Ok(Sequence { tokens, from: problem.len() })
        };
        wanted.map(sequence).collect()
    }
}

/// The law of one model at a temperature.
fn tempered(temperature: f64) -> impl Fn(usize, &[Vec<f64>], &mut Vec<f64>) + Sync {
    move |_, logs, out| {
        out.clear();
        out.extend(logs[0].iter().map(|log| log / temperature));
    }
}

impl Solver {
    /// `samples` programs for each problem, at a temperature.
    ///
    /// # Errors
    /// A temperature that is not positive, or a problem that is too long for the network.
    pub fn solve(&self, problems: &[&str], samples: usize, temperature: f64, seed: Seed) -> Result<Vec<Vec<String>>> {
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(Error::input("temperature", temperature, "a positive number"));
        }
        if samples == 0 {
            return Err(Error::input("samples", 0, "at least 1"));
        }
        let problems: Vec<Vec<u32>> = problems.iter().map(|problem| self.words.problem(problem)).collect();
        let longest = problems.iter().map(Vec::len).max().unwrap_or(1);
        let network = fitted(&self.network, longest + self.tokens)?;
        let starts: Vec<&[u32]> =
            problems.iter().flat_map(|problem| std::iter::repeat_n(problem.as_slice(), samples)).collect();
        let draws = Draws { network: &network, models: &[&self.parameters], ends: &[END], most: self.tokens };
        let drawn = draws.draw(&starts, |i| seed.rng(i as u64), &tempered(temperature))?;
        let programs: Vec<String> = drawn.iter().map(|drawn| self.words.text(drawn.sequence.written())).collect();
        Ok(programs.chunks(samples).map(<[String]>::to_vec).collect())
    }
}

#[cfg(test)]
mod tests;
