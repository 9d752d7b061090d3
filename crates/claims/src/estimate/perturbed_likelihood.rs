//! Does noise on the training rows, taken out again when generating, bring a generator nearer to a thin set's law?

mod identities;
mod sets;

use super::{curve, plot};
use crate::{Figure, Repetitions, Trial};
use ndarray::{Array2, ArrayView2, Axis, s};
use quadrat_core::{By, Evidence, Relation, Result, Seed, Silent, checkpoint, stats};
use quadrat_estimate::GenerativeModel;
use quadrat_estimate::perturbed_likelihood::{Bound, Fitted, Noise, PerturbedMle, Sigma, choose};
use quadrat_numeric::linalg::{gram, symmetric_eigen};
use quadrat_numeric::transport::wasserstein1;
use sets::Set;

struct Plan {
    /// Rows to learn from, a fifth of them held out to choose; and generated and fresh rows to judge by.
    rows: usize,
    judged: usize,
    steps: usize,
    /// Noise levels, the first of them 0; as many starts of a fit without noise.
    levels: &'static [f64],
    /// Most repetitions of what decides, and those of the auto-encoder beside it.
    most: usize,
    beside: usize,
}

const SETS: [Set; 2] = [Set::Circle, Set::Spiral];
const CHOSEN: &str = "t chosen";
const CHOSEN_NOISY: &str = "t chosen, s kept";
const PLAIN: &str = "t = 0";
const STARTS: &str = "t = 0, start chosen";
const NORMAL: &str = "PCA Gaussian";
const KERNEL: &str = "kernel density";
/// Geometric mean over the sets, by quadrature and by the variational bound.
const POOLED: [&str; 2] = ["W1 less the floor/quadrature, all sets", "W1 less the floor/VAE, all sets"];
/// Pairs of samples behind each mean distance, the floor included.
const PAIRS: usize = 3;

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let small = Plan { rows: 100, judged: 60, steps: 20, levels: &[0.0, 0.2], most: 2, beside: 1 };
    let usual =
        |most, beside| Plan { rows: 1000, judged: 500, steps: 1000, levels: &[0.0, 0.05, 0.1, 0.2], most, beside };
    let plan = trial.at(small, usual(12, 2), usual(60, 4));
    let mut evidence = plan.evidence();
    trial.repeat(&mut evidence, Repetitions { part: "quadrature", pilot: 6, most: plan.most }, |seed| {
        plan.compare(0, seed, trial)
    })?;
    trial.repeat(&mut evidence, Repetitions { part: "VAE", pilot: 0, most: plan.beside }, |seed| {
        plan.compare(1, seed, trial)
    })?;
    identities::add(&mut evidence, trial)?;
    let names = ["quadrature", "VAE"];
    let series = (0..2).map(|model| {
        let of = |t: f64| (t, format!("t = {t}"));
        let points = plan.levels.iter().map(|t| of(*t)).flat_map(|(t, arm)| {
            let arm = if t == 0.0 { PLAIN.to_owned() } else { arm };
            curve(&evidence, &arm, &[t], |_| POOLED[model].to_owned()).points
        });
        quadrat_core::Series { name: names[model].to_owned(), points: points.collect() }
    });
    let series = series.collect();
    let title = "Distance against noise, all sets";
    evidence.plots = vec![plot(title, "noise t", "W1 less the floor", (false, true), series)];
    Ok(evidence)
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let names: Vec<&str> = SETS.iter().map(|set| set.name()).collect();
        let mut e = Evidence::new(
            "A deep generator fitted by likelihood to rows on a singular set is consistent, at a rate that the number of \
             columns does not enter, when the rows are perturbed by noise of the right size; in simulations and on images the \
             perturbed VAE and IWAE beat the plain ones, with a U-shape in the noise. (Qualitative; the paper's own figures \
             were not at hand.)",
            format!(
                "Sets: {}, each in every repetition. {} rows, of which a fifth chooses by exact W1: the noise level of {:?}, or \
                 one of as many starts without noise. Networks of 2 x 64, {} steps, the likelihood by quadrature. {} generated \
                 rows against as many fresh ones: W1 less the floor, which is the W1 of two fresh samples (at least a tenth of it \
                 stays), means of {PAIRS} pairs; geometric means over the sets.",
                names.join(", "),
                self.rows,
                self.levels,
                self.steps,
                self.judged
            ),
        );
        let [exact, vae] = POOLED;
        let ratio = By::Ratio;
        let says = "chosen noise is nearer by a fifth than no noise with as many starts to choose from";
        e.expect(says, exact, CHOSEN, Some(STARTS), Relation::Below(0.8)).by(ratio).matters(1.2);
        let says = "without noise the generator has learnt: less than half as far as a normal law";
        e.gate(says, exact, STARTS, Some(NORMAL), Relation::Below(0.5)).by(ratio).matters(1.2);
        let says = "with noise it has learnt as well";
        e.gate(says, exact, CHOSEN, Some(NORMAL), Relation::Below(0.5)).by(ratio).matters(1.2);
        let most = format!("t = {}", self.levels.last().copied().unwrap_or_default());
        for (metric, model) in [(exact, "quadrature"), (vae, "VAE")] {
            for (says, arm, rival, relation) in [
                ("chosen noise over one fit without noise", CHOSEN, PLAIN, Relation::Below(1.0)),
                ("s kept in the generated rows, over s taken out", CHOSEN_NOISY, CHOSEN, Relation::Above(1.0)),
                ("the most noise over the chosen one (a U-shape)", &most, CHOSEN, Relation::Above(1.0)),
                ("chosen noise over a kernel density", CHOSEN, KERNEL, Relation::Below(1.0)),
            ] {
                e.report(&format!("{model}: {says}"), metric, arm, Some(rival), relation).by(ratio);
            }
        }
        e.report("VAE: chosen noise over as many starts", vae, CHOSEN, Some(STARTS), Relation::Below(1.0)).by(ratio);
        for set in SETS {
            let says = format!("{}: chosen noise over as many starts", set.name());
            let metric = format!("W1 less the floor/quadrature, {}", set.name());
            e.report(&says, &metric, CHOSEN, Some(STARTS), Relation::Below(1.0)).by(ratio);
        }
        e.notes.push(
            "W1 between finite samples of one law is not 0, which is why what fresh samples show is taken off. Noise is drawn \
             afresh every epoch, which regularises on its own. Kernel densities choose their bandwidth among the same levels."
                .into(),
        );
        e.notes.push(
            "Changed after earlier runs, whose 5 and 6 repetitions of means over sets could have seen no less than half a \
             clean distance: logarithms, two sets in every repetition, a planned number of half as long fits, and a limit: \
             on pilot seeds the ratio was about 1, and a gain without a size could not be refuted. The \
             variational auto-encoder, which collapses now and then, is reported; fits of a fixed s, the other sets and the \
             rate in the number of rows are gone."
                .into(),
        );
        e
    }

    /// Every set, fitted in every way; `model` 0 is the likelihood by quadrature, 1 the variational bound.
    fn compare(&self, model: usize, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let name = ["quadrature", "VAE"][model];
        let mut found: Vec<Figure> = Vec::new();
        let mut pooled: Vec<(String, f64)> = Vec::new();
        for set in SETS {
            let figures = self.distances(set, model, seed.stream(set.name()), trial)?;
            for (arm, distance) in figures {
                found.push((arm.clone(), format!("W1 less the floor/{name}, {}", set.name()), distance));
                match pooled.iter_mut().find(|(known, _)| *known == arm) {
                    Some((_, sum)) => *sum += distance.ln(),
                    None => pooled.push((arm, distance.ln())),
                }
            }
        }
        let sets = SETS.len() as f64;
        found.extend(pooled.into_iter().map(|(arm, sum)| (arm, POOLED[model].to_owned(), (sum / sets).exp())));
        Ok(found)
    }

    /// Distances of each arm's rows from the set's law.
    fn distances(&self, set: Set, model: usize, seed: Seed, trial: &Trial) -> Result<Vec<(String, f64)>> {
        let x = set.draw(self.rows, seed.stream("rows"));
        let (held_out, train) = x.view().split_at(Axis(0), self.rows / 5);
        let nth = |what: &str, i: usize| seed.stream(what).stream(&i.to_string());
        let judges: Vec<Array2<f64>> = (0..PAIRS).map(|i| set.draw(self.judged, nth("judge", i))).collect();
        // The mean distance of what `make` draws from each seed.
        let distance = |make: &dyn Fn(Seed) -> Result<Array2<f64>>| -> Result<f64> {
            let pairs = judges.iter().enumerate();
            let all = pairs.map(|(i, judge)| wasserstein1(make(nth("made", i))?.view(), judge.view()));
            Ok(stats::mean(&all.collect::<Result<Vec<_>>>()?))
        };
        let floor = distance(&|seed| Ok(set.draw(self.judged, seed)))?;
        let far = |make: &dyn Fn(Seed) -> Result<Array2<f64>>| Ok((distance(make)? - floor).max(0.1 * floor));
        let fit = |noise: f64, start: usize| -> Result<(f64, Fitted)> {
            checkpoint(trial.progress)?;
            let method = PerturbedMle {
                latent: 1,
                bound: if model == 0 { Bound::Quadrature { m: 128 } } else { Bound::Elbo },
                noise: Noise::Fixed(noise),
                sigma: Sigma::Learned { floor: 0.0 },
                steps: self.steps,
                ..PerturbedMle::default()
            };
            let fitted = method.fit(train, seed.stream("start").stream(&start.to_string()), &Silent)?;
            let made = fitted.sample(held_out.nrows(), seed.stream("validation"));
            Ok((wasserstein1(made.view(), held_out)?, fitted))
        };
        let test = |fitted: &Fitted| far(&|seed| Ok(fitted.sample(self.judged, seed)));

        let plain = fit(0.0, 0)?;
        let mut found = vec![(PLAIN.to_owned(), test(&plain.1)?)];
        // The two ways to spend the same number of further fits; the first fit is common to both.
        let (mut perturbed, mut starts) = (vec![(0.0, plain.clone())], vec![(0.0, plain)]);
        for (i, t) in self.levels.iter().enumerate().skip(1) {
            let fitted = fit(*t, 0)?;
            found.push((format!("t = {t}"), test(&fitted.1)?));
            perturbed.push((*t, fitted));
            starts.push((0.0, fit(0.0, i)?));
        }
        for (way, fits) in [(CHOSEN, perturbed), (STARTS, starts)] {
            let validation: Vec<(f64, f64)> = fits.iter().map(|(t, (w1, _))| (*t, *w1)).collect();
            let (_, (_, best)) = &fits[choose(&validation)];
            found.push((way.to_owned(), test(best)?));
            if way == CHOSEN {
                let kept = far(&|seed| Ok(best.sample_noisy(self.judged, seed)))?;
                found.push((CHOSEN_NOISY.to_owned(), kept));
            }
        }
        found.push((NORMAL.to_owned(), far(&|seed| gaussian(train, self.judged, seed))?));
        let smoothed = |h: f64, rows: usize, seed: Seed| noisy(&bootstrap(train, rows, seed), h, seed);
        let width = |h: &f64| Ok((*h, wasserstein1(smoothed(*h, held_out.nrows(), seed).view(), held_out)?));
        let widths = self.levels.iter().map(width).collect::<Result<Vec<_>>>()?;
        let h = widths[choose(&widths)].0;
        found.push((KERNEL.to_owned(), far(&|seed| Ok(smoothed(h, self.judged, seed)))?));
        Ok(found)
    }
}

/// Rows drawn with replacement.
fn bootstrap(x: ArrayView2<f64>, rows: usize, seed: Seed) -> Array2<f64> {
    let mut rng = seed.stream("bootstrap").rng(0);
    let chosen: Vec<usize> = (0..rows).map(|_| rng.below(x.nrows())).collect();
    x.select(Axis(0), &chosen)
}

fn noisy(x: &Array2<f64>, h: f64, seed: Seed) -> Array2<f64> {
    let mut rng = seed.stream("bandwidth").rng(0);
    x.mapv(|v| v + h * rng.normal())
}

/// A Gaussian with the rows' mean and covariance.
fn gaussian(x: ArrayView2<f64>, rows: usize, seed: Seed) -> Result<Array2<f64>> {
    let mean = x.sum_axis(Axis(0)) / x.nrows() as f64;
    let centred = &x - &mean;
    let (values, vectors) = symmetric_eigen((gram(centred.view(), None)? / x.nrows() as f64).view())?;
    let mut rng = seed.stream("gaussian").rng(0);
    let mut made = Array2::from_shape_simple_fn((rows, x.ncols()), || rng.normal());
    for (k, value) in values.iter().enumerate() {
        made.slice_mut(s![.., k]).mapv_inplace(|v| v * value.max(0.0).sqrt());
    }
    Ok(made.dot(&vectors.t()) + &mean)
}
