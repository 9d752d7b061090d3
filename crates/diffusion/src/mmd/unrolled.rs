//! A sampler as a network: from noise to data through all steps of a plan, with the denoiser's own parameters.
//!
//! As [`crate::Path`], on tensors. A gradient of anything at the samples reaches the parameters through every step.

use crate::coefficients::{Update, compile};
use crate::network::Told;
use crate::plan::{Corrector, First, Form};
use crate::{Level, NetworkDenoiser, Plan};
use ndarray::{Array2, s};
use quadrat_core::{Error, Result};
use quadrat_nn::{Forward, Inputs, Model, Network, Spec, Tensor, tensor_of};

/// The sampler.
pub(super) struct Unrolled<'a> {
    denoiser: &'a NetworkDenoiser,
    updates: Vec<(Update, Option<Update>)>,
    correctors: Vec<Corrector>,
    first: First,
    asks: Vec<Ask>,
}

/// How the network is asked at one level.
struct Ask {
    at: Level,
    /// The data prediction of x is `skip` x + `out` F(`input` x).
    skip: f64,
    out: f64,
    input: f64,
    /// What F is told of the level, a row for all samples.
    told: Array2<f32>,
}

impl<'a> Unrolled<'a> {
    /// The sampler of a plan.
    ///
    /// # Errors
    /// A plan that cannot be run or draws noise, a network that is told a class or a condition.
    pub fn new(denoiser: &'a NetworkDenoiser, plan: &Plan) -> Result<Self> {
        let purpose = denoiser.purpose();
        if plan.is_stochastic() {
            let want = "a solver that draws none (eta 0): samples are to follow the noise that they start from";
            return Err(Error::input("plan", "steps that draw noise", want));
        }
        if purpose.classes + purpose.condition > 0 {
            let got = format!("one of {} classes and {} condition numbers", purpose.classes, purpose.condition);
            return Err(Error::input(
                "network",
                got,
                "one without: samples of all are compared with the data together",
            ));
        }
        if let First::Mean(mean) = &plan.first
            && mean.len() != purpose.dims
        {
            let want = format!("{}, as the model", purpose.dims);
            return Err(Error::input("mean of the first answer", format!("{} numbers", mean.len()), want));
        }
        let ask = |at: Level| -> Result<Ask> {
            let weights = purpose.parametrisation.weights(at.ratio(), purpose.deviation);
            let (skip, input) = (weights.skip / at.alpha, weights.input / at.alpha);
            let none = Array2::zeros((1, purpose.dims));
            let (row, _) = denoiser.inputs(none.view(), &[at.ratio()], &Told::default())?;
            let told = match denoiser.network() {
                Model::UNet(_) => Array2::from_elem((1, 1), (at.ratio().ln() / 4.0) as f32),
                _ => row.slice(s![.., purpose.dims..]).to_owned(),
            };
            Ok(Ask { at, skip, out: weights.out, input, told })
        };
        let updates = compile(plan)?;
        let asks = plan.levels().into_iter().take(updates.len()).map(ask).collect::<Result<_>>()?;
        let correctors = plan.steps.iter().map(|step| step.corrector).collect();
        Ok(Unrolled { denoiser, updates, correctors, first: plan.first.clone(), asks })
    }

    /// The data prediction.
    fn data(&self, forward: &mut Forward, x: &Tensor<2>, ask: &Ask) -> Result<Tensor<2>> {
        let told = tensor_of(ask.told.view(), x.is_autodiff()).repeat_dim(0, x.dims()[0]);
        let scaled = x.clone() * ask.input;
        let inputs = match self.denoiser.network() {
            Model::UNet(_) => Inputs::of(scaled).beside("time", told),
            _ => Inputs::of(Tensor::cat(vec![scaled, told], 1)),
        };
        let answer = self.denoiser.network().forward(forward, &inputs)?;
        Ok(x.clone() * ask.skip + answer * ask.out)
    }

    /// What stands for the answer at the first level, if the network is not asked there.
    fn unasked(&self, x: &Tensor<2>) -> Option<Tensor<2>> {
        match &self.first {
            First::Ask => None,
            First::Noise => Some(x.zeros_like()),
            First::Mean(mean) => {
                let rows = Array2::from_shape_fn((x.dims()[0], mean.len()), |(_, j)| mean[j] as f32);
                Some(tensor_of(rows.view(), x.is_autodiff()))
            }
        }
    }
}

/// base · state + Σ weight · answer.
fn apply(update: &Update, states: &[Tensor<2>], answers: &[[Tensor<2>; 2]]) -> Tensor<2> {
    let form = usize::from(update.form == Form::Noise);
    let start = states[update.start].clone() * update.base;
    update.terms.iter().fold(start, |sum, (answer, weight)| sum + answers[*answer][form].clone() * *weight)
}

impl Network for Unrolled<'_> {
    fn inputs(&self) -> usize {
        self.denoiser.purpose().dims
    }

    fn outputs(&self) -> usize {
        self.denoiser.purpose().dims
    }

    fn parameters(&self) -> Vec<Spec> {
        self.denoiser.network().parameters()
    }

    fn grain(&self) -> usize {
        self.denoiser.network().grain()
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let mut states = vec![inputs.numbers()];
        // Data and noise predictions.
        let mut answers: Vec<[Tensor<2>; 2]> = Vec::new();
        let both = |x: &Tensor<2>, data: Tensor<2>, at: &Level| {
            let noise = (x.clone() - data.clone() * at.alpha) / at.sigma;
            [data, noise]
        };
        for (k, ask) in self.asks.iter().enumerate() {
            let x = states[k].clone();
            let data = match self.unasked(&x).filter(|_| k == 0) {
                Some(data) => data,
                None => self.data(forward, &x, ask)?,
            };
            answers.push(both(&x, data, &ask.at));
            if let Some(corrector) = k.checked_sub(1).and_then(|before| self.updates[before].1.as_ref()) {
                states[k] = apply(corrector, &states, &answers);
                if self.correctors[k - 1] == Corrector::Implicit {
                    let x = states[k].clone();
                    answers[k] = both(&x, self.data(forward, &x, ask)?, &ask.at);
                }
            }
            states.push(apply(&self.updates[k].0, &states, &answers));
        }
        states.pop().ok_or_else(|| Error::input("plan", "no step", "at least one"))
    }
}
