//! How much memory is free, how much a run takes, and how much one will take where its method can tell.

use crate::App;
use crate::command::Form;
use crate::files::Column;
use crate::problem::Answer;
use quadrat::Params;
use serde::Serialize;

/// Of free memory this share is left to everything else.
const SHARE: f64 = 0.9;

/// What is known of a run's cost before it starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// In words.
    pub text: String,
    /// Bytes, where they can be told.
    pub bytes: Option<f64>,
    /// Whether they are free.
    pub fits: bool,
}

impl App {
    /// What a filled-in form will cost. Selectors can tell; of all others the card says how time and memory grow.
    pub(crate) fn estimate(&self, form: &Form) -> Answer<Estimate> {
        let given = |name: &str| form.values.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let unknown = |text: &str| Estimate { text: text.to_owned(), bytes: None, fits: true };
        if form.verb != "select" {
            return Ok(unknown(
                "No estimate is known for this verb; a run that takes more memory than is free is stopped.",
            ));
        }
        let (Some(method), Some(input), Some(budget)) = (given("method"), given("in"), given("budget")) else {
            return Ok(unknown("Choose a file and a budget to see what the run will cost."));
        };
        let table = self.describe(input)?;
        let rows = table.rows;
        let columns = match (given("text-dim"), given("text"), given("features")) {
            (Some(dims), Some(_), _) => dims.parse().unwrap_or(64),
            (None, Some(_), _) => 64,
            (_, None, Some(features)) => features.split(',').count(),
            _ => {
                let used = |column: &&Column| column.numeric && given("target") != Some(column.name.as_str());
                table.columns.iter().filter(used).count()
            }
        };
        let chosen = match budget.strip_suffix('%') {
            Some(share) => share.trim().parse::<f64>().ok().map(|share| (share / 100.0 * rows as f64) as usize),
            None => budget.parse().ok(),
        };
        let Some(chosen) = chosen.filter(|chosen| (1..=rows).contains(chosen)) else {
            return Ok(unknown(&format!("budget: got {budget}; use 1 to {rows} rows, or a share such as 2%")));
        };
        let declared = quadrat::find(&quadrat::catalogue(), method)?.params;
        let params: Params =
            declared.iter().filter_map(|param| given(param.name).map(|value| (param.name, value))).collect();
        let cost = quadrat::select::build(method, &params)?.cost(rows, columns, chosen);
        let bytes = cost.bytes + 8.0 * rows as f64 * columns as f64;
        let room = free();
        let fits = room.is_none_or(|room| bytes <= room);
        let there = room.map_or_else(String::new, |room| format!(", of {} that a run may take", size(room)));
        let text = format!(
            "About {:.0e} operations and {} of memory{there}, for {rows} rows of {columns} numbers.",
            cost.operations,
            size(bytes)
        );
        Ok(Estimate { text, bytes: Some(bytes), fits })
    }
}

/// Bytes that a run may take; none where the system does not tell.
pub fn free() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    kilobytes(&text, "MemAvailable:").map(|free| SHARE * free)
}

/// Bytes that a program takes.
pub fn used(process: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    kilobytes(&text, "VmRSS:")
}

fn kilobytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| 1024.0 * kilobytes)
}

/// Why a run was stopped.
pub fn too_much(used: f64, room: f64) -> String {
    format!(
        "it took {} of memory where {} were free, and was stopped before the machine stood still",
        size(used),
        size(room)
    )
}

/// Bytes as one says them.
pub fn size(bytes: f64) -> String {
    let (mut value, mut unit) = (bytes, 0);
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.*} {}", usize::from(value < 10.0 && unit > 0), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!([size(12.0), size(1500.0), size(2.5e9), size(3e16)], ["12 B", "1.5 kB", "2.5 GB", "30000 TB"]);
    }

    #[test]
    fn the_system_is_understood() {
        assert_eq!(kilobytes("MemTotal: 10 kB\nMemAvailable:   2 kB\n", "MemAvailable:"), Some(2048.0));
        assert_eq!(kilobytes("", "VmRSS:"), None);
    }
}
