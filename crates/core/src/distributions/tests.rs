//! Against golden.csv (see golden.py beside it), and properties over the whole range.

use super::*;
use proptest::prelude::*;

const GOLDEN: &str = include_str!("golden.csv");

/// The rows of one law.
fn golden(law: &str) -> Vec<Vec<f64>> {
    let numbers = |line: &str| line.split(',').skip(1).map(|v| v.parse().unwrap()).collect();
    let rows: Vec<_> = GOLDEN.lines().filter(|line| line.split(',').next() == Some(law)).map(numbers).collect();
    assert!(!rows.is_empty(), "{law}");
    rows
}

/// How far apart, as a share; 0 for two numbers that are both below the smallest double.
fn off(got: f64, want: f64) -> f64 {
    if got == want { 0.0 } else { (got - want).abs() / want.abs().max(f64::MIN_POSITIVE) }
}

/// What a double's last digit in x does to a tail grows with the root of the shapes; beside that, 13 digits.
fn forward_tolerance(largest_shape: f64) -> f64 {
    1e-13 + 5e-15 * largest_shape.sqrt()
}

#[test]
fn both_tails_are_those_of_sixty_digits() {
    for name in ["beta", "gamma", "student", "binomial"] {
        for row in golden(name) {
            let [first, second, x, below, above] = row[..] else { panic!("{row:?}") };
            let got = match name {
                "beta" => beta(x, first, second),
                "gamma" => gamma(x, first),
                "student" => student(x, first),
                _ => binomial(x as u64, first as u64, second),
            };
            let error = off(got.below, below).max(off(got.above, above));
            assert!(error < forward_tolerance(first.max(second)), "{name} {row:?}: {got:?}");
            if name == "student" {
                assert_eq!(student(-x, first), got.mirrored());
            }
            if name == "gamma" {
                assert_eq!(chi_square(2.0 * x, 2.0 * first), got);
            }
        }
    }
}

#[test]
fn quantiles_are_those_of_sixty_digits() {
    for name in ["beta-quantile", "gamma-quantile", "student-quantile", "f-quantile"] {
        for row in golden(name) {
            let (first, second, p, x) = (row[0], row[1], row[2], row[3]);
            let tails = if p > 0.0 { Tails::below(p) } else { Tails::above(-p) };
            let error = match name {
                "beta-quantile" => {
                    let got = beta_quantile(tails, first, second);
                    off(got.0, x).max(off(got.1, row[4]))
                }
                "gamma-quantile" => {
                    assert_eq!(chi_square_quantile(tails, 2.0 * first), 2.0 * gamma_quantile(tails, first));
                    off(gamma_quantile(tails, first), x)
                }
                "student-quantile" => {
                    assert_eq!(student_quantile(tails.mirrored(), first), -student_quantile(tails, first));
                    off(student_quantile(tails, first), x)
                }
                _ => {
                    let forward = fisher(x, first, second);
                    assert!(off(if p > 0.0 { forward.below } else { forward.above }, p.abs()) < 1e-12);
                    off(fisher_quantile(tails, first, second), x)
                }
            };
            assert!(error < 2e-13, "{name} {row:?}: {error}");
        }
    }
}

/// Where other libraries fail (SciPy 1.17's values; the last digits of those with shapes of 1e6 and more are mpmath's).
#[test]
fn known_traps() {
    for (got, want) in [
        (beta(0.5, 1e5, 1e5).below, 0.5),
        (beta_quantile(Tails::below(0.025), 3001.0, 7000.0).0, 0.29112673),
        (beta_quantile(Tails::below(1e-10), 0.5, 0.5).0, 2.467_401_1e-20),
        (student_quantile(Tails::below(0.975), 1e6), 1.959_966_357),
        (student(0.001, 1e9).below, 0.500_398_94),
        (gamma_quantile(Tails::below(1e-12), 0.5), 7.853_981_6e-25),
        (gamma(1e8, 1e8).above, 0.499_986_702),
        (binomial(300_000_000, 1_000_000_000, 0.3).below, 0.500_015_6),
        (normal(-10.0).below, 7.619_853_024_160_527e-24),
        (normal_quantile(Tails::below(0.5e-15)), -8.026_858_882_534_54),
        (normal_quantile(Tails::above(0.025)), 1.959_963_984_540_054),
        (normal_quantile(Tails::below(1e-300)), -37.047_096_499_407_56),
        // Wilson and Hilferty's approximation, which stood here, has four digits.
        (chi_square(1651.9, 1559.0).above, 0.050_124_466_757_655_13),
    ] {
        assert!(off(got, want) < 1e-5, "{got} {want}");
    }
    // Chi-square tails at 100 to 200 degrees were NaN on some.
    for df in 100..=200 {
        let tails: Vec<f64> = (1..400).map(|x| chi_square(f64::from(x), f64::from(df)).above).collect();
        assert!(tails.windows(2).all(|pair| pair[0] >= pair[1]) && tails[0] == 1.0 && tails[398] < 1e-12, "{df}");
    }
}

#[test]
fn binomial_quantiles_are_the_first_that_suffice() {
    for (n, p) in [(0, 0.3), (1, 0.5), (20, 0.3), (1000, 0.001), (1_000_000, 0.7), (10, 0.0), (10, 1.0)] {
        for tails in [1e-9, 0.025, 0.3, 0.5].into_iter().flat_map(|p| [Tails::below(p), Tails::above(p)]) {
            let k = binomial_quantile(tails, n, p).unwrap();
            let slack = 1e-12;
            assert!(binomial(k, n, p).below >= tails.below * (1.0 - slack), "{n} {p} {tails:?} {k}");
            assert!(k == 0 || binomial(k - 1, n, p).above > tails.above * (1.0 - slack), "{n} {p} {tails:?} {k}");
        }
    }
    assert_eq!(binomial_quantile(Tails::below(f64::NAN), 3, 0.5), None);
}

#[test]
fn what_is_no_law_gives_nan() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let half = Tails::below(0.5);
        for value in [
            beta(0.5, bad, 1.0).below,
            beta(0.5, 1.0, bad).above,
            gamma(1.0, bad).below,
            student(1.0, bad).above,
            fisher(1.0, bad, 1.0).below,
            fisher(1.0, 1.0, bad).above,
            beta_quantile(half, bad, 1.0).0,
            beta_quantile(half, 1.0, bad).1,
            gamma_quantile(half, bad),
            student_quantile(half, bad),
            fisher_quantile(half, 1.0, bad),
            ln_beta(1.0, bad),
        ] {
            assert!(value.is_nan(), "{bad}");
        }
    }
    for bad in [Tails::below(-0.1), Tails::below(1.1), Tails::below(f64::NAN), Tails { below: 0.3, above: 0.3 }] {
        assert!(
            normal_quantile(bad).is_nan()
                && gamma_quantile(bad, 1.0).is_nan()
                && beta_quantile(bad, 1.0, 1.0).0.is_nan()
        );
        assert!(student_quantile(bad, 3.0).is_nan(), "{bad:?}");
    }
    for (x, below) in [(f64::NEG_INFINITY, 0.0), (f64::INFINITY, 1.0)] {
        for tails in [normal(x), beta(x, 2.0, 3.0), gamma(x, 2.0), student(x, 3.0), fisher(x, 2.0, 3.0)] {
            assert_eq!((tails.below, tails.above), (below, 1.0 - below));
        }
    }
    assert!(
        normal(f64::NAN).below.is_nan()
            && fisher(f64::NAN, 1.0, 1.0).below.is_nan()
            && gamma(f64::NAN, 1.0).below.is_nan()
    );
    let (none, all) = (Tails::below(0.0), Tails::above(0.0));
    assert_eq!((beta_quantile(none, 2.0, 3.0), beta_quantile(all, 2.0, 3.0)), ((0.0, 1.0), (1.0, 0.0)));
    assert_eq!((gamma_quantile(none, 2.0), gamma_quantile(all, 2.0)), (0.0, f64::INFINITY));
    assert_eq!((student_quantile(none, 2.0), student_quantile(all, 2.0)), (f64::NEG_INFINITY, f64::INFINITY));
}

fn shape() -> impl Strategy<Value = f64> {
    (-3.0..9.0_f64).prop_map(|power| 10.0_f64.powf(power))
}

/// Tails down to 1e-300, on either side.
fn some_tails() -> impl Strategy<Value = Tails> {
    (-300.0..-0.31_f64, any::<bool>()).prop_map(|(power, below)| {
        let p = 10.0_f64.powf(power);
        if below { Tails::below(p) } else { Tails::above(p) }
    })
}

/// Whether the smaller tails agree, up to what the last digits of a value of that law make of them.
fn agree(got: Tails, want: Tails, largest_shape: f64) -> bool {
    let of = |tails: Tails| if want.below < want.above { tails.below } else { tails.above };
    // The slope of ln tail in ln x is at most about shape + |ln tail| sqrt(shape).
    let slope = 1.0 + largest_shape.sqrt() * (1.0 - of(want).ln()) + of(want).ln().abs();
    off(of(got), of(want)) < 1e-12 + 1e-14 * slope
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn quantiles_are_inverse(a in shape(), b in shape(), tails in some_tails()) {
        let (x, y) = beta_quantile(tails, a, b);
        // A value below the smallest double has no way back.
        if x > 1e-290 && y > 1e-290 {
            let back = if x < y { beta(x, a, b) } else { beta(y, b, a).mirrored() };
            prop_assert!(agree(back, tails, a.max(b)), "beta {} {} {:?}: {} {:?}", a, b, tails, x, back);
        }
        let x = gamma_quantile(tails, a);
        if x > 1e-290 {
            prop_assert!(agree(gamma(x, a), tails, a), "gamma {} {:?}: {} {:?}", a, tails, x, gamma(x, a));
        }
        let t = student_quantile(tails, a);
        if t.is_finite() && t.abs() > 1e-6 {
            prop_assert!(agree(student(t, a), tails, 1.0), "student {} {:?}: {} {:?}", a, tails, t, student(t, a));
        }
        let f = fisher_quantile(tails, a, b);
        if f > 1e-290 && f < 1e290 {
            prop_assert!(agree(fisher(f, a, b), tails, a.max(b)), "f {} {} {:?}: {} {:?}", a, b, tails, f, fisher(f, a, b));
        }
        let z = normal_quantile(tails);
        prop_assert!(agree(normal(z), tails, 1.0), "normal {:?}: {} {:?}", tails, z, normal(z));
    }
}
