//! Buying labels from the sources of the shortest l1 mixture: against the l2 rule and against buying from all alike.

mod corrupted;
mod theory;

use crate::Trial;
use ndarray::{Array1, Array2};
use quadrat_core::{Evidence, Result};
use quadrat_numeric::lasso::{basis_pursuit, lasso_path};
use quadrat_numeric::linalg;
use quadrat_select::{Penalty, Rule, TaskAllocator};

/// Runs both experiments.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let (theory, corrupted) = (theory::Plan::of(trial), corrupted::Plan::of(trial));
    let mut evidence = Evidence::new(
        "Labels in proportion to the mixture of least l1 norm give a strictly lower bound on the target's excess risk than the \
         earlier l2 rule, up to a factor of the number of sources where relevance is concentrated; on corrupted MNIST the \
         target's error is lower than with the l2 rule and with labels from all sources alike, also when few sources may be \
         used.",
        format!("{} {}", theory.describe(), corrupted.describe()),
    );
    theory.expect(&mut evidence);
    corrupted.expect(&mut evidence);
    identities(&mut evidence, trial)?;
    theory.run(trial, &mut evidence)?;
    corrupted.run(trial, &mut evidence)?;
    Ok(evidence)
}

fn l1(nu: &[f64]) -> f64 {
    nu.iter().map(|nu| nu.abs()).sum()
}

fn squares(nu: &[f64]) -> f64 {
    nu.iter().map(|nu| nu * nu).sum()
}

/// The mixture of least l1 norm and of least l2 norm.
fn exact(rule: Rule, min_rows: usize) -> TaskAllocator {
    TaskAllocator { rule, penalty: Penalty::Pursuit, min_rows, ..TaskAllocator::default() }
}

/// What must hold whatever the data.
fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let seed = trial.seed.stream("identities");
    let heads = ndarray::array![[1.0, 0.0, 0.8, 0.6], [0.0, 1.0, 0.6, -0.8]];
    let of = |rule| exact(rule, 0).relevance(heads.view(), &[1.6, 1.2]);
    let (nu1, nu2) = (of(Rule::L1)?.nu, of(Rule::L2)?.nu);
    evidence.identity("example by hand: |nu1|_1^2", l1(&nu1).powi(2), 4.0, 1e-10);
    evidence.identity("example by hand: |nu2|_1^2", l1(&nu2).powi(2), 5.76, 1e-10);
    evidence.identity("example by hand: M |nu2|_2^2", 4.0 * squares(&nu2), 8.0, 1e-10);

    let (mut kkt, mut duality, mut inverse, mut broken) = (0.0_f64, 0.0_f64, 0.0_f64, 0);
    for case in 0..1000 {
        let mut rng = seed.rng(case);
        let (k, m) = (1 + rng.below(8), 12 + rng.below(56));
        let heads = Array2::from_shape_fn((k, m), |_| rng.normal());
        let target: Vec<f64> = (0..k).map(|_| rng.normal()).collect();
        let (nu1, nu2) = (
            exact(Rule::L1, 0).relevance(heads.view(), &target)?.nu,
            exact(Rule::L2, 0).relevance(heads.view(), &target)?.nu,
        );
        broken += usize::from(l1(&nu1).powi(2) > m as f64 * squares(&nu2) * (1.0 + 1e-9));
        let column = Array2::from_shape_fn((k, 1), |(i, _)| target[i]);
        let pinv = heads.t().dot(&linalg::solve(heads.dot(&heads.t()).view(), column.view())?);
        inverse = nu2.iter().zip(&pinv).fold(inverse, |most, (a, b)| most.max((a - b).abs()));

        let plain = TaskAllocator { penalty: Penalty::Relative(0.1), refit: false, ..TaskAllocator::default() };
        let found = plain.relevance(heads.view(), &target)?;
        let rest = |nu: &[f64]| Array1::from(target.clone()) - heads.dot(&Array1::from(nu.to_vec()));
        let lambda = found.lambda.unwrap_or(f64::NAN);
        for (nu, pull) in found.nu.iter().zip(heads.t().dot(&rest(&found.nu))) {
            let miss = if *nu == 0.0 { (pull.abs() - lambda).max(0.0) } else { (pull - lambda * nu.signum()).abs() };
            kkt = kkt.max(miss);
        }
        // On the last stretch of the path the residual over lambda solves the dual programme: max w . u, |W^T u| <= 1.
        let path = lasso_path(heads.view(), &target, 0.0, None)?;
        let last = path.knots.iter().rev().nth(1).map_or(1.0, |knot| 0.5 * knot.lambda);
        let dual = rest(&path.at(last)) / last;
        let feasible = heads.t().dot(&dual).iter().fold(1.0_f64, |most, u| most.max(u.abs()));
        let bound = dual.iter().zip(&target).map(|(u, w)| u * w).sum::<f64>() / feasible;
        duality = duality.max((l1(&basis_pursuit(heads.view(), &target)?) / bound - 1.0).abs());
    }
    evidence.identity("Lasso: largest breach of the conditions of optimality, 1,000 systems", kkt, 0.0, 1e-8);
    evidence.identity("basis pursuit: largest relative gap to the linear programme's dual", duality, 0.0, 1e-7);
    evidence.identity("l2 relevance: largest difference from pinv(W) w", inverse, 0.0, 1e-7);
    evidence.identity("systems in which |nu1|_1^2 > M |nu2|_2^2", broken as f64, 0.0, 0.0);
    Ok(())
}
