//! Decoders that look right and are not, all of kinds that have been met, and what must catch each of them.

use super::*;
use crate::chance::Chance;
use crate::decode::{Chain, Decoder};
use crate::speculate::{DraftSelector, KSeq, k_seq_rho};
use crate::{LanguageModel, from_fn};
use quadrat_core::{Result, Seed, Silent};

/// Laws of the next of three tokens: the target's by the last two, the draft's by the last.
pub const TARGET: [[f64; 3]; 9] = [
    [0.2, 0.35, 0.45],
    [0.3, 0.1, 0.6],
    [0.1, 0.3, 0.6],
    [0.05, 0.15, 0.8],
    [0.45, 0.15, 0.4],
    [0.6, 0.3, 0.1],
    [0.2, 0.2, 0.6],
    [0.15, 0.75, 0.1],
    [0.4, 0.4, 0.2],
];
pub const DRAFT: [[f64; 3]; 3] = [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.35, 0.25, 0.4]];
/// All texts go on from here.
pub const PROMPT: [u32; 2] = [0, 1];
/// Drafts, and tokens of each.
const K: usize = 2;
const L: usize = 2;

pub fn target() -> impl LanguageModel {
    from_fn(3, |text: &[u32], out: &mut [f32]| {
        out.copy_from_slice(&scores(text));
    })
}

/// Texts here have at least two tokens.
fn scores(text: &[u32]) -> [f32; 3] {
    let (a, b) = (text[text.len() - 2], text[text.len() - 1]);
    TARGET[(3 * a + b) as usize].map(|p| p.ln() as f32)
}

fn q(text: &[u32]) -> Vec<f64> {
    whole(&scores(text).map(|score| f64::from(score).exp()))
}

fn p(text: &[u32]) -> Vec<f64> {
    DRAFT[text[text.len() - 1] as usize].to_vec()
}

fn whole(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

fn powered(law: &[f64], power: f64) -> Vec<f64> {
    whole(&law.iter().map(|p| p.powf(power)).collect::<Vec<f64>>())
}

fn best(law: &[f64], count: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..law.len()).collect();
    order.sort_by(|a, b| law[*b].total_cmp(&law[*a]));
    let kept: Vec<f64> = (0..law.len()).map(|x| if order[..count].contains(&x) { law[x] } else { 0.0 }).collect();
    whole(&kept)
}

fn over(p: &[f64], q: &[f64], rho: f64) -> Vec<f64> {
    p.iter().zip(q).map(|(p, q)| (q - rho * p).max(0.0)).collect()
}

type Of = fn(&[u32]) -> Vec<f64>;
/// Chooses by the laws and the drafts that are alive; `all` is how many there were at first.
type Choose = fn(&[f64], &[f64], &[u32], &mut dyn Chance) -> usize;

/// A speculative decoder, part by part.
#[derive(Clone, Copy)]
struct Parts {
    /// What drafts are drawn from, what is said of them, what they are held against, and the last token of whole drafts.
    drawn: Of,
    said: Of,
    scored: Of,
    bonus: Of,
    choose: Choose,
    /// Whether drafts that begin otherwise than the text go on too.
    all_go_on: bool,
    /// Whether a token follows a rejection, by scores that did not see the one before it.
    goes_on: bool,
}

const HONEST: Parts = Parts { drawn: p, said: p, scored: q, bonus: q, choose: k_seq, all_go_on: false, goes_on: false };

fn k_seq(p: &[f64], q: &[f64], drafts: &[u32], chance: &mut dyn Chance) -> usize {
    KSeq.select(p, q, drafts, chance, &mut Vec::new()).unwrap().token as usize
}

/// K-SEQ's coins, and what is done when none of them is heads.
fn coins(p: &[f64], q: &[f64], drafts: &[u32], rho: f64, left: &[f64], chance: &mut dyn Chance) -> usize {
    for x in drafts.iter().map(|&x| x as usize) {
        if chance.happens((q[x] / (rho * p[x])).min(1.0)) {
            return x;
        }
    }
    chance.pick(left)
}

fn rho(p: &[f64], q: &[f64], k: usize) -> f64 {
    k_seq_rho(p, q, k).unwrap()
}

/// The decoders that are wrong.
const ZOO: [(&str, Parts); 15] = [
    ("drafts are drawn greedily and said to be sampled", Parts { drawn: |t| best(&p(t), 1), ..HONEST }),
    ("drafts are drawn by top-k and said to be sampled from all", Parts { drawn: |t| best(&p(t), 2), ..HONEST }),
    ("temperature is in what is said of drafts, not in their draws", Parts { said: |t| powered(&p(t), 2.0), ..HONEST }),
    (
        "temperature is on the draft's side and the target's, but the target asks for none",
        Parts {
            drawn: |t| powered(&p(t), 2.0),
            said: |t| powered(&p(t), 2.0),
            scored: |t| powered(&q(t), 2.0),
            ..HONEST
        },
    ),
    ("top-k is applied to the target in the ratio, not in the bonus", Parts { scored: |t| best(&q(t), 2), ..HONEST }),
    (
        "the residual is left out: after a rejection the target's whole law",
        Parts { choose: |p, q, x, chance| coins(p, q, x, rho(p, q, x.len()), q, chance), ..HONEST },
    ),
    (
        "the residual is that of one draft",
        Parts { choose: |p, q, x, chance| coins(p, q, x, rho(p, q, x.len()), &one(p, q), chance), ..HONEST },
    ),
    (
        "rho is 1 for many drafts, and what is negative then is cut off",
        Parts { choose: |p, q, x, chance| coins(p, q, x, 1.0, &one(p, q), chance), ..HONEST },
    ),
    (
        "rho is that of all drafts, not of those alive",
        Parts { choose: |p, q, x, chance| coins(p, q, x, rho(p, q, K), &over(p, q, rho(p, q, K)), chance), ..HONEST },
    ),
    (
        "the best of the drafts is tried, as if it were the only one",
        Parts {
            choose: |p, q, x, chance| {
                let best = x.iter().copied().max_by(|a, b| q[*a as usize].total_cmp(&q[*b as usize])).unwrap();
                coins(p, q, &[best], 1.0, &one(p, q), chance)
            },
            ..HONEST
        },
    ),
    (
        "the target is drawn from, and again from the residual where no draft has it",
        Parts {
            choose: |p, q, x, chance| {
                let y = chance.pick(q);
                if x.contains(&(y as u32)) { y } else { chance.pick(&one(p, q)) }
            },
            ..HONEST
        },
    ),
    ("the bonus token comes from the draft", Parts { bonus: p, ..HONEST }),
    ("a token follows the rejection, by scores that did not see it", Parts { goes_on: true, ..HONEST }),
    (
        "drafts that are alike are taken for one",
        Parts {
            choose: |p, q, x, chance| {
                let mut x = x.to_vec();
                x.dedup();
                k_seq(p, q, &x, chance)
            },
            ..HONEST
        },
    ),
    ("drafts that begin otherwise than the text go on", Parts { all_go_on: true, ..HONEST }),
];

/// What one draft leaves; all of the target where that is nothing.
fn one(p: &[f64], q: &[f64]) -> Vec<f64> {
    let left = over(p, q, 1.0);
    if left.iter().sum::<f64>() > 0.0 { left } else { q.to_vec() }
}

/// One call: drafts of two tokens each, and as many tokens as are kept of them, and one.
fn step(parts: Parts, text: &[u32], most: usize, chance: &mut dyn Chance) -> Result<Vec<u32>> {
    let mut drafts = Vec::new();
    for _ in 0..K {
        let mut draft = text.to_vec();
        (0..L).for_each(|_| {
            let token = chance.pick(&(parts.drawn)(&draft));
            draft.push(token as u32);
        });
        drafts.push(draft);
    }
    let mut now = text.to_vec();
    while now.len() < text.len() + L {
        let x: Vec<u32> = drafts.iter().map(|draft| draft[now.len()]).collect();
        let y = (parts.choose)(&(parts.said)(&now), &(parts.scored)(&now), &x, chance) as u32;
        let stale = now.clone();
        now.push(y);
        if !x.contains(&y) {
            if parts.goes_on {
                now.push(chance.pick(&q(&stale)) as u32);
            }
            return Ok(now[text.len()..].iter().copied().take(most).collect());
        }
        let known = now.len();
        drafts.retain(|draft| parts.all_go_on || draft[..known] == now);
    }
    now.push(chance.pick(&(parts.bonus)(&now)) as u32);
    Ok(now[text.len()..].iter().copied().take(most).collect())
}

fn proof(parts: Parts, tokens: usize) -> Proof {
    prove(&target(), &Decoder::default(), &PROMPT, tokens, &Silent, |text, left, chance| {
        step(parts, text, left, chance)
    })
    .unwrap()
}

/// A sampler of three tokens.
fn sampler(parts: Parts) -> impl Fn(u64) -> Result<Vec<u32>> + Sync {
    move |seed| {
        let mut rng = Seed(seed).rng(0);
        let mut text = PROMPT.to_vec();
        while text.len() < PROMPT.len() + 3 {
            let left = PROMPT.len() + 3 - text.len();
            let more = step(parts, &text, left, &mut rng)?;
            text.extend(more);
        }
        Ok(text.split_off(PROMPT.len()))
    }
}

fn cells(tokens: usize) -> Cells {
    Cells::of(&target(), &Decoder::default(), &PROMPT, tokens, 27, &Silent).unwrap()
}

#[test]
fn the_honest_decoder_is_proved() {
    let proof = proof(HONEST, 4);
    assert!(proof.holds() && proof.texts == 81, "{proof:?}");
}

#[test]
fn every_wrong_decoder_is_refuted_by_enumeration() {
    for (name, parts) in ZOO {
        let proof = proof(parts, 3);
        assert!(!proof.holds() && proof.variation > 0.004, "{name}: {}", proof.variation);
    }
}

/// With the power that is stated (here 1 - 1e-6 for each): the test that is planned for what a decoder is wrong by refutes it, and no
/// test of that size refutes the honest one (1e-6 for each).
#[test]
fn every_wrong_decoder_is_refuted_by_draws() {
    let cells = cells(3);
    for (at, (name, parts)) in ZOO.into_iter().enumerate() {
        // What is seen of the variation in the cells that are counted is a little less.
        let variation = 0.9 * proof(parts, 3).variation;
        let test = Test { variation, power: 1.0 - 1e-6, ..Test::default() };
        // A difference that takes more draws than there is time for here is left to enumeration.
        if variation < 0.01 {
            continue;
        }
        let found = super::test(&cells, test, Seed(at as u64), &Silent, sampler(parts)).unwrap();
        assert!(found.refutes(), "{name}: {found:?}");
    }
}

/// A thousand runs of the honest decoder, each with a rate of false alarms of 1e-9: together one in a million.
#[test]
fn a_thousand_honest_runs_raise_no_alarm() {
    let cells = cells(3);
    let test = Test { variation: 0.25, power: 0.99, false_alarms: 1e-9, draws: None };
    for run in 0..1000 {
        let found = super::test(&cells, test, Seed(run), &Silent, sampler(HONEST)).unwrap();
        assert!(!found.refutes() && found.cells > 5, "{run}: {found:?}");
    }
}

/// Probabilities that were kept in half precision: too small a difference for draws, none for enumeration.
#[test]
fn laws_in_half_precision_are_refuted() {
    let rough = |text: &[u32]| {
        whole(
            &q(text).iter().map(|p| f64::from(f32::from_bits((*p as f32).to_bits() & 0xffff_0000))).collect::<Vec<_>>(),
        )
    };
    let proof = proof(Parts { scored: rough, bonus: rough, ..HONEST }, 2);
    assert!(!proof.holds() && proof.variation < 0.01, "{proof:?}");
}

/// Gumbel noise of single precision never gets above 16.6 (24 bits of a uniform number), so tokens that are rare enough never win. Of
/// 65,536 rare tokens only the largest noise matters, which is drawn by its own law: the sampler is that of the whole race.
#[test]
fn single_precision_gumbel_noise_is_refuted() {
    let (rare, share) = (1 << 16, 2.0_f64.powi(-26));
    let common = 1.0 - f64::from(rare) * share;
    let target = from_fn(rare as usize + 1, move |_: &[u32], out: &mut [f32]| {
        out.fill(share.ln() as f32);
        out[0] = common.ln() as f32;
    });
    let cells = Cells::of(&target, &Decoder::from(Chain::default()), &[], 1, 2, &Silent).unwrap();
    let test = Test { draws: Some(100_000), ..Test::default() };
    let race = |noise: fn(f64) -> f64, steps: f64| {
        move |seed: u64| {
            let mut rng = Seed(seed).rng(0);
            // The largest of as many uniform numbers on a grid of so many steps, and one more.
            let largest = ((rng.uniform().powf(1.0 / f64::from(rare)) * steps).ceil() - 1.0).max(0.0) / steps;
            let other = (rng.uniform() * steps).floor() / steps;
            let wins = noise(largest) + share.ln() > noise(other) + common.ln();
            Ok(vec![if wins { 1 + rng.below(rare as usize) as u32 } else { 0 }])
        }
    };
    let single = |u: f64| f64::from(-(-(u as f32).ln()).ln());
    let double = |u: f64| -(-u.ln()).ln();
    let found = super::test(&cells, test, Seed(1), &Silent, race(single, 2.0_f64.powi(24))).unwrap();
    assert!(found.refutes(), "{found:?}");
    let found = super::test(&cells, test, Seed(1), &Silent, race(double, 2.0_f64.powi(53))).unwrap();
    assert!(!found.refutes(), "{found:?}");
}
