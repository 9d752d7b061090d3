//! `quadrat reconstruct train`: images and what is measured of them -> a network that makes images of such samples.

use super::measured::Trajectory;
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, json, seconds};
use crate::parameters::Declared;
use crate::report::{Block, Page, svg};
use clap::Args;
use ndarray::{Array2, Axis};
use quadrat::data::images::{Channels, Images, Wanted, encode, resize};
use quadrat::data::nifti::Volume;
use quadrat::data::{builtin, numbers};
use quadrat::inverse::masks::{Pattern, uniform, usual_centre, varden1d, varden2d};
use quadrat::inverse::reconresnet::{Acquisition, Cartesian, Model, Radial, ReconResNet};
use quadrat::nn::Epoch;
use quadrat::numeric::image_quality::{Window, ssim};
use quadrat::{Error, Method, Plot, Progress, Result, Seed, Series, check_vacant, checkpoint, stats};
use serde_json::json as object;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct TrainReconstruction {
    /// Images to learn from: a NIfTI volume (.nii, .nii.gz), a folder of PNG and JPEG files, an array of (slices x) height x width (.npy,
    /// .npz), or a built-in brain (builtin:mni152, builtin:colin27, builtin:macaque)
    #[arg(long = "in", value_name = "FILE|FOLDER")]
    pub input: String,
    /// Of a NIfTI file with several volumes, the one to take, from 0
    #[arg(long, value_name = "N")]
    pub volume: Option<usize>,
    /// Side to which slices are resized
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// What is measured: radial:SPOKES (golden angle), lines:SHARE or points:SHARE (denser in the middle), uniform:STEP (every so many
    /// lines), mask:FILE or trajectory:FILE; one network learns all that are named
    #[arg(long, value_name = "NAME:NUMBER", value_delimiter = ',', required = true)]
    pub pattern: Vec<String>,
    #[command(flatten)]
    pub settings: Declared<ReconResNet>,
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

/// Masks of a pattern that is drawn by chance: enough that a network does not learn one alone.
const DRAWN: u64 = 8;
/// Lines in the middle of a uniform pattern, as a share of all.
const MIDDLE: f64 = 0.08;
/// Slices that are looked at after the training.
const SHOWN: usize = 8;

/// Trains, and writes the model.
pub fn run(args: &TrainReconstruction, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    args.report.as_deref().map_or(Ok(()), check_place)?;
    args.settings.check_effect()?;
    let method = args.settings.settings()?;
    let (slices, empty) = slices(args, progress)?;
    let (height, width) = slices[0].dim();
    let seed = Seed(args.run.seed);
    let mut acquisitions = Vec::new();
    for pattern in &args.pattern {
        acquisitions.extend(acquired(pattern, [height, width], seed.stream("patterns").stream(pattern))?);
    }
    let seen: Vec<&dyn Acquisition> = acquisitions.iter().map(|one| &**one as &dyn Acquisition).collect();
    let started = Instant::now();
    let (model, curve) = method.fit(&slices, &seen, args.checkpoint.as_deref(), seed, progress)?;
    let took = started.elapsed().as_secs_f64();
    let notes = object!({ "patterns": args.pattern, "shape": [height, width], "input": args.input });
    model.save(&args.out, notes)?;
    let looked = looked(&model, &slices, seen[0], progress)?;
    if let Some(path) = &args.report {
        page(args, &curve, &looked)?.finish(path, Some(&ReconResNet::CARD))?;
    }
    let parameters: usize = model.parameters.iter().map(|p| p.len()).sum();
    let last = curve.last().map_or(f64::NAN, |epoch| epoch.train_loss);
    let mut text = format!(
        "{} slices of {height} x {width}: a network of {} numbers trained for {} in {} (seed {})\n  mean difference {} at the end; SSIM of \
         {} of these slices from {}: {}, without the network {}\n",
        count(slices.len()),
        count(parameters),
        if method.epochs == 1 { "1 epoch".to_owned() } else { format!("{} epochs", count(method.epochs)) },
        seconds(took),
        args.run.seed,
        figure(last),
        looked.ssim.len(),
        args.pattern[0],
        figure(looked.mean(1)),
        figure(looked.mean(0)),
    );
    if empty > 0 {
        text.push_str(&format!("  {} slices without an image in them were left out\n", count(empty)));
    }
    for path in [Some(&args.out), args.report.as_ref()].into_iter().flatten() {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    let value = object!({
        "method": ReconResNet::CARD.slug,
        "network": json(&model.architecture)?,
        "patterns": args.pattern,
        "slices": slices.len(),
        "empty": empty,
        "shape": [height, width],
        "parameters": parameters,
        "loss": last,
        "ssim": looked.mean(1),
        "ssim_without": looked.mean(0),
        "curve": json(&curve)?,
        "seed": args.run.seed,
        "seconds": took,
        "out": args.out,
        "report": args.report,
    });
    Ok(Reply::new(text, value))
}

/// Slices from 0 to 1, divided by the largest number of all, and how many were left out because nothing is in them.
fn slices(args: &TrainReconstruction, progress: &dyn Progress) -> Result<(Vec<Array2<f32>>, usize)> {
    let all = read(args, progress)?;
    let wrong = |got: String| {
        Error::input(format!("--in {}", args.input), got, "magnitude images: finite numbers, none negative, not all 0")
    };
    let mut most = 0.0_f32;
    for (i, slice) in all.iter().enumerate() {
        if let Some(v) = slice.iter().find(|v| !v.is_finite() || **v < 0.0) {
            return Err(wrong(format!("{v} in slice {i}")));
        }
        most = slice.iter().copied().fold(most, f32::max);
    }
    if most == 0.0 {
        return Err(wrong("0 everywhere".to_owned()));
    }
    let scaled = all.into_iter().map(|slice| {
        let slice = slice / most;
        match args.size {
            Some(side) => resize(slice.insert_axis(Axis(0)), (side, side)).index_axis_move(Axis(0), 0),
            None => slice,
        }
    });
    let (kept, empty): (Vec<_>, Vec<_>) = scaled.partition(|slice| slice.iter().any(|v| *v > 0.05));
    if kept.is_empty() {
        return Err(wrong("nothing but single bright pixels".to_owned()));
    }
    Ok((kept, empty.len()))
}

fn read(args: &TrainReconstruction, progress: &dyn Progress) -> Result<Vec<Array2<f32>>> {
    if args.size.is_some_and(|side| !(8..=4096).contains(&side)) {
        return Err(Error::input("--size", args.size.unwrap_or_default(), "8 to 4096 pixels"));
    }
    let path = Path::new(&args.input);
    let lower = args.input.to_lowercase();
    let nifti = [".nii", ".nii.gz", ".nii.zst"].iter().any(|ending| lower.ends_with(ending));
    if args.volume.is_some() && !nifti {
        return Err(Error::input("--volume", &args.input, "a NIfTI file: no other has several volumes"));
    }
    if let Some(name) = args.input.strip_prefix("builtin:") {
        let names = || builtin::brains().iter().map(|brain| format!("builtin:{}", brain.name)).collect::<Vec<_>>();
        let none = || Error::input("--in", &args.input, names().join(", "));
        let brain = builtin::brains().iter().find(|brain| brain.name == name).ok_or_else(none)?;
        return Ok(brain.slices()?.into_iter().map(|(_, slice)| slice).collect());
    }
    if nifti {
        return Ok(Volume::read(path, args.volume, progress)?.slices());
    }
    if lower.ends_with(".npy") || lower.ends_with(".npz") || lower.ends_with(".cfl") {
        let found = numbers::read(path)?;
        let (h, w) = match found.shape[..] {
            [h, w] | [_, h, w] if !found.values.is_empty() => (h, w),
            _ => {
                let got = format!("an array of shape {:?}", found.shape);
                return Err(Error::input(format!("--in {}", args.input), got, "(slices x) height x width numbers"));
            }
        };
        // The sign of real numbers is looked at later; of complex ones the modulus is the image.
        let value = |v: &[f64; 2]| if found.complex { v[0].hypot(v[1]) } else { v[0] } as f32;
        let slice = |values: &[[f64; 2]]| {
            Array2::from_shape_vec((h, w), values.iter().map(value).collect())
                .map_err(|e| Error::numeric("images", e.to_string()))
        };
        return found.values.chunks(h * w).map(slice).collect();
    }
    let wanted = Wanted { size: args.size.map(|side| (side, side)), channels: Some(Channels::Grey) };
    let images = Images::read(path, &wanted, progress)?;
    Ok(images.pixels.axis_iter(Axis(0)).map(|image| image.index_axis(Axis(0), 0).to_owned()).collect())
}

type Acquisitions = Vec<Box<dyn Acquisition + Send>>;

/// What a pattern's name says: one acquisition, or several drawn ones.
fn acquired(text: &str, shape: [usize; 2], seed: Seed) -> Result<Acquisitions> {
    let want =
        "radial:SPOKES, lines:SHARE, points:SHARE, uniform:STEP, mask:FILE or trajectory:FILE, such as radial:30";
    let wrong = || Error::input("--pattern", format!("`{text}`"), want);
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let grid = |mask: Pattern| -> Result<Box<dyn Acquisition + Send>> { Ok(Box::new(Cartesian::new(&mask)?)) };
    let share = || value.parse::<f64>().map_err(|_| wrong());
    let whole = || value.parse::<usize>().map_err(|_| wrong());
    match name {
        "radial" => {
            let spokes = whole()?;
            // As many to a pixel as the authors' full set, 512 for 256.
            let full = (2 * shape[0].max(shape[1])).max(spokes);
            Ok(vec![Box::new(Radial::golden(shape, spokes, full)?)])
        }
        "lines" | "points" => {
            let (share, drawn) = (share()?, if name == "lines" { varden1d } else { varden2d });
            let mask = |i| grid(drawn(shape, share, usual_centre(share), seed.stream(&format!("{i}")))?);
            (0..DRAWN).map(mask).collect()
        }
        "uniform" => Ok(vec![grid(uniform(shape, whole()?, (MIDDLE * shape[1] as f64).round() as usize)?)?]),
        "mask" => {
            let found = numbers::read(Path::new(value))?;
            let kept: Vec<bool> = found.values.iter().map(|v| *v != [0.0, 0.0]).collect();
            if found.shape.len() == 1 {
                return Ok(vec![grid(Pattern::lines(&shape, &kept)?)?]);
            }
            if found.shape != shape {
                let want = format!("shape {shape:?}, that of the slices, or [{}] for whole lines", shape[1]);
                return Err(Error::input(text, format!("an array of shape {:?}", found.shape), want));
            }
            Ok(vec![grid(Pattern::new(&shape, kept)?)?])
        }
        "trajectory" => {
            let place = Trajectory { trajectory: None, shape: None, units: None };
            let coordinates = place.read(Path::new(value), &shape)?;
            Ok(vec![Box::new(Radial::completed(shape, coordinates.cycles.view())?)])
        }
        _ => Err(wrong()),
    }
}

/// What the network makes of some of the slices.
struct Looked {
    /// Without the network, and with it.
    ssim: Vec<[f64; 2]>,
    /// The middle one: true, without the network, with it.
    pictures: [Array2<f32>; 3],
}

impl Looked {
    fn mean(&self, which: usize) -> f64 {
        stats::mean(&self.ssim.iter().map(|pair| pair[which]).collect::<Vec<f64>>())
    }
}

fn looked(
    model: &Model,
    slices: &[Array2<f32>],
    acquisition: &dyn Acquisition,
    progress: &dyn Progress,
) -> Result<Looked> {
    let shown = slices.len().min(SHOWN);
    let mut looked = Looked { ssim: Vec::new(), pictures: std::array::from_fn(|_| Array2::zeros((0, 0))) };
    progress.begin("looking at slices", Some(shown as u64));
    for i in 0..shown {
        checkpoint(progress)?;
        let slice = &slices[(2 * i + 1) * slices.len() / (2 * shown)];
        let samples = acquisition.measure(slice.view())?;
        let pictures = [slice.clone(), acquisition.start(&samples)?, model.reconstruct(acquisition, &samples)?];
        let doubles = pictures.each_ref().map(|image| image.mapv(f64::from));
        // Uniform windows fit into the smallest slices.
        let near = |image: &Array2<f64>| ssim(doubles[0].view(), image.view(), 1.0, Window::Uniform);
        looked.ssim.push([near(&doubles[1])?, near(&doubles[2])?]);
        if i == shown / 2 {
            looked.pictures = pictures;
        }
        progress.advance(1);
    }
    Ok(looked)
}

/// The loss epoch by epoch, and one slice.
fn page(args: &TrainReconstruction, curve: &[Epoch], looked: &Looked) -> Result<Page> {
    let lead = "A network that makes images of undersampled k-space.";
    let mut page = Page::new(format!("Reconstruction learnt from {}", args.input), lead);
    page.blocks.push(Block::Facts(vec![
        ("Measured".to_owned(), args.pattern.join(", ")),
        ("SSIM without the network".to_owned(), figure(looked.mean(0))),
        ("SSIM with it".to_owned(), figure(looked.mean(1))),
    ]));
    let points = curve.iter().map(|epoch| [epoch.epoch as f64, epoch.train_loss, epoch.train_loss, epoch.train_loss]);
    let plot = Plot {
        title: "The difference from the true slices".into(),
        x: "epoch".into(),
        y: "mean absolute difference".into(),
        log_x: false,
        log_y: false,
        series: vec![Series { name: "training".into(), points: points.collect() }],
    };
    let caption = "Of slices from 0 to 1, as they are seen in training.".into();
    page.section("Training", [Block::Figure { drawing: svg::curves(&plot)?, caption }]);
    let captions = ["true", "without the network", "with it, and the measured samples put back"];
    let pictures = looked.pictures.iter().zip(captions).map(|(image, caption)| {
        Ok(Block::Picture { png: encode(image.view().insert_axis(Axis(0)))?, caption: caption.to_owned() })
    });
    page.section("A slice that was learnt", pictures.collect::<Result<Vec<_>>>()?);
    Ok(page)
}
