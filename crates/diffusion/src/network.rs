//! Denoisers that are networks.
//!
//! A network is trained on samples scaled to the data's size, z = x/α = x₀ + ρ ε, and told of ρ = σ/α alone, so that one network
//! serves every schedule. What it answers, and how that becomes the data prediction, is its [`Parametrisation`].

mod noising;
mod parametrisation;
mod told;
mod training;

pub use noising::Noising;
pub use parametrisation::Parametrisation;
pub(crate) use told::{TOLD, average, sum_of, told_of};
pub use training::Denoising;

use crate::denoiser::check_dims;
use crate::{Denoiser, Differentiable, Level, Prediction};
use ndarray::{Array2, ArrayView2, Axis, Zip, concatenate, s};
use parametrisation::Weights;
use quadrat_core::{Error, Result, Seed};
use quadrat_nn::{
    Activation, Entries, Mlp, Model, Network, Others, Parameters, Rows, UNet, initialise, load_model, predict,
    pull_back, save_model,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a network was made for, as it is saved with it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Purpose {
    /// Numbers in a sample.
    pub dims: usize,
    /// What it answers.
    pub parametrisation: Parametrisation,
    /// The data's standard deviation, over all rows and columns.
    pub deviation: f64,
    /// Classes that it can be asked for; 0 if none.
    #[serde(default)]
    pub classes: usize,
    /// Numbers of a condition that it is told; 0 if none.
    #[serde(default)]
    pub condition: usize,
    /// The least ρ that it was taught: below, it only knows what lies above.
    #[serde(default)]
    pub least: f64,
}

/// A network as a denoiser.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_diffusion::{Denoising, Grid, NetworkDenoiser, Noising, Schedule, Solver, integrate, noise};
/// let mut rng = Seed(1).rng(0);
/// let rows = Array2::from_shape_fn((64, 2), |_| rng.normal());
/// let mut denoiser = NetworkDenoiser::mlp(2, &[32, 32], Seed(1))?;
/// let course = Denoising { epochs: 2, ..Denoising::default() };
/// course.fit(&mut denoiser, Noising::of(rows.view()), None, Seed(1), &Silent)?;
/// let plan = Solver::Dpmpp2m.plan(Schedule::edm(), &Grid::Karras, 10)?;
/// let new = integrate(&plan, &denoiser, noise(&plan, 8, 2, Seed(2)), Seed(2), &Silent)?;
/// assert_eq!(new.dim(), (8, 2));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NetworkDenoiser {
    network: Model,
    parameters: Parameters,
    purpose: Purpose,
    told: Told,
}

/// What a network is told beside the sample and its noise: one row for all samples, or one for each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Classes; the number of classes itself stands for "any".
    classes: Vec<u32>,
    condition: Option<Array2<f32>>,
}

impl NetworkDenoiser {
    /// A multilayer perceptron for rows of `dims` numbers, untrained.
    ///
    /// # Errors
    /// No numbers, a layer without units.
    pub fn mlp(dims: usize, hidden: &[usize], seed: Seed) -> Result<Self> {
        NetworkDenoiser::conditional_mlp(dims, hidden, [0, 0], seed)
    }

    /// A multilayer perceptron that is told a class, of so many, and a condition of so many numbers.
    ///
    /// # Errors
    /// No numbers, a layer without units.
    pub fn conditional_mlp(
        dims: usize,
        hidden: &[usize],
        [classes, condition]: [usize; 2],
        seed: Seed,
    ) -> Result<Self> {
        if dims == 0 || hidden.contains(&0) {
            let got = format!("{dims} numbers, layers of {hidden:?} units");
            return Err(Error::input("network", got, "at least one number in a sample, one unit in a layer"));
        }
        let told = TOLD + classes + condition;
        let network = Mlp { activation: Activation::Silu, ..Mlp::new(dims + told, hidden, dims) };
        NetworkDenoiser::of(Model::Mlp(network), dims, [classes, condition], seed)
    }

    /// A U-shaped network for images, untrained, with the classes and the condition that it takes.
    ///
    /// # Errors
    /// Height and width that its sizes do not divide (said with the nearest that they do), channels that are not a multiple of 8.
    pub fn unet(network: UNet, seed: Seed) -> Result<Self> {
        let by = 1usize << network.levels.len();
        let [_, height, width] = network.shape;
        if let Some(side) = [height, width].into_iter().find(|side| *side == 0 || !side.is_multiple_of(by)) {
            let near = (side.saturating_add(by / 2) / by).max(1) * by;
            return Err(Error::input("side of the images", side, format!("a multiple of {by}: the nearest is {near}")));
        }
        if network.width < 16 || !network.width.is_multiple_of(8) {
            return Err(Error::input("channels", network.width, "a multiple of 8, at least 16"));
        }
        let (dims, told) = (network.inputs(), [network.classes, network.condition]);
        NetworkDenoiser::of(Model::UNet(network), dims, told, seed)
    }

    fn of(network: Model, dims: usize, [classes, condition]: [usize; 2], seed: Seed) -> Result<Self> {
        let parameters = initialise(&network, seed.stream("parameters"))?;
        let parametrisation = Parametrisation::Edm;
        let purpose = Purpose { dims, parametrisation, deviation: 1.0, classes, condition, least: 0.0 };
        Ok(NetworkDenoiser { network, parameters, purpose, told: Told::default() })
    }

    /// The same network with another parametrisation.
    pub fn with(mut self, parametrisation: Parametrisation) -> Self {
        self.purpose.parametrisation = parametrisation;
        self
    }

    /// What it was made for.
    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    /// The network.
    pub fn network(&self) -> &Model {
        &self.network
    }

    /// Its parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The same network with other values of its parameters, for methods that train it in their own way.
    pub(crate) fn with_parameters(&self, parameters: Parameters) -> Self {
        NetworkDenoiser { parameters, ..self.clone() }
    }

    /// The denoiser of samples of one class. Without this a network with classes answers for all of them together.
    ///
    /// # Errors
    /// A class that it does not know.
    pub fn of_class(&self, class: u32) -> Result<Self> {
        if class as usize >= self.purpose.classes {
            let want = match self.purpose.classes {
                0 => "none: the network was trained without classes".to_owned(),
                classes => format!("0 to {}", classes - 1),
            };
            return Err(Error::input("class", class, want));
        }
        Ok(NetworkDenoiser { told: Told { classes: vec![class], ..self.told.clone() }, ..self.clone() })
    }

    /// The denoiser given a condition: one row for all samples, or one for each.
    ///
    /// # Errors
    /// Rows of another width than the network takes.
    pub fn given(&self, condition: ArrayView2<f64>) -> Result<Self> {
        if condition.ncols() != self.purpose.condition || condition.nrows() == 0 {
            let got = format!("{:?} numbers", condition.dim());
            let want = format!("rows of {}, as the network was made for", self.purpose.condition);
            return Err(Error::input("condition", got, want));
        }
        let condition = Some(condition.mapv(|v| v as f32));
        Ok(NetworkDenoiser { told: Told { condition, ..self.told.clone() }, ..self.clone() })
    }

    /// Writes network, parameters, what it was made for and `notes` of the caller's into one safetensors file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path, notes: serde_json::Value) -> Result<()> {
        let purpose = serde_json::to_value(self.purpose).map_err(|e| Error::numeric("model", e.to_string()))?;
        save_model(path, &self.network, &self.parameters, &serde_json::json!({ "diffusion": purpose, "notes": notes }))
    }

    /// Reads what [`save`](Self::save) wrote, with the notes.
    ///
    /// # Errors
    /// A file that is missing, damaged or of another kind of model.
    pub fn load(path: &Path) -> Result<(Self, serde_json::Value)> {
        let (network, parameters, mut notes) = load_model(path)?;
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let Some(purpose) = notes.get("diffusion").filter(|purpose| !purpose.is_null()) else {
            return Err(wrong("it is no diffusion model: `quadrat diffuse train` makes one".into()));
        };
        let purpose: Purpose = serde_json::from_value(purpose.clone()).map_err(|e| wrong(e.to_string()))?;
        if network.outputs() != purpose.dims {
            return Err(wrong(format!("{} outputs for samples of {} numbers", network.outputs(), purpose.dims)));
        }
        Ok((NetworkDenoiser { network, parameters, purpose, told: Told::default() }, notes["notes"].take()))
    }

    fn weights(&self, ratio: f64) -> Weights {
        self.purpose.parametrisation.weights(ratio, self.purpose.deviation)
    }

    /// What the network is given: samples of the data's size that are scaled already, one ρ for each or for all, what it is told.
    pub(crate) fn inputs(&self, scaled: ArrayView2<f64>, ratios: &[f64], told: &Told) -> Result<(Array2<f32>, Others)> {
        let (n, Purpose { classes, condition, .. }) = (scaled.nrows(), self.purpose);
        let scaled = scaled.mapv(|v| v as f32);
        let of_row = |i: usize, len: usize| if len == 1 { 0 } else { i };
        let ratio = |i: usize| ratios[of_row(i, ratios.len())];
        let any = vec![classes as u32];
        let class = if told.classes.is_empty() { &any } else { &told.classes };
        let none = Array2::zeros((1, condition));
        let given = told.condition.as_ref().unwrap_or(&none);
        for (what, rows) in [("classes", class.len()), ("conditions", given.nrows())] {
            if rows != 1 && rows != n {
                return Err(Error::input(what, rows, format!("one, or one for each of {n} samples")));
            }
        }
        if matches!(self.network, Model::UNet(_)) {
            let mut others = Others::new();
            let times = Array2::from_shape_fn((n, 1), |(i, _)| told_of(ratio(i))[0]);
            others.insert("time".into(), Entries::Numbers(times));
            if classes > 0 {
                let classes = Array2::from_shape_fn((n, 1), |(i, _)| class[of_row(i, class.len())]);
                others.insert("class".into(), Entries::Whole(classes));
            }
            if condition > 0 {
                let rows = Array2::from_shape_fn((n, condition), |(i, j)| given[[of_row(i, given.nrows()), j]]);
                others.insert("condition".into(), Entries::Numbers(rows));
            }
            return Ok((scaled, others));
        }
        let mut beside = Array2::zeros((n, TOLD + classes + condition));
        for (i, mut row) in beside.outer_iter_mut().enumerate() {
            row.iter_mut().zip(told_of(ratio(i))).for_each(|(to, v)| *to = v);
            let class = class[of_row(i, class.len())] as usize;
            if class < classes {
                row[TOLD + class] = 1.0;
            }
            row.slice_mut(s![TOLD + classes..]).assign(&given.row(of_row(i, given.nrows())));
        }
        let both = concatenate(Axis(1), &[scaled.view(), beside.view()]);
        Ok((both.map_err(|e| Error::numeric("network", e.to_string()))?, Others::new()))
    }
}

impl Denoiser for NetworkDenoiser {
    fn dims(&self) -> usize {
        self.purpose.dims
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        check_dims(self.purpose.dims, x)?;
        if at.sigma == 0.0 {
            return Ok(&x / at.alpha);
        }
        let Weights { skip, out, input } = self.weights(at.ratio());
        let (inputs, others) = self.inputs((&x * (input / at.alpha)).view(), &[at.ratio()], &self.told)?;
        let answer = predict(&self.network, &self.parameters, Rows::new(inputs.view(), &others), &[])?;
        let mut data = x.to_owned();
        Zip::from(&mut data).and(&answer).for_each(|x, answer| *x = skip / at.alpha * *x + out * f64::from(*answer));
        Ok(data)
    }
}

impl Differentiable for NetworkDenoiser {
    fn pull_back(
        &self,
        x: ArrayView2<f64>,
        at: &Level,
        cotangent: &mut dyn FnMut(&Array2<f64>) -> Result<Array2<f64>>,
    ) -> Result<(Array2<f64>, Array2<f64>)> {
        check_dims(self.purpose.dims, x)?;
        let Weights { skip, out, input } = self.weights(at.ratio());
        let (inputs, others) = self.inputs((&x * (input / at.alpha)).view(), &[at.ratio()], &self.told)?;
        let (mut data, mut pulled) = (Array2::default((0, 0)), Array2::default((0, 0)));
        let mut at_answer = |answer: &Array2<f32>| {
            data = &x * (skip / at.alpha) + &answer.mapv(|v| out * f64::from(v));
            pulled = cotangent(&data)?;
            Ok(pulled.mapv(|v| v as f32))
        };
        let rows = Rows::new(inputs.view(), &others);
        let (_, gradient) = pull_back(&self.network, &self.parameters, rows, &mut at_answer)?;
        let through = gradient.slice(s![.., ..self.purpose.dims]).mapv(f64::from);
        Ok((data, (skip * pulled + out * input * through) / at.alpha))
    }
}

#[cfg(test)]
mod tests;
