//! Freedman's paradox, as in the Science article.

use super::{CHOSEN, TRUE_VARIABLES};
use crate::Figure;
use quadrat_core::distributions::normal;
use quadrat_core::{Result, Seed};
use quadrat_estimate::adaptive_data_analysis::{
    Mechanism, Naive, Noise, NoiseAddition, QueryMechanism, Reading, Thresholdout,
};

/// A variable on n rows: normal, with a bias toward the label for the first few where there is a signal.
pub(super) fn variable(j: usize, y: &[f64], bias: f64, seed: Seed, column: &mut Vec<f64>) {
    let mut rng = seed.rng(j as u64);
    let bias = if j < TRUE_VARIABLES.0 { bias } else { 0.0 };
    column.clear();
    column.extend(y.iter().map(|y| rng.normal() + bias * y));
}

pub(super) fn coin_flips(n: usize, seed: Seed) -> Vec<f64> {
    let mut rng = seed.rng(0);
    (0..n).map(|_| if rng.next_u64() & 1 == 1 { 1.0 } else { -1.0 }).collect()
}

/// Products of a normal variable with a label lie well within +-8, so correlations are questions in this range.
pub(super) const REACH: f64 = 8.0;

pub(super) fn freedman(n: usize, signal: bool, seed: Seed) -> Result<Vec<Figure>> {
    let root = (n as f64).sqrt();
    let bias = if signal { TRUE_VARIABLES.1 / root } else { 0.0 };
    let parts = ["train", "holdout", "fresh"].map(|part| seed.stream(part));
    let y = parts.map(|part| coin_flips(n, part.stream("labels")));
    let mut column = Vec::with_capacity(n);
    let mut correlations = |part: usize| -> Vec<f64> {
        let one = |j: usize| {
            variable(j, &y[part], bias, parts[part], &mut column);
            column.iter().zip(&y[part]).map(|(x, y)| x * y).sum::<f64>() / n as f64
        };
        (0..n).map(one).collect()
    };
    let (train, holdout) = (correlations(0), correlations(1));
    let unit = |correlation: f64| 0.5 + correlation / (2.0 * REACH);
    let metric = |what: &str| format!("freedman/{what}, {}", if signal { "signal" } else { "no signal" });

    let mut found = Vec::new();
    for arm in ["naive", "thresholdout", "gaussian planned"] {
        // The authors' constants hold on the correlations' own scale.
        let (scale, accuracy_scale) = (1.0 / (2.0 * REACH), 1.0);
        let made = |scale: f64| -> Result<Mechanism> {
            Ok(match arm {
                "naive" => Naive::new(n).into(),
                "thresholdout" => {
                    Thresholdout::custom(n, n, Noise::Gaussian, 4.0 * scale / root, scale / root, None)?.into()
                }
                _ => NoiseAddition::planned(Noise::Gaussian, n, n as u64 + 1, 0.05)?.into(),
            })
        };
        let (mut selector, mut judge) = (made(scale)?, made(accuracy_scale)?);
        let mut rng = seed.stream(arm).rng(0);
        let mut passed = Vec::new();
        for j in 0..n {
            let answer = selector.step(&Reading::compared(unit(holdout[j]), unit(train[j])), &mut rng)?.value;
            let answer = (answer - 0.5) * 2.0 * REACH;
            if train[j].abs() > 1.0 / root && answer.abs() > 1.0 / root && (train[j] > 0.0) == (answer > 0.0) {
                passed.push(j);
            }
        }
        passed.sort_by(|a, b| train[*b].abs().total_cmp(&train[*a].abs()));
        passed.truncate(CHOSEN);
        let accuracy: Vec<f64> = (0..3)
            .map(|part| {
                let mut score = vec![0.0; n];
                for &j in &passed {
                    variable(j, &y[part], bias, parts[part], &mut column);
                    score.iter_mut().zip(&column).for_each(|(score, x)| *score += train[j].signum() * x);
                }
                score.iter().zip(&y[part]).filter(|(score, y)| *score * *y > 0.0).count() as f64 / n as f64
            })
            .collect();
        let reported = judge.step(&Reading::compared(accuracy[1], accuracy[0]), &mut rng)?.value;
        let mut figure = |what: &str, value: f64| found.push((arm.to_owned(), metric(what), value));
        figure("training", accuracy[0]);
        figure("reported", reported);
        figure("fresh", accuracy[2]);
        figure("gap", reported - accuracy[2]);
        if arm == "naive" {
            figure("hold-out minus theory", accuracy[1] - normal(1.525 * (CHOSEN as f64 / n as f64).sqrt()).below);
        }
    }
    Ok(found)
}
