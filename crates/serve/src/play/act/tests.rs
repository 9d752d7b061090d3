use super::*;
use serde_json::{Value, json};

/// Two moons, the second with few points.
fn moons(act: &str, method: &str, n: usize) -> Value {
    let angle = |i: usize| i as f64 * std::f64::consts::PI / (n as f64);
    let first = (0..n).map(|i| [angle(i).cos() + 0.01 * (i % 7) as f64, angle(i).sin() + 0.02 * (i % 5) as f64]);
    let second = (0..n / 5).map(|i| [1.0 - angle(5 * i).cos(), 0.5 - angle(5 * i).sin() + 0.03 * (i % 3) as f64]);
    let points: Vec<[f64; 2]> = first.chain(second).collect();
    let classes: Vec<usize> = (0..points.len()).map(|i| if i < n { 0 } else { 2 }).collect();
    json!({ "points": points, "classes": classes, "act": act, "method": method, "budget": 20, "seed": 1 })
}

fn played(asked: Value) -> Result<Outcome> {
    serde_json::from_value::<Picture>(asked).unwrap().act()
}

#[test]
fn every_method_acts_on_two_moons() {
    for (act, name, _) in Act::ALL {
        for card in act.methods() {
            let outcome = played(moons(name, card.slug, 100)).unwrap_or_else(|error| panic!("{}: {error}", card.slug));
            assert!(outcome.kept.iter().all(|row| *row < 120), "{}", card.slug);
            assert!(outcome.made_classes.iter().all(|class| [0, 2].contains(class)), "{}", card.slug);
            assert!(outcome.made.iter().flatten().all(|v| v.is_finite()), "{}", card.slug);
            assert!(outcome.command.starts_with(&format!("quadrat {name}")), "{}", outcome.command);
            if act == Act::Select {
                assert_eq!(outcome.kept.len(), 20, "{}", card.slug);
            }
        }
    }
}

#[test]
fn over_sampling_fills_the_rare_class() {
    let outcome = played(moons("balance", "smote", 100)).unwrap();
    assert_eq!((outcome.kept.len(), outcome.made.len()), (120, 80));
    assert!(outcome.made_classes.iter().all(|class| *class == 2));
    let line = "quadrat balance --in points.csv --target class --method smote --seed 1 --out result.csv";
    assert_eq!(outcome.command, line);
}

#[test]
fn parameters_are_the_methods() {
    let with = |parameters: Value| {
        let mut asked = moons("balance", "smote", 100);
        asked["parameters"] = parameters;
        played(asked)
    };
    assert!(with(json!({ "k": "3" })).unwrap().command.contains("--method smote --k 3 --seed 1"));
    for parameters in [json!({ "k": "0" }), json!({ "kk": "3" }), json!({ "ratio": "x" })] {
        assert!(with(parameters.clone()).is_err(), "{parameters}");
    }
    let error = with(json!({ "counts": "c=4000000000" })).unwrap_err().to_string();
    assert_eq!(error, "new points: got 3999999980; the page makes at most 20000");
}

#[test]
fn limits_hold() {
    let mut far = moons("select", "k-center", 100);
    far["classes"][0] = json!(5);
    let mut short = moons("select", "k-center", 100);
    short["classes"] = json!([0]);
    let mut none = moons("select", "k-center", 100);
    (none["points"], none["classes"]) = (json!([]), json!([]));
    let mut greedy = moons("select", "k-center", 100);
    greedy["budget"] = json!(121);
    let unknown = moons("select", "smote", 100);
    for asked in [far, short, none, greedy, unknown, moons("diffuse", "ddpm", 10), moons("select", "random", 4_500)] {
        assert!(played(asked).is_err());
    }
}
