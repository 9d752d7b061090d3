//! The network, and how it is trained.

use super::rows::Rows;
use super::{Kind, Optimiser, Train};
use crate::commands::networks::detection::needs_boxes;
use crate::commands::networks::learned::Source;
use crate::output::figure;
use quadrat::nn::{
    Activation, ConvNet, Loss, Mlp, Model, Network, Optimizer, Parameters, ResNet, Samples, Trainer, Vit,
};
use quadrat::{Error, Progress, Result, Seed, TargetKind};

/// The network that the options describe.
pub fn network(args: &Train, rows: &Rows) -> Result<Model> {
    let (inputs, outputs) = (rows.train.inputs.ncols(), rows.train.outputs());
    let hidden = |default: &[usize]| if args.hidden.is_empty() { default.to_vec() } else { args.hidden.clone() };
    if args.hidden.contains(&0) {
        return Err(Error::input("--hidden", 0, "at least 1 unit in each layer"));
    }
    if !(0.0..1.0).contains(&args.dropout) {
        return Err(Error::input("--dropout", args.dropout, "0 to below 1"));
    }
    let shape = match &rows.source {
        Source::Images { shape, .. } => Some(*shape),
        Source::Table(_) | Source::Detector(_) => {
            let side = (inputs as f64).sqrt() as usize;
            (side * side == inputs).then_some([1, side, side])
        }
    };
    let square = || {
        let want = "images (--images), or a square number of columns; --model mlp takes any table";
        shape.ok_or_else(|| Error::input("--model", format!("{} for {inputs} columns", args.model.name()), want))
    };
    Ok(match args.model {
        Kind::Mlp => Model::Mlp(Mlp {
            hidden: hidden(&[256, 256]),
            dropout: args.dropout,
            activation: Activation::Relu,
            ..Mlp::new(inputs, &[], outputs)
        }),
        Kind::Convnet => Model::ConvNet(ConvNet {
            filters: hidden(&[16, 32]),
            dropout: args.dropout,
            ..ConvNet::new(square()?, outputs)
        }),
        Kind::Resnet => Model::ResNet(ResNet::new(square()?, outputs)),
        Kind::Vit => Model::Vit(Vit::new(square()?, outputs)),
        Kind::Detector | Kind::AnchorDetector => return Err(needs_boxes(args.model)),
    })
}

/// The trainer that the options describe; its rate is the usual one until [`settle_rate`].
pub fn trainer(args: &Train, kind: TargetKind, network: &dyn Network) -> Result<Trainer> {
    let (optimizer, rate) = match args.optimizer {
        Optimiser::Adamw => (Optimizer::adamw(args.weight_decay), 1e-3),
        Optimiser::Sgd => (Optimizer::sgd(args.weight_decay), 0.05),
    };
    let patience = match args.patience.as_str() {
        "none" => None,
        text => {
            let wrong = || Error::input("--patience", format!("`{text}`"), "a number of epochs, at least 1, or none");
            Some(text.parse().ok().filter(|epochs| *epochs > 0).ok_or_else(wrong)?)
        }
    };
    Ok(Trainer {
        epochs: args.epochs,
        batch: args.batch,
        rate: args.rate.unwrap_or(rate),
        schedule: args.schedule.into(),
        optimizer,
        loss: loss(args, kind)?,
        clip: args.clip,
        average: args.average,
        patience,
        pieces: quadrat::nn::pieces_that_pay(network, args.batch),
        seed: Seed(args.run.seed),
    })
}

/// The loss named, or the usual one for what is predicted.
fn loss(args: &Train, kind: TargetKind) -> Result<Loss> {
    let Some(text) = &args.loss else {
        return Ok(match kind {
            TargetKind::Classes => Loss::CrossEntropy,
            TargetKind::Numbers => Loss::SquaredError,
            TargetKind::Labels => Loss::Binary,
        });
    };
    let (name, number) = text.split_once(':').map_or((text.as_str(), None), |(name, number)| (name, Some(number)));
    let wrong = |want: &str| Error::input("--loss", format!("`{text}`"), want);
    let value = |usual: Option<f32>| match number {
        None => usual.ok_or_else(|| wrong("it needs a number, such as quantile:0.9")),
        Some(number) => number.parse().map_err(|_| wrong("a number after the colon")),
    };
    let (loss, of, takes) = match name {
        "cross-entropy" => (Loss::CrossEntropy, TargetKind::Classes, false),
        "focal" => (Loss::Focal { gamma: value(Some(2.0))? }, TargetKind::Classes, true),
        "mse" => (Loss::SquaredError, TargetKind::Numbers, false),
        "mae" => (Loss::AbsoluteError, TargetKind::Numbers, false),
        "huber" => (Loss::Huber { delta: value(Some(1.0))? }, TargetKind::Numbers, true),
        "quantile" => (Loss::Quantile { share: value(None)? }, TargetKind::Numbers, true),
        _ => return Err(wrong("cross-entropy, focal[:GAMMA], mse, mae, huber[:DELTA] or quantile:SHARE")),
    };
    if number.is_some() && !takes {
        return Err(wrong("this loss takes no number"));
    }
    // Labels are yes and no, each with a cross-entropy of its own.
    match (loss, kind) {
        (Loss::CrossEntropy, TargetKind::Labels) => Ok(Loss::Binary),
        _ if of == kind => Ok(loss),
        (_, TargetKind::Classes) => Err(wrong("for classes: cross-entropy or focal; --regression predicts numbers")),
        (_, TargetKind::Numbers) => Err(wrong("for numbers: mse, mae, huber or quantile; --classes predicts classes")),
        (_, TargetKind::Labels) => Err(wrong("for labels: cross-entropy")),
    }
}

/// Find the learning rate unless it was given, and say how it came about.
pub fn settle_rate(
    args: &Train,
    trainer: &mut Trainer,
    network: &Model,
    start: &Parameters,
    train: &Samples,
    progress: &dyn Progress,
) -> Result<String> {
    if args.rate.is_some() {
        return Ok("as given".to_owned());
    }
    let test = trainer.find_rate(network, start, train, progress)?;
    Ok(match test.rate {
        Some(rate) => {
            // Two digits are all that a short test can tell.
            trainer.rate = format!("{rate:.1e}").parse().unwrap_or(rate);
            format!("found by a range test of {} steps; --rate {} repeats it", test.points.len(), trainer.rate)
        }
        None => format!("the usual one: in a range test the loss never fell; --rate {} sets it", figure(trainer.rate)),
    })
}
