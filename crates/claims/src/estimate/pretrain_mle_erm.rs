//! Does a representation learnt without labels save labels, as much as theory says, and not where it must not?

mod clusters;
mod digits;
mod factors;
mod identities;

use super::{curve, plot};
use crate::{Repetitions, Trial};
use quadrat_core::{By, Evidence, Relation, Result};

struct Plan {
    factors: factors::Plan,
    clusters: clusters::Plan,
    /// Labels of the digits.
    digits: &'static [usize],
    /// Most repetitions of what decides, and those of what is reported beside it.
    most: usize,
    beside: usize,
}

const OLS: &str = "OLS";
const RIDGE: &str = "ridge";
const LOGISTIC: &str = "logistic";
const ORACLE: &str = "true representation";

fn pretrained(m: usize) -> String {
    format!("pretrained, m = {m}")
}

/// Runs the experiments.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = Plan {
        factors: factors::Plan::at(trial),
        clusters: clusters::Plan::at(trial),
        digits: trial.at(&[20], &[20, 100], &[20, 100]),
        most: trial.at(2, 100, 150),
        beside: trial.at(2, 6, 12),
    };
    let mut evidence = plan.evidence();
    let headline = Repetitions { part: "factor model", pilot: 12, most: plan.most };
    trial.repeat(&mut evidence, headline, |seed| plan.factors.excess(seed))?;
    trial.repeat(&mut evidence, Repetitions { part: "beside", pilot: 0, most: plan.beside }, |seed| {
        Ok([
            plan.factors.contrastive(seed.stream("two views"), trial)?,
            plan.clusters.excess(seed.stream("clusters"), trial)?,
            digits::accuracies(plan.digits, seed.stream("digits"))?,
        ]
        .concat())
    })?;
    identities::add(&mut evidence, trial.seed.stream("identities"))?;
    let ns: Vec<f64> = plan.factors.label_sizes.iter().map(|n| *n as f64).collect();
    let arms = [OLS, RIDGE, ORACLE].map(str::to_owned).into_iter().chain(plan.factors.pool_sizes.map(pretrained));
    let series = arms.map(|arm| curve(&evidence, &arm, &ns, |n| factors::metric(n as usize))).collect();
    evidence.plots = vec![plot("Excess risk over labels", "labels n", "excess risk", (true, true), series)];
    Ok(evidence)
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let [few, many] = self.factors.pool_sizes;
        let mut e = Evidence::new(
            "With m rows without labels and n with, maximum likelihood and then a small head has excess risk of order \
             sqrt(C_Phi / m) + sqrt(C_Psi / n), against sqrt(C_(Phi o Psi) / n) from labels alone: in a factor model r \
             parameters are left to the labels instead of d. It needs a latent that the law of x pins down and that y hangs \
             on. (Theory; the paper has no experiments that this one repeats.)",
            format!(
                "Factor model, {} columns, {} factors, loadings N(0, 0.36), noise 1, y = the mean-square-1 sum of factors + \
                 noise 0.5; excess risk in closed form, no test set, with 150 labels the mean of four draws. Pretraining: factors by maximum likelihood on m = {many} \
                 rows, their number by BIC on the same rows, and ridge on them; the rival is ridge on the columns; both \
                 choose one of 23 strengths by leave-one-out on the labels. Beside it: the same where y hangs on a direction \
                 of the noise; the contrastive encoder on two views; five clusters in 50 columns, two classes; \
                 scikit-learn's digits.",
                factors::D,
                factors::R
            ),
        );
        let (n, ours) = (factors::LABELS, pretrained(many));
        let metric = factors::metric(n);
        let says = format!("{n} labels: pretraining has less than half the excess risk of ridge");
        e.expect(&says, &metric, &ours, Some(RIDGE), Relation::Below(0.5)).by(By::Ratio).matters(1.2);
        let says = "the rival is tuned: ridge has less than half the excess risk of least squares";
        e.gate(says, &metric, RIDGE, Some(OLS), Relation::Below(0.5)).by(By::Ratio).matters(1.2);
        for (arm, rival, n) in
            [(&ours, RIDGE, 30), (&ours, RIDGE, 1000), (&pretrained(few), RIDGE, n), (&ours, ORACLE, n)]
        {
            let says = format!("{n} labels: excess risk of {arm} over that of {rival}");
            let below = if rival == ORACLE { 1.1 } else { 1.0 };
            e.report(&says, &factors::metric(n), arm, Some(rival), Relation::Below(below)).by(By::Ratio);
        }
        for (arm, d, within) in [(OLS, factors::D, 0.15), (&ours, factors::R, 0.2)] {
            let says = format!("{arm}: costs what theory says for {d} parameters, to {within}");
            e.report(&says, &factors::over_theory(n), arm, None, Relation::Within(within));
        }
        for n in [n, 1000] {
            let says = format!("counter-check, {n} labels: where y hangs on noise, pretraining loses to ridge");
            e.report(&says, &factors::against(n), &ours, Some(RIDGE), Relation::Above(1.0)).by(By::Ratio);
        }
        let says = "two views: the contrastive encoder has less excess risk than ridge on the columns";
        e.report(says, factors::TWO_VIEWS, factors::CONTRASTIVE, Some(RIDGE), Relation::Below(1.0)).by(By::Ratio);
        for rival in [clusters::NEAREST, LOGISTIC] {
            let says = format!("clusters, 20 labels: the mixture errs less than {rival}");
            e.report(&says, clusters::METRIC, clusters::OURS, Some(rival), Relation::Below(0.0));
        }
        for n in self.digits {
            let says = format!("digits, {n} labels: principal factors are right more often than pixels");
            e.report(&says, &digits::metric(*n), digits::OURS, Some(LOGISTIC), Relation::Above(0.0)).overlap =
                digits::OVERLAP;
        }
        e.notes.push(
            "Risk for the square loss falls as 1 / n here; the paper's square roots are upper bounds for any bounded loss. Heads \
             have an intercept, so least squares on d normal columns costs v ((n + 1)(n - 2) / (n (n - d - 2)) - 1) for \
             residual variance v. Logistic regression has one of 6 penalties by cross-validation, with and without \
             pretraining alike; nearest neighbours get the best of five k in hindsight, on the test rows."
                .into(),
        );
        e.notes.push(
            "Images are no factor model: in earlier runs no representation beat tuned logistic regression on the pixels of \
             digits or MNIST, not even with twenty labels. Changed since: 19 expectations decided, on logarithms' means, and \
             pretraining knew the number of factors and had no penalty; one decides now, both sides tuned alike. MNIST and \
             the slopes in m and n are gone."
                .into(),
        );
        e
    }
}
