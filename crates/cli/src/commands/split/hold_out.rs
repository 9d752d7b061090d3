//! `quadrat split --hold-out SHARE`: one training and one test file, stratified by class, by groups or by time.

use super::SplitFile;
use super::ending;
use crate::commands::held_back::{HoldBack, How};
use crate::commands::{roles, work};
use crate::output::{Reply, count};
use crate::report::{Block, Page};
use quadrat::data::Table;
use quadrat::numeric::metrics::Split;
use quadrat::numeric::splits;
use quadrat::select::Selection;
use quadrat::{
    ColumnUse, Error, Part, Progress, Result, Seed, Target, TargetKind, Wish, checkpoint, save_selection,
    write_atomic_folder,
};
use serde_json::json;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Splits, writes both files and says what is on which side.
pub fn run(args: &SplitFile, input: &Table, share: f64, progress: &dyn Progress) -> Result<Reply> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::input("--hold-out", share, "above 0 and below 1"));
    }
    let (mut uses, input) = rows(args, input)?;
    let input = &input;
    let target = args.target.as_deref().map(|name| Target::of(input, name, None)).transpose();
    let target = target.map_err(|e| uses.explained(input, e))?;
    if let Some(target) = target.as_ref().filter(|target| target.kind == TargetKind::Classes) {
        uses.look_at_classes(&target.name, &target.classes);
    }
    let (groups, time, seed) = (args.groups.as_deref(), args.time.as_deref(), Seed(args.run.seed));
    let how = HoldBack { share, groups, time, all_classes: true, seed };
    let with_classes = target.as_ref().filter(|t| t.kind == TargetKind::Classes);
    let classes = with_classes.map(|t| (&t.classes.codes[..], &t.classes.names[..]));
    let none = || Error::input("--hold-out", share, "above 0");
    let split = how.split(Some(input), classes, input.rows()).map_err(|e| uses.explained(input, e))?;
    let (split, How { by, note, mut warnings }) = split.ok_or_else(none)?;
    warnings.extend(copies(input, &split)?);
    checkpoint(progress)?;
    if let Some(out) = &args.out {
        progress.begin("writing", None);
        write_atomic_folder(out, |folder| {
            for (name, rows) in [("train", &split.train), ("test", &split.test)] {
                let path = folder.join(format!("{name}.{}", ending(&args.input, input.format())));
                save_selection(input, &Selection::of(rows.clone()), &path)?;
            }
            Ok(())
        })?;
    }
    for warning in &warnings {
        eprintln!("quadrat: note: {warning}");
    }
    let mut text = format!(
        "{} rows to train on and {} to test on, of {} (seed {})\n{note}\n",
        count(split.train.len()),
        count(split.test.len()),
        input.name(),
        args.run.seed
    );
    let parts = with_classes.map(|target| {
        let of =
            |rows: &[usize]| work::counts(rows.iter().map(|r| target.classes.codes[*r]), target.classes.names.len());
        work::Classes { names: target.classes.names.clone(), before: of(&split.train), after: of(&split.test) }
    });
    if let Some(parts) = &parts {
        text.push_str(&parts.table("train", "test"));
    }
    for path in [&args.out, &args.report].into_iter().flatten() {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    if args.out.is_none() && args.report.is_none() {
        text.push_str("nothing was written: add --out FOLDER (or --json for the row numbers)\n");
    }
    if let Some(path) = &args.report {
        let mut page = Page::new(format!("{} split", input.name()), note.clone());
        page.section("To be known", warnings.iter().map(|warning| Block::Text(warning.clone())));
        page.section("Columns", roles::blocks(&uses));
        let bar = |n: usize| (n as f64, count(n));
        page.section(
            "Classes",
            parts.as_ref().map(|parts| Block::Bars {
                series: vec!["train".to_owned(), "test".to_owned()],
                rows: parts.rows().map(|(name, a, b)| (name.clone(), vec![bar(a), bar(b)])).collect(),
            }),
        );
        page.finish(path, None)?;
    }
    let own = |rows: &[usize]| rows.iter().map(|row| input.row(*row)).collect::<Vec<_>>();
    let mut value = json!({
        "protocol": "hold-out",
        "by": by,
        "note": note,
        "seed": args.run.seed,
        "input": input.name(),
        "train": split.train.len(),
        "test": split.test.len(),
        "warnings": warnings,
        "out": args.out,
        "report": args.report,
    });
    if args.out.is_none() {
        value["rows"] = json!({ "train": own(&split.train), "test": own(&split.test) });
    }
    roles::tell(input, &uses, &mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// What the columns are used as, and the rows that are left where incomplete ones are dropped.
fn rows(args: &SplitFile, input: &Table) -> Result<(ColumnUse, Table)> {
    let on_missing = args.reading.on_missing()?;
    let parts = [(&args.target, Part::Target), (&args.groups, Part::Group), (&args.time, Part::Time)];
    let parts: Vec<(&str, Part)> =
        parts.into_iter().filter_map(|(name, part)| Some((name.as_deref()?, part))).collect();
    let wish = Wish { parts, unread: Some("not read: the split does not depend on it"), ..Wish::default() };
    let mut uses = ColumnUse::choose(input, &wish)?;
    let input = uses.settle(input, on_missing)?;
    Ok((uses, input))
}

/// A warning where rows are on both sides in all their columns. Rows are told apart by 64 bits of hash.
fn copies(table: &Table, split: &Split) -> Result<Option<String>> {
    let mut keys = vec![DefaultHasher::new(); table.rows()];
    for name in table.column_names() {
        keys.iter_mut().zip(table.strings(name)?).for_each(|(key, cell)| cell.hash(key));
    }
    let key = |row: &usize| keys[*row].finish();
    let found = splits::copies(split.train.iter().map(key), split.test.iter().map(key));
    let Some((test, train)) = found.first() else { return Ok(None) };
    let line = |row: usize| table.line(row);
    Ok(Some(format!(
        "{} test rows are exact copies of training rows (line {} of line {}, say): --groups keeps copies on one side",
        count(found.len()),
        line(split.test[*test]),
        line(split.train[*train])
    )))
}
