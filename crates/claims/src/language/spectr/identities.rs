//! What must hold whatever the models.

use crate::Trial;
use quadrat_core::{Evidence, Result, Rng, Seed, Silent};
use quadrat_language::decode::{Chain, Decoder};
use quadrat_language::speculate::{
    DraftSelector, KSeq, OtmExact, Recursive, Speculator, k_seq_rho, optimal_acceptance,
};
use quadrat_language::verify::prove;
use quadrat_language::{Chance, LanguageModel, from_fn};

/// Puts them on record.
pub fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let (p, q) = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]);
    for (k, rho, acceptance, best) in [(2, 1.4567764363, 0.7913552873, 0.86), (3, 1.7925930283, 0.8585186057, 0.988)] {
        evidence.identity(&format!("rho of the example, {k} drafts"), k_seq_rho(&p, &q, k)?, rho, 1e-9);
        evidence.identity(&format!("acceptance of K-SEQ, {k} drafts"), KSeq.acceptance(&p, &q, k)?, acceptance, 1e-9);
        evidence.identity(&format!("largest acceptance, {k} drafts"), optimal_acceptance(&p, &q, k)?, best, 1e-12);
    }
    let mut rng = trial.seed.stream("identities").rng(0);
    let (mut off, mut short) = (0.0_f64, 0.0_f64);
    for _ in 0..200 {
        let (p, q) = (law(&mut rng, 5), law(&mut rng, 5));
        for k in 1..=3 {
            let best = optimal_acceptance(&p, &q, k)?;
            off = off.max((best - OtmExact.acceptance(&p, &q, k)?).abs());
            let bound = 1.0 - (1.0 - 1.0 / k as f64).powi(k as i32);
            short = short.max(bound * best - KSeq.acceptance(&p, &q, k)?);
        }
    }
    evidence.identity("largest acceptance in closed form is the largest flow: largest difference", off, 0.0, 1e-12);
    evidence.identity("K-SEQ is within 1 - (1 - 1/k)^k of the best: largest lack", short, 0.0, 1e-12);
    loops(evidence, trial.seed.stream("models"))
}

fn law(rng: &mut Rng, n: usize) -> Vec<f64> {
    let weights: Vec<f64> = (0..n).map(|_| if rng.uniform() < 0.2 { 0.0 } else { rng.exponential() }).collect();
    let total: f64 = weights.iter().sum();
    if total > 0.0 { weights.into_iter().map(|w| w / total).collect() } else { law(rng, n) }
}

/// A model of three tokens by the last `order`.
fn markov(order: usize, seed: Seed) -> impl LanguageModel {
    from_fn(3, move |text: &[u32], out: &mut [f32]| {
        let known = &text[text.len().saturating_sub(order)..];
        let state = known.iter().fold(known.len() as u64, |state, &token| 3 * state + u64::from(token));
        let mut rng = seed.rng(state);
        out.iter_mut().for_each(|score| *score = rng.normal() as f32);
    })
}

/// The law of whole texts, over all drafts and choices; and a decoder whose drafts are not drawn from what it says.
fn loops(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let (target, draft) = (markov(2, seed.stream("target")), markov(1, seed.stream("draft")));
    let rules: [(&str, &dyn DraftSelector); 4] = [
        ("K-SEQ", &KSeq),
        ("exact transport", &OtmExact),
        ("recursive rejection", &Recursive { replacement: true }),
        ("recursive rejection without replacement", &Recursive { replacement: false }),
    ];
    let decoder = Decoder::from(Chain { temperature: 0.8, top_p: 0.9, ..Chain::default() });
    for (name, selector) in rules {
        let parts = Speculator { target: &target, draft: &draft, decoder: &decoder, selector, drafts: 2, length: 2 };
        let step = |text: &[u32], left: usize, chance: &mut dyn Chance| parts.block(text, left, chance);
        let proof = prove(&target, &decoder, &[0], 5, &Silent, step)?;
        evidence.identity(&format!("{name}: law of texts of 5 tokens, largest difference"), proof.largest, 0.0, 1e-12);
    }
    // Drafts of the best token for certain, of which it is said that they were drawn.
    let mut scores = [0.0; 3];
    let wrong = prove(&target, &Decoder::default(), &[0], 3, &Silent, |text, _, chance| {
        let mut laws = Vec::new();
        for model in [&target as &dyn LanguageModel, &draft] {
            let mut state = model.begin();
            state.push(text)?;
            state.scores(&mut scores)?;
            let mut law = Vec::new();
            quadrat_language::softmax(&scores, &mut law);
            laws.push(law);
        }
        let best = (0..3).max_by(|a, b| laws[1][*a].total_cmp(&laws[1][*b])).unwrap_or(0) as u32;
        Ok(vec![KSeq.select(&laws[1], &laws[0], &[best, best], chance, &mut Vec::new())?.token])
    })?;
    let name = "control: drafts that are greedy and said to be sampled are refuted (1 where they are)";
    evidence.identity(name, f64::from(u8::from(!wrong.holds())), 1.0, 0.0);
    Ok(())
}
