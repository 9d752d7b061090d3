//! Which columns of a file are used, as what, and which are left out and why.
//!
//! Decided once a run and before anything is decoded but some rows: by what the user says, then by names and types, then
//! by what the rows hold. Whatever reads the file afterwards takes its columns from here, and whoever reports says what
//! stands here, so that the two cannot differ.

use super::missing::OnMissing;
use super::target::MANY_CLASSES;
use crate::data::{Categories, Column, ColumnType, Missing, Moment, Table};
use crate::{Error, Result};
use ndarray::ArrayView2;
use rayon::prelude::*;

/// What a column is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A feature: a number.
    Number,
    /// A feature: one of a few names.
    Category,
    /// A feature that no column of the file is: 1 where a number is missing, else 0.
    Indicator,
    /// A text that is turned into features.
    Text,
    /// A vector of numbers.
    Embedding,
    /// A list of labels.
    Labels,
    /// What is to be predicted, or a row's class.
    Target,
    /// What somebody says the target is.
    Prediction,
    /// A row's quality.
    Score,
    /// What a regression explains.
    Response,
    /// How much a row counts.
    Weight,
    /// The standard deviation of the noise that a row has.
    Noise,
    /// Which rows belong together.
    Group,
    /// When a row was seen.
    Time,
    /// What a row is called.
    Name,
}

impl Part {
    /// As one would say it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Number => "number",
            Part::Category => "category",
            Part::Indicator => "indicator",
            Part::Text => "text",
            Part::Embedding => "embedding",
            Part::Labels => "labels",
            Part::Target => "target",
            Part::Prediction => "prediction",
            Part::Score => "score",
            Part::Response => "response",
            Part::Weight => "weight",
            Part::Noise => "noise",
            Part::Group => "group",
            Part::Time => "time",
            Part::Name => "name",
        }
    }

    fn is_feature(self) -> bool {
        matches!(self, Part::Number | Part::Category)
    }
}

/// A column that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedColumn {
    /// Its name in the file.
    pub name: String,
    /// What it is used as.
    pub part: Part,
    /// How many different values it has, where they were counted.
    pub levels: Option<usize>,
    /// What its numbers count, where it holds dates, times or durations.
    pub moment: Option<Moment>,
}

impl UsedColumn {
    /// A column of which no more is known.
    pub fn new(name: impl Into<String>, part: Part) -> UsedColumn {
        UsedColumn { name: name.into(), part, levels: None, moment: None }
    }
}

/// A column that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name in the file.
    pub name: String,
    /// The reason.
    pub why: String,
}

/// Which columns are nominal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Nominal {
    /// Columns of texts, categories and truth values in which a value is shared by two rows on average: names, not
    /// free text.
    #[default]
    Auto,
    /// The named ones; none for an empty list.
    Named(Vec<String>),
}

/// What is wanted of a file's columns.
#[derive(Debug, Clone, Default)]
pub struct Wish<'a> {
    /// Columns with a part of their own, which are no features.
    pub parts: Vec<(&'a str, Part)>,
    /// The features; none: all columns that can be one and have no other part.
    pub features: &'a [String],
    /// Whether columns of numbers can be features.
    pub numbers: bool,
    /// Whether new rows are made of the features: they cannot be given dates, times and durations, which elsewhere are
    /// numbers if they are named.
    pub rows_made: bool,
    /// Which columns are nominal features.
    pub nominal: Nominal,
    /// Whether truth values are nominal, not the numbers 0 and 1.
    pub nominal_truth: bool,
    /// Why nothing but the parts is read, where that is so.
    pub unread: Option<&'static str>,
}

/// The columns of a file by the part they play.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnUse {
    /// Columns that are used: features in the order in which they were named, or in the file's, then the others.
    pub used: Vec<UsedColumn>,
    /// All other columns, in the file's order.
    pub left_out: Vec<LeftOut>,
    /// What the user should know about the columns, a sentence each.
    pub warnings: Vec<String>,
    pub(super) on_missing: OnMissing,
    pub(super) unread: Option<&'static str>,
}

/// The column in which selections keep how much each row counts.
pub const WEIGHT: &str = "weight";

/// Why a column is left out that holds a number for each row.
const NUMBERS_ROWS: &str = "numbers the rows";

/// Why a column is left out that holds a name for each row.
const NAMES_ROWS: &str = "a different text in every row";

impl LeftOut {
    /// Whether the column only says which row it is.
    pub fn is_identifier(&self) -> bool {
        self.why == NUMBERS_ROWS || self.why == NAMES_ROWS
    }
}

/// Rows below which a column of consecutive numbers may well be a measure.
const FEWEST_NUMBERED: usize = 10;

impl ColumnUse {
    /// Gives each column its part. Left out are, unless they are named: what the user excluded, what a built-in set
    /// says of its rows, columns without a name, numbers called [`WEIGHT`], columns that only number the rows, dates, times
    /// and durations, texts with a different one in every row or in more than every second, and what cannot be a feature
    /// at all.
    ///
    /// # Errors
    /// An unknown column, one that is named and excluded, a named feature that cannot be one.
    pub fn choose(table: &Table, wish: &Wish) -> Result<ColumnUse> {
        let nominal_named: &[String] = if let Nominal::Named(names) = &wish.nominal { names } else { &[] };
        let named = wish.features.iter().chain(nominal_named).map(String::as_str);
        for name in named.clone().chain(wish.parts.iter().map(|(name, _)| *name)) {
            table.column(name)?;
            if table.excluded().iter().any(|excluded| excluded == name) {
                return Err(Error::input("columns", format!("`{name}` both used and excluded"), "do one of the two"));
            }
        }
        let target = wish.parts.iter().find(|(_, part)| *part == Part::Target);
        if let Some((name, _)) = target.filter(|(target, _)| named.clone().any(|name| name == *target)) {
            return Err(Error::input("features", format!("`{name}`"), "the target cannot be a feature"));
        }
        let mut chosen = ColumnUse { unread: wish.unread, ..ColumnUse::default() };
        let mut features: Vec<UsedColumn> = Vec::new();
        let mut numbers: Vec<&str> = Vec::new();
        for column in table.columns() {
            let name = column.name.as_str();
            let asked = named.clone().any(|n| n == name);
            if !asked && wish.parts.iter().any(|(part, _)| *part == name) {
                continue;
            }
            let out = |why: &str| LeftOut { name: name.to_owned(), why: why.to_owned() };
            if !asked {
                if !wish.features.is_empty() {
                    chosen.left_out.push(out("not named"));
                    continue;
                }
                if let Some(why) = unasked(table, column).or(wish.unread) {
                    chosen.left_out.push(out(why));
                    continue;
                }
            }
            let as_names = nominal_named.contains(&column.name);
            match as_feature(table, column, wish, as_names, asked)? {
                Ok(used) => {
                    if used.part == Part::Number && !asked && column.kind == ColumnType::Integer {
                        numbers.push(name);
                    }
                    features.push(used);
                }
                Err(why) if asked => {
                    let want = match wish.nominal == Nominal::Named(Vec::new()) {
                        true => {
                            "a numeric column is needed here; leave this one out of the features, or encode it first"
                        }
                        false => "a feature is a column of numbers or of few values; leave this one out",
                    };
                    return Err(Error::input(format!("{}, column `{name}`", table.name()), why, want));
                }
                Err(why) => chosen.left_out.push(out(&why)),
            }
        }
        let counting = row_numbers(table, &numbers)?;
        let counts = |used: &UsedColumn| counting.contains(&used.name.as_str());
        if features.iter().all(counts) {
            let names: Vec<String> = features.iter().map(|used| format!("`{}`", used.name)).collect();
            if !names.is_empty() {
                let what = if names.len() == 1 { "only numbers" } else { "only number" };
                chosen
                    .warnings
                    .push(format!("{} {what} the rows: used, because no other column can be", names.join(", ")));
            }
        } else {
            let why = NUMBERS_ROWS;
            let out = |used: &UsedColumn| LeftOut { name: used.name.clone(), why: why.to_owned() };
            chosen.left_out.extend(features.iter().filter(|used| counts(used)).map(out));
            features.retain(|used| !counts(used));
            chosen.sort_left_out(table);
        }
        if !wish.features.is_empty() {
            let place = |used: &UsedColumn| wish.features.iter().position(|n| *n == used.name).unwrap_or(usize::MAX);
            features.sort_by_key(place);
        }
        chosen.used = features;
        chosen.used.extend(wish.parts.iter().map(|(name, part)| UsedColumn::new(*name, *part)));
        let is_text = |out: &&mut LeftOut| {
            out.why.contains("text") && table.column(&out.name).is_ok_and(|c| c.kind == ColumnType::Text)
        };
        for out in chosen.left_out.iter_mut().filter(is_text).take(LOOKED_AT) {
            out.why = told_of_text(table, &out.name)?.unwrap_or_else(|| out.why.clone());
        }
        Ok(chosen)
    }

    /// The names of the columns that are used as this.
    pub fn names(&self, part: Part) -> Vec<&str> {
        self.used.iter().filter(|used| used.part == part).map(|used| used.name.as_str()).collect()
    }

    /// The features that are numbers and, behind them, those that say where one was missing: the columns of
    /// [`ColumnUse::numbers_and_gaps`].
    pub fn numbers_as_read(&self) -> Vec<String> {
        [self.names(Part::Number), self.names(Part::Indicator)].concat().into_iter().map(str::to_owned).collect()
    }

    /// Features in the file's order.
    pub fn in_file_order(mut self, table: &Table) -> Self {
        let place = |name: &str| table.columns().iter().position(|c| c.name == name);
        self.used.sort_by_key(|used| (!used.part.is_feature(), place(&used.name)));
        self
    }

    /// Moves a column that turned out to be of no use.
    pub fn leave_out(&mut self, table: &Table, name: &str, why: &str) {
        self.used.retain(|used| used.name != name);
        self.left_out.push(LeftOut { name: name.to_owned(), why: why.to_owned() });
        self.sort_left_out(table);
    }

    /// Notes how many different values a column has.
    pub fn count_levels(&mut self, name: &str, levels: usize) {
        self.used.iter_mut().filter(|used| used.name == name).for_each(|used| used.levels = Some(levels));
    }

    fn sort_left_out(&mut self, table: &Table) {
        self.left_out.sort_by_cached_key(|out| table.columns().iter().position(|c| c.name == out.name));
    }

    /// What stands out in a column of classes: how many there are, and which have a single row.
    pub fn look_at_classes(&mut self, name: &str, classes: &Categories) {
        const SHOWN: usize = 5;
        let mut counts = vec![0usize; classes.names.len()];
        classes.codes.iter().for_each(|code| counts[*code as usize] += 1);
        self.count_levels(name, classes.names.len());
        if classes.names.len() >= MANY_CLASSES {
            let many = classes.names.len();
            self.warnings.push(format!("`{name}` has {many} classes: is it a number, or a name of rows?"));
        }
        let single = classes.names.iter().zip(&counts).filter(|(_, count)| **count == 1);
        let single: Vec<String> = single.map(|(class, _)| format!("`{class}`")).collect();
        if !single.is_empty() {
            let more = single.len().saturating_sub(SHOWN);
            let shown = single.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.warnings.push(format!("one row only of `{name}` {shown}{more}"));
        }
    }

    /// Rows that are copies of earlier ones in all numbers that are used.
    pub fn look_for_copies<T: Copy + Into<f64> + Sync>(&mut self, x: ArrayView2<T>) {
        let copies = copies(x);
        if copies > 0 {
            let (n, are) = if copies == 1 { ("one row".to_owned(), "is") } else { (format!("{copies} rows"), "are") };
            self.warnings.push(format!("{n} of {} {are} the same as an earlier one in the columns used", x.nrows()));
        }
    }
}

/// What the first rows say of a column of texts that may hold numbers or dates.
fn told_of_text(table: &Table, name: &str) -> Result<Option<String>> {
    let cells = first_cells(table, name)?;
    // Of no cells nothing is said.
    let longest = cells.iter().min_by_key(|c| std::cmp::Reverse(c.len())).cloned().unwrap_or_default();
    let like = |test: fn(&str) -> bool| !cells.is_empty() && cells.iter().all(|cell| test(cell));
    Ok(if like(looks_like_date) {
        Some(format!("dates such as {longest}: written year first (2024-07-01) they can be used as numbers"))
    } else if like(looks_like_number) {
        Some(format!("text such as `{longest}`: if these are numbers, say how they are written"))
    } else {
        None
    })
}

fn first_rows(table: &Table) -> Result<Table> {
    table.of_rows(&(0..table.rows().min(LOOKED_AT)).collect::<Vec<_>>())
}

/// The first of a column's texts that are not empty.
fn first_cells(table: &Table, name: &str) -> Result<Vec<String>> {
    let cells = first_rows(table)?.strings(name)?;
    Ok(cells.iter().map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect())
}

/// Rows, and columns, that a look at texts is worth.
const LOOKED_AT: usize = 32;

/// Digits with signs between and around them that a reader can be told of.
fn looks_like_number(cell: &str) -> bool {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    digits > 0 && cell.chars().all(|c| c.is_ascii_digit() || ".,'_ \u{a0}\u{202f}+-%$€£".contains(c))
}

/// Four digits, two and two, in any order that is in use, with a time behind them or not.
fn looks_like_date(cell: &str) -> bool {
    let date = cell.split(['T', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let whole = |part: &&str| part.len() <= 4 && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(whole) && parts.iter().filter(|part| part.len() == 4).count() == 1
}

/// How many rows are the same as an earlier one. Rows with the same hash are: of 10^6 different rows two have the same
/// once in 10^7 times.
fn copies<T: Copy + Into<f64> + Sync>(x: ArrayView2<T>) -> usize {
    let mix = |hash: u64, v: &T| {
        // Zero has two signs.
        let bits = ((*v).into() + 0.0).to_bits();
        (hash ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    };
    let hash = |row: usize| x.row(row).iter().fold(0x2545_f491_4f6c_dd1d, mix);
    let mut hashes: Vec<u64> = (0..x.nrows()).into_par_iter().map(hash).collect();
    hashes.par_sort_unstable();
    hashes.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

/// Why a column that nobody named is no feature, whatever it holds.
fn unasked(table: &Table, column: &Column) -> Option<&'static str> {
    let name = column.name.as_str();
    if table.excluded().contains(&column.name) {
        Some("excluded")
    } else if table.others().contains(&name) {
        Some("says of its rows, by the set's description, nothing to learn from")
    } else if is_unnamed(table, name) {
        Some("has no name")
    } else if name == WEIGHT && column.kind.is_numeric() {
        Some("the weights of rows, by its name: a feature if it is named")
    } else {
        None
    }
}

/// Whether only this column, or a few, have a name that a writer or the reader made up.
fn is_unnamed(table: &Table, name: &str) -> bool {
    let made_up = |(place, column): (usize, &Column)| {
        let name = column.name.as_str();
        let number = |prefix: &str| name.strip_prefix(prefix).is_some_and(|n| n.parse::<usize>().is_ok());
        name.trim().is_empty()
            || name == format!("column {}", place + 1)
            || number("Unnamed: ")
            || name.strip_prefix("__index_level_").and_then(|n| n.strip_suffix("__")).is_some()
    };
    let all = table.columns();
    let this = all.iter().position(|c| c.name == name);
    this.is_some_and(|place| made_up((place, &all[place]))) && !all.iter().enumerate().all(made_up)
}

/// The feature that a column makes, or why it makes none.
fn as_feature(
    table: &Table,
    column: &Column,
    wish: &Wish,
    as_names: bool,
    asked: bool,
) -> Result<Result<UsedColumn, String>> {
    let name = column.name.as_str();
    let used = |part, levels| Ok(Ok(UsedColumn { levels, ..UsedColumn::new(name, part) }));
    if as_names {
        return used(Part::Category, None);
    }
    let may_be_names = wish.nominal == Nominal::Auto;
    // A column that nobody named is not worth more than a look at the first rows.
    let looked_at = if asked { table.clone() } else { first_rows(table)? };
    if let Some(moment) = looked_at.moment(name)? {
        if asked && !wish.rows_made && wish.numbers {
            return Ok(Ok(UsedColumn { moment: Some(moment), ..UsedColumn::new(name, Part::Number) }));
        }
        if !(asked && may_be_names) {
            let what = match moment {
                Moment::Local | Moment::Instant => "dates",
                Moment::Clock => "times",
                Moment::Duration => "durations",
            };
            let example = first_cells(table, name)?.first().map_or(String::new(), |cell| format!(" such as {cell}"));
            let but = if wish.rows_made { "" } else { ": used as numbers if they are named" };
            return Ok(Err(format!("{what}{example}{but}")));
        }
    }
    match column.kind {
        ColumnType::Boolean if wish.nominal_truth && may_be_names => used(Part::Category, None),
        kind if kind.is_numeric() && wish.numbers => used(Part::Number, None),
        kind if kind.is_numeric() => Ok(Err("a number, which this method does not read".into())),
        ColumnType::Category if may_be_names => used(Part::Category, None),
        ColumnType::Text if may_be_names => {
            let Categories { codes, names } = table.categories(&column.name, Missing::Keep)?;
            // What is missing has the empty name.
            let missing = names.iter().position(String::is_empty);
            let levels = names.len() - usize::from(missing.is_some());
            let rows = codes.iter().filter(|code| Some(**code as usize) != missing).count();
            if levels > 0 && levels == rows {
                Ok(Err(NAMES_ROWS.into()))
            } else if 2 * levels > rows {
                Ok(Err(format!("free text: {levels} different ones")))
            } else {
                used(Part::Category, Some(levels))
            }
        }
        ColumnType::Text if asked => Ok(Err(told_of_text(table, name)?.unwrap_or_else(|| column.kind.to_string()))),
        kind => Ok(Err(kind.to_string())),
    }
}

/// Those of the columns of whole numbers that only number the rows: each number once and none left out between the
/// least and the largest, or one more step with every row.
///
/// A few rows rule out nearly every column, some more the rest; only what still counts is read whole. (If values were
/// drawn from as many as there are rows, 4 sqrt(n) of them would have no two alike once in e^8 times.)
fn row_numbers<'a>(table: &Table, names: &[&'a str]) -> Result<Vec<&'a str>> {
    let n = table.rows();
    let mut left = names.to_vec();
    if n < FEWEST_NUMBERED {
        left.clear();
    }
    for rows in [16, 4 * (n as f64).sqrt() as usize, n] {
        if left.is_empty() {
            break;
        }
        let some: Vec<usize> = (0..rows.min(n)).collect();
        let x = table.of_rows(&some)?.numeric(&left, Missing::Keep)?;
        let mut columns = x.columns().into_iter();
        left.retain(|_| columns.next().is_some_and(|column| count_up(&column.to_vec(), n)));
    }
    Ok(left)
}

/// Whether some of `n` values go on as numbers of rows do.
fn count_up(values: &[f64], n: usize) -> bool {
    let step = values.get(1).zip(values.first()).map_or(0.0, |(second, first)| second - first);
    if step != 0.0 && values.windows(2).all(|pair| pair[1] - pair[0] == step) {
        return true;
    }
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if values.iter().any(|v| v.is_nan()) || high - low > (n - 1) as f64 {
        return false;
    }
    let mut seen = vec![false; n];
    values.iter().all(|v| !std::mem::replace(&mut seen[(v - low) as usize], true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(csv: &str) -> Table {
        Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[]).unwrap()
    }

    fn wish() -> Wish<'static> {
        Wish { numbers: true, ..Wish::default() }
    }

    fn left_out(chosen: &ColumnUse) -> Vec<(&str, &str)> {
        chosen.left_out.iter().map(|out| (out.name.as_str(), out.why.as_str())).collect()
    }

    #[test]
    fn columns_get_their_parts_or_a_reason() {
        let mut csv = String::from(",id,shuffled,age,city,key,day,price,y\n");
        for i in 0..40 {
            let price = if i % 2 == 0 { "\"1,250\"".to_owned() } else { i.to_string() };
            let city = ["Rome", "Oslo"][i % 2];
            csv.push_str(&format!(
                "{},{},{},{},{city},k{i},2024-01-{:02},{price},{}\n",
                i * 3 % 40,
                100 + i,
                (i * 7) % 40,
                i % 9,
                i % 28 + 1,
                i % 2
            ));
        }
        let table = table(&csv);
        let chosen = ColumnUse::choose(&table, &Wish { parts: vec![("y", Part::Target)], ..wish() }).unwrap();
        assert_eq!(chosen.names(Part::Number), ["age", "price"]);
        assert_eq!(chosen.names(Part::Category), ["city"]);
        assert_eq!(chosen.names(Part::Target), ["y"]);
        let expected = [
            ("column 1", "has no name"),
            ("id", "numbers the rows"),
            ("shuffled", "numbers the rows"),
            ("key", "a different text in every row"),
            ("day", "dates such as 2024-01-01: used as numbers if they are named"),
        ];
        assert_eq!(left_out(&chosen), expected);

        let features = ["id", "city", "column 1"].map(str::to_owned);
        let chosen = ColumnUse::choose(&table, &Wish { features: &features, ..wish() }).unwrap();
        assert_eq!(chosen.used.iter().map(|used| used.name.as_str()).collect::<Vec<_>>(), ["id", "city", "column 1"]);
        assert!(chosen.left_out.iter().all(|out| out.why == "not named"));
        let key = ["key".to_owned()];
        assert!(ColumnUse::choose(&table, &Wish { features: &key, ..wish() }).is_err());
        let numbers = Wish { nominal: Nominal::Named(Vec::new()), ..wish() };
        assert_eq!(ColumnUse::choose(&table, &numbers).unwrap().names(Part::Number), ["age", "price", "y"]);
    }

    #[test]
    fn dates_are_numbers_if_they_are_named() {
        let rows = |i: usize| format!("2024-07-{:02},{}/07/2024,PT{i}M,{}\n", i % 5 + 1, i % 5 + 10, i % 3);
        let table = table(&format!("day,other,took,n\n{}", (0..30).map(rows).collect::<String>()));
        let chosen = ColumnUse::choose(&table, &wish()).unwrap();
        assert_eq!((chosen.names(Part::Number), chosen.names(Part::Category)), (vec!["n"], vec!["other"]));
        let expected = [
            ("day", "dates such as 2024-07-01: used as numbers if they are named"),
            ("took", "durations such as PT0M: used as numbers if they are named"),
        ];
        assert_eq!(left_out(&chosen), expected);
        let named = ["took", "day"].map(str::to_owned);
        let chosen = ColumnUse::choose(&table, &Wish { features: &named, ..wish() }).unwrap();
        let used: Vec<_> = chosen.used.iter().map(|used| (used.name.as_str(), used.part, used.moment)).collect();
        let expected = [("took", Part::Number, Some(Moment::Duration)), ("day", Part::Number, Some(Moment::Local))];
        assert_eq!(used, expected);
        // Where new rows are made, a date that is named is a name or nothing.
        let without = Wish { features: &named[1..], rows_made: true, ..wish() };
        assert_eq!(ColumnUse::choose(&table, &without).unwrap().names(Part::Category), ["day"]);
        let numbers = Nominal::Named(Vec::new());
        let error = |features: &[String], rows_made| {
            let wish = Wish { features, rows_made, nominal: numbers.clone(), ..wish() };
            ColumnUse::choose(&table, &wish).unwrap_err().to_string()
        };
        assert!(error(&named[1..], true).contains("dates such as 2024-07-01"));
        let other = error(&["other".to_owned()], false);
        assert!(other.contains("10/07/2024") && other.contains("year first"), "{other}");
    }

    #[test]
    fn row_numbers_are_used_where_there_is_nothing_else() {
        let rows: String = (1..=12).map(|i| format!("{i},{}\n", i % 2)).collect();
        let table = table(&format!("x,y\n{rows}"));
        let chosen = ColumnUse::choose(&table, &Wish { parts: vec![("y", Part::Target)], ..wish() }).unwrap();
        assert_eq!(chosen.names(Part::Number), ["x"]);
        assert!(chosen.warnings[0].contains("`x` only numbers the rows"), "{:?}", chosen.warnings);
    }

    #[test]
    fn excluded_columns_are_no_features_and_cannot_be_named() {
        let table = table("a,b,y\n1,2,0\n4,5,1\n").without(&["b".to_owned()]).unwrap();
        let chosen = ColumnUse::choose(&table, &Wish { parts: vec![("y", Part::Target)], ..wish() }).unwrap();
        assert_eq!((chosen.names(Part::Number), left_out(&chosen)), (vec!["a"], vec![("b", "excluded")]));
        let named = ["b".to_owned()];
        assert!(ColumnUse::choose(&table, &Wish { features: &named, ..wish() }).is_err());
    }

    #[test]
    fn copies_are_counted() {
        let x = ndarray::array![[1.0, 0.0], [2.0, 1.0], [1.0, -0.0], [1.0, 0.0], [0.0, 1.0]];
        assert_eq!(copies(x.view()), 2);
        let x =
            ndarray::Array2::from_shape_fn((500, 2), |(i, j)| if j == 0 { (i % 25) as f64 } else { (i / 25) as f64 });
        assert_eq!(copies(x.view()), 0);
    }

    #[test]
    fn what_counts_the_rows() {
        for (values, n, expected) in [
            (vec![0.0, 1.0, 2.0], 3, true),
            (vec![9.0, 6.0, 3.0], 3, true),
            (vec![2.0, 4.0, 3.0], 3, true),
            (vec![2.0, 5.0, 3.0], 3, false),
            (vec![2.0, 2.0, 2.0], 3, false),
            (vec![1.0, f64::NAN, 3.0], 3, false),
            (vec![5.0, 900.0, 17.0], 1000, true),
        ] {
            assert_eq!(count_up(&values, n), expected, "{values:?}");
        }
    }

    #[test]
    fn no_built_in_set_loses_a_column() {
        for set in crate::data::builtin::list() {
            let table = Table::open(&format!("builtin:{}", set.name), &[]).unwrap();
            let chosen =
                ColumnUse::choose(&table, &Wish { parts: vec![(set.target, Part::Target)], ..wish() }).unwrap();
            let lost =
                chosen.left_out.iter().filter(|out| out.why.contains("numbers the rows") || out.why.contains("name"));
            assert_eq!(lost.count(), 0, "{}: {:?}", set.name, chosen.left_out);
            assert!(chosen.warnings.is_empty(), "{}: {:?}", set.name, chosen.warnings);
        }
    }
}
