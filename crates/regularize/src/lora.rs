//! LoRA: fine-tune a product of two thin matrices beside each frozen kernel.
//!
//! Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen, "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022
//! (arXiv 2106.09685). Linear layers compute with W₀ + (α / r) B A; B starts at zero, so that the network starts as it
//! was, and A normal with variance 1 / inputs. W₀, biases, convolutions, normalisations and running statistics stay.
//! It is here as what sparse fine-tuning ([`Sara`](crate::Sara)) is compared with.

use crate::frozen::Frozen;
use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{At, Change, Delta, Init, Parameters, Role, Run, Spec, Tensor, TrainMethod, Vars};

/// Low-rank fine-tuning of linear layers.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_nn::{Mlp, Samples, Trainer, initialise};
/// use quadrat_regularize::Lora;
/// let network = Mlp::new(2, &[16], 2);
/// let trained = initialise(&network, Seed(1))?;
/// let inputs = ndarray::Array2::from_shape_fn((40, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
/// let samples = Samples::classes(inputs, (0..40).map(|i| (i % 7 > 3) as u32).collect(), 2)?;
/// let trainer = Trainer { epochs: 5, ..Trainer::default() };
/// let mut method = Lora { rank: 2, ..Lora::default() };
/// let fit = trainer.fit_from(&network, trained.clone(), &samples, None, &mut [&mut method], &Silent)?;
/// assert_eq!(fit.parameters.get("fc1.bias")?.values(), trained.get("fc1.bias")?.values());
/// assert_eq!(method.trained(&trained), 2 * (2 + 16) + 2 * (16 + 2));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Settings)]
pub struct Lora {
    /// Columns of B and rows of A, the thin matrices. More than a layer's shorter side trains numbers that add nothing.
    #[param(default = 4, from = 1)]
    pub rank: usize,
    /// Their product is multiplied with this over the rank.
    #[param(default = 4.0, above = 0, to = 1e6)]
    pub alpha: f32,
    /// What a run adapts; nothing before one.
    pub adapted: Adapted,
}

/// What a run of [`Lora`] adapts.
#[derive(Debug, Clone, Default)]
pub struct Adapted {
    layers: Vec<String>,
    frozen: Frozen,
    /// What was folded into the kernels.
    changes: Vec<Change>,
}

/// What the thin matrices of a kernel are called.
fn names(kernel: &str) -> [String; 2] {
    [format!("{kernel}.lora.a"), format!("{kernel}.lora.b")]
}

impl Method for Lora {
    const CARD: Card = Card {
        slug: "lora",
        aliases: &["low-rank-adaptation"],
        title: "LoRA: low-rank fine-tuning",
        paper: "Hu et al., ICLR 2022, arXiv 2106.09685",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Fine-tunes a product of two thin matrices beside each frozen linear kernel; folded into the kernels \
                  afterwards.",
        useful_when: "the usual way to fine-tune a trained model on few examples; a baseline for other ways",
        cost: "the network's own passes, and one product of thin matrices a layer; optimiser state for them only",
        params: Self::PARAMS,
    };
}

impl Lora {
    /// How many numbers are trained in a network with these parameters.
    pub fn trained(&self, parameters: &Parameters) -> usize {
        kernels(parameters).map(|(_, outputs, inputs)| self.rank * (outputs + inputs)).sum()
    }
}

/// Kernels of linear layers with their outputs and inputs.
fn kernels(parameters: &Parameters) -> impl Iterator<Item = (&str, usize, usize)> {
    parameters.iter().filter(|p| p.role == Role::Weight).filter_map(|p| match p.shape[..] {
        [outputs, inputs] => Some((p.name.as_str(), outputs, inputs)),
        _ => None,
    })
}

impl TrainMethod for Lora {
    fn name(&self) -> &str {
        "lora"
    }

    fn settings(&self) -> String {
        format!("rank={} alpha={}", self.rank, self.alpha)
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        if self.rank == 0 {
            return Err(Error::input("rank", 0, "at least 1"));
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return Err(Error::input("alpha", self.alpha, "a positive number"));
        }
        let kernels: Vec<_> = kernels(parameters).map(|(name, o, i)| (name.to_owned(), o, i)).collect();
        if kernels.is_empty() {
            return Err(Error::input("lora", "a network without linear layers", "at least one"));
        }
        self.adapted.frozen = Frozen::freeze(parameters);
        for (name, outputs, inputs) in &kernels {
            let [a, b] = names(name);
            let spread = Init::Normal(1.0 / (*inputs as f32).sqrt());
            parameters.add(Spec::new(a, &[self.rank, *inputs], Role::Other, spread), run.seed)?;
            parameters.add(Spec::new(b, &[*outputs, self.rank], Role::Other, Init::Constant(0.0)), run.seed)?;
        }
        self.adapted.layers = kernels.into_iter().map(|(name, ..)| name).collect();
        Ok(())
    }

    fn reparametrise(&self, vars: &mut Vars) -> Result<()> {
        for name in &self.adapted.layers {
            let [a, b] = names(name);
            let product: Tensor<2> = vars.get::<2>(&b)?.matmul(vars.get::<2>(&a)?);
            let scale = self.alpha / self.rank as f32;
            let adapted = vars.plus(name, product.reshape([-1]) * scale)?;
            vars.replace(name, |_| adapted)?;
        }
        Ok(())
    }

    fn after_step(&mut self, _: At, parameters: &mut Parameters) -> Result<()> {
        self.adapted.frozen.hold(parameters)
    }

    fn fine_tunes(&self) -> bool {
        true
    }

    fn delta(&self, after: &Parameters) -> Result<Option<Delta>> {
        Delta::new(self.name(), self.adapted.changes.clone(), after).map(Some)
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        let scale = self.alpha / self.rank as f32;
        self.adapted.changes.clear();
        for name in &self.adapted.layers {
            let [a, b] = names(name);
            let a = parameters.get(&a)?.values();
            let b = parameters.get(&b)?.values().into_iter().map(|b| scale * b).collect();
            let kernel = parameters.get_mut(name)?;
            let change = Change::product(name, &kernel.values(), a, b, self.rank)?;
            kernel.update(|w| change.put_on(w));
            self.adapted.changes.push(change);
        }
        parameters.remove(|name| name.ends_with(".lora.a") || name.ends_with(".lora.b"));
        self.adapted.frozen.release(parameters);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::{Seed, Silent};
    use quadrat_nn::{ConvNet, Mlp, Network, Samples, Trainer, initialise, predict};

    fn samples(width: usize) -> Samples {
        let mut rng = Seed(2).rng(0);
        let inputs = Array2::from_shape_fn((50, width), |_| rng.normal() as f32);
        Samples::classes(inputs, (0..50).map(|i| i % 4).collect(), 4).unwrap()
    }

    fn trainer() -> Trainer {
        Trainer { epochs: 3, batch: 16, rate: 0.01, seed: Seed(3), ..Trainer::default() }
    }

    /// The folded network gives what the hooked one gave, the change has the rank asked for, and the rest is untouched.
    #[test]
    fn the_change_is_of_low_rank_and_folded_in() {
        let network = Mlp::new(20, &[16], 4);
        let (start, samples) = (initialise(&network, Seed(1)).unwrap(), samples(20));
        let mut method = Lora { rank: 2, alpha: 6.0, ..Lora::default() };
        let trainer = trainer();
        let mut methods: [&mut dyn TrainMethod; 1] = [&mut method];
        let mut training =
            quadrat_nn::Training::begin(&trainer, &network, start.clone(), &samples, &mut methods).unwrap();
        while !training.is_done() {
            training.epoch(None, &Silent).unwrap();
        }
        let hooked = training.parameters().clone();
        let folded = training.finish().unwrap().parameters;
        let before = predict(&network, &hooked, samples.inputs.view(), &[&method]).unwrap();
        let after = predict(&network, &folded, samples.inputs.view(), &[]).unwrap();
        assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-4));
        for (old, new) in start.iter().zip(folded.iter()) {
            assert_eq!((old.name.as_str(), old.trainable), (new.name.as_str(), new.trainable));
            if old.role == Role::Bias {
                assert_eq!(old.values(), new.values());
            }
        }
        let change: Vec<f64> =
            (start.get("fc1.weight").unwrap().values().iter().zip(folded.get("fc1.weight").unwrap().values()))
                .map(|(a, b)| f64::from(b - a))
                .collect();
        let change = Array2::from_shape_vec((16, 20), change).unwrap();
        let gram = quadrat_numeric::linalg::product(change.view(), change.t()).unwrap();
        let (values, _) = quadrat_numeric::linalg::symmetric_eigen(gram.view()).unwrap();
        assert!(values[1] > 1e-6 && values[2] < 1e-9 * values[0], "{values:?}");
    }

    #[test]
    fn convolutions_and_running_statistics_stay() {
        let network = ConvNet { filters: vec![4, 8], hidden: 16, norm: true, ..ConvNet::new([1, 8, 8], 4) };
        let start = initialise(&network, Seed(1)).unwrap();
        let mut method = Lora::default();
        let fit = trainer().fit_from(&network, start.clone(), &samples(64), None, &mut [&mut method], &Silent).unwrap();
        for (old, new) in start.iter().zip(fit.parameters.iter()) {
            let moved = old.values() != new.values();
            assert_eq!(moved, method.adapted.layers.contains(&old.name), "{}", old.name);
        }
        assert_eq!(method.adapted.layers, ["fc1.weight", "fc2.weight"]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        struct Flat;
        impl Network for Flat {
            fn inputs(&self) -> usize {
                4
            }
            fn outputs(&self) -> usize {
                4
            }
            fn parameters(&self) -> Vec<Spec> {
                vec![Spec::bias("only", 4)]
            }
            fn forward(&self, forward: &mut quadrat_nn::Forward, inputs: &quadrat_nn::Inputs) -> Result<Tensor<2>> {
                Ok(inputs.numbers() + forward.vars().flat("only.bias")?.unsqueeze())
            }
        }
        let fit = |network: &dyn Network, mut method: Lora| {
            let samples = samples(network.inputs());
            trainer().fit(network, &samples, None, &mut [&mut method], &Silent).map(|_| ()).unwrap_err().to_string()
        };
        assert!(fit(&Flat, Lora::default()).contains("without linear layers"));
        let network = Mlp::new(20, &[16], 4);
        assert!(fit(&network, Lora { rank: 0, ..Lora::default() }).contains("at least 1"));
        assert!(fit(&network, Lora { alpha: f32::NAN, ..Lora::default() }).contains("positive"));
    }
}
