//! What AriEL is compared with: autoencoders of sentences, plain and variational.
//!
//! Kingma and Welling 2014 (arXiv 1312.6114). All positions of a sentence are read at once and said at once: word vectors side by side, a hidden layer,
//! the code, a hidden layer, and a vector a position, whose products with a table are the words' scores.

use super::Questions;
use ndarray::{Array2, Axis};
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_nn::{
    Forward, Init, Input, Inputs, Loss, Network, Others, Parameters, Piece, Role, Rows, Run, Samples, Spec, Tensor,
    TrainMethod, Trainer, evaluate, tensor_of,
};

/// Dimensions of a code.
const LATENT: usize = 16;
/// Units of a hidden layer, and numbers of a word.
const HIDDEN: usize = 256;
const WIDTH: usize = 32;
/// Rows that are decoded at once.
const BLOCK: usize = 500;

/// What of the network computes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Half {
    Both,
    Encoder,
    Decoder,
}

/// The network, or a half of it with all its parameters.
#[derive(Debug, Clone, Copy)]
struct Autoencoder {
    words: usize,
    length: usize,
    variational: bool,
    half: Half,
}

impl Network for Autoencoder {
    fn inputs(&self) -> usize {
        if self.half == Half::Decoder { LATENT } else { 0 }
    }

    fn others(&self) -> Vec<Input> {
        let tokens = Input::whole("tokens", self.length, self.words);
        if self.half == Half::Decoder { Vec::new() } else { vec![tokens] }
    }

    fn outputs(&self) -> usize {
        if self.half == Half::Encoder { LATENT } else { self.length * self.words }
    }

    fn grain(&self) -> usize {
        16
    }

    fn parameters(&self) -> Vec<Spec> {
        let (side, gain) = (self.length * WIDTH, std::f32::consts::SQRT_2);
        let mut specs = vec![Spec::new("read", &[self.words, WIDTH], Role::Other, Init::Normal(1.0))];
        specs.extend(Spec::linear("in", side, HIDDEN, gain));
        specs.extend(Spec::linear("code", HIDDEN, LATENT, 1.0));
        if self.variational {
            specs.extend(Spec::linear("spread", HIDDEN, LATENT, 0.1));
        }
        specs.extend(Spec::linear("out", LATENT, HIDDEN, gain));
        specs.extend(Spec::linear("places", HIDDEN, side, 1.0));
        specs.extend(Spec::linear("words", WIDTH, self.words, 1.0));
        specs
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let n = inputs.rows();
        let code = match self.half {
            Half::Decoder => inputs.numbers(),
            _ => {
                let read = forward.embedding("read", inputs.whole("tokens")?)?.reshape([n, self.length * WIDTH]);
                let hidden = quadrat_nn::Activation::Relu.apply(forward.linear("in", read)?);
                let mean = forward.linear("code", hidden.clone())?;
                match self.variational && forward.is_training() {
                    true => self.spread(forward, mean, hidden)?,
                    false => mean,
                }
            }
        };
        if self.half == Half::Encoder {
            return Ok(code);
        }
        let hidden = quadrat_nn::Activation::Relu.apply(forward.linear("out", code)?);
        let places = forward.linear("places", hidden)?.reshape([n * self.length, WIDTH]);
        Ok(forward.linear("words", places)?.reshape([n, self.length * self.words]))
    }
}

impl Autoencoder {
    /// A draw of the code, and as `divergence` what its law is away from the normal one.
    fn spread(&self, forward: &mut Forward, mean: Tensor<2>, hidden: Tensor<2>) -> Result<Tensor<2>> {
        let log_variance = forward.linear("spread", hidden)?;
        let n = mean.dims()[0];
        let noise = Array2::from_shape_simple_fn((n, LATENT), || forward.rng().normal() as f32);
        let each = (mean.clone() * mean.clone() + log_variance.clone().exp() - log_variance.clone() - 1.0) * 0.5;
        forward.tap("divergence", &each.sum_dim(1));
        Ok(mean + (log_variance * 0.5).exp() * tensor_of(noise.view(), true))
    }
}

/// Adds the divergence to the loss, with a weight that grows to its full size over the first half of the run.
struct Divergence {
    beta: f64,
    steps: usize,
}

impl TrainMethod for Divergence {
    fn name(&self) -> &str {
        "divergence"
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        self.steps = run.epochs * run.steps;
        Ok(())
    }

    fn loss(&self, forward: &mut Forward, piece: &Piece, _: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        let grown = (2.0 * piece.batch.at.step as f64 / self.steps.max(1) as f64).min(1.0);
        let divergence =
            forward.tapped("divergence").ok_or_else(|| Error::numeric("VAE", "no divergence was computed"))?;
        Ok(rows + divergence.reshape([-1]) * (self.beta * grown) as f32)
    }
}

/// A trained autoencoder.
pub(super) struct Latent {
    network: Autoencoder,
    parameters: Parameters,
    /// Codes of the training sentences.
    codes: Array2<f32>,
}

/// How one is trained.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fitting {
    pub(super) epochs: usize,
    pub(super) rate: f64,
    /// Weight of the divergence a word; none: a plain autoencoder.
    pub(super) beta: Option<f64>,
}

impl Latent {
    /// Trains one.
    pub(super) fn fit(questions: &Questions, fitting: Fitting, seed: Seed) -> Result<Self> {
        let (words, length) = (questions.words(), questions.length());
        let network = Autoencoder { words, length, variational: fitting.beta.is_some(), half: Half::Both };
        let rows = padded(&questions.train, length, questions.end);
        // What stands behind the end does not count.
        let mut targets = rows.mapv(|token| token as f32);
        for (mut target, question) in targets.outer_iter_mut().zip(&questions.train) {
            target.iter_mut().skip(question.len()).for_each(|token| *token = -1.0);
        }
        let samples = Samples::values(Array2::zeros((rows.nrows(), 0)), targets)?.with("tokens", rows.clone())?;
        let Fitting { epochs, rate, beta } = fitting;
        let loss = Loss::Tokens { vocabulary: words };
        let trainer = Trainer { epochs, rate, loss, seed, batch: 64, ..Trainer::default() };
        let mut divergence = Divergence { beta: beta.unwrap_or(0.0), steps: 0 };
        let mut methods: Vec<&mut dyn TrainMethod> = Vec::new();
        if beta.is_some() {
            methods.push(&mut divergence);
        }
        let parameters = trainer.fit(&network, &samples, None, &mut methods, &Silent)?.parameters;
        let mut latent = Latent { network, parameters, codes: Array2::zeros((0, LATENT)) };
        latent.codes = latent.encode(&questions.train, questions.end)?;
        Ok(latent)
    }

    fn encode(&self, sentences: &[Vec<u32>], end: u32) -> Result<Array2<f32>> {
        let encoder = Autoencoder { half: Half::Encoder, ..self.network };
        let tokens = [("tokens".to_owned(), padded(sentences, self.network.length, end).into())];
        let none = Array2::zeros((sentences.len(), 0));
        evaluate(&encoder, &self.parameters, Rows::new(none.view(), &Others::from(tokens)))
    }

    /// The sentences of some codes: the likeliest word of each position, to the end.
    pub(super) fn decode(&self, codes: &Array2<f32>, end: u32) -> Result<Vec<Vec<u32>>> {
        let decoder = Autoencoder { half: Half::Decoder, ..self.network };
        let mut sentences = Vec::with_capacity(codes.nrows());
        for block in codes.axis_chunks_iter(Axis(0), BLOCK) {
            let scores = evaluate(&decoder, &self.parameters, block)?;
            for row in scores.outer_iter() {
                let places = row.exact_chunks(self.network.words);
                let said = places.into_iter().map(|scores| likeliest(scores.iter().copied()));
                let mut sentence: Vec<u32> = said.collect();
                let until = sentence.iter().position(|word| *word == end).map_or(sentence.len(), |at| at + 1);
                sentence.truncate(until);
                sentences.push(sentence);
            }
        }
        Ok(sentences)
    }

    /// Points of the smallest box around the training codes.
    pub(super) fn uniform(&self, n: usize, seed: Seed) -> Array2<f32> {
        let mut rng = seed.rng(0);
        let end = |of: fn(f32, f32) -> f32, start| self.codes.fold_axis(Axis(0), start, |a, b| of(*a, *b));
        let (low, up) = (end(f32::min, f32::INFINITY), end(f32::max, f32::NEG_INFINITY));
        Array2::from_shape_fn((n, LATENT), |(_, axis)| low[axis] + rng.uniform() as f32 * (up[axis] - low[axis]))
    }

    /// Points of the normal law.
    pub(super) fn normal(n: usize, seed: Seed) -> Array2<f32> {
        let mut rng = seed.rng(0);
        Array2::from_shape_simple_fn((n, LATENT), || rng.normal() as f32)
    }

    /// Shares of sentences that come back as they were, and of words that come back in their places.
    pub(super) fn reconstruction(&self, sentences: &[Vec<u32>], end: u32) -> Result<[f64; 2]> {
        let back = self.decode(&self.encode(sentences, end)?, end)?;
        let whole = back.iter().zip(sentences).filter(|(a, b)| a == b).count();
        let right = |(a, b): (&Vec<u32>, &Vec<u32>)| a.iter().zip(b).filter(|(a, b)| a == b).count();
        let right: usize = back.iter().zip(sentences).map(right).sum();
        let all: usize = sentences.iter().map(Vec::len).sum();
        Ok([whole as f64 / sentences.len() as f64, right as f64 / all as f64])
    }
}

fn likeliest(scores: impl Iterator<Item = f32>) -> u32 {
    let best = scores
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (at, score)| if score > best.1 { (at, score) } else { best });
    best.0 as u32
}

/// Sentences as rows, filled up with the end.
fn padded(sentences: &[Vec<u32>], length: usize, end: u32) -> Array2<u32> {
    Array2::from_shape_fn((sentences.len(), length), |(i, j)| sentences[i].get(j).copied().unwrap_or(end))
}
