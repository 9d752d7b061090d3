//! The numbers a network learns: named arrays with a role each, apart from the network that uses them.
//!
//! A [`Network`](crate::Network) only says which parameters it needs ([`Spec`]) and computes with them. That they stand
//! outside it is what lets a training method replace a weight by a function of it, mask it, freeze it or add its own,
//! without the network knowing.

use crate::ops::Pattern;
use crate::tensors::{update, values_of};
use burn_tensor::{Device, Tensor, TensorData};
use quadrat_core::{Error, Result, Seed};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What a parameter is for; training methods choose by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Kernel of a linear layer (out, in) or a convolution (out, in, height, width): decayed, pruned, reparametrised.
    Weight,
    /// Bias of such a layer.
    Bias,
    /// Scale or shift of a normalisation.
    Scale,
    /// Running statistic of a batch normalisation: never trained by gradients.
    Statistic,
    /// Anything else: embeddings, positions, scalars of a training method.
    Other,
}

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All the same value.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform on (-b, b).
    Uniform(f32),
}

/// A parameter that a network asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Its name, `layer.weight` by convention.
    pub name: String,
    /// Its shape; kernels have outputs first.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// How it starts.
    pub init: Init,
}

impl Spec {
    /// One parameter.
    pub fn new(name: impl Into<String>, shape: &[usize], role: Role, init: Init) -> Self {
        Spec { name: name.into(), shape: shape.to_vec(), role, init }
    }

    /// `name.weight` (outputs x inputs), normal with variance `gain`² / inputs (He et al. 2015 for a gain of √2), and
    /// `name.bias`, zero.
    pub fn linear(name: &str, inputs: usize, outputs: usize, gain: f32) -> [Spec; 2] {
        let std = gain / (inputs.max(1) as f32).sqrt();
        [
            Spec::new(format!("{name}.weight"), &[outputs, inputs], Role::Weight, Init::Normal(std)),
            Spec::new(format!("{name}.bias"), &[outputs], Role::Bias, Init::Constant(0.0)),
        ]
    }

    /// `name.weight` (outputs x inputs x kernel x kernel), normal with variance 2 / (inputs kernel²), without a bias:
    /// a normalisation or an explicit [`Spec::bias`] follows.
    pub fn conv(name: &str, inputs: usize, outputs: usize, kernel: usize) -> Spec {
        let std = (2.0 / (inputs * kernel * kernel).max(1) as f32).sqrt();
        Spec::new(format!("{name}.weight"), &[outputs, inputs, kernel, kernel], Role::Weight, Init::Normal(std))
    }

    /// `name.bias`, zero.
    pub fn bias(name: &str, outputs: usize) -> Spec {
        Spec::new(format!("{name}.bias"), &[outputs], Role::Bias, Init::Constant(0.0))
    }

    /// `name.scale` (1) and `name.shift` (0) of a normalisation over `channels`.
    pub fn norm(name: &str, channels: usize) -> [Spec; 2] {
        [
            Spec::new(format!("{name}.scale"), &[channels], Role::Scale, Init::Constant(1.0)),
            Spec::new(format!("{name}.shift"), &[channels], Role::Scale, Init::Constant(0.0)),
        ]
    }

    /// A [`Spec::norm`] with the running `name.mean` and `name.variance` of a batch normalisation.
    pub fn batch_norm(name: &str, channels: usize) -> [Spec; 4] {
        let [scale, shift] = Spec::norm(name, channels);
        [
            scale,
            shift,
            Spec::new(format!("{name}.mean"), &[channels], Role::Statistic, Init::Constant(0.0)),
            Spec::new(format!("{name}.variance"), &[channels], Role::Statistic, Init::Constant(1.0)),
        ]
    }
}

/// Which entries of a kernel are stored and trained.
#[derive(Debug, Clone)]
pub enum Support {
    /// All of them.
    Dense,
    /// Only those of the pattern: the others are zero, and neither stored nor computed with.
    Alive(Arc<Pattern>),
    /// Only those of the pattern are trained; the others keep the values of this frozen kernel (flat, outputs first).
    Chosen(Arc<Pattern>, Box<Tensor<1>>),
}

/// A named array.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its shape as the network sees it, whatever is stored.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// Whether gradients reach it.
    pub trainable: bool,
    /// Its learning rate as a multiple of the trainer's (1).
    pub rate: f32,
    /// Whether the optimiser's weight decay acts on it: kernels only, unless a method says otherwise.
    pub decay: bool,
    support: Support,
    value: Tensor<1>,
}

impl Parameter {
    /// The stored values, flat: all entries, or only those that [`Parameter::support`] names, in its order.
    pub fn values(&self) -> Vec<f32> {
        values_of(self.value.clone())
    }

    /// The entries as the network sees them, flat, dead ones zero and frozen ones included.
    pub fn dense(&self) -> Vec<f32> {
        match &self.support {
            Support::Dense => self.values(),
            Support::Alive(pattern) => {
                let mut all = vec![0.0; pattern.rows() * pattern.cols()];
                put(pattern, &self.values(), &mut all);
                all
            }
            Support::Chosen(_, frozen) => values_of((**frozen).clone()),
        }
    }

    /// How many numbers are stored and, if trainable, trained.
    pub fn len(&self) -> usize {
        self.value.dims()[0]
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which entries are stored.
    pub fn support(&self) -> &Support {
        &self.support
    }

    /// The stored values as a tensor, without a copy.
    pub(crate) fn tensor(&self) -> Tensor<1> {
        self.value.clone()
    }

    /// Change the stored values in place (without a copy, unless somebody still holds them).
    pub fn update(&mut self, change: impl FnOnce(&mut [f32])) {
        update(&mut self.value, change);
        if let Support::Chosen(pattern, frozen) = &mut self.support {
            let values = values_of(self.value.clone());
            let pattern = pattern.clone();
            update(frozen, |all| put(&pattern, &values, all));
        }
    }

    /// Store `values` in the place of the present ones.
    ///
    /// # Errors
    /// Another number of values.
    pub fn set(&mut self, values: &[f32]) -> Result<()> {
        if values.len() != self.len() {
            let want = format!("`{}` stores {} numbers", self.name, self.len());
            return Err(Error::input("parameter", format!("{} numbers", values.len()), want));
        }
        self.update(|stored| stored.copy_from_slice(values));
        Ok(())
    }

    /// Put these in the place of all entries, dead ones left out.
    ///
    /// # Errors
    /// Another number of values than entries.
    pub fn set_dense(&mut self, all: &[f32]) -> Result<()> {
        let values = match &mut self.support {
            Support::Dense => return self.set(all),
            Support::Alive(pattern) => pattern.gather(all)?,
            Support::Chosen(pattern, frozen) => {
                **frozen = flat(all.to_vec());
                pattern.gather(all)?
            }
        };
        self.set(&values)
    }

    /// Store and train only the entries where `support` says so. Entries that drop out of an [`Support::Alive`] pattern
    /// become zero; under [`Support::Chosen`] they keep their value.
    ///
    /// Linear layers compute with the pattern, as convolutions in one group do where dead entries are zero; others compute
    /// densely all the same.
    ///
    /// # Errors
    /// A pattern of another size than outputs x the rest of the shape.
    pub fn restrict(&mut self, pattern: Arc<Pattern>, keep_others: bool) -> Result<()> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let cols = self.shape.iter().skip(1).product::<usize>();
        if (pattern.rows(), pattern.cols()) != (rows, cols) {
            let got = format!("a pattern of {} x {}", pattern.rows(), pattern.cols());
            return Err(Error::input(&self.name, got, format!("the layer is {rows} x {cols}")));
        }
        let dense = self.dense();
        self.value = flat(pattern.gather(&dense)?);
        self.support =
            if keep_others { Support::Chosen(pattern, Box::new(flat(dense))) } else { Support::Alive(pattern) };
        Ok(())
    }

    /// Store all entries again.
    pub fn relax(&mut self) {
        self.value = flat(self.dense());
        self.support = Support::Dense;
    }
}

/// Write values to their places.
fn put(pattern: &Pattern, values: &[f32], dense: &mut [f32]) {
    pattern.indices().zip(values).for_each(|(i, v)| dense[i] = *v);
}

/// Numbers as a flat tensor on the processor.
pub(crate) fn flat(values: Vec<f32>) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), &Device::flex())
}

/// All parameters of a network, in a fixed order.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    all: Vec<Parameter>,
    index: HashMap<String, usize>,
}

impl Parameters {
    /// Fresh parameters. Each draws from a stream of its own name, so that one more changes no other.
    ///
    /// # Errors
    /// Two parameters of one name, or a shape with a zero in it.
    ///
    /// ```
    /// use quadrat_nn::{Parameters, Spec};
    /// let parameters = Parameters::new(Spec::linear("layer", 3, 2, 1.0), quadrat_core::Seed(1))?;
    /// assert_eq!(parameters.get("layer.weight")?.shape, [2, 3]);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn new(specs: impl IntoIterator<Item = Spec>, seed: Seed) -> Result<Self> {
        let mut parameters = Parameters::default();
        for spec in specs {
            parameters.add(spec, seed)?;
        }
        Ok(parameters)
    }

    /// Add a parameter.
    ///
    /// # Errors
    /// As [`Parameters::new`].
    pub fn add(&mut self, spec: Spec, seed: Seed) -> Result<()> {
        let n: usize = spec.shape.iter().product();
        if n == 0 {
            return Err(Error::input(&spec.name, format!("shape {:?}", spec.shape), "every size must be at least 1"));
        }
        let mut rng = seed.stream(&spec.name).rng(0);
        let values = match spec.init {
            Init::Constant(c) => vec![c; n],
            Init::Normal(std) => (0..n).map(|_| std * rng.normal() as f32).collect(),
            Init::Uniform(b) => (0..n).map(|_| b * (2.0 * rng.uniform() - 1.0) as f32).collect(),
        };
        self.add_values(spec.name, spec.shape, spec.role, values)
    }

    /// Add a parameter with these values.
    ///
    /// # Errors
    /// A name that is taken, or values that do not fill the shape.
    pub fn add_values(&mut self, name: String, shape: Vec<usize>, role: Role, values: Vec<f32>) -> Result<()> {
        if values.len() != shape.iter().product::<usize>() {
            let got = format!("{} values for shape {shape:?}", values.len());
            return Err(Error::input(&name, got, "one value an entry"));
        }
        if self.index.insert(name.clone(), self.all.len()).is_some() {
            return Err(Error::input("parameters", format!("`{name}` twice"), "names must differ"));
        }
        let (trainable, decay) = (role != Role::Statistic, role == Role::Weight);
        self.all.push(Parameter {
            name,
            shape,
            role,
            trainable,
            rate: 1.0,
            decay,
            support: Support::Dense,
            value: flat(values),
        });
        Ok(())
    }

    /// Remove parameters whose name fits, such as those that a method added.
    pub fn remove(&mut self, fits: impl Fn(&str) -> bool) {
        self.all.retain(|parameter| !fits(&parameter.name));
        self.index = self.all.iter().enumerate().map(|(i, p)| (p.name.clone(), i)).collect();
    }

    /// The place of the parameter called `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn position(&self, name: &str) -> Result<usize> {
        self.index.get(name).copied().ok_or_else(|| {
            let near = quadrat_core::nearest(name, self.all.iter().map(|p| p.name.as_str())).join(", ");
            Error::input("parameter", format!("`{name}`"), format!("the nearest names are {near}"))
        })
    }

    /// The parameter called `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<&Parameter> {
        Ok(&self.all[self.position(name)?])
    }

    /// The parameter called `name`, to be changed.
    ///
    /// # Errors
    /// There is none.
    pub fn get_mut(&mut self, name: &str) -> Result<&mut Parameter> {
        let i = self.position(name)?;
        Ok(&mut self.all[i])
    }

    /// Whether there is a parameter called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// All parameters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.all.iter()
    }

    /// All parameters in order, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Parameter> {
        self.all.iter_mut()
    }

    /// How many parameters (arrays) there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A number that differs whenever any bit of any stored value does (FNV-1a over the bits, in order).
    pub fn fingerprint(&self) -> u64 {
        let bits = self.all.iter().flat_map(|p| p.values()).flat_map(|v| v.to_bits().to_le_bytes());
        bits.fold(0xcbf2_9ce4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}
