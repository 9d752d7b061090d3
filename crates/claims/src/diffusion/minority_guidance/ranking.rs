//! Does the minority score rank rows as their true density does?

use super::figure;
use super::images::distances;
use crate::Figure;
use ndarray::Axis;
use quadrat_core::{Evidence, Relation, Result, Seed, Silent};
use quadrat_data::builtin;
use quadrat_diffusion::boundary::rank_correlation;
use quadrat_diffusion::minority::{Distance, Scoring};
use quadrat_diffusion::{Level, MixtureDenoiser, Schedule};
use quadrat_numeric::outliers::local_outlier_factors;

const SCORE: &str = "minority score";
const FIXED: [(f64, &str); 5] = [
    (0.90, "minority score, abar 0.90"),
    (0.66, "minority score, abar 0.66"),
    (0.39, "minority score, abar 0.39"),
    (0.19, "minority score, abar 0.19"),
    (0.03, "minority score, abar 0.03"),
];
const ONCE: &str = "minority score, one noise";
const NEIGHBOURS: &str = "distance to 5 neighbours";
const FACTOR: &str = "local outlier factor";
const CHANCE: &str = "random order";
const AGREES: &str = "rank correlation with -ln p";
/// Standard deviation around each of the model's digits.
const BANDWIDTH: f64 = 0.35;

pub(super) fn expect(e: &mut Evidence) {
    let says = "digits: the score agrees with -ln p of an exact model, rank correlation above 0.5";
    e.report(says, AGREES, SCORE, None, Relation::Above(0.5));
    let says = "digits: the rule's level ranks no worse than an abar of 0.90 by 0.1";
    e.report(says, AGREES, SCORE, Some(FIXED[0].1), Relation::Above(-0.1));
    e.report("digits: five noises rank better than one", AGREES, SCORE, Some(ONCE), Relation::Above(0.0));
    e.report("digits: better than the local outlier factor", AGREES, SCORE, Some(FACTOR), Relation::Above(0.0));
    e.report("digits: better than the distance to neighbours", AGREES, SCORE, Some(NEIGHBOURS), Relation::Above(0.0));
    e.report("digits: at little data left the score says nothing", AGREES, FIXED[4].1, None, Relation::Within(0.2));
}

/// Rank correlations of each ranking of the digits that the model was not made of.
pub(super) fn figures(rows: usize, seed: Seed) -> Result<Vec<Figure>> {
    let (pixels, ..) = builtin::labelled("digits")?;
    let pixels = pixels / 8.0 - 1.0;
    let mut order: Vec<usize> = (0..pixels.nrows()).collect();
    seed.stream("split").rng(0).shuffle(&mut order);
    let scored = &order[rows..(2 * rows).min(order.len())];
    let (train, held) = (pixels.select(Axis(0), &order[..rows]), pixels.select(Axis(0), scored));
    let model = MixtureDenoiser::kernel(train.view(), BANDWIDTH)?;
    let unlikely: Vec<f64> = model.log_density(held.view(), &Level::CLEAN)?.iter().map(|log| -log).collect();
    let mut found = Vec::new();
    let mut tell = |arm: &str, ranking: &[f64]| {
        found.push(figure(arm, AGREES, rank_correlation(ranking, &unlikely).unwrap_or(f64::NAN)));
    };
    let schedule = Schedule::linear();
    let score = |abar, draws| {
        let scoring = Scoring { abar, draws, distance: Distance::L2 };
        scoring.score(&model, &schedule, held.view(), seed.stream("scores"), &Silent)
    };
    let auto = score(None, 5)?;
    tell(SCORE, &auto.scores);
    tell(ONCE, &score(Some(auto.abar), 1)?.scores);
    for (abar, arm) in FIXED {
        tell(arm, &score(Some(abar), 5)?.scores);
    }
    tell(NEIGHBOURS, &distances(train.view(), held.view())?);
    let all = pixels.select(Axis(0), &order[..rows + scored.len()]);
    tell(FACTOR, &local_outlier_factors(all.view(), 20, &Silent)?[rows..]);
    let mut rng = seed.stream("chance").rng(0);
    tell(CHANCE, &held.outer_iter().map(|_| rng.uniform()).collect::<Vec<f64>>());
    found.push(figure(SCORE, "abar that the rule takes", auto.abar));
    Ok(found)
}
