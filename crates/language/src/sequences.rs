//! Whole sequences and a transformer: draws of them, their log-probabilities, and the batch whose gradient is Σᵢ wᵢ ∇ ln π(yᵢ).

use ndarray::{Array2, Axis};
use quadrat_core::{Error, Result, Rng};
use quadrat_nn::{At, Batch, Decoder, Entries, Others, Parameters, Rows, Transformer, predict};
use rayon::prelude::*;

/// A text whose end is what was written after the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence {
    /// All tokens.
    pub tokens: Vec<u32>,
    /// Where what was written begins, at least 1.
    pub from: usize,
}

impl Sequence {
    /// What was written.
    pub fn written(&self) -> &[u32] {
        &self.tokens[self.from..]
    }
}

/// Rows that stand for prompts: what they are given to the network is drawn when their batch is prepared.
pub(crate) struct Prompts {
    pub prompts: usize,
    /// How often prompts are visited in an epoch, one after the other.
    pub rows: usize,
    pub context: usize,
}

impl quadrat_nn::Source for Prompts {
    fn len(&self) -> usize {
        self.rows
    }

    fn outputs(&self) -> usize {
        self.context
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let tokens = Entries::Whole(Array2::zeros((rows.len(), self.context)));
        let next = Array2::from_elem((rows.len(), self.context), -1.0);
        let others = [("tokens".to_owned(), tokens)].into();
        let rows: Vec<u32> = rows.iter().map(|row| row % self.prompts as u32).collect();
        Ok(Batch { others, ..Batch::new(at, &rows, Array2::zeros((rows.len(), 0)), next) })
    }

    fn told(&self) -> String {
        format!("{} visits of {} prompts", self.rows, self.prompts)
    }
}

/// A sequence that was drawn, with what each model says of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawn {
    pub sequence: Sequence,
    /// ln of its probability under each model, summed over what was written.
    pub log: Vec<f64>,
}

/// How sequences are drawn.
pub(crate) struct Draws<'a> {
    pub network: &'a Transformer,
    /// The models, whose parameters the network computes with.
    pub models: &'a [&'a Parameters],
    /// A sequence is over after one of these.
    pub ends: &'a [u32],
    /// Most tokens to write, and no more than the network has room for.
    pub most: usize,
}

/// Sequences that are decoded together.
const TOGETHER: usize = 64;
/// Sequences whose scores are held at a time.
const SCORED: usize = 64;

/// Logarithms, up to a constant, of the law of the next token of a sequence (by its number) from each model's log-probabilities.
pub(crate) type Law<'a> = dyn Fn(usize, &[Vec<f64>], &mut Vec<f64>) + Sync + 'a;

impl Draws<'_> {
    /// A continuation of each start, drawn by `law` with the start's own stream. Starts of one length are decoded together.
    pub fn draw(&self, starts: &[&[u32]], rngs: impl Fn(usize) -> Rng + Sync, law: &Law) -> Result<Vec<Drawn>> {
        let mut order: Vec<usize> = (0..starts.len()).collect();
        order.sort_by_key(|&i| starts[i].len());
        let alike = |a: &usize, b: &usize| starts[*a].len() == starts[*b].len();
        let groups: Vec<&[usize]> = order.chunk_by(alike).flat_map(|group| group.chunks(TOGETHER)).collect();
        let drawn =
            groups.par_iter().map(|group| self.together(group, starts, &rngs, law)).collect::<Result<Vec<_>>>()?;
        let mut all: Vec<(usize, Drawn)> = order.into_iter().zip(drawn.into_iter().flatten()).collect();
        all.sort_by_key(|(i, _)| *i);
        Ok(all.into_iter().map(|(_, drawn)| drawn).collect())
    }

    fn together(
        &self,
        group: &[usize],
        starts: &[&[u32]],
        rngs: &(impl Fn(usize) -> Rng + Sync),
        law: &Law,
    ) -> Result<Vec<Drawn>> {
        let from = starts[group[0]].len();
        if from == 0 {
            return Err(Error::input("prompt", "no tokens", "at least one: a transformer needs a first token"));
        }
        if from > self.network.context {
            let want = format!("at most {}, the model's context", self.network.context);
            return Err(Error::input("prompt", format!("{from} tokens"), want));
        }
        let most = self.most.min(self.network.context + 1 - from);
        let start = |&i: &usize| Sequence { tokens: starts[i].to_vec(), from };
        let mut drawn: Vec<Drawn> =
            group.iter().map(|i| Drawn { sequence: start(i), log: vec![0.0; self.models.len()] }).collect();
        let mut rngs: Vec<Rng> = group.iter().map(|&i| rngs(i)).collect();
        let mut decoders =
            self.models.iter().map(|model| Decoder::new(self.network, model)).collect::<Result<Vec<_>>>()?;
        let mut over = vec![false; group.len()];
        let mut next = Array2::from_shape_fn((group.len(), from), |(i, j)| starts[group[i]][j]);
        let (mut logs, mut scores) = (vec![Vec::new(); self.models.len()], Vec::new());
        for _ in 0..most {
            let said = decoders.iter_mut().map(|decoder| decoder.next(&next)).collect::<Result<Vec<_>>>()?;
            next = Array2::zeros((group.len(), 1));
            for (i, drawn) in drawn.iter_mut().enumerate() {
                if over[i] {
                    continue;
                }
                for (logs, said) in logs.iter_mut().zip(&said) {
                    crate::log_softmax(said.row(i).as_slice().unwrap_or_default(), logs);
                }
                law(group[i], &logs, &mut scores);
                let token = pick(&mut scores, &mut rngs[i])?;
                drawn.log.iter_mut().zip(&logs).for_each(|(sum, logs)| *sum += logs[token]);
                drawn.sequence.tokens.push(token as u32);
                next[[i, 0]] = token as u32;
                over[i] = self.ends.contains(&(token as u32));
            }
            if over.iter().all(|over| *over) {
                break;
            }
        }
        Ok(drawn)
    }
}

/// A draw from a law given by logarithms up to a constant.
fn pick(scores: &mut [f64], rng: &mut Rng) -> Result<usize> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return Err(Error::numeric("draw", "the model's scores are not finite: lower the learning rate"));
    }
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    Ok(rng.weighted(scores))
}

/// Tokens and what follows each, -1 where nothing is asked for: before what was written, and behind the end.
fn laid_out(sequences: &[&Sequence], context: usize) -> (Others, Array2<f32>) {
    let n = sequences.len();
    let (mut tokens, mut next) = (Array2::zeros((n, context)), Array2::from_elem((n, context), -1.0));
    for (i, sequence) in sequences.iter().enumerate() {
        for (j, pair) in sequence.tokens.windows(2).enumerate() {
            tokens[[i, j]] = pair[0];
            if j + 1 >= sequence.from {
                next[[i, j]] = pair[1] as f32;
            }
        }
    }
    ([("tokens".to_owned(), Entries::Whole(tokens))].into(), next)
}

/// The batch whose mean loss of tokens has the gradient Σᵢ wᵢ ∇ ln π(yᵢ). A sequence's loss there is the mean of −ln p over what was
/// written, which its weight makes up for.
pub(crate) fn weighed(at: At, rows: &[u32], sequences: &[&Sequence], weights: &[f64], context: usize) -> Batch {
    let (others, next) = laid_out(sequences, context);
    let n = sequences.len();
    let weight = |(sequence, w): (&&Sequence, &f64)| (-w * (sequence.written().len() * n) as f64) as f32;
    let weights = Some(sequences.iter().zip(weights).map(weight).collect());
    Batch { others, weights, ..Batch::new(at, rows, Array2::zeros((n, 0)), next) }
}

/// ln π(y) of each sequence, summed over what was written.
pub(crate) fn log_likelihoods(
    network: &Transformer,
    parameters: &Parameters,
    sequences: &[&Sequence],
) -> Result<Vec<f64>> {
    let mut all = Vec::with_capacity(sequences.len());
    let mut logs = Vec::new();
    for sequences in sequences.chunks(SCORED) {
        let (others, next) = laid_out(sequences, network.context);
        let none = Array2::zeros((sequences.len(), 0));
        let scores = predict(network, parameters, Rows::new(none.view(), &others), &[])?;
        for (scores, next) in scores.axis_iter(Axis(0)).zip(next.axis_iter(Axis(0))) {
            let scores = scores.as_slice().unwrap_or_default().chunks_exact(network.vocabulary);
            let mut sum = 0.0;
            for (scores, &token) in scores.zip(next).filter(|(_, token)| **token >= 0.0) {
                crate::log_softmax(scores, &mut logs);
                sum += logs[token as usize];
            }
            all.push(sum);
        }
    }
    Ok(all)
}

/// The network for sequences of so many tokens: a shorter one computes the same and costs less, where positions have no
/// parameters of their own.
pub(crate) fn fitted(network: &Transformer, tokens: usize) -> Result<Transformer> {
    if tokens > network.context + 1 {
        let want = format!("at most {}, the model's context and one", network.context + 1);
        return Err(Error::input("tokens of a sequence", tokens, want));
    }
    let context = if network.style.rotary.is_some() { (tokens - 1).max(1) } else { network.context };
    Ok(Transformer { context, ..network.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;
    use quadrat_nn::{Loss, gradients, initialise};

    fn small() -> (Transformer, Parameters) {
        let network = Transformer::llama(5, 6, 16, [2, 2], 32, 1);
        let parameters = initialise(&network, Seed(3)).unwrap();
        (network, parameters)
    }

    fn sequences() -> Vec<Sequence> {
        [(&[1, 2, 3, 4][..], 1), (&[2, 2, 0, 1, 4, 3, 1], 3), (&[0, 4], 1)]
            .map(|(tokens, from)| Sequence { tokens: tokens.to_vec(), from })
            .into()
    }

    #[test]
    fn the_batch_has_the_gradient_of_the_weighed_sum() {
        let (network, mut parameters) = small();
        let all = sequences();
        let all: Vec<&Sequence> = all.iter().collect();
        let weights = [0.7, -1.3, 0.4];
        let at = At { epoch: 0, step: 0 };
        let batch = weighed(at, &[0, 1, 2], &all, &weights, network.context);
        let loss = Loss::Tokens { vocabulary: network.vocabulary };
        let (value, gradients) = gradients(&network, &parameters, loss, &batch, Seed(1)).unwrap();
        let sum = |parameters: &Parameters| -> f64 {
            log_likelihoods(&network, parameters, &all).unwrap().iter().zip(weights).map(|(l, w)| w * l).sum()
        };
        assert!((value - sum(&parameters)).abs() < 1e-5);
        for (name, entry) in [("tokens", 7), ("block1.qkv.weight", 30), ("head.weight", 11)] {
            let Ok(place) = parameters.position(name) else {
                panic!("{name}: {:?}", parameters.iter().map(|p| &p.name).collect::<Vec<_>>())
            };
            let mut moved = |step: f32| {
                parameters.iter_mut().nth(place).unwrap().update(|values| values[entry] += step);
                let value = sum(&parameters);
                parameters.iter_mut().nth(place).unwrap().update(|values| values[entry] -= step);
                value
            };
            // Representations begin small and are normalised, so that curvature counts: two steps, extrapolated to none.
            let mut difference = |step: f32| (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let slope = (4.0 * difference(5e-4) - difference(1e-3)) / 3.0;
            assert!(
                (slope - f64::from(gradients[place][entry])).abs() < 5e-3 * (1.0 + slope.abs()),
                "{name}: {slope}, {}",
                gradients[place][entry]
            );
        }
    }

    #[test]
    fn draws_follow_the_law_and_know_their_probabilities() {
        let (network, parameters) = small();
        let draws = Draws { network: &network, models: &[&parameters], ends: &[4], most: 2 };
        let n = 4000;
        let starts: Vec<&[u32]> = (0..n).map(|i| if i % 2 == 0 { &[1, 2][..] } else { &[3][..] }).collect();
        let plain = |_: usize, logs: &[Vec<f64>], out: &mut Vec<f64>| out.clone_from(&logs[0]);
        let drawn = draws.draw(&starts, |i| Seed(9).rng(i as u64), &plain).unwrap();
        let sequences: Vec<&Sequence> = drawn.iter().map(|drawn| &drawn.sequence).collect();
        let known = log_likelihoods(&network, &parameters, &sequences).unwrap();
        assert!(drawn.iter().zip(known).all(|(drawn, l)| (drawn.log[0] - l).abs() < 1e-4));
        // Every ending of a start, by its own probability: with at most 20 of them above 5 expected, a chi-square above 70 comes
        // less than once in a million.
        for start in [&[1, 2][..], &[3][..]] {
            let mut counts = std::collections::BTreeMap::new();
            for drawn in drawn.iter().filter(|drawn| drawn.sequence.tokens.starts_with(start)) {
                let entry = counts.entry(drawn.sequence.clone()).or_insert((0.0, drawn.log[0].exp()));
                entry.0 += 1.0;
            }
            let expected = |p: f64| p * n as f64 / 2.0;
            let chi: f64 = counts.values().map(|(seen, p)| (seen - expected(*p)).powi(2) / expected(*p)).sum();
            assert!(counts.len() <= 21 && chi < 70.0, "{} {chi}", counts.len());
            // Endings that did not come in 2,000 draws have 0.007 together, or less, but once in a million.
            let seen: f64 = counts.values().map(|(_, p)| p).sum();
            assert!(seen > 0.993 && seen < 1.0001, "{seen}");
        }
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let again = pool(1).install(|| draws.draw(&starts, |i| Seed(9).rng(i as u64), &plain).unwrap());
        assert_eq!(again, drawn);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (network, parameters) = small();
        let draws = Draws { network: &network, models: &[&parameters], ends: &[], most: 9 };
        let plain = |_: usize, logs: &[Vec<f64>], out: &mut Vec<f64>| out.clone_from(&logs[0]);
        let draw = |start: &[u32]| draws.draw(&[start], |_| Seed(1).rng(0), &plain);
        assert!(draw(&[]).unwrap_err().to_string().contains("no tokens"));
        assert!(draw(&[1; 7]).unwrap_err().to_string().contains("at most 6"));
        assert!(draw(&[7]).unwrap_err().to_string().contains("token: got 7"));
        // As far as there is room.
        assert_eq!(draw(&[1; 6]).unwrap()[0].sequence.tokens.len(), 7);
        assert!(fitted(&network, 8).unwrap_err().to_string().contains("at most 7"));
        let mut broken = parameters.clone();
        broken.get_mut("tokens").unwrap().update(|values| values.fill(f32::NAN));
        let draws = Draws { models: &[&broken], ..draws };
        assert!(draws.draw(&[&[1]], |_| Seed(1).rng(0), &plain).unwrap_err().to_string().contains("not finite"));
    }
}
