//! `quadrat language verify`: a way of drawing -> whether its law is the model's.

use super::drafting::{Drafting, Drafts, draw};
use super::model;
use crate::args::Run;
use crate::output::{self, Reply, count, figure, seconds};
use crate::parameters::Declared;
use clap::Args;
use quadrat::language::decode::{Chain, Decoder, Request, stream};
use quadrat::language::speculate::Speculator;
use quadrat::language::verify::{Cells, Proof, Report, Test, prove, test};
use quadrat::language::{Chance, LanguageModel, from_fn};
use quadrat::{Progress, Result, Seed, Silent};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Verify {
    /// The model: a folder or a .gguf file
    #[arg(long, value_name = "FOLDER|FILE")]
    pub model: PathBuf,
    /// The way of drawing: spectr [default: token by token]
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    #[command(flatten)]
    pub drafting: Drafting,
    #[command(flatten)]
    pub chain: Declared<Chain>,
    /// The text to go on from
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prompt: String,
    /// Tokens of a text
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub tokens: usize,
    /// About how many beginnings of texts are told apart, the most probable ones
    #[arg(long, value_name = "N", default_value_t = 48)]
    pub cells: usize,
    /// The total variation that is to be caught
    #[arg(long, value_name = "SHARE", default_value_t = Test::default().variation)]
    pub variation: f64,
    /// With what probability it is to be caught
    #[arg(long, value_name = "SHARE", default_value_t = Test::default().power)]
    pub power: f64,
    /// With what probability a law that is right may be called wrong
    #[arg(long, value_name = "SHARE", default_value_t = Test::default().false_alarms)]
    pub false_alarms: f64,
    #[command(flatten)]
    pub run: Run,
}

/// Proves the rule on a small model by going through all of its choices, and tests the model by draws. The exit code is 1 where either
/// refutes.
pub fn run(args: &Verify, progress: &dyn Progress) -> Result<Reply> {
    let decoder = Decoder::from(args.chain.settings()?);
    let model = model::open(&args.model)?;
    let drafts = args.drafting.open(args.method.as_deref(), &model)?;
    let started = Instant::now();
    let proof = drafts.as_ref().map(|drafts| proof(drafts, &decoder, progress)).transpose()?;
    let prompt = model.prompt(&args.prompt)?;
    let target = model.model();
    let cells = Cells::of(target, &decoder, &prompt, args.tokens, args.cells, progress)?;
    let asked =
        Test { variation: args.variation, power: args.power, false_alarms: args.false_alarms, ..Test::default() };
    let request = Request::new(&prompt, args.tokens);
    let report = test(&cells, asked, Seed(args.run.seed), progress, |seed| {
        let mut go_on = |_: &[u32]| ControlFlow::Continue(());
        let way = (target, &decoder, drafts.as_ref());
        Ok(draw(way, &request, &mut stream(Seed(seed), 0), &Silent, &mut go_on)?.0.tokens)
    })?;
    let took = started.elapsed().as_secs_f64();
    let refuted = report.refutes() || proof.as_ref().is_some_and(|proof| !proof.holds());
    let text = told(proof.as_ref(), &report, refuted, took);
    let value = json!({
        "model": args.model,
        "method": args.method,
        "seed": args.run.seed,
        "proof": output::json(&proof)?,
        "test": output::json(&report)?,
        "refuted": refuted,
        "seconds": took,
    });
    Ok(Reply { code: u8::from(refuted), ..Reply::new(text, value) })
}

fn told(proof: Option<&Proof>, report: &Report, refuted: bool, took: f64) -> String {
    let mut text = String::new();
    if let Some(proof) = proof {
        let (said, texts) = (if proof.holds() { "proved" } else { "refuted" }, count(proof.texts));
        text.push_str(&format!(
            "{said} by all choices on a model of 3 tokens: {texts} texts of {} tokens, largest difference {:.1e}\n",
            proof.tokens, proof.largest
        ));
    }
    let Report { draws, cells, statistic, p, test } = report;
    text.push_str(&format!(
        "{} draws over {} beginnings of texts: chi-square {}, p {}\n",
        count(*draws),
        count(*cells),
        figure(*statistic),
        figure(*p)
    ));
    text.push_str(&format!(
        "  a total variation of {} is caught with probability {}, a law that is right called wrong with {:.0e}\n",
        figure(test.variation),
        figure(test.power),
        test.false_alarms
    ));
    let verdict = if refuted { "the law is NOT the model's" } else { "no difference from the model's law was found" };
    text.push_str(&format!("{verdict} ({})\n", seconds(took)));
    text
}

/// The rule and the settings, with up to two drafts of up to two tokens, on models that are small enough for all choices.
fn proof(drafts: &Drafts, decoder: &Decoder, progress: &dyn Progress) -> Result<Proof> {
    let (target, draft) = (small(2, Seed(1)), small(1, Seed(2)));
    let settings = &drafts.settings;
    let parts = Speculator {
        target: &target,
        draft: &draft,
        decoder,
        selector: settings.rule.selector(),
        drafts: settings.drafts.min(2),
        length: settings.length.min(2),
    };
    let step = |text: &[u32], left: usize, chance: &mut dyn Chance| parts.block(text, left, chance);
    prove(&target, decoder, &[0], 5, progress, step)
}

/// A model of three tokens by the last `order`.
fn small(order: usize, seed: Seed) -> impl LanguageModel {
    from_fn(3, move |text: &[u32], scores: &mut [f32]| {
        let known = &text[text.len().saturating_sub(order)..];
        let state = known.iter().fold(known.len() as u64, |state, &token| 3 * state + u64::from(token));
        let mut rng = seed.rng(state);
        scores.iter_mut().for_each(|score| *score = rng.normal() as f32);
    })
}
