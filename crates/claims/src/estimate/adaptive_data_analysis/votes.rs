//! Experiment B, votes of random features, and the attack on a leaderboard.

use super::{BOARD, COVERAGE, VOTERS};
use crate::Figure;
use quadrat_core::distributions::normal;
use quadrat_core::{Error, Result, Rng, Seed};
use quadrat_estimate::adaptive_data_analysis::{
    Agreement, Bits, Holdout, Ladder, Mechanism, Naive, Noise, NoiseAddition, Query, QueryMechanism, Source, Split,
    Thresholdout,
};

pub(super) fn random_bits(n: usize, rng: &mut Rng) -> Result<Bits> {
    Bits::from_words((0..n.div_ceil(64)).map(|_| rng.next_u64()).collect(), n)
}

/// Counts votes of columns of bits.
pub(super) struct Votes(pub Vec<i32>);

impl Votes {
    pub fn add(&mut self, column: &Bits, sign: i32) {
        for (votes, word) in self.0.chunks_mut(64).zip(column.words()) {
            for (bit, vote) in votes.iter_mut().enumerate() {
                *vote += sign * (2 * (word >> bit & 1) as i32 - 1);
            }
        }
    }

    pub fn majority(&self) -> Bits {
        Bits::from_fn(self.0.len(), |row| self.0[row] > 0)
    }
}

/// The accuracy that k votes gain on n rows with answers of standard deviation s around the means.
pub(super) fn formula(k: usize, n: usize, s: f64) -> f64 {
    let v = 1.0 / (4.0 * n as f64);
    normal(2.0 * (k as f64).sqrt() * (2.0 / std::f64::consts::PI).sqrt() * v / (v + s * s).sqrt()).below
}

/// The voting attack on a mechanism over the labels' rows: the vote's accuracy there, and its answer.
fn vote(mechanism: Mechanism, labels: &Bits, k: usize, seed: Seed) -> Result<(f64, f64)> {
    let rows = labels.len();
    let mut holdout = Holdout::new(mechanism, seed.stream("noise"));
    let mut votes = Votes(vec![0; rows]);
    for j in 0..k {
        let feature = random_bits(rows, &mut seed.stream("features").rng(j as u64))?;
        let answer = holdout.ask(&Agreement::new(&feature, labels)?)?;
        votes.add(&feature, if answer.value > 0.5 { 1 } else { -1 });
    }
    let voted = votes.majority();
    let agreement = Agreement::new(&voted, labels)?;
    Ok((agreement.mean(0..rows)?, holdout.ask(&agreement)?.value))
}

/// The attack on plain means, on noise, and on splitting where there is a row a question.
pub(super) fn vote_everywhere(counts: &[usize], seed: Seed) -> Result<Vec<Figure>> {
    let n = VOTERS;
    let mut found = Vec::new();
    for &k in counts {
        let questions = k as u64 + 1;
        let noisy = NoiseAddition::new(Noise::Gaussian, n, questions, 0.02, 0.05)?;
        let mut arms: Vec<(&str, Mechanism, Option<f64>)> = vec![
            ("naive", Naive::new(n).into(), Some(0.0)),
            ("gaussian 0.02", noisy.into(), Some(0.02)),
            ("gaussian planned", NoiseAddition::planned(Noise::Gaussian, n, questions, 0.05)?.into(), None),
        ];
        if questions <= n as u64 {
            arms.push(("split", Split::new(n, questions, 0.05)?.into(), None));
        }
        for (arm, mechanism, s) in arms {
            let seed = seed.stream(arm).stream(&k.to_string());
            let labels = random_bits(n, &mut seed.stream("labels").rng(0))?;
            let (gained, reported) = vote(mechanism, &labels, k, seed)?;
            let mut figure = |metric: String, value: f64| found.push((arm.to_owned(), metric, value));
            figure(super::gain(k), reported - 0.5);
            if let Some(s) = s {
                figure(format!("gain minus formula/{k} questions"), gained - formula(k, n, s));
            }
        }
    }
    Ok(found)
}

/// An analyst who knows the training labels, and so can give a question any training mean: `margin` deviations of the
/// noise below the one from which Thresholdout leaves the training rows. Then which rows answered tells on which side of
/// 1/2 the hold-out mean of a random feature lies, and the answer tells more. Votes are weighed by what is expected of
/// that mean, given both. Ends when the budget is spent. What the vote has gained on the hold-out rows after each of
/// `counts` questions.
pub(super) fn insider(budget: Option<u64>, counts: &[usize], margin: f64, seed: Seed) -> Result<Vec<f64>> {
    let n = VOTERS;
    let mechanism = Thresholdout::experiment(n, n, budget)?;
    let (threshold, sd) = mechanism.constants();
    let known = ((0.5 + threshold - margin * sd) * n as f64).round() as usize;
    let (noise, variance) = (sd * sd, 1.0 / (4.0 * n as f64));
    // The mean of x ~ N(mean, variance) given on which side of -margin x and the noise on the threshold fell.
    let side = |mean: f64, variance: f64, below: bool| {
        let root = (variance + noise).sqrt();
        let z = (-margin * sd - mean) / root;
        let tails = normal(z);
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        mean + variance / root * density * if below { -1.0 / tails.below } else { 1.0 / tails.above }
    };
    let labels = random_bits(n, &mut seed.stream("labels").rng(0))?;
    let mut holdout = Holdout::new(mechanism, seed.stream("noise"));
    let mut votes = Votes(vec![0; n]);
    let (mut gains, mut open) = (Vec::with_capacity(counts.len()), true);
    for j in 0..counts.last().copied().unwrap_or(0) {
        if open {
            let feature = random_bits(n, &mut seed.stream("features").rng(j as u64))?;
            let question = Bits::from_fn(2 * n, |row| match row.checked_sub(n) {
                None => row < known,
                Some(row) => feature.get(row) == labels.get(row),
            });
            let expected = match holdout.ask(&question) {
                Ok(answer) if answer.source == Source::Holdout => {
                    let share = variance / (variance + noise);
                    side(share * (answer.value - 0.5), share * noise, true)
                }
                Ok(_) => side(0.0, variance, false),
                Err(Error::Exhausted { .. }) => {
                    open = false;
                    0.0
                }
                Err(error) => return Err(error),
            };
            votes.add(&feature, (1e6 * expected).round() as i32);
        }
        if counts.contains(&(j + 1)) {
            gains.push(Agreement::new(&votes.majority(), &labels)?.mean(0..n)? - 0.5);
        }
    }
    Ok(gains)
}

/// The attack on a leaderboard.
pub(super) fn leaderboard(k: usize, seed: Seed) -> Result<Vec<Figure>> {
    let n = BOARD;
    let wrong = |submission: &Bits, truth: &Bits| Bits::from_fn(n, |row| submission.get(row) != truth.get(row));
    let mut found = Vec::new();
    for arm in ["naive", "ladder", "ladder planned"] {
        let mechanism: Mechanism = match arm {
            "naive" => Naive::new(n).into(),
            "ladder" => Ladder::auto(n, true)?.into(),
            _ => Ladder::planned(n, k as u64 + 1, COVERAGE.2)?.into(),
        };
        let width = mechanism.guarantee().half_width();
        let truth = random_bits(n, &mut seed.stream("truth").rng(0))?;
        let mut holdout = Holdout::new(mechanism, seed.stream(arm));
        let mut votes = Votes(vec![0; n]);
        for j in 0..k {
            let submission = random_bits(n, &mut seed.stream("submissions").rng(j as u64))?;
            let answer = holdout.ask(&wrong(&submission, &truth))?;
            let kept = if arm == "naive" { answer.value < 0.5 } else { answer.spent };
            if kept {
                votes.add(&submission, 1);
            }
        }
        let last = holdout.ask(&wrong(&votes.majority(), &truth))?.value;
        found.push((arm.to_owned(), "leaderboard error".to_owned(), 0.5 - last));
        if let Some(width) = width.filter(|_| arm == "ladder planned") {
            // Every submission has a loss of 1/2 in the population, so that is the least.
            let covered = f64::from(u8::from((last - 0.5).abs() <= width));
            found.push((arm.to_owned(), "covered".to_owned(), covered));
            found.push((arm.to_owned(), "certified half-width".to_owned(), width));
        }
    }
    Ok(found)
}

pub(super) fn coverage(seed: Seed) -> Result<Vec<Figure>> {
    let (n, k, beta) = COVERAGE;
    let mechanism = NoiseAddition::planned(Noise::Gaussian, n, k as u64 + 1, beta)?;
    let width = mechanism.guarantee().half_width().unwrap_or(1.0);
    let labels = random_bits(n, &mut seed.stream("labels").rng(0))?;
    let (_, reported) = vote(mechanism.into(), &labels, k, seed)?;
    let covered = f64::from(u8::from((reported - 0.5).abs() <= width));
    let arm = "gaussian planned".to_owned();
    Ok(vec![(arm.clone(), "covered".to_owned(), covered), (arm, "certified half-width".to_owned(), width)])
}
