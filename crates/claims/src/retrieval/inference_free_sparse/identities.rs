//! What must hold whatever the data.

use crate::Trial;
use ndarray::Array2;
use quadrat_core::{Evidence, Result, Rng};
use quadrat_retrieval::losses::{ensemble_targets, kl_distillation};
use quadrat_retrieval::training::{BowExpander, Lexicon, flops};
use quadrat_retrieval::{Asked, Bm25};

/// Puts them on record.
pub fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let mut rng = trial.seed.stream("identities").rng(0);
    let idf: Vec<f64> = (0..40).map(|_| 0.1 + 9.0 * rng.uniform()).collect();
    let weights = Array2::from_shape_simple_fn((12, 40), || rng.uniform() as f32);
    let added = |t: usize| weights.column(t).iter().map(|w| idf[t] * f64::from(*w)).sum::<f64>() / 12.0;
    let weighed: f64 = (0..40).map(|t| (added(t) / idf[t]).powi(2)).sum();
    let name = "FLOPS of the weights is that of what they add to scores, each word's share divided by its idf squared";
    evidence.identity(name, flops(weights.view(), None).value, weighed, 1e-6);

    let scores = |rng: &mut Rng| Array2::from_shape_simple_fn((1, 9), || 3.0 * rng.normal() as f32);
    let (student, dense, sparse) = (scores(&mut rng), scores(&mut rng), scores(&mut rng));
    let targets = ensemble_targets(&[dense.view(), sparse.view()], Some(30.0))?;
    let moved = ensemble_targets(&[dense.mapv(|a| 2.5 * a - 7.0).view(), sparse.view()], Some(30.0))?;
    let apart = (&targets - &moved).iter().fold(0.0_f64, |most, v| most.max(f64::from(v.abs())));
    evidence.identity("a teacher's unit and origin change no target: largest difference", apart, 0.0, 1e-3);

    let softmax = |values: &Array2<f32>, at: usize| {
        f64::from(values[[0, at]]).exp() / values.iter().map(|value| f64::from(*value).exp()).sum::<f64>()
    };
    let slope = kl_distillation(student.view(), targets.view())?.slope;
    let apart = (0..9).fold(0.0_f64, |most, at| {
        most.max((f64::from(slope[[0, at]]) - softmax(&student, at) + softmax(&targets, at)).abs())
    });
    evidence.identity("the slope of distillation is softmax(s) - softmax(y): largest difference", apart, 0.0, 1e-6);

    let texts: Vec<String> = (0..30)
        .map(|_| (0..1 + rng.below(9)).map(|_| format!("w{}", rng.below(20))).collect::<Vec<_>>().join(" "))
        .collect();
    let lexicon = Lexicon::learn(&texts, &[])?;
    let start = BowExpander::start(&lexicon.documents(&texts), lexicon.idf(), Asked::Idf, 4, trial.seed)?;
    let bm25 = start.bm25(&lexicon.documents(&texts));
    let mean = texts.iter().map(|text| text.split(' ').count()).sum::<usize>() as f64 / 30.0;
    let Bm25 { k1, b, .. } = Bm25::default();
    let mut apart = 0.0_f64;
    for (row, text) in texts.iter().enumerate() {
        let (words, weights) = bm25.row(row);
        for (word, weight) in words.iter().zip(weights) {
            let word = &lexicon.words()[*word as usize];
            let f = text.split(' ').filter(|other| other == word).count() as f64;
            let d = texts.iter().filter(|text| text.split(' ').any(|other| other == word)).count() as f64;
            let k = k1 * (1.0 - b + b * text.split(' ').count() as f64 / mean);
            let by_hand = (1.0 + (30.0 - d + 0.5) / (d + 0.5)).ln() * f / (f + k);
            apart = apart.max((by_hand - f64::from(*weight)).abs());
        }
    }
    evidence.identity("the student starts at BM25's weights: largest difference", apart, 0.0, 1e-5);
    Ok(())
}
