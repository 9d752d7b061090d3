//! `quadrat train`: a labelled file or images -> a model, trained with any of the training methods.

use super::finetune;
use super::judgement::Judgement;
use super::learned::{Source, WEIGHTS, read_images};
use super::work;
use crate::args::{Reading, Run};
use crate::output::{Reply, count, figure, seconds, table};
use crate::report::{Block, Page, svg};
use clap::{Args, ValueEnum};
use quadrat::nn::{
    Activation, ConvNet, Epoch, Loss, Mlp, Model, Network, Optimizer, Parameters, ResNet, Samples, Schedule,
    TrainMethod, Trainer, Training, Vit, initialise, predict, save_model,
};
use quadrat::regularize::{self, RandomSparseSearch};
use quadrat::{Encoder, Error, Params, Plot, Progress, Result, Seed, Series, check_vacant, write_atomic_folder};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Options of `quadrat train`.
#[derive(Args, Debug)]
pub struct Train {
    /// Training rows: .csv, .tsv, .jsonl, .parquet, .npy or .npz, also with .gz or .zst; or builtin:NAME
    #[arg(long = "in", value_name = "FILE", required_unless_present = "images", conflicts_with = "images")]
    pub input: Option<String>,
    /// Column to predict
    #[arg(long, value_name = "COLUMN", required_unless_present_any = ["images", "from"], requires = "input")]
    pub target: Option<String>,
    /// Labelled images: a folder with a folder for each class, or an .npz file with `images` and `labels`
    #[arg(long, value_name = "FOLDER|FILE")]
    pub images: Option<PathBuf>,
    /// Side to which all images are resized
    #[arg(long, value_name = "PIXELS", requires = "images")]
    pub size: Option<usize>,
    /// Columns to learn from [default: all numeric columns and those of few values]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub features: Vec<String>,
    #[command(flatten)]
    pub reading: Reading,
    /// Predict the number in a column of whole numbers instead of taking its values as classes
    #[arg(long)]
    pub regression: bool,
    /// Go on from this model: its columns, classes and network. Trains all weights, or with --method sara or lora few
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["size", "features", "regression", "model", "hidden", "dropout"])]
    pub from: Option<PathBuf>,
    /// With --method sara or lora: write what changed, which `quadrat apply` puts on the model and takes off
    #[arg(long, value_name = "FILE", requires = "from")]
    pub delta: Option<PathBuf>,
    /// The network
    #[arg(long, value_enum, default_value_t = Kind::Mlp)]
    pub model: Kind,
    /// Units of each hidden layer (mlp), or channels of the convolutions (convnet)
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub hidden: Vec<usize>,
    /// Dropout rate of hidden layers
    #[arg(long, default_value_t = 0.0)]
    pub dropout: f32,
    /// A training method, with its parameters: NAME or NAME:KEY=VALUE,KEY=VALUE; may be given more than once
    #[arg(long, value_name = "NAME[:KEY=VALUE,...]")]
    pub method: Vec<String>,
    /// How often all rows are visited
    #[arg(long, default_value_t = 30)]
    pub epochs: usize,
    /// Rows in a step
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    /// The first learning rate [default: 0.001 for adamw, 0.05 for sgd]
    #[arg(long)]
    pub rate: Option<f64>,
    /// The optimiser
    #[arg(long, value_enum, default_value_t = Optimiser::Adamw)]
    pub optimizer: Optimiser,
    /// How the learning rate changes: along half a cosine, not at all, or tenfold down at half and three quarters
    #[arg(long, value_enum, default_value_t = Fall::Cosine)]
    pub schedule: Fall,
    /// Weight decay of kernels
    #[arg(long, default_value_t = 5e-4)]
    pub weight_decay: f64,
    /// Longest gradient that is not shortened
    #[arg(long)]
    pub clip: Option<f32>,
    /// Keep and return a moving average of the weights with this decay, such as 0.999
    #[arg(long)]
    pub average: Option<f32>,
    /// Share of the rows that is held back to judge the model
    #[arg(long, default_value_t = 0.1)]
    pub validation: f64,
    /// Save the state after every epoch in this file; if it exists, go on from there
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Folder for the model
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// A network.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Layers of units, for rows of numbers
    Mlp,
    /// A few convolutions and a hidden layer, for images
    Convnet,
    /// Pre-activation residual network, for images
    Resnet,
    /// Small vision transformer, for images whose sides are multiples of 4
    Vit,
}

/// An optimiser.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimiser {
    /// Adam with decoupled weight decay
    Adamw,
    /// Gradient descent with Nesterov momentum 0.9
    Sgd,
}

/// How the learning rate falls.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fall {
    /// Half a cosine to zero
    Cosine,
    /// Not at all
    Constant,
    /// Tenfold at half and at three quarters
    Steps,
}

/// Trains, judges on the rows held back, writes the model.
pub fn run(args: &Train, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    if let Some(out) = &args.out {
        check_vacant(out)?;
    }
    let (search, mut methods) = methods(args, parameters)?;
    let base = finetune::base(args.from.as_deref(), args.delta.as_deref(), &methods)?;
    let (samples, source) = match &base {
        Some((.., source)) => (finetune::samples(args, source)?, source.clone()),
        None => read(args)?,
    };
    let mut network = match &base {
        Some((network, ..)) => network.clone(),
        None => network(args, &samples, &source)?,
    };
    let (train, held) = hold_back(&samples, args.validation, Seed(args.run.seed))?;
    let trainer = trainer(args, &train);
    let started = Instant::now();
    let mut start = match &base {
        Some((_, parameters, _)) => parameters.clone(),
        None => initialise(&network, trainer.seed.stream("parameters"))?,
    };
    if let Some(search) = search {
        (network, start) = smaller(&search, &network, &start, &train, trainer.seed, progress)?;
    }
    let mut hooks: Vec<&mut dyn TrainMethod> = methods.iter_mut().map(|m| &mut **m as &mut dyn TrainMethod).collect();
    let mut training = Training::begin(&trainer, &network, start, &train, &mut hooks)?;
    if let Some(path) = args.checkpoint.as_ref().filter(|path| path.exists()) {
        training.restore(path)?;
    }
    let left = trainer.epochs - training.epochs_done().min(trainer.epochs);
    progress.begin("training", Some((left * train.len().div_ceil(trainer.batch)) as u64));
    while !training.is_done() {
        training.epoch(held.as_ref(), progress)?;
        if let Some(path) = &args.checkpoint {
            training.save(path)?;
        }
    }
    let fit = training.finish()?;
    let found = methods.iter().flat_map(|method| method.found()).collect();
    let took = started.elapsed().as_secs_f64();
    let judged = held.as_ref().unwrap_or(&train);
    let outputs = predict(&network, &fit.parameters, judged.inputs.view(), &[])?;
    let judgement = Judgement::of(&outputs, &judged.targets, &source)?;
    if let Some(out) = &args.out {
        let notes = crate::output::json(&source)?;
        write_atomic_folder(out, |folder| save_model(&folder.join(WEIGHTS), &network, &fit.parameters, &notes))?;
    }
    let changed = match &base {
        Some((_, parameters, _)) => finetune::keep_delta(&methods, parameters, &fit.parameters, args.delta.as_deref())?,
        None => None,
    };
    let held_back = held.as_ref().map_or(0, Samples::len);
    Finished {
        args,
        network: &network,
        parameters: &fit.parameters,
        curve: &fit.curve,
        rows: train.len(),
        held_back,
        took,
        found,
        changed,
        judgement,
    }
    .reply()
}

/// What comes before a training, and what hooks into it.
type Methods = (Option<RandomSparseSearch>, Vec<Box<dyn TrainMethod>>);

/// The search and the hooks that `--method` names, these in their order.
fn methods(args: &Train, parameters: &[(String, String)]) -> Result<Methods> {
    if let Some((name, _)) = parameters.first().filter(|_| args.method.len() != 1) {
        let want = "an option of train, or a parameter of the one --method; with several write NAME:KEY=VALUE";
        return Err(Error::input("option", format!("`--{name}`"), want));
    }
    let (mut search, mut hooks) = (None, Vec::new());
    for text in &args.method {
        let (name, typed) = text.split_once(':').unwrap_or((text, ""));
        let mut given: Vec<(String, String)> = parameters.to_vec();
        for pair in typed.split(',').filter(|pair| !pair.is_empty()) {
            let want = "write NAME:KEY=VALUE,KEY=VALUE, such as random-pruning:density=0.1";
            let (key, value) =
                pair.split_once('=').ok_or_else(|| Error::input("--method", format!("`{text}`"), want))?;
            given.push((key.to_owned(), value.to_owned()));
        }
        let card = work::method("train", name, &given)?;
        let given: Params = given.into_iter().collect();
        if card.slug == RandomSparseSearch::CARD.slug {
            search = Some(regularize::build_search(&given)?);
        } else {
            hooks.push(regularize::build(card.slug, &given)?);
        }
    }
    Ok((search, hooks))
}

/// The best sub-network on some training rows, with the weights it inherits.
fn smaller(
    search: &RandomSparseSearch,
    network: &Model,
    parameters: &Parameters,
    train: &Samples,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<(Model, Parameters)> {
    let Model::Mlp(parent) = network else {
        return Err(Error::input(
            "--model",
            "a network of convolutions",
            "random-sparse-search removes units of an mlp",
        ));
    };
    let probe = train.select(&(0..train.len().min(PROBE) as u32).collect::<Vec<_>>());
    let found = search.run(parent, parameters, &probe, seed.stream("search"), progress)?;
    Ok((Model::Mlp(found.network), found.parameters))
}

/// Rows that sub-networks are judged by.
const PROBE: usize = 1024;

fn read(args: &Train) -> Result<(Samples, Source)> {
    if let Some(images) = &args.images {
        let (samples, source) = read_images(images, args.size)?;
        return Ok((samples, source));
    }
    let (input, target) = (args.input.as_deref().unwrap_or_default(), args.target.as_deref().unwrap_or_default());
    let table = work::read(input, &args.reading)?;
    let encoder = Encoder::fit(&table, target, &args.features, args.regression)?;
    Ok((encoder.samples(&table)?, Source::Table(encoder)))
}

fn network(args: &Train, samples: &Samples, source: &Source) -> Result<Model> {
    let (inputs, outputs) = (samples.inputs.ncols(), samples.outputs());
    let hidden = |default: &[usize]| if args.hidden.is_empty() { default.to_vec() } else { args.hidden.clone() };
    if args.hidden.contains(&0) {
        return Err(Error::input("--hidden", 0, "at least 1 unit in each layer"));
    }
    if !(0.0..1.0).contains(&args.dropout) {
        return Err(Error::input("--dropout", args.dropout, "0 to below 1"));
    }
    let shape = match source {
        Source::Images { shape, .. } => Some(*shape),
        Source::Table(_) => {
            let side = (inputs as f64).sqrt() as usize;
            (side * side == inputs).then_some([1, side, side])
        }
    };
    let square = || {
        let want = "images (--images), or a square number of columns; --model mlp takes any table";
        shape.ok_or_else(|| Error::input("--model", format!("{:?} for {inputs} columns", args.model), want))
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
    })
}

fn trainer(args: &Train, samples: &Samples) -> Trainer {
    let (optimizer, rate) = match args.optimizer {
        Optimiser::Adamw => (Optimizer::adamw(args.weight_decay), 1e-3),
        Optimiser::Sgd => (Optimizer::sgd(args.weight_decay), 0.05),
    };
    Trainer {
        epochs: args.epochs,
        batch: args.batch,
        rate: args.rate.unwrap_or(rate),
        schedule: match args.schedule {
            Fall::Cosine => Schedule::Cosine,
            Fall::Constant => Schedule::Constant,
            Fall::Steps => Schedule::halves(),
        },
        optimizer,
        loss: if samples.labels().is_some() { Loss::CrossEntropy } else { Loss::SquaredError },
        clip: args.clip,
        average: args.average,
        seed: Seed(args.run.seed),
        ..Trainer::default()
    }
}

/// Rows to train on and rows to judge by, drawn.
fn hold_back(samples: &Samples, share: f64, seed: Seed) -> Result<(Samples, Option<Samples>)> {
    if !(0.0..1.0).contains(&share) {
        return Err(Error::input("--validation", share, "0 to below 1"));
    }
    let n = samples.len();
    let held = ((share * n as f64).round() as usize).min(n.saturating_sub(1));
    let mut order: Vec<u32> = (0..n as u32).collect();
    seed.stream("validation").rng(0).shuffle(&mut order);
    let (judge, train) = order.split_at(held);
    let mut train = train.to_vec();
    train.sort_unstable();
    Ok((samples.select(&train), (held > 0).then(|| samples.select(judge))))
}

/// A finished run.
struct Finished<'a> {
    args: &'a Train,
    network: &'a Model,
    parameters: &'a Parameters,
    curve: &'a [Epoch],
    rows: usize,
    held_back: usize,
    took: f64,
    found: Vec<(String, f64)>,
    /// Numbers that a fine-tuning changed.
    changed: Option<usize>,
    judgement: Judgement,
}

impl Finished<'_> {
    fn reply(self) -> Result<Reply> {
        let Finished { args, judgement, .. } = &self;
        let judged = if self.held_back > 0 {
            format!("on {} rows held back", count(self.held_back))
        } else {
            "on the training rows (none were held back)".to_owned()
        };
        let mut text = format!(
            "{}: {} numbers trained on {} rows for {} epochs in {} (seed {})\n{judged}:\n{}",
            self.name(),
            count(self.size()),
            count(self.rows),
            args.epochs,
            seconds(self.took),
            args.run.seed,
            judgement.text()
        );
        if !self.found.is_empty() {
            text.push_str("the methods found:\n");
        }
        let found: Vec<_> = self.found.iter().map(|(name, value)| vec![name.clone(), figure(*value)]).collect();
        text.push_str(&table(&found, &[1]));
        if let Some(changed) = self.changed {
            text.push_str(&format!("the delta holds {} numbers\n", count(changed)));
        }
        for path in [&args.out, &args.delta, &args.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        if args.out.is_none() && args.delta.is_none() {
            text.push_str("the model was not kept: add --out FOLDER\n");
        }
        let mut value = json!({
            "model": crate::output::json(self.network)?,
            "methods": args.method,
            "rows": self.rows,
            "held_back": self.held_back,
            "parameters": self.size(),
            "figures": judgement.json(),
            "found": self.found.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Value>(),
            "curve": crate::output::json(&self.curve)?,
            "seconds": self.took,
            "seed": args.run.seed,
            "from": args.from,
            "changed": self.changed,
            "delta": args.delta,
            "out": args.out,
            "report": args.report,
        });
        judgement.add_details(&mut value);
        if let Some(path) = &args.report {
            self.page(&judged)?.finish(path, None)?;
        }
        Ok(Reply::new(text, value))
    }

    fn name(&self) -> String {
        let kind = match &self.args.from {
            Some(from) => format!("{} trained on", from.display()),
            None => format!("{:?}", self.args.model).to_lowercase(),
        };
        if self.args.method.is_empty() { kind } else { format!("{kind} with {}", self.args.method.join(", ")) }
    }

    fn size(&self) -> usize {
        self.parameters.iter().map(|p| p.values().iter().filter(|v| **v != 0.0).count()).sum()
    }

    fn page(self, judged: &str) -> Result<Page> {
        let args = self.args;
        let input = args.input.clone().or_else(|| args.images.as_ref().map(|i| i.display().to_string()));
        let mut page = Page::new(format!("A model of {}", input.unwrap_or_default()), self.name());
        let facts = vec![
            ("Rows".to_owned(), count(self.rows)),
            ("Inputs and outputs".to_owned(), format!("{} and {}", self.network.inputs(), self.network.outputs())),
            ("Numbers that are not zero".to_owned(), count(self.size())),
            ("Epochs".to_owned(), args.epochs.to_string()),
            ("Time".to_owned(), seconds(self.took)),
        ];
        page.blocks.push(Block::Facts(facts));
        let figures = self.judgement.figures.iter().map(|(name, v)| (name.clone(), figure(*v))).collect();
        page.section(&format!("How good it is, {judged}"), [Block::Facts(figures)]);
        let found: Vec<_> = self.found.iter().map(|(name, value)| (name.clone(), figure(*value))).collect();
        page.section("What the methods found", (!found.is_empty()).then_some(Block::Facts(found)));
        page.section("Learning curve", [curve(self.curve)?]);
        for (heading, blocks) in self.judgement.blocks {
            page.section(heading, blocks);
        }
        Ok(page)
    }
}

/// Losses over epochs.
fn curve(epochs: &[Epoch]) -> Result<Block> {
    let points = |value: fn(&Epoch) -> Option<f64>| {
        let point = |e: &Epoch| value(e).map(|v| [e.epoch as f64, v, v, v]);
        epochs.iter().filter_map(point).collect::<Vec<_>>()
    };
    let mut series = vec![Series { name: "training".to_owned(), points: points(|e| Some(e.train_loss)) }];
    let held = points(|e| e.validation_loss);
    if !held.is_empty() {
        series.push(Series { name: "held back".to_owned(), points: held });
    }
    let plot = Plot {
        title: "Loss".to_owned(),
        x: "epoch".to_owned(),
        y: "loss".to_owned(),
        log_x: false,
        log_y: false,
        series,
    };
    let caption = "Training loss is measured while the network learns, against the targets that its methods set.";
    Ok(Block::Figure { drawing: svg::curves(&plot)?, caption: caption.to_owned() })
}
