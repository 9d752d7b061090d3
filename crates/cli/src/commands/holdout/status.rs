//! `quadrat holdout status`: what was asked, and what is left.

use super::{Status, exposed, given, left, promise};
use crate::output::{self, Reply, count, figure, table, wrap};
use quadrat::Result;
use quadrat::estimate::adaptive_data_analysis::{Entry, Ledger, QueryMechanism, Recorded};
use serde_json::{Value, json};

pub fn status(args: &Status) -> Result<Reply> {
    let ledger = Ledger::read(&args.ledger)?;
    let method = ledger.mechanism().name();
    let about = &ledger.header().about;
    let rows = |key: &str| about.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let train = about.get("train").and_then(Value::as_u64).unwrap_or(0) as usize;
    let held_out = rows("order").saturating_sub(train);
    let spent = ledger.entries().iter().filter(|entry| entry.answer.spent).count();
    let mut text = format!(
        "{method}: {} rows held out, {} for training\nanswered: {}, of which {} cost a part of the budget; answers left: {}\n",
        count(held_out),
        count(train),
        count(ledger.entries().len()),
        count(spent),
        left(ledger.remaining())
    );
    text.push_str(&wrap(&promise(method, ledger.guarantee()), 0, 100));
    if ledger.torn() {
        text.push_str("a last line was torn by a kill; its answer was never given, and the next question drops it\n");
    }
    if ledger.exposed() {
        text.push_str(&wrap(&exposed(&args.ledger), 0, 100));
    }
    let shown = |entry: &Entry| given(&Recorded { entry: entry.clone(), cached: true }, method);
    const LAST: usize = 20;
    let head = ["answer", "question", "value", "from"].map(str::to_owned).to_vec();
    let skipped = ledger.entries().len().saturating_sub(LAST);
    let lines = ledger.entries()[skipped..].iter().map(|entry| {
        let source = format!("{:?}", entry.answer.source).to_lowercase();
        vec![count(entry.n as usize + 1), entry.what.clone(), figure(shown(entry).value), source]
    });
    if !ledger.entries().is_empty() {
        text.push_str(&table(&std::iter::once(head).chain(lines).collect::<Vec<_>>(), &[0, 2]));
    }
    let answers = ledger.entries().iter().map(|entry| {
        let given = shown(entry);
        json!({
            "number": entry.n + 1, "question": entry.what, "value": given.value, "half_width": given.half_width,
            "source": entry.answer.source, "spent": entry.answer.spent, "time": entry.time,
        })
    });
    let value = json!({
        "method": method,
        "target": about.get("target"),
        "train_rows": train,
        "holdout_rows": held_out,
        "created": ledger.header().created,
        "answered": ledger.entries().len(),
        "spent": spent,
        "remaining": ledger.remaining(),
        "guarantee": output::json(&ledger.guarantee())?,
        "torn": ledger.torn(),
        "exposed": ledger.exposed(),
        "answers": answers.collect::<Vec<_>>(),
    });
    Ok(Reply::new(text, value))
}
