//! Detectors: `train --boxes` here, what they say in `said`.

mod figures;
mod said;

pub use said::{evaluate, predict};

use super::learned::{Detected, Source, WEIGHTS};
use super::train::{Kind, Optimiser, Train};
use crate::commands::work;
use crate::output::{Reply, count, figure, seconds};
use crate::parameters::with_parameters;
use figures::{judge, lines, tell};
use ndarray::{Array2, Axis};
use quadrat::data::coco::Annotations;
use quadrat::data::images::{Wanted, listed};
use quadrat::nn::{Detector, Loss, Model, Optimizer, TrainMethod, Trainer, Training, pieces_that_pay, save_model};
use quadrat::robust::detection::detector::{DenseTraining, Scenes, detect, grid, start};
use quadrat::robust::detection::{self, Assignment, DenseLoss, Matcher, Object, estimate_prior};
use quadrat::{Error, Params, Progress, Result, Seed, write_atomic_folder};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Longest gradient, where nobody says another.
const CLIP: f32 = 10.0;
/// Steps that an epoch has at least.
const STEPS: usize = 16;

/// Trains a detector, judges it on the images held back, writes the model.
pub fn train(args: &Train, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    let started = Instant::now();
    let boxes = args.boxes.as_deref().ok_or_else(|| needs_boxes(args.model))?;
    let loss = loss(args, parameters)?;
    let folder = check(args)?;
    let annotations = Annotations::read(boxes)?;
    let (pixels, shape, sizes) = pictures(args, boxes, folder, &annotations, progress)?;
    let objects = objects(boxes, &annotations, &sizes, shape)?;
    let network = network(args, shape, &objects, annotations.categories.len());
    let grid = grid(&network);
    let assign = |objects: &Vec<Object>| grid.assign(objects, Matcher::RETINANET);
    let assignments: Vec<Assignment> = objects.iter().map(assign).collect::<Result<_>>()?;

    let seed = Seed(args.run.seed);
    let (train, held) = split(args, assignments.len(), seed)?;
    let of = |rows: &[usize]| -> Vec<Assignment> { rows.iter().map(|row| assignments[*row].clone()).collect() };
    let learnt = of(&train);
    let prior = estimate_prior(&learnt, network.classes).map_err(|e| named(boxes, e))?;
    let scenes = Scenes::new(&network, pixels.select(Axis(0), &train), &learnt)?;
    let trainer = trainer(args, &network, train.len());
    let mut method = DenseTraining::new(&network, &*loss, &learnt);
    let begin = start(&network, &*loss, &prior, seed.stream("parameters"))?;
    let mut hooks: Vec<&mut dyn TrainMethod> = vec![&mut method];
    let mut training = Training::begin(&trainer, &network, begin, &scenes, &mut hooks)?;
    if let Some(path) = args.checkpoint.as_ref().filter(|path| path.exists()) {
        training.restore(path)?;
    }
    progress.begin("training", Some((trainer.epochs * train.len().div_ceil(trainer.batch)) as u64));
    while !training.is_done() {
        training.epoch(None, progress)?;
        if let Some(path) = &args.checkpoint {
            training.save(path)?;
        }
    }
    let fit = training.finish()?;
    let found = method.found();
    let threshold = loss.threshold(&prior);
    let judged = if held.is_empty() { &train } else { &held };
    let said = detect(&network, &fit.parameters, pixels.select(Axis(0), judged).view(), threshold)?;
    let precision = judge(&annotations, judged, &said, &sizes, shape);

    let images = annotations.images.iter().map(|image| (image.file_name.clone(), image.id)).collect();
    let source = Source::Detector(Detected { categories: annotations.categories.clone(), threshold, images });
    if let Some(out) = &args.out {
        let (model, notes) = (Model::Detector(network.clone()), crate::output::json(&source)?);
        write_atomic_folder(out, |folder| save_model(&folder.join(WEIGHTS), &model, &fit.parameters, &notes))?;
    }
    let mut warnings = Vec::new();
    let missed: usize = assignments.iter().map(|a| a.unmatched).sum();
    if missed > 0 {
        let all = annotations.objects.len();
        warnings.push(format!(
            "{} of {} objects are for no place of the detector's grid (a point every {} pixels): too small, or beside a \
             smaller one; --size makes images larger",
            count(missed),
            count(all),
            grid.stride
        ));
    }
    if held.is_empty() {
        warnings.push("no images are held back: nothing says how good the model is on new ones".to_owned());
    }
    for warning in &warnings {
        eprintln!("quadrat: note: {warning}");
    }
    let size: usize = fit.parameters.iter().map(|p| p.len()).sum();
    let slug = loss.card().slug;
    let mut text = format!(
        "detector with {slug}: {} numbers trained on {} images for {} epochs of {} steps in {} (seed {})\n\
         learning rate {}; foreground: {} of the places, each class begins with {}\non {} images {}:\n",
        count(size),
        count(train.len()),
        trainer.epochs,
        train.len().div_ceil(trainer.batch),
        seconds(started.elapsed().as_secs_f64()),
        args.run.seed,
        trainer.rate,
        figure(prior.foreground),
        figure(loss.start(&prior)),
        count(judged.len()),
        if held.is_empty() { "trained on (none were held back)" } else { "held back" },
    );
    text.push_str(&lines(&precision, &annotations));
    match &args.out {
        Some(path) => text.push_str(&format!("wrote {}\n", path.display())),
        None => text.push_str("the model was not kept: add --out FOLDER\n"),
    }
    let mut value = json!({
        "model": crate::output::json(&network)?,
        "methods": [slug],
        "images": train.len(),
        "held_back": held.len(),
        "parameters": size,
        "foreground": prior.foreground,
        "prior": loss.start(&prior),
        "threshold": threshold,
        "rate": trainer.rate,
        "epochs": fit.curve.len(),
        "found": found.into_iter().map(|(name, value)| (name, json!(value))).collect::<Value>(),
        "curve": crate::output::json(&fit.curve)?,
        "warnings": warnings,
        "seconds": started.elapsed().as_secs_f64(),
        "seed": args.run.seed,
        "out": args.out,
    });
    tell(&mut value, &precision, &annotations);
    Ok(Reply::new(text, value))
}

/// What is wrong where a detector is to learn from nothing.
pub fn needs_boxes(model: Kind) -> Error {
    Error::input("--model", model.name(), "images with --boxes: a file that says where objects are")
}

/// The loss that `--method` names, `sampling-free` where none is named.
fn loss(args: &Train, parameters: &[(String, String)]) -> Result<Box<dyn DenseLoss>> {
    let text = match args.method.as_slice() {
        [] => "sampling-free",
        [one] => one,
        _ => return Err(Error::input("--method", args.method.join(" and "), "one loss for a detector")),
    };
    let (name, own) = with_parameters("--method", text)?;
    let given: Vec<(String, String)> = parameters.iter().cloned().chain(own).collect();
    let card = work::method::<Train>("train", name, &given)?;
    let given: Params = given.into_iter().collect();
    detection::build(card.slug, &given)
}

/// That no option was given that a detector has no use for. Returns the folder of the images.
fn check(args: &Train) -> Result<&Path> {
    if !matches!(args.model, Kind::Detector | Kind::AnchorDetector) {
        return Err(Error::input("--model", args.model.name(), "--boxes trains a detector or an anchor-detector"));
    }
    let idle = [
        (args.unlabelled.is_some(), "--unlabelled"),
        (args.loss.is_some(), "--loss"),
        (!args.class_weights.is_empty(), "--class-weights"),
        (args.balance.is_some(), "--balance"),
        (args.dropout != 0.0, "--dropout"),
        (args.from.is_some(), "--from"),
        (args.held_back.is_some(), "--held-back"),
        (args.suspects.is_some(), "--suspects"),
        (args.report.is_some(), "--report"),
    ];
    if let Some((_, option)) = idle.iter().find(|(given, _)| *given) {
        return Err(Error::input(*option, "it beside --boxes", "a detector has no such option"));
    }
    let folder = args.images.as_deref().filter(|folder| folder.is_dir());
    folder.ok_or_else(|| Error::input("--images", "no folder", "the folder with the images that --boxes lists"))
}

/// What was wrong with annotations, with their file.
fn named(boxes: &Path, error: Error) -> Error {
    match error {
        Error::Input { what, got, want } => Error::input(format!("{}, {what}", boxes.display()), got, want),
        other => other,
    }
}

/// Images (one a row), their shape, and the size that each has in its file.
type Pictures = (Array2<f32>, [usize; 3], Vec<(usize, usize)>);

/// The images that the annotations list, in their order.
fn pictures(
    args: &Train,
    boxes: &Path,
    folder: &Path,
    annotations: &Annotations,
    progress: &dyn Progress,
) -> Result<Pictures> {
    let names: Vec<String> = annotations.images.iter().map(|image| image.file_name.clone()).collect();
    let fail = |at: usize, why: String| {
        let image = &annotations.images[at];
        Error::data(boxes.display().to_string(), None, format!("image {} ({}) {why}", image.id, image.file_name))
    };
    if let Some(at) = names.iter().position(|name| !folder.join(name).is_file()) {
        return Err(fail(at, format!("is not in {}", folder.display())));
    }
    let wanted = Wanted { size: args.size.map(|side| (side, side)), ..Wanted::default() };
    let (pixels, sizes) = listed(folder, &names, &wanted, progress)?;
    for (at, (image, size)) in annotations.images.iter().zip(&sizes).enumerate() {
        let says = |said: Option<f64>, is: usize| said.is_none_or(|said| said == is as f64);
        if !says(image.height, size.0) || !says(image.width, size.1) {
            return Err(fail(at, format!("has {} x {} pixels, not those that stand there", size.1, size.0)));
        }
    }
    let (n, c, h, w) = pixels.dim();
    let flat = pixels.into_shape_with_order((n, c * h * w)).map_err(|e| Error::numeric("images", e.to_string()))?;
    Ok((flat, [c, h, w], sizes))
}

/// The objects of each image, in the pixels that the network sees, cut off at the image's sides.
fn objects(boxes: &Path, all: &Annotations, sizes: &[(usize, usize)], shape: [usize; 3]) -> Result<Vec<Vec<Object>>> {
    let mut objects = vec![Vec::new(); sizes.len()];
    for truth in &all.objects {
        let (image, [left, top, width, height]) = (truth.image as usize, truth.bounds);
        let (tall, wide) = sizes[image];
        let [x, y] = [shape[2] as f64 / wide as f64, shape[1] as f64 / tall as f64];
        let place = |v: f64, side: usize, scale: f64| (v.clamp(0.0, side as f64) * scale) as f32;
        let bounds =
            [place(left, wide, x), place(top, tall, y), place(left + width, wide, x), place(top + height, tall, y)];
        if left + width > wide as f64 + 1.0 || top + height > tall as f64 + 1.0 || detection::area(bounds) <= 0.0 {
            let file = &all.images[image].file_name;
            let why = format!("{file}: the box {:?} lies outside the image of {wide} x {tall} pixels", truth.bounds);
            return Err(Error::data(boxes.display().to_string(), None, why));
        }
        objects[image].push(Object { bounds, class: truth.class, crowd: truth.crowd });
    }
    Ok(objects)
}

/// The detector that the options describe. Anchors have the sizes of a sixth, a half and five sixths of the boxes, in three shapes.
fn network(args: &Train, shape: [usize; 3], objects: &[Vec<Object>], classes: usize) -> Detector {
    let mut sides: Vec<f32> = objects.iter().flatten().map(|object| detection::area(object.bounds).sqrt()).collect();
    sides.sort_by(f32::total_cmp);
    let mut anchors = Vec::new();
    if args.model == Kind::AnchorDetector && !sides.is_empty() {
        for sixth in [1, 3, 5] {
            let side = sides[sides.len() * sixth / 6];
            anchors.extend([2.0 / 3.0, 1.0, 1.5f32].map(|ratio| [side * ratio.sqrt(), side / ratio.sqrt()]));
        }
    }
    let usual = Detector::new(shape, anchors, classes);
    if args.hidden.is_empty() { usual } else { Detector { filters: args.hidden.clone(), ..usual } }
}

/// Images to train on and images held back, each in their order.
fn split(args: &Train, images: usize, seed: Seed) -> Result<(Vec<usize>, Vec<usize>)> {
    if !(0.0..1.0).contains(&args.validation) {
        return Err(Error::input("--validation", args.validation, "0 to below 1"));
    }
    let count = (args.validation * images as f64).round() as usize;
    let mut held = seed.stream("held back").rng(0).sample(images, count.min(images - 1));
    held.sort_unstable();
    Ok(((0..images).filter(|image| held.binary_search(image).is_err()).collect(), held))
}

fn trainer(args: &Train, network: &Detector, images: usize) -> Trainer {
    let (optimizer, rate) = match args.optimizer {
        Optimiser::Adamw => (Optimizer::adamw(args.weight_decay), 2e-3),
        Optimiser::Sgd => (Optimizer::sgd(args.weight_decay), 0.02),
    };
    let batch = args.batch.min(images / STEPS).max(1);
    Trainer {
        epochs: args.epochs,
        batch,
        rate: args.rate.unwrap_or(rate),
        schedule: args.schedule.into(),
        optimizer,
        loss: Loss::Nothing,
        clip: Some(args.clip.unwrap_or(CLIP)),
        average: args.average,
        patience: None,
        pieces: pieces_that_pay(network, batch),
        seed: Seed(args.run.seed),
    }
}
