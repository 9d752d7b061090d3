//! Forward selection on real data among columns of noise.

use super::{Found, STEPS};
use quadrat_core::{Result, Seed, stats};
use quadrat_estimate::adaptive_data_analysis::{Bits, Ladder, Mechanism, Naive, Noise, NoiseAddition, Thresholdout};
use quadrat_estimate::adaptive_data_analysis::{Query, QueryMechanism};

pub(super) fn forward_selection(
    x: &ndarray::Array2<f64>,
    classes: &[u32],
    noise_columns: usize,
    seed: Seed,
) -> Result<Found> {
    let rows = classes.len();
    let third = rows / 3;
    let mut order: Vec<usize> = (0..rows).collect();
    seed.stream("split").rng(0).shuffle(&mut order);
    order.truncate(3 * third);
    let y: Vec<f64> = order.iter().map(|row| if classes[*row] == 0 { -1.0 } else { 1.0 }).collect();
    // Standardised by the training third and turned towards the label.
    let mut columns: Vec<Vec<f64>> =
        x.columns().into_iter().map(|c| order.iter().map(|row| c[*row]).collect()).collect();
    columns.extend((0..noise_columns).map(|j| {
        let mut rng = seed.stream("noise columns").rng(j as u64);
        (0..order.len()).map(|_| rng.normal()).collect()
    }));
    for column in &mut columns {
        let (mean, sd) = (stats::mean(&column[..third]), stats::standard_deviation(&column[..third]));
        let correlation: f64 = column[..third].iter().zip(&y).map(|(x, y)| (x - mean) * y).sum();
        let scale = correlation.signum() / sd.max(1e-12);
        column.iter_mut().for_each(|value| *value = (*value - mean) * scale);
    }
    // A sum of columns, cut midway between the classes' means in training: right or wrong on each row.
    let right = |score: &[f64]| -> Bits {
        let mean = |class: f64| {
            let of_class: Vec<f64> = (0..third).filter(|i| y[*i] == class).map(|i| score[i]).collect();
            stats::mean(&of_class)
        };
        let cut = 0.5 * (mean(-1.0) + mean(1.0));
        Bits::from_fn(score.len(), |i| (score[i] > cut) == (y[i] > 0.0))
    };

    let questions = (STEPS * columns.len()) as u64;
    let mut found = Vec::new();
    for arm in ["naive", "thresholdout", "gaussian planned", "ladder"] {
        let mut mechanism: Mechanism = match arm {
            "naive" => Naive::new(third).into(),
            "thresholdout" => Thresholdout::experiment(third, third, None)?.into(),
            "ladder" => Ladder::auto(third, true)?.into(),
            _ => NoiseAddition::planned(Noise::Gaussian, third, questions, 0.05)?.into(),
        };
        let mut rng = seed.stream(arm).rng(0);
        let (mut score, mut claim) = (vec![0.0; order.len()], f64::NEG_INFINITY);
        for _ in 0..STEPS {
            let mut best: Option<(f64, Vec<f64>)> = None;
            for column in &columns {
                let trial: Vec<f64> = score.iter().zip(column).map(|(a, b)| a + b).collect();
                let right = right(&trial);
                let on = |from: usize, to: usize| Bits::from_fn(to - from, |i| right.get(from + i));
                let (answer, news) = match arm {
                    "ladder" => {
                        let losses = Bits::from_fn(third, |i| !right.get(third + i));
                        let answer = mechanism.answer(&losses, &mut rng)?;
                        (1.0 - answer.value, answer.spent)
                    }
                    "thresholdout" => (mechanism.answer(&on(0, 2 * third), &mut rng)?.value, true),
                    _ => (mechanism.answer(&on(third, 2 * third), &mut rng)?.value, true),
                };
                if news && best.as_ref().is_none_or(|(value, _)| answer > *value) {
                    best = Some((answer, trial));
                }
            }
            // A board that did not move ends the search; so does a claim that did not rise.
            match best {
                Some((value, trial)) if value > claim => (claim, score) = (value, trial),
                _ => break,
            }
        }
        let fresh = right(&score).mean(2 * third..3 * third)?;
        found.push((arm.to_owned(), "C claim".to_owned(), claim));
        found.push((arm.to_owned(), "C fresh".to_owned(), fresh));
        found.push((arm.to_owned(), "C claim minus fresh".to_owned(), claim - fresh));
    }
    Ok(found)
}
