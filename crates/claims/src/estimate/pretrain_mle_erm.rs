//! Does a representation learnt without labels save labels, as much as theory says, and not where it must not?

mod clusters;
mod digits;
mod factors;
mod identities;

use super::{Figure, add, slope};
use crate::Trial;
use quadrat_core::{Evidence, Plot, Result, Series, checkpoint, stats};
use quadrat_numeric::learners::Penalty;
use rayon::prelude::*;

/// One repetition of an experiment.
type Repetition<'a> = &'a (dyn Fn(u64) -> Result<Vec<Figure>> + Sync);

const OLS: &str = "OLS";
const RIDGE: &str = "ridge";
const LOGISTIC: &str = "logistic";
const ORACLE: &str = "true representation";

fn pretrained(m: usize) -> String {
    format!("pretrained, m = {m}")
}

/// Runs the experiments.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let factors = factors::Plan::at(trial);
    let clusters = clusters::Plan::at(trial);
    let digits = digits::Plan::at(trial)?;
    let mut evidence = Evidence {
        paper: "With m rows without labels and n with, maximum likelihood and then a small head has excess risk of order \
                sqrt(C_Phi / m) + sqrt(C_Psi / n), against sqrt(C_(Phi o Psi) / n) from labels alone: in a factor model r \
                parameters are left to the labels instead of d. It needs a latent that the law of x pins down and that y \
                hangs on. (Theory; the paper has no experiments that this one repeats.)"
            .into(),
        experiment: "A. Factor model, d = 100, r = 5, loadings N(0, 0.36), noise 1, y = the mean-square-1 sum of factors + noise \
                     0.5; excess risk in closed form, no test set. B. Five clusters in 50 columns, two classes, one label in ten \
                     wrong; excess error over Bayes' rule on 5,000 rows. C. Model A seen twice with independent noise: the \
                     contrastive encoder. D. 10,000 MNIST images of 14 x 14 (the built-in part of MNIST as the unlabelled pool, \
                     2,000 test images) and scikit-learn's digits. Counter-check: y hangs on a direction of the noise."
            .into(),
        ..Evidence::default()
    };
    factors.expect(&mut evidence);
    clusters.expect(&mut evidence);
    digits.expect(&mut evidence);
    evidence.notes.push(
        "Heads have an intercept, so least squares on d normal columns costs v ((n + 1)(n - 2) / (n (n - d - 2)) - 1) for residual \
         variance v, a little more than the v d / (n - d - 1) of a model without. Risk for the square loss falls as 1 / n and 1 / m \
         here; the paper's square roots are upper bounds for any bounded loss."
            .into(),
    );
    evidence.notes.push(
        "Ridge chooses one of 23 strengths by leave-one-out, logistic regression one of 6 penalties by five-fold cross-validation, \
         with and without pretraining alike; nearest neighbours get the best of five k in hindsight, on the test rows. Digits are \
         judged over label draws on one pool and one test set, which its intervals do not count: they decide nothing."
            .into(),
    );
    evidence.notes.push(
        "Written after the quick run. On digits no representation beats tuned logistic regression on the pixels, not even with \
         twenty labels: penalised fits on pixels already lean on the strong directions that principal factors would keep, and \
         fifty clusters leave most of them without a label. The theory promises a gain where the model of x is right, and \
         images are no factor model."
            .into(),
    );
    let experiments: [(&str, u64, Repetition); 6] = [
        ("A", factors.repeats, &|repeat| factors.excess(repeat, trial)),
        ("A, slope in n", factors.repeats, &|repeat| factors.slope_in_n(repeat, trial)),
        ("A, slope in m", factors.repeats, &|repeat| factors.slope_in_m(repeat, trial)),
        ("counter-check", factors.repeats, &|repeat| factors.uninformative(repeat, trial)),
        ("C", factors.contrastive_repeats, &|repeat| factors.contrastive(repeat, trial)),
        ("B", clusters.repeats, &|repeat| clusters.excess(repeat, trial)),
    ];
    for (name, repeats, experiment) in experiments {
        let figures = repeated(name, repeats, experiment, trial)?;
        add(&mut evidence, figures);
    }
    let figures = repeated("D", digits.repeats(), &|draw| digits.accuracies(draw), trial)?;
    add(&mut evidence, figures);
    digits.crossings(&mut evidence);
    identities::add(&mut evidence)?;
    evidence.plots = [factors.plots(&evidence), clusters.plots(&evidence), digits.plots(&evidence)].concat();
    Ok(evidence)
}

/// All repetitions of one experiment.
fn repeated(name: &str, repeats: u64, one: Repetition, trial: &Trial) -> Result<Vec<(u64, Vec<Figure>)>> {
    trial.progress.begin(name, Some(repeats));
    (0..repeats)
        .into_par_iter()
        .map(|repeat| {
            checkpoint(trial.progress)?;
            let figures = one(repeat)?;
            trial.progress.advance(1);
            Ok((repeat, figures))
        })
        .collect()
}

/// Slope of ln y over ln x by least squares.
fn log_slope(x: &[f64], y: &[f64]) -> f64 {
    let logs = |values: &[f64]| values.iter().map(|v| v.ln()).collect::<Vec<f64>>();
    slope(&logs(x), &logs(y))
}

/// A curve of means with their 95% intervals: `metric` gives the metric's name at each place.
fn curve(evidence: &Evidence, arm: &str, places: &[f64], metric: impl Fn(f64) -> String) -> Series {
    let point = |at: &f64| {
        let values: Vec<f64> = evidence.values(arm, &metric(*at)).into_iter().map(|(_, v)| v).collect();
        let interval = stats::t_interval(&values, 0.95, 0.0);
        [*at, interval.mean, interval.low.max(1e-3 * interval.mean.abs()), interval.high]
    };
    Series { name: arm.to_owned(), points: places.iter().map(point).collect() }
}

fn plot(title: &str, x: &str, y: &str, log: (bool, bool), series: Vec<Series>) -> Plot {
    Plot { title: title.into(), x: x.into(), y: y.into(), log_x: log.0, log_y: log.1, series }
}

/// Ridge without a penalty.
const LEAST_SQUARES: Penalty = Penalty::Fixed(0.0);
