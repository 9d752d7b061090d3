//! The rows: read, held back in part, weighed and balanced.

use super::Train;
use crate::commands::held_back::{HoldBack, How};
use crate::commands::networks::finetune::check_target;
use crate::commands::networks::learned::{Source, columns_of, complete, read_images, see};
use crate::commands::work;
use crate::output::count;
use crate::parameters::with_parameters;
use quadrat::data::{Categories, Missing, Table};
use quadrat::nn::{Samples, Targets};
use quadrat::numeric::metrics::Split;
use quadrat::numeric::splits;
use quadrat::regularize::classes_of;
use quadrat::{
    ColumnUse, Encoder, Error, Goal, Params, Part, Progress, Result, Seed, Target, TargetKind, Wanted, Wish, balanced,
};
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::path::Path;

/// What is trained on and what judges.
pub struct Rows {
    pub train: Samples,
    /// None if nothing is held back.
    pub held: Option<Samples>,
    pub source: Source,
    pub kind: TargetKind,
    /// How the file was taken.
    pub notes: Vec<String>,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// The number in the file of each training row, before any balancing.
    pub places: Vec<usize>,
    /// How rows were held back, for programs.
    pub split: Value,
    /// Rows of the file that have no label, for methods that learn from such rows.
    pub bare: Option<Table>,
    /// The file and what its columns are used as, where that was chosen.
    pub columns: Option<(Table, ColumnUse)>,
}

/// The number that the file gives to a row, and what to call the row.
type Named<'a> = (&'a dyn Fn(usize) -> usize, &'a dyn Fn(usize) -> String);

impl Rows {
    /// Reads a table or images as the options say, or as the model to go on from sees them. With `few` a label may be missing.
    pub fn read(args: &Train, known: Option<&Source>, few: bool, progress: &dyn Progress) -> Result<Rows> {
        if !(0.0..1.0).contains(&args.validation) {
            return Err(Error::input("--validation", args.validation, "0 to below 1"));
        }
        let mut rows = match (known, &args.images) {
            (Some(known @ Source::Table(encoder)), None) => Rows::of_known_table(args, known, encoder, progress)?,
            (Some(known), _) => {
                let seen = see(known, args.input.as_deref(), &args.reading, args.images.as_deref(), true, progress)?;
                Rows::of_images(args, seen.samples, known.clone())?
            }
            (None, Some(images)) => {
                let (samples, source) = read_images(images, args.size)?;
                Rows::of_images(args, samples, source)?
            }
            (None, None) => Rows::of_table(args, few && args.unlabelled.is_none(), progress)?,
        };
        rows.judge_by(args, progress)?;
        rows.weigh_classes(args)?;
        rows.balance(args, progress)?;
        Ok(rows)
    }

    fn of_images(args: &Train, samples: Samples, source: Source) -> Result<Rows> {
        let classes = source.class_names()?.to_vec();
        let labels = classes_of(&samples)?.to_vec();
        let split = how(args).split(None, Some((&labels, &classes)), samples.len())?;
        let take = |rows: &[usize]| samples.select(&rows.iter().map(|r| *r as u32).collect::<Vec<_>>());
        let (train, held) = match &split {
            Some((split, _)) => (take(&split.train), Some(take(&split.test))),
            None => (samples, None),
        };
        Rows::begun(train, held, source, TargetKind::Classes, split, (&|row| row, &|row| format!("image {row}")))
    }

    /// Rows of a table as a model sees them that was trained before.
    fn of_known_table(args: &Train, known: &Source, encoder: &Encoder, progress: &dyn Progress) -> Result<Rows> {
        check_target(args.target.as_deref(), encoder)?;
        let aside = [&args.weight, &args.groups, &args.time].into_iter().filter_map(|name| name.as_deref());
        let needed: Vec<&str> = encoder.targets.iter().map(String::as_str).chain(aside).collect();
        let (table, gaps) = complete(encoder, named(args.input.as_deref(), "--in")?, &args.reading, &needed)?;
        let targets = encoder.targets(&table)?;
        let (kind, classes) = match (&encoder.wanted, &targets) {
            (Wanted::Classes(names), Targets::Classes { labels, .. }) => {
                (TargetKind::Classes, Some((&labels[..], &names[..])))
            }
            (Wanted::Labels(_), _) => (TargetKind::Labels, None),
            _ => (TargetKind::Numbers, None),
        };
        let split = how(args).split(Some(&table), classes, table.rows())?;
        let (train, held) = parts(args, &table, encoder, split.as_ref().map(|(split, _)| split), progress)?;
        let named: Named = (&|row| table.row(row), &|row| format!("line {}", table.line(row)));
        let mut rows = Rows::begun(train, held, known.clone(), kind, split, named)?;
        rows.warnings.splice(0..0, gaps);
        let uses = columns_of(encoder, &table, true);
        rows.columns = Some((table, uses));
        Ok(rows)
    }

    fn of_table(args: &Train, few: bool, progress: &dyn Progress) -> Result<Rows> {
        let table = work::read(named(args.input.as_deref(), "--in")?, &args.reading)?;
        let targets = work::listed("--target", &[named(args.target.as_deref(), "--target")?.to_owned()], &table)?;
        let (table, bare) = match targets.as_slice() {
            [target] if few => by_label(&table, target)?,
            _ => (table, None),
        };
        let (mut uses, table) = uses(args, &table, &targets)?;
        let wanted = match (args.regression, args.classes, args.labels) {
            (true, ..) => Some(TargetKind::Numbers),
            (_, true, _) => Some(TargetKind::Classes),
            (.., true) => Some(TargetKind::Labels),
            _ => None,
        };
        let explained = |e| uses.explained(&table, e);
        let goal = Goal::of(&table, &targets, wanted).map_err(explained)?;
        let classes = goal.classes().map(|classes| (&classes.codes[..], &classes.names[..]));
        let split = how(args).split(Some(&table), classes, table.rows())?;
        let whole = |split: &Option<(Split, How)>| match split {
            Some((split, _)) => table.of_rows(&split.train),
            None => Ok(table.clone()),
        };
        let encoder = Encoder::fit(&whole(&split)?, &goal, &uses).map_err(explained)?;
        let parted = split.as_ref().map(|(split, _)| split);
        let (train, held) = parts(args, &table, &encoder, parted, progress).map_err(explained)?;
        let gaps = encoder.imputation().notes(&table)?;
        let said = |target: &Target| match target.choice {
            Some(choice) => format!("{}; {choice}", target.said),
            None => target.said.clone(),
        };
        let mut notes: Vec<String> = goal.targets.iter().map(said).collect();
        notes.extend(encoder.notes());
        if let (Some((_, names)), [target]) = (classes, &targets[..]) {
            uses.count_levels(target, names.len());
        }
        let named: Named = (&|row| table.row(row), &|row| format!("line {}", table.line(row)));
        let mut rows = Rows::begun(train, held, Source::Table(encoder), goal.kind, split, named)?;
        rows.notes.splice(0..0, notes);
        rows.warnings.extend(gaps);
        rows.warnings.extend(goal.targets.into_iter().filter_map(|target| target.warning));
        rows.columns = Some((table, uses));
        rows.bare = bare;
        if let Targets::Values(values) = &rows.train.targets
            && rows.kind == TargetKind::Numbers
            && values.columns().into_iter().any(|column| column.iter().all(|v| *v == column[0]))
        {
            rows.warnings
                .push("the target is constant in the training rows: there is nothing to learn of it".to_owned());
        }
        Ok(rows)
    }

    /// Rows with what is said of how they were split.
    fn begun(
        train: Samples,
        held: Option<Samples>,
        source: Source,
        kind: TargetKind,
        split: Option<(Split, How)>,
        (place, name): Named,
    ) -> Result<Rows> {
        let places = match &split {
            Some((split, _)) => split.train.iter().map(|row| place(*row)).collect(),
            None => (0..train.len()).map(place).collect(),
        };
        let (mut notes, mut warnings, mut said) = (Vec::new(), Vec::new(), Value::Null);
        if let (Some((split, how)), Some(held)) = (&split, &held) {
            notes.push(how.note.clone());
            warnings.extend(how.warnings.iter().cloned());
            let copies = splits::copies(keys(&train), keys(held));
            if !copies.is_empty() {
                let some: Vec<String> = copies
                    .iter()
                    .take(3)
                    .map(|(h, t)| format!("{} of {}", name(split.test[*h]), name(split.train[*t])))
                    .collect();
                let more = if copies.len() > some.len() { ", ..." } else { "" };
                let cure = match source {
                    Source::Table(_) => "--groups keeps copies on one side",
                    Source::Images { .. } | Source::Detector(_) => "keep one of each",
                };
                warnings.push(format!(
                    "{} of {} rows held back are exact copies of training rows ({}{more}): they flatter the model; {cure}",
                    count(copies.len()),
                    count(held.len()),
                    some.join(", ")
                ));
            }
            said = json!({ "by": how.by, "copies": copies.len() });
            if let Some(classes) = source.classes() {
                let of = |samples: &Samples| Ok(work::counts(classes_of(samples)?.to_vec(), classes.len()));
                let counts = classes.iter().zip(of(&train)?.into_iter().zip(of(held)?));
                let each = counts.map(|(name, (t, h))| (name.clone(), json!({ "train": t, "held_back": h })));
                said["classes"] = Value::Object(each.collect::<Map<_, _>>());
            }
        }
        Ok(Rows { train, held, source, kind, notes, warnings, places, split: said, bare: None, columns: None })
    }

    /// Read the rows that judge from a file of their own, if one is named.
    fn judge_by(&mut self, args: &Train, progress: &dyn Progress) -> Result<()> {
        let Some(from) = &args.held_back else { return Ok(()) };
        let (input, images) = match args.images {
            Some(_) => (None, Some(Path::new(from))),
            None => (Some(from.as_str()), None),
        };
        let seen = see(&self.source, input, &args.reading, images, true, progress)?;
        let copies = splits::copies(keys(&self.train), keys(&seen.samples)).len();
        if copies > 0 {
            let of = count(seen.samples.len());
            self.warnings.push(format!(
                "{} of {of} rows of {from} are exact copies of training rows: they flatter the model",
                count(copies)
            ));
        }
        self.notes.push(format!("held back: the {} rows of {from}", count(seen.samples.len())));
        self.warnings.extend(seen.notes);
        self.split = json!({ "by": "file", "copies": copies });
        self.held = Some(seen.samples);
        Ok(())
    }

    /// Give rows the weights of their classes.
    fn weigh_classes(&mut self, args: &Train) -> Result<()> {
        if args.class_weights.is_empty() {
            return Ok(());
        }
        let Some(labels) = self.train.labels() else {
            return Err(Error::input("--class-weights", "no classes", "they belong to a target of classes"));
        };
        let classes = self.source.class_names()?;
        let weights: Vec<f64> = match args.class_weights.as_slice() {
            [word] if word == "balanced" => {
                let counts = work::counts(labels.iter().copied(), classes.len());
                let present = counts.iter().filter(|n| **n > 0).count() as f64;
                counts.iter().map(|n| labels.len() as f64 / (present * (*n).max(1) as f64)).collect()
            }
            pairs => class_weights(pairs, classes)?,
        };
        let shown: Vec<String> =
            classes.iter().zip(&weights).take(12).map(|(c, w)| format!("{c}={}", crate::output::figure(*w))).collect();
        self.notes.push(format!(
            "class weights: {}{}",
            shown.join(", "),
            if classes.len() > 12 { ", ..." } else { "" }
        ));
        for samples in std::iter::once(&mut self.train).chain(&mut self.held) {
            let own = |row: usize| samples.weights.as_ref().map_or(1.0, |own| f64::from(own[row]));
            let labels = classes_of(samples)?;
            let all: Vec<f64> = labels.iter().enumerate().map(|(row, c)| weights[*c as usize] * own(row)).collect();
            samples.weigh(&all)?;
        }
        Ok(())
    }

    /// Balance the training rows by the resampler named.
    fn balance(&mut self, args: &Train, progress: &dyn Progress) -> Result<()> {
        let Some(text) = &args.balance else { return Ok(()) };
        let (name, given) = with_parameters("--balance", text)?;
        let card = work::method::<()>("balance", name, &given)?;
        let resampler = quadrat::robust::build(card.slug, &given.into_iter().collect::<Params>())?;
        let names: Vec<String> = (0..self.train.inputs.ncols()).map(|pixel| format!("pixel {pixel}")).collect();
        let blocks: Vec<(&str, Range<usize>, bool)> = match &self.source {
            Source::Table(encoder) => encoder.blocks(),
            Source::Images { .. } | Source::Detector(_) => {
                names.iter().enumerate().map(|(i, n)| (n.as_str(), i..i + 1, false)).collect()
            }
        };
        let before = self.train.len();
        let seed = Seed(args.run.seed).stream("balance");
        self.train = balanced(&self.train, &blocks, resampler.as_ref(), seed, progress)?;
        let after = count(self.train.len());
        self.notes.push(format!("{}: {} training rows became {after}", card.slug, count(before)));
        Ok(())
    }
}

/// The rows of a file that have a label, and those that have none, if there are any.
fn by_label(table: &Table, target: &str) -> Result<(Table, Option<Table>)> {
    let Categories { codes, names } = table.categories(target, Missing::Keep)?;
    let (bare, labelled): (Vec<usize>, Vec<usize>) =
        (0..table.rows()).partition(|row| names[codes[*row] as usize].trim().is_empty());
    if labelled.is_empty() {
        let want = "a label for some rows: at least one of each class";
        return Err(Error::input(format!("{}, target `{target}`", table.name()), "no label in any row", want));
    }
    let bare = if bare.is_empty() { None } else { Some(table.of_rows(&bare)?) };
    Ok((table.of_rows(&labelled)?, bare))
}

/// What an option names, which must be given.
fn named<'a>(given: Option<&'a str>, option: &str) -> Result<&'a str> {
    given.ok_or_else(|| Error::input(option, "nothing", "name it"))
}

/// How rows are to be held back.
fn how(args: &Train) -> HoldBack<'_> {
    HoldBack {
        share: if args.held_back.is_some() { 0.0 } else { args.validation },
        groups: args.groups.as_deref(),
        time: args.time.as_deref(),
        all_classes: args.extend.is_none(),
        seed: Seed(args.run.seed),
    }
}

/// Rows to train on and rows held back, as a network takes them.
fn parts(
    args: &Train,
    table: &Table,
    encoder: &Encoder,
    split: Option<&Split>,
    progress: &dyn Progress,
) -> Result<(Samples, Option<Samples>)> {
    let samples = |table: &Table| match &args.weight {
        Some(weight) => {
            let weights = table.numeric(&[weight], Missing::Error)?.column(0).to_vec();
            encoder.samples(table, progress)?.weighed(&weights)
        }
        None => encoder.samples(table, progress),
    };
    match split {
        Some(split) => Ok((samples(&table.of_rows(&split.train)?)?, Some(samples(&table.of_rows(&split.test)?)?))),
        None => Ok((samples(table)?, None)),
    }
}

/// What the columns are used as, and the rows that are left where incomplete ones are dropped.
fn uses(args: &Train, table: &Table, targets: &[String]) -> Result<(ColumnUse, Table)> {
    let aside = [(&args.weight, Part::Weight), (&args.groups, Part::Group), (&args.time, Part::Time)];
    let aside = aside.into_iter().filter_map(|(name, part)| Some((name.as_deref()?, part)));
    let aside: Vec<(&str, Part)> = aside.collect();
    if let Some(name) = targets.iter().find(|target| aside.iter().any(|(name, _)| name == target)) {
        return Err(Error::input("--target", format!("`{name}`"), "it has another part: weight, groups or time"));
    }
    let features = work::listed("--features", &args.features, table)?;
    let wish = Wish {
        parts: targets.iter().map(|name| (name.as_str(), Part::Target)).chain(aside).collect(),
        features: &features,
        numbers: true,
        nominal_truth: true,
        ..Wish::default()
    };
    let mut uses = ColumnUse::choose(table, &wish)?.in_file_order(table);
    let table = uses.settle(table, args.reading.on_missing()?)?;
    Ok((uses, table))
}

/// The weight of each class from CLASS=WEIGHT entries; 1 for those not named.
fn class_weights(pairs: &[String], classes: &[String]) -> Result<Vec<f64>> {
    let mut weights = vec![1.0; classes.len()];
    for pair in pairs {
        let wrong = |want: String| Error::input("--class-weights", format!("`{pair}`"), want);
        let (name, weight) = pair.rsplit_once('=').ok_or_else(|| wrong("balanced, or CLASS=WEIGHT,...".to_owned()))?;
        let place = classes.iter().position(|class| class == name.trim());
        let place = place.ok_or_else(|| wrong(format!("the classes are {}", classes.join(", "))))?;
        let weight: f64 = weight.trim().parse().map_err(|_| wrong("a number after the =".to_owned()))?;
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(wrong("a weight of 0 or more".to_owned()));
        }
        weights[place] = weight;
    }
    Ok(weights)
}

/// What tells rows apart: the bits of what is learnt from and of what is wanted.
fn keys(samples: &Samples) -> impl Iterator<Item = Vec<u32>> {
    (0..samples.len()).map(|row| {
        let mut key: Vec<u32> = samples.inputs.row(row).iter().map(|v| (v + 0.0).to_bits()).collect();
        match &samples.targets {
            Targets::Classes { labels, .. } => key.push(labels[row]),
            Targets::Values(values) => key.extend(values.row(row).iter().map(|v| (v + 0.0).to_bits())),
        }
        key
    })
}
