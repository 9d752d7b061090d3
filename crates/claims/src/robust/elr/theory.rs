//! The paper's linear model: two classes at +-v in many dimensions, a fifth of the labels flipped, logistic regression by
//! gradient descent. Early on the wrongly labelled rows are told right; much later cross-entropy has fitted their labels.

use crate::{Repetitions, Trial};
use quadrat_core::{Evidence, Relation, Result, Seed};

struct Plan {
    rows: usize,
    columns: usize,
    /// Steps after which is looked, early and late.
    looks: [usize; 2],
    repetitions: usize,
}

const FLIPPED: f64 = 0.2;
const STEP: f64 = 0.1;
const BETA: f64 = 0.7;
const LAMBDA: f64 = 3.0;

/// Adds the figures.
pub(super) fn add(trial: &Trial, evidence: &mut Evidence) -> Result<()> {
    let paper = |repetitions| Plan { rows: 500, columns: 1_000, looks: [100, 3_000], repetitions };
    let plan = trial.at(Plan { rows: 50, columns: 100, looks: [5, 20], repetitions: 2 }, paper(2), paper(4));
    let [early, late] = plan.looks;
    for (arm, look, relation, says) in [
        ("cross-entropy", early, Relation::Above(0.95), "early on tells flipped rows right"),
        ("cross-entropy", late, Relation::Below(0.05), "later has fitted their labels"),
        ("elr", early, Relation::Above(0.95), "tells them right early on"),
        ("elr", late, Relation::Above(0.95), "and later too"),
    ] {
        let says = format!("linear model, {} steps: {arm} {says}", look);
        evidence.report(&says, &metric(look), arm, None, relation);
    }
    let how = Repetitions { part: "linear model", pilot: 0, most: plan.repetitions };
    trial.repeat(evidence, how, |seed| Ok(plan.repetition(seed)))
}

fn metric(steps: usize) -> String {
    format!("flipped rows told right/{steps} steps")
}

impl Plan {
    fn repetition(&self, seed: Seed) -> Vec<(&'static str, String, f64)> {
        let (n, p) = (self.rows, self.columns);
        let mut rng = seed.rng(0);
        // v is the first axis; noise has length 5 in all.
        let spread = 5.0 / (p as f64).sqrt();
        let signs: Vec<f64> = (0..n).map(|_| if rng.uniform() < 0.5 { -1.0 } else { 1.0 }).collect();
        let mut x: Vec<f64> = (0..n * p).map(|_| spread * rng.normal()).collect();
        x.chunks_exact_mut(p).zip(&signs).for_each(|(row, sign)| row[0] += sign);
        let labels: Vec<f64> = signs.iter().map(|s| if rng.uniform() < FLIPPED { -s } else { *s }).collect();
        let mut figures = Vec::new();
        for arm in ["cross-entropy", "elr"] {
            let mut w = vec![0.0; p];
            // What was said of a row: of its class +1, and of -1.
            let mut said = vec![[0.0; 2]; n];
            let mut gradient = vec![0.0; p];
            for step in 1..=self.looks[1] {
                gradient.fill(0.0);
                for ((row, label), t) in x.chunks_exact(p).zip(&labels).zip(&mut said) {
                    // Two scores, z / 2 and -z / 2: p = P(+1).
                    let z: f64 = row.iter().zip(&w).map(|(x, w)| x * w).sum();
                    let plus = 1.0 / (1.0 + (-z).exp());
                    let mut slope = plus - 0.5 * (1.0 + label);
                    if arm == "elr" {
                        let probabilities = [plus, 1.0 - plus];
                        t.iter_mut().zip(probabilities).for_each(|(t, p)| *t = BETA * *t + (1.0 - BETA) * p);
                        let agree = t[0] * plus + t[1] * (1.0 - plus);
                        slope += LAMBDA * plus * (agree - t[0]) / (1.0 - agree).max(1e-4);
                    }
                    gradient.iter_mut().zip(row).for_each(|(g, x)| *g += slope * x);
                }
                w.iter_mut().zip(&gradient).for_each(|(w, g)| *w -= STEP / n as f64 * g);
                if self.looks.contains(&step) {
                    let flipped = (0..n).filter(|i| labels[*i] != signs[*i]);
                    let right = |i: &usize| {
                        let z: f64 = x[i * p..(i + 1) * p].iter().zip(&w).map(|(x, w)| x * w).sum();
                        z * signs[*i] > 0.0
                    };
                    let all = flipped.clone().count();
                    figures.push((arm, metric(step), flipped.filter(right).count() as f64 / all as f64));
                }
            }
        }
        figures
    }
}
