//! What a run says of the columns: which it used, as what, and which it left out and why.

use crate::output::{count, wrap};
use crate::report::Block;
use quadrat::data::{Moment, Table};
use quadrat::{ColumnUse, LeftOut, Part, UsedColumn};
use serde_json::{Value, json};

/// Names that a line has room for; of more, only the first and the last are told.
const SHOWN: usize = 8;

/// Says what became of the columns, in `text` and `value`, and on standard error what a user should mind.
pub fn tell(table: &Table, uses: &ColumnUse, text: &mut String, value: &mut Value) {
    for warning in &uses.warnings {
        eprintln!("quadrat: note: {warning}");
    }
    for (heading, line) in lines(uses) {
        text.push_str(&wrap(&format!("{heading}: {line}"), 0, 100));
    }
    value["columns"] = json(uses);
    let mut warnings: Vec<Value> = value["warnings"].as_array().cloned().unwrap_or_default();
    warnings.extend(table.notes().iter().chain(&uses.warnings).map(|warning| json!(warning)));
    value["warnings"] = warnings.into();
}

/// The same for a report.
pub fn blocks(uses: &ColumnUse) -> Vec<Block> {
    let facts = lines(uses).into_iter().map(|(heading, line)| (heading.to_owned(), line)).collect();
    std::iter::once(Block::Facts(facts)).chain(uses.warnings.iter().cloned().map(Block::Text)).collect()
}

/// Every column with its part, or with the reason why it has none.
pub fn json(uses: &ColumnUse) -> Value {
    let used = |column: &UsedColumn| {
        let mut value = json!({ "name": column.name, "as": column.part.name() });
        if let Some(levels) = column.levels {
            value["levels"] = levels.into();
        }
        if let Some(moment) = column.moment {
            value["counts"] = moment.unit().into();
        }
        value
    };
    let left_out = |out: &LeftOut| json!({ "name": out.name, "why": out.why });
    json!({
        "used": uses.used.iter().map(used).collect::<Vec<_>>(),
        "left_out": uses.left_out.iter().map(left_out).collect::<Vec<_>>(),
    })
}

fn lines(uses: &ColumnUse) -> Vec<(&'static str, String)> {
    // Columns that count the same are told together.
    let kind = |used: &UsedColumn| (used.part, used.moment);
    let mut kinds: Vec<(Part, Option<Moment>)> = Vec::new();
    for used in &uses.used {
        if !kinds.contains(&kind(used)) {
            kinds.push(kind(used));
        }
    }
    let of =
        |of: (Part, Option<Moment>)| of_kind(of, &uses.used.iter().filter(|used| kind(used) == of).collect::<Vec<_>>());
    let used: Vec<String> = kinds.into_iter().map(of).collect();
    let mut reasons: Vec<&str> = Vec::new();
    for out in &uses.left_out {
        if !reasons.contains(&out.why.as_str()) {
            reasons.push(&out.why);
        }
    }
    let told = reasons.len().min(SHOWN);
    let mut out: Vec<String> = reasons[..told]
        .iter()
        .map(|why| {
            let names: Vec<&str> = uses.left_out.iter().filter(|o| o.why == *why).map(|o| o.name.as_str()).collect();
            format!("{} ({why})", enumerated(&names))
        })
        .collect();
    let others = uses.left_out.iter().filter(|o| !reasons[..told].contains(&o.why.as_str())).count();
    out.extend((others > 0).then(|| format!("{others} more")));
    let used = if used.is_empty() { "none".to_owned() } else { used.join("; ") };
    let left_out = (!out.is_empty()).then(|| ("columns left out", out.join("; ")));
    std::iter::once(("columns used", used)).chain(left_out).collect()
}

/// `a, b (numbers)`, `city (category, 3 levels)`, `x0 .. x783 (784 numbers)`, `born (number, days since 1970-01-01)`.
fn of_kind((part, moment): (Part, Option<Moment>), used: &[&UsedColumn]) -> String {
    let levels = |used: &UsedColumn| match (used.levels, part) {
        (Some(levels), Part::Target) => format!(", {} classes", count(levels)),
        (Some(levels), Part::Labels) => format!(", {} different ones", count(levels)),
        (Some(levels), _) => format!(", {} levels", count(levels)),
        (None, _) => String::new(),
    };
    let counts = moment.map_or(String::new(), |moment| format!(", {}", moment.unit()));
    let names: Vec<&str> = used.iter().map(|used| used.name.as_str()).collect();
    match (used, part) {
        ([one], _) => format!("{} ({}{}{counts})", one.name, part.name(), levels(one)),
        (all, Part::Number) if all.len() <= SHOWN => format!("{} (numbers{counts})", enumerated(&names)),
        (all, Part::Number) => format!("{} ({} numbers{counts})", enumerated(&names), count(all.len())),
        (all, _) if all.len() <= SHOWN => {
            let each: Vec<String> =
                all.iter().map(|used| format!("{} ({}{})", used.name, part.name(), levels(used))).collect();
            each.join(", ")
        }
        (all, _) => format!("{} ({}, {} columns)", enumerated(&names), part.name(), count(all.len())),
    }
}

fn enumerated(names: &[&str]) -> String {
    match names {
        [first, .., last] if names.len() > SHOWN => format!("{first} .. {last}"),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_tables_take_a_line() {
        let column = |name: String, part, levels| UsedColumn { levels, ..UsedColumn::new(name, part) };
        let mut uses = ColumnUse::default();
        uses.used = (0..784).map(|i| column(format!("x{i}"), Part::Number, None)).collect();
        uses.used.push(column("city".into(), Part::Category, Some(3)));
        uses.used.push(UsedColumn { moment: Some(Moment::Local), ..UsedColumn::new("born", Part::Number) });
        uses.used.push(column("y".into(), Part::Target, Some(10)));
        let out = |name: &str, why: &str| LeftOut { name: name.into(), why: why.into() };
        uses.left_out = vec![out("a", "text"), out("id", "numbers the rows"), out("b", "text")];
        let expected = [
            (
                "columns used",
                "x0 .. x783 (784 numbers); city (category, 3 levels); born (number, days since 1970-01-01); y (target, \
                 10 classes)"
                    .to_owned(),
            ),
            ("columns left out", "a, b (text); id (numbers the rows)".to_owned()),
        ];
        assert_eq!(lines(&uses), expected);
        assert_eq!(json(&uses)["used"][786], json!({ "name": "y", "as": "target", "levels": 10 }));
        assert_eq!(json(&uses)["used"][785]["counts"], "days since 1970-01-01");
        assert_eq!(lines(&ColumnUse::default()), [("columns used", "none".to_owned())]);
    }
}
