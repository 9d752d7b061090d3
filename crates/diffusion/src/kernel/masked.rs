//! Steps of masked diffusion.

use super::ReverseKernel;
use quadrat_core::{Error, Result, Rng};
use rayon::prelude::*;

/// How hidden places are uncovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reveal {
    /// In this many steps, evenly from time 1 to 0, and a place is hidden at time t by the chance t: from t to s each
    /// place stays hidden by the chance s/t, independently. The last step puts the likeliest token at each place that
    /// is left.
    LikeliestLast(usize),
    /// The same, but the last step draws.
    Drawn(usize),
    /// One a step, each as likely as the others. The only one that draws the model's own texts whatever the number of
    /// steps, since tokens that are uncovered together do not know of each other.
    OneAStep,
}

/// The steps of masked diffusion: tokens once uncovered stay, the model says what may stand at the others.
///
/// The model is a closure that writes for each of some hidden places of a text the probabilities of the tokens there
/// (places x vocabulary).
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_diffusion::{MaskedKernel, Reveal, ReverseKernel};
/// // Two tokens, each as likely as the other; 2 stands for a hidden one.
/// let fill = |_: &[u32], _: &[usize], rows: &mut [f64]| {
///     rows.fill(0.5);
///     Ok(())
/// };
/// let kernel = MaskedKernel::new((2, 2), fill, vec![2, 1, 2], Reveal::OneAStep)?;
/// let mut rng = Seed(1).rng(0);
/// let start = kernel.start(&mut rng);
/// let answer = kernel.ask(&[start.clone()], 0)?;
/// let next = kernel.propose(&start, &answer[0], 0, &mut rng);
/// assert_eq!(next.iter().filter(|token| **token == 2).count(), 1);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct MaskedKernel<F> {
    vocabulary: usize,
    mask: u32,
    fill: F,
    start: Vec<u32>,
    reveal: Reveal,
    steps: usize,
}

impl<F: Fn(&[u32], &[usize], &mut [f64]) -> Result<()> + Sync> MaskedKernel<F> {
    /// Steps from `start`, whose tokens other than the mask are a prompt and stay. `tokens` are the size of the
    /// vocabulary, and the number that stands for a hidden token.
    ///
    /// # Errors
    /// An empty vocabulary, tokens outside of it, no hidden place, no step.
    pub fn new((vocabulary, mask): (usize, u32), fill: F, start: Vec<u32>, reveal: Reveal) -> Result<Self> {
        if vocabulary == 0 {
            return Err(Error::input("vocabulary", 0, "at least 1 token"));
        }
        if let Some(at) = start.iter().position(|&token| token != mask && token as usize >= vocabulary) {
            let want = format!("below {vocabulary}, the vocabulary's size, or {mask}, the mask");
            return Err(Error::input(format!("token {at} of the start"), start[at], want));
        }
        let hidden = start.iter().filter(|token| **token == mask).count();
        if hidden == 0 {
            return Err(Error::input("start", "no hidden place", format!("{mask}, the mask, where tokens are wanted")));
        }
        let steps = match reveal {
            Reveal::LikeliestLast(0) | Reveal::Drawn(0) => return Err(Error::input("steps", 0, "at least 1")),
            Reveal::LikeliestLast(steps) | Reveal::Drawn(steps) => steps,
            Reveal::OneAStep => hidden,
        };
        Ok(MaskedKernel { vocabulary, mask, fill, start, reveal, steps })
    }

    fn hidden(&self, tokens: &[u32]) -> Vec<usize> {
        (0..tokens.len()).filter(|place| tokens[*place] == self.mask).collect()
    }

    /// Rows that are no distribution would be drawn from without a word.
    fn check(&self, place: usize, row: &[f64]) -> Result<()> {
        let what = || format!("the model's row for place {place}");
        let total: f64 = row.iter().sum();
        // A NaN is in no range.
        if !(1.0 - 1e-4..=1.0 + 1e-4).contains(&total) || row.iter().any(|p| *p < 0.0) {
            let want = "entries of at least 0 that sum to 1 within 0.0001: normalise what the model returns";
            return Err(Error::input(what(), format!("a sum of {total}"), want));
        }
        match row.get(self.mask as usize) {
            Some(&p) if p > 0.0 => {
                let want = "0: leave the mask out before normalising, or hidden tokens would stay hidden";
                Err(Error::input(what(), format!("{p} for the mask"), want))
            }
            _ => Ok(()),
        }
    }
}

/// The likeliest token, the first of equals.
fn likeliest(row: &[f64]) -> u32 {
    let best =
        row.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (k, p)| if *p > best.1 { (k, *p) } else { best });
    best.0 as u32
}

impl<F: Fn(&[u32], &[usize], &mut [f64]) -> Result<()> + Sync> ReverseKernel for MaskedKernel<F> {
    type State = Vec<u32>;
    /// Probabilities at the hidden places in their order, places x vocabulary.
    type Answer = Vec<f64>;

    fn steps(&self) -> usize {
        self.steps
    }

    fn is_stochastic(&self, step: usize) -> bool {
        !matches!(self.reveal, Reveal::LikeliestLast(steps) if step + 1 == steps)
    }

    fn start(&self, _: &mut Rng) -> Vec<u32> {
        self.start.clone()
    }

    fn ask(&self, states: &[Vec<u32>], _: usize) -> Result<Vec<Vec<f64>>> {
        let ask = |tokens: &Vec<u32>| {
            let places = self.hidden(tokens);
            let mut rows = vec![0.0; places.len() * self.vocabulary];
            if !places.is_empty() {
                (self.fill)(tokens, &places, &mut rows)?;
            }
            let each = places.iter().zip(rows.chunks_exact(self.vocabulary));
            each.into_iter().try_for_each(|(&place, row)| self.check(place, row))?;
            Ok(rows)
        };
        states.par_iter().map(ask).collect()
    }

    fn propose(&self, state: &Vec<u32>, rows: &Vec<f64>, step: usize, rng: &mut Rng) -> Vec<u32> {
        let mut next = state.clone();
        let places = self.hidden(state);
        let one = (self.reveal == Reveal::OneAStep && !places.is_empty()).then(|| rng.below(places.len()));
        // s/t of step k is (steps - k - 1) / (steps - k).
        let left = (self.steps - step) as f64;
        for (i, (&place, row)) in places.iter().zip(rows.chunks_exact(self.vocabulary)).enumerate() {
            let uncovered = match self.reveal {
                Reveal::OneAStep => one == Some(i),
                Reveal::LikeliestLast(_) | Reveal::Drawn(_) => left == 1.0 || rng.uniform() * left < 1.0,
            };
            if uncovered {
                next[place] = if self.is_stochastic(step) { rng.weighted(row) as u32 } else { likeliest(row) };
            }
        }
        next
    }

    fn clean(&self, state: &Vec<u32>, rows: &Vec<f64>) -> Vec<u32> {
        let mut clean = state.clone();
        for (place, row) in self.hidden(state).into_iter().zip(rows.chunks_exact(self.vocabulary)) {
            clean[place] = likeliest(row);
        }
        clean
    }
}
