//! What the verbs that work on files have in common.

use super::encoder;
use crate::args::{Columns, Work};
use crate::output::{check_out, check_place, count, table};
use crate::reading::Reading;
use crate::report::Block;
use crate::terminal;
use clap::{Args, Command};
use quadrat::data::{Format, Table};
use quadrat::{Card, Error, Params, PoolColumns, Result, catalogue, find, nearest};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::Path;

/// The card of the method to use, once it is clear that the verb runs it and that it takes the parameters. `A` are the
/// verb's own options, one of which may have been meant.
pub fn method<A: Args>(verb: &str, name: &str, parameters: &[(String, String)]) -> Result<&'static Card> {
    let all = catalogue();
    let ours: Vec<&Card> = all.iter().copied().filter(|card| card.verbs.contains(&verb)).collect();
    let Ok(card) = find(&ours, name) else {
        return match find(&all, name) {
            Ok(other) => {
                let others: Vec<String> = other.verbs.iter().map(|verb| format!("`quadrat {verb}`")).collect();
                let place = if others.is_empty() { "the library".to_owned() } else { others.join(" or ") };
                let want = format!("{} is not a method of `quadrat {verb}`: it runs with {place}", other.slug);
                Err(Error::input("--method", format!("`{name}`"), want))
            }
            Err(_) => find(&ours, name),
        };
    };
    let takes = |option: &str| card.params.iter().any(|p| p.name == option.replace('_', "-"));
    if let Some((option, _)) = parameters.iter().find(|(option, _)| !takes(option)) {
        let own = A::augment_args(Command::new(""));
        let flags = own.get_arguments().filter_map(|flag| flag.get_long());
        let near = nearest(option, card.params.iter().map(|p| p.name).chain(flags));
        let near: Vec<String> = near.iter().map(|name| format!("--{}", name.trim_matches('`'))).collect();
        let want =
            format!("did you mean {}? `quadrat show {}` lists the method's parameters", near.join(" or "), card.slug);
        return Err(Error::input("option", format!("`--{option}`"), want));
    }
    Ok(card)
}

/// The method's parameters as its builder reads them.
pub fn params(parameters: &[(String, String)]) -> Params {
    parameters.iter().cloned().collect()
}

/// Opens the input, once it is clear that the outputs can be written.
pub fn open(work: &Work) -> Result<Table> {
    if let Some(out) = &work.out {
        check_out(out)?;
    }
    if let Some(report) = &work.report {
        check_place(report)?;
    }
    read(&work.input, &work.reading)
}

/// That the output's format holds the named columns, all the table's if none is named: asked before the work. Says on
/// standard error what the file will not say.
pub fn check_output(table: &Table, out: Option<&Path>, columns: &[&str]) -> Result<()> {
    let Some(out) = out else { return Ok(()) };
    for note in table.check_output(out, columns)? {
        eprintln!("quadrat: note: {}: {note}", out.display());
    }
    Ok(())
}

/// A plain file, whole.
pub fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => {
            Error::data(path.display().to_string(), None, "not UTF-8: convert the file first")
        }
        _ => Error::io(path, e),
    })
}

/// Opens a file or a built-in set, and says on standard error what was assumed and which options had no effect.
pub fn read(input: &str, reading: &Reading) -> Result<Table> {
    let table = Table::open_with(input, &reading.told()?, terminal::open_one())?;
    let excluded = listed("--exclude", &reading.exclude, &table)?;
    let table = table.without(&excluded)?;
    let idle = idle(input, reading, table.format());
    let idle =
        idle.iter().map(|option| format!("{option} has no effect on {input}, a file of format {}", table.format()));
    for note in table.notes().iter().cloned().chain(idle) {
        eprintln!("quadrat: note: {note}");
    }
    Ok(table)
}

/// The options about text files that were given for a file of another kind.
fn idle(input: &str, reading: &Reading, format: Format) -> Vec<&'static str> {
    let delimited = matches!(format, Format::Csv | Format::Tsv) && !input.starts_with("builtin:");
    [
        (reading.separator.is_some(), "--separator"),
        (reading.decimal.is_some(), "--decimal"),
        (reading.thousands.is_some(), "--thousands"),
        (reading.quote.is_some(), "--quote"),
        (reading.comment.is_some(), "--comment"),
        (reading.no_header, "--no-header"),
    ]
    .into_iter()
    .filter_map(|(given, option)| (given && !delimited).then_some(option))
    .collect()
}

/// The columns that a list names: a whole text that is a column's name, else the longest names between its commas, or
/// names in quotation marks as CSV has them.
pub fn listed(option: &str, given: &[String], table: &Table) -> Result<Vec<String>> {
    let known: HashSet<&str> = table.column_names().into_iter().collect();
    let mut names = Vec::new();
    for text in given {
        if known.contains(text.as_str()) {
            names.push(text.clone());
            continue;
        }
        let mut rest = text.as_str();
        while !rest.trim().is_empty() {
            let mut ends: Vec<usize> = rest.match_indices(',').map(|(at, _)| at).collect();
            ends.push(rest.len());
            let exact = ends.iter().rev().find(|end| known.contains(&rest[..**end]));
            let found = exact.or_else(|| ends.iter().rev().find(|end| known.contains(rest[..**end].trim())));
            let (name, end) = match (found, quoted(rest)) {
                (Some(&end), _) if exact.is_some() => (rest[..end].to_owned(), end),
                (Some(&end), _) => (rest[..end].trim().to_owned(), end),
                (None, Some(quoted)) => quoted,
                (None, None) => (rest[..ends[0]].trim().to_owned(), ends[0]),
            };
            table.column(&name).map_err(|error| match error {
                Error::Input { got, want, .. } => Error::input(format!("{}, {option}", table.name()), got, want),
                other => other,
            })?;
            names.push(name);
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    Ok(names)
}

/// The name in quotation marks that a list begins with, and where the list goes on.
fn quoted(text: &str) -> Option<(String, usize)> {
    let inner = text.trim_start().strip_prefix('"')?;
    let start = text.len() - inner.len();
    let closing = inner.replace("\"\"", "\u{0}\u{0}").find('"')?;
    let after = start + closing + 1;
    let end = after + (text[after..].len() - text[after..].trim_start().len());
    (end == text.len() || text[end..].starts_with(',')).then(|| (inner[..closing].replace("\"\"", "\""), end))
}

/// A number of rows from `500` or `2%`, given under the name `option`.
pub fn budget(option: &str, text: &str, rows: usize) -> Result<usize> {
    let wrong = || Error::input(option, format!("`{text}`"), format!("use 1 to {rows}, or a share such as 2%"));
    let wanted = match text.strip_suffix('%') {
        Some(share) => {
            let share: f64 = share.trim().parse().map_err(|_| wrong())?;
            if !(share > 0.0 && share <= 100.0) {
                return Err(wrong());
            }
            ((share / 100.0 * rows as f64).round() as usize).max(1)
        }
        None => text.parse().map_err(|_| wrong())?,
    };
    if wanted == 0 || wanted > rows { Err(wrong()) } else { Ok(wanted) }
}

/// What a selector sees of a file.
pub fn pool_columns(table: &Table, columns: &Columns, features: &[String], standardise: bool) -> Result<PoolColumns> {
    Ok(PoolColumns {
        target: columns.target.clone(),
        features: listed("--features", features, table)?,
        text: listed("--text", &columns.text, table)?,
        encoder: encoder::of(columns.text_dim, columns.encoder.as_deref())?,
        embedding: columns.embedding.clone(),
        score: columns.score.clone(),
        labels: columns.labels.clone(),
        standardise,
        ..PoolColumns::default()
    })
}

/// How often each class occurs before and after.
pub struct Classes {
    /// Names of the classes, in their order.
    pub names: Vec<String>,
    /// Rows of each in the file.
    pub before: Vec<usize>,
    /// Rows of each in the result.
    pub after: Vec<usize>,
}

/// How often each of the classes occurs.
pub fn counts(codes: impl IntoIterator<Item = u32>, classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    codes.into_iter().for_each(|code| counts[code as usize] += 1);
    counts
}

impl Classes {
    /// Name, rows before and rows after, class by class.
    pub fn rows(&self) -> impl Iterator<Item = (&String, usize, usize)> {
        self.names.iter().zip(&self.before).zip(&self.after).map(|((name, before), after)| (name, *before, *after))
    }

    /// As JSON: an object by class.
    pub fn json(&self) -> Value {
        let entry =
            |(name, before, after): (&String, _, _)| (name.clone(), json!({ "before": before, "after": after }));
        self.rows().map(entry).collect::<Map<_, _>>().into()
    }

    /// As a table, cut off where nobody reads on.
    pub fn table(&self, before: &str, after: &str) -> String {
        const MOST: usize = 12;
        let head = ["class", before, after].map(str::to_owned).to_vec();
        let rows = self.rows().take(MOST).map(|(name, before, after)| vec![name.clone(), count(before), count(after)]);
        let mut text = table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[1, 2]);
        if self.names.len() > MOST {
            text.push_str(&format!("  ... and {} more classes\n", self.names.len() - MOST));
        }
        text
    }
}

/// The parameters in force as a part of a report; those that say nothing are left out.
pub fn parameters(card: &Card, parameters: &[(String, String)]) -> Option<Block> {
    let shown = in_force(card, parameters).into_iter().filter(|(_, value)| value != "none");
    let facts: Vec<(String, String)> = shown.map(|(name, value)| (format!("--{name}"), value)).collect();
    (!facts.is_empty()).then_some(Block::Facts(facts))
}

/// The parameters in force: those given, and the defaults of the others.
pub fn in_force(card: &Card, parameters: &[(String, String)]) -> Vec<(String, String)> {
    let given = |name: &str| parameters.iter().rev().find(|(option, _)| option.replace('_', "-") == name);
    card.params
        .iter()
        .map(|p| (p.name.to_owned(), given(p.name).map_or(p.default, |(_, value)| value.as_str()).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_columns_whatever_their_names() {
        let csv = "a,\"b,c\",\"Income, annual\",\"say \"\"x\"\"\",b\n1,2,3,4,5\n".to_owned();
        let table = Table::from_bytes("t.csv", csv.into(), &[]).unwrap();
        for (given, expected) in [
            (vec!["Income, annual"], vec!["Income, annual"]),
            (vec!["a,b,c"], vec!["a", "b,c"]),
            (vec!["a, b"], vec!["a", "b"]),
            (vec!["b,Income, annual,a"], vec!["b", "Income, annual", "a"]),
            (vec!["\"Income, annual\",\"say \"\"x\"\"\""], vec!["Income, annual", "say \"x\""]),
            (vec!["a", "b,"], vec!["a", "b"]),
            (vec![], vec![]),
        ] {
            let given: Vec<String> = given.into_iter().map(str::to_owned).collect();
            assert_eq!(listed("--features", &given, &table).unwrap(), expected, "{given:?}");
        }
        let error = listed("--features", &["a,incomes".to_owned()], &table).unwrap_err().to_string();
        assert!(error.contains("--features") && error.contains("`incomes`"), "{error}");
    }

    #[test]
    fn budgets_are_rows_or_shares() {
        for (text, rows, expected) in
            [("500", 1000, Some(500)), ("2%", 20_000, Some(400)), ("0.01%", 100, Some(1)), ("100 %", 7, Some(7))]
        {
            assert_eq!(budget("--budget", text, rows).ok(), expected, "{text}");
        }
        for text in ["0", "0%", "101%", "1001", "-3", "many", "NaN%", ""] {
            let error = budget("--budget", text, 1000).unwrap_err().to_string();
            assert!(error.contains("use 1 to 1000"), "{error}");
        }
    }
}
