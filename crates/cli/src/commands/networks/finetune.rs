//! Going on from a model (`quadrat train --from`), and `quadrat apply`: the small changes of a fine-tuning on and off.

use super::learned::{Source, WEIGHTS, load};
use crate::output::{Reply, check_place, count};
use clap::Args;
use quadrat::nn::{Delta, Model, Parameters, TrainMethod, load_model, save_model};
use quadrat::{Encoder, Error, Result, check_vacant, write_atomic_folder};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Options of `quadrat apply`.
#[derive(Args, Debug)]
pub struct Apply {
    /// Folder of the model that was fine-tuned, or of one with the delta on it
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// File that `quadrat train --from MODEL --delta FILE` wrote
    #[arg(long, value_name = "FILE")]
    pub delta: PathBuf,
    /// Take the delta off: the model is then what it was, bit for bit
    #[arg(long)]
    pub remove: bool,
    /// Folder for the model that results
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Puts a delta on a model or takes it off.
pub fn apply(args: &Apply) -> Result<Reply> {
    check_vacant(&args.out)?;
    let (network, mut parameters, notes) = load_model(&args.model.join(WEIGHTS))?;
    let delta = Delta::load(&args.delta)?;
    let on = if args.remove { Delta::remove } else { Delta::apply };
    on(&delta, &mut parameters)?;
    write_atomic_folder(&args.out, |folder| save_model(&folder.join(WEIGHTS), &network, &parameters, &notes))?;
    let what = if args.remove { "took off" } else { "put on" };
    let text = format!(
        "{what} {} numbers of {} ({})\nwrote {}\n",
        count(delta.len()),
        args.delta.display(),
        delta.method(),
        args.out.display()
    );
    let value = json!({
        "method": delta.method(),
        "changed": delta.len(),
        "removed": args.remove,
        "fingerprint": format!("{:016x}", parameters.fingerprint()),
        "out": args.out,
    });
    Ok(Reply::new(text, value))
}

/// The model to go on from, if there is one, once it is clear that the methods fit.
pub fn base(
    from: Option<&Path>,
    delta: Option<&Path>,
    methods: &[Box<dyn TrainMethod>],
) -> Result<Option<(Model, Parameters, Source)>> {
    let tuning: Vec<&str> = methods.iter().filter(|m| m.fine_tunes()).map(|m| m.name()).collect();
    if let (Some(name), None) = (tuning.first(), from) {
        let want =
            "it fine-tunes a trained model and would start from random weights: name the model with --from FOLDER";
        return Err(Error::input("--method", format!("`{name}`"), want));
    }
    if tuning.len() > 1 {
        return Err(Error::input("--method", tuning.join(" and "), "one way to fine-tune at a time"));
    }
    if let Some(delta) = delta {
        check_place(delta)?;
        if tuning.is_empty() {
            let want =
                "only --method sara and --method lora train a small change; without them keep the model with --out";
            return Err(Error::input("--delta", delta.display(), want));
        }
    }
    from.map(load).transpose()
}

/// That the target named is what the model predicts.
pub fn check_target(target: Option<&str>, encoder: &Encoder) -> Result<()> {
    let known = encoder.targets.join(",");
    match target.filter(|target| *target != known) {
        None => Ok(()),
        Some(target) => Err(Error::input("--target", format!("`{target}`"), format!("the model predicts `{known}`"))),
    }
}

/// Writes what the fine-tuning changed, if that is asked for, and returns how many numbers it holds.
pub fn keep_delta(
    methods: &[Box<dyn TrainMethod>],
    base: &Parameters,
    tuned: &Parameters,
    path: Option<&Path>,
) -> Result<Option<usize>> {
    let Some(method) = methods.iter().find(|method| method.fine_tunes()) else { return Ok(None) };
    let Some(delta) = method.delta(tuned)? else { return Ok(None) };
    if let Some(path) = path {
        // Another method may have changed more than the one that fine-tunes.
        if delta.check_base(base).is_err() {
            let want = "the methods together changed other weights too: keep the model with --out, without --delta";
            return Err(Error::input("--delta", format!("a delta of {}", method.name()), want));
        }
        delta.save(path)?;
    }
    Ok(Some(delta.len()))
}
