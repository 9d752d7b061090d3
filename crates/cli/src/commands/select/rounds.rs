//! Choosing in rounds of the user's own: ask for rows, train, come back with their scores.

use super::super::work;
use super::Select;
use crate::output::json;
use quadrat::data::{Missing, Table};
use quadrat::select::{AskTell, DiversifyConquer, IterativeRefine, Pool, RefineState, Selection};
use quadrat::{Error, Progress, Result, Seed, Settings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// A run in a file: what it depends on, and how far it came.
#[derive(Serialize, Deserialize)]
struct RunFile {
    settings: Value,
    run: RefineState,
}

/// Tells the scores, if there are any, and draws the next rows: these, and the run to be kept.
pub fn next(
    args: &Select,
    parameters: &[(String, String)],
    path: &Path,
    table: &Table,
    pool: &Pool,
    budget: usize,
    progress: &dyn Progress,
) -> Result<(Selection, Value)> {
    let card = work::method::<Select>("select", &args.work.method, parameters)?;
    if card.slug != "diversify-conquer" {
        let want =
            "only diversify-conquer chooses in rounds: leave --state out (`quadrat order` keeps a stream of rs2)";
        return Err(Error::input("--state", format!("--method {}", card.slug), want));
    }
    let columns = &args.columns;
    let settings = json!({
        "input": args.work.input,
        "rows": table.rows(),
        "features": args.work.features,
        "text": columns.text,
        "embedding": columns.embedding,
        "score": columns.score,
        "parameters": work::in_force(card, parameters),
        "seed": args.work.run.seed,
    });
    let mut refine = if path.exists() {
        resumed(path, &settings)?
    } else if args.scores.is_some() {
        let want = "there is no run yet: leave --scores out to draw the first rows";
        return Err(Error::input("--scores", format!("no {}", path.display()), want));
    } else {
        let method = DiversifyConquer::from_params(&work::params(parameters))?;
        method.start(pool, Seed(args.work.run.seed), progress)?
    };
    if let Some(scores) = &args.scores {
        let (rows, scores) = told(scores, table, &refine)?;
        refine.tell(&rows, &scores)?;
    }
    let indices = refine.ask(budget)?;
    let state = refine.state();
    let weights = refine.weights().iter();
    let (least, most) = weights.fold((f64::INFINITY, 0.0_f64), |(low, high), w| (low.min(*w), high.max(*w)));
    let mut notes = vec![
        ("round".to_owned(), state.rounds.len().to_string()),
        ("rows drawn so far".to_owned(), state.scores.len().to_string()),
        (
            "cluster weights".to_owned(),
            format!("{least:.2e} to {most:.2e}, 1/K is {:.2e}", 1.0 / state.clusters as f64),
        ),
        ("unscored clusters".to_owned(), refine.unscored().len().to_string()),
    ];
    if state.rounds.len() > 1 && args.scores.is_none() {
        let why = "none were given with this call, so the clusters' weights stayed as they were";
        notes.push(("scores".to_owned(), why.to_owned()));
    }
    let run = json(&RunFile { settings, run: state.clone() })?;
    Ok((Selection { indices, notes, ..Selection::default() }, run))
}

/// The run of an earlier call with the same settings.
fn resumed(path: &Path, settings: &Value) -> Result<IterativeRefine> {
    let what = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let file: RunFile = serde_json::from_slice(&bytes).map_err(|e| Error::data(&what, None, e.to_string()))?;
    let now = settings.as_object().into_iter().flatten();
    match now.into_iter().find(|(name, value)| file.settings[*name] != **value) {
        None => IterativeRefine::resume(file.run),
        Some((name, now)) => {
            let got = format!("a run with {name} {}, not {now}", file.settings[name]);
            Err(Error::input(what, got, "repeat that command to go on with it, or name another --state"))
        }
    }
}

/// Rows of the run and their scores in a file: as many as the last round drew, or all rounds.
fn told(path: &str, table: &Table, refine: &IterativeRefine) -> Result<(Vec<usize>, Vec<f64>)> {
    let file = table.open_beside(path)?;
    let last = refine.state().rounds.last().cloned().unwrap_or_default();
    let all = refine.drawn();
    let (of_last, of_all) = (last.len(), all.len());
    let rows = match file.rows() {
        n if n == of_last => last,
        n if n == of_all => all,
        n => {
            let want =
                format!("the last round drew {of_last} rows, all rounds together {of_all}: give a score for each");
            return Err(Error::input(file.name(), format!("{n} rows"), want));
        }
    };
    let new: Vec<&str> = file.numeric_columns().into_iter().filter(|name| table.column(name).is_err()).collect();
    let column = match new.as_slice() {
        [one] => one,
        many if many.contains(&"score") => "score",
        many => {
            let want = "add one column of numbers that the input does not have, such as `score`";
            return Err(Error::input(file.name(), format!("{} new columns of numbers", many.len()), want));
        }
    };
    Ok((rows, file.numeric(&[column], Missing::Error)?.column(0).to_vec()))
}
