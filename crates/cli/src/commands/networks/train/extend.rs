//! `quadrat train --extend`: a trained model takes on new classes without the rows of the old ones.

use super::Train;
use super::finished::Finished;
use super::network::trainer;
use super::rows::Rows;
use crate::commands::networks::finetune::check_target;
use crate::commands::networks::judgement::Judgement;
use crate::commands::networks::learned::{Source, WEIGHTS, load};
use crate::commands::work;
use crate::output::Reply;
use crate::parameters::with_parameters;
use quadrat::data::Missing;
use quadrat::data::images::{Images, Wanted};
use quadrat::nn::{Optimizer, predict, save_model};
use quadrat::robust::training::{Ovor, build_extension};
use quadrat::{Error, Method, Progress, Result, write_atomic_folder};
use std::path::Path;
use std::time::Instant;

/// Learning rate of the last layer where none is given: it sees few steps, on features that are learnt already.
const RATE: f64 = 0.01;

/// Learns the new classes, judges on rows of these held back, writes the larger model.
pub fn run(args: &Train, model: &Path, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    let ovor = method(args, parameters)?;
    let (network, before, known) = load(model)?;
    let new = new_classes(args, &known, progress)?;
    let rows = Rows::read(args, Some(&known.grown(&new)?), false, progress)?;
    let mut trainer = trainer(args, rows.kind, &network)?;
    trainer.rate = args.rate.unwrap_or(RATE);
    trainer.optimizer = Optimizer::adamw(0.0);
    let started = Instant::now();
    let extended = ovor.extend(&network, &before, &rows.train, &trainer, progress)?;
    let took = started.elapsed().as_secs_f64();
    let judged = rows.held.as_ref().unwrap_or(&rows.train);
    let outputs = predict(&extended.network, &extended.fit.parameters, judged.inputs.view(), &[])?;
    let judgement = Judgement::of(&outputs, &judged.targets, &rows.source)?;
    if let Some(out) = &args.out {
        let notes = crate::output::json(&rows.source)?;
        write_atomic_folder(out, |folder| {
            save_model(&folder.join(WEIGHTS), &extended.network, &extended.fit.parameters, &notes)
        })?;
    }
    for warning in &rows.warnings {
        eprintln!("quadrat: note: {warning}");
    }
    let [t_id, t_ood] = extended.thresholds.map(f64::from);
    let found = [("outliers in an epoch", extended.outliers as f64), ("T_id", t_id), ("T_ood", t_ood)];
    Finished {
        args,
        network: &extended.network,
        fit: &extended.fit,
        trainer: &trainer,
        rate_said: if args.rate.is_some() { "as given" } else { "the usual one" }.to_owned(),
        rows: &rows,
        took,
        found: found.map(|(name, value)| (format!("{}: {name}", Ovor::CARD.slug), value)).into(),
        changed: None,
        judgement,
    }
    .reply()
}

/// The method, which must be the one that extends.
fn method(args: &Train, parameters: &[(String, String)]) -> Result<Ovor> {
    let [text] = args.method.as_slice() else {
        let got = if args.method.is_empty() { "no method".to_owned() } else { args.method.join(" and ") };
        return Err(Error::input("--extend", got, "--method ovor"));
    };
    let (name, own) = with_parameters("--method", text)?;
    let given: Vec<(String, String)> = parameters.iter().cloned().chain(own).collect();
    let card = work::method::<Train>("train", name, &given)?;
    if card.slug != Ovor::CARD.slug {
        return Err(Error::input("--extend", format!("--method {}", card.slug), "--method ovor"));
    }
    build_extension(&given.into_iter().collect())
}

/// The classes of the file, none of which the model may know.
fn new_classes(args: &Train, known: &Source, progress: &dyn Progress) -> Result<Vec<String>> {
    let old = known.class_names()?;
    let (from, names) = match (known, &args.images, &args.input) {
        (Source::Images { shape, .. }, Some(images), _) => {
            let wanted = Wanted { size: Some((shape[1], shape[2])), ..Wanted::default() };
            (images.display().to_string(), Images::read(images, &wanted, progress)?.classes)
        }
        (Source::Table(encoder), _, Some(input)) => {
            check_target(args.target.as_deref(), encoder)?;
            let table = work::read(input, &args.reading)?;
            (table.name().to_owned(), table.categories(&encoder.targets.join(","), Missing::Error)?.names)
        }
        (Source::Images { .. }, ..) => {
            return Err(Error::input("--in", "a table", "a model of images takes --images"));
        }
        (Source::Detector(_), ..) => return Err(Error::input("--extend", "a detector", "a classifier")),
        (Source::Table(_), ..) => return Err(Error::input("--images", "images", "a model of tables takes --in")),
    };
    match names.iter().find(|name| old.contains(name)) {
        Some(name) => {
            let want = format!("new classes alone: the model knows {}", old.join(", "));
            Err(Error::input(format!("{from}, class"), format!("`{name}`"), want))
        }
        None => Ok(names),
    }
}
