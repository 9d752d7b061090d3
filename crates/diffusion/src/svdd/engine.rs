//! What all methods share that keep some of a model's draws: batches, values, counts.

use crate::ReverseKernel;
use quadrat_core::{Error, Progress, Result, Rng, Seed, Silent, checkpoint, stats};
use rayon::prelude::*;

/// A reward of clean samples, called with many at once: one number each. -inf forbids a sample.
pub type Reward<'a, S> = &'a (dyn Fn(&[S]) -> Result<Vec<f64>> + Sync);

/// How promising a state is, in the reward's unit.
pub enum Value<'a, S> {
    /// The reward of the model's guess of the data.
    PosteriorMean,
    /// A function of states and of how many steps they have done. It is not asked for clean samples: their value is the
    /// reward.
    Given(Promise<'a, S>),
}

/// Values of states that have done a number of steps.
pub type Promise<'a, S> = &'a (dyn Fn(&[S], usize) -> Result<Vec<f64>> + Sync);

/// What was drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Guided<S> {
    /// The samples.
    pub samples: Vec<S>,
    /// The reward of each.
    pub rewards: Vec<f64>,
    /// Samples that the reward, or a given value, was asked about.
    pub value_calls: usize,
    /// States that the model was asked about.
    pub model_calls: usize,
    /// The effective number of weights at each step: of a sample's candidates, the mean over samples; with replacement,
    /// and for particles, of samples.
    pub ess: Vec<f64>,
    /// How often all candidates were forbidden, and any was kept.
    pub forbidden: usize,
}

/// Samples on their way.
pub(super) struct Run<'a, K: ReverseKernel> {
    kernel: &'a K,
    value: Value<'a, K::State>,
    reward: Reward<'a, K::State>,
    progress: &'a dyn Progress,
    states: Vec<K::State>,
    /// What the model says of the states, where it was asked already.
    answers: Option<Vec<K::Answer>>,
    /// Values of the states.
    pub values: Vec<f64>,
    pub rngs: Vec<Rng>,
    done: usize,
    value_calls: usize,
    model_calls: usize,
    pub ess: Vec<f64>,
    pub forbidden: usize,
}

impl<'a, K: ReverseKernel> Run<'a, K> {
    /// `n` samples before the first step; they have no values yet.
    pub fn start(
        kernel: &'a K,
        value: Value<'a, K::State>,
        reward: Reward<'a, K::State>,
        n: usize,
        seed: Seed,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        if n == 0 {
            return Err(Error::input("samples", 0, "at least 1"));
        }
        let stream = seed.stream("samples");
        let mut rngs: Vec<Rng> = (0..n as u64).map(|i| stream.rng(i)).collect();
        let states = rngs.iter_mut().map(|rng| kernel.start(rng)).collect();
        progress.begin("steps", Some(kernel.steps() as u64));
        let (done, value_calls, model_calls, forbidden) = (0, 0, 0, 0);
        let (answers, values, ess) = (None, Vec::new(), Vec::new());
        Ok(Run {
            kernel,
            value,
            reward,
            progress,
            states,
            answers,
            values,
            rngs,
            done,
            value_calls,
            model_calls,
            ess,
            forbidden,
        })
    }

    /// Draws `candidates` of the next step for each sample, which take the samples' place one after the other.
    pub fn draw(&mut self, candidates: usize) -> Result<()> {
        checkpoint(self.progress)?;
        let answers = match self.answers.take() {
            Some(answers) => answers,
            None => self.ask()?,
        };
        let (kernel, step) = (self.kernel, self.done);
        let each = self.states.par_iter().zip(&answers).zip(&mut self.rngs);
        let drawn = each.map(|((state, answer), rng)| -> Vec<K::State> {
            (0..candidates).map(|_| kernel.propose(state, answer, step, rng)).collect()
        });
        self.states = drawn.collect::<Vec<_>>().into_iter().flatten().collect();
        self.done += 1;
        self.progress.advance(1);
        Ok(())
    }

    /// The same, and looks how promising they are.
    pub fn step(&mut self, candidates: usize) -> Result<()> {
        self.draw(candidates)?;
        self.look()
    }

    /// Values of the states.
    fn look(&mut self) -> Result<()> {
        self.value_calls += self.states.len();
        let values = match self.value {
            _ if self.done == self.kernel.steps() => (self.reward)(&self.states)?,
            Value::Given(value) => value(&self.states, self.done)?,
            Value::PosteriorMean => {
                let answers = self.ask()?;
                let each = self.states.par_iter().zip(&answers);
                let clean: Vec<K::State> = each.map(|(state, answer)| self.kernel.clean(state, answer)).collect();
                self.answers = Some(answers);
                (self.reward)(&clean)?
            }
        };
        self.values = checked(values, self.states.len())?;
        Ok(())
    }

    fn ask(&mut self) -> Result<Vec<K::Answer>> {
        self.model_calls += self.states.len();
        let answers = self.kernel.ask(&self.states, self.done)?;
        if answers.len() != self.states.len() {
            let want = format!("{}, one for each state", self.states.len());
            return Err(Error::input("answers of the kernel", answers.len(), want));
        }
        Ok(answers)
    }

    /// Keeps these of the states, in this order.
    pub fn keep(&mut self, kept: &[usize]) {
        self.states = kept.iter().map(|&i| self.states[i].clone()).collect();
        self.values = kept.iter().map(|&i| self.values[i]).collect();
        self.answers = self.answers.take().map(|answers| kept.iter().map(|&i| answers[i].clone()).collect());
    }

    /// What was drawn, once all steps are done and values are rewards.
    pub fn end(self) -> Guided<K::State> {
        let Run { states: samples, values: rewards, value_calls, model_calls, ess, forbidden, .. } = self;
        Guided { samples, rewards, value_calls, model_calls, ess, forbidden }
    }
}

/// That there is a value for each state, none of them NaN or +∞.
fn checked(values: Vec<f64>, want: usize) -> Result<Vec<f64>> {
    if values.len() != want {
        return Err(Error::input("rewards", format!("{} of them", values.len()), format!("{want}, one a sample")));
    }
    match values.iter().position(|v| v.is_nan() || *v == f64::INFINITY) {
        None => Ok(values),
        Some(i) => {
            let want = "finite numbers, or -inf for what is forbidden";
            Err(Error::input("rewards", format!("{} for sample {i} of {}", values[i], values.len()), want))
        }
    }
}

/// Values as the logarithms of weights exp(v/α). At α = 0 the best weigh 1 and all others nothing.
pub(super) fn logs(values: &[f64], alpha: f64) -> Vec<f64> {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // The difference from the best first: v/α alone may be beyond all numbers.
    let log = |v: &f64| match *v {
        v if v == f64::NEG_INFINITY => v,
        v if v == top => 0.0,
        v if alpha > 0.0 => (v - top) / alpha,
        _ => f64::NEG_INFINITY,
    };
    values.iter().map(log).collect()
}

/// The standard deviation of the rewards of `n` of the model's own samples: a unit for
/// [`Svdd::alpha`](super::Svdd::alpha) that does not depend on the reward's.
///
/// # Errors
/// As [`Svdd::draw`](super::Svdd::draw); fewer than 2 samples; a reward that forbids one.
pub fn reward_deviation<K: ReverseKernel>(kernel: &K, reward: Reward<K::State>, n: usize, seed: Seed) -> Result<f64> {
    if n < 2 {
        return Err(Error::input("samples", n, "at least 2 for a standard deviation"));
    }
    let found = super::BestOf { candidates: 1 }.draw(kernel, reward, n, seed, &Silent)?;
    match found.rewards.iter().position(|r| !r.is_finite()) {
        None => Ok(stats::standard_deviation(&found.rewards)),
        Some(i) => Err(Error::input("rewards", format!("-inf for sample {i}"), "finite ones: state alpha itself")),
    }
}
