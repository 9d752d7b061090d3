//! The problem file: inputs in order, each with a name and a law.

use quadrat::estimate::Law;
use quadrat::estimate::sobol::Input;
use quadrat::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    input: Vec<BTreeMap<String, Value>>,
}

/// Reads a problem file.
pub fn read(path: &Path) -> Result<Vec<Input>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    parse(&text).map_err(|why| Error::data(path.display().to_string(), None, why))
}

fn parse(text: &str) -> std::result::Result<Vec<Input>, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    let inputs: Vec<Input> =
        file.input.into_iter().enumerate().map(|(i, keys)| input(i, keys)).collect::<std::result::Result<_, _>>()?;
    if inputs.is_empty() {
        return Err("no input; list each under [[input]] with a name and a law".to_owned());
    }
    Ok(inputs)
}

fn input(i: usize, mut keys: BTreeMap<String, Value>) -> std::result::Result<Input, String> {
    let mut text = |key: &str| match keys.remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(other) => Err(format!("input {}: {key} is of type {}; give a text", i + 1, other.type_str())),
        None => Err(format!("input {} has no {key}", i + 1)),
    };
    let (name, law) = (text("name")?, text("law")?);
    let number = |(key, value): (String, Value)| match value {
        Value::Float(number) => Ok((key, number)),
        Value::Integer(number) => Ok((key, number as f64)),
        other => Err(format!("input `{name}`: {key} is of type {}; give a number", other.type_str())),
    };
    let parameters: BTreeMap<String, f64> = keys.into_iter().map(number).collect::<std::result::Result<_, _>>()?;
    let law = Law::from_parameters(&law, &parameters).map_err(|e| format!("input `{name}`: {e}"))?;
    Ok(Input { name, law })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_keep_their_order_and_mistakes_are_named() {
        let good = "[[input]]\nname = \"b\"\nlaw = \"normal\"\nmean = 1\nsd = 0.5\n\n[[input]]\nname = \"a\"\nlaw = \"beta\"\na = 2.0\nb = 3\n";
        let inputs = parse(good).unwrap();
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
}
