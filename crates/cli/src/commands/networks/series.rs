//! Series with holes: `train`, `predict` and `eval` with `--series`.

use super::judgement::Judgement;
use super::learned::WEIGHTS;
use super::predict::{Evaluate, Predict};
use super::train::{Train, network};
use crate::commands::work;
use crate::output::{Reply, check_out, check_place, count, figure, seconds};
use crate::reading::Reading;
use crate::report::{Block, Page};
use ndarray::Array2;
use quadrat::data::series::SeriesSet;
use quadrat::data::{Table, Values, write_selection};
use quadrat::nn::{Parameters, Samples, Trainer, initialise, load_parameters, save_parameters};
use quadrat::numeric::{calibration, splits};
use quadrat::robust::series::{Model, Scale, Series, Shape, build};
use quadrat::{Error, Params, Progress, Result, Seed, TargetKind, check_vacant, write_atomic_folder};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// What a model's folder says beside the weights.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    pub series: Model,
    pub scale: Scale,
    pub channels: Vec<String>,
    pub classes: Vec<String>,
    /// Columns of a table: series, time, class.
    columns: Option<[String; 3]>,
}

/// A model of series, from its folder.
pub fn load(folder: &Path) -> Result<(Kept, Parameters)> {
    let path = folder.join(WEIGHTS);
    let foreign = |_| Error::input("--model", folder.display(), "a model that was trained with --series");
    let kept = |notes: &serde_json::Value| serde_json::from_value::<Kept>(notes.clone()).map_err(foreign);
    let (parameters, notes) = load_parameters(&path, |notes| initialise(&kept(notes)?.series, Seed(0)))?;
    Ok((kept(&notes)?, parameters))
}

/// The series of a file: `.ts`, also compressed, or a table, of which `columns` names series, time and, for those who need it, class.
fn read(
    file: &str,
    columns: Option<[&str; 2]>,
    label: Option<&str>,
    channels: &[String],
    reading: &Reading,
) -> Result<SeriesSet> {
    let plain = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    let set = if plain.to_ascii_lowercase().ends_with(".ts") {
        SeriesSet::open_ts(Path::new(file))?
    } else {
        let want = "--series-id COLUMN and --time COLUMN beside a table; a file of series alone ends in .ts";
        let [id, time] = columns.ok_or_else(|| Error::input("--series", format!("`{file}`"), want))?;
        SeriesSet::from_table(&work::read(file, reading)?, id, time, label, channels)?
    };
    set.notes.iter().for_each(|note| eprintln!("quadrat: note: {file}: {note}"));
    Ok(set)
}

fn views(set: &SeriesSet) -> Vec<Series<'_>> {
    set.series.iter().map(|one| Series { times: &one.times, values: one.values.view() }).collect()
}

/// The class of every series.
fn labels(set: &SeriesSet) -> Result<Vec<u32>> {
    let without = |name: &str| {
        let want = "a class for each: @classLabel in a .ts file, --target COLUMN beside a table";
        Error::input(format!("{}, series {name}", set.name), "no class", want)
    };
    set.series.iter().map(|one| one.class.ok_or_else(|| without(&one.name))).collect()
}

impl Kept {
    /// Series for this model, which is made as long as they are; with `labelled` they must have classes.
    pub fn see(&mut self, file: &str, labelled: bool, reading: &Reading) -> Result<(SeriesSet, Samples)> {
        let columns = self.columns.as_ref().map(|[id, time, _]| [id.as_str(), time.as_str()]);
        let label = self.columns.as_ref().map(|[.., label]| label.as_str()).filter(|_| labelled);
        let set = read(file, columns, label, &self.channels, reading)?;
        if set.channels.len() != self.channels.len() {
            let want = format!("{}, as the model was trained on", self.channels.len());
            return Err(Error::input("--series", format!("{} channels", set.channels.len()), want));
        }
        self.series.shape.length = set.longest();
        if !labelled {
            let samples = self.scale.samples(&views(&set), None)?;
            return Ok((set, samples));
        }
        let set = set.with_classes(&self.classes)?;
        let samples = self.scale.samples(&views(&set), Some((&labels(&set)?, self.classes.len())))?;
        Ok((set, samples))
    }
}

/// Trains a model of series, judges it on those held back, writes it.
pub fn train(args: &Train, file: &str, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    if let Some(out) = &args.out {
        check_vacant(out)?;
    }
    let [name] = &args.method[..] else {
        let want = "one of supnotmiwae, gru-d, forward-fill-mask, forward-fill, mean-fill, zero-fill";
        return Err(Error::input("--method", format!("{} methods", args.method.len()), want));
    };
    let card = work::method::<Train>("train", name, parameters)?;
    let method = build(card.slug, &parameters.iter().cloned().collect::<Params>())?;
    let columns = args.series_id.as_deref().zip(args.time.as_deref()).map(|(id, time)| [id, time]);
    let features: Vec<String> =
        args.features.iter().flat_map(|text| text.split(',')).map(|text| text.trim().to_owned()).collect();
    let set = read(file, columns, args.target.as_deref(), &features, &args.reading)?;
    let labels = labels(&set)?;
    let (seed, classes) = (Seed(args.run.seed), set.classes.len());
    let split = match args.validation {
        0.0 => None,
        share => Some(splits::stratified(&labels, share, seed.stream("validation"))?),
    };
    let all: Vec<usize> = (0..labels.len()).collect();
    let (learnt, held) = split.as_ref().map_or((&all[..], None), |split| (&split.train[..], Some(&split.test[..])));
    let views = views(&set);
    let some = |rows: &[usize]| rows.iter().map(|row| views[*row]).collect::<Vec<_>>();
    let scale = Scale::fit(&some(learnt), &set.channels)?;
    let samples = scale.samples(&views, Some((&labels, classes)))?;
    let part = |rows: &[usize]| samples.select(&rows.iter().map(|row| *row as u32).collect::<Vec<_>>());
    let (train, held) = (part(learnt), held.map(part));
    let model = Model::new(method, Shape::of(&scale, classes, set.longest()));
    let trainer = Trainer { seed: seed.stream("training"), ..network::trainer(args, TargetKind::Classes, &model)? };
    let started = Instant::now();
    let fit = model.fit(&trainer, &train, held.as_ref(), progress)?;
    let took = started.elapsed().as_secs_f64();
    let judged = held.as_ref().unwrap_or(&train);
    let p = model.probabilities(&fit.parameters, judged, seed)?;
    let judgement = judge(&p, judged, &set.classes)?;
    let paths = model.bound_and_draws(&fit.parameters, judged, seed)?;
    let kept = Kept {
        series: model,
        scale,
        channels: set.channels.clone(),
        classes: set.classes.clone(),
        columns: columns.map(|[id, time]| [id, time, args.target.as_deref().unwrap_or_default()].map(str::to_owned)),
    };
    if let Some(out) = &args.out {
        let notes = crate::output::json(&kept)?;
        write_atomic_folder(out, |folder| save_parameters(&folder.join(WEIGHTS), &fit.parameters, &notes))?;
    }
    if held.is_none() {
        eprintln!("quadrat: note: no series are held back: nothing says how good the model is on new ones");
    }
    let best = fit.best.map_or(String::new(), |epoch| format!(", the best was epoch {epoch}"));
    let mut text = format!(
        "{} trained on {} series of {} channels and at most {} times, {} of the values missing; {} held back\n\
         {} epochs in {}{best} (seed {})\n{}",
        card.slug,
        count(train.len()),
        set.channels.len(),
        set.longest(),
        percent(set.share_missing()),
        count(held.as_ref().map_or(0, Samples::len)),
        fit.curve.len(),
        seconds(took),
        args.run.seed,
        judgement.text()
    );
    let mut value = json!({
        "method": card.slug,
        "series": train.len(),
        "held_back": held.as_ref().map_or(0, Samples::len),
        "channels": set.channels,
        "classes_known": set.classes,
        "missing": set.share_missing(),
        "epochs": fit.curve.len(),
        "best_epoch": fit.best,
        "seconds": took,
        "seed": args.run.seed,
        "figures": judgement.json(),
        "out": args.out,
    });
    judgement.add_details(&mut value);
    tell_paths(paths, &mut text, &mut value);
    match &args.out {
        Some(out) => text.push_str(&format!("wrote {}\n", out.display())),
        None => text.push_str("the model was not kept: add --out FOLDER\n"),
    }
    Ok(Reply::new(text, value))
}

fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// How good probabilities are.
fn judge(p: &Array2<f32>, samples: &Samples, classes: &[String]) -> Result<Judgement> {
    let scores = p.mapv(|p| p.max(f32::MIN_POSITIVE).ln());
    Judgement::of_classes(&scores, samples.labels().unwrap_or_default(), classes)
}

/// Adds the bound and how many of the latent paths count, of a model that has some.
fn tell_paths(paths: Option<[f64; 2]>, text: &mut String, value: &mut serde_json::Value) {
    let Some([bound, draws]) = paths else { return };
    let said =
        format!("bound {} nats a series; of the latent paths {} count in the mean\n", figure(bound), figure(draws));
    text.push_str(&said);
    value["bound"] = json!(bound);
    value["effective_draws"] = json!(draws);
}

/// Writes the classes of series.
pub fn predict(args: &Predict, file: &str) -> Result<Reply> {
    check_out(&args.out)?;
    let (mut kept, parameters) = load(args.what.model()?)?;
    let (set, samples) = kept.see(file, false, &args.what.reading)?;
    let p = kept.series.probabilities(&parameters, &samples, Seed(args.run.seed))?;
    let codes = calibration::likeliest(p.view());
    let mut columns = vec![("predicted".to_owned(), Values::Category { codes, names: kept.classes.clone() })];
    for (class, p) in kept.classes.iter().zip(p.columns()) {
        columns.push((format!("p_{class}"), Values::Float(p.iter().map(|p| f64::from(*p)).collect())));
    }
    let quoted = |one: &quadrat::data::series::Series| format!("\"{}\"\n", one.name.replace('"', "\"\""));
    let names = format!("series\n{}", set.series.iter().map(quoted).collect::<String>());
    let table = Table::from_bytes("series.csv", names.into_bytes(), &[])?;
    write_selection(&table, &(0..samples.len()).collect::<Vec<_>>(), &columns, &args.out)?;
    let text = format!("predicted {} series\nwrote {}\n", count(samples.len()), args.out.display());
    Ok(Reply::new(text, json!({ "series": samples.len(), "out": args.out })))
}

/// Compares what a model says of series with their classes.
pub fn evaluate(args: &Evaluate, file: &str) -> Result<Reply> {
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    let folder = args.what.model()?;
    let (mut kept, parameters) = load(folder)?;
    let (_, samples) = kept.see(file, true, &args.what.reading)?;
    let seed = Seed(args.run.seed);
    let p = kept.series.probabilities(&parameters, &samples, seed)?;
    let judgement = judge(&p, &samples, &kept.classes)?;
    let mut text = format!("{} on {} series:\n{}", folder.display(), count(samples.len()), judgement.text());
    let mut value = json!({ "series": samples.len(), "figures": judgement.json(), "report": args.report });
    judgement.add_details(&mut value);
    tell_paths(kept.series.bound_and_draws(&parameters, &samples, seed)?, &mut text, &mut value);
    if let Some(path) = &args.report {
        let lead = format!("{} series that the model judged", count(samples.len()));
        let mut page = Page::new(format!("How good {} is", folder.display()), lead);
        let figures = judgement.figures.iter().map(|(name, v)| (name.clone(), figure(*v)));
        page.section("Figures", [Block::Facts(figures.collect())]);
        for (heading, blocks) in judgement.blocks {
            page.section(heading, blocks);
        }
        page.finish(path, None)?;
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    Ok(Reply::new(text, value))
}
