//! `quadrat language align`: a model, prompts and a judge -> a model whose answers the judge prefers.

use crate::args::Run;
use crate::commands::line_program::{Program, Said};
use crate::commands::work;
use crate::output::{Reply, count, figure, seconds, table, write_json};
use crate::parameters::Declared;
use crate::process::{self, CommandLine};
use crate::reading::Reading;
use clap::Args;
use quadrat::language::align::{Aligned, OnlinePreferences, PreferenceModel, Question, Task, win_rate};
use quadrat::language::{Trained, Vocabulary};
use quadrat::nn::TrainMethod;
use quadrat::regularize::Lora;
use quadrat::{Error, Progress, Result, Seed, check_vacant, stats, write_atomic_folder};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct AlignModel {
    /// The model to tune, which is the anchor too: a folder that `language train` made, or another checkpoint of Llama's form
    #[arg(long, value_name = "FOLDER")]
    pub policy: PathBuf,
    /// A file of rows with a prompt each (column prompt, or --column)
    #[arg(long, value_name = "FILE")]
    pub prompts: String,
    /// The column of prompts [default: prompt]
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,
    /// The judge, a program: of each line {"prompt": .., "a": .., "b": ..} that it reads it prints the probability, from 0 to 1, that a
    /// is the better answer
    #[arg(long, value_name = "COMMAND")]
    pub judge: String,
    /// How long one answer of the judge may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub timeout: f64,
    #[command(flatten)]
    pub settings: Declared<OnlinePreferences>,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub tokens: usize,
    /// Prompts of a step
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub batch: usize,
    /// Train two thin matrices of this rank beside each kernel (LoRA) in place of all parameters
    #[arg(long, value_name = "RANK")]
    pub lora: Option<usize>,
    /// Share of the prompts, the last ones, that is held back to measure
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub held_back: f64,
    /// Folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// A judge that is a program of the user's.
struct Judge<'a> {
    program: Mutex<Program<'a>>,
    vocabulary: &'a Vocabulary,
}

impl PreferenceModel for Judge<'_> {
    fn prefer(&self, questions: &[Question<'_>]) -> Result<Vec<f64>> {
        let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        questions.iter().map(|question| self.one(&mut program, question)).collect()
    }
}

impl Judge<'_> {
    fn one(&self, program: &mut Program<'_>, question: &Question<'_>) -> Result<f64> {
        let [prompt, a, b] = [question.prompt, question.a, question.b].map(|tokens| self.vocabulary.decode(tokens));
        let line = json!({ "prompt": prompt, "a": a, "b": b });
        let want = "a line with the probability, from 0 to 1, that a is better";
        let said = match program.say(&format!("{line}\n"))? {
            Said::Line(said) => said,
            Said::Fault(why) => return Err(Error::input("--judge", why, format!("{want}; asked was {line}"))),
        };
        let number = said.trim().parse::<f64>().ok().filter(|p| (0.0..=1.0).contains(p));
        number.ok_or_else(|| Error::input("--judge", format!("`{}`", said.trim()), format!("{want}; asked was {line}")))
    }
}

/// Tunes, measures on prompts held back, writes the folder.
pub fn run(args: &AlignModel, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    args.settings.check_effect()?;
    let settings = args.settings.settings()?;
    if !(0.0..1.0).contains(&args.held_back) {
        return Err(Error::input("--held-back", args.held_back, "a share from 0 to below 1"));
    }
    let limit = process::limit("--timeout", args.timeout)?;
    let program = Program::new("--judge", CommandLine::parse("--judge", &args.judge)?, limit, progress);
    let (policy, vocabulary) = (Trained::load(&args.policy)?, Vocabulary::from_folder(&args.policy)?);
    let prompts = prompts(args, &vocabulary)?;
    let kept = prompts.len() - (prompts.len() as f64 * args.held_back).floor() as usize;
    let (train, held_back) = prompts.split_at(kept);
    let judge = Judge { program: Mutex::new(program), vocabulary: &vocabulary };
    let ends: Vec<u32> = vocabulary.end().into_iter().collect();
    let (network, tokens, batch) = (&policy.network, args.tokens, args.batch);
    let task = Task { network, ends: &ends, prompts: train, tokens, batch, judge: &judge };
    let (seed, started) = (Seed(args.run.seed), Instant::now());
    let mut lora = args.lora.map(|rank| Lora { rank, alpha: rank as f32, ..Lora::default() });
    let mut beside: Vec<&mut dyn TrainMethod> = Vec::new();
    beside.extend(lora.as_mut().map(|lora| lora as &mut dyn TrainMethod));
    let aligned = settings.align(&task, &policy.parameters, &mut beside, seed, progress)?;
    let wins = match held_back {
        [] => None,
        held_back => {
            progress.begin("measuring", None);
            let task = Task { prompts: held_back, ..task };
            Some(win_rate(&task, [&aligned.parameters, &policy.parameters], seed.stream("held back"))?)
        }
    };
    let about = about(args, &settings, &aligned, wins.as_deref(), started.elapsed().as_secs_f64());
    write_atomic_folder(&args.out, |folder| {
        Trained { parameters: aligned.parameters.clone(), ..policy.clone() }.save(folder, vocabulary.end())?;
        vocabulary.save(folder)?;
        write_json(&folder.join("quadrat.json"), &about)
    })?;
    if aligned.asymmetry > 1e-6 {
        let by = figure(aligned.asymmetry);
        eprintln!(
            "quadrat: note: the judge is not fair to a and b: both ways round its answers miss a sum of 1 by up to {by}"
        );
    }
    Ok(Reply::new(told(args, &aligned, wins.as_deref(), &about), about))
}

/// The prompts as tokens, each as a text begins.
fn prompts(args: &AlignModel, vocabulary: &Vocabulary) -> Result<Vec<Vec<u32>>> {
    let table = work::read(&args.prompts, &args.reading)?;
    let texts = table.paragraphs(&[args.column.as_deref().unwrap_or("prompt")])?;
    let begun = |text: &String| {
        let tokens = vocabulary.prompt(text)?;
        Ok(if tokens.is_empty() { vocabulary.begin().into_iter().collect() } else { tokens })
    };
    texts.iter().map(begun).collect()
}

/// Mean loss and log-ratio over the first and the last tenth of the steps.
fn about(args: &AlignModel, settings: &OnlinePreferences, aligned: &Aligned, wins: Option<&[f64]>, took: f64) -> Value {
    let tenth = aligned.path.len().div_ceil(10);
    let mean = |steps: &[quadrat::language::align::Step]| {
        let of = |value: fn(&quadrat::language::align::Step) -> f64| {
            stats::mean(&steps.iter().map(value).collect::<Vec<_>>())
        };
        json!({ "loss": of(|s| s.loss), "log_ratio": of(|s| s.log_ratio), "tokens": of(|s| s.tokens) })
    };
    let interval = wins.filter(|wins| wins.len() > 1).map(|wins| stats::t_interval(wins, 0.95, 0.0));
    json!({
        "kind": "transformer",
        "policy": args.policy,
        "prompts": args.prompts,
        "judge": args.judge,
        "method": args.settings.value("method"),
        "tau": settings.tau,
        "steps": aligned.path.len(),
        "lora": args.lora,
        "seed": args.run.seed,
        "first": mean(&aligned.path[..tenth]),
        "last": mean(&aligned.path[aligned.path.len() - tenth..]),
        "asymmetry": aligned.asymmetry,
        "held_back": wins.map(<[f64]>::len),
        "preferred_to_anchor": wins.map(stats::mean),
        "interval": interval.map(|i| [i.low.max(0.0), i.high.min(1.0)]),
        "seconds": took,
        "out": args.out,
    })
}

fn told(args: &AlignModel, aligned: &Aligned, wins: Option<&[f64]>, about: &Value) -> String {
    let number = |part: &Value, name: &str| figure(part[name].as_f64().unwrap_or(f64::NAN));
    let mut text = format!(
        "{}: {} steps of {} prompts in {}\n",
        args.settings.value("method"),
        count(aligned.path.len()),
        count(args.batch),
        seconds(about["seconds"].as_f64().unwrap_or(0.0))
    );
    let head = ["steps", "loss", "ln of policy over anchor", "tokens an answer"].map(str::to_owned).to_vec();
    let row = |name: &str, part: &Value| {
        vec![name.to_owned(), number(part, "loss"), number(part, "log_ratio"), number(part, "tokens")]
    };
    text.push_str(&table(&[head, row("first tenth", &about["first"]), row("last tenth", &about["last"])], &[1, 2, 3]));
    if let Some(wins) = wins {
        let interval = match about["interval"].as_array().map(Vec::as_slice) {
            Some([low, high]) => {
                format!(" (95%: {} to {})", figure(low.as_f64().unwrap_or(0.0)), figure(high.as_f64().unwrap_or(1.0)))
            }
            _ => String::new(),
        };
        let mean = figure(stats::mean(wins));
        text.push_str(&format!(
            "on {} prompts held back its answer is preferred to the anchor's: {mean}{interval}\n",
            count(wins.len())
        ));
    }
    text.push_str(&format!("wrote {}\n", args.out.display()));
    text
}
