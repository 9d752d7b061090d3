//! Games of questions and live decisions; peers and the game: `bench/asking.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::Array2;
use quadrat_core::{Result, Seed, Silent};
use quadrat_select::{AnswerTable, Classical, QueryPolicy, QueryRule, Session, Trainer, play};
use serde_json::json;

/// The workloads of asking.
pub fn workloads() -> Vec<Workload> {
    vec![("games", games), ("decisions", decisions)]
}

/// 101 thresholds, 100 questions, replies flipped at one rate.
fn table() -> Result<AnswerTable> {
    AnswerTable::thresholds(100, &[0.1])
}

/// `policy=information|learned`: the rule, or a network of the library's default size (its weights are as they start:
/// a decision costs the same).
fn policy(settings: &Settings, table: &AnswerTable, budget: usize) -> Result<Box<dyn QueryPolicy>> {
    Ok(match settings.text("policy", "information") {
        "learned" => {
            let trainer = Trainer { steps: 1, batch: 8, games: 1, levels: vec![8.0], ..Trainer::default() };
            Box::new(trainer.train(table, budget, Seed(1), &Silent)?.policy)
        }
        _ => Box::new(Classical::new(table, QueryRule::InformationGain)?),
    })
}

/// `games=N budget=T`: N games of T questions at every tenth threshold.
fn games(settings: &Settings) -> Result<Figures> {
    let (table, budget) = (table()?, settings.number("budget", 20)?);
    let policy = policy(settings, &table, budget)?;
    let games = settings.number("games", 2000)?;
    let (right, mut figures) = measure(|| {
        (0..10).try_fold(0, |right, at| {
            let theta = [10.0 * at as f64, 0.1];
            let answers = play(&table, policy.as_ref(), &theta, budget, games, Seed(at))?;
            Ok(right + answers.iter().filter(|z| **z == 10 * at as usize).count())
        })
    })?;
    figures.insert("decisions".into(), json!(10 * games * budget));
    figures.insert("share right".into(), json!(right as f64 / (10 * games) as f64));
    Ok(figures)
}

/// `times=N`: N live decisions, each a question and its reply, in sessions of 20.
fn decisions(settings: &Settings) -> Result<Figures> {
    let (table, times) = (table()?, settings.number("times", 10_000)?);
    let policy = policy(settings, &table, 20)?;
    let (asked, mut figures) = measure(|| {
        let mut asked = Array2::<u32>::zeros((1, 100));
        for session in 0..times / 20 {
            let mut live = Session::start(policy.as_ref(), 20, Seed(session as u64))?;
            while let Some(query) = live.ask() {
                asked[[0, query]] += 1;
                live.tell(query, Some(f64::from(query >= 37)))?;
            }
        }
        Ok(asked.iter().filter(|times| **times > 0).count())
    })?;
    figures.insert("queries used".into(), json!(asked));
    figures.insert("decisions".into(), json!(times / 20 * 20));
    Ok(figures)
}
