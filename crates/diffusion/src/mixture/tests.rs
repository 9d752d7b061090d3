use super::*;
use crate::Schedule;
use ndarray::array;
use proptest::prelude::*;

/// Mixtures in two dimensions with covariances of every kind.
fn all() -> Vec<MixtureDenoiser> {
    let full = |a: f64, b: f64, c: f64| array![[a, b], [b, c]];
    let means = array![[-1.5, 0.2], [1.0, 1.0], [0.5, -2.0]];
    [
        Covariances::Spherical(array![0.3, 0.1, 0.5]),
        Covariances::Diagonal(array![[0.3, 0.6], [0.1, 0.2], [0.5, 0.05]]),
        Covariances::Shared(full(0.5, 0.2, 0.3)),
        Covariances::Full(vec![full(0.5, 0.2, 0.3), full(0.2, -0.1, 0.4), full(0.3, 0.0, 0.1)]),
    ]
    .into_iter()
    .map(|covariances| {
        MixtureDenoiser::new(Mixture { weights: array![0.5, 0.3, 0.2], means: means.clone(), covariances }).unwrap()
    })
    .collect()
}

/// The gradient of a function of one row, by central differences.
fn slope(f: impl Fn(&Array2<f64>) -> f64, x: &Array2<f64>, h: f64) -> Array1<f64> {
    (0..x.ncols())
        .map(|j| {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[[0, j]] += by;
                f(&x)
            };
            (moved(h) - moved(-h)) / (2.0 * h)
        })
        .collect()
}

proptest! {
    /// Tweedie: E[x₀ | x] = (x + σ² ∇ ln p) / α, and Cov[x₀ | x] = σ²/α² (I + σ² ∇² ln p), whose product with α/σ² is the Jacobian.
    #[test]
    fn tweedie_holds_to_second_order(a in -3.0..3.0f64, b in -3.0..3.0f64, t in 0.1..0.9f64) {
        let x = array![[a, b]];
        for denoiser in all() {
            for schedule in [Schedule::linear(), Schedule::Exploding { sigma: [0.02, 3.0] }] {
                let at = schedule.level(t * schedule.times()[1]);
                let data = denoiser.predict(x.view(), &at).unwrap();
                let score = slope(|x| denoiser.log_density(x.view(), &at).unwrap()[0], &x, 1e-5);
                let tweedie = (&x.row(0) + &(score * at.sigma.powi(2))) / at.alpha;
                let off = (&tweedie - &data.row(0)).mapv(f64::abs).sum();
                prop_assert!(off < 1e-6 * (1.0 + at.sigma.powi(2) / at.alpha), "off by {off}");
                let u = array![[0.3, -0.8]];
                let covered = denoiser.covariance_times(x.view(), &at, u.view()).unwrap();
                let jacobian = slope(|x| denoiser.predict(x.view(), &at).unwrap().row(0).dot(&u.row(0)), &x, 1e-5);
                let off = (&(jacobian * at.sigma.powi(2) / at.alpha) - &covered.row(0)).mapv(f64::abs).sum();
                prop_assert!(off < 1e-7 * (1.0 + at.sigma.powi(2) / at.alpha), "Jacobian off by {off}");
                let (again, pulled) = denoiser.pull_back(x.view(), &at, &mut |_| Ok(u.clone())).unwrap();
                prop_assert_eq!(again, data);
                let off = (&pulled * (at.sigma.powi(2) / at.alpha) - &covered).mapv(f64::abs).sum();
                prop_assert!(off < 1e-12);
            }
        }
    }
}

#[test]
fn means_and_covariances_of_noised_samples_are_the_laws() {
    let at = Schedule::linear().level(0.3);
    for denoiser in all() {
        let n = 20_000;
        let x = denoiser.sample(n, &at, Seed(3)).unwrap();
        let mean = x.mean_axis(Axis(0)).unwrap();
        let law = denoiser.noised(&at);
        let exact = law.weights.dot(&law.means);
        let spread = x.std_axis(Axis(0), 0.0);
        for j in 0..2 {
            // Five standard errors: a false alarm in 400,000 looks.
            assert!((mean[j] - exact[j]).abs() < 5.0 * spread[j] / (n as f64).sqrt());
        }
    }
}

/// Bayes: p(x₀ | y) p(y) = p(y | x₀) p(x₀), so the ratio to the right-hand side is the same at all points.
#[test]
fn the_law_given_measurements_is_bayes_rule() {
    let (matrix, measured, noise) = (array![[1.0, -0.5]], array![0.4], 0.3);
    let at = Level::CLEAN;
    for denoiser in all() {
        let given = denoiser.given(matrix.view(), measured.view(), noise).unwrap();
        let points = array![[0.0, 0.0], [1.0, 0.5], [-1.0, -1.0], [0.3, -2.0]];
        let prior = denoiser.log_density(points.view(), &at).unwrap();
        let posterior = given.log_density(points.view(), &at).unwrap();
        let ratio: Vec<f64> = points
            .outer_iter()
            .zip(prior.iter().zip(posterior))
            .map(|(x, (prior, posterior))| {
                let off = (matrix.dot(&x)[0] - measured[0]) / noise;
                posterior - prior + 0.5 * off * off
            })
            .collect();
        assert!(ratio.iter().all(|r| (r - ratio[0]).abs() < 1e-9), "{ratio:?}");
    }
}

#[test]
fn a_clean_sample_is_what_it_is() {
    let x = array![[0.3, 0.4]];
    assert_eq!(all()[0].predict(x.view(), &Level::CLEAN).unwrap(), x);
}

#[test]
fn what_makes_no_mixture_is_refused() {
    let kernel = |rows: Array2<f64>, h| MixtureDenoiser::kernel(rows.view(), h);
    assert!(kernel(Array2::zeros((0, 2)), 0.1).is_err());
    assert!(kernel(Array2::zeros((2, 0)), 0.1).is_err());
    assert!(kernel(array![[f64::NAN]], 0.1).is_err());
    for bandwidth in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(kernel(array![[1.0]], bandwidth).is_err());
    }
    let wrong = |weights, covariances| {
        MixtureDenoiser::new(Mixture { weights, means: array![[0.0], [1.0]], covariances }).is_err()
    };
    assert!(wrong(array![1.0], Covariances::Spherical(array![1.0, 1.0])));
    assert!(wrong(array![0.0, 0.0], Covariances::Spherical(array![1.0, 1.0])));
    assert!(wrong(array![-1.0, 2.0], Covariances::Spherical(array![1.0, 1.0])));
    let one = kernel(array![[1.0, 2.0]], 0.1).unwrap();
    assert!(one.predict(array![[1.0]].view(), &Schedule::linear().level(0.5)).is_err());
    assert!(one.given(array![[1.0]].view(), array![1.0].view(), 0.1).is_err());
    assert!(one.given(array![[1.0, 0.0]].view(), array![1.0].view(), 0.0).is_err());
}
