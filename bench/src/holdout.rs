//! Questions to a hold-out set; peer and recipe: `bench/holdout.py`.

use crate::{Figures, Settings, Workload, measure};
use quadrat_core::{Error, Result, Seed};
use quadrat_estimate::adaptive_data_analysis::{
    Agreement, Answer, Bits, Holdout, Ledger, Noise, NoiseAddition, Thresholdout,
};
use serde_json::{Value, json};

/// The workloads of hold-out sets.
pub fn workloads() -> Vec<Workload> {
    vec![("holdout-gaussian", gaussian), ("holdout-thresholdout", thresholdout), ("holdout-ledger", ledger)]
}

const ROWS: usize = 10_000;
const COLUMNS: usize = 1000;

/// Columns of predictions, and labels.
struct Data {
    columns: Vec<Bits>,
    labels: Bits,
}

impl Data {
    fn new(rows: usize) -> Result<Self> {
        let bits = |item| {
            let mut rng = Seed(1).stream("bench holdout").rng(item);
            Bits::from_words((0..rows.div_ceil(64)).map(|_| rng.next_u64()).collect(), rows)
        };
        Ok(Data { columns: (1..=COLUMNS as u64).map(bits).collect::<Result<_>>()?, labels: bits(0)? })
    }

    /// Asks one question after the other; the answer tells which column is next.
    fn ask(&self, questions: usize, mut ask: impl FnMut(&Agreement) -> Result<Answer>) -> Result<Figures> {
        let (mean, mut figures) = measure(|| {
            let (mut at, mut total) = (0, 0.0);
            for _ in 0..questions {
                let answer = ask(&Agreement::new(&self.columns[at], &self.labels)?)?.value;
                total += answer;
                at = (7 * at + 1 + usize::from(answer > 0.5)) % COLUMNS;
            }
            Ok(total / questions as f64)
        })?;
        figures.insert("mean".into(), json!(mean));
        Ok(figures)
    }
}

fn gaussian(settings: &Settings) -> Result<Figures> {
    let questions = settings.number("questions", 1_000_000)?;
    let mechanism = NoiseAddition::new(Noise::Gaussian, ROWS, questions as u64, 0.01, 0.05)?;
    let mut holdout = Holdout::new(mechanism, Seed(2));
    Data::new(ROWS)?.ask(questions, |query| holdout.ask(query))
}

fn thresholdout(settings: &Settings) -> Result<Figures> {
    let questions = settings.number("questions", 100_000)?;
    let mut holdout = Holdout::new(Thresholdout::experiment(ROWS, ROWS, None)?, Seed(2));
    Data::new(2 * ROWS)?.ask(questions, |query| holdout.ask(query))
}

/// With a ledger on disk. A repeated question would be free, so no column comes twice.
fn ledger(settings: &Settings) -> Result<Figures> {
    let questions = settings.number("questions", 1000)?.min(COLUMNS);
    let folder = std::env::temp_dir().join(format!("quadrat-bench-ledger-{}", std::process::id()));
    Ledger::create(&folder, Thresholdout::experiment(ROWS, ROWS, None)?, Value::Null)?;
    let data = Data::new(2 * ROWS)?;
    let (mean, mut figures) = measure(|| {
        let mut ledger = Ledger::open(&folder)?;
        let one = |column| Ok(ledger.ask(&Agreement::new(column, &data.labels)?, "column")?.entry.answer.value);
        let total: f64 = data.columns[..questions].iter().map(one).sum::<Result<f64>>()?;
        Ok(total / questions as f64)
    })?;
    std::fs::remove_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
    figures.insert("mean".into(), json!(mean));
    Ok(figures)
}
