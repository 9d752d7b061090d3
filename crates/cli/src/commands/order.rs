//! `quadrat order`: a stream of row numbers for an external trainer.

use super::{roles, work};
use crate::args::Run;
use crate::output::{Reply, check_place, count, json, print, write_json};
use crate::reading::Reading;
use clap::Args;
use quadrat::data::{Table, npy_head};
use quadrat::select::{AskTell, RoundDraw, Rounds, RoundsState, Rs2, shares};
use quadrat::{
    Choice as _, ColumnUse, Error, Part, Progress, Result, Seed, Settings, Silent, Wish, checkpoint, write_atomic,
};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct Order {
    /// Rows to draw from
    #[arg(long, value_name = "N", required_unless_present = "input", conflicts_with = "input")]
    pub rows: Option<usize>,
    /// Input whose rows to draw from, as for `select`
    #[arg(long = "in", value_name = "FILE")]
    pub input: Option<String>,
    #[command(flatten)]
    pub reading: Reading,
    /// Column of the input with each row's class, for draws that keep the classes' shares
    #[arg(long, value_name = "COLUMN", requires = "input")]
    pub target: Option<String>,
    /// Column of the input with each row's weight, for draws in proportion to it
    #[arg(long, value_name = "COLUMN", requires = "input")]
    pub score: Option<String>,
    /// The method; `quadrat list` shows them all
    #[arg(long, default_value = "rs2")]
    pub method: String,
    /// Rows of an epoch: a number, or a share of the rows such as 10%
    #[arg(long, value_name = "ROWS|SHARE%")]
    pub fraction: String,
    /// Epochs, each of that many rows
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub epochs: usize,
    /// Where to: .npy (a matrix of unsigned integers, one row an epoch) or .txt (one row number a line)
    /// [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Keep the stream's state in this file; if it exists, go on from there
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// How row numbers are written.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Npy,
    Text,
}

/// Draws the epochs and writes their rows.
pub fn run(args: &Order, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    let card = work::method::<Order>("order", &args.method, parameters)?;
    let params = work::params(parameters);
    params.check_names(card)?;
    let Rs2 { draw } = Rs2::from_params(&params)?;
    let form = form(args.out.as_deref())?;
    for path in [&args.out, &args.state].into_iter().flatten() {
        check_place(path)?;
    }
    if args.epochs == 0 {
        return Err(Error::input("--epochs", 0, "use at least 1"));
    }
    let (mut rounds, file) = stream(args, draw)?;
    let own = |row: u32| file.as_ref().map_or(row, |(file, _)| file.row(row as usize) as u32);
    let rows = rounds.state().rows;
    let m = work::budget("--fraction", &args.fraction, rows)?;
    if let Some(path) = args.state.as_deref().filter(|path| path.exists()) {
        rounds = resumed(path, rounds.state())?;
    }
    let first = rounds.state().round;

    progress.begin("drawing rows", Some(args.epochs as u64));
    let mut draw_all = |each: &mut dyn FnMut(&[u32]) -> Result<()>| {
        for _ in 0..args.epochs {
            checkpoint(progress)?;
            each(rounds.next_round(m)?)?;
            progress.advance(1);
        }
        Ok(())
    };
    match &args.out {
        Some(path) => write_atomic(path, |out| {
            let failed = |e| Error::io(path, e);
            if form == Form::Npy {
                out.write_all(&npy_head(args.epochs, m)).map_err(failed)?;
            }
            draw_all(&mut |rows| rows.iter().try_for_each(|row| write_row(out, own(*row), form)).map_err(failed))
        })?,
        None if args.run.json => draw_all(&mut |_| Ok(()))?,
        None => draw_all(&mut |rows| {
            let lines: Vec<String> = rows.iter().map(|row| own(*row).to_string()).collect();
            print(&lines.join("\n"));
            Ok(())
        })?,
    }
    if let Some(path) = &args.state {
        write_json(path, &json(rounds.state())?)?;
    }
    let mut value = json!({
        "method": card.slug,
        "rows": rows,
        "epochs": args.epochs,
        "rows_per_epoch": m,
        "first_epoch": first,
        "seed": rounds.state().seed,
        "out": args.out,
        "state": args.state,
    });
    let mut text = match &args.out {
        Some(path) => format!(
            "{}: {} epochs of {} of {} rows (seed {})\nwrote {}\n",
            card.slug,
            count(args.epochs),
            count(m),
            count(rows),
            rounds.state().seed,
            path.display()
        ),
        None => String::new(),
    };
    if let Some((table, uses)) = &file {
        let mut said = String::new();
        roles::tell(table, uses, &mut said, &mut value);
        // Row numbers on standard output are for a program to read.
        match args.out {
            Some(_) => text.push_str(&said),
            None if !args.run.json => eprint!("{said}"),
            None => {}
        }
    }
    Ok(Reply::new(text, value))
}

fn form(out: Option<&Path>) -> Result<Form> {
    let Some(path) = out else { return Ok(Form::Text) };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("npy") => Ok(Form::Npy),
        Some("txt") => Ok(Form::Text),
        _ => Err(Error::input("--out", path.display(), "row numbers are written as .npy or .txt")),
    }
}

fn write_row(out: &mut impl Write, row: u32, form: Form) -> std::io::Result<()> {
    match form {
        Form::Npy => out.write_all(&row.to_le_bytes()),
        Form::Text => writeln!(out, "{row}"),
    }
}

/// A new stream over the rows, with the classes or weights that the draw needs; and the file that they are of.
fn stream(args: &Order, draw: RoundDraw) -> Result<(Rounds, Option<(Table, ColumnUse)>)> {
    let seed = Seed(args.run.seed);
    let Some(input) = &args.input else {
        return Ok((Rounds::new(args.rows.unwrap_or(0), draw, None, seed)?, None));
    };
    let table = work::read(input, &args.reading)?;
    let weighted = draw == RoundDraw::Weighted;
    if weighted && args.score.is_none() {
        return Err(Error::input("--score", "nothing", "name the column with each row's weight"));
    }
    // The other column has no effect on this draw.
    let parts = [(&args.score, Part::Score, weighted), (&args.target, Part::Target, !weighted)];
    let parts = parts.into_iter().filter_map(|(name, part, read)| Some((name.as_deref()?, part)).filter(|_| read));
    let wish = Wish { parts: parts.collect(), unread: Some("not read by this draw"), ..Wish::default() };
    let mut uses = ColumnUse::choose(&table, &wish)?;
    let table = uses.settle(&table, args.reading.on_missing()?)?;
    let rounds = if weighted {
        let scores: Vec<f64> = uses.numbers(&[&table], Part::Score, &Silent)?.into_iter().flatten().collect();
        Rounds::weighted(&shares(&scores)?, seed)?
    } else {
        let classes = args.target.as_ref().map(|target| uses.categories(&table, target)).transpose()?;
        if let (Some(target), Some(classes)) = (&args.target, &classes) {
            uses.look_at_classes(target, classes);
        }
        Rounds::new(table.rows(), draw, classes.as_ref().map(|classes| classes.codes.as_slice()), seed)?
    };
    Ok((rounds, Some((table, uses))))
}

/// The stream that was saved, if it is one over the same rows.
fn resumed(path: &Path, fresh: &RoundsState) -> Result<Rounds> {
    let what = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let saved: RoundsState = serde_json::from_slice(&bytes).map_err(|e| Error::data(&what, None, e.to_string()))?;
    let same = saved.rows == fresh.rows
        && saved.draw == fresh.draw
        && saved.classes == fresh.classes
        && saved.probabilities == fresh.probabilities
        && saved.seed == fresh.seed;
    if !same {
        let got = format!("a stream over {} rows, draw {}, seed {}", saved.rows, saved.draw.name(), saved.seed);
        return Err(Error::input(what, got, "repeat that command to go on with it, or name another --state"));
    }
    Rounds::resume(saved)
}
