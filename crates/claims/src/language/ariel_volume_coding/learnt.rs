//! A model of words that learns: a small transformer.

use super::Questions;
use ndarray::Array2;
use quadrat_core::{Result, Seed, Silent};
use quadrat_language::{LanguageModel, Pretrain, from_fn};
use quadrat_nn::Decoder;

/// Trained on the questions one behind the other, so that a question comes after an end.
pub(super) fn learnt(questions: &Questions, epochs: usize, seed: Seed) -> Result<impl LanguageModel> {
    let text = questions.train.concat();
    let sizes = Pretrain { layers: 2, dim: 64, context: 32, batch: 8, epochs, ..Pretrain::default() };
    let (model, _) = sizes.fit(questions.words(), [&text, &[]], None, seed, &Silent)?;
    let end = questions.end;
    let scores = move |prefix: &[u32], scores: &mut [f32]| {
        let tokens = Array2::from_shape_fn((1, prefix.len() + 1), |(_, at)| if at == 0 { end } else { prefix[at - 1] });
        match Decoder::new(&model.network, &model.parameters).and_then(|mut decoder| decoder.next(&tokens)) {
            Ok(found) => scores.iter_mut().zip(found).for_each(|(score, found)| *score = found),
            // More words than the model takes: the coder then says that nothing can come.
            Err(_) => scores.fill(f32::NEG_INFINITY),
        }
    };
    Ok(from_fn(questions.words(), scores).ending(&[end]))
}
