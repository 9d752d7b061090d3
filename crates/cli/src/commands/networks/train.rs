//! `quadrat train`: a labelled file or images -> a model, trained with any of the training methods.

mod extend;
mod finished;
pub(super) mod network;
mod rows;
mod suspects;
mod unlabelled;

use super::detection;
use super::finetune;
use super::judgement::Judgement;
use super::learned::{Source, WEIGHTS};
use super::series;
use crate::args::Run;
use crate::commands::work;
use crate::output::Reply;
use crate::parameters::with_parameters;
use crate::reading::Reading;
use clap::{Args, ValueEnum};
use finished::Finished;
use quadrat::nn::{
    self, Beside, Loss, Model, Parameters, Samples, Schedule, TrainMethod, Training, TwoViews, initialise, predict,
    save_model,
};
use quadrat::regularize::{self, RandomSparseSearch};
use quadrat::training_method;
use quadrat::{Error, Method, Params, Progress, Result, Rng, Seed, check_vacant, write_atomic_folder};
use rows::Rows;
use std::path::PathBuf;
use std::time::Instant;
use unlabelled::Unlabelled;

/// Options of `quadrat train`.
#[derive(Args, Debug)]
pub struct Train {
    /// Training rows: .csv, .tsv, .json, .jsonl, .parquet, .arrow, .npy, .npz, .arff or .libsvm, also compressed; or builtin:NAME
    #[arg(long = "in", value_name = "FILE", group = "rows", required_unless_present_any = ["images", "series"], conflicts_with = "images")]
    pub input: Option<String>,
    /// Series with a class each, for the methods that fill holes (supnotmiwae, gru-d, forward-fill, ...): a .ts file, or a table with
    /// a row for each series and time beside --series-id, --time and --target
    #[arg(long, value_name = "FILE", group = "rows", conflicts_with_all = ["images", "unlabelled", "regression", "from", "extend", "delta", "classes",
        "labels", "loss", "class_weights", "weight", "balance", "model", "hidden", "dropout", "held_back", "groups", "checkpoint",
        "suspects", "report"])]
    pub series: Option<String>,
    /// With a table of --series: the column that tells series apart
    #[arg(long, value_name = "COLUMN", requires = "series")]
    pub series_id: Option<String>,
    /// Column to predict; several of numbers, or several of yes and no, are predicted together
    #[arg(long, value_name = "COLUMN[,COLUMN]", required_unless_present_any = ["images", "from", "extend", "series"], requires = "rows")]
    pub target: Option<String>,
    /// Labelled images: a folder with a folder for each class, or an .npz file with `images` and `labels`
    #[arg(long, value_name = "FOLDER|FILE")]
    pub images: Option<PathBuf>,
    /// Boxes of objects in the images, in COCO's format: trains a detector (--model detector or anchor-detector, --method
    /// sampling-free, focal, ...)
    #[arg(long, value_name = "FILE", requires = "images")]
    pub boxes: Option<PathBuf>,
    /// Rows without labels, with the columns that are learnt from, or a folder of images: for methods that learn from such rows
    /// (fixmatch, shrinkmatch, ...) [default: the rows of --in whose target is empty]
    #[arg(long, value_name = "FILE|FOLDER")]
    pub unlabelled: Option<String>,
    /// How many of them come with each labelled row
    #[arg(long, value_name = "N", default_value_t = 7, requires = "unlabelled")]
    pub unlabelled_ratio: usize,
    /// Side to which all images are resized
    #[arg(long, value_name = "PIXELS", requires = "images")]
    pub size: Option<usize>,
    /// Columns to learn from [default: all numeric columns and those of few values]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    #[command(flatten)]
    pub reading: Reading,
    /// Predict the target as a number [default: numbers that are not all whole, or more than 20 different ones]
    #[arg(long, conflicts_with_all = ["classes", "labels"])]
    pub regression: bool,
    /// Go on from this model: its columns, classes and network. Trains all weights, or with --method sara or lora few
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["size", "features", "regression", "classes", "labels", "model", "hidden", "dropout"])]
    pub from: Option<PathBuf>,
    /// Teach this model the classes of --in or --images, all of them new, without the rows of those that it knows: with
    /// --method ovor
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["from", "size", "features", "regression", "classes", "labels", "model", "hidden", "dropout", "unlabelled", "balance", "checkpoint", "suspects", "held_back", "loss"])]
    pub extend: Option<PathBuf>,
    /// With --method sara or lora: write what changed, which `quadrat apply` puts on the model and takes off
    #[arg(long, value_name = "FILE", requires = "from")]
    pub delta: Option<PathBuf>,
    /// Take each value of the target as a class [default: names, truth values, at most 20 different whole numbers]
    #[arg(long, conflicts_with = "labels")]
    pub classes: bool,
    /// Take the target as a list of labels, of which a row may have any number: a list, or text separated by `|`, `;` or
    /// `,` [default: columns of lists]
    #[arg(long)]
    pub labels: bool,
    /// What is made small: cross-entropy or focal[:GAMMA] for classes, mse, mae, huber[:DELTA] or quantile:SHARE for
    /// numbers (DELTA in standard deviations of the target) [default: cross-entropy, mse]
    #[arg(long, value_name = "LOSS[:NUMBER]")]
    pub loss: Option<String>,
    /// How much classes count: balanced (all alike, however many rows they have), or CLASS=WEIGHT for some
    #[arg(long, value_name = "balanced|A=2,B=1", value_delimiter = ',')]
    pub class_weights: Vec<String>,
    /// Column with each row's weight, 0 or more; it is no feature
    #[arg(long, value_name = "COLUMN", requires = "input")]
    pub weight: Option<String>,
    /// Balance the classes of the training rows by a resampler; rows held back stay as they are
    #[arg(long, value_name = "NAME[:KEY=VALUE,...]")]
    pub balance: Option<String>,
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
    /// The first learning rate [default: found by a range test of at most 64 steps]
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
    /// Keep and return a moving average of the weights with this decay, such as 0.99
    #[arg(long)]
    pub average: Option<f32>,
    /// Share of the rows that is held back to choose the epoch and to judge the model; class by class, if there are any
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub validation: f64,
    /// Rows with labels, or images, that choose the epoch and judge the model in the place of a share held back: clean ones, where
    /// training labels are not to be trusted
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with_all = ["validation", "groups", "time"])]
    pub held_back: Option<String>,
    /// Column of groups, such as patients: none is both trained on and held back
    #[arg(long, value_name = "COLUMN", requires = "input", conflicts_with = "time")]
    pub groups: Option<String>,
    /// Column of times: the latest rows are held back; with --series the times of its rows
    #[arg(long, value_name = "COLUMN", requires = "rows")]
    pub time: Option<String>,
    /// Stop after so many epochs without a lower loss on the rows held back, and return the best epoch; `none` goes to
    /// the end and returns the last one
    #[arg(long, value_name = "EPOCHS|none", default_value = "10")]
    pub patience: String,
    /// Save the state after every epoch in this file; if it exists, go on from there (with the same data and settings)
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Folder for the model
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// With a method that doubts labels (elr): write the training rows whose labels look wrong, the surest first
    #[arg(long, value_name = "FILE", conflicts_with = "balance")]
    pub suspects: Option<PathBuf>,
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
    /// Detector of boxes that looks at a point every 8 pixels, for images with --boxes
    Detector,
    /// The same with nine anchors at each point, as large as the boxes are
    AnchorDetector,
}

impl Kind {
    /// Its name, as it is typed.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
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

impl From<Fall> for Schedule {
    fn from(fall: Fall) -> Self {
        match fall {
            Fall::Cosine => Schedule::Cosine,
            Fall::Constant => Schedule::Constant,
            Fall::Steps => Schedule::halves(),
        }
    }
}

/// Trains, judges on the rows held back, writes the model.
pub fn run(args: &Train, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    if let Some(file) = &args.series {
        return series::train(args, file, parameters, progress);
    }
    if let Some(out) = &args.out {
        check_vacant(out)?;
    }
    if let Some(model) = &args.extend {
        return extend::run(args, model, parameters, progress);
    }
    if args.boxes.is_some() || matches!(args.model, Kind::Detector | Kind::AnchorDetector) {
        return detection::train(args, parameters, progress);
    }
    let (search, mut methods) = methods(args, parameters)?;
    if let Some(path) = &args.suspects {
        suspects::check(path, &methods)?;
    }
    let base = finetune::base(args.from.as_deref(), args.delta.as_deref(), &methods)?;
    let few = methods.iter().any(|method| method.reads_unlabelled());
    let mut rows = Rows::read(args, base.as_ref().map(|(.., source)| source), few, progress)?;
    let mut network = match &base {
        Some((network, ..)) => network.clone(),
        None => network::network(args, &rows)?,
    };
    let mut trainer = network::trainer(args, rows.kind, &network)?;
    if let Source::Table(encoder) = &mut rows.source {
        encoder.quantile = match trainer.loss {
            // The decimal number that was given, not the f32 next to it.
            Loss::Quantile { share } => share.to_string().parse().ok(),
            _ => None,
        };
    }
    let started = Instant::now();
    let mut start = match &base {
        Some((_, parameters, _)) => parameters.clone(),
        None => initialise(&network, trainer.seed.stream("parameters"))?,
    };
    if let Some(search) = search {
        (network, start) = smaller(&search, &network, &start, &rows.train, trainer.seed, progress)?;
    }
    let rate_said = network::settle_rate(args, &mut trainer, &network, &start, &rows.train, progress)?;
    let unlabelled = Unlabelled::read(args, &mut rows, &methods, progress)?;
    let (seed, unchanged) = (trainer.seed.stream("unlabelled"), |_: &mut [f32], _: &mut Rng| {});
    let twice = unlabelled.as_ref().map(|both| TwoViews { source: &both.pool, view: &unchanged, seed });
    let beside = unlabelled.as_ref().zip(twice.as_ref()).map(|(both, twice)| Beside {
        labelled: &both.labelled,
        unlabelled: twice,
        ratio: args.unlabelled_ratio,
        seed,
    });
    let source: &dyn nn::Source = beside.as_ref().map_or(&rows.train, |beside| beside);
    let mut hooks: Vec<&mut dyn TrainMethod> = methods.iter_mut().map(|m| &mut **m as &mut dyn TrainMethod).collect();
    let mut training = Training::begin(&trainer, &network, start, source, &mut hooks)?;
    if let Some(path) = args.checkpoint.as_ref().filter(|path| path.exists()) {
        training.restore(path)?;
    }
    let left = trainer.epochs - training.epochs_done().min(trainer.epochs);
    progress.begin("training", Some((left * source.len().div_ceil(trainer.batch)) as u64));
    while !training.is_done() {
        training.epoch(rows.held.as_ref().map(|held| held as _), progress)?;
        if let Some(path) = &args.checkpoint {
            training.save(path)?;
        }
    }
    let fit = training.finish()?;
    let found = methods.iter().flat_map(|method| method.found()).collect();
    let took = started.elapsed().as_secs_f64();
    let judged = rows.held.as_ref().unwrap_or(&rows.train);
    let outputs = predict(&network, &fit.parameters, judged.inputs.view(), &[])?;
    let judgement = Judgement::of(&outputs, &judged.targets, &rows.source)?;
    if let Some(out) = &args.out {
        let notes = crate::output::json(&rows.source)?;
        write_atomic_folder(out, |folder| save_model(&folder.join(WEIGHTS), &network, &fit.parameters, &notes))?;
    }
    if let Some(path) = &args.suspects {
        suspects::write(path, &methods, &rows, args.images.as_deref())?;
    }
    let changed = match &base {
        Some((_, parameters, _)) => finetune::keep_delta(&methods, parameters, &fit.parameters, args.delta.as_deref())?,
        None => None,
    };
    rows.warnings.extend(
        rows.held.is_none().then(|| {
            "no rows are held back: nothing says how good the model is on new ones, nor when to stop".to_owned()
        }),
    );
    for warning in &rows.warnings {
        eprintln!("quadrat: note: {warning}");
    }
    Finished {
        args,
        network: &network,
        fit: &fit,
        trainer: &trainer,
        rate_said,
        rows: &rows,
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
        let (name, own) = with_parameters("--method", text)?;
        let given: Vec<(String, String)> = parameters.iter().cloned().chain(own).collect();
        let card = work::method::<Train>("train", name, &given)?;
        let given: Params = given.into_iter().collect();
        if card.slug == RandomSparseSearch::CARD.slug {
            search = Some(regularize::build_search(&given)?);
        } else {
            hooks.push(training_method(card.slug, &given)?);
        }
    }
    let saa = hooks.iter().position(|hook| hook.name() == "saa");
    if saa.is_some_and(|at| !hooks[..at].iter().any(|hook| hook.reads_unlabelled())) {
        let want = "behind a method whose views it makes harder: --method fixmatch --method saa";
        return Err(Error::input("--method", "saa first", want));
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
