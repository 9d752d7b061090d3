//! Token after token.

use super::{Decoder, Law};
use crate::LanguageModel;
use crate::chance::Chance;
use quadrat_core::{Error, Progress, Result, Rng, Seed, checkpoint};
use std::ops::ControlFlow;

/// What is asked of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The text to go on from; empty where the model can begin by itself.
    pub prompt: Vec<u32>,
    /// The most tokens to add.
    pub tokens: usize,
    /// Tokens after which the text is over, the model's own ([`LanguageModel::ends`]) beside them.
    pub ends: Vec<u32>,
}

impl Request {
    /// Up to `tokens` tokens after `prompt`.
    pub fn new(prompt: &[u32], tokens: usize) -> Self {
        Request { prompt: prompt.to_vec(), tokens, ends: Vec::new() }
    }

    /// That the prompt fits a model, and leaves room for a token.
    pub(crate) fn check(&self, model: &dyn LanguageModel) -> Result<()> {
        match model.context() {
            Some(context) if self.prompt.len() > context => {
                let want = format!("at most {context}, the model's context; shorten the prompt");
                Err(Error::input("tokens of the prompt", self.prompt.len(), want))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn is_end(&self, model: &dyn LanguageModel, token: u32) -> bool {
        self.ends.contains(&token) || model.ends().contains(&token)
    }
}

/// Why a text is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// All tokens that were asked for are there.
    #[default]
    Length,
    /// A token that ends a text came; it is the last one.
    End,
    /// The caller had enough.
    Stop,
    /// The model's context is full.
    Context,
}

/// What was added to a prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Continuation {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// The natural logarithm of the probability with which each was drawn: the decoder's, which is the model's own where no setting
    /// changes it.
    pub log_probabilities: Vec<f64>,
    /// Why it is over.
    pub finish: Finish,
    /// How often all tokens that were left were forbidden, and the best was taken all the same.
    pub forced: usize,
}

/// The random stream of prompt `i`.
pub fn stream(seed: Seed, i: usize) -> Rng {
    seed.stream("generate").rng(i as u64)
}

/// Draws a text. `each` sees the tokens so far after every new one, and may stop: so stop strings are found, and texts shown as they
/// grow. Progress counts tokens.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_language::decode::{Decoder, Request, generate, stream};
/// use quadrat_language::from_fn;
/// use std::ops::ControlFlow;
/// let counts = from_fn(10, |prefix: &[u32], scores: &mut [f32]| {
///     scores.fill(f32::NEG_INFINITY);
///     scores[prefix.len() % 10] = 0.0;
/// });
/// let mut until_five = |tokens: &[u32]| if tokens.ends_with(&[5]) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
/// let request = Request::new(&[0, 1], 100);
/// let text = generate(&counts, &Decoder::default(), &request, &mut stream(Seed(1), 0), &Silent, &mut until_five)?;
/// assert_eq!(text.tokens, [2, 3, 4, 5]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// A prompt that is longer than the model's context or has tokens outside its vocabulary; what the model says; scores that are no
/// law ([`Decoder::law`]); cancelling.
pub fn generate(
    model: &dyn LanguageModel,
    decoder: &Decoder,
    request: &Request,
    chance: &mut dyn Chance,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&[u32]) -> ControlFlow<()>,
) -> Result<Continuation> {
    request.check(model)?;
    let mut state = model.begin();
    state.push(&request.prompt)?;
    let mut history = request.prompt.clone();
    let mut scores = vec![0.0; model.vocabulary()];
    let (mut law, mut text) = (Law::default(), Continuation::default());
    while text.tokens.len() < request.tokens {
        checkpoint(progress)?;
        if let Some(&last) = text.tokens.last() {
            if model.context().is_some_and(|context| state.len() >= context) {
                text.finish = Finish::Context;
                break;
            }
            state.push(&[last])?;
        }
        state.scores(&mut scores)?;
        decoder.law(&history, &scores, &mut law)?;
        let (token, log_probability) = law.draw(chance);
        history.push(token);
        text.tokens.push(token);
        text.log_probabilities.push(log_probability);
        text.forced += usize::from(law.forced());
        progress.advance(1);
        if request.is_end(model, token) {
            text.finish = Finish::End;
            break;
        }
        if each(&text.tokens).is_break() {
            text.finish = Finish::Stop;
            break;
        }
    }
    Ok(text)
}
