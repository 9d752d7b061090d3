//! `--suspects`: the training rows whose labels a method doubts.

use super::rows::Rows;
use crate::output::check_out;
use quadrat::data::images::files;
use quadrat::data::{Table, Values, write_selection};
use quadrat::nn::{Suspect, TrainMethod};
use quadrat::{Error, Result};
use std::path::Path;

/// That the file can be written and a method will have something to say.
pub fn check(path: &Path, methods: &[Box<dyn TrainMethod>]) -> Result<()> {
    if doubted(methods).is_none() {
        let want = "a training method that doubts labels, such as --method elr";
        return Err(Error::input("--suspects", path.display(), want));
    }
    check_out(path)
}

/// Writes the rows: their number in the file (from 0) or their image, the label given, the one proposed, and how sure that is.
pub fn write(path: &Path, methods: &[Box<dyn TrainMethod>], rows: &Rows, images: Option<&Path>) -> Result<()> {
    let suspects = doubted(methods).unwrap_or_default();
    let names = rows.source.class_names()?.to_vec();
    let places: Vec<usize> = suspects.iter().map(|suspect| rows.places[suspect.row as usize]).collect();
    let label =
        |of: fn(&Suspect) -> u32| Values::Category { codes: suspects.iter().map(of).collect(), names: names.clone() };
    let mut columns = vec![
        ("given".to_owned(), label(|s| s.given)),
        ("proposed".to_owned(), label(|s| s.proposed)),
        ("confidence".to_owned(), Values::Float(suspects.iter().map(|s| f64::from(s.confidence)).collect())),
    ];
    if let Some(folder) = images.filter(|path| path.is_dir()) {
        let files = files(folder)?;
        columns
            .insert(0, ("file".to_owned(), Values::Text(places.iter().map(|place| files[*place].clone()).collect())));
    }
    // A table has at least one row; where nothing is doubted none of it is written.
    let lines: String = places.iter().chain(places.is_empty().then_some(&0)).map(|row| format!("{row}\n")).collect();
    let table = Table::from_bytes("suspects.csv", format!("row\n{lines}").into_bytes(), &[])?;
    write_selection(&table, &(0..places.len()).collect::<Vec<_>>(), &columns, path)
}

/// What the methods doubt, of the first that does.
fn doubted(methods: &[Box<dyn TrainMethod>]) -> Option<Vec<Suspect>> {
    methods.iter().find_map(|method| method.suspects())
}
