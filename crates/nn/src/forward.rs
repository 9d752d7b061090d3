//! What a network computes with: its parameters as tensors, and the layers that use them by name.
//!
//! A [`Forward`] lives for one forward pass over one piece of a batch. It knows whether the pass is for training, has
//! the piece's own random stream, and collects the statistics that batch normalisations meet.

use crate::ops::{self, Window};
use crate::parameters::{Parameters, Support};
use burn_tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData, activation};
use ndarray::ArrayView2;
use quadrat_core::{Result, Rng, Seed};

/// The parameters of a network as tensors of one pass.
#[derive(Clone)]
pub struct Vars<'a> {
    parameters: &'a Parameters,
    tensors: Vec<Tensor<1>>,
    training: bool,
}

impl<'a> Vars<'a> {
    /// Leaves of a gradient graph if `tracked`, constants otherwise. The memory is shared with the parameters.
    pub(crate) fn new(parameters: &'a Parameters, tracked: bool) -> Self {
        let leaf = |p: &crate::Parameter| match (tracked, p.trainable) {
            (true, true) => p.tensor().autodiff().require_grad(),
            (true, false) => p.tensor().autodiff(),
            (false, _) => p.tensor(),
        };
        Vars { parameters, tensors: parameters.iter().map(leaf).collect(), training: tracked }
    }

    /// What training computes with, but without a graph.
    pub(crate) fn without_graph(parameters: &'a Parameters) -> Self {
        Vars { training: true, ..Vars::new(parameters, false) }
    }

    /// Constants that a gradient graph passes through, for gradients at something else than the parameters.
    pub(crate) fn constants(parameters: &'a Parameters) -> Self {
        Vars { parameters, tensors: parameters.iter().map(|p| p.tensor().autodiff()).collect(), training: false }
    }

    /// Whether they are computed with in training, not in evaluation mode.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// The tensors in the parameters' order.
    pub(crate) fn tensors(&self) -> &[Tensor<1>] {
        &self.tensors
    }

    /// The parameters behind them.
    pub fn parameters(&self) -> &'a Parameters {
        self.parameters
    }

    /// The stored values of a parameter, flat.
    ///
    /// # Errors
    /// There is no such parameter.
    pub fn flat(&self, name: &str) -> Result<Tensor<1>> {
        Ok(self.tensors[self.parameters.position(name)?].clone())
    }

    /// A densely stored parameter in its shape, which has `D` axes.
    ///
    /// # Errors
    /// There is no such parameter, or it has another number of axes.
    pub fn get<const D: usize>(&self, name: &str) -> Result<Tensor<D>> {
        let shape = &self.parameters.get(name)?.shape;
        let shape: [usize; D] = shape[..].try_into().map_err(|_| {
            quadrat_core::Error::input(name, format!("shape {shape:?}"), format!("{D} axes are used here"))
        })?;
        Ok(self.flat(name)?.reshape(shape))
    }

    /// A kernel in its shape, whatever is stored of it.
    ///
    /// # Errors
    /// As [`Vars::get`].
    fn kernel<const D: usize>(&self, name: &str) -> Result<Tensor<D>> {
        let parameter = self.parameters.get(name)?;
        let (Support::Alive(pattern) | Support::Chosen(pattern, _)) = parameter.support() else {
            return self.get(name);
        };
        let values = self.flat(name)?;
        let mut rest = parameter.dense();
        pattern.indices().for_each(|i| rest[i] = 0.0);
        let device = values.device();
        let at: Vec<i32> = pattern.indices().map(|i| i as i32).collect();
        let at = Tensor::<1, Int>::from_data(TensorData::new(at, [pattern.alive()]), &device);
        let all = rest.len();
        let rest = Tensor::<1>::from_data(TensorData::new(rest, [all]), &device);
        let shape: [usize; D] = parameter.shape[..].try_into().map_err(|_| {
            quadrat_core::Error::input(name, format!("shape {:?}", parameter.shape), format!("{D} axes are used here"))
        })?;
        Ok(rest.select_assign(0, at, values, IndexingUpdateOp::Add).reshape(shape))
    }

    /// A parameter plus `change` (flat, an entry each), for [`Vars::replace`].
    ///
    /// # Errors
    /// There is no such parameter, only a part of it is stored (another method pruned it, say), or `change` has another
    /// size.
    pub fn plus(&self, name: &str, change: Tensor<1>) -> Result<Tensor<1>> {
        let value = self.flat(name)?;
        if value.dims() != change.dims() || !matches!(self.parameters.get(name)?.support(), Support::Dense) {
            let got = format!("a change of {} entries to {} stored ones", change.dims()[0], value.dims()[0]);
            let want = "all entries of a kernel: methods that prune and methods that add to kernels exclude each other";
            return Err(quadrat_core::Error::input(name, got, want));
        }
        Ok(value + change)
    }

    /// Let the network compute with `change` of a parameter's (flat) tensor instead of it.
    ///
    /// # Errors
    /// There is no such parameter.
    pub fn replace(&mut self, name: &str, change: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Result<()> {
        let i = self.parameters.position(name)?;
        self.tensors[i] = change(self.tensors[i].clone());
        Ok(())
    }
}

/// Gates and strengths that a hyperparameter tuner sets for each row of a piece.
#[derive(Clone, Default)]
pub struct Tuning {
    /// Coordinates that feed the gates of structured layers, rows x hyperparameters.
    pub gates: Option<Tensor<2>>,
    /// Dropout rate of each row at the named sites.
    pub dropout: Vec<(String, Vec<f32>)>,
}

/// One forward pass.
pub struct Forward<'a> {
    vars: &'a Vars<'a>,
    training: bool,
    rng: Rng,
    tuning: Option<&'a Tuning>,
    statistics: Vec<(usize, Vec<f32>)>,
    taps: Vec<(&'static str, Tensor<2>)>,
    head: Option<String>,
    sites: Vec<String>,
}

impl<'a> Forward<'a> {
    /// A pass in training mode: dropout drops, batch normalisation uses the piece's own statistics.
    pub fn training(vars: &'a Vars<'a>, seed: Seed, item: u64, tuning: Option<&'a Tuning>) -> Self {
        Forward { training: true, rng: seed.rng(item), ..Forward::evaluation(vars, tuning) }
    }

    /// A pass in evaluation mode: no chance, running statistics.
    pub fn evaluation(vars: &'a Vars<'a>, tuning: Option<&'a Tuning>) -> Self {
        let (statistics, taps, sites) = (Vec::new(), Vec::new(), Vec::new());
        Forward { vars, training: false, rng: Seed(0).rng(0), tuning, statistics, taps, head: None, sites }
    }

    /// Whether this is a training pass.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Compute a part in evaluation mode, as a frozen network does.
    pub fn frozen<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        let training = std::mem::replace(&mut self.training, false);
        let result = part(self);
        self.training = training;
        result
    }

    /// The pass's own random stream, for networks that draw.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The parameters.
    pub fn vars(&self) -> &'a Vars<'a> {
        self.vars
    }

    /// Remember a hidden representation (rows x features) for whoever looks at it after the pass.
    pub fn tap(&mut self, name: &'static str, features: &Tensor<2>) {
        self.taps.push((name, features.clone()));
    }

    /// A representation that the network tapped.
    pub fn tapped(&self, name: &str) -> Option<Tensor<2>> {
        self.taps.iter().find(|(n, _)| *n == name).map(|(_, t)| t.clone())
    }

    /// The network's last layer, called `name`, on its features, which are tapped as `features`.
    ///
    /// # Errors
    /// As [`Forward::linear`].
    pub fn head(&mut self, name: &str, features: Tensor<2>) -> Result<Tensor<2>> {
        self.tap("features", &features);
        self.head = Some(name.to_owned());
        self.linear(name, features)
    }

    /// The name of the last layer of a network whose pass is over, if it is a [`Forward::head`].
    pub fn head_name(&self) -> Option<&str> {
        self.head.as_deref()
    }

    /// The network's last layer once more, on other features, for a pass that has been through the network.
    ///
    /// # Errors
    /// A network whose last layer is no [`Forward::head`].
    pub fn head_again(&mut self, features: Tensor<2>) -> Result<Tensor<2>> {
        let none = || quadrat_core::Error::input("network", "no last layer of its own", "a classifier on features");
        let name = self.head.clone().ok_or_else(none)?;
        self.linear(&name, features)
    }

    /// `x` `name.weight`ᵀ + `name.bias`, for rows of `x`; the bias may be absent, the kernel may be sparse. If the layer
    /// has a structured response (`name.response.weight` and its gates) and the pass carries gates, the response is
    /// added (MacKay et al. 2019, eq. 11: (V u) ⊙ W₁x + (C u) ⊙ b₁).
    ///
    /// # Errors
    /// The layer has no kernel, or it is a structured one and `x` has not one row for each row of gates.
    pub fn linear(&mut self, name: &str, x: Tensor<2>) -> Result<Tensor<2>> {
        let kernel = format!("{name}.weight");
        let bias = format!("{name}.bias");
        let bias = if self.vars.parameters.has(&bias) { Some(self.vars.flat(&bias)?) } else { None };
        let gated = self.gated(name, x.dims()[0])?;
        let response = match &gated {
            Some(_) => Some(self.affine(&format!("{name}.response"), x.clone())?),
            None => None,
        };
        let parameter = self.vars.parameters.get(&kernel)?;
        let y = match parameter.support() {
            Support::Dense => ops::linear(x, self.vars.get::<2>(&kernel)?, bias),
            Support::Alive(pattern) => ops::sparse_linear(x, self.vars.flat(&kernel)?, pattern, bias),
            Support::Chosen(pattern, frozen) => {
                let frozen = (**frozen).clone().reshape([pattern.rows(), pattern.cols()]);
                ops::patterned_linear(x, frozen, self.vars.flat(&kernel)?, pattern, bias)
            }
        };
        Ok(match (gated, response) {
            (Some((gate, shift)), Some((weighted, bias))) => y + gate * weighted + shift * bias,
            _ => y,
        })
    }

    /// The gates of a structured layer, V u and C u, rows x outputs, if it is one and the pass carries coordinates.
    fn gated(&self, name: &str, rows: usize) -> Result<Option<(Tensor<2>, Tensor<2>)>> {
        let gate = format!("{name}.gate.weight");
        let Some(u) = self.tuning.and_then(|t| t.gates.clone()) else { return Ok(None) };
        if !self.vars.parameters.has(&gate) {
            return Ok(None);
        }
        if u.dims()[0] != rows {
            let got = format!("{rows} rows in layer `{name}` for {} rows of gates", u.dims()[0]);
            return Err(quadrat_core::Error::input("gates", got, "a structured layer sees each row once"));
        }
        let v = self.vars.get::<2>(&gate)?.transpose();
        let c = self.vars.get::<2>(&format!("{name}.gate.bias"))?.transpose();
        Ok(Some((u.clone().matmul(v), u.matmul(c))))
    }

    /// W₁ x and b₁ (1 x outputs) of a response.
    fn affine(&self, name: &str, x: Tensor<2>) -> Result<(Tensor<2>, Tensor<2>)> {
        let w = self.vars.get::<2>(&format!("{name}.weight"))?.transpose();
        Ok((x.matmul(w), self.vars.flat(&format!("{name}.bias"))?.unsqueeze()))
    }

    /// Convolve images (n x channels x height x width) with `name.weight`, padded by `padding` zeros; add `name.bias`
    /// if there is one, and the gated response of a structured layer, gates per output channel.
    ///
    /// # Errors
    /// As [`Forward::linear`].
    pub fn conv2d(&mut self, name: &str, x: Tensor<4>, stride: usize, padding: usize) -> Result<Tensor<4>> {
        self.convolve(name, x, Window::new(stride, padding))
    }

    /// The same with any window.
    ///
    /// # Errors
    /// As [`Forward::linear`].
    pub fn convolve(&mut self, name: &str, x: Tensor<4>, window: Window) -> Result<Tensor<4>> {
        let kernel = format!("{name}.weight");
        let bias = format!("{name}.bias");
        let bias = if self.vars.parameters.has(&bias) { Some(self.vars.flat(&bias)?) } else { None };
        let parameter = self.vars.parameters.get(&kernel)?;
        let groups = (x.dims()[1] / parameter.shape.get(1).copied().unwrap_or(1).max(1)).max(1);
        let y = match (parameter.support(), &parameter.shape[..]) {
            (Support::Alive(pattern), &[_, _, h, w]) if groups == 1 => {
                let values = self.vars.flat(&kernel)?;
                ops::sparse_conv2d(x.clone(), values, pattern, [h, w], bias, window)
            }
            _ => {
                let kernel = self.vars.kernel::<4>(&kernel)?;
                ops::conv2d(x.clone(), kernel, bias, window, groups)
            }
        };
        let Some((gate, shift)) = self.gated(name, x.dims()[0])? else { return Ok(y) };
        let weight = self.vars.get::<4>(&format!("{name}.response.weight"))?;
        let bias = self.vars.flat(&format!("{name}.response.bias"))?.unsqueeze::<2>();
        let response = ops::conv2d(x, weight, None, window, groups);
        let per_channel = |t: Tensor<2>| t.unsqueeze_dim::<3>(2).unsqueeze_dim::<4>(3);
        Ok(y + per_channel(gate) * response + per_channel(shift * bias))
    }

    /// Transposed convolution of images with `name.weight` (inputs x outputs x height x width), plus `name.bias` if there is one; see
    /// [`ops::conv_transpose2d`].
    ///
    /// # Errors
    /// A kernel that the network does not have.
    pub fn conv_transpose2d(&mut self, name: &str, x: Tensor<4>, window: Window, more: usize) -> Result<Tensor<4>> {
        let bias = format!("{name}.bias");
        let bias = if self.vars.parameters.has(&bias) { Some(self.vars.flat(&bias)?) } else { None };
        let kernel = self.vars.kernel::<4>(&format!("{name}.weight"))?;
        Ok(ops::conv_transpose2d(x, kernel, bias, window, more))
    }

    /// Normalise each channel over the piece (training) or by the running statistics (evaluation), then scale and
    /// shift (Ioffe and Szegedy 2015).
    ///
    /// # Errors
    /// The layer's parameters are missing.
    pub fn batch_norm(&mut self, name: &str, x: Tensor<4>) -> Result<Tensor<4>> {
        let scale = self.vars.flat(&format!("{name}.scale"))?;
        let shift = self.vars.flat(&format!("{name}.shift"))?;
        let mean_at = self.vars.parameters.position(&format!("{name}.mean"))?;
        let variance_at = self.vars.parameters.position(&format!("{name}.variance"))?;
        if self.training {
            let [n, _, h, w] = x.dims();
            let (y, mean, variance) = ops::batch_norm(x, scale, shift, NORM_EPSILON);
            let count = (n * h * w) as f32;
            let unbiased = count / (count - 1.0).max(1.0);
            self.statistics.push((mean_at, mean));
            self.statistics.push((variance_at, variance.into_iter().map(|v| v * unbiased).collect()));
            return Ok(y);
        }
        let (mean, variance) = (self.vars.tensors[mean_at].clone(), self.vars.tensors[variance_at].clone());
        let scale = scale / (variance + NORM_EPSILON).sqrt();
        let shift = shift - mean * scale.clone();
        let channels = |t: Tensor<1>| {
            let c = t.dims()[0];
            t.reshape([1, c, 1, 1])
        };
        Ok(x * channels(scale) + channels(shift))
    }

    /// Normalise each image over groups of channels, then scale and shift (Wu and He 2018).
    ///
    /// # Errors
    /// The layer's parameters are missing.
    pub fn group_norm(&mut self, name: &str, x: Tensor<4>, groups: usize) -> Result<Tensor<4>> {
        let scale = self.vars.flat(&format!("{name}.scale"))?;
        let shift = self.vars.flat(&format!("{name}.shift"))?;
        Ok(ops::group_norm(x, groups, scale, shift, NORM_EPSILON))
    }

    /// Normalise the last axis, then scale and shift (Ba et al. 2016).
    ///
    /// # Errors
    /// The layer's parameters are missing.
    pub fn layer_norm<const D: usize>(&mut self, name: &str, x: Tensor<D>) -> Result<Tensor<D>> {
        let scale = self.vars.flat(&format!("{name}.scale"))?;
        let shift = self.vars.flat(&format!("{name}.shift"))?;
        Ok(ops::layer_norm(x, scale, shift, NORM_EPSILON))
    }

    /// Normalise the last axis by its root mean square, then scale (Zhang and Sennrich 2019).
    ///
    /// # Errors
    /// The layer's parameters are missing.
    pub fn rms_norm<const D: usize>(&mut self, name: &str, x: Tensor<D>) -> Result<Tensor<D>> {
        Ok(ops::rms_norm(x, self.vars.flat(&format!("{name}.scale"))?, NORM_EPSILON))
    }

    /// Drop entries with probability `rate` and scale the others up, in training only; the pass's tuning may set
    /// another rate for each row.
    pub fn dropout<const D: usize>(&mut self, site: &str, x: Tensor<D>, rate: f32) -> Tensor<D> {
        self.sites.push(site.to_owned());
        if !self.training {
            return x;
        }
        let shape = x.dims();
        let (rows, n) = (shape[0], shape.iter().product::<usize>());
        let tuned = self.tuning.and_then(|t| t.dropout.iter().find(|(name, _)| name == site)).map(|(_, r)| r);
        if rate <= 0.0 && tuned.is_none() {
            return x;
        }
        let per_row = n / rows.max(1);
        let mut mask = Vec::with_capacity(n);
        for row in 0..rows {
            let rate = tuned.map_or(rate, |rates| rates[row]).clamp(0.0, 0.999);
            let (threshold, keep) = ((f64::from(rate) * u32::MAX as f64) as u32, 1.0 / (1.0 - rate));
            mask.extend((0..per_row).map(|_| if (self.rng.next_u64() >> 32) as u32 >= threshold { keep } else { 0.0 }));
        }
        let mask = Tensor::<D>::from_data(TensorData::new(mask, shape), &x.device());
        x * mask
    }

    /// Rows of the table `name` (entries x width) at whole numbers `ids` (n x length), which are below its entries.
    ///
    /// # Errors
    /// There is no such table.
    pub fn embedding(&mut self, name: &str, ids: Tensor<2, Int>) -> Result<Tensor<3>> {
        let table = self.vars.get::<2>(name)?;
        let [n, length] = ids.dims();
        let width = table.dims()[1];
        let ids: Tensor<1, Int> = ids.reshape([n * length]);
        Ok(table.select(0, ids).reshape([n, length, width]))
    }

    /// The sites where the pass met a dropout, in order.
    pub(crate) fn into_sites(self) -> Vec<String> {
        self.sites
    }

    /// The statistics met on the way: the place of each parameter and its new value.
    pub(crate) fn into_statistics(self) -> Vec<(usize, Vec<f32>)> {
        self.statistics
    }
}

/// Added to variances.
const NORM_EPSILON: f64 = 1e-5;

/// A network's nonlinearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(0, x).
    #[default]
    Relu,
    /// x Φ(x).
    Gelu,
    /// x σ(x).
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// Sine.
    Sin,
    /// ln(1 + eˣ).
    Softplus,
}

impl Activation {
    /// The function, elementwise.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Activation::Relu => activation::relu(x),
            Activation::Gelu => ops::gelu(x),
            Activation::Silu => ops::silu(x),
            Activation::Tanh => ops::tanh(x),
            Activation::Sin => x.sin(),
            Activation::Softplus => activation::softplus(x, 1.0),
        }
    }
}

/// Rows as a tensor, for a gradient graph if `tracked`.
pub fn tensor_of(rows: ArrayView2<f32>, tracked: bool) -> Tensor<2> {
    let values: Vec<f32> = rows.iter().copied().collect();
    let tensor = Tensor::from_data(TensorData::new(values, [rows.nrows(), rows.ncols()]), &Device::flex());
    if tracked { tensor.autodiff() } else { tensor }
}
