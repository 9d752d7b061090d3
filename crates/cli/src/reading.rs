//! The options that say how an input file is read.

use clap::{Args, Command, Id, ValueEnum};
use quadrat::data::ColumnType;
use quadrat::numeric::impute::Fill;
use quadrat::{Error, OnMissing, Result};
use serde::{Deserialize, Serialize};

/// How an input file is read, where it does not say so itself.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// Types of columns that are to be read differently: integer, float, boolean, text or category
    #[arg(long, value_name = "A=TYPE,B=TYPE")]
    pub types: Vec<String>,
    /// Format of the input, where its name does not tell: csv, tsv, jsonl, parquet, arrow, npy, npz, ...
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Between two fields: a character, or `tab`
    #[arg(long, value_name = "CHARACTER")]
    pub separator: Option<String>,
    /// Decimal sign of numbers
    #[arg(long, value_name = "CHARACTER")]
    pub decimal: Option<char>,
    /// Sign between the thousands of numbers
    #[arg(long, value_name = "CHARACTER")]
    pub thousands: Option<char>,
    /// Around fields that hold a separator
    #[arg(long, value_name = "CHARACTER")]
    pub quote: Option<char>,
    /// What lines start with that are no rows
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// The first row is data: columns are called column 1, column 2, ...
    #[arg(long)]
    pub no_header: bool,
    /// The first row holds the columns' names, whatever it looks like
    #[arg(long, conflicts_with = "no_header")]
    pub header: bool,
    /// Encoding of the texts, such as windows-1252 or utf-16le
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// What else stands for a missing value, in every column
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', allow_hyphen_values = true)]
    pub missing_codes: Vec<String>,
    /// Columns that nothing is to be learnt from; they are written as all others
    #[arg(long, value_name = "A,B,C")]
    pub exclude: Vec<String>,
    /// Rows that lack a value in a column in use: refuse the file, drop these rows, impute (see --impute), or let no
    /// name be a category of its own [default: refuse]
    #[arg(long, value_enum, value_name = "refuse|drop|impute|category", hide_possible_values = true)]
    pub missing: Option<Missing>,
    /// What takes the place of a missing number: the column's median, its mean, or the mean of the 5 nearest rows; of a
    /// missing name, the most frequent one. `indicator`: the median, with a column more that says where a number was
    /// missing; no name is a category of its own [default: median]
    #[arg(long, value_enum, value_name = "median|mean|knn|indicator", hide_possible_values = true)]
    pub impute: Option<Impute>,
}

/// What is to be done where a value is missing.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    Refuse,
    Drop,
    Impute,
    Category,
}

/// What takes the place of a missing number.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Impute {
    Median,
    Mean,
    Knn,
    Indicator,
}

/// A verb, and those below it, with the options of [`Reading`] under a heading of their own. (Derive's
/// `next_help_heading` would go on to the options behind them.)
pub fn under_heading(command: Command) -> Command {
    let own: Vec<Id> =
        Reading::augment_args(Command::new("")).get_arguments().map(|arg| arg.get_id().clone()).collect();
    let reads = own.iter().all(|id| command.get_arguments().any(|arg| arg.get_id() == id));
    let heading = |id: &Id| (reads && own.contains(id)).then_some("How files are read");
    command.mut_subcommands(under_heading).mut_args(|arg| {
        let heading = heading(arg.get_id());
        arg.help_heading(heading)
    })
}

impl Reading {
    /// What is to be done about missing values.
    pub fn on_missing(&self) -> Result<OnMissing> {
        let filled = match self.impute {
            Some(Impute::Mean) => OnMissing::Impute(Fill::Mean),
            Some(Impute::Knn) => OnMissing::Impute(Fill::Nearest),
            Some(Impute::Indicator) => OnMissing::Indicate,
            Some(Impute::Median) | None => OnMissing::Impute(Fill::Median),
        };
        match (self.missing, self.impute) {
            (Some(Missing::Impute), _) | (None, Some(_)) => Ok(filled),
            (Some(other), Some(_)) => {
                let got = format!("it with --missing {other:?}").to_lowercase();
                Err(Error::input("--impute", got, "it belongs to --missing impute"))
            }
            (Some(Missing::Drop), None) => Ok(OnMissing::Drop),
            (Some(Missing::Category), None) => Ok(OnMissing::Category),
            (Some(Missing::Refuse) | None, None) => Ok(OnMissing::Refuse),
        }
    }

    /// What is to be done about missing values by a verb that makes rows: they have the file's own columns.
    pub fn on_missing_in_made(&self) -> Result<OnMissing> {
        match self.on_missing()? {
            OnMissing::Indicate => {
                let want = "new rows have the file's own columns: use median, mean or knn";
                Err(Error::input("--impute", "indicator", want))
            }
            other => Ok(other),
        }
    }

    /// As the reader takes it.
    pub fn told(&self) -> Result<quadrat::data::Reading> {
        let separator = self.separator.as_deref().map(|given| {
            let mut characters = given.chars();
            match (given, characters.next(), characters.next()) {
                ("tab" | "\\t", _, _) => Ok('\t'),
                (_, Some(one), None) => Ok(one),
                _ => Err(Error::input("--separator", format!("`{given}`"), "one character, or `tab`")),
            }
        });
        Ok(quadrat::data::Reading {
            types: types(&self.types)?,
            format: self.format.as_deref().map(str::parse).transpose()?,
            separator: separator.transpose()?,
            decimal: self.decimal,
            thousands: self.thousands,
            quote: self.quote,
            comment: self.comment.clone(),
            header: self.header.then_some(true).or(self.no_header.then_some(false)),
            encoding: self.encoding.clone(),
            missing_codes: self.missing_codes.clone(),
        })
    }
}

/// Entries COLUMN=TYPE between commas, either of which may stand in a column's name: an entry ends with a type.
fn types(given: &[String]) -> Result<Vec<(String, ColumnType)>> {
    let mut types = Vec::new();
    for list in given {
        let mut entry = String::new();
        for piece in list.split(',') {
            entry = if entry.is_empty() { piece.to_owned() } else { format!("{entry},{piece}") };
            if let Some((name, kind)) = entry.rsplit_once('=').and_then(|(n, k)| Some((n, k.trim().parse().ok()?))) {
                types.push((name.trim().to_owned(), kind));
                entry.clear();
            }
        }
        if let Some((_, kind)) = entry.rsplit_once('=') {
            kind.trim().parse::<ColumnType>()?;
        }
        if !entry.is_empty() {
            return Err(Error::input("--types", format!("`{entry}`"), "write COLUMN=TYPE, such as zip=text"));
        }
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Cli;
    use clap::CommandFactory;

    /// The options of the verbs below a command, with their headings.
    fn options(command: &Command, found: &mut Vec<(String, Option<String>)>) {
        found.extend(
            command
                .get_arguments()
                .filter_map(|arg| Some((arg.get_long()?.to_owned(), arg.get_help_heading().map(str::to_owned)))),
        );
        command.get_subcommands().for_each(|verb| options(verb, found));
    }

    #[test]
    fn options_stand_under_their_own_heading() {
        let own = Reading::augment_args(Command::new(""));
        let mut all = Vec::new();
        options(&under_heading(Cli::command()), &mut all);
        let (headed, plain): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, heading)| heading.is_some());
        let is_own = |option: &str| own.get_arguments().any(|arg| arg.get_long() == Some(option));
        assert!(headed.len() > 100 && headed.iter().all(|(option, _)| is_own(option)), "{headed:?}");
        assert!(plain.iter().all(|(option, _)| !is_own(option)), "{plain:?}");
    }

    #[test]
    fn names_may_hold_commas_and_equals_signs() {
        let typed = |text: &str| types(&[text.to_owned()]);
        let of = |name: &str, kind| (name.to_owned(), kind);
        for (text, expected) in [
            ("zip=text", vec![of("zip", ColumnType::Text)]),
            ("a=b=float,zip=text", vec![of("a=b", ColumnType::Float), of("zip", ColumnType::Text)]),
            ("Income, annual=integer", vec![of("Income, annual", ColumnType::Integer)]),
            ("a=1,b=2=category", vec![of("a=1,b=2", ColumnType::Category)]),
        ] {
            assert_eq!(typed(text).unwrap(), expected, "{text}");
        }
        for text in ["zip", "zip=word", "zip=text,b", "=", "zip="] {
            assert!(typed(text).is_err(), "{text}");
        }
    }
}
