//! What `eval` and `compare` share: judgements, measures, and the figures of a run.

use crate::output::count;
use clap::Args;
use quadrat::data::trec::{Judgements, Run};
use quadrat::retrieval::measures::Measure;
use quadrat::{Error, Progress, Result, stats};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct Judging {
    /// Judgements: TREC's lines, BEIR's table or its folder, or JSON Lines with query-id, corpus-id and score
    #[arg(long, value_name = "FILE|FOLDER")]
    pub qrels: PathBuf,
    /// Measures: ndcg, ndcg_exp, map, mrr, recall, precision, success, hits or judged with @k, or rprec, bpref
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "ndcg@10,map,mrr@10,recall@100")]
    pub metrics: Vec<String>,
}

/// Judgements, and the measures as they were typed.
pub struct Judge {
    pub file: String,
    pub judgements: Judgements,
    pub measures: Vec<(String, Measure)>,
}

/// A run's values and what was left out.
pub struct Figures {
    pub run: String,
    /// Measures x judged queries.
    pub values: Vec<Vec<f64>>,
    /// Judged queries that the run does not have.
    unanswered: Vec<String>,
    /// Queries of the run that are not judged.
    unjudged: Vec<String>,
    /// What a reader of the figures should know.
    pub notes: Vec<String>,
}

impl Judge {
    pub fn read(args: &Judging, progress: &dyn Progress) -> Result<Judge> {
        let measure = |text: &String| Ok((text.clone(), Measure::parse(text)?));
        let measures = args.metrics.iter().map(measure).collect::<Result<_>>()?;
        let judgements = Judgements::read(&args.qrels, progress)?;
        Ok(Judge { file: args.qrels.display().to_string(), judgements, measures })
    }

    pub fn queries(&self) -> usize {
        self.judgements.queries().len()
    }

    /// Judged queries without any relevant document, in words.
    pub fn hopeless(&self) -> Option<String> {
        let hopeless = (0..)
            .zip(self.judgements.queries().iter())
            .filter(|(query, _)| self.judgements.of(*query).all(|(_, level)| level <= 0));
        let names: Vec<String> = hopeless.map(|(_, name)| name.to_owned()).collect();
        let what = "judged queries without a relevant document count as 0";
        (!names.is_empty()).then(|| format!("{what}: {} ({})", count(names.len()), some(&names)))
    }

    /// Reads a run and measures it.
    pub fn measure(&self, path: &Path, progress: &dyn Progress) -> Result<Figures> {
        let run = Run::read(path, progress)?;
        let name = path.display().to_string();
        let judged = self.judgements.queries();
        let missing = |from: &mut dyn Iterator<Item = &str>, there: &dyn Fn(&str) -> bool| -> Vec<String> {
            from.filter(|query| !there(query)).map(str::to_owned).collect()
        };
        let unanswered = missing(&mut judged.iter(), &|query| run.queries().find(query).is_some());
        let unjudged = missing(&mut run.queries().iter(), &|query| judged.find(query).is_some());
        if !unjudged.is_empty() && unjudged.len() == run.queries().len() {
            let why = format!("none of its queries ({}) is judged in {}", some(&unjudged), self.file);
            return Err(Error::data(name, None, format!("{why}: do the two files belong together?")));
        }
        let ranked = self.judgements.ranked(&run);
        let mut notes = Vec::new();
        if !unanswered.is_empty() {
            let n = format!("{} of {}", count(unanswered.len()), count(judged.len()));
            notes.push(format!("judged queries without a line in {name} count as 0: {n} ({})", some(&unanswered)));
        }
        if !unjudged.is_empty() {
            let n = count(unjudged.len());
            notes.push(format!("queries of {name} without a judgement are left out: {n} ({})", some(&unjudged)));
        }
        if !run.queries().is_empty() && ranked.iter().flatten().all(Option::is_none) {
            notes.push(format!("no document of {name} is judged: do its ids belong to those of {}?", self.file));
        }
        let levels = (0..judged.len() as u32).map(|query| self.judgements.of(query).map(|(_, level)| level).collect());
        let levels: Vec<Vec<i32>> = levels.collect();
        let of_queries =
            |m: &Measure| ranked.iter().zip(&levels).map(|(ranked, levels)| m.of(ranked, levels)).collect();
        let values = self.measures.iter().map(|(_, measure)| of_queries(measure));
        Ok(Figures { run: name, values: values.collect(), unanswered, unjudged, notes })
    }

    /// The mean of each measure over all judged queries.
    pub fn means(&self, figures: &Figures) -> Map<String, Value> {
        let means = self.measures.iter().zip(&figures.values);
        means.map(|((name, _), values)| (name.clone(), json!(stats::mean(values)))).collect()
    }
}

impl Figures {
    /// What is said of the run in JSON.
    pub fn json(&self, judge: &Judge) -> Value {
        json!({
            "run": self.run,
            "means": judge.means(self),
            "unanswered": self.unanswered,
            "unjudged": self.unjudged,
        })
    }
}

/// The first names of a list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", "))
}
