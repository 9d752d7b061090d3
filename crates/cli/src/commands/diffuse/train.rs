//! `quadrat diffuse train`: rows of numbers or images -> a network that says what noised ones were.

use super::form::Form;
use super::network::Kept;
use super::points::{Beside, Points};
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, json, seconds};
use crate::parameters::{choice, with_parameters};
use crate::report::{Block, Page, map, sheet, svg};
use clap::{Args, ValueEnum};
use ndarray::{Array2, Axis};
use quadrat::data::builtin;
use quadrat::data::images::{Images, Wanted};
use quadrat::diffusion::{
    AmbientDiffusion, Denoising, Grid, NetworkDenoiser, Noising, Parametrisation, Schedule, Solver, integrate, noise,
};
use quadrat::nn::{Epoch, UNet};
use quadrat::{Error, Method, Plot, Progress, Result, Seed, Series, Settings, check_vacant, write_atomic_folder};
use serde_json::{Value, json as object};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct TrainDenoiser {
    #[command(flatten)]
    pub points: Points,
    /// Images: a folder, an .npz or .npy file, or builtin:digits, builtin:mnist, builtin:fashion-mnist
    #[arg(long, value_name = "FOLDER|FILE", conflicts_with = "input")]
    pub images: Option<String>,
    /// Side to which all images are resized
    #[arg(long, value_name = "PIXELS", requires = "images")]
    pub size: Option<usize>,
    /// Column of classes, any of which can then be drawn; of images alone, their labels
    #[arg(long, value_name = "COLUMN", num_args = 0..=1, default_missing_value = "")]
    pub classes: Option<String>,
    /// Numeric columns that the others are drawn given, such as what was measured of them; `diffuse restore` then finds the others
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', requires = "input")]
    pub conditions: Vec<String>,
    /// Column with the standard deviation of the noise that a row has, in the unit of the columns, 0 for a clean one
    #[arg(long, value_name = "COLUMN", requires = "input")]
    pub noise_column: Option<String>,
    /// With --noise-column: ambient, which learns the clean law
    #[arg(long, value_name = "ambient[:clamp=true]", requires = "noise_column")]
    pub method: Option<String>,
    /// The network
    #[arg(long, value_enum, default_value_t = Kind::Mlp)]
    pub model: Kind,
    /// Units of each hidden layer (mlp) [default: 128,128,128]; channels at full size (unet) [default: 32]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub hidden: Vec<usize>,
    /// What the network answers
    #[arg(long, value_name = "NAME", value_parser = parametrisation(), default_value = "edm")]
    pub prediction: Parametrisation,
    /// How often all rows are visited [default: as often as makes 5,000 steps, with unet 2,000]
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Rows in a step
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub batch: usize,
    /// The first learning rate
    #[arg(long, value_name = "NUMBER", default_value_t = 1e-3)]
    pub rate: f64,
    /// Save the state after every epoch in this file; if it exists, go on from there (with the same data and settings)
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Folder for the model
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// A network.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Layers of units
    Mlp,
    /// Convolutions at ever smaller sizes and back, for images
    Unet,
}

fn parametrisation() -> impl clap::builder::TypedValueParser<Value = Parametrisation> {
    choice()
}

/// What is learnt from.
struct Data {
    x: Array2<f64>,
    conditions: Option<Array2<f64>>,
    kept: Kept,
    labels: Option<Vec<u32>>,
    noise: Option<Vec<f64>>,
    rows: Option<super::points::Rows>,
    name: String,
}

/// Trains, and writes the model.
pub fn run(args: &TrainDenoiser, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    args.report.as_deref().map_or(Ok(()), check_place)?;
    let ambient = ambient(args)?;
    let data = read(args, progress)?;
    let seed = Seed(args.run.seed);
    let mut denoiser = network(args, &data, seed)?.with(args.prediction);
    let images = matches!(data.kept.form, Form::Images { .. });
    let (steps, an_epoch) =
        (if args.model == Kind::Unet { 2000 } else { 5000 }, data.x.nrows().div_ceil(args.batch.max(1)));
    let epochs = args.epochs.unwrap_or(usize::div_ceil(steps, an_epoch.max(1)));
    let course = Denoising { epochs, batch: args.batch, rate: args.rate };
    let rows = Noising {
        noise: data.noise.as_deref(),
        classes: data.labels.as_deref(),
        condition: data.conditions.as_ref().map(|rows| rows.view()),
        ..Noising::of(data.x.view())
    };
    let (started, state) = (Instant::now(), args.checkpoint.as_deref());
    let curve = match &ambient {
        Some(method) => method.fit(&mut denoiser, &course, rows, state, seed, progress)?,
        None => course.fit(&mut denoiser, rows, state, seed, progress)?,
    };
    let took = started.elapsed().as_secs_f64();
    write_atomic_folder(&args.out, |folder| data.kept.save(&denoiser, folder))?;
    let numbers: usize = denoiser.parameters().iter().map(|p| p.values().len()).sum();
    let last = curve.last().map_or(f64::NAN, |epoch| epoch.train_loss);
    let mut text = format!(
        "{} of {}: {} numbers trained for {epochs} epochs in {} (seed {})\n  loss {} at the end; 1 is what answering nothing would have\n",
        if images { "images" } else { "rows" },
        data.name,
        count(numbers),
        seconds(took),
        args.run.seed,
        figure(last)
    );
    if let Some(noise) = &data.noise {
        let clean = noise.iter().filter(|v| **v == 0.0).count();
        text.push_str(&format!("  {} rows are clean, {} noisy\n", count(clean), count(noise.len() - clean)));
    }
    if let Some(path) = &args.report {
        page(&data, &denoiser, &curve, seed, progress)?.finish(path, ambient.map(|_| &AmbientDiffusion::CARD))?;
    }
    text.push_str(&format!("wrote {}\n", args.out.display()));
    if let Some(path) = &args.report {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    let mut value = object!({
        "model": json(denoiser.network())?,
        "method": ambient.map(|_| AmbientDiffusion::CARD.slug),
        "prediction": json(&args.prediction)?,
        "parameters": numbers,
        "rows": data.x.nrows(),
        "classes": data.kept.classes,
        "conditions": args.conditions,
        "epochs": epochs,
        "loss": last,
        "curve": json(&curve)?,
        "seed": args.run.seed,
        "seconds": took,
        "out": args.out,
        "report": args.report,
    });
    match &data.rows {
        Some(rows) => rows.tell(&mut text, &mut value),
        None => value["input"] = Value::from(data.name.clone()),
    }
    Ok(Reply::new(text, value))
}

/// The method by which noisy rows are learnt from as such.
fn ambient(args: &TrainDenoiser) -> Result<Option<AmbientDiffusion>> {
    match args.method.as_deref() {
        Some(text) => {
            let (name, own) = with_parameters("--method", text)?;
            if !AmbientDiffusion::CARD.is_called(name) {
                return Err(Error::input("--method", format!("`{name}`"), "ambient"));
            }
            Ok(Some(AmbientDiffusion::from_params(&own.into_iter().collect())?))
        }
        None if args.noise_column.is_some() => {
            let want = "--method ambient beside it, which learns the clean law; --exclude leaves the column out";
            Err(Error::input("--noise-column", "without a method", want))
        }
        None => Ok(None),
    }
}

fn read(args: &TrainDenoiser, progress: &dyn Progress) -> Result<Data> {
    if let Some(images) = &args.images {
        return read_images(args, images, progress);
    }
    if args.classes.as_deref() == Some("") {
        return Err(Error::input("--classes", "nothing", "with --in the column of the classes"));
    }
    let beside = Beside { classes: args.classes.as_deref(), noise: args.noise_column.as_deref() };
    let mut points = args.points.clone();
    if !points.features.is_empty() {
        points.features.extend(args.conditions.iter().filter(|name| !args.points.features.contains(name)).cloned());
    }
    let mut rows = points.read(beside, None, progress)?;
    let (labels, classes) = match rows.classes.take() {
        Some(classes) => (Some(classes.codes), classes.names),
        None => (None, Vec::new()),
    };
    let (mut x, mut form, mut conditions, mut told) = (rows.x.clone(), rows.form.clone(), None, None);
    if !args.conditions.is_empty() {
        let [drawn, given] = form.without(&args.conditions)?;
        conditions = Some(x.select(Axis(1), &given.1));
        (x, form, told) = (x.select(Axis(1), &drawn.1), drawn.0, Some(given.0));
    }
    let kept = Kept { form, classes, conditions: told, plan: None };
    let (noise, name) = (rows.noise.take(), rows.input.name().to_owned());
    Ok(Data { x, conditions, kept, labels, noise, rows: Some(rows), name })
}

fn read_images(args: &TrainDenoiser, name: &str, progress: &dyn Progress) -> Result<Data> {
    let (pixels, labels, classes, shape) = match name.strip_prefix("builtin:") {
        Some(set) => {
            if !["digits", "mnist", "fashion-mnist"].contains(&set) || args.size.is_some() {
                let want = "builtin:digits, builtin:mnist or builtin:fashion-mnist, in their own size";
                return Err(Error::input("--images", format!("`{name}`"), want));
            }
            let (x, labels, classes) = builtin::labelled(set)?;
            let side = x.ncols().isqrt();
            let most = x.iter().copied().fold(0.0, f64::max);
            (x / most, labels, classes, [1, side, side])
        }
        None => {
            let wanted = Wanted { size: args.size.map(|side| (side, side)), ..Wanted::default() };
            let read = Images::read(Path::new(name), &wanted, progress)?;
            let (n, c, h, w) = read.pixels.dim();
            let pixels = read.pixels.mapv(f64::from).into_shape_with_order((n, c * h * w));
            (pixels.map_err(|e| Error::numeric("images", e.to_string()))?, read.labels, read.classes, [c, h, w])
        }
    };
    let (labels, classes) = match args.classes.as_deref() {
        None => (None, Vec::new()),
        Some("") if labels.len() == pixels.nrows() => (Some(labels), classes),
        Some("") => return Err(Error::input("--classes", "images without labels", "a folder for each class, say")),
        Some(_) => {
            return Err(Error::input("--classes", "a column", "with images no name: their labels are the classes"));
        }
    };
    let form = Form::Images { shape };
    let x = form.scaled(pixels);
    let kept = Kept { form, classes, conditions: None, plan: None };
    Ok(Data { x, conditions: None, kept, labels, noise: None, rows: None, name: name.to_owned() })
}

fn network(args: &TrainDenoiser, data: &Data, seed: Seed) -> Result<NetworkDenoiser> {
    let classes = data.kept.classes.len();
    let conditions = data.conditions.as_ref().map_or(0, Array2::ncols);
    match (args.model, &data.kept.form) {
        (Kind::Mlp, _) => {
            let hidden = if args.hidden.is_empty() { &[128, 128, 128][..] } else { &args.hidden };
            NetworkDenoiser::conditional_mlp(data.x.ncols(), hidden, [classes, conditions], seed)
        }
        (Kind::Unet, Form::Images { shape }) => {
            let width = match args.hidden[..] {
                [] => 32,
                [width] => width,
                _ => return Err(Error::input("--hidden", format!("{:?}", args.hidden), "one number of channels")),
            };
            NetworkDenoiser::unet(UNet { classes, ..UNet::new(*shape, width) }, seed)
        }
        (Kind::Unet, Form::Table(_)) => Err(Error::input("--model", "unet", "for images: rows of numbers take mlp")),
    }
}

/// The loss epoch by epoch, and a few samples.
fn page(data: &Data, denoiser: &NetworkDenoiser, curve: &[Epoch], seed: Seed, progress: &dyn Progress) -> Result<Page> {
    let mut page = Page::new(format!("A model of {}", data.name), "A network that says what noised samples were.");
    let points = curve.iter().map(|epoch| [epoch.epoch as f64, epoch.train_loss, epoch.train_loss, epoch.train_loss]);
    let plot = Plot {
        title: "The loss".into(),
        x: "epoch".into(),
        y: "mean loss".into(),
        log_x: false,
        log_y: false,
        series: vec![Series { name: "loss".into(), points: points.collect() }],
    };
    let caption =
        "1 is what answering nothing would have; it does not fall to 0, for noise hides what was there.".into();
    page.section("Training", [Block::Figure { drawing: svg::curves(&plot)?, caption }]);
    let [low, high] = Schedule::edm().times();
    let schedule = Schedule::Exploding { sigma: [low.max(denoiser.purpose().least), high] };
    let plan = Solver::Dpmpp2m.plan(schedule, &Grid::LogSnr, 20)?;
    let images = matches!(data.kept.form, Form::Images { .. });
    let starts = noise(&plan, if images { sheet::MOST } else { 500 }, data.x.ncols(), seed.stream("report"));
    let new = data.kept.form.unscaled(&integrate(&plan, denoiser, starts, seed, progress)?);
    match data.kept.form {
        Form::Images { shape } => page.section("Samples", [sheet::of(&new, shape)?]),
        Form::Table(_) => page.section("Samples", map::of_new(&data.kept.form.unscaled(&data.x), &new, seed)?),
    }
    Ok(page)
}
