//! Questions without end over a finite domain.

use super::DOMAIN;
use super::votes::{Votes, random_bits};
use crate::{Figure, Trial};
use quadrat_core::{Result, Seed, checkpoint};
use quadrat_estimate::adaptive_data_analysis::{
    Bits, Mechanism, Naive, Noise, NoiseAddition, Pmw, QueryMechanism, Reading,
};

pub(super) fn finite_domain(counts: &[usize], seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
    let (bits, n) = DOMAIN;
    let size = 1usize << bits;
    // A population of independent bits, and its sample.
    let mut rng = seed.stream("population").rng(0);
    let chances: Vec<f64> = (0..bits).map(|_| 0.2 + 0.6 * rng.uniform()).collect();
    let chance =
        |x: usize| chances.iter().enumerate().map(|(b, p)| if x >> b & 1 == 1 { *p } else { 1.0 - p }).product();
    let population: Vec<f64> = (0..size).map(chance).collect();
    let sample: Vec<u64> = rng.multinomial(n, &population).into_iter().map(|count| count as u64).collect();
    let truth = |query: &Bits| (0..size).filter(|x| query.get(*x)).map(|x| population[x]).sum::<f64>();
    let means = |query: &Bits| (0..size).filter(|x| query.get(*x)).map(|x| sample[x]).sum::<u64>() as f64 / n as f64;

    let mut found: Vec<Figure> = Vec::new();
    for arm in ["naive", "gaussian planned", "pmw"] {
        let mut first = None;
        for &k in counts {
            checkpoint(trial.progress)?;
            let mut mechanism: Mechanism = match arm {
                "pmw" => Pmw::heuristic(&sample)?.into(),
                "naive" => Naive::new(n).into(),
                _ => NoiseAddition::planned(Noise::Gaussian, n, k as u64 + 1, 0.05)?.into(),
            };
            let noise = seed.stream(arm).stream(&k.to_string());
            let mut updates = 0u32;
            let mut ask = |query: &Bits, i: usize| -> Result<f64> {
                let mut rng = noise.rng(i as u64);
                // Naive and noisy answers need the sample's mean only, which comes from counts here.
                let answer = match arm {
                    "pmw" => mechanism.answer(query, &mut rng)?,
                    _ => mechanism.step(&Reading::of(means(query)), &mut rng)?,
                };
                updates += u32::from(answer.spent);
                Ok(answer.value - truth(query))
            };
            let (mut votes, mut largest) = (Votes(vec![0; size]), 0.0_f64);
            for j in 0..k {
                let query = random_bits(size, &mut seed.stream("questions").rng(j as u64))?;
                let error = ask(&query, j)?;
                largest = largest.max(error.abs());
                votes.add(&query, if error > 0.0 { 1 } else { -1 });
            }
            largest = largest.max(ask(&votes.majority(), k)?.abs());
            found.push((arm.to_owned(), format!("domain/largest error, {k} questions"), largest));
            if arm == "pmw" {
                found.push((arm.to_owned(), format!("domain/updates, {k} questions"), f64::from(updates)));
            }
            let first = *first.get_or_insert(largest);
            if Some(&k) == counts.last() {
                found.push((arm.to_owned(), "domain/growth of the largest error".to_owned(), largest - first));
            }
        }
    }
    Ok(found)
}
