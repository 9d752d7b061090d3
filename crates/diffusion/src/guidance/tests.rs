use super::*;
use crate::{Grid, Schedule, Solver, denoiser_fn, integrate, noise};
use ndarray::array;
use quadrat_core::{Seed, Silent};

/// Three components of different shape in the plane; the last two make class 1.
fn mixture() -> (MixtureDenoiser, MixtureClassifier) {
    let all = MixtureDenoiser::new(Mixture {
        weights: array![0.9, 0.07, 0.03],
        means: array![[0.0, 0.0], [3.0, 0.5], [-1.0, 3.0]],
        covariances: Covariances::Full(vec![
            array![[1.0, 0.2], [0.2, 0.5]],
            array![[0.3, 0.0], [0.0, 0.3]],
            array![[0.2, -0.1], [-0.1, 0.4]],
        ]),
    })
    .unwrap();
    let classifier = MixtureClassifier::new(&all, &[0, 1, 1]).unwrap();
    (all, classifier)
}

/// The guided score is the gradient of ln p(x) p(class | x)ʷ: central differences, to 1e-5.
#[test]
fn the_guided_score_is_a_gradient() {
    let (all, classifier) = mixture();
    for schedule in [Schedule::linear(), Schedule::edm(), Schedule::Flow] {
        for lambda in [-1.0, 0.3, 1.5] {
            let at = schedule.level(schedule.time_of(lambda));
            let x = all.sample(6, &at, Seed(1)).unwrap();
            for (class, weight) in [(0, 0.5), (1, 1.0), (1, 3.5)] {
                let guided = ClassifierGuidance { denoiser: &all, classifier: &classifier, class, weight, clip: None };
                let data = guided.predict(x.view(), &at).unwrap();
                let score = (at.alpha * data - &x) / (at.sigma * at.sigma);
                let log = |x: ArrayView2<f64>| {
                    let of_class = classifier.log_prob_grad(x, &at, class).unwrap().0;
                    let all = all.log_density(x, &at).unwrap();
                    all.iter().zip(of_class).map(|(a, b)| a + weight * b).collect::<Vec<f64>>()
                };
                let step = 1e-5 * at.sigma;
                for j in 0..2 {
                    let moved = |by: f64| {
                        let mut x = x.clone();
                        x.column_mut(j).mapv_inplace(|v| v + by);
                        log(x.view())
                    };
                    for (i, (up, down)) in moved(step).into_iter().zip(moved(-step)).enumerate() {
                        let slope = (up - down) / (2.0 * step);
                        let found = score[[i, j]];
                        assert!((slope - found).abs() < 1e-5 * (1.0 + found.abs()), "{slope} and {found}");
                    }
                }
            }
        }
    }
}

/// Shares of the classes sum to 1, and with the exact classifier both kinds of guidance are one formula.
#[test]
fn both_kinds_agree_where_they_must() {
    let (all, classifier) = mixture();
    let at = Schedule::linear().level(0.3);
    let x = all.sample(20, &at, Seed(2)).unwrap();
    let [one, other] = [0, 1].map(|class| classifier.log_prob_grad(x.view(), &at, class).unwrap().0);
    assert!(one.iter().zip(&other).all(|(a, b)| (a.exp() + b.exp() - 1.0).abs() < 1e-12));
    let conditional = MixtureDenoiser::new(Mixture {
        weights: array![0.07, 0.03],
        means: array![[3.0, 0.5], [-1.0, 3.0]],
        covariances: Covariances::Full(vec![array![[0.3, 0.0], [0.0, 0.3]], array![[0.2, -0.1], [-0.1, 0.4]]]),
    })
    .unwrap();
    for weight in [0.0, 0.5, 1.0, 3.0] {
        let free = ClassifierFree { plain: &all, conditional: &conditional, weight };
        let by = ClassifierGuidance { denoiser: &all, classifier: &classifier, class: 1, weight, clip: None };
        let apart = free.predict(x.view(), &at).unwrap() - by.predict(x.view(), &at).unwrap();
        assert!(apart.iter().all(|v| v.abs() < 1e-10), "weight {weight}");
    }
}

/// Bayes' rule at w = 1: of 2,000 samples the share of the class's nearer mode is its 0.7, within 4.5 standard errors.
#[test]
fn guided_samples_are_of_the_class() {
    let (all, classifier) = mixture();
    let plan = Solver::Dpmpp2m.plan(Schedule::linear(), &Grid::LogSnr, 25).unwrap();
    let guided = ClassifierGuidance { denoiser: &all, classifier: &classifier, class: 1, weight: 1.0, clip: None };
    let drawn = integrate(&plan, &guided, noise(&plan, 2000, 2, Seed(3)), Seed(3), &Silent).unwrap();
    let near = drawn.outer_iter().filter(|row| row[0] > 1.0 && row[1] < 2.5).count() as f64 / 2000.0;
    assert!((near - 0.7).abs() < 4.5 * (0.21f64 / 2000.0).sqrt(), "{near}");
    let plain = integrate(&plan, &all, noise(&plan, 50, 2, Seed(3)), Seed(3), &Silent).unwrap();
    let none = ClassifierGuidance { weight: 0.0, ..guided };
    assert_eq!(integrate(&plan, &none, noise(&plan, 50, 2, Seed(3)), Seed(3), &Silent).unwrap(), plain);
}

#[test]
fn clipping_comes_before_the_pull() {
    let (all, classifier) = mixture();
    let at = Schedule::linear().level(0.3);
    let x = array![[5.0, 5.0], [0.0, 0.1]];
    let with = |weight, clip| ClassifierGuidance { denoiser: &all, classifier: &classifier, class: 1, weight, clip };
    let predict = |weight, clip| with(weight, clip).predict(x.view(), &at).unwrap();
    let clipped = predict(0.0, Some([-1.0, 1.0]));
    assert_eq!(clipped, predict(0.0, None).mapv(|v| v.clamp(-1.0, 1.0)));
    let pulls = [predict(2.0, Some([-1.0, 1.0])) - &clipped, predict(2.0, None) - predict(0.0, None)];
    assert!((&pulls[0] - &pulls[1]).iter().all(|v| v.abs() < 1e-12));
}

#[test]
fn what_does_not_fit_is_refused() {
    struct Wrong(Array2<f64>);
    impl NoisyClassifier for Wrong {
        fn classes(&self) -> usize {
            2
        }
        fn log_prob_grad(&self, _: ArrayView2<f64>, _: &Level, _: u32) -> Result<(Vec<f64>, Array2<f64>)> {
            Ok((vec![0.0], self.0.clone()))
        }
    }
    let (all, classifier) = mixture();
    let at = Schedule::linear().level(0.3);
    let x = array![[0.5, 0.5]];
    let good = ClassifierGuidance { denoiser: &all, classifier: &classifier, class: 1, weight: 1.0, clip: None };
    let refused = |guided: ClassifierGuidance, words: &str| {
        let error = guided.predict(x.view(), &at).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    refused(ClassifierGuidance { class: 2, ..good }, "0 to 1");
    refused(ClassifierGuidance { weight: f64::NAN, ..good }, "finite");
    refused(ClassifierGuidance { weight: f64::INFINITY, ..good }, "finite");
    refused(ClassifierGuidance { clip: Some([1.0, -1.0]), ..good }, "lower end");
    refused(ClassifierGuidance { clip: Some([f64::NAN, 1.0]), ..good }, "lower end");
    refused(ClassifierGuidance { classifier: &Wrong(array![[1.0]]), ..good }, "shape");
    refused(ClassifierGuidance { classifier: &Wrong(array![[1.0, f64::NAN]]), ..good }, "sample 0");
    assert!(good.predict(array![[1.0]].view(), &at).is_err());
    assert!(ClassifierFree { plain: &all, conditional: &all, weight: f64::NAN }.predict(x.view(), &at).is_err());
    let narrow = denoiser_fn(1, Prediction::Data, |x: ArrayView2<f64>, _: &Level| Ok(x.to_owned()));
    assert!(ClassifierFree { plain: &narrow, conditional: &all, weight: 2.0 }.predict(x.view(), &at).is_err());
    assert!(MixtureClassifier::new(&all, &[0, 1]).is_err());
    // Class 1 has no component: asking for it is an error, asking for the others is none.
    let gap = MixtureClassifier::new(&all, &[0, 2, 2]).unwrap();
    assert_eq!(gap.classes(), 3);
    assert!(gap.log_prob_grad(x.view(), &at, 1).is_err() && gap.log_prob_grad(x.view(), &at, 2).is_ok());
    assert!(gap.log_prob_grad(x.view(), &Level::CLEAN, 2).is_err());
}
