//! Texts of five tokens out of three from a Markov chain: all laws can be listed.

use crate::Figure;
use quadrat_core::{Evidence, Progress, Result, Seed, Within, checkpoint};
use quadrat_diffusion::svdd::{Svdd, Value};
use quadrat_diffusion::{MaskedKernel, Reveal, ReverseKernel};

pub(super) const EXACT: &str = "exact values";
pub(super) const BIASED: &str = "posterior means";
pub(super) const CANDIDATES: [usize; 5] = [1, 2, 5, 10, 50];
const LENGTH: usize = 5;
/// Three tokens and the mask at each place.
const STATES: usize = 1024;
const MASK: u32 = 3;
const ALPHA: f64 = 0.5;

pub(super) fn distance(candidates: usize) -> String {
    format!("total variation, {candidates} candidates")
}

fn number(state: &[u32]) -> usize {
    state.iter().fold(0, |n, token| 4 * n + *token as usize)
}

fn state(number: usize) -> Vec<u32> {
    (0..LENGTH).rev().map(|place| (number >> (2 * place) & 3) as u32).collect()
}

fn hidden(state: &[u32]) -> Vec<usize> {
    (0..state.len()).filter(|place| state[*place] == MASK).collect()
}

/// How often the third token is there.
fn reward(states: &[Vec<u32>]) -> Result<Vec<f64>> {
    Ok(states.iter().map(|s| s.iter().filter(|token| **token == 2).count() as f64).collect())
}

/// The chance of a full text under the chain; of others 0.
fn chance(state: &[u32]) -> f64 {
    const FIRST: [f64; 3] = [0.4, 0.35, 0.25];
    const NEXT: [[f64; 3]; 3] = [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.4, 0.2, 0.4]];
    if state.contains(&MASK) {
        return 0.0;
    }
    let steps = state.windows(2).map(|pair| NEXT[pair[0] as usize][pair[1] as usize]);
    FIRST[state[0] as usize] * steps.product::<f64>()
}

/// The chain as a model that fills gaps: chances at each hidden place of each state, and soft values.
struct Toy {
    rows: Vec<Vec<f64>>,
    values: Vec<f64>,
    /// Full texts, with p exp(r/α).
    target: Vec<(usize, f64)>,
}

impl Toy {
    fn new() -> Result<Self> {
        let full: Vec<Vec<u32>> = (0..STATES).map(state).filter(|s| !s.contains(&MASK)).collect();
        let rows = (0..STATES).map(state).map(|partial| {
            let places = hidden(&partial);
            let mut rows = vec![0.0; 3 * places.len()];
            for s in full.iter().filter(|s| s.iter().zip(&partial).all(|(a, b)| *b == MASK || a == b)) {
                places.iter().enumerate().for_each(|(i, place)| rows[3 * i + s[*place] as usize] += chance(s));
            }
            let total: f64 = rows.iter().take(3).sum();
            rows.iter().map(|p| p / total).collect()
        });
        let weights = full.iter().zip(reward(&full)?).map(|(s, r)| (number(s), chance(s) * (r / ALPHA).exp()));
        let weights: Vec<(usize, f64)> = weights.collect();
        let total: f64 = weights.iter().map(|(_, w)| w).sum();
        let target = weights.into_iter().map(|(s, w)| (s, w / total)).collect();
        let mut toy = Toy { rows: rows.collect(), values: vec![0.0; STATES], target };
        let mut order: Vec<usize> = (0..STATES).collect();
        order.sort_by_key(|n| hidden(&state(*n)).len());
        for n in order {
            let next = toy.transitions(n, &toy.rows[n]);
            toy.values[n] = if next.is_empty() {
                reward(&[state(n)])?[0]
            } else {
                ALPHA * next.into_iter().map(|(to, p)| p * (toy.values[to] / ALPHA).exp()).sum::<f64>().ln()
            };
        }
        Ok(toy)
    }

    fn kernel(&self) -> Result<impl ReverseKernel<State = Vec<u32>, Answer = Vec<f64>> + '_> {
        let fill = |tokens: &[u32], _: &[usize], rows: &mut [f64]| {
            rows.copy_from_slice(&self.rows[number(tokens)]);
            Ok(())
        };
        MaskedKernel::new((3, MASK), fill, vec![MASK; LENGTH], Reveal::OneAStep)
    }

    /// Where a step leads that uncovers any one place, by the chances of its tokens.
    fn transitions(&self, from: usize, rows: &[f64]) -> Vec<(usize, f64)> {
        let places = hidden(&state(from));
        let mut to = Vec::with_capacity(rows.len());
        for (place, row) in places.iter().zip(rows.chunks_exact(3)) {
            for (token, p) in (0..).zip(row) {
                let mut next = state(from);
                next[*place] = token;
                to.push((number(&next), p / places.len() as f64));
            }
        }
        to
    }
}

/// How far what SVDD draws is from the target, with exact values and with posterior means.
pub(super) fn distances(n: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<Figure>> {
    let toy = Toy::new()?;
    let kernel = toy.kernel()?;
    let exact = |states: &[Vec<u32>], _: usize| Ok(states.iter().map(|s| toy.values[number(s)]).collect());
    let mut found = Vec::new();
    for candidates in CANDIDATES {
        for arm in [EXACT, BIASED] {
            checkpoint(progress)?;
            let value = if arm == EXACT { Value::Given(&exact) } else { Value::PosteriorMean };
            let svdd = Svdd { candidates, alpha: ALPHA, replace: false };
            let seed = seed.stream(arm).stream(&candidates.to_string());
            let drawn = svdd.draw(&kernel, value, &reward, n, seed, &Within(progress))?;
            let mut counts = vec![0.0; STATES];
            drawn.samples.iter().for_each(|s| counts[number(s)] += 1.0 / n as f64);
            let off: f64 = toy.target.iter().map(|(s, p)| (counts[*s] - p).abs()).sum();
            found.push((arm.to_owned(), distance(candidates), 0.5 * off));
        }
    }
    Ok(found)
}

/// All of the probability sent through the soft-optimal steps ends at p exp(r/α).
pub(super) fn identities(evidence: &mut Evidence) -> Result<()> {
    let toy = Toy::new()?;
    let kernel = toy.kernel()?;
    let mut law = vec![0.0; STATES];
    law[STATES - 1] = 1.0;
    let mut total_off = 0.0f64;
    for step in 0..kernel.steps() {
        let mut next = vec![0.0; STATES];
        for (from, p) in law.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            for rows in kernel.ask(&[state(from)], step)? {
                for (to, chance) in toy.transitions(from, &rows) {
                    next[to] += p * chance * ((toy.values[to] - toy.values[from]) / ALPHA).exp();
                }
            }
        }
        total_off = total_off.max((next.iter().sum::<f64>() - 1.0).abs());
        law = next;
    }
    let off = toy.target.iter().map(|(s, p)| (law[*s] - p).abs()).fold(0.0, f64::max);
    evidence.identity("soft-optimal steps are distributions: largest lack", total_off, 0.0, 1e-12);
    evidence.identity("the soft-optimal chain ends at p exp(r/alpha): largest difference", off, 0.0, 1e-12);
    Ok(())
}
