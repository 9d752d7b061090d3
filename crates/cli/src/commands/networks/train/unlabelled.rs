//! `--unlabelled`: rows without labels beside the labelled ones.

use super::Train;
use super::rows::Rows;
use crate::commands::networks::learned::{Source, see};
use crate::output::count;
use quadrat::nn::{Samples, TrainMethod};
use quadrat::{Error, Progress, Result};
use std::path::Path;

/// Labelled rows, as often as it takes to meet each unlabelled row about once in an epoch, and the unlabelled ones.
pub struct Unlabelled {
    pub labelled: Samples,
    pub pool: Samples,
}

impl Unlabelled {
    /// Reads the rows as the labelled ones are read, if any are named or the file has some.
    pub fn read(
        args: &Train,
        rows: &mut Rows,
        methods: &[Box<dyn TrainMethod>],
        progress: &dyn Progress,
    ) -> Result<Option<Self>> {
        let from = match (&args.unlabelled, &rows.bare) {
            (Some(from), _) => from.clone(),
            (None, Some(bare)) => bare.name().to_owned(),
            (None, None) => return Ok(None),
        };
        if !methods.iter().any(|method| method.reads_unlabelled()) {
            let want = "a training method that learns from such rows, such as --method fixmatch";
            return Err(Error::input("--unlabelled", format!("`{from}`"), want));
        }
        if args.unlabelled_ratio == 0 {
            return Err(Error::input("--unlabelled-ratio", 0, "at least 1"));
        }
        let classes = rows.source.class_names()?.len();
        let inputs = match (&rows.bare, &rows.source, &args.unlabelled) {
            (Some(bare), Source::Table(encoder), None) => encoder.rows(bare, progress)?,
            _ => {
                let path = Path::new(&from);
                let (table, images) =
                    if args.images.is_some() { (None, Some(path)) } else { (Some(from.as_str()), None) };
                let seen = see(&rows.source, table, &args.reading, images, false, progress)?;
                rows.warnings.extend(seen.notes);
                seen.samples.inputs
            }
        };
        let nothing = vec![0; inputs.nrows()];
        let pool = Samples::classes(inputs, nothing, classes)?;
        rows.notes.push(format!(
            "{} rows without labels, {} beside each labelled one",
            count(pool.len()),
            args.unlabelled_ratio
        ));
        let labelled = rows.train.len();
        let times = pool.len().div_ceil(args.unlabelled_ratio * labelled.max(1)).max(1);
        let again: Vec<u32> = (0..times).flat_map(|_| 0..labelled as u32).collect();
        Ok(Some(Unlabelled { labelled: rows.train.select(&again), pool }))
    }
}
