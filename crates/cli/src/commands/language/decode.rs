//! `quadrat language decode`: points of the unit cube -> sentences.

use super::model::{self, Model};
use super::points::{self, Points};
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, seconds};
use crate::parameters::choice;
use crate::reading::Reading;
use clap::Args;
use quadrat::language::ariel::{AriEl, Decoded, PointSet, VolumeCoding};
use quadrat::{Error, Progress, Result, Seed, checkpoint, write_atomic};
use rayon::prelude::*;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct DecodePoints {
    /// The model: a folder or a .gguf file
    #[arg(long, value_name = "FOLDER|FILE")]
    pub model: PathBuf,
    /// Points: what `language encode` wrote, or a table of your own, a point a row, a numeric column a dimension
    #[arg(long, value_name = "FILE", required_unless_present = "draw", conflicts_with = "draw")]
    pub points: Option<String>,
    /// Draw points in place of reading them: each sentence is then a draw from the model
    #[arg(long, value_name = "NAME", value_parser = choice::<PointSet>(), requires = "rows")]
    pub draw: Option<PointSet>,
    /// With --draw: how many
    #[arg(long, value_name = "N", requires = "draw")]
    pub rows: Option<usize>,
    /// With --draw: dimensions of a point [default: 16; 1 for a lattice]
    #[arg(long, value_name = "N", requires = "draw")]
    pub dims: Option<usize>,
    /// Tokens after which a sentence that has not ended is cut off
    #[arg(long, value_name = "N", default_value_t = VolumeCoding::default().longest)]
    pub longest: usize,
    /// Output: a line a sentence (.txt), or with log-probabilities (.jsonl)
    #[arg(long, value_name = "FILE.txt|FILE.jsonl")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// Decodes points and writes their sentences.
pub fn run(args: &DecodePoints, progress: &dyn Progress) -> Result<Reply> {
    check_place(&args.out)?;
    let ending = args.out.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !["txt", "jsonl"].contains(&ending.as_str()) {
        return Err(Error::input("--out", args.out.display(), "a name that ends in .txt or .jsonl"));
    }
    if args.longest == 0 {
        return Err(Error::input("--longest", 0, "at least 1"));
    }
    let model = model::open(&args.model)?;
    let started = Instant::now();
    let coder = |dims| AriEl::new(model.model(), VolumeCoding { dims, longest: args.longest }).after(model.begin());
    let decoded = match (&args.points, args.draw) {
        (Some(file), _) => {
            let points = points::read(file, &args.reading)?;
            decode(&coder(points.coordinates.ncols()), &points, file, progress)?
        }
        (None, kind) => {
            let kind = kind.unwrap_or(PointSet::Independent);
            let usual = if kind == PointSet::Lattice { 1 } else { VolumeCoding::default().dims };
            let coder = coder(args.dims.unwrap_or(usual));
            coder.sample(kind, args.rows.unwrap_or(0), Seed(args.run.seed), progress)?
        }
    };
    let took = started.elapsed().as_secs_f64();
    write(args, &model, &decoded, ending == "jsonl")?;
    let ended = decoded.iter().filter(|decoded| decoded.ended).count();
    let tokens: usize = decoded.iter().map(|decoded| decoded.tokens.len()).sum();
    let text = format!(
        "{} points decoded in {}, {} tokens a sentence; {} ended, the others were cut off\nwrote {}\n",
        count(decoded.len()),
        seconds(took),
        figure(tokens as f64 / decoded.len().max(1) as f64),
        count(ended),
        args.out.display()
    );
    let value = json!({ "model": args.model, "points": decoded.len(), "tokens": tokens, "ended": ended, "seconds": took, "out": args.out });
    Ok(Reply::new(text, value))
}

fn decode(coder: &AriEl, points: &Points, file: &str, progress: &dyn Progress) -> Result<Vec<Decoded>> {
    if points.digest.is_some_and(|digest| coder.digest().is_ok_and(|own| points::short(own) != digest)) {
        let want = "the model that encoded them, on a machine with the same arithmetic";
        return Err(Error::input(file, "points of another model, prompt or number of dimensions", want));
    }
    progress.begin("decoding", Some(points.coordinates.nrows() as u64));
    let one = |row: usize| {
        checkpoint(progress)?;
        let decoded = match &points.bits {
            Some(bits) => coder.decode_exact(&bits[row])?,
            None => coder.decode_point(&points.coordinates.row(row).to_vec())?,
        };
        progress.advance(1);
        Ok(decoded)
    };
    (0..points.coordinates.nrows()).into_par_iter().map(one).collect()
}

fn write(args: &DecodePoints, model: &Model, decoded: &[Decoded], rows: bool) -> Result<()> {
    let line = |decoded: &Decoded| {
        let said = &decoded.tokens[..decoded.tokens.len() - usize::from(decoded.ended)];
        let text = model.decode(said);
        match rows {
            true => {
                json!({ "text": text, "ended": decoded.ended, "tokens": decoded.tokens.len(), "log_probability": decoded.log_volume }).to_string()
            }
            false => text.replace(['\n', '\r'], " "),
        }
    };
    write_atomic(&args.out, |out| {
        decoded.iter().try_for_each(|decoded| writeln!(out, "{}", line(decoded))).map_err(|e| Error::io(&args.out, e))
    })
}
