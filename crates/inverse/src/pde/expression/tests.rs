use super::super::formula::{Formula, Scope, Unknown};
use super::*;
use ndarray::array;
use proptest::prelude::*;

fn formula(text: &str) -> Result<Formula> {
    let coordinates = ["x".to_owned()];
    let scope = Scope { coordinates: &coordinates, named: &[], unknown: Unknown::Nowhere };
    scope.resolve("it", text, &Expression::read("it", text)?)
}

fn at_three(text: &str) -> f64 {
    formula(text).unwrap().plain(array![[3.0f32]].view())[0]
}

/// Where the expression crates that were looked at differ from mathematics, and other cases.
#[test]
fn values_are_those_of_mathematics() {
    for (text, wanted) in [
        ("-2^2", -4.0),
        ("-x^2", -9.0),
        ("2^3^2", 512.0),
        ("2**3**2", 512.0),
        ("2^-1", 0.5),
        ("2^-x^2*4", 4.0 * 2f64.powi(-9)),
        ("1e3", 1000.0),
        ("1.5E-2", 0.015),
        ("1.e2", 100.0),
        ("log(100)", 100f64.ln()),
        ("ln(100)", 100f64.ln()),
        ("log10(100)", 2.0),
        ("pi", std::f64::consts::PI),
        ("PI", std::f64::consts::PI),
        ("π", std::f64::consts::PI),
        ("e", std::f64::consts::E),
        (".5", 0.5),
        ("exp(1)", std::f64::consts::E),
        ("sqrt(16)", 4.0),
        ("1 - 2 - 3", -4.0),
        ("12/2/3", 2.0),
        ("12/2*3", 18.0),
        ("2 + 3*4", 14.0),
        (" ( 2 + 3 ) * 4 ", 20.0),
        ("--x", 3.0),
        ("+x", 3.0),
        ("2*-x", -6.0),
        ("sin ( x )", 3f64.sin()),
        ("abs(-x)", 3.0),
        ("tan(x)", 3f64.tan()),
        ("sinh(x)-cosh(x)", -(-3f64).exp()),
        ("tanh(x)", 3f64.tanh()),
    ] {
        assert!((at_three(text) - wanted).abs() < 1e-12 * (1.0 + wanted.abs()), "{text}: {}", at_three(text));
    }
}

#[test]
fn what_is_wrong_is_pointed_at() {
    for (text, column, words) in [
        ("1 + sine(x)", 4, "unknown function `sine`"),
        ("2*y", 2, "unknown name `y`"),
        ("1 + * 2", 4, "`*` here"),
        ("(1 + 2", 6, "the end here"),
        ("1 2", 2, "`2` here"),
        ("sin(x, x)", 0, "2 arguments"),
        ("x $ 2", 2, "`$` here"),
        ("", 0, "the end here"),
        ("laplacian(x)", 0, "a Laplacian here"),
        ("π*y", 2, "unknown name `y`"),
    ] {
        let message = formula(text).unwrap_err().to_string();
        assert!(message.contains(words), "{text}: {message}");
        let arrow = message.lines().find(|line| line.trim() == "^").unwrap_or_else(|| panic!("{message}"));
        assert_eq!(arrow.find('^'), Some(2 + column), "{message}");
    }
    for text in ["(".repeat(100_000), "-".repeat(100_000), format!("{}1", "2^".repeat(100_000))] {
        assert!(formula(&text).is_err());
    }
    for (text, says) in [("u", "0 signs"), ("u = 1 = 2", "2 signs"), ("u ==1", "2 signs")] {
        assert!(Expression::sides("equation", text).unwrap_err().to_string().contains(says), "{text}");
    }
}

#[test]
fn derivatives_are_named_by_their_coordinates() {
    use super::super::formula::Term;
    let coordinates = ["x1".to_owned(), "x2".to_owned(), "t".to_owned()];
    let inside = Scope { coordinates: &coordinates, named: &[], unknown: Unknown::Inside };
    let term = |text: &str| inside.resolve("it", text, &Expression::read("it", text).unwrap());
    for (text, wanted) in [
        ("u", Term::Value),
        ("u_t", Term::Slope(2)),
        ("u_x2", Term::Slope(1)),
        ("u_x2x1", Term::Second(0, 1)),
        ("u_tt", Term::Second(2, 2)),
        ("laplacian(u)", Term::Laplacian),
    ] {
        assert_eq!(term(text).unwrap(), Formula::Term(wanted), "{text}");
    }
    assert!(term("u_y").unwrap_err().to_string().contains("u_x1"));
    assert!(term("u_x1x1x1").is_err() && term("u_n").is_err());
    let outside = Scope { unknown: Unknown::OnBoundary, ..inside };
    assert!(outside.resolve("it", "u_n", &Expression::read("it", "u_n").unwrap()).is_ok());
    assert!(outside.resolve("it", "u_t", &Expression::read("it", "u_t").unwrap()).is_err());
}

proptest! {
    /// No text makes the reader panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[-+*/^().,0-9exu_ πsin]{0,40}") {
        let _ = formula(&text);
    }

    /// A sum of products is what it says.
    #[test]
    fn arithmetic_is_right(a in -9i32..9, b in -9i32..9, c in 1i32..9) {
        let text = format!("{a} - {b}*{c} + {a}/{c}");
        let wanted = f64::from(a) - f64::from(b) * f64::from(c) + f64::from(a) / f64::from(c);
        prop_assert!((at_three(&text) - wanted).abs() < 1e-12);
    }
}
