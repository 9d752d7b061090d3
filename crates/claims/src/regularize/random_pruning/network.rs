//! The network of all arms, and what it is trained with.

use super::{CLASSES, PIXELS};
use quadrat_core::{Result, Seed, Silent};
use quadrat_nn::{Forward, Init, Inputs, Network, Optimizer, Parameters, Role, Samples, Schedule, Spec, Tensor};
use quadrat_nn::{TrainMethod, Trainer};

/// Two layers of rectified units, normalised over the batch as the paper's networks are, and a layer of outputs. Without
/// normalisation sparse layers would start with far smaller activations than dense ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normalised {
    pub width: usize,
}

impl Normalised {
    /// Entries of the three kernels: what densities count.
    fn weights(self) -> usize {
        (PIXELS + self.width + CLASSES) * self.width
    }

    /// All numbers that are trained when so many of the weights are: scales and shifts of both layers, and the outputs' biases.
    fn trained(self, weights: usize) -> usize {
        weights + 4 * self.width + CLASSES
    }

    /// The dense network that trains as many numbers as this one does at `density`, or the next narrower.
    pub fn narrowed(self, density: f64) -> Normalised {
        let budget = self.trained((density * self.weights() as f64).round() as usize);
        let fits = |width: &usize| {
            let small = Normalised { width: *width };
            small.trained(small.weights()) <= budget
        };
        Normalised { width: (1..=self.width).take_while(fits).last().unwrap_or(1) }
    }

    /// Trained on these rows for so many epochs, along a cosine from `rate` to 0, from `start` or from scratch.
    pub fn fit(
        self,
        data: &Samples,
        (epochs, rate): (usize, f64),
        start: Option<&Parameters>,
        method: Option<&mut dyn TrainMethod>,
        seed: Seed,
    ) -> Result<Parameters> {
        let optimizer = Optimizer::sgd(5e-4);
        let trainer =
            Trainer { epochs, rate, optimizer, seed, schedule: Schedule::Cosine, pieces: 1, ..Trainer::default() };
        let mut methods: Vec<&mut dyn TrainMethod> = method.into_iter().collect();
        let fit = match start {
            Some(start) => trainer.fit_from(&self, start.clone(), data, None, &mut methods, &Silent)?,
            None => trainer.fit(&self, data, None, &mut methods, &Silent)?,
        };
        Ok(fit.parameters)
    }
}

impl Network for Normalised {
    fn inputs(&self) -> usize {
        PIXELS
    }

    fn outputs(&self) -> usize {
        CLASSES
    }

    fn parameters(&self) -> Vec<Spec> {
        let kernel = |layer: &str, from: usize, to: usize| {
            let spread = (2.0 / from as f32).sqrt();
            Spec::new(format!("{layer}.weight"), &[to, from], Role::Weight, Init::Normal(spread))
        };
        let mut specs = vec![kernel("fc1", PIXELS, self.width), kernel("fc2", self.width, self.width)];
        specs.extend(["norm1", "norm2"].into_iter().flat_map(|name| Spec::batch_norm(name, self.width)));
        specs.extend(Spec::linear("fc3", self.width, CLASSES, 1.0));
        specs
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let mut x = inputs.numbers();
        for (layer, norm) in [("fc1", "norm1"), ("fc2", "norm2")] {
            let [rows, width] = [x.dims()[0], self.width];
            let y = forward.linear(layer, x)?.reshape([rows, width, 1, 1]);
            x = quadrat_nn::Activation::Relu.apply(forward.batch_norm(norm, y)?.reshape([rows, width]));
        }
        forward.linear("fc3", x)
    }
}
