//! What must hold whatever the data.

use super::Questions;
use crate::Trial;
use quadrat_core::{Evidence, Result, Silent};
use quadrat_language::ariel::{AriEl, PointSet, VolumeBox, VolumeCoding};
use quadrat_language::{LanguageModel, from_fn};

pub(super) fn add(
    evidence: &mut Evidence,
    questions: &Questions,
    model: &dyn LanguageModel,
    trial: &Trial,
) -> Result<()> {
    let seed = trial.seed.stream("identities");
    whole_cube(evidence)?;
    for dims in [1, 2, 16] {
        let coding = VolumeCoding { dims, longest: 500 };
        let coder = AriEl::new(model, coding);
        // Sentences of the model, and ones of up to 500 words in any order, each at the price of its probability.
        let drawn = coder.sample(PointSet::Sobol, trial.at(50, 500, 5000), seed, &Silent)?;
        let mut rng = seed.stream("random").rng(dims as u64);
        let random = (0..trial.at(2, 10, 40)).map(|_| {
            let length = rng.below(500);
            (0..length).map(|_| rng.below(questions.words() - 1) as u32).chain([questions.end]).collect::<Vec<u32>>()
        });
        let sentences: Vec<Vec<u32>> = drawn.into_iter().map(|decoded| decoded.tokens).chain(random).collect();
        let (mut wrong, mut surplus) = (0, f64::NEG_INFINITY);
        for sentence in &sentences {
            let own = coder.encode_exact(sentence)?;
            wrong += usize::from(coder.decode_exact(&own.bits)?.tokens != *sentence);
            let bits: usize = own.bits.iter().map(|bits| bits.len()).sum();
            surplus = surplus.max(bits as f64 + own.log_volume / std::f64::consts::LN_2);
        }
        let name = format!("d = {dims}: sentences that did not come back, of {}", sentences.len());
        evidence.identity(&name, wrong as f64, 0.0, 0.0);
        let name = format!("d = {dims}: most bits beyond the probability's, less two a dimension, if above 0");
        evidence.identity(&name, (surplus - 2.0 * dims as f64).max(0.0), 0.0, 0.01);
    }
    boxes(evidence, model, trial)
}

/// The boxes of all sentences of a finite language.
fn whole_cube(evidence: &mut Evidence) -> Result<()> {
    // 1 to 4 words, each of two, then the end.
    let model = from_fn(3, |prefix: &[u32], scores: &mut [f32]| {
        let p = if prefix.len() < 4 { [0.2, 0.5, 0.3] } else { [1.0, 0.0, 0.0] };
        scores.iter_mut().zip(p).for_each(|(score, p): (&mut f32, f32)| *score = p.ln());
    })
    .ending(&[0]);
    let coder = AriEl::new(&model, VolumeCoding { dims: 2, longest: 5 });
    let (mut open, mut all) = (vec![Vec::new()], 0.0);
    while let Some(words) = open.pop() {
        let ended = [words.clone(), vec![0]].concat();
        all += volume(&coder.encode(&ended)?);
        if words.len() < 4 {
            open.extend([1, 2].map(|word| [words.clone(), vec![word]].concat()));
        }
    }
    evidence.identity("volumes of all sentences of a finite language", all, 1.0, 1e-12);
    Ok(())
}

fn volume(own: &VolumeBox) -> f64 {
    own.low.iter().zip(&own.up).map(|(low, up)| up - low).product()
}

/// Boxes in double precision: volumes, and that no two overlap.
fn boxes(evidence: &mut Evidence, model: &dyn LanguageModel, trial: &Trial) -> Result<()> {
    let seed = trial.seed.stream("boxes");
    let coder = AriEl::new(model, VolumeCoding { dims: 16, longest: 100 });
    let drawn = coder.sample(PointSet::Independent, trial.at(50, 300, 1000), seed, &Silent)?;
    let mut sentences: Vec<Vec<u32>> = drawn.into_iter().map(|decoded| decoded.tokens).collect();
    sentences.sort_unstable();
    sentences.dedup();
    let boxes = sentences.iter().map(|sentence| coder.encode(sentence)).collect::<Result<Vec<_>>>()?;
    let off = boxes.iter().map(|own| (volume(own).ln() - own.log_volume).abs()).fold(0.0, f64::max);
    evidence.identity("largest relative error of a box's volume against the sentence's probability", off, 0.0, 1e-9);
    let overlap =
        |a: &VolumeBox, b: &VolumeBox| (0..16).all(|axis| a.low[axis] < b.up[axis] && b.low[axis] < a.up[axis]);
    let overlaps =
        (0..boxes.len()).map(|i| boxes[..i].iter().filter(|other| overlap(&boxes[i], other)).count()).sum::<usize>();
    evidence.identity(&format!("pairs of {} boxes that overlap", boxes.len()), overlaps as f64, 0.0, 0.0);
    let mut rng = seed.stream("points").rng(0);
    let mut wrong = 0;
    for (own, sentence) in boxes.iter().zip(&sentences) {
        let point: Vec<f64> = own.low.iter().zip(&own.up).map(|(low, up)| low + rng.uniform() * (up - low)).collect();
        wrong += usize::from(coder.decode(&point)?.tokens != *sentence);
    }
    evidence.identity("points of a box that decode to something else", wrong as f64, 0.0, 0.0);
    Ok(())
}
