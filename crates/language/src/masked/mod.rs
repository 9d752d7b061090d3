//! Masked diffusion: texts drawn from a model that fills gaps.
//!
//! A masked model sees a text with some places hidden and says for each what may stand there (BERT, MaskGIT, MDLM, LLaDA; a model that
//! fills in tables). Masked diffusion draws whole texts from it: noise hides every token by chance, and the way back uncovers them one by
//! one. A token once uncovered stays, which is what makes this process so simple.
//!
//! Zheng, Chen, Mao, Liu, Zhu, Zhang, "Masked Diffusion Models are Secretly Time-Agnostic Masked Models and Exploit Inaccurate Categorical
//! Sampling", ICLR 2025 (arXiv 2409.02908) found that the time of the noise is not needed. What is drawn is the same when places are
//! uncovered in a random order, one at a time: [`FirstHitting`], as many calls of the model as there are places. And they found that the
//! usual way back, small steps of time ([`Ancestral`]), had looked better than it is because single-precision numbers draw likely
//! tokens too often: [`Draw`] has the exact draws, and that one to show it.
//!
//! - [`MaskedModel`] is what all else is generic over; [`masked_fn`] makes one of a closure, [`MarkovChain`] is one whose answers
//!   are exact, `MaskedTransformer` (feature `networks`) one that learns from the user's text.
//! - [`FirstHitting`], [`Ancestral`], [`Confidence`] (a heuristic), and [`Blocks`] of any of them are a [`MaskedSampler`]; [`Adjusted`]
//!   puts a temperature and top-p between model and sampler. [`MaskedDecoding`] has all of it as the settings of one method.
//! - [`bound`] is the likelihood without a time; [`sentence_entropy`] belongs beside every [`generative_perplexity`].

mod adjusted;
mod ancestral;
mod blocks;
mod bound;
mod confidence;
mod decoding;
mod draw;
mod first_hitting;
mod law;
mod markov;
mod measures;
mod schedule;
#[cfg(feature = "networks")]
mod transformer;

pub use adjusted::Adjusted;
pub use ancestral::Ancestral;
pub use blocks::Blocks;
pub use bound::{Bound, bound, exact_bound};
pub use confidence::Confidence;
pub use decoding::{MaskedDecoding, Sampler, draw_rows};
pub use draw::{Draw, GUMBEL_BOUND_F32, truncated_law};
pub use first_hitting::{FirstHitting, Order, hitting_times};
pub use law::{Step, exact_law};
pub use markov::MarkovChain;
pub use measures::{Judged, generative_perplexity, sentence_entropy};
pub use schedule::{Schedule, Usual};
#[cfg(feature = "networks")]
pub use transformer::{MaskedTransformer, MaskedWindows};

use quadrat_core::{Error, Result, Rng};

/// A model of what hidden tokens of a text are.
pub trait MaskedModel: Sync {
    /// How many tokens there are; they are numbered from 0.
    fn vocabulary(&self) -> usize;

    /// The number that stands for a hidden token: one of the vocabulary that is never drawn, or one beyond it.
    fn mask(&self) -> u32;

    /// The longest text it can take, where there is a limit.
    fn context(&self) -> Option<usize> {
        None
    }

    /// Writes for each of `places`, which are hidden in `tokens`, the probabilities of the tokens there (places x vocabulary).
    ///
    /// They are in double precision since the draws are: see [`Draw`].
    ///
    /// # Errors
    /// The model's own.
    fn predict(&self, tokens: &[u32], places: &[usize], rows: &mut [f64]) -> Result<()>;
}

/// A masked model that is a function.
pub struct MaskedFn<F> {
    vocabulary: usize,
    mask: u32,
    predict: F,
}

/// The masked model whose answers a closure writes: of the tokens, the places that are asked about, and the rows to fill.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_language::masked::{FirstHitting, MaskedSampler, masked_fn};
/// // Each token of the two is as likely as the other, wherever it stands.
/// let model = masked_fn(2, 2, |_: &[u32], _: &[usize], rows: &mut [f64]| rows.fill(0.5));
/// let sample = FirstHitting::default().sample(&model, &[2, 1, 2, 2], &mut Seed(1).rng(0))?;
/// assert_eq!((sample.tokens[1], sample.calls), (1, 3));
/// assert!(sample.tokens.iter().all(|token| *token < 2));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn masked_fn<F: Fn(&[u32], &[usize], &mut [f64]) + Sync>(vocabulary: usize, mask: u32, predict: F) -> MaskedFn<F> {
    MaskedFn { vocabulary, mask, predict }
}

impl<F: Fn(&[u32], &[usize], &mut [f64]) + Sync> MaskedModel for MaskedFn<F> {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn mask(&self) -> u32 {
        self.mask
    }

    fn predict(&self, tokens: &[u32], places: &[usize], rows: &mut [f64]) -> Result<()> {
        (self.predict)(tokens, places, rows);
        Ok(())
    }
}

/// A text that was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// The places that were hidden, in the order in which they were uncovered.
    pub order: Vec<usize>,
    /// How often the model was called. Not the number of steps: see [`Ancestral`].
    pub calls: usize,
    /// How many categorical draws there were, each of which looks at the whole vocabulary.
    pub draws: usize,
}

/// A way to uncover the hidden places of a text.
pub trait MaskedSampler: Sync {
    /// Uncovers `places`, which are hidden, and leaves all else as it is; what it does is added to the sample.
    ///
    /// # Errors
    /// The model's own, a row of it that is no distribution, or settings that do not fit the number of places.
    fn uncover(&self, asked: &mut Asked, sample: &mut Sample, places: &[usize], rng: &mut Rng) -> Result<()>;

    /// A text drawn from `start`, whose tokens other than the mask are a prompt and stay.
    ///
    /// # Errors
    /// As [`uncover`](MaskedSampler::uncover), or a prompt with a token outside the vocabulary or longer than the model's context.
    fn sample(&self, model: &dyn MaskedModel, start: &[u32], rng: &mut Rng) -> Result<Sample> {
        let places = hidden(model, start)?;
        let mut sample = Sample { tokens: start.to_vec(), order: Vec::with_capacity(places.len()), calls: 0, draws: 0 };
        if !places.is_empty() {
            self.uncover(&mut Asked::new(model), &mut sample, &places, rng)?;
        }
        Ok(sample)
    }
}

/// The hidden places of a text that a model can take.
fn hidden(model: &dyn MaskedModel, start: &[u32]) -> Result<Vec<usize>> {
    let (vocabulary, mask) = (model.vocabulary(), model.mask());
    if let Some(longest) = model.context().filter(|longest| start.len() > *longest) {
        return Err(Error::input("length", start.len(), format!("at most {longest}, the model's context")));
    }
    if let Some(at) = start.iter().position(|&token| token != mask && token as usize >= vocabulary) {
        let want = format!("below {vocabulary}, the vocabulary's size, or {mask}, the mask");
        return Err(Error::input(format!("token {at} of the prompt"), start[at], want));
    }
    Ok((0..start.len()).filter(|&place| start[place] == mask).collect())
}

/// A model together with its last answers, each of which is looked at before anything is drawn from it.
pub struct Asked<'a> {
    model: &'a dyn MaskedModel,
    rows: Vec<f64>,
}

impl<'a> Asked<'a> {
    /// One that was not asked yet.
    pub fn new(model: &'a dyn MaskedModel) -> Self {
        Asked { model, rows: Vec::new() }
    }

    /// The model's number for a hidden token.
    pub fn mask(&self) -> u32 {
        self.model.mask()
    }

    /// Asks about these places of the sample as it is: a call.
    ///
    /// # Errors
    /// The model's own; a row with a negative entry, a sum that is not 1 within 1e-4, or a chance for the mask.
    pub fn ask(&mut self, sample: &mut Sample, places: &[usize]) -> Result<()> {
        let vocabulary = self.model.vocabulary();
        self.rows.resize(places.len() * vocabulary, 0.0);
        self.model.predict(&sample.tokens, places, &mut self.rows)?;
        sample.calls += 1;
        places
            .iter()
            .zip(self.rows.chunks_exact(vocabulary.max(1)))
            .try_for_each(|(&place, row)| self.check(place, row))
    }

    /// The row of the i-th of the places that were last asked about.
    pub fn row(&self, i: usize) -> &[f64] {
        let vocabulary = self.model.vocabulary();
        &self.rows[i * vocabulary..(i + 1) * vocabulary]
    }

    fn check(&self, place: usize, row: &[f64]) -> Result<()> {
        let what = || format!("the model's row for place {place}");
        let total = draw::sum(row);
        // A NaN is in no range.
        if !(1.0 - 1e-4..=1.0 + 1e-4).contains(&total) || row.iter().fold(0.0, |least: f64, &p| least.min(p)) < 0.0 {
            let want = "entries of at least 0 that sum to 1 within 0.0001: normalise what the model returns";
            return Err(Error::input(what(), format!("a sum of {total}"), want));
        }
        match row.get(self.model.mask() as usize) {
            Some(&p) if p > 0.0 => {
                let want = "0: leave the mask out before normalising, or hidden tokens would stay hidden";
                Err(Error::input(what(), format!("{p} for the mask"), want))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
