//! `quadrat language plan`: prompts -> how many tokens a call of the model would give with drafts.

use super::drafting::Drafter;
use super::model;
use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, count, figure, seconds, table};
use crate::parameters::Declared;
use crate::reading::Reading;
use clap::Args;
use quadrat::language::decode::{Chain, Decoder, Request, generate, stream};
use quadrat::language::speculate::{Plan, plan};
use quadrat::{Choice, Error, Progress, Result, Seed, Within, checkpoint};
use rayon::prelude::*;
use serde_json::json;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct PlanDrafts {
    /// The model: a folder or a .gguf file
    #[arg(long, value_name = "FOLDER|FILE")]
    pub model: PathBuf,
    /// Who drafts: ngram (learns from the text so far), lookup (what came after the same tokens before), or a model
    #[arg(long, value_name = "ngram|lookup|FOLDER|FILE", default_value = "ngram")]
    pub draft: String,
    /// A file of rows with a prompt each
    #[arg(long, value_name = "FILE")]
    pub prompts: String,
    /// The column of prompts
    #[arg(long, value_name = "COLUMN", default_value = "prompt")]
    pub column: String,
    /// Prompts to go on from, the first ones of the file
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub rows: usize,
    /// Tokens to draw after each, which are then looked at
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub tokens: usize,
    /// Numbers of drafts
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "1,2,4,8")]
    pub drafts: Vec<usize>,
    /// Lengths of drafts
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "2,4,8")]
    pub lengths: Vec<usize>,
    #[command(flatten)]
    pub chain: Declared<Chain>,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// Draws a text after each prompt, token by token, and plans.
pub fn run(args: &PlanDrafts, progress: &dyn Progress) -> Result<Reply> {
    let decoder = Decoder::from(args.chain.settings()?);
    let model = model::open(&args.model)?;
    let draft = Drafter::open(&args.draft, &model)?;
    let table_of = work::read(&args.prompts, &args.reading)?;
    let prompts: Vec<String> = table_of.paragraphs(&[args.column.as_str()])?.into_iter().take(args.rows).collect();
    if prompts.is_empty() || args.tokens == 0 {
        return Err(Error::input(
            "--prompts, --rows and --tokens",
            "nothing to draw",
            "at least one prompt and one token",
        ));
    }
    let started = Instant::now();
    progress.begin("generating", Some(prompts.len() as u64));
    let one = |(i, prompt): (usize, &String)| {
        checkpoint(progress)?;
        let prompt = model.prompt(prompt)?;
        let mut rng = stream(Seed(args.run.seed), i);
        let request = Request::new(&prompt, args.tokens);
        let mut go_on = |_: &[u32]| ControlFlow::Continue(());
        let text = generate(model.model(), &decoder, &request, &mut rng, &Within(progress), &mut go_on)?;
        progress.advance(1);
        Ok((prompt, text.tokens))
    };
    let texts: Vec<(Vec<u32>, Vec<u32>)> = prompts.par_iter().enumerate().map(one).collect::<Result<_>>()?;
    let tokens: usize = texts.iter().map(|(_, text)| text.len()).sum();
    let grid = Plan { drafts: args.drafts.clone(), lengths: args.lengths.clone(), ..Plan::default() };
    let rows = plan(model.model(), draft.model(), &decoder, &texts, &grid, progress)?;
    let took = started.elapsed().as_secs_f64();
    let head = ["rule", "drafts", "length", "tokens a call", "accepted", "of the best possible"].map(str::to_owned);
    let line = |row: &quadrat::language::speculate::Planned| {
        let share = if row.best > 0.0 { row.acceptance / row.best } else { 0.0 };
        let figures = [row.tokens_a_call, row.acceptance, share].map(figure);
        [row.rule.name().to_owned(), row.drafts.to_string(), row.length.to_string()]
            .into_iter()
            .chain(figures)
            .collect()
    };
    let lines: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(rows.iter().map(line)).collect();
    let mut text = format!(
        "{} drafts, looked at {} tokens after {} prompts in {}\n",
        args.draft,
        count(tokens),
        count(texts.len()),
        seconds(took)
    );
    text.push_str(&table(&lines, &[1, 2, 3, 4, 5]));
    text.push_str(
        "a call of the model scores up to drafts x length + 1 tokens: what that costs beside one token decides\n",
    );
    let value = json!({ "model": args.model, "draft": args.draft, "tokens": tokens, "seconds": took, "plans": rows });
    Ok(Reply::new(text, value))
}
