//! The methods on a transformer: draw answers, ask the judge, step along Σᵢ wᵢ ∇ ln π(yᵢ).
//!
//! Every step draws fresh answers from the policy as it is and takes one step on them: to use a batch twice would silently make it
//! off-policy. A sequence's mixture with the anchor is drawn token by token, π_β(· | ctx) ∝ π(· | ctx)^(1−β) μ(· | ctx)^β, which is
//! an approximation to the mixture of whole sequences; the loss always has ln π, not ln π_β.
//!
//! All of it is a [`TrainMethod`], so that the usual loop trains, and other methods (LoRA, say) may train in the policy's place.

use super::game::check_beta;
use super::judge::{PreferenceModel, Question, ask, asymmetry};
use super::{OnlinePreferences, Source, Way};
use crate::objective::{Group, Judged, SequenceObjective, all_pairs};
use crate::sequences::{Drawn, Draws, Prompts, Sequence, fitted, log_likelihoods, weighed};
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_nn::{
    At, Batch, Forward, Loss, Optimizer, Parameters, Piece, Run, Schedule, StepEnd, Tensor, TrainMethod, Trainer,
    Transformer,
};
use std::collections::HashMap;

/// What is aligned, to what.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// A causal transformer; its parameters are given apart, the first are the anchor.
    pub network: &'a Transformer,
    /// Tokens after which an answer is over.
    pub ends: &'a [u32],
    /// Prompts, at least one token each.
    pub prompts: &'a [Vec<u32>],
    /// Most tokens of an answer.
    pub tokens: usize,
    /// Prompts of a step.
    pub batch: usize,
    /// Who says which answer is better.
    pub judge: &'a dyn PreferenceModel,
}

/// A policy that was aligned, and how it came about.
#[derive(Debug, Clone)]
pub struct Aligned {
    /// The policy's parameters; whatever other methods did is folded in.
    pub parameters: Parameters,
    /// One entry a step.
    pub path: Vec<Step>,
    /// The largest |p(a ≻ b) + p(b ≻ a) − 1| of the judge over the first step's questions.
    pub asymmetry: f64,
}

/// A step as it went, before its change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Mean loss of the prompts.
    pub loss: f64,
    /// Mean ln π(y) − ln μ(y) of the answers: where they are the policy's own, an estimate of KL(π ‖ μ).
    pub log_ratio: f64,
    /// Mean tokens of an answer.
    pub tokens: f64,
}

impl OnlinePreferences {
    /// Tunes a policy, with other training methods beside it or none.
    ///
    /// # Errors
    /// Settings out of range; prompts that are empty or too long; a network that is not causal; a judge that fails; a loss that is not
    /// finite; cancelled.
    pub fn align(
        &self,
        task: &Task<'_>,
        anchor: &Parameters,
        beside: &mut [&mut dyn TrainMethod],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Aligned> {
        let longest = task.prompts.iter().map(Vec::len).max().unwrap_or(0);
        if task.prompts.is_empty() || task.tokens == 0 || task.batch == 0 {
            let got = format!("{} prompts, {} in a step, {} tokens", task.prompts.len(), task.batch, task.tokens);
            return Err(Error::input("alignment", got, "at least one of each"));
        }
        if self.completions < 2 {
            return Err(Error::input("completions", self.completions, "at least 2 of a prompt, to be compared"));
        }
        check_beta(self.beta)?;
        let network = fitted(task.network, longest + task.tokens)?;
        let rows = Prompts { prompts: task.prompts.len(), rows: self.steps * task.batch, context: network.context };
        let trainer = Trainer {
            epochs: 1,
            batch: task.batch,
            rate: self.rate,
            schedule: Schedule::Late { share: 0.25 },
            optimizer: Optimizer::AdamW { beta1: 0.0, beta2: 0.999, weight_decay: 0.0 },
            loss: Loss::Tokens { vocabulary: network.vocabulary },
            clip: Some(1.0),
            seed,
            ..Trainer::default()
        };
        let mut alignment = Alignment {
            settings: *self,
            objective: self.method.objective(self.tau),
            task: *task,
            network: &network,
            anchor,
            policy: anchor.clone(),
            seed: seed.stream("answers"),
            kept: HashMap::new(),
            loss: 0.0,
            path: Vec::with_capacity(self.steps),
            asymmetry: None,
        };
        let mut methods: Vec<&mut dyn TrainMethod> = vec![&mut alignment];
        methods.extend(beside.iter_mut().map(|method| &mut **method as &mut dyn TrainMethod));
        let fit = trainer.fit_from(&network, anchor.clone(), &rows, None, &mut methods, progress)?;
        let Alignment { path, asymmetry, .. } = alignment;
        Ok(Aligned { parameters: fit.parameters, path, asymmetry: asymmetry.unwrap_or(0.0) })
    }
}

/// ln π and ln μ of the answers to a prompt.
type Logs = [Vec<f64>; 2];

/// Answers to a prompt and what the judge said of them.
#[derive(Clone)]
struct Answers {
    drawn: Vec<Sequence>,
    judged: Vec<Judged>,
}

/// The alignment under way.
struct Alignment<'a> {
    settings: OnlinePreferences,
    objective: Box<dyn SequenceObjective>,
    task: Task<'a>,
    network: &'a Transformer,
    anchor: &'a Parameters,
    /// The policy as the network computes it now.
    policy: Parameters,
    seed: Seed,
    /// Offline: what was drawn and judged, and ln μ of it, by prompt.
    kept: HashMap<u32, (Answers, Vec<f64>)>,
    loss: f64,
    path: Vec<Step>,
    asymmetry: Option<f64>,
}

impl TrainMethod for Alignment<'_> {
    fn name(&self) -> &str {
        "online-preference-optimisation"
    }

    fn begin(&mut self, _: &Run<'_>, _: &mut Parameters) -> Result<()> {
        quadrat_nn::Decoder::new(self.network, self.anchor).map(|_| ())
    }

    /// Answers to the batch's prompts take the prompts' place, weighed by their pull.
    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let prompts = batch.rows.clone();
        let (answers, logs) = match self.settings.method.source(self.settings.beta) {
            Source::Offline => self.offline(&prompts)?,
            Source::Online => self.online(&prompts, batch.at, 0.0)?,
            Source::Mixture { beta } => self.online(&prompts, batch.at, beta)?,
        };
        let (mut loss, mut weights) = (0.0, Vec::new());
        for (answers, [policy, anchor]) in answers.iter().zip(&logs) {
            let pull = self.objective.pull(&Group { policy, anchor, judged: &answers.judged })?;
            loss += pull.loss / prompts.len() as f64;
            weights.extend(pull.weights.iter().map(|w| w / prompts.len() as f64));
        }
        let sequences: Vec<&Sequence> = answers.iter().flat_map(|answers| &answers.drawn).collect();
        let count = sequences.len() as f64;
        let ratio = logs.iter().flat_map(|[p, m]| p.iter().zip(m)).map(|(p, m)| p - m).sum::<f64>() / count;
        let tokens = sequences.iter().map(|s| s.written().len() as f64).sum::<f64>() / count;
        self.path.push(Step { loss, log_ratio: ratio, tokens });
        self.loss = loss;
        let rows: Vec<u32> = prompts.iter().flat_map(|row| [*row].repeat(self.settings.completions)).collect();
        *batch = weighed(batch.at, &rows, &sequences, &weights, self.network.context);
        Ok(())
    }

    /// The gradient is that of the weighed log-probabilities, the value told is the objective's.
    fn loss(&self, _: &mut Forward, _: &Piece, _: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        Ok(rows.clone() - rows.detach() + self.loss as f32)
    }

    fn end_step(&mut self, _: At, model: &mut dyn StepEnd) -> Result<()> {
        self.policy = model.in_effect()?;
        Ok(())
    }
}

impl Alignment<'_> {
    /// Draws answers to each prompt by the law that `beta` gives their number among the prompt's.
    fn draw(
        &self,
        prompts: &[u32],
        rng: impl Fn(usize) -> quadrat_core::Rng + Sync,
        beta: impl Fn(usize) -> f64 + Sync,
    ) -> Result<Vec<Drawn>> {
        let k = self.settings.completions;
        let starts: Vec<&[u32]> =
            prompts.iter().flat_map(|&prompt| [&self.task.prompts[prompt as usize][..]].repeat(k)).collect();
        let models = [&self.policy, self.anchor];
        let draws = Draws { network: self.network, models: &models, ends: self.task.ends, most: self.task.tokens };
        draws.draw(&starts, rng, &|i, logs, out| {
            let share = beta(i % k);
            out.clear();
            out.extend(logs[0].iter().zip(&logs[1]).map(|(p, m)| match share {
                0.0 => *p,
                1.0 => *m,
                _ => (1.0 - share) * p + share * m,
            }));
        })
    }

    /// Fresh answers, and ln π and ln μ of them.
    fn online(&mut self, prompts: &[u32], at: At, beta: f64) -> Result<(Vec<Answers>, Vec<Logs>)> {
        let seed = self.seed.stream(&at.step.to_string());
        let own = self.own();
        let drawn = self.draw(prompts, |i| seed.rng(i as u64), |i| if i < own { 0.0 } else { beta })?;
        let logs = drawn
            .chunks(self.settings.completions)
            .map(|drawn| [0, 1].map(|model| drawn.iter().map(|drawn| drawn.log[model]).collect()));
        let logs = logs.collect();
        Ok((self.judged(prompts, drawn)?, logs))
    }

    /// Answers that come from the policy itself, whatever the mixture: the first half where they play against it.
    fn own(&self) -> usize {
        if self.settings.method == Way::NashMdPg { self.settings.completions / 2 } else { 0 }
    }

    /// The anchor's answers, drawn and judged at a prompt's first visit.
    fn offline(&mut self, prompts: &[u32]) -> Result<(Vec<Answers>, Vec<Logs>)> {
        let k = self.settings.completions;
        let mut fresh: Vec<u32> = prompts.iter().copied().filter(|prompt| !self.kept.contains_key(prompt)).collect();
        fresh.sort_unstable();
        fresh.dedup();
        let seed = self.seed.stream("offline");
        let stream = |i: usize| seed.stream(&fresh[i / k].to_string()).rng((i % k) as u64);
        let drawn = self.draw(&fresh, stream, |_| 1.0)?;
        let anchor: Vec<Vec<f64>> = drawn.chunks(k).map(|drawn| drawn.iter().map(|d| d.log[1]).collect()).collect();
        let judged = self.judged(&fresh, drawn)?;
        self.kept.extend(fresh.into_iter().zip(judged.into_iter().zip(anchor)));
        let kept: Vec<(Answers, Vec<f64>)> = prompts.iter().map(|prompt| self.kept[prompt].clone()).collect();
        let sequences: Vec<&Sequence> = kept.iter().flat_map(|(answers, _)| &answers.drawn).collect();
        let policy = log_likelihoods(self.network, &self.policy, &sequences)?;
        let logs = policy.chunks(k).zip(&kept).map(|(policy, (_, anchor))| [policy.to_vec(), anchor.clone()]).collect();
        Ok((kept.into_iter().map(|(answers, _)| answers).collect(), logs))
    }

    /// Asks the judge about each prompt's answers, all in one call.
    fn judged(&mut self, prompts: &[u32], drawn: Vec<Drawn>) -> Result<Vec<Answers>> {
        let (k, own) = (self.settings.completions, self.own());
        let mut pairs = all_pairs(k, |_, _| Ok(0.5))?;
        pairs.retain(|pair| own == 0 || (pair.first < own && pair.second >= own));
        let sequences: Vec<Sequence> = drawn.into_iter().map(|drawn| drawn.sequence).collect();
        let mut answers: Vec<Answers> =
            sequences.chunks(k).map(|drawn| Answers { drawn: drawn.to_vec(), judged: pairs.clone() }).collect();
        let written: Vec<&[u32]> = sequences.iter().map(|sequence| answer(sequence, self.task.ends)).collect();
        let (mut questions, mut open) = (Vec::new(), Vec::new());
        for (at, (prompt, answers)) in prompts.iter().zip(&mut answers).enumerate() {
            for pair in &mut answers.judged {
                let (a, b) = (written[at * k + pair.first], written[at * k + pair.second]);
                // The same answer twice is a tie that nobody need be asked about.
                if a != b {
                    questions.push(Question { prompt: &self.task.prompts[*prompt as usize], a, b });
                    open.push(pair);
                }
            }
        }
        let said = ask(self.task.judge, &questions)?;
        open.into_iter().zip(said).for_each(|(pair, p)| pair.preference = p);
        if self.asymmetry.is_none() {
            self.asymmetry = Some(asymmetry(self.task.judge, &questions)?);
        }
        Ok(answers)
    }
}

/// What was written, without the token that ends it.
fn answer<'s>(sequence: &'s Sequence, ends: &[u32]) -> &'s [u32] {
    match sequence.written() {
        [rest @ .., last] if ends.contains(last) => rest,
        all => all,
    }
}

/// p(answer of `policy` ≻ answer of `rival`) at each prompt, the answers drawn for it.
///
/// # Errors
/// As [`OnlinePreferences::align`].
pub fn win_rate(task: &Task<'_>, [policy, rival]: [&Parameters; 2], seed: Seed) -> Result<Vec<f64>> {
    let starts: Vec<&[u32]> = task.prompts.iter().map(Vec::as_slice).collect();
    let longest = starts.iter().map(|start| start.len()).max().unwrap_or(0);
    let network = fitted(task.network, longest + task.tokens)?;
    let side = |parameters: &Parameters, name: &str| {
        let draws = Draws { network: &network, models: &[parameters], ends: task.ends, most: task.tokens };
        let seed = seed.stream(name);
        draws.draw(&starts, |i| seed.rng(i as u64), &|_, logs, out| out.clone_from(&logs[0]))
    };
    let (own, other) = (side(policy, "policy")?, side(rival, "rival")?);
    let questions = own.iter().zip(&other).zip(&starts).map(|((a, b), prompt)| {
        let [a, b] = [a, b].map(|drawn| answer(&drawn.sequence, task.ends));
        Question { prompt, a, b }
    });
    let questions: Vec<Question<'_>> = questions.collect();
    ask(task.judge, &questions)
}

#[cfg(test)]
mod tests;
