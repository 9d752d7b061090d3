//! BatchFormer: the rows of a batch look at each other while a network is trained, and no longer once it is.
//!
//! Hou, Yu and Tao, "BatchFormer: Learning to Explore Sample Relationships for Robust Representation Learning", CVPR 2022
//! (arXiv 2203.01522). The features X of a batch of N rows are taken for one sequence of length N, without positions, and go
//! through one layer of a transformer encoder (Vaswani et al. 2017, normalised after each part),
//!
//! > X₁ = LN(X + drop(A)),  X' = LN(X₁ + drop(W₂ drop(relu(W₁ X₁)))),
//!
//! with A the attention of H heads, dropout on its weights too. The network's own last layer classifies X and X' alike, and the
//! loss is the mean over both: it learns to do with and without the layer, which is therefore taken away at the end. Rows of a
//! rare class then get gradients from the labels of others.
//!
//! As in the authors' program the feed-forward part is as wide as the features, dropout is 0.5, and kernels of the attention
//! start uniform (Glorot). The layer is part of training alone: rows held back are judged, and the saved network answers,
//! without it. Put it behind no batch normalisation, whose statistics would mix both copies: here it sees the features right
//! before the last layer. All rows of a batch go through one pass; attention keeps H N² numbers.

use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{Forward, Init, Parameters, Piece, Role, Run, Spec, Tensor, TrainMethod, ops};

/// The encoder layer over the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct BatchFormer {
    /// Heads of the attention; the features' number must be a multiple.
    #[param(default = 4, from = 1)]
    pub heads: usize,
    /// Dropout rate of the layer.
    #[param(default = 0.5, from = 0, below = 1)]
    pub dropout: f32,
    /// The layer's learning rate as a share of the network's: 1 from scratch, the authors take 0.1 on a trained network.
    #[param(default = 1.0, above = 0)]
    pub rate: f32,
}

impl Method for BatchFormer {
    const CARD: Card = Card {
        slug: "batchformer",
        aliases: &["batch-former"],
        title: "BatchFormer",
        paper: "Hou, Yu and Tao, CVPR 2022, arXiv 2203.01522",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Lets the rows of a batch attend to each other before the last layer in training only; the network that is \
                  kept is the plain one.",
        useful_when: "few, unequal or shifted rows; long-tailed classes; rare classes should learn from the others; no cost at \
                      prediction",
        cost: "in training one transformer layer over the batch: time O(rows x features^2 + rows^2 x features) a step, memory \
               heads x rows^2 numbers; none afterwards",
        params: Self::PARAMS,
    };
}

const QKV: &str = "batchformer.qkv";
const MIXED: &str = "batchformer.mixed";
const INNER: &str = "batchformer.inner";
const OUTER: &str = "batchformer.outer";
const NORMS: [&str; 2] = ["batchformer.norm1", "batchformer.norm2"];

impl BatchFormer {
    /// The layer's parameters for so many features, a multiple of the heads.
    pub fn specs(width: usize) -> Vec<Spec> {
        let uniform = |name: &str, outputs: usize, bound: f32| {
            let weight = Spec::new(format!("{name}.weight"), &[outputs, width], Role::Weight, Init::Uniform(bound));
            [weight, Spec::bias(name, outputs)]
        };
        let glorot = (6.0 / (4 * width) as f32).sqrt();
        let usual = 1.0 / (width as f32).sqrt();
        let mut specs = Vec::new();
        specs.extend(uniform(QKV, 3 * width, glorot));
        for name in [MIXED, INNER, OUTER] {
            specs.extend(uniform(name, width, usual));
        }
        specs.extend(NORMS.iter().flat_map(|name| Spec::norm(name, width)));
        specs
    }

    /// X' of the features X of a batch.
    ///
    /// # Errors
    /// A pass without the layer's parameters.
    pub fn layer(self, forward: &mut Forward, x: Tensor<2>) -> Result<Tensor<2>> {
        let [rows, width] = x.dims();
        let each = width / self.heads;
        let qkv = forward.linear(QKV, x.clone())?;
        let [q, k, v] = ops::split_heads(qkv, rows, [self.heads; 3], each);
        let weights = ops::attention_weights(q.matmul(k.swap_dims(2, 3)), 1.0 / (each as f32).sqrt(), false);
        let weights = forward.dropout(QKV, weights, self.dropout);
        let mixed = weights.matmul(v).swap_dims(1, 2).reshape([rows, width]);
        let mixed = forward.linear(MIXED, mixed)?;
        let mixed = forward.dropout(MIXED, mixed, self.dropout);
        let x = forward.layer_norm(NORMS[0], x + mixed)?;
        let inner = forward.linear(INNER, x.clone())?.clamp_min(0.0);
        let inner = forward.dropout(INNER, inner, self.dropout);
        let outer = forward.linear(OUTER, inner)?;
        let outer = forward.dropout(OUTER, outer, self.dropout);
        forward.layer_norm(NORMS[1], x + outer)
    }
}

fn untapped() -> Error {
    Error::input("batchformer", "a network without features", "one whose last layer is linear")
}

impl TrainMethod for BatchFormer {
    fn name(&self) -> &str {
        "batchformer"
    }

    fn settings(&self) -> String {
        format!("heads={} dropout={} rate={}", self.heads, self.dropout, self.rate)
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::input("dropout", self.dropout, "0 to below 1"));
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return Err(Error::input("rate", self.rate, "above 0"));
        }
        let width = run.probe(parameters, |mut forward| -> Result<usize> {
            let features = forward.tapped("features").ok_or_else(untapped)?;
            let width = features.dims()[1];
            forward.head_again(features)?;
            Ok(width)
        })??;
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            let want = format!("a number that divides the network's {width} features");
            return Err(Error::input("heads", self.heads, want));
        }
        for spec in Self::specs(width) {
            let name = spec.name.clone();
            parameters.add(spec, run.seed)?;
            parameters.get_mut(&name)?.rate = self.rate;
        }
        Ok(())
    }

    fn whole_batch(&self) -> bool {
        true
    }

    fn second_outputs(&self, forward: &mut Forward, _: &Piece) -> Result<Option<Tensor<2>>> {
        let features = forward.tapped("features").ok_or_else(untapped)?;
        let features = self.layer(forward, features)?;
        forward.head_again(features).map(Some)
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        parameters.remove(|name| name.starts_with("batchformer."));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis, s};
    use quadrat_core::{Seed, Silent};
    use quadrat_nn::{At, Inputs, Loss, Mlp, Network, Optimizer, Samples, Schedule, Trainer, initialise, predict};

    const WIDTH: usize = 8;

    /// The layer as a network of its own.
    struct Layer(usize);

    impl Network for Layer {
        fn inputs(&self) -> usize {
            WIDTH
        }
        fn outputs(&self) -> usize {
            WIDTH
        }
        fn parameters(&self) -> Vec<Spec> {
            BatchFormer::specs(WIDTH)
        }
        fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
            BatchFormer { heads: self.0, dropout: 0.0, rate: 1.0 }.layer(forward, inputs.numbers())
        }
    }

    fn parameters() -> Parameters {
        initialise(&Layer(4), Seed(1)).unwrap()
    }

    /// X' without dropout.
    fn forward(parameters: &Parameters, heads: usize, x: &Array2<f32>) -> Array2<f32> {
        predict(&Layer(heads), parameters, x.view(), &[]).unwrap()
    }

    /// The layer and its gradients as PyTorch computes them; `tests/golden/training.py` says how.
    #[test]
    fn the_layer_is_pytorchs_encoder_layer() {
        let golden = include_str!("../../tests/golden/training.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let golden = &golden["batchformer"];
        let numbers = |value: &serde_json::Value| serde_json::from_value::<Vec<f32>>(value.clone()).unwrap();
        let mut parameters = parameters();
        for parameter in parameters.iter_mut() {
            let name = parameter.name.replace("batchformer.", "");
            parameter.set(&numbers(&golden["values"][name])).unwrap();
        }
        let x = Array2::from_shape_vec((5, WIDTH), numbers(&golden["x"])).unwrap();
        let near = |a: &f32, b: &f32| (a - b).abs() < 1e-5 * (1.0 + b.abs());
        let y = forward(&parameters, 4, &x);
        assert!(y.iter().zip(&numbers(&golden["y"])).all(|(a, b)| near(a, b)));
        let samples = Samples::values(x, Array2::zeros((5, WIDTH))).unwrap();
        // One step of gradient descent at a rate of 1; two pieces would be two sequences.
        let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let (rate, schedule, loss) = (1.0, Schedule::Constant, Loss::SquaredError);
        let trainer = Trainer { epochs: 1, pieces: 1, rate, schedule, loss, optimizer, ..Trainer::default() };
        let fit = trainer.fit_from(&Layer(4), parameters.clone(), &samples, None, &mut [], &Silent).unwrap();
        for (before, after) in parameters.iter().zip(fit.parameters.iter()) {
            let golden = numbers(&golden["gradients"][before.name.replace("batchformer.", "")]);
            let found: Vec<f32> = before.values().iter().zip(after.values()).map(|(b, a)| b - a).collect();
            assert!(found.iter().zip(&golden).all(|(a, b)| near(a, b)), "{}", before.name);
        }
    }

    fn features(rows: usize) -> Array2<f32> {
        let mut rng = Seed(2).rng(0);
        Array2::from_shape_simple_fn((rows, WIDTH), || rng.normal() as f32)
    }

    #[test]
    fn rows_look_at_each_other_whatever_their_order() {
        let (parameters, x) = (parameters(), features(5));
        let out = forward(&parameters, 4, &x);
        let order = [3, 0, 4, 1, 2];
        let turned = forward(&parameters, 4, &x.select(Axis(0), &order));
        assert!((&turned - &out.select(Axis(0), &order)).iter().all(|d| d.abs() < 1e-5));
        let mut other = x.clone();
        other.row_mut(4).mapv_inplace(|v| v + 1.0);
        let moved = forward(&parameters, 4, &other);
        assert!((&moved - &out).slice(s![..4, ..]).outer_iter().all(|row| row.iter().any(|d| d.abs() > 1e-4)));
        assert!((&forward(&parameters, 2, &x) - &out).iter().any(|d| d.abs() > 1e-4), "heads count");
        assert!(forward(&parameters, 4, &features(1)).iter().all(|v| v.is_finite()), "alone");
    }

    fn samples() -> Samples {
        let inputs = Array2::from_shape_fn((50, 3), |(i, j)| ((i * (j + 2)) % 7) as f32 - 3.0);
        Samples::classes(inputs, (0..50).map(|i| i % 3).collect(), 3).unwrap()
    }

    /// The loss of one row has a gradient at another row's inputs, by way of the layer alone.
    #[test]
    fn what_is_kept_is_the_plain_network() {
        let (network, samples) = (Mlp::new(3, &[WIDTH], 3), samples());
        let trainer = Trainer { epochs: 3, batch: 20, seed: Seed(1), ..Trainer::default() };
        let start = initialise(&network, Seed(1)).unwrap();
        let mut method = BatchFormer::default();
        let fit = trainer.fit_from(&network, start.clone(), &samples, Some(&samples), &mut [&mut method], &Silent);
        let fit = fit.unwrap();
        let shapes = |p: &Parameters| p.iter().map(|p| (p.name.clone(), p.shape.clone())).collect::<Vec<_>>();
        assert_eq!(shapes(&fit.parameters), shapes(&start));
        let plain = trainer.fit_from(&network, start, &samples, None, &mut [], &Silent).unwrap();
        assert_ne!(plain.parameters.fingerprint(), fit.parameters.fingerprint());
        let batch = samples.batch(At { epoch: 0, step: 0 }, &(0..50).collect::<Vec<_>>());
        let (loss, _) = quadrat_nn::gradients(&network, &fit.parameters, Loss::CrossEntropy, &batch, Seed(0)).unwrap();
        let judged = fit.curve[2].validation_loss.unwrap();
        assert!((loss - judged).abs() < 1e-5, "rows held back are judged without the layer: {loss} {judged}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fits = |method: BatchFormer, hidden: usize| {
            let trainer = Trainer { epochs: 1, batch: 20, ..Trainer::default() };
            let mut method = method;
            trainer.fit(&Mlp::new(3, &[hidden], 3), &samples(), None, &mut [&mut method], &Silent)
        };
        let error = fits(BatchFormer::default(), 10).unwrap_err().to_string();
        assert!(error.contains("divides the network's 10 features"), "{error}");
        for wrong in [
            BatchFormer { heads: 0, ..BatchFormer::default() },
            BatchFormer { dropout: 1.0, ..BatchFormer::default() },
            BatchFormer { rate: 0.0, ..BatchFormer::default() },
        ] {
            assert!(fits(wrong, WIDTH).is_err());
        }
    }
}
