use super::*;
use crate::{Level, MixtureDenoiser, Prediction, Schedule, data_prediction, denoiser_fn};
use ndarray::{Array2, ArrayView2, Axis, array};
use quadrat_core::{Progress, Seed, Silent};
use quadrat_numeric::mixture::{Covariances, Mixture};

fn normal() -> MixtureDenoiser {
    MixtureDenoiser::new(Mixture {
        weights: array![1.0],
        means: array![[1.0, -1.0, 0.0]],
        covariances: Covariances::Diagonal(array![[1.0, 0.5, 0.25]]),
    })
    .unwrap()
}

/// Of a normal law the reconstruction is E x₀ + gain (x - α mean): the expected squared distance of a row is
/// Σ ((1 - α gain)² (x₀ - mean)² + gain² σ²). 20,000 draws, within 4.5 standard errors (a false alarm in 50,000 runs for each of 3).
#[test]
fn scores_of_a_normal_law_have_their_expectation() {
    let (denoiser, schedule, abar) = (normal(), Schedule::linear(), 0.6);
    let squares = |a: ArrayView2<f64>, b: ArrayView2<f64>| Ok((&a - &b).mapv(|v| v * v).sum_axis(Axis(1)).to_vec());
    let draws = 20_000;
    let rows = array![[1.0, -1.0, 0.0], [3.0, -1.0, 0.5], [-2.0, 2.0, 0.0]];
    let scoring = Scoring { abar: Some(abar), draws, distance: Distance::Pairs(&squares) };
    let found = scoring.score(&denoiser, &schedule, rows.view(), Seed(1), &Silent).unwrap();
    let (alpha, sigma) = (abar.sqrt(), (1.0 - abar).sqrt());
    for (row, score) in rows.outer_iter().zip(&found.scores) {
        let (mut mean, mut variance) = (0.0, 0.0);
        for (j, (v, m)) in [1.0, 0.5, 0.25].into_iter().zip([1.0, -1.0, 0.0]).enumerate() {
            let gain = alpha * v / (alpha * alpha * v + sigma * sigma);
            // (b + c z)² with z normal: mean b² + c², variance 2c⁴ + 4b²c².
            let (b, c) = ((1.0 - alpha * gain) * (row[j] - m), gain * sigma);
            mean += b * b + c * c;
            variance += 2.0 * c.powi(4) + 4.0 * b * b * c * c;
        }
        let error = (variance / draws as f64).sqrt();
        assert!((score - mean).abs() < 4.5 * error, "{score} for {mean} ± {error}");
    }
}

/// A row's noise is its own: blocks, threads and the other rows change nothing.
#[test]
fn scores_do_not_depend_on_threads_or_company() {
    let denoiser = normal();
    let rows = denoiser.sample(1100, &Level::CLEAN, Seed(1)).unwrap();
    let run = |rows: ArrayView2<f64>, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let scoring = Scoring { abar: Some(0.5), ..Scoring::default() };
        pool.install(|| scoring.score(&denoiser, &Schedule::linear(), rows, Seed(2), &Silent)).unwrap().scores
    };
    let all = run(rows.view(), 1);
    assert_eq!(all, run(rows.view(), 2));
    assert_eq!(all[..40], run(rows.slice(ndarray::s![..40, ..]), 2));
}

/// The level means the same on every schedule, and the rule takes one where rows can be told apart.
#[test]
fn levels_and_the_rule() {
    let denoiser = MixtureDenoiser::kernel(array![[-1.0, 0.0], [1.0, 0.0], [1.0, 0.4]].view(), 0.2).unwrap();
    let rows = denoiser.sample(200, &Level::CLEAN, Seed(3)).unwrap();
    let score = |schedule: &Schedule, abar| {
        let scoring = Scoring { abar, ..Scoring::default() };
        scoring.score(&denoiser, schedule, rows.view(), Seed(4), &Silent).unwrap()
    };
    let [linear, edm] = [Schedule::linear(), Schedule::edm()].map(|s| score(&s, Some(0.7)).scores);
    assert!(linear.iter().zip(&edm).all(|(a, b)| (a - b).abs() < 1e-9));
    let chosen = score(&Schedule::linear(), None);
    assert!(chosen.warning.is_none() && chosen.error < 1.0 && chosen.abar >= 0.05, "{chosen:?}");
    let drowned = score(&Schedule::linear(), Some(0.001));
    assert!(drowned.warning.as_ref().is_some_and(|w| w.contains("larger abar")), "{:?}", drowned.warning);
    // A model that says one and the same is no better than the mean.
    let far = denoiser_fn(2, Prediction::Data, |x: ArrayView2<f64>, _: &Level| Ok(Array2::from_elem(x.raw_dim(), 9.0)));
    let found = Scoring::default().score(&far, &Schedule::linear(), rows.view(), Seed(4), &Silent).unwrap();
    assert!(found.abar == 0.66 && found.warning.is_some());
    // One row has no variance: a score with a warning.
    let one =
        Scoring::default().score(&denoiser, &Schedule::linear(), rows.slice(ndarray::s![..1, ..]), Seed(4), &Silent);
    assert!(one.unwrap().warning.is_some());
}

#[test]
fn distances_are_what_they_say() {
    let (a, b) =
        (array![[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]], array![[3.0, 4.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]]);
    let between = |distance: Distance| distance.between(a.view(), b.view()).unwrap();
    assert_eq!(between(Distance::L2), [5.0, 0.0]);
    assert_eq!(between(Distance::L1), [7.0, 0.0]);
    // Root of 25/4, and the mean of the four pixels, 7/4.
    assert_eq!(between(Distance::MultiScale([1, 2, 2])), [(2.5 + 1.75) / 2.0, 0.0]);
    // Rows of three pixels: 3, 4, 0 become 3.5 and 0, then 1.75.
    let odd = Distance::MultiScale([1, 1, 3]);
    let found = odd.between(array![[0.0, 0.0, 0.0]].view(), array![[3.0, 4.0, 0.0]].view()).unwrap();
    let by_hand = ((25.0f64 / 3.0).sqrt() + (12.25f64 / 2.0).sqrt() + 1.75) / 3.0;
    assert!((found[0] - by_hand).abs() < 1e-12);
    // Two channels are halved apart.
    assert_eq!(between(Distance::MultiScale([2, 1, 2]))[0], (2.5 + (12.25f64 / 2.0).sqrt()) / 2.0);
    let first = |x: ArrayView2<f64>| Ok(x.slice(ndarray::s![.., ..1]).to_owned());
    assert_eq!(between(Distance::Features(&first)), [3.0, 0.0]);

    let refused = |distance: Distance, words: &str| {
        let error = distance.between(a.view(), b.view()).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    refused(Distance::MultiScale([1, 3, 3]), "images");
    refused(Distance::Pairs(&|_, _| Ok(vec![1.0])), "one for each");
    refused(Distance::Pairs(&|_, _| Ok(vec![1.0, f64::NAN])), "row 1");
    refused(Distance::Features(&|_| Err(Error::input("features", "none", "some"))), "none");
    assert!(Distance::L2.between(a.view(), array![[1.0]].view()).is_err());
}

#[test]
fn labels_are_quantiles() {
    let scores: Vec<f64> = (0..100).map(|i| f64::from((i * 37) % 100)).collect();
    for classes in [2, 3, 7, 10, 100] {
        let (labels, thresholds) = quantile_labels(&scores, classes).unwrap();
        assert_eq!(thresholds.len(), classes);
        for (score, label) in scores.iter().zip(&labels) {
            let c = *label as usize;
            assert!(*score <= thresholds[c] && (c == 0 || *score > thresholds[c - 1]));
        }
        let sizes: Vec<usize> = (0..classes as u32).map(|c| labels.iter().filter(|l| **l == c).count()).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
    }
    // At the threshold of 1.0: the lower class.
    assert_eq!(quantile_labels(&[0.0, 1.0, 2.0], 2).unwrap().0, [0, 0, 1]);
    for (scores, classes, words) in [
        (vec![1.0, 2.0], 3, "3 for 2 samples"),
        (vec![1.0, 2.0], 1, "at least 2"),
        (vec![], 2, "2 for 0"),
        (vec![2.0, 2.0, 2.0], 2, "coincide"),
        (vec![1.0, f64::NAN, 2.0], 2, "row 1"),
        (vec![1.0, f64::INFINITY], 2, "row 1"),
        (vec![0.0, 1.0, 1.0, 1.0], 2, "class 1"),
    ] {
        let error = quantile_labels(&scores, classes).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn what_cannot_be_scored_is_refused() {
    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let (denoiser, schedule) = (normal(), Schedule::linear());
    let rows = array![[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]];
    let refused = |scoring: Scoring, rows: ArrayView2<f64>, words: &str| {
        let error = scoring.score(&denoiser, &schedule, rows, Seed(1), &Silent).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    let plain = Scoring { abar: Some(0.5), ..Scoring::default() };
    for abar in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(Scoring { abar: Some(abar), ..plain }, rows.view(), "between 0 and 1");
    }
    refused(Scoring { abar: Some(0.999_999_9), ..plain }, rows.view(), "schedule's own");
    refused(Scoring { draws: 0, ..plain }, rows.view(), "one draw");
    refused(plain, Array2::zeros((0, 3)).view(), "one row");
    refused(plain, Array2::zeros((2, 2)).view(), "2 numbers");
    for bad in [f64::NAN, f64::INFINITY] {
        refused(plain, array![[0.0, 0.0, 0.0], [0.0, bad, 0.0]].view(), "row 1");
    }
    refused(
        Scoring { distance: Distance::Pairs(&|a, _| Ok(vec![f64::NAN; a.nrows()])), ..plain },
        rows.view(),
        "row 0",
    );
    assert!(matches!(plain.score(&denoiser, &schedule, rows.view(), Seed(1), &Stopped), Err(Error::Cancelled)));

    let classifier = crate::guidance::MixtureClassifier::new(&denoiser, &[1]).unwrap();
    let method = MinorityGuidance::default();
    assert_eq!(method.guided(&denoiser, &classifier, None).unwrap().class, 1);
    assert!(method.guided(&denoiser, &classifier, Some(2)).is_err());
    for weight in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(MinorityGuidance { weight, ..method }.guided(&denoiser, &classifier, None).is_err());
    }
}

#[cfg(feature = "networks")]
mod with_networks {
    use super::*;
    use crate::guidance::{MixtureClassifier, NoisyClassifier};
    use crate::{Grid, Solver, integrate, noise};

    fn modes() -> MixtureDenoiser {
        MixtureDenoiser::new(Mixture {
            weights: array![0.8, 0.2],
            means: array![[-1.0, 0.0], [1.5, 1.0]],
            covariances: Covariances::Spherical(array![0.2, 0.2]),
        })
        .unwrap()
    }

    fn teaching() -> Teaching {
        Teaching { hidden: vec![32, 32], epochs: 60, batch: 128, rate: 5e-3 }
    }

    /// What is learnt are the chances of the classes at every level, and the gradient is that of what is answered.
    #[test]
    fn a_classifier_learns_the_exact_one() {
        let law = modes();
        let rows = law.sample(1500, &Level::CLEAN, Seed(1)).unwrap();
        let labels: Vec<u32> = rows.outer_iter().map(|row| u32::from(row[0] + row[1] > 0.75)).collect();
        let schedule = Schedule::linear();
        let found = teaching().teach(&schedule, rows.view(), (&labels, 2), Seed(2), &Silent).unwrap();
        let exact = MixtureClassifier::new(&law, &[0, 1]).unwrap();
        for lambda in [-2.0, 0.0, 1.0] {
            let at = schedule.level(schedule.time_of(lambda));
            let x = law.sample(300, &at, Seed(3)).unwrap();
            let [own, wanted] =
                [&found as &dyn NoisyClassifier, &exact].map(|c| c.log_prob_grad(x.view(), &at, 1).unwrap());
            let off = own.0.iter().zip(&wanted.0).map(|(a, b)| (a.exp() - b.exp()).abs()).sum::<f64>() / 300.0;
            // Answering the class's share, 0.2, is off by more than that at the lower levels.
            assert!(off < 0.06, "{off} at λ = {lambda}");
            let step = 1e-3;
            let mut moved = x.clone();
            moved.column_mut(0).mapv_inplace(|v| v + step);
            let (up, _) = found.log_prob_grad(moved.view(), &at, 1).unwrap();
            let slopes: Vec<f64> = up.iter().zip(&own.0).map(|(a, b)| (a - b) / step).collect();
            let apart =
                slopes.iter().zip(own.1.column(0)).filter(|(a, b)| (*a - *b).abs() > 0.05 * (1.0 + b.abs())).count();
            assert!(apart <= 9, "{apart} of 300 slopes differ");
        }
    }

    /// Guided to the rarest class, samples leave the common mode; the same bits at one thread and at two.
    #[test]
    fn guided_samples_are_rarer() {
        let law = modes();
        let rows = law.sample(600, &Level::CLEAN, Seed(1)).unwrap();
        let method = MinorityGuidance { classes: 3, epochs: 10, abar: Some(0.5), ..MinorityGuidance::default() };
        let schedule = Schedule::linear();
        let plan = Solver::Ddpm.plan(schedule.clone(), &Grid::LogSnr, 30).unwrap();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let guide = method.fit(&law, &schedule, rows.view(), Distance::L2, Seed(2), &Silent).unwrap();
                assert_eq!((guide.labels.len(), guide.thresholds.len()), (600, 3));
                let scores = |class| {
                    let guided = method.guided(&law, &guide.classifier, class).unwrap();
                    let drawn = integrate(&plan, &guided, noise(&plan, 200, 2, Seed(3)), Seed(3), &Silent).unwrap();
                    method.scoring(Distance::L2).score(&law, &schedule, drawn.view(), Seed(4), &Silent).unwrap().scores
                };
                [scores(Some(0)), scores(None)]
            })
        };
        let [common, rare] = run(2);
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        assert!(mean(&rare) > 1.2 * mean(&common), "{} and {}", mean(&rare), mean(&common));
        assert_eq!([common, rare], run(1));
    }

    #[test]
    fn what_cannot_be_taught_is_refused() {
        let rows = modes().sample(20, &Level::CLEAN, Seed(1)).unwrap();
        let labels: Vec<u32> = (0..20).map(|i| i % 2).collect();
        let teach = |rows: ArrayView2<f64>, labels: &[u32], classes: usize, teaching: &Teaching| {
            teaching.teach(&Schedule::linear(), rows, (labels, classes), Seed(1), &Silent)
        };
        let good = Teaching { epochs: 1, ..teaching() };
        assert!(teach(rows.view(), &labels, 2, &good).is_ok());
        let mut nan = rows.clone();
        nan[[3, 1]] = f64::NAN;
        for (rows, labels, classes, teaching, words) in [
            (rows.view(), &labels[1..], 2, good.clone(), "19 labels"),
            (rows.view(), &labels[..], 1, good.clone(), "two classes"),
            (rows.slice(ndarray::s![..1, ..]), &labels[..1], 2, good.clone(), "two rows"),
            (nan.view(), &labels[..], 2, good.clone(), "row 3"),
            (Array2::ones((20, 2)).view(), &labels[..], 2, good.clone(), "differ"),
            (rows.view(), &[5; 20][..], 2, good.clone(), "label of row 0"),
            (rows.view(), &labels[..], 2, Teaching { hidden: vec![0], ..good.clone() }, "one unit"),
            (rows.view(), &labels[..], 2, Teaching { epochs: 0, ..good.clone() }, "epochs"),
            (rows.view(), &labels[..], 2, Teaching { rate: f64::NAN, ..good.clone() }, "rate"),
        ] {
            let error = teach(rows, labels, classes, &teaching).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
        let found = teach(rows.view(), &labels, 2, &good).unwrap();
        let at = Schedule::linear().level(0.5);
        assert!(found.log_prob_grad(rows.view(), &at, 2).is_err());
        assert!(found.log_prob_grad(rows.view(), &Level::CLEAN, 1).is_err());
        assert!(found.log_prob_grad(array![[1.0]].view(), &at, 1).is_err());
        let one = data_prediction(&modes(), rows.view(), &at);
        assert!(one.is_ok());
    }
}
