//! Steps of training whole networks; peer: `bench/nn_train.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::Array2;
use quadrat_core::{Error, Params, Result, Seed, Silent};
use quadrat_nn::{
    Activation, ConvNet, Decoder, Forward, Inputs, Jet, Loss, Mlp, Network, Optimizer, Samples, Schedule, Spec, Tensor,
    Trainer, Training, Transformer, UNet, initialise,
};
use quadrat_regularize::{RandomPruning, Sara, Select};
use serde_json::json;

/// The workloads of network training.
pub fn workloads() -> Vec<Workload> {
    vec![("nn-train", train), ("nn-decode", decode)]
}

/// Three 3x3 convolutions of 32, 64 (stride 2) and 128 (stride 2) channels with batch normalisation, mean, linear.
struct Convolutions;

impl Network for Convolutions {
    fn inputs(&self) -> usize {
        3 * 32 * 32
    }

    fn outputs(&self) -> usize {
        10
    }

    fn parameters(&self) -> Vec<Spec> {
        let mut specs = Vec::new();
        for (i, (from, to)) in [(3, 32), (32, 64), (64, 128)].into_iter().enumerate() {
            specs.push(Spec::conv(&format!("conv{i}"), from, to, 3));
            specs.extend(Spec::batch_norm(&format!("norm{i}"), to));
        }
        specs.extend(Spec::linear("fc", 128, 10, 1.0));
        specs
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let n = inputs.rows();
        let mut x = inputs.numbers().reshape([n, 3, 32, 32]);
        for (i, stride) in [1, 2, 2].into_iter().enumerate() {
            x = forward.conv2d(&format!("conv{i}"), x, stride, 1)?;
            x = Activation::Relu.apply(forward.batch_norm(&format!("norm{i}"), x)?);
        }
        let [n, c, h, w] = x.dims();
        forward.linear("fc", x.reshape([n, c, h * w]).mean_dim(2).reshape([n, c]))
    }
}

/// A network's Laplacian by its two inputs.
struct Laplacian(Mlp);

impl Network for Laplacian {
    fn inputs(&self) -> usize {
        self.0.inputs
    }

    fn outputs(&self) -> usize {
        self.0.outputs
    }

    fn parameters(&self) -> Vec<Spec> {
        self.0.parameters()
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        Ok(self.0.jet(forward, Jet::of_inputs(inputs.numbers()))?.laplacian())
    }
}

/// The transformer of both workloads.
fn transformer() -> Transformer {
    Transformer::causal(512, 128, 128, 4, 4)
}

/// `steps=N`: N times 128 tokens of one sequence, one by one, each the likeliest after those before.
fn decode(settings: &Settings) -> Result<Figures> {
    let steps = settings.number("steps", 20)?;
    let network = transformer();
    let parameters = initialise(&network, Seed(1))?;
    let sequence = || {
        let mut decoder = Decoder::new(&network, &parameters)?;
        let mut token = 0;
        for _ in 0..network.context {
            let scores = decoder.next(&Array2::from_elem((1, 1), token))?;
            let likeliest = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            token = likeliest.map_or(0, |(i, _)| i as u32);
        }
        Ok::<u32, Error>(token)
    };
    let mut last = sequence()?;
    let mut best = f64::INFINITY;
    let ((), mut figures) = measure(|| {
        for _ in 0..steps {
            let start = std::time::Instant::now();
            last = sequence()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("steps".into(), json!(steps));
    figures.insert("token".into(), json!(last));
    Ok(figures)
}

/// `net=NAME steps=N method=NAME`: N steps of training, with a method of `robust` if one is named, after one epoch unmeasured; data are noise, one batch an epoch.
fn train(settings: &Settings) -> Result<Figures> {
    let steps = settings.number("steps", 20)?;
    let name = settings.text("net", "mlp");
    let adam = Optimizer::adamw(0.01);
    let (network, batch, optimizer, loss): (Box<dyn Network>, usize, Optimizer, Loss) = match name {
        "mlp" => (Box::new(Mlp::new(784, &[512, 512], 10)), 128, adam, Loss::CrossEntropy),
        "cnn" => (Box::new(Convolutions), 64, Optimizer::sgd(5e-4), Loss::CrossEntropy),
        "convnet" => (Box::new(ConvNet::new([1, 28, 28], 10)), 128, Optimizer::sgd(5e-4), Loss::CrossEntropy),
        "transformer" => (Box::new(transformer()), 16, adam, Loss::Tokens { vocabulary: transformer().vocabulary }),
        "unet" => (Box::new(UNet::new([1, 28, 28], 32)), 64, adam, Loss::SquaredError),
        "small" | "laplacian" => {
            let net = Mlp { activation: Activation::Tanh, ..Mlp::new(2, &[128, 128], 1) };
            let net: Box<dyn Network> = if name == "small" { Box::new(net) } else { Box::new(Laplacian(net)) };
            (net, 4096, adam, Loss::SquaredError)
        }
        "wide" | "sparse" => {
            (Box::new(Mlp::new(784, &[2048, 2048], 10)), 128, Optimizer::sgd(5e-4), Loss::CrossEntropy)
        }
        "deep" | "sara" => (Box::new(Mlp::new(2048, &[2048; 3], 2048)), 64, adam, Loss::SquaredError),
        other => return Err(Error::input("net", other, "one of those in bench/nn_train.py")),
    };
    let samples = samples(&*network, batch, loss)?;
    let trainer = Trainer {
        epochs: steps + 3,
        batch,
        rate: 1e-3,
        schedule: Schedule::Constant,
        optimizer,
        loss,
        ..Trainer::default()
    };
    let mut pruning = RandomPruning { density: 0.05, ..RandomPruning::default() };
    // Without the penalty, whose decomposition of a matrix the peer does not do either.
    let mut sara = Sara { select: Select::Fraction(0.05), lambda: 0.0, progressive: None, ..Sara::default() };
    let mut named = match settings.text("method", "") {
        "" => None,
        method => Some(quadrat_robust::training::build(method, &Params::none())?),
    };
    let mut methods: Vec<&mut dyn quadrat_nn::TrainMethod> = Vec::new();
    methods.extend(named.iter_mut().map(|method| &mut **method as &mut dyn quadrat_nn::TrainMethod));
    match name {
        "sparse" => methods.push(&mut pruning),
        "sara" => methods.push(&mut sara),
        _ => {}
    }
    let parameters = initialise(&*network, Seed(1))?;
    let mut training = Training::begin(&trainer, &*network, parameters, &samples, &mut methods)?;
    for _ in 0..3 {
        training.epoch(None, &Silent)?;
    }
    // The quickest step too: on a busy machine the others wait for the processor.
    let mut best = f64::INFINITY;
    let ((), mut figures) = measure(|| {
        for _ in 0..steps {
            let start = std::time::Instant::now();
            training.epoch(None, &Silent)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("steps".into(), json!(steps));
    figures.insert("loss".into(), json!(training.curve().last().map(|epoch| epoch.train_loss)));
    Ok(figures)
}

fn samples(network: &dyn Network, batch: usize, loss: Loss) -> Result<Samples> {
    let mut rng = Seed(2).rng(0);
    if let Loss::Tokens { vocabulary } = loss {
        let tokens = Array2::from_shape_fn((batch, transformer().context), |_| rng.below(vocabulary) as u32);
        let wanted = tokens.mapv(|token| token as f32);
        return Samples::values(Array2::zeros((batch, 0)), wanted)?.with("tokens", tokens);
    }
    let inputs = Array2::from_shape_fn((batch, network.inputs()), |_| rng.normal() as f32);
    match loss {
        Loss::SquaredError => {
            let wanted = Array2::from_shape_fn((batch, network.outputs()), |_| rng.normal() as f32);
            let samples = Samples::values(inputs, wanted)?;
            let time = Array2::from_shape_fn((batch, 1), |_| rng.normal() as f32);
            if network.others().is_empty() { Ok(samples) } else { samples.with("time", time) }
        }
        _ => Samples::classes(inputs, (0..batch).map(|_| rng.below(10) as u32).collect(), 10),
    }
}
