//! Models and checkpoints as safetensors files.
//!
//! A model file holds the parameters under their own names and, in its header, the network's configuration and whatever
//! the caller wants to keep beside it. Other tools that read safetensors can read it.

use crate::Network;
use crate::checkpoint::ArrayFile;
use crate::method::MethodState;
use crate::models::Model;
use crate::parameters::Parameters;
use crate::train::{Average, Best, Epoch, Training, VALIDATION, differences};
use quadrat_core::{Error, Result, Seed, write_atomic_bytes};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The one key of our headers.
const HEADER: &str = "quadrat";

/// What a model file's header says.
#[derive(Debug, Serialize, Deserialize)]
struct ModelHeader {
    network: Model,
    notes: serde_json::Value,
}

/// Write a network's configuration and parameters, with `notes` of the caller's (names of columns and classes, say).
///
/// # Errors
/// The file cannot be written.
pub fn save_model(path: &Path, network: &Model, parameters: &Parameters, notes: &serde_json::Value) -> Result<()> {
    let header = ModelHeader { network: network.clone(), notes: notes.clone() };
    let arrays = parameters.iter().map(|p| (p.name.clone(), (p.shape.clone(), p.dense()))).collect();
    write(path, &header, arrays)
}

/// Read what [`save_model`] wrote.
///
/// # Errors
/// No such file, no model file, or parameters that do not fit the network.
pub fn load_model(path: &Path) -> Result<(Model, Parameters, serde_json::Value)> {
    let (header, mut arrays): (ModelHeader, _) = read(path)?;
    let mut parameters = Parameters::new(header.network.parameters(), Seed(0))?;
    fill(path, &mut arrays, &mut parameters)?;
    Ok((header.network, parameters, header.notes))
}

/// Write the parameters of a network that is no [`Model`], with `notes` of the caller's that say which it is.
///
/// # Errors
/// The file cannot be written.
pub fn save_parameters(path: &Path, parameters: &Parameters, notes: &serde_json::Value) -> Result<()> {
    let arrays = parameters.iter().map(|p| (p.name.clone(), (p.shape.clone(), p.dense()))).collect();
    write(path, notes, arrays)
}

/// Read what [`save_parameters`] wrote; `network` makes of the notes the parameters that are to be filled.
///
/// # Errors
/// No such file, another one, or parameters that do not fit; `network`'s own.
pub fn load_parameters(
    path: &Path,
    network: impl FnOnce(&serde_json::Value) -> Result<Parameters>,
) -> Result<(Parameters, serde_json::Value)> {
    let (notes, mut arrays): (serde_json::Value, _) = read(path)?;
    let mut parameters = network(&notes)?;
    fill(path, &mut arrays, &mut parameters)?;
    Ok((parameters, notes))
}

/// Put a file's arrays into the parameters of the same names.
fn fill(path: &Path, arrays: &mut Arrays, parameters: &mut Parameters) -> Result<()> {
    for parameter in parameters.iter_mut() {
        let (shape, values) = take(path, arrays, &parameter.name)?;
        if shape != parameter.shape {
            let why = format!("`{}` has shape {shape:?}, the network needs {:?}", parameter.name, parameter.shape);
            return Err(Error::data(path.display().to_string(), None, why));
        }
        parameter.set(&values)?;
    }
    Ok(())
}

/// What a checkpoint's header says.
#[derive(Debug, Serialize, Deserialize)]
struct CheckpointHeader {
    identity: BTreeMap<String, String>,
    epoch: usize,
    step: usize,
    steps: Vec<u64>,
    averaged: u64,
    curve: Vec<Epoch>,
    methods: Numbers,
    best: Option<BestHeader>,
}

/// The best epoch so far.
#[derive(Debug, Serialize, Deserialize)]
struct BestHeader {
    epoch: usize,
    loss: f64,
    methods: Numbers,
}

/// The single numbers of each method.
type Numbers = BTreeMap<String, BTreeMap<String, f64>>;

impl Training<'_, '_> {
    /// Write everything that is needed to go on after this epoch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut arrays = BTreeMap::new();
        let mut keep = |name: String, values: Vec<f32>| drop(arrays.insert(name, (vec![values.len()], values)));
        for (i, parameter) in self.parameters.iter().enumerate() {
            let name = &parameter.name;
            keep(format!("parameter/{name}"), parameter.dense());
            keep(format!("first/{name}"), self.moments.first.get(i).cloned().unwrap_or_default());
            keep(format!("second/{name}"), self.moments.second.get(i).cloned().unwrap_or_default());
            keep(format!("average/{name}"), self.average.values.get(i).cloned().unwrap_or_default());
        }
        let methods = apart("method", self.method_states(), &mut keep);
        let best = self.best.as_ref().map(|best| {
            best.parameters.iter().for_each(|p| keep(format!("best/{}", p.name), p.dense()));
            let methods = apart("best-method", best.methods.clone(), &mut keep);
            BestHeader { epoch: best.epoch, loss: best.loss, methods }
        });
        let header = CheckpointHeader {
            identity: self.identity.clone(),
            epoch: self.at.epoch,
            step: self.at.step,
            steps: self.moments.steps.clone(),
            averaged: self.average.steps,
            curve: self.curve.clone(),
            methods,
            best,
        };
        write(path, &header, arrays)
    }

    /// Go on where [`Training::save`] left off: the training must have begun with the same trainer, network, samples and
    /// methods. What follows is then the same, bit for bit, as if nothing had happened.
    ///
    /// # Errors
    /// No such file, or a checkpoint of something else: what differs is named.
    pub fn restore(&mut self, path: &Path) -> Result<()> {
        let (header, mut arrays): (CheckpointHeader, _) = read(path)?;
        let mut then = header.identity.clone();
        // The validation rows are compared at the next epoch, when they are known.
        let judges = then.remove(VALIDATION);
        let others = differences(&then, &self.identity);
        if !others.is_empty() {
            let want = "repeat the command it was made with to go on, or name another file to begin anew";
            let got = format!("of another training: {}", others.join("; "));
            return Err(Error::input(format!("checkpoint {}", path.display()), got, want));
        }
        self.identity.extend(judges.map(|rows| (VALIDATION.to_owned(), rows)));
        if let Some(best) = header.best {
            let methods = self.restore_methods_from(path, "best-method", &best.methods, &mut arrays)?;
            let mut parameters = self.parameters.clone();
            for parameter in parameters.iter_mut() {
                parameter.set_dense(&take(path, &mut arrays, &format!("best/{}", parameter.name))?.1)?;
            }
            self.best = Some(Best { epoch: best.epoch, loss: best.loss, parameters, methods });
        }
        self.restore_methods_from(path, "method", &header.methods, &mut arrays)?;
        let (mut first, mut second, mut average) = (Vec::new(), Vec::new(), Vec::new());
        for parameter in self.parameters.iter_mut() {
            let name = parameter.name.clone();
            parameter.set_dense(&take(path, &mut arrays, &format!("parameter/{name}"))?.1)?;
            first.push(take(path, &mut arrays, &format!("first/{name}"))?.1);
            second.push(take(path, &mut arrays, &format!("second/{name}"))?.1);
            average.push(take(path, &mut arrays, &format!("average/{name}"))?.1);
        }
        let values = if average.iter().all(Vec::is_empty) { Vec::new() } else { average };
        self.average = Average { values, steps: header.averaged };
        self.moments.first = first;
        self.moments.second = second;
        self.moments.steps = header.steps;
        self.at.epoch = header.epoch;
        self.at.step = header.step;
        self.curve = header.curve;
        Ok(())
    }

    /// Give the methods the states that a checkpoint holds under `prefix`, and return these.
    fn restore_methods_from(
        &mut self,
        path: &Path,
        prefix: &str,
        numbers: &Numbers,
        arrays: &mut Arrays,
    ) -> Result<Vec<(String, MethodState)>> {
        let mut states = Vec::new();
        self.restore_methods(|name| {
            let other = || Error::data(path.display().to_string(), None, format!("holds no state of method `{name}`"));
            let numbers = numbers.get(name).cloned().ok_or_else(other)?;
            let prefix = format!("{prefix}/{name}/");
            let keys: Vec<String> = arrays.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
            let own = |key: String| (key[prefix.len()..].to_owned(), arrays.remove(&key).unwrap_or_default().1);
            let state = MethodState { numbers, arrays: keys.into_iter().map(own).collect() };
            states.push((name.to_owned(), state.clone()));
            Ok(state)
        })?;
        Ok(states)
    }
}

/// Hands the arrays of methods' states to `keep` and returns their single numbers.
fn apart(prefix: &str, states: Vec<(String, MethodState)>, keep: &mut impl FnMut(String, Vec<f32>)) -> Numbers {
    let mut numbers = Numbers::new();
    for (name, state) in states {
        state.arrays.into_iter().for_each(|(key, values)| keep(format!("{prefix}/{name}/{key}"), values));
        numbers.insert(name, state.numbers);
    }
    numbers
}

/// Arrays by name: shape and values.
type Arrays = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn write(path: &Path, header: &impl Serialize, arrays: Arrays) -> Result<()> {
    let wrong =
        |e: &dyn std::fmt::Display| Error::data(path.display().to_string(), None, format!("cannot be written: {e}"));
    let header = serde_json::to_string(header).map_err(|e| wrong(&e))?;
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = arrays
        .into_iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views: Result<Vec<_>> = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view)).map_err(|e| wrong(&e))
        })
        .collect();
    let header = HashMap::from([(HEADER.to_owned(), header)]);
    let file = serialize(views?, Some(header)).map_err(|e| wrong(&e))?;
    write_atomic_bytes(path, &file)
}

fn read<H: serde::de::DeserializeOwned>(path: &Path) -> Result<(H, Arrays)> {
    let mut file = ArrayFile::open(path)?;
    let wrong = |why: String| Error::data(path.display().to_string(), None, why);
    let header = file.note(HEADER).ok_or_else(|| wrong("a safetensors file, but not one of ours".to_owned()))?;
    let header = serde_json::from_str(header).map_err(|e| wrong(format!("its header does not fit: {e}")))?;
    let arrays = file.names().into_iter().map(|name| file.read(&name).map(|array| (name, array)));
    Ok((header, arrays.collect::<Result<_>>()?))
}

fn take(path: &Path, arrays: &mut Arrays, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
    arrays.remove(name).ok_or_else(|| Error::data(path.display().to_string(), None, format!("`{name}` is missing")))
}
