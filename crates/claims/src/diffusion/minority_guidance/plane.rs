//! Three modes in the plane, of which two are rare: all is known but the classifier, which is taught.

use super::figure;
use crate::Figure;
use ndarray::{Array2, ArrayView2, arr2, array};
use quadrat_core::{Evidence, Progress, Relation, Result, Seed, Silent, Within, stats};
use quadrat_diffusion::guidance::{ClassifierGuidance, MixtureClassifier, NoisyClassifier};
use quadrat_diffusion::minority::{Distance, quantile_labels};
use quadrat_diffusion::{Denoiser, Grid, Level, MinorityGuidance, MixtureDenoiser, Schedule, Solver, integrate, noise};
use quadrat_numeric::mixture::{Covariances, Mixture};

const GUIDED: &str = "guided";
const PLAIN: &str = "ancestral";
const RARE: &str = "plane: share in the rare modes";
const FAR: &str = "plane: mean -ln p under the own mode";
const VALID: &str = "plane: share in the rare modes, among their most likely 99.9%";

pub(super) fn expect(e: &mut Evidence) {
    let says = "plane: the share of the rare modes rises from 0.1 to above 0.5";
    e.report(says, RARE, GUIDED, None, Relation::Above(0.5));
    e.report("plane: so among likely draws", VALID, GUIDED, None, Relation::Above(0.5));
    let says = "plane: draws are less likely under their own mode by less than a nat";
    e.report(says, FAR, GUIDED, Some(PLAIN), Relation::Below(1.0));
}

const MEANS: [[f64; 2]; 3] = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]];
const VARIANCE: f64 = 0.3;

fn law() -> Result<MixtureDenoiser> {
    MixtureDenoiser::new(Mixture {
        weights: array![0.9, 0.07, 0.03],
        means: arr2(&MEANS),
        covariances: Covariances::Spherical(array![VARIANCE, VARIANCE, VARIANCE]),
    })
}

/// Draws of both arms, `n` rows to learn from and as many draws.
pub(super) fn figures(n: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<Figure>> {
    let (law, schedule) = (law()?, Schedule::linear());
    let rows = law.sample(n, &Level::CLEAN, seed.stream("rows"))?;
    let method = MinorityGuidance { epochs: 20, ..MinorityGuidance::default() };
    let guide = method.fit(&law, &schedule, rows.view(), Distance::L2, seed.stream("guide"), &Within(progress))?;
    let plan = Solver::Ddpm.plan(schedule, &Grid::LogSnr, 50)?;
    let by = |denoiser: &dyn Denoiser| integrate(&plan, denoiser, noise(&plan, n, 2, seed), seed, &Silent);
    let mut found = tell(PLAIN, by(&law)?.view());
    found.extend(tell(GUIDED, by(&method.guided(&law, &guide.classifier, None)?)?.view()));
    Ok(found)
}

fn tell(arm: &str, x: ArrayView2<f64>) -> Vec<Figure> {
    let (mut rare, mut valid, mut logs) = (0.0, 0.0, Vec::new());
    for row in x.outer_iter() {
        // Modes are of one width and far apart: the nearest is the own.
        let squares = MEANS.map(|[a, b]| ((row[0] - a).powi(2) + (row[1] - b).powi(2)) / VARIANCE);
        let own = (0..3).fold(0, |best, k| if squares[k] < squares[best] { k } else { best });
        logs.push(0.5 * squares[own] + (std::f64::consts::TAU * VARIANCE).ln());
        if own > 0 {
            rare += 1.0;
            // Chi-square of two degrees: exp(-x/2) is beyond x.
            valid += f64::from(u8::from(squares[own] < -2.0 * 1e-3f64.ln()));
        }
    }
    let n = x.nrows() as f64;
    vec![figure(arm, RARE, rare / n), figure(arm, VALID, valid / n), figure(arm, FAR, stats::mean(&logs))]
}

/// The largest relative difference of the guided score from central differences, and how uneven classes of 1,000 scores are.
pub(super) fn identities(seed: Seed) -> Result<(f64, f64)> {
    let law = law()?;
    let classifier = MixtureClassifier::new(&law, &[0, 1, 1])?;
    let (at, weight) = (Schedule::linear().level(0.35), 3.5);
    let x = law.sample(50, &at, seed)?;
    let guided = ClassifierGuidance { denoiser: &law, classifier: &classifier, class: 1, weight, clip: None };
    let score = (at.alpha * guided.predict(x.view(), &at)? - &x) / (at.sigma * at.sigma);
    let log = |x: &Array2<f64>| -> Result<Vec<f64>> {
        let (of_class, _) = classifier.log_prob_grad(x.view(), &at, 1)?;
        Ok(law.log_density(x.view(), &at)?.iter().zip(of_class).map(|(a, b)| a + weight * b).collect())
    };
    let (step, mut largest) = (1e-5, 0.0f64);
    for j in 0..2 {
        let moved = |by: f64| {
            let mut x = x.clone();
            x.column_mut(j).mapv_inplace(|v| v + by);
            log(&x)
        };
        for (i, (up, down)) in moved(step)?.into_iter().zip(moved(-step)?).enumerate() {
            let off = (up - down) / (2.0 * step) - score[[i, j]];
            largest = largest.max(off.abs() / (1.0 + score[[i, j]].abs()));
        }
    }
    let mut rng = seed.stream("scores").rng(0);
    let scores: Vec<f64> = (0..1000).map(|_| rng.normal()).collect();
    let (labels, _) = quantile_labels(&scores, 10)?;
    let sizes: Vec<usize> = (0..10).map(|class| labels.iter().filter(|label| **label == class).count()).collect();
    let uneven = sizes.iter().max().copied().unwrap_or(0) - sizes.iter().min().copied().unwrap_or(0);
    Ok((largest, uneven as f64))
}
