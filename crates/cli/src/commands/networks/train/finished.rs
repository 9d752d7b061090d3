//! What is said of a finished training.

use super::Train;
use super::rows::Rows;
use crate::commands::networks::judgement::Judgement;
use crate::commands::roles;
use crate::output::{Reply, count, figure, seconds, table, wrap};
use crate::report::{Block, Page, svg};
use quadrat::nn::{Epoch, Fit, Model, Network, Samples, Trainer};
use quadrat::{Plot, Result, Series};
use serde_json::{Value, json};

/// A finished run.
pub struct Finished<'a> {
    pub args: &'a Train,
    pub network: &'a Model,
    pub fit: &'a Fit,
    pub trainer: &'a Trainer,
    pub rate_said: String,
    pub rows: &'a Rows,
    pub took: f64,
    pub found: Vec<(String, f64)>,
    /// Numbers that a fine-tuning changed.
    pub changed: Option<usize>,
    pub judgement: Judgement,
}

impl Finished<'_> {
    pub fn reply(self) -> Result<Reply> {
        let Finished { args, judgement, rows, .. } = &self;
        let judged = match &rows.held {
            Some(held) => format!("on {} rows held back", count(held.len())),
            None => "on the training rows (none were held back)".to_owned(),
        };
        let mut text: String = rows.notes.iter().map(|note| wrap(note, 0, 100)).collect();
        text.push_str(&format!(
            "{}: {} numbers trained on {} rows for {} in {} (seed {})\nlearning rate {}, {}\n{judged}:\n{}",
            self.name(),
            count(self.size()),
            count(rows.train.len()),
            self.epochs(),
            seconds(self.took),
            args.run.seed,
            self.trainer.rate,
            self.rate_said,
            judgement.text()
        ));
        if self.fit.best.is_some() {
            text.push_str("these rows chose the epoch: other rows (quadrat eval) judge without that favour\n");
        }
        if !self.found.is_empty() {
            text.push_str("the methods found:\n");
        }
        let found: Vec<_> = self.found.iter().map(|(name, value)| vec![name.clone(), figure(*value)]).collect();
        text.push_str(&table(&found, &[1]));
        if let Some(changed) = self.changed {
            text.push_str(&format!("the delta holds {} numbers\n", count(changed)));
        }
        for path in [&args.out, &args.delta, &args.suspects, &args.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        if args.out.is_none() && args.delta.is_none() {
            text.push_str("the model was not kept: add --out FOLDER\n");
        }
        let mut value = json!({
            "model": crate::output::json(self.network)?,
            "methods": args.method,
            "rows": rows.train.len(),
            "held_back": rows.held.as_ref().map_or(0, Samples::len),
            "split": rows.split,
            "parameters": self.size(),
            "loss": crate::output::json(&self.trainer.loss)?,
            "rate": self.trainer.rate,
            "epochs": self.fit.curve.len(),
            "best_epoch": self.fit.best,
            "figures": judgement.json(),
            "found": self.found.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Value>(),
            "curve": crate::output::json(&self.fit.curve)?,
            "warnings": rows.warnings,
            "seconds": self.took,
            "seed": args.run.seed,
            "from": args.from,
            "changed": self.changed,
            "delta": args.delta,
            "out": args.out,
            "suspects": args.suspects,
            "report": args.report,
        });
        judgement.add_details(&mut value);
        value["notes"] = json!(judgement.notes.iter().chain(&rows.notes).collect::<Vec<_>>());
        if let Some((table, uses)) = &rows.columns {
            roles::tell(table, uses, &mut text, &mut value);
        }
        if let Some(path) = &args.report {
            self.page(&judged)?.finish(path, None)?;
        }
        Ok(Reply::new(text, value))
    }

    fn name(&self) -> String {
        let kind = match &self.args.from {
            Some(from) => format!("{} trained on", from.display()),
            None => self.args.model.name(),
        };
        if self.args.method.is_empty() { kind } else { format!("{kind} with {}", self.args.method.join(", ")) }
    }

    /// How many epochs, and which of them is returned.
    fn epochs(&self) -> String {
        let (done, asked) = (self.fit.curve.len(), self.args.epochs);
        let of = if done < asked { format!("{done} of {asked} epochs") } else { format!("{asked} epochs") };
        match self.fit.best {
            Some(best) => format!("{of}, of which number {best} is returned,"),
            None => of,
        }
    }

    fn size(&self) -> usize {
        self.fit.parameters.iter().map(|p| p.values().iter().filter(|v| **v != 0.0).count()).sum()
    }

    fn page(self, judged: &str) -> Result<Page> {
        let args = self.args;
        let input = args.input.clone().or_else(|| args.images.as_ref().map(|i| i.display().to_string()));
        let mut page = Page::new(format!("A model of {}", input.unwrap_or_default()), self.name());
        let facts = vec![
            ("Rows".to_owned(), count(self.rows.train.len())),
            ("Inputs and outputs".to_owned(), format!("{} and {}", self.network.inputs(), self.network.outputs())),
            ("Numbers that are not zero".to_owned(), count(self.size())),
            ("Epochs".to_owned(), self.epochs()),
            ("Learning rate".to_owned(), format!("{}, {}", self.trainer.rate, self.rate_said)),
            ("Time".to_owned(), seconds(self.took)),
        ];
        page.blocks.push(Block::Facts(facts));
        page.section("Columns", self.rows.columns.iter().flat_map(|(_, uses)| roles::blocks(uses)));
        let said = self.rows.notes.iter().chain(&self.rows.warnings);
        page.section("To be known", said.map(|note| Block::Text(note.clone())));
        let figures = self.judgement.figures.iter().map(|(name, v)| (name.clone(), figure(*v))).collect();
        page.section(&format!("How good it is, {judged}"), [Block::Facts(figures)]);
        let found: Vec<_> = self.found.iter().map(|(name, value)| (name.clone(), figure(*value))).collect();
        page.section("What the methods found", (!found.is_empty()).then_some(Block::Facts(found)));
        page.section("Learning curve", [curve(&self.fit.curve)?]);
        for (heading, blocks) in self.judgement.blocks {
            page.section(heading, blocks);
        }
        Ok(page)
    }
}

/// Losses over epochs.
fn curve(epochs: &[Epoch]) -> Result<Block> {
    let points = |value: fn(&Epoch) -> Option<f64>| {
        let point = |e: &Epoch| value(e).map(|v| [e.epoch as f64, v, v, v]);
        epochs.iter().filter_map(point).collect::<Vec<_>>()
    };
    let mut series = vec![Series { name: "training".to_owned(), points: points(|e| Some(e.train_loss)) }];
    let held = points(|e| e.validation_loss);
    if !held.is_empty() {
        series.push(Series { name: "held back".to_owned(), points: held });
    }
    let plot = Plot {
        title: "Loss".to_owned(),
        x: "epoch".to_owned(),
        y: "loss".to_owned(),
        log_x: false,
        log_y: false,
        series,
    };
    let caption = "Training loss is measured while the network learns, against the targets that its methods set.";
    Ok(Block::Figure { drawing: svg::curves(&plot)?, caption: caption.to_owned() })
}
