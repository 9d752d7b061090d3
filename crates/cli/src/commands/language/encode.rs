//! `quadrat language encode`: sentences -> points of the unit cube.

use super::{model, points};
use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, check_place, count, figure, seconds};
use crate::reading::Reading;
use clap::Args;
use quadrat::language::ariel::{AriEl, ExactBox, VolumeCoding};
use quadrat::language::coder::BitString;
use quadrat::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct EncodeSentences {
    /// The model: a folder or a .gguf file
    #[arg(long, value_name = "FOLDER|FILE")]
    pub model: PathBuf,
    /// Sentences: a line each of a plain file (.txt), or a row each of a file as for `select`
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Of rows: the column of sentences
    #[arg(long, value_name = "COLUMN", default_value = "text")]
    pub text: String,
    /// Dimensions of a point
    #[arg(long, value_name = "N", default_value_t = VolumeCoding::default().dims)]
    pub dims: usize,
    /// Output: the arrays X (points), bits, digits and digest
    #[arg(long, value_name = "FILE.npz")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// Encodes the sentences and writes their points.
pub fn run(args: &EncodeSentences, progress: &dyn Progress) -> Result<Reply> {
    check_place(&args.out)?;
    if args.out.extension().is_none_or(|ending| ending != "npz") {
        return Err(Error::input(
            "--out",
            args.out.display(),
            "a name that ends in .npz: a point comes with its digits",
        ));
    }
    let model = model::open(&args.model)?;
    let sentences = sentences(&args.input, &args.text, &args.reading)?;
    let coding = VolumeCoding { dims: args.dims, ..VolumeCoding::default() };
    let coder = AriEl::new(model.model(), coding).after(model.begin());
    let digest = coder.digest()?;
    let started = Instant::now();
    progress.begin("encoding", Some(sentences.len() as u64));
    let one = |(row, sentence): (usize, &String)| -> Result<ExactBox> {
        checkpoint(progress)?;
        let mut tokens = model.encode(sentence)?;
        tokens.extend(model.model().ends().first());
        let own = coder.encode_exact(&tokens).map_err(|error| of_row(error, row))?;
        progress.advance(1);
        Ok(own)
    };
    let boxes = sentences.par_iter().enumerate().map(one).collect::<Result<Vec<_>>>()?;
    let took = started.elapsed().as_secs_f64();
    points::write(&args.out, &boxes, args.dims, digest)?;
    let bits: usize = boxes.iter().flat_map(|own| &own.bits).map(BitString::len).sum();
    let bytes: usize = sentences.iter().map(String::len).sum();
    let fit = boxes.iter().filter(|own| own.centre().1).count();
    let mut text = format!(
        "{} sentences as points of {} dimensions in {}: {} bits a sentence, {} a byte of text\n",
        count(boxes.len()),
        args.dims,
        seconds(took),
        figure(bits as f64 / boxes.len() as f64),
        figure(bits as f64 / bytes as f64)
    );
    if fit < boxes.len() {
        text.push_str(&format!(
            "{} of them need more digits than a coordinate of X has; `language decode` reads them from the array digits\n",
            count(boxes.len() - fit)
        ));
    }
    if model.model().ends().is_empty() {
        text.push_str("the model has no token that ends texts: each point stands for all texts that begin so\n");
    }
    text.push_str(&format!("wrote {}\n", args.out.display()));
    let value = json!({
        "model": args.model,
        "sentences": boxes.len(),
        "dims": args.dims,
        "bits": bits,
        "bits_per_byte": bits as f64 / bytes as f64,
        "fit_double_precision": fit,
        "seconds": took,
        "out": args.out,
    });
    Ok(Reply::new(text, value))
}

/// Which sentence an error is about.
fn of_row(error: Error, row: usize) -> Error {
    match error {
        Error::Input { what, got, want } => Error::Input { what: format!("sentence {}, {what}", row + 1), got, want },
        other => other,
    }
}

/// The lines of a plain file that are not empty, or a column of rows.
fn sentences(file: &str, column: &str, reading: &Reading) -> Result<Vec<String>> {
    let is_plain = !file.starts_with("builtin:") && Path::new(file).extension().is_some_and(|ending| ending == "txt");
    let sentences: Vec<String> = if is_plain {
        let text = work::text(Path::new(file))?;
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    } else {
        work::read(file, reading)?.paragraphs(&[column])?
    };
    if sentences.is_empty() {
        return Err(Error::input(file, "no sentence", "at least one"));
    }
    Ok(sentences)
}
