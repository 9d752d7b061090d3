//! Weight compander: every weight is a bounded, odd, increasing function of a free variable.
//!
//! Cakaj, Mehnert and Yang, "Weight Compander: A Simple Weight Reparameterization for Regularization", 2023
//! (arXiv 2306.16993). Small weights are spread out, large ones are held back: w = Ψ(v), |w| bounded.
//!
//! The paper's body could not be read and no program of the authors is known. What stands here, the arctangent compander
//! w = a arctan(v / b), has every property that the abstract names; its scales and its start are ours:
//! a = 3 standard deviations of the layer's initial weights, b = a (slope 1 at zero), and v chosen such that the network
//! starts exactly as it would without the compander ([`Start::Matched`]).
//!
//! Consequences that the tests check: Ψ'(v) = (a/b) cos²(w/a), so that a step of gradient descent on v moves w by
//! −η (a/b)² cos⁴(w/a) ∂L/∂w to first order; and (η, λ, b) gives the same weights as (c² η, λ / c², c b), that is,
//! under plain gradient descent b is a learning rate in disguise.
//!
//! Learning the scales ([`WeightCompander::learn`]) did not pay in the recorded claim: it was less accurate than tuned weight
//! decay from two seeds of three, where fixed scales were as accurate or slightly more.

use quadrat_core::{Area, Card, Choice, Error, Method, Result, Settings};
use quadrat_nn::{Forward, Parameters, Piece, Role, Run, Spec, Tensor, TrainMethod, Vars, ops};
use std::f32::consts::FRAC_PI_2;

/// The function from free variable to weight, for scales a and b.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Compander {
    /// a arctan(v / b): bounded by a π/2.
    Arctan,
    /// a tanh(v / b): bounded by a.
    Tanh,
    /// a v / (b + |v|): bounded by a.
    Softsign,
    /// a sign(v) ln(1 + |v| / b): unbounded, flattening.
    MuLaw,
}

impl Compander {
    /// What |w| stays below, for a = 1.
    pub fn bound(self) -> f32 {
        match self {
            Compander::Arctan => FRAC_PI_2,
            Compander::Tanh | Compander::Softsign => 1.0,
            Compander::MuLaw => f32::INFINITY,
        }
    }

    /// The weight of a free variable.
    pub fn weight(self, v: f32, a: f32, b: f32) -> f32 {
        let x = v / b;
        a * match self {
            Compander::Arctan => x.atan(),
            Compander::Tanh => x.tanh(),
            Compander::Softsign => x / (1.0 + x.abs()),
            Compander::MuLaw => x.signum() * x.abs().ln_1p(),
        }
    }

    /// The free variable of a weight within the bound.
    pub fn free(self, w: f32, a: f32, b: f32) -> f32 {
        let x = f64::from(w) / f64::from(a);
        let v = match self {
            Compander::Arctan => x.tan(),
            Compander::Tanh => x.atanh(),
            Compander::Softsign => x / (1.0 - x.abs()),
            Compander::MuLaw => x.signum() * x.abs().exp_m1(),
        };
        (v * f64::from(b)) as f32
    }

    /// The weights of free variables, for scales that may be learnt.
    fn tensor(self, v: Tensor<1>, a: Tensor<1>, b: Tensor<1>) -> Tensor<1> {
        let x = v / b;
        a * match self {
            Compander::Arctan => ops::atan(x),
            Compander::Tanh => ops::tanh(x),
            Compander::Softsign => x.clone() / (x.abs() + 1.0),
            Compander::MuLaw => x.clone().sign() * x.abs().log1p(),
        }
    }
}

/// How free variables start from the layer's initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Start {
    /// The network starts as it would without the compander.
    Matched,
    /// The free variables are the initial weights.
    Plain,
}

/// Weight compander.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_nn::{Mlp, Samples, Trainer};
/// use quadrat_regularize::WeightCompander;
/// let inputs = ndarray::Array2::from_shape_fn((40, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
/// let samples = Samples::classes(inputs, (0..40).map(|i| (i % 7 > 3) as u32).collect(), 2)?;
/// let trainer = Trainer { epochs: 5, seed: Seed(1), ..Trainer::default() };
/// let mut method = WeightCompander::default();
/// let fit = trainer.fit(&Mlp::new(2, &[16], 2), &samples, None, &mut [&mut method], &Silent)?;
/// let bound = method.layers[0].1 * std::f32::consts::FRAC_PI_2;
/// assert!(fit.parameters.get("fc1.weight")?.values().iter().all(|w| w.abs() < bound));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Settings)]
pub struct WeightCompander {
    /// The function.
    #[param(name = "function", default = Compander::Arctan)]
    pub compander: Compander,
    /// The a of a layer in standard deviations of its initial weights.
    #[param(default = 3.0, above = 0, to = 1e6)]
    pub scale: f32,
    /// Slope at zero, a / b.
    #[param(default = 1.0, above = 0, to = 1e6)]
    pub expansion: f32,
    /// Learn a and b of each layer (their logarithms, at a tenth of the learning rate, without decay). The slope a / b
    /// stays within 0.25 and 16.
    #[param(default = false)]
    pub learn: bool,
    /// How free variables start.
    #[param(default = Start::Matched)]
    pub start: Start,
    /// The λ of a penalty λ/2 ‖w‖² on the weights themselves; the optimiser's decay acts on free variables.
    #[param(default = 0.0, from = 0, to = 1e6)]
    pub penalty: f32,
    /// Each kernel with its a and b: as they started, after a run as they ended. Empty before one.
    pub layers: Vec<(String, f32, f32)>,
}

impl Method for WeightCompander {
    const CARD: Card = Card {
        slug: "weight-compander",
        aliases: &["compander"],
        title: "Weight compander",
        paper: "Cakaj, Mehnert and Yang, 2023, arXiv 2306.16993 (arctangent form; the paper's own could not be verified)",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Replaces every weight by a bounded increasing function of a free variable, so that large weights are \
                  held back and small ones spread out; folded away after training.",
        useful_when: "my network overfits a small or noisy training set; some weights grow too large; a regulariser \
                      that adds to weight decay and dropout",
        cost: "one arctangent a weight and step; nothing after training",
        params: Self::PARAMS,
    };
}

impl WeightCompander {
    /// a and b of a layer as tensors of one number.
    fn scales_in(&self, vars: &Vars, (name, a, b): &(String, f32, f32)) -> Result<(Tensor<1>, Tensor<1>)> {
        let v = vars.flat(name)?;
        if self.learn {
            return Ok((vars.flat(&format!("{name}.log_a"))?.exp(), vars.flat(&format!("{name}.log_b"))?.exp()));
        }
        let one = |x: f32| Tensor::<1>::from_floats([x], &v.device());
        Ok((one(*a), one(*b)))
    }

    /// Keep learnt slopes a / b within bounds: b near zero would leave only signs.
    fn bound_slopes(&self, parameters: &mut Parameters) -> Result<()> {
        for (name, ..) in &self.layers {
            let log_a = parameters.get(&format!("{name}.log_a"))?.values()[0];
            let (low, high) = (log_a - 16f32.ln(), log_a - 0.25f32.ln());
            parameters.get_mut(&format!("{name}.log_b"))?.update(|b| b[0] = b[0].clamp(low, high));
        }
        Ok(())
    }
}

impl TrainMethod for WeightCompander {
    fn name(&self) -> &str {
        "weight-compander"
    }

    fn settings(&self) -> String {
        format!(
            "function={:?} scale={} expansion={} learn={} start={:?} penalty={}",
            self.compander, self.scale, self.expansion, self.learn, self.start, self.penalty
        )
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        for (what, value) in [("scale", self.scale), ("expansion", self.expansion)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::input(format!("compander {what}"), value, "a positive number"));
            }
        }
        self.layers.clear();
        for parameter in parameters.iter_mut().filter(|p| p.role == Role::Weight) {
            let start = parameter.values();
            let squares: f64 = start.iter().map(|&w| f64::from(w) * f64::from(w)).sum();
            let deviation = (squares / start.len() as f64).sqrt() as f32;
            if deviation == 0.0 {
                return Err(Error::input(&parameter.name, "all weights zero", "the compander needs initial weights"));
            }
            let a = self.scale * deviation;
            let b = a / self.expansion;
            if self.start == Start::Matched {
                let most = 0.98 * a * self.compander.bound();
                let clipped = start.iter().filter(|w| w.abs() > most).count();
                if clipped * 100 > start.len() {
                    let top = start.iter().fold(0f32, |top, w| top.max(w.abs()));
                    let got = format!("initial weights up to {top} in `{}`", parameter.name);
                    return Err(Error::input("scale", got, format!("the bound is {most}: raise the scale")));
                }
                let compander = self.compander;
                parameter.update(|v| v.iter_mut().for_each(|v| *v = compander.free(v.clamp(-most, most), a, b)));
            }
            self.layers.push((parameter.name.clone(), a, b));
        }
        if self.layers.is_empty() {
            return Err(Error::input("weight-compander", "a network without kernels", "linear or convolution layers"));
        }
        if self.learn {
            for (name, a, b) in &self.layers {
                for (which, value) in [("log_a", a.ln()), ("log_b", b.ln())] {
                    let init = quadrat_nn::Init::Constant(value);
                    parameters.add(Spec::new(format!("{name}.{which}"), &[1], Role::Other, init), run.seed)?;
                    parameters.get_mut(&format!("{name}.{which}"))?.rate = 0.1;
                }
            }
        }
        Ok(())
    }

    fn reparametrise(&self, vars: &mut Vars) -> Result<()> {
        for layer in &self.layers {
            let (a, b) = self.scales_in(vars, layer)?;
            vars.replace(&layer.0, |v| self.compander.tensor(v, a, b))?;
        }
        Ok(())
    }

    fn loss(&self, forward: &mut Forward, _: &Piece, _: &Tensor<2>, mut rows: Tensor<1>) -> Result<Tensor<1>> {
        if self.penalty > 0.0 {
            for (name, ..) in &self.layers {
                rows = rows + forward.vars().flat(name)?.square().sum() * (0.5 * self.penalty);
            }
        }
        Ok(rows)
    }

    fn after_step(&mut self, _: quadrat_nn::At, parameters: &mut Parameters) -> Result<()> {
        if self.learn { self.bound_slopes(parameters) } else { Ok(()) }
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        for (name, a, b) in &mut self.layers {
            if self.learn {
                *a = parameters.get(&format!("{name}.log_a"))?.values()[0].exp();
                *b = parameters.get(&format!("{name}.log_b"))?.values()[0].exp();
            }
            let (compander, a, b) = (self.compander, *a, *b);
            parameters.get_mut(name)?.update(|v| v.iter_mut().for_each(|v| *v = compander.weight(*v, a, b)));
        }
        let ours = |name: &str| {
            self.layers
                .iter()
                .any(|(kernel, ..)| [".log_a", ".log_b"].map(|end| format!("{kernel}{end}")).contains(&name.to_owned()))
        };
        parameters.remove(ours);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;
    use quadrat_core::{Seed, Silent};
    use quadrat_nn::{ConvNet, Mlp, Network, Optimizer, Samples, Trainer, initialise, predict};

    const ALL: [Compander; 4] = [Compander::Arctan, Compander::Tanh, Compander::Softsign, Compander::MuLaw];

    fn samples(width: usize) -> Samples {
        let mut rng = Seed(2).rng(0);
        let inputs = Array2::from_shape_fn((40, width), |_| rng.normal() as f32);
        Samples::classes(inputs, (0..40).map(|i| i % 3).collect(), 3).unwrap()
    }

    fn trained(network: &dyn Network, method: &mut WeightCompander, optimizer: Optimizer, rate: f64) -> Parameters {
        let trainer = Trainer { epochs: 4, batch: 10, rate, optimizer, seed: Seed(3), ..Trainer::default() };
        trainer.fit(network, &samples(network.inputs()), None, &mut [method], &Silent).unwrap().parameters
    }

    #[test]
    fn golden_values() {
        for (v, w) in [(0.0, 0.0), (0.1, 0.1973956), (0.5, std::f32::consts::FRAC_PI_4), (2.0, 1.3258177)] {
            assert!((Compander::Arctan.weight(v, 1.0, 0.5) - w).abs() < 1e-6);
        }
        for compander in ALL {
            for w in [-0.9, -0.1, 0.0, 0.3, 0.9] {
                let back = compander.weight(compander.free(w, 1.0, 0.7), 1.0, 0.7);
                assert!((back - w).abs() < 1e-5, "{compander:?} {w} {back}");
            }
        }
    }

    #[test]
    fn weights_stay_within_the_bound_and_nothing_is_left_behind() {
        let networks: [Box<dyn Network>; 2] = [
            Box::new(Mlp::new(64, &[16], 3)),
            Box::new(ConvNet { filters: vec![4], hidden: 8, ..ConvNet::new([1, 8, 8], 3) }),
        ];
        for network in &networks {
            for compander in ALL {
                for learn in [false, true] {
                    let mut method = WeightCompander { compander, learn, scale: 4.5, ..WeightCompander::default() };
                    let folded = trained(&**network, &mut method, Optimizer::sgd(1e-3), 0.05);
                    assert_eq!(folded.len(), network.parameters().len());
                    for (name, a, b) in &method.layers {
                        let bound = a * compander.bound();
                        assert!(folded.get(name).unwrap().values().iter().all(|w| w.abs() <= bound));
                        assert!((0.25 - 1e-3..=16.0 + 1e-3).contains(&(a / b)), "{a} {b}");
                    }
                }
            }
        }
    }

    /// The network in training, compander on, says what the folded one says.
    #[test]
    fn folding_changes_nothing() {
        let network = Mlp::new(10, &[16], 3);
        let samples = samples(10);
        let mut method = WeightCompander::default();
        let start = initialise(&network, Seed(3)).unwrap();
        let plain = predict(&network, &start, samples.inputs.view(), &[]).unwrap();
        let trainer = Trainer { epochs: 1, ..Trainer::default() };
        let run = Run { network: &network, data: &samples, loss: trainer.loss, epochs: 1, steps: 1, seed: Seed(1) };
        let mut companded = start.clone();
        method.begin(&run, &mut companded).unwrap();
        let with = predict(&network, &companded, samples.inputs.view(), &[&method]).unwrap();
        method.finish(&mut companded).unwrap();
        let folded = predict(&network, &companded, samples.inputs.view(), &[]).unwrap();
        for (a, (b, c)) in plain.iter().zip(with.iter().zip(&folded)) {
            assert!((a - b).abs() < 1e-4 && (b - c).abs() < 1e-4);
        }
    }

    /// (rate, decay, b) and (c² rate, decay / c², c b) are the same training.
    #[test]
    fn b_is_a_learning_rate_in_disguise() {
        let network = Mlp::new(10, &[16], 3);
        let c = 2.0;
        let mut one = WeightCompander { expansion: 2.0, ..WeightCompander::default() };
        let mut two = WeightCompander { expansion: 2.0 / c as f32, ..WeightCompander::default() };
        // Biases are no free variables and must not see the rate: without them nothing else differs.
        let frozen = |rate: f64, decay: f64, method: &mut WeightCompander| {
            let trainer = Trainer {
                epochs: 4,
                batch: 10,
                rate,
                optimizer: Optimizer::sgd(decay),
                seed: Seed(3),
                ..Trainer::default()
            };
            let mut start = initialise(&network, Seed(5)).unwrap();
            start.iter_mut().filter(|p| p.role == Role::Bias).for_each(|p| p.trainable = false);
            trainer.fit_from(&network, start, &samples(10), None, &mut [method], &Silent).unwrap().parameters
        };
        let (a, b) = (frozen(0.02, 4e-3, &mut one), frozen(0.02 * c * c, 4e-3 / (c * c), &mut two));
        for (a, b) in a.iter().zip(b.iter()) {
            let apart = a.values().iter().zip(b.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-4, "{}: {apart}", a.name);
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let network = Mlp::new(10, &[16], 3);
        let fit = |mut method: WeightCompander| {
            let trainer = Trainer { epochs: 1, ..Trainer::default() };
            trainer.fit(&network, &samples(10), None, &mut [&mut method], &Silent).map(|_| ()).unwrap_err().to_string()
        };
        assert!(fit(WeightCompander { scale: -1.0, ..WeightCompander::default() }).contains("positive"));
        assert!(fit(WeightCompander { expansion: f32::NAN, ..WeightCompander::default() }).contains("positive"));
        assert!(fit(WeightCompander { scale: 0.5, ..WeightCompander::default() }).contains("raise the scale"));
    }

    proptest! {
        /// Ψ' = (a/b) cos²(w/a).
        #[test]
        fn the_slope_is_as_derived(v in -3.0f64..3.0, a in 0.1f64..2.0, b in 0.1f64..2.0) {
            let psi = |v: f64| a * (v / b).atan();
            let slope = (psi(v + 1e-6) - psi(v - 1e-6)) / 2e-6;
            prop_assert!((slope - a / b * (psi(v) / a).cos().powi(2)).abs() < 1e-5 * a / b);
        }
    }
}
