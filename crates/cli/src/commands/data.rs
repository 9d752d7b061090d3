//! `quadrat data`: the built-in sets, and what a file holds.

use super::work;
use crate::args::{Data, Reading};
use crate::output::{Reply, count, table, wrap};
use quadrat::Result;
use quadrat::data::builtin;
use serde_json::{Value, json};

/// Lists the built-in sets, or describes a file.
pub fn run(args: &Data) -> Result<Reply> {
    match args {
        Data::List { .. } => Ok(list()),
        Data::Show { input, reading, .. } => show(input, reading),
    }
}

fn list() -> Reply {
    let head = ["name", "rows", "columns", "classes", "target", "about"].map(str::to_owned).to_vec();
    let rows = builtin::list().iter().map(|set| {
        vec![
            set.name.to_owned(),
            count(set.rows),
            set.columns.to_string(),
            set.classes.to_string(),
            set.target.to_owned(),
            set.about.to_owned(),
        ]
    });
    let text = table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[1, 2, 3]);
    let sets: Vec<Value> = builtin::list()
        .iter()
        .map(|set| {
            json!({
                "name": set.name, "about": set.about, "rows": set.rows, "columns": set.columns, "target": set.target,
                "classes": set.classes, "nominal": set.nominal, "others": set.others, "source": set.source,
                "licence": set.licence,
            })
        })
        .collect();
    Reply::new(text + "\nUse one with `--in builtin:NAME`; `quadrat data show builtin:NAME` says more.", sets.into())
}

fn show(input: &str, reading: &Reading) -> Result<Reply> {
    let file = work::read(input, reading)?;
    let set = input.strip_prefix("builtin:").map(builtin::find).transpose()?;
    let mut text = format!("{}: {}, {} rows\n", file.name(), file.format(), count(file.rows()));
    let columns: Vec<Vec<String>> = file.columns().iter().map(|c| vec![c.name.clone(), c.kind.to_string()]).collect();
    text.push_str(&table(&columns, &[]));
    if let Some(set) = set {
        text.push_str(&format!("\n{}\nfrom {}\nlicence: {}", wrap(set.about, 0, 100), set.source, set.licence));
    }
    let columns: Vec<Value> =
        file.columns().iter().map(|c| json!({ "name": c.name, "type": c.kind.to_string() })).collect();
    let value = json!({
        "input": file.name(),
        "format": file.format().to_string(),
        "rows": file.rows(),
        "columns": columns,
        "notes": file.notes(),
        "licence": set.map(|set| set.licence),
        "source": set.map(|set| set.source),
    });
    Ok(Reply::new(text, value))
}
