//! `quadrat retrieve embed`: texts -> a vector each, by a model.

use super::super::{encoder, roles, work};
use crate::args::Run;
use crate::output::{Reply, check_place, count, seconds, write_json};
use crate::reading::Reading;
use clap::Args;
use quadrat::data::write_matrix;
use quadrat::nn::text::Vectors;
use quadrat::select::Needs;
use quadrat::{Error, PoolColumns, Progress, Result, checkpoint};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Embed {
    /// Input: a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Text columns: joined, one paragraph each
    #[arg(long, value_name = "A,B,C", required = true)]
    pub text: Vec<String>,
    /// The sentence encoder: a folder as sentence-transformers or transformers writes it
    #[arg(long, value_name = "FOLDER")]
    pub encoder: PathBuf,
    /// Output: a matrix in single precision with a row for each row of the input
    #[arg(long, value_name = "FILE.npy")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// Reads texts, encodes them, writes vectors.
pub fn run(args: &Embed, progress: &dyn Progress) -> Result<Reply> {
    if args.out.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("npy")) {
        return Err(Error::input("--out", args.out.display(), "name a file that ends in .npy"));
    }
    check_place(&args.out)?;
    let encoder = encoder::open(&args.encoder)?;
    let table = work::read(&args.input, &args.reading)?;
    let columns = PoolColumns { text: work::listed("--text", &args.text, &table)?, ..PoolColumns::default() };
    let mut uses = columns.choose(&table, Needs::default())?;
    let table = uses.settle(&table, args.reading.on_missing()?)?;
    let texts = table.paragraphs(&columns.text)?;
    let started = Instant::now();
    let Vectors { rows, tokens, cut, cached, notes } = encoder.vectors(&texts, progress)?;
    let took = started.elapsed().as_secs_f64();
    checkpoint(progress)?;
    write_matrix(&args.out, rows.view())?;
    // An index of these vectors asks its questions with the same encoder.
    let model = std::path::absolute(&args.encoder).map_err(|e| Error::io(&args.encoder, e))?;
    let mut beside = args.out.clone().into_os_string();
    beside.push(".json");
    write_json(Path::new(&beside), &json!({ "encoder": model, "input": table.name(), "text": columns.text }))?;
    uses.warnings.extend(notes);
    let speed = tokens as f64 / took.max(1e-9);
    let mut text = format!(
        "{} texts of {} to {} numbers each in {}: {} tokens, {} a second; {} were there from an earlier time\n",
        count(rows.nrows()),
        table.name(),
        rows.ncols(),
        seconds(took),
        count(tokens as usize),
        count(speed as usize),
        count(cached)
    );
    let mut value = json!({
        "input": table.name(),
        "rows": rows.nrows(),
        "dims": rows.ncols(),
        "tokens": tokens,
        "tokens_per_second": speed,
        "seconds": took,
        "truncated": cut,
        "cached": cached,
        "longest": encoder.longest(),
        "out": args.out,
    });
    roles::tell(&table, &uses, &mut text, &mut value);
    text.push_str(&format!("wrote {}\n", args.out.display()));
    Ok(Reply::new(text, value))
}
