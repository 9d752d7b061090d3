use super::*;
use ndarray::array;
use proptest::prelude::*;
use quadrat_core::Seed;

const TRUNCATED: Law = Law::TruncatedNormal { mean: 0.0, sd: 2.0, min: 1.0, max: 9.0 };

/// scipy 1.17: ppf at 1e-12, 0.01, 0.3, 0.5, 0.9, 1 - 1e-9, and logpdf at the middle four.
#[rustfmt::skip]
fn golden() -> Vec<(Law, [f64; 6], [f64; 4])> {
    vec![
        (Law::Uniform { min: -2.0, max: 3.0 },
         [-1.999999999995, -1.95, -0.5, 0.5, 2.5, 2.9999999950000005],
         [-1.6094379124341003, -1.6094379124341003, -1.6094379124341003, -1.6094379124341003]),
        (Law::LogUniform { min: 0.001, max: 50.0 },
         [0.0010000000000108197, 0.0011142681067091427, 0.02568567607415555, 0.22360679774997896, 16.94622638669916, 49.99999945901111],
         [4.418181714204113, 1.2804460117251313, -0.8835096451569254, -5.211420958921039]),
        (Law::Triangular { min: -2.0, mode: 1.0, max: 3.0 },
         [-1.9999961270166537, -1.6127016653792583, 0.12132034355964239, 0.7386127875258302, 2.0, 2.999900000001414],
         [-2.9634630129852053, -1.2628643221541278, -1.0074515102711323, -1.6094379124341005]),
        (TRUNCATED,
         [1.000000000001753, 1.017565834628137, 1.5717026528747453, 2.036576728644684, 3.7366953764606965, 8.999961395679414],
         [-0.565592968398504, -0.7449440935548858, -0.954618536380332, -2.1815244819810404]),
        (Law::TruncatedNormal { mean: 1.0, sd: 2.0, min: -2.0, max: 1.5 },
         [-1.9999999999917861, -1.9202742950707226, -0.5016636386326052, 0.13537286318220854, 1.2286827790903816, 1.4999999972488074],
         [-2.0467845351880998, -1.2626585008306637, -1.0742318010969654, -0.9873212670633116]),
        (Law::Gumbel { location: 3.0, scale: 0.5 },
         [1.340530452482022, 2.2364101870960496, 2.907186620568817, 3.183256460290832, 4.125183663656223, 13.361632932364172],
         [-2.3848433796202437, -0.32519886490362515, -0.3665129205816645, -1.6625806624103272]),
        (Law::Weibull { shape: 1.7, scale: 2.5, location: 1.0 },
         [1.0000002183315406, 1.167013705424299, 2.3632357002452653, 3.015152542964802, 5.083269651329535, 15.870555232832686],
         [-2.289891910044078, -1.1668381913454855, -1.2297267463173212, -2.3448224492921668]),
        (Law::Beta { a: 2.0, b: 5.0, min: -1.0, max: 4.0 },
         [-0.9999987090051068, -0.8661840442862248, -0.0909826434052542, 0.32224991647830015, 1.5515815327574587, 3.944518695680162],
         [-1.9374797162782633, -0.715680398528231, -0.7668906257121091, -1.7369475469292344]),
        (Law::Beta { a: 0.4, b: 0.7, min: 0.0, max: 1.0 },
         [1.612550253313633e-30, 1.6125446812016062e-05, 0.07813500674855711, 0.26755992832498654, 0.8951770297004266, 0.9999999999995939],
         [5.51365452401617, 0.44657969844183865, -0.22295835506854744, -0.36433253180268343]),
        (Law::Normal { mean: 3.0, sd: 2.0 },
         [-11.068967650602263, -1.6526957480816815, 1.9511989745839182, 3.0, 5.563103131089201, 14.995614039203273],
         [-4.318032929291787, -1.749583662628846, -1.612085713764618, -2.433272921339526]),
        (Law::LogNormal { mu: 1.2, sigma: 0.5 },
         [0.09854500686731685, 1.0375125433023187, 2.5543549950041067, 3.3201169227365472, 6.301424902175618, 66.613250206051],
         [-2.9685646311514766, -1.3010890451549348, -1.4257913526447272, -2.8877543429919355]),
    ]
}

#[test]
fn quantiles_and_densities_are_those_of_scipy() {
    let p = [1e-12, 0.01, 0.3, 0.5, 0.9, 1.0 - 1e-9];
    for (law, quantiles, densities) in golden() {
        for (p, expected) in p.iter().zip(quantiles) {
            let got = law.at_uniform(*p);
            let tolerance = if *p > 0.999 { 1e-6 } else { 1e-9 };
            assert!((got - expected).abs() < tolerance * expected.abs().max(1e-30), "{law:?} {p}: {got} {expected}");
        }
        for (x, expected) in quantiles[1..5].iter().zip(densities) {
            assert!((law.ln_pdf(*x) - expected).abs() < 1e-8, "{law:?} {x}: {} {expected}", law.ln_pdf(*x));
        }
    }
}

proptest! {
    #[test]
    fn scores_and_values_are_inverse(z in -6.0_f64..6.0) {
        for (law, ..) in golden() {
            let x = law.at_normal(z);
            prop_assert!(law.ln_pdf(x) > f64::NEG_INFINITY, "{law:?} {z} {x}");
            // Where the value has digits left to tell one score from the next.
            if law.at_normal(z + 1e-4) > x * (1.0 + 1e-9 * x.signum()) {
                prop_assert!((law.score(x) - z).abs() < 1e-4, "{law:?} {z} {x} {}", law.score(x));
            }
            prop_assert!(law.at_normal(z + 0.1) >= x);
        }
    }
}

#[test]
fn tails_are_exact_on_both_sides() {
    let gumbel = Law::Gumbel { location: 0.0, scale: 1.0 };
    // -ln of the upper tail of a normal at 9: 1.1285884059538e-19.
    assert!((gumbel.at_normal(9.0) - 43.628).abs() < 0.001, "{}", gumbel.at_normal(9.0));
    let far = Law::TruncatedNormal { mean: 0.0, sd: 1.0, min: 8.0, max: 9.0 };
    assert!((far.at_normal(0.0) - 8.0843).abs() < 1e-3 && (far.score(far.at_normal(0.5)) - 0.5).abs() < 1e-6);
    for z in [-40.0, 40.0] {
        assert!(golden().iter().all(|(law, ..)| !law.at_normal(z).is_nan()), "{z}");
    }
}

/// Large shapes, as a problem file may have them; scipy 1.17's `beta.ppf` and `logpdf`.
#[test]
fn beta_laws_of_thousands_of_observations() {
    for (a, b, quantiles, density) in [
        (3500.0, 3500.0, [0.458033611510214, 0.5, 0.5076585597444677], 4.2010056470884045),
        (5000.0, 4000.0, [0.5185602515012218, 0.5555596709634307, 0.5622653329600376], 4.332883138107315),
    ] {
        let parameters = [("a", a), ("b", b)].map(|(name, value)| (name.to_owned(), value));
        let law = Law::from_parameters("beta", &parameters.into_iter().collect()).unwrap();
        for (p, expected) in [1e-12, 0.5, 0.9].into_iter().zip(quantiles) {
            let got = law.at_uniform(p);
            assert!((got / expected - 1.0).abs() < 1e-12, "{a} {b} {p}: {got} {expected}");
            let z = normal_quantile(Tails::below(p));
            assert!((law.at_normal(z) / expected - 1.0).abs() < 1e-12 && (law.score(got) - z).abs() < 1e-9);
        }
        let got: f64 = law.ln_pdf(quantiles[1]);
        assert!((got - density).abs() < 1e-9, "{a} {b}: {got}");
    }
}

#[test]
fn densities_vanish_outside_and_are_defined_at_the_ends() {
    for (law, outside) in [
        (Law::Uniform { min: 0.0, max: 1.0 }, [-0.1, 1.1]),
        (Law::LogNormal { mu: 0.0, sigma: 1.0 }, [-1.0, 0.0]),
        (Law::Weibull { shape: 2.0, scale: 1.0, location: 1.0 }, [0.9, -5.0]),
        (Law::Beta { a: 2.0, b: 2.0, min: 0.0, max: 1.0 }, [-0.1, 1.1]),
        (TRUNCATED, [0.9, 9.1]),
    ] {
        assert!(outside.iter().all(|x| law.ln_pdf(*x) == f64::NEG_INFINITY), "{law:?}");
    }
    let ends = Law::Triangular { min: 0.0, mode: 0.0, max: 1.0 };
    assert!((ends.ln_pdf(0.0) - 2.0_f64.ln()).abs() < 1e-12 && ends.at_uniform(0.75) == 0.5);
    let flat = Law::Beta { a: 1.0, b: 1.0, min: 0.0, max: 2.0 };
    assert!((flat.ln_pdf(0.0) + 2.0_f64.ln()).abs() < 1e-12);
}

#[test]
fn names_and_parameters_are_checked() {
    let law = |name: &str, parameters: &[(&str, f64)]| {
        Law::from_parameters(name, &parameters.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect())
    };
    assert_eq!(law("Truncated_Normal", &[("mean", 0.0), ("sd", 2.0), ("min", 1.0), ("max", 9.0)]).unwrap(), TRUNCATED);
    let Law::LogNormal { mu, sigma } = law("lognormal", &[("mean", 200.0), ("sd", 12.0)]).unwrap() else { panic!() };
    assert!(((mu + 0.5 * sigma * sigma).exp() - 200.0).abs() < 1e-9);
    assert!(((sigma * sigma).exp_m1().sqrt() * 200.0 - 12.0).abs() < 1e-9);
    for (name, parameters, part) in [
        ("unifrom", &[("min", 0.0)][..], "`uniform`"),
        ("uniform", &[("min", 0.0)], "no max"),
        ("uniform", &[("min", 0.0), ("max", 1.0), ("mode", 0.5)], "`mode`"),
        ("uniform", &[("min", 1.0), ("max", 0.0)], "ascending"),
        ("uniform", &[("min", f64::NEG_INFINITY), ("max", 0.0)], "finite"),
        ("normal", &[("mean", f64::NAN), ("sd", 1.0)], "finite"),
        ("normal", &[("mean", 0.0), ("sd", 0.0)], "positive"),
        ("lognormal", &[("mean", -1.0), ("sd", 1.0)], "positive"),
        ("triangular", &[("min", 0.0), ("mode", 2.0), ("max", 1.0)], "ascending"),
        ("truncated-normal", &[("mean", 0.0), ("sd", 1.0), ("min", 50.0), ("max", 60.0)], "far outside"),
        ("weibull", &[("shape", 0.0), ("scale", 1.0)], "positive"),
        ("beta", &[("a", 1.0), ("b", -1.0)], "positive"),
        ("log-uniform", &[("min", 0.0), ("max", 1.0)], "positive"),
        ("LogUniform", &[("min", 2.0), ("max", 1.0)], "ascending"),
    ] {
        let error = law(name, parameters).unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[test]
fn a_copula_couples_scores() {
    let laws = vec![
        Law::Normal { mean: 1.0, sd: 2.0 },
        Law::Uniform { min: 0.0, max: 1.0 },
        Law::Gumbel { location: 1.0, scale: 0.5 },
    ];
    let correlations = array![[1.0, -0.3, 0.2], [-0.3, 1.0, 0.4], [0.2, 0.4, 1.0]];
    let inputs = Inputs::correlated(laws.clone(), correlations.view()).unwrap();
    // scipy: the sum of the marginals' logpdf and multivariate_normal's at the scores, less the normals' own.
    assert!(
        (inputs.ln_pdf(&[1.5, 0.3, 2.0]) + 3.397215931289634_f64).abs() < 1e-9,
        "{}",
        inputs.ln_pdf(&[1.5, 0.3, 2.0])
    );
    assert_eq!(inputs.ln_pdf(&[1.5, 1.3, 2.0]), f64::NEG_INFINITY);
    // 20,000 draws: each correlation of scores within five standard errors (1 / sqrt n), one false alarm in a million.
    let mut products = [0.0; 3];
    for i in 0..20_000 {
        let mut rng = Seed(9).rng(i);
        let mut x = [rng.normal(), rng.normal(), rng.normal()];
        inputs.at_normal(&mut x);
        let z: Vec<f64> = x.iter().zip(&laws).map(|(x, law)| law.score(*x)).collect();
        for (sum, (a, b)) in products.iter_mut().zip([(0, 1), (0, 2), (1, 2)]) {
            *sum += z[a] * z[b] / 20_000.0;
        }
    }
    for (got, expected) in products.iter().zip([-0.3, 0.2, 0.4]) {
        assert!((got - expected).abs() < 5.0 * 1.1 / 20_000_f64.sqrt(), "{products:?}");
    }
    for bad in
        [array![[1.0]], array![[1.0, 0.5], [0.4, 1.0]], array![[1.0, 2.0], [2.0, 1.0]], array![[2.0, 0.0], [0.0, 1.0]]]
    {
        assert!(Inputs::correlated(laws[..2].to_vec(), bad.view()).is_err(), "{bad}");
    }
    assert!(Inputs::independent(Vec::new()).is_err());
}
