//! What becomes of a text's rows: one vector, and what is done with that.

use super::config::{json, one_of};
use super::weights::Weights;
use quadrat_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// A step from a text's rows to its vector.
#[derive(Debug)]
pub(super) enum Step {
    /// The rows as one; several ways one behind the other.
    Pool(Vec<Pooling>),
    /// A linear layer and a nonlinearity.
    Dense(Dense),
    /// To Euclidean length 1.
    Normalise,
}

/// How rows become one, by sentence-transformers' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    First,
    Max,
    Mean,
    /// The sum over the root of the number of rows.
    MeanOfRoot,
    /// The mean with weights 1, 2, 3, ...
    Weighted,
    Last,
}

const POOLINGS: &[(&str, Pooling)] = &[
    ("cls", Pooling::First),
    ("max", Pooling::Max),
    ("mean", Pooling::Mean),
    ("mean_sqrt_len_tokens", Pooling::MeanOfRoot),
    ("weightedmean", Pooling::Weighted),
    ("lasttoken", Pooling::Last),
];

impl Pooling {
    /// The ways that a module's `config.json` names: a name or several, or in older folders a switch for each.
    pub fn read(path: &Path, prompt: bool) -> Result<Vec<Self>> {
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let words: Map<String, Value> = json(path)?;
        if prompt && words.get("include_prompt") == Some(&Value::Bool(false)) {
            let why = "`include_prompt` is false and there is a default prompt: only whole texts are pooled";
            return Err(wrong(why.to_owned()));
        }
        let names: Vec<String> = match words.get("pooling_mode") {
            Some(Value::String(name)) => vec![name.clone()],
            Some(Value::Array(names)) => names.iter().map(|name| name.as_str().unwrap_or("?").to_owned()).collect(),
            Some(other) => return Err(wrong(format!("`pooling_mode` is {other}: a name or a list of names is read"))),
            None => {
                let name = |key: &str| {
                    let name = key.strip_prefix("pooling_mode_")?;
                    let short = name.strip_suffix("_tokens").or(name.strip_suffix("_token"));
                    // One of the names ends like that itself.
                    Some(if name.contains("sqrt") { name } else { short.unwrap_or(name) }.to_owned())
                };
                let on = words.iter().filter(|(_, switch)| **switch == Value::Bool(true));
                on.filter_map(|(key, _)| name(key)).collect()
            }
        };
        if names.is_empty() {
            return Ok(vec![Pooling::Mean]);
        }
        let mut found = names
            .iter()
            .map(|name| one_of(POOLINGS, "pooling_mode", name).map_err(wrong))
            .collect::<Result<Vec<_>>>()?;
        if !words.contains_key("pooling_mode") {
            // Switches have no order of their own.
            found.sort_by_key(|way| POOLINGS.iter().position(|(_, known)| known == way));
        }
        Ok(found)
    }

    /// The rows as one; nothing where there are none.
    fn apply(self, rows: &[f32], width: usize, to: &mut Vec<f32>) {
        let n = rows.len() / width.max(1);
        let column = |c: usize| rows.iter().skip(c).step_by(width.max(1)).copied();
        let weighted = |c: usize, weight: &dyn Fn(usize) -> f64| -> f64 {
            column(c).enumerate().map(|(i, v)| f64::from(v) * weight(i)).sum()
        };
        let count = n.max(1) as f64;
        to.extend((0..width).map(|c| match self {
            _ if n == 0 => 0.0,
            Pooling::First => rows[c],
            Pooling::Last => rows[(n - 1) * width + c],
            Pooling::Max => column(c).fold(f32::NEG_INFINITY, f32::max),
            Pooling::Mean => (weighted(c, &|_| 1.0) / count) as f32,
            Pooling::MeanOfRoot => (weighted(c, &|_| 1.0) / count.sqrt()) as f32,
            Pooling::Weighted => (weighted(c, &|i| (i + 1) as f64) / (count * (count + 1.0) / 2.0)) as f32,
        }));
    }
}

/// A linear layer and a nonlinearity.
#[derive(Debug)]
pub(super) struct Dense {
    inputs: usize,
    /// A row for each output.
    weight: Vec<f32>,
    bias: Vec<f32>,
    activation: Function,
}

type Function = fn(f64) -> f64;

const ACTIVATIONS: &[(&str, Function)] =
    &[("Tanh", f64::tanh), ("Identity", |x| x), ("ReLU", |x| x.max(0.0)), ("Sigmoid", |x| 1.0 / (1.0 + (-x).exp()))];

#[derive(Deserialize)]
struct DenseWords {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default)]
    activation_function: Option<String>,
    #[serde(default)]
    use_residual: bool,
}

fn yes() -> bool {
    true
}

impl Dense {
    /// Reads a module's folder.
    pub fn open(folder: &Path, width: usize) -> Result<Self> {
        let path = folder.join("config.json");
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let words: DenseWords = json(&path)?;
        if words.in_features != width {
            return Err(wrong(format!(
                "`in_features` is {}: the step before gives {width} numbers",
                words.in_features
            )));
        }
        if words.use_residual {
            return Err(wrong("`use_residual` is true: layers without are read".to_owned()));
        }
        let name = words.activation_function.as_deref().unwrap_or("torch.nn.modules.activation.Tanh");
        let last = name.rsplit('.').next().unwrap_or(name);
        let activation = one_of(ACTIVATIONS, "activation_function", last).map_err(wrong)?;
        let (inputs, outputs) = (words.in_features, words.out_features);
        let mut weights = Weights::open(&folder.join("model.safetensors"), "linear.weight")?;
        let weight = weights.take("linear.weight", &[outputs, inputs])?;
        let bias = if words.bias { weights.take("linear.bias", &[outputs])? } else { vec![0.0; outputs] };
        weights.finish()?;
        Ok(Dense { inputs, weight, bias, activation })
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(self.inputs.max(1)).zip(&self.bias);
        let output = |(row, bias): (&[f32], &f32)| {
            let sum: f64 = row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            (self.activation)(sum + f64::from(*bias)) as f32
        };
        rows.map(output).collect()
    }
}

impl Step {
    /// How many numbers come of so many.
    pub fn width(&self, before: usize) -> usize {
        match self {
            Step::Pool(ways) => ways.len() * before,
            Step::Dense(dense) => dense.bias.len(),
            Step::Normalise => before,
        }
    }

    /// A text's vector from its rows of `width` numbers, by all steps in their order.
    pub fn all(steps: &[Step], rows: &[f32], width: usize) -> Vec<f32> {
        let mut vector = rows.to_vec();
        for step in steps {
            match step {
                Step::Pool(ways) => {
                    let rows = std::mem::take(&mut vector);
                    ways.iter().for_each(|way| way.apply(&rows, width, &mut vector));
                }
                Step::Dense(dense) => vector = dense.apply(&vector),
                Step::Normalise => {
                    let length = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                    vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length.max(1e-12)) as f32);
                }
            }
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_one_by_each_way() {
        let rows = [1.0, -2.0, 3.0, 4.0, 5.0, 0.0];
        for (way, want) in [
            (Pooling::First, [1.0, -2.0]),
            (Pooling::Last, [5.0, 0.0]),
            (Pooling::Max, [5.0, 4.0]),
            (Pooling::Mean, [3.0, 2.0 / 3.0]),
            (Pooling::MeanOfRoot, [9.0 / 3.0_f32.sqrt(), 2.0 / 3.0_f32.sqrt()]),
            (Pooling::Weighted, [22.0 / 6.0, 1.0]),
        ] {
            let got = Step::all(&[Step::Pool(vec![way])], &rows, 2);
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{way:?}: {got:?}");
        }
        let both = Step::Pool(vec![Pooling::First, Pooling::Max]);
        assert_eq!(Step::all(std::slice::from_ref(&both), &rows, 2), [1.0, -2.0, 5.0, 4.0]);
        assert_eq!(both.width(2), 4);
        assert_eq!(Step::all(&[both, Step::Normalise], &[], 2), [0.0; 4]);
        assert_eq!(Step::all(&[Step::Pool(vec![Pooling::Mean]), Step::Normalise], &[3.0, 4.0], 2), [0.6, 0.8]);
    }
}
