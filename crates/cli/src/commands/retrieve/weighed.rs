//! Documents that come with their words' weights, into an index of impacts.

use super::documents::{self, Fields};
use super::index::{Add, MakeIndex, add_all};
use super::size::Size;
use crate::commands::work;
use crate::output::{Reply, count};
use crate::parameters::choice;
use crate::reading::Reading;
use clap::Args;
use quadrat::retrieval::{Analyser, Asked, Document, Impacts, Index, Kind, Setup, WeighedDocument, Writer};
use quadrat::{Error, Progress, Result, write_atomic_folder};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

/// Where the documents' weights come from.
#[derive(Args, Debug)]
pub struct DocumentWeights {
    /// For an index of impacts: the column of each document's words and weights, as in {"cat": 1.5, "mat": 0.7}
    #[arg(long, value_name = "COLUMN")]
    pub weights: Option<String>,
    /// For an index of impacts: what a word that is asked weighs, each once [default: idf]
    #[arg(long, value_name = "NAME", value_parser = choice::<Asked>())]
    pub query_weights: Option<Asked>,
}

impl DocumentWeights {
    /// That none of the options is given.
    pub fn check_none(&self) -> Result<()> {
        let given = [("--weights", self.weights.is_some()), ("--query-weights", self.query_weights.is_some())];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Error::input("option", format!("`{option}`"), "it belongs to --kind impacts")),
            None => Ok(()),
        }
    }
}

/// Documents with weights, and the columns they come from.
struct Weighed {
    id: String,
    text: Vec<String>,
    all: Vec<WeighedDocument>,
    empty: usize,
}

/// Makes an index.
pub fn make(args: &MakeIndex, analyser: Analyser, started: Instant, progress: &dyn Progress) -> Result<Reply> {
    let column = args.weights.weights.as_deref().ok_or_else(|| {
        Error::input("--weights", "nothing", "name the column that holds each document's words and weights")
    })?;
    let read = Weighed::read(&args.input, &args.reading, &args.fields, None, (column, analyser))?;
    let weights = read.all.iter().flat_map(|document| document.weights.iter().map(|(_, weight)| *weight));
    let largest = weights.filter(|weight| weight.is_finite()).fold(0.0, f32::max);
    let impacts = Impacts::up_to(largest, args.weights.query_weights.unwrap_or(Asked::Idf))?;
    let kind = Kind::Impacts { analyser, impacts, column: column.to_owned() };
    let (added, empty) = (read.all.len(), read.empty);
    let index = write_atomic_folder(&args.out, |folder| {
        let mut writer = Writer::create(folder, Setup { kind, id: read.id, text: read.text })?;
        add_all(read.all, progress, |block| writer.add_weighed(block))?;
        writer.commit()
    })?;
    let value = json!({ "added": added, "empty": empty, "step": impacts.step });
    Ok(Size::of_words(&index).reply(&args.out, format!("{} documents", count(added)), started, value))
}

/// Adds documents to the index that `setup` is of.
pub fn add(args: &Add, setup: &Setup, progress: &dyn Progress) -> Result<(Index, usize, usize)> {
    let Kind::Impacts { analyser, column, .. } = &setup.kind else {
        return Err(Error::input("index", args.index.display(), "an index of impacts"));
    };
    let mut writer = Writer::open(&args.index)?;
    let read = Weighed::read(&args.input, &args.reading, &args.fields, Some(setup), (column, *analyser))?;
    let (added, empty) = (read.all.len(), read.empty);
    add_all(read.all, progress, |block| writer.add_weighed(block))?;
    Ok((writer.commit()?, added, empty))
}

impl Weighed {
    /// Reads a file's rows; what is not named is as in `setup`.
    fn read(
        input: &str,
        reading: &Reading,
        fields: &Fields,
        setup: Option<&Setup>,
        (column, analyser): (&str, Analyser),
    ) -> Result<Weighed> {
        let table = work::read(input, reading)?;
        let usual = setup.map(|setup| (setup.id.as_str(), setup.text.as_slice()));
        let id = documents::id_column(&table, fields, usual)?;
        // Texts are only shown, so that they may be missing.
        let text = match work::listed("--text", &fields.text, &table)? {
            named if named.is_empty() => setup.map_or_else(Vec::new, |setup| setup.text.clone()),
            named => named,
        };
        let (ids, texts) = (documents::ids(&table, &id)?, table.paragraphs(&text)?);
        let mut all = Vec::with_capacity(ids.len());
        let mut strange: HashSet<String> = HashSet::new();
        for (row, ((id, text), cell)) in ids.into_iter().zip(texts).zip(table.strings(column)?).enumerate() {
            let weights: BTreeMap<String, f32> = match cell.trim() {
                "" => BTreeMap::new(),
                cell => serde_json::from_str(cell).map_err(|e| {
                    let why = format!(
                        "{e} in `{column}`: weights are words and numbers, as in {{\"cat\": 1.5, \"mat\": 0.7}}"
                    );
                    Error::data(table.name(), table.line(row), why)
                })?,
            };
            strange.extend(weights.keys().filter(|word| !is_asked(word, analyser)).cloned());
            all.push(WeighedDocument { document: Document { id, text }, weights: weights.into_iter().collect() });
        }
        if let Some(first) = strange.iter().min() {
            eprintln!(
                "quadrat: note: {} of the words are none that a question is split into, such as `{first}`: no question finds them",
                count(strange.len())
            );
        }
        let empty = all.iter().filter(|document| document.weights.iter().all(|(_, weight)| *weight == 0.0)).count();
        if empty > 0 {
            eprintln!("quadrat: note: {} documents have no word: no question finds them", count(empty));
        }
        Ok(Weighed { id, text, all, empty })
    }
}

/// Whether a question can have this word.
fn is_asked(word: &str, analyser: Analyser) -> bool {
    let (mut found, mut count) = (false, 0);
    analyser.words(word, |part| {
        found |= part == word;
        count += 1;
    });
    found && count == 1
}
