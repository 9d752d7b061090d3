//! Columns of names: categories and lists of labels.

use super::Table;
use crate::{Missing, cell, json};
use quadrat_core::{Lists, Result};
use std::collections::HashMap;

/// A column of categories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// Category of each row: an index into `names`.
    pub codes: Vec<u32>,
    /// The categories in order: by value where all are numbers, else by their characters.
    pub names: Vec<String>,
}

/// A column of label lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// Labels of each row: indices into `names`, ascending, each once.
    pub rows: Lists,
    /// The labels in order: by value where all are numbers, else by their characters.
    pub names: Vec<String>,
}

impl Table {
    /// A column as categories, whatever its type: numbers count as equal when they are spelt alike. Empty texts and the
    /// usual spellings of a missing value (`NA`, `None`, `?`) are missing here.
    ///
    /// # Errors
    /// An unknown column; a missing value unless `missing` keeps it as the category with the empty name.
    pub fn categories(&self, name: &str, missing: Missing) -> Result<Categories> {
        let column = self.index(name)?;
        let parts = self.each_part(name, |(names, codes): &mut (Names, Vec<u32>), row, text| {
            let value = text.as_deref().filter(|text| !self.codes.mean_missing(text));
            if value.is_none() && missing == Missing::Error {
                return Err(self.missing(row, column));
            }
            codes.push(names.code(value.unwrap_or_default()));
            Ok(())
        })?;
        let (names, renamed) = Names::merge(parts.iter().map(|(names, _)| names));
        let codes = parts.iter().zip(renamed).flat_map(|((_, codes), new)| codes.iter().map(move |c| new[*c as usize]));
        Ok(Categories { codes: codes.collect(), names })
    }

    /// A column of label lists: lists of texts or numbers, or texts that hold a JSON list or labels between
    /// separators. Without a given `separator` it is the first of `|`, `;` and `,` that the column holds. Spaces around
    /// labels don't count; a missing value is a row without labels.
    ///
    /// # Errors
    /// An unknown column; a text that starts with `[` and is no JSON list of texts and numbers.
    pub fn labels(&self, name: &str, separator: Option<&str>) -> Result<Labels> {
        let column = self.index(name)?;
        let separator = match separator {
            Some(separator) => separator,
            None => self.usual_separator(name)?,
        };
        let parts = self.each_part(name, |(names, rows): &mut (Names, Lists), row, text| {
            let text = text.as_deref().map_or("", str::trim);
            let text = if self.codes.mean_missing(text) { "" } else { text };
            let labels: Vec<String> = if text.starts_with('[') {
                json::labels(text).ok_or_else(|| {
                    self.error(row, column, "a list must be JSON: [\"a\", \"b\"], of texts or numbers")
                })?
            } else if separator.is_empty() {
                vec![text.to_owned()]
            } else {
                text.split(separator).map(|label| label.trim().to_owned()).collect()
            };
            rows.push(labels.iter().filter(|l| !l.is_empty()).map(|l| names.code(l)));
            Ok(())
        })?;
        let (names, renamed) = Names::merge(parts.iter().map(|(names, _)| names));
        let items = parts.iter().map(|(_, rows)| rows.items().len()).sum();
        let mut rows = Lists::with_capacity(self.rows(), items);
        let mut own = Vec::new();
        for ((_, part), new) in parts.into_iter().zip(renamed) {
            for row in part.iter() {
                own.extend(row.iter().map(|label| new[*label as usize]));
                own.sort_unstable();
                own.dedup();
                rows.push(own.drain(..));
            }
        }
        Ok(Labels { rows, names })
    }

    /// The first of the usual separators that a column of texts holds; none when labels come as lists or alone.
    fn usual_separator(&self, name: &str) -> Result<&'static str> {
        const USUAL: [&str; 3] = ["|", ";", ","];
        let parts = self.each_part(name, |found: &mut [bool; 3], _, text| {
            let text = text.as_deref().filter(|text| !text.trim_start().starts_with('['));
            for (found, separator) in found.iter_mut().zip(USUAL) {
                *found |= text.is_some_and(|text| text.contains(separator));
            }
            Ok(())
        })?;
        Ok((0..3).find(|&s| parts.iter().any(|found| found[s])).map_or("", |s| USUAL[s]))
    }
}

/// Names numbered as they come.
#[derive(Default)]
struct Names {
    codes: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn code(&mut self, name: &str) -> u32 {
        if let Some(&code) = self.codes.get(name) {
            return code;
        }
        let code = self.names.len() as u32;
        self.codes.insert(name.to_owned(), code);
        self.names.push(name.to_owned());
        code
    }

    /// All names in order, and each part's numbers among them.
    fn merge<'a>(parts: impl Iterator<Item = &'a Names> + Clone) -> (Vec<String>, Vec<Vec<u32>>) {
        let mut names: Vec<&String> = parts.clone().flat_map(|p| &p.names).collect();
        names.sort_unstable();
        names.dedup();
        let numbers: Option<Vec<f64>> = names.iter().map(|n| cell::parse_float(n.trim())).collect();
        if let Some(numbers) = numbers {
            let mut by_value: Vec<(f64, &String)> = numbers.into_iter().zip(names).collect();
            by_value.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
            names = by_value.into_iter().map(|(_, name)| name).collect();
        }
        let place: HashMap<&str, u32> = names.iter().enumerate().map(|(i, n)| (n.as_str(), i as u32)).collect();
        let renamed = parts.map(|p| p.names.iter().map(|n| place[n.as_str()]).collect()).collect();
        (names.into_iter().cloned().collect(), renamed)
    }
}
