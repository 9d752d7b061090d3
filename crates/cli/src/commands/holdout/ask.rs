//! `quadrat holdout ask`: a question -> an answer from the budget.

use super::{About, Ask, exposed, given, left, missing, promise};
use crate::commands::{roles, work};
use crate::output::{self, Reply, count, figure, wrap};
use crate::reading::Reading;
use quadrat::data::{ColumnType, Table};
use quadrat::estimate::adaptive_data_analysis::{Ledger, Query, QueryMechanism, Recorded, Source};
use quadrat::held_out::{HeldOut, Seen, numbers};
use quadrat::{ColumnUse, Error, Part, Result, Wish};
use serde_json::json;

pub fn ask(args: &Ask) -> Result<Reply> {
    let mut ledger = Ledger::open(&args.ledger)?;
    if ledger.torn() {
        eprintln!("quadrat: note: a last line that a kill had torn was dropped; its answer was never given");
    }
    if ledger.exposed() {
        eprintln!("quadrat: note: {}", exposed(&args.ledger));
    }
    let about: About = serde_json::from_value(ledger.header().about.clone()).map_err(|e| {
        Error::data(args.ledger.display().to_string(), None, format!("not a ledger of this command: {e}"))
    })?;
    let method = ledger.mechanism().name();
    let Question { query, what, table, uses } = question(args, &about, method)?;
    let recorded = ledger.ask(query.as_ref(), &what).map_err(exhausted)?;
    let given = given(&recorded, method);
    let Recorded { entry, cached } = recorded;
    let mut text =
        format!("{what}: {}\n{}", figure(given.value), wrap(&promise(method, entry.answer.guarantee), 0, 100));
    text.push_str(&match entry.answer.source {
        Source::Train => "from the training rows: the held-out rows agree\n".to_owned(),
        Source::Holdout => "from the held-out rows\n".to_owned(),
        Source::Synthetic => "from the synthetic distribution: the held-out rows agree\n".to_owned(),
        Source::Unchanged => "unchanged: not clearly better than the best before\n".to_owned(),
    });
    let cost = if cached { "on record before, free" } else { "now on record" };
    text.push_str(&format!("answer {}, {cost}; answers left: {}\n", entry.n + 1, left(ledger.remaining())));
    let mut value = json!({
        "method": method,
        "question": what,
        "value": given.value,
        "half_width": given.half_width,
        "guarantee": output::json(&entry.answer.guarantee)?,
        "source": output::json(&entry.answer.source)?,
        "spent": entry.answer.spent,
        "number": entry.n + 1,
        "cached": cached,
        "answered": ledger.entries().len(),
        "remaining": ledger.remaining(),
    });
    roles::tell(&table, &uses, &mut text, &mut value);
    Ok(Reply::new(text, value))
}

fn exhausted(error: Error) -> Error {
    match error {
        Error::Exhausted { what, answered, todo } => {
            let todo = format!(
                "{todo} (`quadrat holdout init` on a file of them). Questions that were answered can be asked again"
            );
            Error::Exhausted { what, answered, todo }
        }
        other => other,
    }
}

/// What is asked.
struct Question {
    /// Over the mechanism's rows.
    query: Box<dyn Query>,
    /// In words.
    what: String,
    /// The file that was read for it, and which of its columns.
    table: Table,
    uses: ColumnUse,
}

impl Question {
    fn new(
        table: Table,
        parts: Vec<(&str, Part)>,
        unread: &'static str,
        query: impl Query + 'static,
        what: String,
    ) -> Result<Question> {
        let uses = ColumnUse::choose(&table, &Wish { parts, unread: Some(unread), ..Wish::default() })?;
        Ok(Question { query: Box::new(query), what, table, uses })
    }
}

fn question(args: &Ask, about: &About, method: &str) -> Result<Question> {
    const UNASKED: &str = "not asked about";
    let only = |fits: bool, takes: &str| match fits {
        true => Ok(()),
        false => Err(Error::input("question", format!("to a ledger of {method}"), format!("it answers {takes} only"))),
    };
    only(method != "pmw" || !args.conditions.is_empty(), "--where")?;
    only(method != "ladder" || args.predictions.is_some(), "--predictions")?;
    let rows = &about.held_out;
    // Thresholdout looks at the training rows too, the others at the held-out rows alone.
    let seen = if method == "thresholdout" { Seen::All } else { Seen::HeldOut };
    if let Some(file) = &args.predictions {
        let table = work::read(file, &Reading::default())?;
        let column = match &args.column {
            Some(column) => column.clone(),
            None => rows.predictions_column(&table)?.to_owned(),
        };
        let right = rows.right(&table, &column)?;
        let query = rows.share(seen, |row| right[row] != (method == "ladder"));
        let id = rows.id.as_deref().filter(|id| table.column(id).is_ok());
        let parts = std::iter::once((column.as_str(), Part::Prediction)).chain(id.map(|id| (id, Part::Name))).collect();
        return Question::new(table, parts, "no prediction", query, format!("accuracy of {file}"));
    }
    let table = about.table()?;
    if !args.conditions.is_empty() {
        let known = table.column_names();
        let conditions = args.conditions.iter().map(|text| condition(text, &known)).collect::<Result<Vec<_>>>()?;
        let query = match method {
            "pmw" => rows.marginal(&conditions)?,
            _ => {
                let all = HeldOut::fulfils(&table, &conditions, missing(&about.reading)?)?;
                rows.share(seen, |row| all[row])
            }
        };
        let what = format!("share of rows with {}", args.conditions.join(" and "));
        let parts = conditions.iter().map(|(column, _)| (*column, Part::Category)).collect();
        return Question::new(table.clone(), parts, UNASKED, query, what);
    }
    if let Some(column) = &args.mean {
        let values = numbers(&table, column)?;
        let training: Vec<f64> = rows.of_training(&values).collect();
        let counts = matches!(table.column(column)?.kind, ColumnType::Integer | ColumnType::Float);
        let counts = counts || table.moment(column)?.is_some();
        let (low, high) = range(&args.range, counts, column, &training)?;
        let query = rows.mean(seen, &values, (low, high));
        let what = format!("mean of {column} between {low} and {high}");
        return Question::new(table, vec![(column, Part::Number)], UNASKED, query, what);
    }
    let pair = work::listed("--correlation", &args.correlation, &table)?;
    let [a, b] = pair.as_slice() else {
        return Err(Error::input("--correlation", args.correlation.join(","), "name two columns: A,B"));
    };
    let query = rows.correlation(seen, &table, [a, b])?;
    let parts = vec![(a.as_str(), Part::Number), (b.as_str(), Part::Number)];
    Question::new(table, parts, UNASKED, query, format!("quadrant correlation of {a} and {b}"))
}

/// Between which values a mean is taken: as given, or those of truth values. It is said beforehand, since one that followed
/// the held-out rows would tell of them; of the training rows everybody may know.
fn range(given: &[f64], counts: bool, column: &str, training: &[f64]) -> Result<(f64, f64)> {
    match *given {
        // Truth values and two names are 0 and 1.
        [] if !counts => Ok((0.0, 1.0)),
        [] => {
            let [low, high] = [f64::min, f64::max].map(|end| training.iter().copied().fold(f64::NAN, end));
            let known = match training {
                [] => String::new(),
                _ => format!(" (in the training rows it goes from {low} to {high})"),
            };
            let want = format!(
                "give the least and the largest value that count: --range LOW,HIGH{known}. Nothing was asked, nothing is spent"
            );
            Err(Error::input(format!("--mean {column}"), "no --range", want))
        }
        [low, high] => {
            let outside = training.iter().filter(|v| !(low..=high).contains(*v)).count();
            if outside > 0 {
                let (outside, all) = (count(outside), count(training.len()));
                eprintln!(
                    "quadrat: note: {outside} of {all} training rows have a {column} outside {low} to {high}: they count as \
                     the nearer end, and so do such held-out rows"
                );
            }
            Ok((low, high))
        }
        _ => Err(Error::input("--range", format!("{} numbers", given.len()), "write LOW,HIGH")),
    }
}

/// COLUMN=VALUE, where either may hold an equals sign: the longest name that is a column's, else up to the first sign.
fn condition<'a>(text: &'a str, known: &[&str]) -> Result<(&'a str, &'a str)> {
    let mut cuts = text.match_indices('=').map(|(at, _)| (text[..at].trim(), text[at + 1..].trim()));
    let first = cuts.next();
    let longest = cuts.chain(first).filter(|(column, _)| known.contains(column)).max_by_key(|(column, _)| column.len());
    longest.or(first).ok_or_else(|| Error::input("--where", format!("`{text}`"), "write COLUMN=VALUE"))
}
