//! A small masked model of the user's own text.
//!
//! A transformer that sees both directions, trained on windows with some tokens hidden, as the paper's bound has it: how many, n, is uniform
//! between 1 and the window's length L and stratified over a batch, as times are in other programs; which, uniform too; and the loss of a
//! window is the mean surprise of its hidden tokens, 1 / n times their sum, which is the bound for each token ([`bound`](super::bound)).
//! The network is not told n: what it sees shows it.
//!
//! Chosen here: the form and the course of [`Pretrain`], so that a masked model and one of the next token differ in nothing but what they
//! are asked. Its rotary positions let texts be shorter than a window without padding. The mask is the number behind the last token, and
//! has a score like any other in training, where it soon has none to speak of; it is left out when rows are made.

use super::MaskedModel;
use crate::Pretrain;
use ndarray::Array2;
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_nn::{
    At, Batch, Entries, Epoch, Loss, Model, Optimizer, Others, Parameters, Rows, Schedule, Source, Trainer, Transformer,
};
use serde_json::json;
use std::path::Path;

/// Windows over one long text with tokens hidden anew in every step.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedWindows {
    tokens: Vec<u32>,
    vocabulary: usize,
    length: usize,
    seed: Seed,
}

impl MaskedWindows {
    /// Windows of `length` tokens, one behind the other; the mask is the number `vocabulary`.
    ///
    /// # Errors
    /// Windows of no token, a text without one whole window, or a token outside the vocabulary.
    pub fn new(tokens: Vec<u32>, vocabulary: usize, length: usize, seed: Seed) -> Result<Self> {
        if length == 0 || tokens.len() < length {
            let got = format!("{} in windows of {length}", tokens.len());
            return Err(Error::input("tokens", got, "at least one window of at least one token"));
        }
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(Error::input("token", token, format!("below {vocabulary}, the vocabulary's size")));
        }
        Ok(MaskedWindows { tokens, vocabulary, length, seed })
    }
}

impl Source for MaskedWindows {
    fn len(&self) -> usize {
        self.tokens.len() / self.length
    }

    fn outputs(&self) -> usize {
        self.length
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let seed = self.seed.stream(&at.step.to_string());
        let shift = seed.stream("how many").rng(0).uniform();
        let mut tokens = Array2::zeros((rows.len(), self.length));
        // A target of -1 does not count.
        let mut targets = Array2::from_elem((rows.len(), self.length), -1.0);
        for (i, &row) in rows.iter().enumerate() {
            let first = row as usize * self.length;
            (0..self.length).for_each(|place| tokens[[i, place]] = self.tokens[first + place]);
            let share = ((i as f64 + shift) / rows.len() as f64).fract();
            let hidden = 1 + ((self.length as f64 * share) as usize).min(self.length - 1);
            for place in seed.rng(u64::from(row)).sample(self.length, hidden) {
                targets[[i, place]] = tokens[[i, place]] as f32;
                tokens[[i, place]] = self.vocabulary as u32;
            }
        }
        let others = Others::from([("tokens".to_owned(), Entries::from(tokens))]);
        Ok(Batch { others, ..Batch::new(at, rows, Array2::zeros((rows.len(), 0)), targets) })
    }

    fn told(&self) -> String {
        let sum = self.tokens.iter().fold(0_u64, |sum, token| sum.wrapping_mul(31).wrapping_add(u64::from(*token)));
        format!("{} masked windows of {} tokens with the sum {sum:x}, seed {}", self.len(), self.length, self.seed.0)
    }

    fn check(&self, loss: Loss) -> Result<()> {
        match loss {
            Loss::Tokens { .. } | Loss::Nothing => Ok(()),
            other => Err(Error::input("loss", other, "the loss of tokens")),
        }
    }
}

/// A transformer that says what hidden tokens are.
#[derive(Debug, Clone)]
pub struct MaskedTransformer {
    network: Transformer,
    parameters: Parameters,
}

/// The file of a folder that says that its model is masked.
const FILE: &str = "masked.safetensors";

impl MaskedTransformer {
    /// Trains one on a text of tokens below `vocabulary`; its longest text is the settings' context. The curve's losses are the bound for
    /// a token, in nats, with that of what is held back beside it, where that is a window.
    ///
    /// # Errors
    /// As [`Pretrain::network`] and [`MaskedWindows::new`]; a loss that is not finite; the user's cancelling.
    pub fn fit(
        settings: &Pretrain,
        vocabulary: usize,
        [text, held_back]: [&[u32]; 2],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<(Self, Vec<Epoch>)> {
        let network = Transformer { causal: false, ..settings.network(vocabulary + 1)? };
        let windows = |tokens: &[u32], masks| MaskedWindows::new(tokens.to_vec(), vocabulary, settings.context, masks);
        let rows = windows(text, seed.stream("masks"))?;
        let held_back = match held_back.len() >= settings.context {
            true => Some(windows(held_back, seed.stream("masks of held back tokens"))?),
            false => None,
        };
        let trainer = Trainer {
            epochs: settings.epochs,
            batch: settings.batch,
            rate: settings.rate,
            schedule: Schedule::Cosine.warmed_up(0.05),
            optimizer: Optimizer::adamw(0.1),
            loss: Loss::Tokens { vocabulary: network.vocabulary },
            clip: Some(1.0),
            seed,
            ..Trainer::default()
        };
        let held_back = held_back.as_ref().map(|windows| windows as &dyn Source);
        let fit = trainer.fit(&network, &rows, held_back, &mut [], progress)?;
        Ok((MaskedTransformer { network, parameters: fit.parameters }, fit.curve))
    }

    /// How many numbers it has learnt.
    pub fn size(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.values().len()).sum()
    }

    /// Whether there is one in a folder.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// Writes it into a folder that is there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let notes = json!({ "kind": "masked", "mask": self.mask() });
        quadrat_nn::save_model(&folder.join(FILE), &Model::Transformer(self.network.clone()), &self.parameters, &notes)
    }

    /// The one that [`save`](MaskedTransformer::save) wrote.
    ///
    /// # Errors
    /// No such file, or one of another model.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        match quadrat_nn::load_model(&path)? {
            (Model::Transformer(network), parameters, notes)
                if notes["kind"] == "masked" && !network.causal && network.vocabulary > 1 =>
            {
                Ok(MaskedTransformer { network, parameters })
            }
            _ => Err(Error::data(path.display().to_string(), None, "holds another model than a masked transformer")),
        }
    }
}

impl MaskedModel for MaskedTransformer {
    fn vocabulary(&self) -> usize {
        self.network.vocabulary - 1
    }

    fn mask(&self) -> u32 {
        self.network.vocabulary as u32 - 1
    }

    fn context(&self) -> Option<usize> {
        Some(self.network.context)
    }

    fn predict(&self, tokens: &[u32], places: &[usize], rows: &mut [f64]) -> Result<()> {
        let shown = Array2::from_shape_fn((1, tokens.len()), |(_, place)| tokens[place]);
        let others = Others::from([("tokens".to_owned(), Entries::from(shown))]);
        let network = Transformer { context: tokens.len(), ..self.network.clone() };
        let none = Array2::zeros((1, 0));
        let scores = quadrat_nn::evaluate(&network, &self.parameters, Rows::new(none.view(), &others))?;
        let (scores, vocabulary) = (scores.as_slice().unwrap_or_default(), self.vocabulary());
        let mut row = Vec::with_capacity(vocabulary);
        for (out, place) in rows.chunks_exact_mut(vocabulary).zip(places) {
            let first = place * network.vocabulary;
            crate::softmax(&scores[first..first + vocabulary], &mut row);
            out.copy_from_slice(&row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masked::{FirstHitting, MaskedSampler, exact_bound};
    use quadrat_core::Silent;

    #[test]
    fn hidden_tokens_are_targets_and_as_many_as_the_strata_say() {
        let windows = MaskedWindows::new((0..85).map(|i| i % 7).collect(), 7, 8, Seed(3)).unwrap();
        assert_eq!(windows.len(), 10);
        let rows: Vec<u32> = (0..8).collect();
        let batch = windows.batch(At { epoch: 0, step: 5 }, &rows).unwrap();
        let Entries::Whole(tokens) = &batch.others["tokens"] else { unreachable!() };
        let mut hidden = Vec::new();
        for (i, row) in tokens.outer_iter().enumerate() {
            for (place, &token) in row.iter().enumerate() {
                let own = ((8 * i + place) % 7) as u32;
                let target = batch.targets[[i, place]];
                assert!(if token == 7 { target == own as f32 } else { token == own && target == -1.0 });
            }
            hidden.push(row.iter().filter(|token| **token == 7).count());
        }
        hidden.sort_unstable();
        assert_eq!(hidden, [1, 2, 3, 4, 5, 6, 7, 8], "one row in each stratum");
        assert_eq!(windows.batch(At { epoch: 0, step: 5 }, &rows).unwrap().targets, batch.targets);
        assert_ne!(windows.batch(At { epoch: 0, step: 6 }, &rows).unwrap().targets, batch.targets);
        for (tokens, length) in [(3, 4), (3, 0)] {
            assert!(MaskedWindows::new(vec![0; tokens], 7, length, Seed(0)).is_err());
        }
        assert!(MaskedWindows::new(vec![7; 9], 7, 2, Seed(0)).unwrap_err().to_string().contains("below 7"));
    }

    #[test]
    fn a_model_learns_its_text_and_comes_back_from_its_folder() {
        // After each token only one of the two others: nearly 3 x 2^7 texts of 8 tokens, ln 2 nats a token.
        let mut rng = Seed(1).rng(0);
        let mut tokens = vec![0_u32];
        (0..4000).for_each(|i| tokens.push((tokens[i] + 1 + rng.below(2) as u32) % 3));
        let settings = Pretrain { layers: 1, dim: 32, heads: Some(2), context: 8, epochs: 12, batch: 16, rate: 1e-2 };
        let (held_back, text) = tokens.split_at(800);
        let (model, curve) = MaskedTransformer::fit(&settings, 3, [text, held_back], Seed(2), &Silent).unwrap();
        assert!(model.size() > 32 * 32 && model.context() == Some(8));
        let last = curve.last().and_then(|epoch| epoch.validation_loss).unwrap();
        assert!(last < 0.85 && last > 0.7, "{last} where 1.10 is a blind guess and 0.744 the entropy");
        let folder = std::env::temp_dir().join(format!("quadrat-masked-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(!MaskedTransformer::is_in(&folder) && MaskedTransformer::open(&folder).is_err());
        model.save(&folder).unwrap();
        assert!(MaskedTransformer::is_in(&folder));
        let same = MaskedTransformer::open(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let sample = |model: &MaskedTransformer, length: usize| {
            let mut start = vec![3; length];
            start[2] = 1;
            FirstHitting::default().sample(model, &start, &mut Seed(4).rng(0)).unwrap().tokens
        };
        // A shorter text than a window, too.
        for length in [8, 5] {
            assert_eq!(sample(&model, length), sample(&same, length));
        }
        assert!(exact_bound(&same, &[0, 1, 2, 0]).unwrap() < exact_bound(&same, &[0, 0, 0, 0]).unwrap());
        assert!(
            FirstHitting::default().sample(&model, &[3; 9], &mut Seed(4).rng(0)).is_err(),
            "longer than the context"
        );
        assert!(MaskedTransformer::fit(&settings, 2, [text, held_back], Seed(2), &Silent).is_err(), "a foreign token");
    }
}
