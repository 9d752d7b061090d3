//! What must hold of every synthetic row.

use super::load;
use crate::Trial;
use crate::trial::Quiet;
use ndarray::Axis;
use quadrat_core::{Evidence, Result, stats};
use quadrat_robust::{Labelled, Origin, Resampler, Smote, Strategy};

/// What must be true of SMOTE's rows exactly, or up to the chance of a known distribution (four standard errors).
pub(super) fn check_synthetic_rows(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    const COPIES: u32 = 20;
    let smote = Smote { strategy: Strategy::Percent(100 * COPIES), ..Smote::default() };
    let data = load("pima", "positive")?;
    let made = smote.resample(&data, trial.seed.stream("synthetic rows"), &Quiet(trial.progress))?;
    let origins: Vec<(usize, usize, f64)> = made
        .origin
        .iter()
        .filter_map(|origin| match *origin {
            Origin::Synthetic { base, neighbour, gap } => Some((base, neighbour, gap)),
            _ => None,
        })
        .collect();

    let mut off_segment: f64 = 0.0;
    for (row, (base, neighbour, gap)) in made.synthetic.axis_iter(Axis(0)).zip(&origins) {
        for ((x, b), n) in row.iter().zip(data.x.row(*base)).zip(data.x.row(*neighbour)) {
            let ulp = f64::EPSILON * b.abs().max(n.abs()).max(f64::MIN_POSITIVE);
            off_segment = off_segment.max((x - (b + gap * (n - b))).abs() / ulp);
        }
    }
    evidence.identity("synthetic rows lie on their segments (largest distance in ulps)", off_segment, 0.0, 4.0);

    // Each base is used equally often, its neighbour is uniform among five and the gap uniform on (0, 1): so the mean and
    // the mean square of the step x_new - base follow, and so do their variances, from E gap = 1/2, E gap^2 = 1/3 and
    // E gap^4 = 1/5.
    let bases = data.rows_of(1);
    let neighbours: Vec<Vec<usize>> = bases.iter().map(|base| nearest(&data, *base, &bases, smote.k)).collect();
    let (mut worst_mean, mut worst_square): (f64, f64) = (0.0, 0.0);
    for column in 0..data.x.ncols() {
        let value = |row: usize| data.x[[row, column]];
        let (mut mean, mut square, mut mean_variance, mut square_variance) = (0.0, 0.0, 0.0, 0.0);
        for (base, neighbours) in bases.iter().zip(&neighbours) {
            let moment = |power: i32| {
                stats::mean(&neighbours.iter().map(|n| (value(*n) - value(*base)).powi(power)).collect::<Vec<_>>())
            };
            let (step, step_square) = (moment(1) / 2.0, moment(2) / 3.0);
            mean += step;
            square += step_square;
            mean_variance += step_square - step * step;
            square_variance += moment(4) / 5.0 - step_square * step_square;
        }
        let steps: Vec<f64> =
            made.synthetic.column(column).iter().zip(&origins).map(|(x, (base, _, _))| x - value(*base)).collect();
        let squares: Vec<f64> = steps.iter().map(|s| s * s).collect();
        // Sums over the bases become means over their copies.
        let n = bases.len() as f64;
        let error = |variance: f64| (variance / f64::from(COPIES)).sqrt() / n;
        worst_mean = worst_mean.max((stats::mean(&steps) - mean / n).abs() / error(mean_variance));
        worst_square = worst_square.max((stats::mean(&squares) - square / n).abs() / error(square_variance));
    }
    evidence.identity("mean of the steps (largest error of a column in standard errors)", worst_mean, 0.0, 5.0);
    evidence.identity("mean square of the steps (the same)", worst_square, 0.0, 5.0);
    Ok(())
}

/// The `k` rows of `among` nearest to `base`, without it: the plain definition.
fn nearest(data: &Labelled, base: usize, among: &[usize], k: usize) -> Vec<usize> {
    let distance = |row: usize| (&data.x.row(row) - &data.x.row(base)).mapv(|d| d * d).sum();
    let mut others: Vec<(f64, usize)> = among.iter().filter(|r| **r != base).map(|r| (distance(*r), *r)).collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    others.into_iter().take(k).map(|(_, row)| row).collect()
}
