//! What must hold whatever the data.

use crate::Trial;
use ndarray::Array2;
use quadrat_core::{Evidence, Result, Rng, Seed, stats};
use quadrat_language::masked::{
    Ancestral, Draw, FirstHitting, MarkovChain, MaskedSampler, Usual, exact_bound, exact_law, masked_fn, truncated_law,
};

/// Tokens and places of the small chain.
const TOKENS: usize = 3;
const PLACES: usize = 4;

/// Adds the exact checks.
pub fn add(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let seed = trial.seed.stream("identities");
    laws(evidence, &mut seed.rng(0))?;
    calls(evidence, trial, seed.stream("calls"))?;
    let law = truncated_law(&[0.02, 0.18, 0.8], 2.0);
    for (found, wanted) in law.iter().zip([0.000_034_561_1, 0.115_232_244_2, 0.884_733_194_7]) {
        evidence.identity(&format!("noise cut at 2: the class drawn with {wanted}"), *found, wanted, 1e-10);
    }
    let most = (0..1u32 << 24).map(|k| -(-(k as f32 / 16_777_216.0).ln()).ln()).fold(f32::MIN, f32::max);
    evidence.identity("largest Gumbel noise of all single-precision uniforms", f64::from(most), 16.6355, 1e-4);
    Ok(())
}

fn law(rng: &mut Rng) -> Vec<f64> {
    let weights: Vec<f64> = (0..TOKENS).map(|_| rng.exponential()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// The law of each sampler over all texts, by enumeration, on a chain drawn by chance.
fn laws(evidence: &mut Evidence, rng: &mut Rng) -> Result<()> {
    let initial = law(rng);
    let mut transitions = Array2::zeros((TOKENS, TOKENS));
    transitions.outer_iter_mut().for_each(|mut row| row.assign(&ndarray::Array1::from(law(rng))));
    let chain = MarkovChain::new(initial, transitions.view())?;
    let start = [TOKENS as u32; PLACES];
    let fhs = exact_law(&chain, &start, &FirstHitting::default().steps(PLACES)?)?;
    let off = fhs.iter().map(|(text, p)| (p - chain.log_probability(text).exp()).abs()).fold(0.0, f64::max);
    evidence.identity("first-hitting on a chain: largest difference from its law", off, 0.0, 1e-12);
    evidence.identity("first-hitting on a chain: total probability", fhs.values().sum(), 1.0, 1e-12);
    let divergence = |steps: usize| -> Result<f64> {
        let sampler = Ancestral { steps, schedule: Usual::Linear, draw: Draw::TwoStage };
        let law = exact_law(&chain, &start, &sampler.steps()?)?;
        Ok(law.iter().map(|(text, p)| p * (p.ln() - chain.log_probability(text))).sum())
    };
    // The error of the law falls as 1 / N, and the divergence is of second order in it.
    let name = "ancestral: divergence from the chain in 128 steps over that in 256";
    evidence.identity(name, divergence(128)? / divergence(256)?, 4.0, 0.2);
    let text: Vec<u32> = (0..PLACES).map(|_| rng.below(TOKENS) as u32).collect();
    let gap = exact_bound(&chain, &text)? + chain.log_probability(&text);
    evidence.identity("the bound of a text less its surprise, rows being exact", gap, 0.0, 1e-12);
    Ok(())
}

/// The mean number of calls, within five standard errors.
fn calls(evidence: &mut Evidence, trial: &Trial, seed: Seed) -> Result<()> {
    let (steps, places, texts) = (64, 32, trial.at(500, 10_000, 10_000));
    let model = masked_fn(2, 2, |_: &[u32], _: &[usize], rows: &mut [f64]| rows.fill(0.5));
    let sampler = Ancestral { steps, schedule: Usual::Linear, draw: Draw::TwoStage };
    let one = |i| Ok(sampler.sample(&model, &vec![2; places], &mut seed.rng(i))?.calls as f64);
    let calls = (0..texts).map(one).collect::<Result<Vec<f64>>>()?;
    let wanted = steps as f64 * (1.0 - (1.0 - 1.0 / steps as f64).powi(places as i32));
    let error = 5.0 * stats::standard_deviation(&calls) / (texts as f64).sqrt();
    evidence.identity("ancestral in 64 steps on 32 places: mean calls", stats::mean(&calls), wanted, error);
    Ok(())
}
