//! Texts of five tokens out of three from a Markov chain, all laws of which can be listed.

use crate::{MaskedKernel, Reveal, ReverseKernel};
use quadrat_core::Result;

pub const LENGTH: usize = 5;
/// Tokens and the mask at each place.
pub const STATES: usize = 1024;
pub const ALPHA: f64 = 0.5;
const MASK: u32 = 3;

/// Probabilities of all states' hidden places, by the state's number.
pub struct Toy {
    law: Vec<f64>,
    rows: Vec<Vec<f64>>,
}

/// A state's number in base 4.
pub fn number(state: &[u32]) -> usize {
    state.iter().fold(0, |n, token| 4 * n + *token as usize)
}

fn state(mut number: usize) -> Vec<u32> {
    let mut state = vec![0; LENGTH];
    state.iter_mut().rev().for_each(|token| {
        *token = (number % 4) as u32;
        number /= 4;
    });
    state
}

fn hidden(state: &[u32]) -> Vec<usize> {
    (0..LENGTH).filter(|place| state[*place] == MASK).collect()
}

/// How often the third token is there.
pub fn reward(states: &[Vec<u32>]) -> Result<Vec<f64>> {
    Ok(states.iter().map(|s| s.iter().filter(|token| **token == 2).count() as f64).collect())
}

impl Toy {
    pub fn new() -> Self {
        let first = [0.4, 0.35, 0.25];
        let next = [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.4, 0.2, 0.4]];
        let chance = |s: &[u32]| {
            let steps = s.windows(2).map(|pair| next[pair[0] as usize][pair[1] as usize]);
            first[s[0] as usize] * steps.product::<f64>()
        };
        let full = |s: &[u32]| !s.contains(&MASK);
        let law: Vec<f64> = (0..STATES).map(state).map(|s| if full(&s) { chance(&s) } else { 0.0 }).collect();
        let rows = (0..STATES).map(state).map(|partial| {
            let fits = |s: &[u32]| s.iter().zip(&partial).all(|(a, b)| *b == MASK || a == b);
            let places = hidden(&partial);
            let mut rows = vec![0.0; 3 * places.len()];
            for n in (0..STATES).filter(|n| law[*n] > 0.0) {
                let s = state(n);
                if fits(&s) {
                    places.iter().enumerate().for_each(|(i, place)| rows[3 * i + s[*place] as usize] += law[n]);
                }
            }
            let total: f64 = rows.iter().take(3).sum();
            rows.iter_mut().for_each(|p| *p /= total);
            rows
        });
        let rows = rows.collect();
        Toy { law, rows }
    }

    /// One place a step, which draws the chain's own texts.
    pub fn kernel(&self) -> impl ReverseKernel<State = Vec<u32>> + '_ {
        let fill = |tokens: &[u32], _: &[usize], rows: &mut [f64]| {
            rows.copy_from_slice(&self.rows[number(tokens)]);
            Ok(())
        };
        MaskedKernel::new((3, MASK), fill, vec![MASK; LENGTH], Reveal::OneAStep).unwrap()
    }

    /// Where a step leads, and by what chance.
    pub fn transitions(&self, from: usize) -> Vec<(usize, f64)> {
        let s = state(from);
        let places = hidden(&s);
        let each = places.iter().zip(self.rows[from].chunks_exact(3));
        let to = each.flat_map(|(&place, row)| {
            let (s, share) = (s.clone(), 1.0 / places.len() as f64);
            row.iter().zip(0..).map(move |(p, token)| {
                let mut next = s.clone();
                next[place] = token;
                (number(&next), share * p)
            })
        });
        to.collect()
    }

    /// v = α ln E[exp(r/α)] of all states, from the end backwards.
    pub fn soft_values(&self) -> Vec<f64> {
        let mut order: Vec<usize> = (0..STATES).collect();
        order.sort_by_key(|n| hidden(&state(*n)).len());
        let mut values = vec![0.0; STATES];
        for n in order {
            let s = state(n);
            values[n] = if hidden(&s).is_empty() {
                reward(&[s]).unwrap()[0]
            } else {
                let mean: f64 = self.transitions(n).iter().map(|(to, p)| p * (values[*to] / ALPHA).exp()).sum();
                ALPHA * mean.ln()
            };
        }
        values
    }

    /// Numbers of the full texts and their chances under p exp(r/α), or p itself.
    pub fn target(&self) -> Vec<(usize, f64)> {
        self.tilted(|r| (r / ALPHA).exp())
    }

    pub fn base(&self) -> Vec<(usize, f64)> {
        self.tilted(|_| 1.0)
    }

    fn tilted(&self, factor: impl Fn(f64) -> f64) -> Vec<(usize, f64)> {
        let full = (0..STATES).filter(|n| self.law[*n] > 0.0);
        let weights: Vec<(usize, f64)> =
            full.map(|n| (n, self.law[n] * factor(reward(&[state(n)]).unwrap()[0]))).collect();
        let total: f64 = weights.iter().map(|(_, w)| w).sum();
        weights.into_iter().map(|(n, w)| (n, w / total)).collect()
    }

    pub fn mean_reward(&self, law: &[(usize, f64)]) -> f64 {
        law.iter().map(|(n, p)| p * reward(&[state(*n)]).unwrap()[0]).sum()
    }
}

pub fn counts(samples: &[Vec<u32>]) -> Vec<f64> {
    let mut counts = vec![0.0; STATES];
    samples.iter().for_each(|s| counts[number(s)] += 1.0);
    counts
}

/// The total variation between samples and a law.
pub fn distance(samples: &[Vec<u32>], law: &[(usize, f64)]) -> f64 {
    let counts = counts(samples);
    0.5 * law.iter().map(|(n, p)| (counts[*n] / samples.len() as f64 - p).abs()).sum::<f64>()
}

/// The reward of a full text by its number.
pub fn reward_of(number: usize) -> f64 {
    state(number).iter().filter(|token| **token == 2).count() as f64
}
