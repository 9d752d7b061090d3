//! The problem file: inputs in order, each with a name and a law.

use ndarray::Array2;
use quadrat::estimate::Law;
use quadrat::estimate::sobol::{Factors, Input};
use quadrat::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Value;

/// What `--help` says about problem files.
pub const HELP: &str = "\
A problem file lists the inputs, one key a line:
  [[input]]
  name = \"x1\"
  law = \"uniform\"
  min = 0
  max = 1
Laws: uniform (min max), log-uniform (min max), normal (mean sd), lognormal (mu sigma, or mean sd),
triangular (min mode max), truncated-normal (mean sd min max), gumbel (location scale),
weibull (shape scale [location]), beta (a b [min max]).
Inputs with the same `group = \"NAME\"` are one factor. Inputs that depend on each other, by the correlation of
their normal scores (a Gaussian copula):
  [[correlation]]
  between = [\"x1\", \"x2\"]
  value = 0.5
or, above the first [[input]], all at once in the order of the inputs: correlations = [[1, 0.5], [0.5, 1]]";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    input: Vec<BTreeMap<String, Value>>,
    correlations: Option<Vec<Vec<f64>>>,
    #[serde(default)]
    correlation: Vec<Correlation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Correlation {
    between: [String; 2],
    value: f64,
}

/// Reads a problem file.
pub fn read(path: &Path) -> Result<Factors> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    parse(&text).map_err(|why| Error::data(path.display().to_string(), None, why))
}

fn parse(text: &str) -> std::result::Result<Factors, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    let read: Vec<(Input, Option<String>)> = file
        .input
        .iter()
        .cloned()
        .enumerate()
        .map(|(i, keys)| input(i, keys))
        .collect::<std::result::Result<_, _>>()?;
    if read.is_empty() {
        return Err("no input; list each under [[input]] with a name and a law".to_owned());
    }
    let (inputs, groups): (Vec<Input>, Vec<Option<String>>) = read.into_iter().unzip();
    let correlations = correlations(&file, &inputs)?;
    let build = || {
        let factors = Factors::of(&inputs)?;
        let factors = match groups.iter().any(Option::is_some) {
            true => factors.grouped(&groups.iter().map(Option::as_deref).collect::<Vec<_>>())?,
            false => factors,
        };
        match correlations {
            Some(matrix) => factors.correlated(matrix.view()),
            None => Ok(factors),
        }
    };
    build().map_err(|e: Error| e.to_string())
}

/// The correlations of all inputs, if there are any.
fn correlations(file: &File, inputs: &[Input]) -> std::result::Result<Option<Array2<f64>>, String> {
    let d = inputs.len();
    if let Some(rows) = &file.correlations {
        if !file.correlation.is_empty() {
            return Err("both correlations and [[correlation]]: give one of them".to_owned());
        }
        if rows.len() != d || rows.iter().any(|row| row.len() != d) {
            return Err(format!("correlations: give {d} rows of {d} numbers, in the order of the inputs"));
        }
        return Ok(Some(Array2::from_shape_fn((d, d), |(i, k)| rows[i][k])));
    }
    let mut matrix = Array2::eye(d);
    for (i, Correlation { between, value }) in file.correlation.iter().enumerate() {
        let [a, b] = between.each_ref().map(|name| {
            let at = inputs.iter().position(|input| input.name == *name);
            at.ok_or_else(|| format!("correlation {}: there is no input `{name}`", i + 1))
        });
        let (a, b) = (a?, b?);
        if a == b || matrix[[a, b]] != 0.0 {
            let why = if a == b { "an input with itself" } else { "this pair was given before" };
            return Err(format!("correlation {} of `{}` and `{}`: {why}", i + 1, between[0], between[1]));
        }
        if value.is_nan() || value.abs() >= 1.0 {
            return Err(format!("correlation {}: got {value}; use more than -1 and less than 1", i + 1));
        }
        (matrix[[a, b]], matrix[[b, a]]) = (*value, *value);
    }
    Ok((!file.correlation.is_empty()).then_some(matrix))
}

/// An input, and the group it belongs to.
fn input(i: usize, mut keys: BTreeMap<String, Value>) -> std::result::Result<(Input, Option<String>), String> {
    let mut text = |key: &str| match keys.remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(Value::String(_)) => Err(format!("input {}: {key} is empty; give a text", i + 1)),
        Some(other) => Err(format!("input {}: {key} is of type {}; give a text", i + 1, other.type_str())),
        None => Ok(None),
    };
    let absent = |key: &str| format!("input {} has no {key}", i + 1);
    let name = text("name")?.ok_or_else(|| absent("name"))?;
    let law = text("law")?.ok_or_else(|| absent("law"))?;
    let group = text("group")?;
    if keys.contains_key("correlations") {
        return Err("correlations = ... belongs above the first [[input]]".to_owned());
    }
    let number = |(key, value): (String, Value)| match value {
        Value::Float(number) => Ok((key, number)),
        Value::Integer(number) => Ok((key, number as f64)),
        other => Err(format!("input `{name}`: {key} is of type {}; give a number", other.type_str())),
    };
    let parameters: BTreeMap<String, f64> = keys.into_iter().map(number).collect::<std::result::Result<_, _>>()?;
    let law = Law::from_parameters(&law, &parameters).map_err(|e| format!("input `{name}`: {e}"))?;
    Ok((Input { name, law }, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_keep_their_order_and_mistakes_are_named() {
        let good = "[[input]]\nname = \"b\"\nlaw = \"normal\"\nmean = 1\nsd = 0.5\n\n[[input]]\nname = \"a\"\nlaw = \"beta\"\na = 2.0\nb = 3\n";
        let factors = parse(good).unwrap();
        let inputs = factors.inputs();
        assert_eq!((inputs[0].name.as_str(), inputs[1].name.as_str()), ("b", "a"));
        assert_eq!(inputs[1].law, Law::Beta { a: 2.0, b: 3.0, min: 0.0, max: 1.0 });
        for (text, part) in [
            ("", "missing field `input`"),
            ("input = []", "no input"),
            ("[[input]]\nlaw = \"normal\"", "input 1 has no name"),
            ("[[input]]\nname = 3\nlaw = \"normal\"", "give a text"),
            ("[[input]]\nname = \"x\"\nlaw = \"normel\"", "`normal`"),
            ("[[input]]\nname = \"x\"\nlaw = \"normal\"\nmean = 0", "no sd"),
            ("[[input]]\nname = \"x\"\nlaw = \"normal\"\nmean = \"0\"\nsd = 1", "give a number"),
            ("[[input]]\nname = \"x\"\nlaw = \"normal\"\nmean = 0\nsd = 1\nmin = 3", "`min`"),
            ("[[input]]\nname = \"x\"\nlaw = \"uniform\"\nmin = 1\nmax = 1", "ascending"),
            ("[[inputs]]\nname = \"x\"", "unknown field"),
            ("[[input]\nname", "line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn groups_and_correlations_make_factors() {
        let input = |name: &str, more: &str| {
            format!("[[input]]\nname = \"{name}\"\nlaw = \"uniform\"\nmin = 0\nmax = 1\n{more}")
        };
        let three = |group: &str| format!("{}{}{}", input("a", group), input("b", ""), input("c", group));
        let pair =
            |a: &str, b: &str, value: f64| format!("[[correlation]]\nbetween = [\"{a}\", \"{b}\"]\nvalue = {value}\n");
        let grouped = three("group = \"g\"\n");
        let factors = parse(&grouped).unwrap();
        assert_eq!((factors.names(), factors.members(0)), (&["g".to_owned(), "b".to_owned()][..], &[0, 2][..]));
        assert!(!parse(&format!("{grouped}{}", pair("a", "c", 0.5))).unwrap().dependent());
        assert!(parse(&format!("{grouped}{}", pair("a", "b", -0.5))).unwrap().dependent());
        let matrix = "correlations = [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]\n";
        assert!(parse(&format!("{matrix}{}", three(""))).unwrap().dependent());
        for (text, part) in [
            (format!("{}{matrix}", three("")), "above the first"),
            (format!("{matrix}{}{}", three(""), pair("a", "b", 0.5)), "one of them"),
            (format!("correlations = [[1, 0.5]]\n{}", three("")), "3 rows of 3"),
            (format!("{}{}", three(""), pair("a", "z", 0.5)), "no input `z`"),
            (format!("{}{}", three(""), pair("a", "a", 0.5)), "with itself"),
            (format!("{}{}", three(""), pair("a", "b", 1.0)), "less than 1"),
            (format!("{}{}{}", three(""), pair("a", "b", 0.5), pair("b", "a", 0.5)), "given before"),
            (
                format!("{}{}{}{}", three(""), pair("a", "b", 0.9), pair("b", "c", 0.9), pair("a", "c", -0.9)),
                "positive definite",
            ),
            (three("group = 3\n"), "give a text"),
            (three("group = \"b\"\n"), "`b`"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
