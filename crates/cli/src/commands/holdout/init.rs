//! `quadrat holdout init`: a labelled file -> a new ledger, and a file for the team.

use super::{About, Init, complete, default_budget, hash, left, missing, promise};
use crate::commands::held_back::HoldBack;
use crate::commands::{roles, work};
use crate::output::{self, Reply, check_place, count, wrap};
use quadrat::data::{Categories, Column, ColumnType, Format, Missing, Table, Values, write_resampled};
use quadrat::estimate::adaptive_data_analysis::{
    Certified, Ladder, Ledger, Mechanism, MechanismKind, Naive, Noise, NoiseAddition, Pmw, QueryMechanism, Split,
    Thresholdout, secret_seed,
};
use quadrat::held_out::{Domain, HeldOut, Seen, each_once};
use quadrat::{Choice, ColumnUse, Error, Part, Result, Target, TargetKind, Wish, check_vacant};
use serde_json::json;
use std::path::Path;

pub fn init(args: &Init) -> Result<Reply> {
    check_options(args)?;
    check_vacant(&args.ledger)?;
    let (table, dropped) = complete(work::read(&args.input, &args.reading)?, args.reading.on_missing()?)?;
    if let Some(path) = &args.publish {
        check_publish(args, &table, path)?;
    }
    let about = about(args, &table)?;
    let rows = &about.held_out;
    let mechanism = mechanism(args, &about, &table)?;
    if let (Some(path), Some(target)) = (&args.publish, &args.target) {
        publish(&table, target, rows, path)?;
    }
    let mut uses = uses(args, &table, rows)?;
    uses.warnings.extend(dropped);
    let held_out = rows.order.len() - rows.train;
    let (name, guarantee, remaining) = (mechanism.name(), mechanism.guarantee(), mechanism.remaining());
    Ledger::create(&args.ledger, mechanism, output::json(&about)?)?;
    let mut text = format!(
        "{name}: {} rows held out of {}, {} for training\n",
        count(held_out),
        count(rows.order.len()),
        count(rows.train)
    );
    text.push_str(&format!("answers left: {}\n", left(remaining)));
    text.push_str(&wrap(&promise(name, guarantee), 0, 100));
    text.push_str(&format!("wrote {}: keep it from those who ask\n", args.ledger.display()));
    if let Some(path) = &args.publish {
        text.push_str(&format!("wrote {}: for those who ask\n", path.display()));
    }
    let mut value = json!({
        "method": name,
        "rows": rows.order.len(),
        "train_rows": rows.train,
        "holdout_rows": held_out,
        "remaining": remaining,
        "guarantee": output::json(&guarantee)?,
        "ledger": args.ledger,
        "publish": args.publish,
    });
    roles::tell(&table, &uses, &mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// What the columns are used as before anything is asked.
fn uses(args: &Init, table: &Table, rows: &HeldOut) -> Result<ColumnUse> {
    let named =
        [(&args.target, Part::Target), (&args.id, Part::Name), (&args.groups, Part::Group), (&args.time, Part::Time)];
    let parts = named.into_iter().filter_map(|(name, part)| Some((name.as_deref()?, part)));
    let domain = rows.domain.iter().map(|domain| (domain.column.as_str(), Part::Category));
    let unread = match args.method {
        MechanismKind::Pmw => "not in --domain: cannot be asked about",
        _ => "read only if a question names it",
    };
    let wish = Wish { parts: parts.chain(domain).collect(), unread: Some(unread), ..Wish::default() };
    let mut uses = ColumnUse::choose(table, &wish)?;
    if let Some(target) = &args.target {
        let classes = Categories { codes: rows.labels.clone(), names: rows.classes.clone() };
        uses.look_at_classes(target, &classes);
    }
    rows.domain.iter().for_each(|domain| uses.count_levels(&domain.column, domain.values.len()));
    Ok(uses)
}

/// That no option of another method is given.
fn check_options(args: &Init) -> Result<()> {
    use MechanismKind::{Gaussian, Ladder, Laplace, Naive, Pmw, Split, Thresholdout};
    let counted = args.certified || args.step.as_deref().is_some_and(|step| step != "auto");
    let of: [(bool, &str, &[MechanismKind]); 5] = [
        (args.budget.is_some(), "--budget", &[Thresholdout]),
        (args.certified, "--certified", &[Thresholdout, Pmw]),
        (args.step.is_some(), "--step", &[Ladder]),
        (!args.domain.is_empty(), "--domain", &[Pmw]),
        (args.promise.given("queries").is_some() && !counted, "--queries", &[Gaussian, Laplace, Split]),
    ];
    for (given, option, methods) in of {
        if given && !methods.contains(&args.method) {
            let names: Vec<String> = methods.iter().map(|m| format!("--method {}", m.name())).collect();
            let more = if option == "--queries" { ", --certified or --step planned" } else { "" };
            return Err(Error::input("option", option, format!("it belongs to {}{more}", names.join(" and "))));
        }
    }
    if args.promise.given("confidence").is_some()
        && (args.method == Naive || args.promise.given("queries").is_none() && !counted)
    {
        let fixed = [Gaussian, Laplace, Split].contains(&args.method);
        if !fixed {
            let want = "it belongs to a method that certifies: gaussian, laplace, split, --certified, --step planned";
            return Err(Error::input("option", "--confidence", want));
        }
    }
    Ok(())
}

/// The labels, the names of rows, and a random split.
fn about(args: &Init, table: &Table) -> Result<About> {
    let share = args.train_share.unwrap_or(if args.method == MechanismKind::Thresholdout { 0.5 } else { 0.0 });
    if !(0.0..1.0).contains(&share) {
        return Err(Error::input("--train-share", share, "use 0 or more and less than 1"));
    }
    let rows = table.rows();
    if u32::try_from(rows).is_err() {
        return Err(Error::input("rows", rows, "a ledger takes up to 2^32"));
    }
    let (mut labels, mut classes) = (Vec::new(), Vec::new());
    if let Some(target) = &args.target {
        let found = classes_of(table, target)?;
        (labels, classes) = (found.codes, found.names);
    }
    let mut ids = Vec::new();
    if let Some(id) = &args.id {
        ids = table.strings(id)?;
        each_once(&ids, &format!("{}, column `{id}`", table.name()))?;
    }
    let (mut order, train) = order(args, table, share)?;
    // Held-out rows stay in random order, since `split` takes them in turn; training rows have no order.
    order[..train].sort_unstable();
    let named = work::listed("--domain", &args.domain, table)?;
    each_once(&named, "--domain")?;
    let mut domain = Vec::new();
    for column in named {
        let values = table.categories(&column, missing(&args.reading)?)?.names;
        domain.push(Domain { column, values });
    }
    Ok(About {
        input: full_name(&args.input)?,
        sha256: hash(&args.input)?,
        reading: args.reading.clone(),
        held_out: HeldOut {
            target: args.target.clone(),
            classes,
            labels,
            id: args.id.clone(),
            ids,
            order,
            train,
            domain,
        },
    })
}

/// The classes that a target names: predictions of a quantity are never exactly right.
fn classes_of(table: &Table, target: &str) -> Result<Categories> {
    let found = Target::of(table, target, None)?;
    if found.kind == TargetKind::Classes {
        return Ok(found.classes);
    }
    let want = format!(
        "predictions are right or wrong, so the target must name classes: write --types {target}=category if these \
         numbers do, cut a quantity into classes beforehand, or leave --target out and ask for --mean"
    );
    Err(Error::input(format!("--target {target}"), found.said, want))
}

/// The rows to train on, then those held out in random order, and how many the former are.
fn order(args: &Init, table: &Table, share: f64) -> Result<(Vec<u32>, usize)> {
    let (groups, time) = (args.groups.as_deref(), args.time.as_deref());
    let mut order: Vec<u32> = (0..table.rows() as u32).collect();
    secret_seed()?.rng(0).shuffle(&mut order);
    let Some(column) = groups.or(time) else {
        return Ok((order, (share * table.rows() as f64).round() as usize));
    };
    if share == 0.0 {
        let want = "above 0: the column divides the training rows from those held out";
        return Err(Error::input(format!("--train-share, with `{column}`"), share, want));
    }
    let how = HoldBack { share: 1.0 - share, groups, time, all_classes: true, seed: secret_seed()? };
    let Some((split, how)) = how.split(Some(table), None, table.rows())? else {
        return Err(Error::input("--train-share", share, "below 1"));
    };
    for warning in &how.warnings {
        eprintln!("quadrat: note: {warning}");
    }
    // Those held out stay in the order that was drawn.
    let train: std::collections::HashSet<u32> = split.train.iter().map(|row| *row as u32).collect();
    let (mut first, rest): (Vec<u32>, Vec<u32>) = order.into_iter().partition(|row| train.contains(row));
    first.extend(rest);
    Ok((first, train.len()))
}

fn full_name(input: &str) -> Result<String> {
    if input.starts_with("builtin:") {
        return Ok(input.to_owned());
    }
    let path = std::path::absolute(input).map_err(|e| Error::io(input, e))?;
    Ok(path.to_string_lossy().into_owned())
}

fn mechanism(args: &Init, about: &About, table: &Table) -> Result<Mechanism> {
    let (train, rows) = (about.held_out.train, about.held_out.order.len() - about.held_out.train);
    let Certified { queries, confidence } = args.promise.settings()?;
    let beta = 1.0 - confidence;
    let budget = args.budget.unwrap_or(default_budget(rows));
    Ok(match args.method {
        MechanismKind::Thresholdout if args.certified => {
            Thresholdout::planned(train, rows, queries, budget, beta)?.into()
        }
        MechanismKind::Thresholdout => Thresholdout::experiment(train, rows, Some(budget))?.into(),
        MechanismKind::Gaussian => NoiseAddition::planned(Noise::Gaussian, rows, queries, beta)?.into(),
        MechanismKind::Laplace => NoiseAddition::planned(Noise::Laplace, rows, queries, beta)?.into(),
        MechanismKind::Ladder => ladder(args.step.as_deref().unwrap_or("auto"), rows, queries, beta)?.into(),
        MechanismKind::Naive => Naive::new(rows).into(),
        MechanismKind::Split => Split::new(rows, queries, beta)?.into(),
        MechanismKind::Pmw => {
            let counts = about.held_out.counts(table, missing(&about.reading)?)?;
            if args.certified { Pmw::planned(&counts, queries, beta)? } else { Pmw::heuristic(&counts)? }.into()
        }
    })
}

fn ladder(step: &str, rows: usize, queries: u64, beta: f64) -> Result<Ladder> {
    match step {
        "auto" => Ladder::auto(rows, true),
        "planned" => Ladder::planned(rows, queries, beta),
        step => {
            let wrong = |_| Error::input("--step", format!("`{step}`"), "use auto, planned, or a number such as 0.01");
            Ladder::fixed(rows, step.parse().map_err(wrong)?, queries, beta)
        }
    }
}

/// That the file for the team can be written as the file that was read.
fn check_publish(args: &Init, table: &Table, path: &Path) -> Result<()> {
    check_place(path)?;
    let text = |format| matches!(format, Format::Csv | Format::Tsv);
    if !text(table.format()) || !text(Format::of_path(path)?.0) {
        let want = "it is written from .csv or .tsv to .csv or .tsv; `quadrat select --budget 100%` converts";
        return Err(Error::input("--publish", path.display(), want));
    }
    if args.target.is_none() {
        return Err(Error::input("--publish", path.display(), "name the column to leave empty with --target"));
    }
    Ok(())
}

/// All rows as they are, with the target of held-out rows left empty.
fn publish(table: &Table, target: &str, rows: &HeldOut, path: &Path) -> Result<()> {
    let mut columns = Vec::new();
    for Column { name, kind } in table.columns() {
        let values = if name != target && *kind == ColumnType::Text {
            Values::Text(table.strings(name)?)
        } else {
            let Categories { mut codes, mut names } = table.categories(name, Missing::Keep)?;
            if name == target {
                let none = names.iter().position(String::is_empty).unwrap_or(names.len());
                names.resize(names.len().max(none + 1), String::new());
                rows.rows(Seen::HeldOut).iter().for_each(|row| codes[*row as usize] = none as u32);
            }
            Values::Category { codes, names }
        };
        columns.push((name.clone(), values));
    }
    write_resampled(table, &[], &columns, path)
}
