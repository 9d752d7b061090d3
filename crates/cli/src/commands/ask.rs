//! `quadrat ask`: twenty questions on any table of items.

use super::{roles, work};
use crate::args::Run;
use crate::output::{Reply, check_place, json, print, table, write_json};
use crate::reading::Reading;
use clap::Args;
use quadrat::data::Table;
use quadrat::select::{AnswerTable, Classical, LearnedPolicy, QueryPolicy, QueryProblem, QueryRule};
use quadrat::select::{Session, SessionState, Trainer};
use quadrat::{Error, OnMissing, Progress, Questions, Result, Seed};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

/// How many items the end shows.
const BEST: usize = 5;
/// The same where more are as likely as the best.
const TIED: usize = 20;

const EXAMPLE: &str = "With --json questions go to standard error, and the object comes at the end.

Examples:
  quadrat ask --in builtin:zoo --noise 0.1
  quadrat ask --in builtin:zoo --answers y,n,y --json
  quadrat ask --in builtin:zoo --questions 12 --train zoo.json
  quadrat ask --in builtin:zoo --questions 12 --policy zoo.json";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct Ask {
    /// The items, one a row, as for `select`; columns of few values become questions to be answered by yes or no
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Column with the items' names [default: the first column of texts that are all different, or nearly so]
    #[arg(long, value_name = "COLUMN")]
    pub name: Option<String>,
    /// Columns to ask about [default: all that have 2 to 12 values]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    /// Share of answers that may be wrong, from 0 to below 0.5
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub noise: f64,
    /// Questions at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub questions: usize,
    /// Stop when one item is this likely
    #[arg(long, value_name = "CHANCE", default_value_t = 0.95)]
    pub confidence: f64,
    /// Which question comes next: information-gain, gbs, soft-gbs, uncertainty, halving, top-two, design, uniform; or a
    /// file that --train made
    #[arg(long, value_name = "NAME|FILE", default_value = "information-gain")]
    pub policy: String,
    /// The answers: y, n, ? (don't know), u (take back) or q (stop) [default: read from standard input]
    #[arg(long, value_name = "Y,N,?", value_delimiter = ',')]
    pub answers: Option<Vec<String>>,
    /// A question may be asked again: for answers that come anew each time, as measurements do
    #[arg(long)]
    pub repeat: bool,
    /// Keep the game in this file; if it exists, go on from there
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Train a policy for this table, this many questions and noise up to this share; write it, and play no game
    #[arg(long, value_name = "FILE", conflicts_with_all = ["answers", "state"])]
    pub train: Option<PathBuf>,
    /// Of training: policy steps at each level of hardness
    #[arg(long, value_name = "N", default_value_t = Trainer::default().steps, requires = "train")]
    pub steps: usize,
    /// Of training: games a step
    #[arg(long, value_name = "N", default_value_t = Trainer::default().batch, requires = "train")]
    pub batch: usize,
    /// Of training: units of the network
    #[arg(long, value_name = "N", default_value_t = Trainer::default().hidden, requires = "train")]
    pub hidden: usize,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// A trained policy with the words of the table it was trained for.
#[derive(Serialize, Deserialize)]
struct PolicyFile {
    questions: Vec<String>,
    items: Vec<String>,
    policy: LearnedPolicy,
}

/// A game in a file.
#[derive(Serialize, Deserialize)]
struct GameFile {
    settings: Value,
    session: SessionState,
}

fn questions(args: &Ask) -> Result<(Questions, Table)> {
    if !(args.noise >= 0.0 && args.noise < 0.5) {
        return Err(Error::input("--noise", args.noise, "use at least 0 and less than 0.5"));
    }
    if !(args.confidence > 0.0 && args.confidence <= 1.0) {
        return Err(Error::input("--confidence", args.confidence, "use more than 0 and at most 1"));
    }
    if args.questions == 0 {
        return Err(Error::input("--questions", 0, "use at least 1"));
    }
    let table = work::read(&args.input, &args.reading)?;
    let columns = work::listed("--features", &args.features, &table)?;
    let table = match args.reading.on_missing()? {
        OnMissing::Refuse => table,
        OnMissing::Drop => {
            Questions::of(&table, args.name.as_deref(), &columns)?.columns.settle(&table, OnMissing::Drop)?
        }
        OnMissing::Impute(_) | OnMissing::Indicate | OnMissing::Category => {
            let want = "a missing value says yes half the time: leave the option out, or use --missing drop";
            return Err(Error::input("--missing", "impute or category", want));
        }
    };
    Ok((Questions::of(&table, args.name.as_deref(), &columns)?, table))
}

/// Trains a policy and writes it.
pub fn train(args: &Ask, progress: &dyn Progress) -> Result<Reply> {
    let Some(path) = &args.train else { return Err(Error::input("--train", "nothing", "name the file to write")) };
    check_place(path)?;
    let (Questions { items, questions, yes, columns, .. }, table_read) = questions(args)?;
    let mut flips = vec![0.0, 0.5 * args.noise, args.noise];
    flips.dedup();
    let problem = AnswerTable::new(yes.view(), &flips)?;
    let trainer = Trainer {
        steps: args.steps,
        batch: args.batch,
        hidden: args.hidden,
        no_repeat: !args.repeat,
        ..Trainer::default()
    };
    let trained = trainer.train(&problem, args.questions, Seed(args.run.seed), progress)?;
    let file = PolicyFile { questions, items, policy: trained.policy };
    write_json(path, &json(&file)?)?;
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    let head = ["complexity up to", "worst case", "of a policy for this level alone"].map(str::to_owned).to_vec();
    let rows = trained.levels.iter().map(|l| vec![format!("{:.1}", l.complexity), percent(l.worst), percent(l.best)]);
    let mut text = format!(
        "learned-active: {} items, {} questions, {} to be asked\nhow often it is wrong:\n{}wrote {}\n",
        file.items.len(),
        file.questions.len(),
        file.policy.questions(),
        table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[0, 1, 2]),
        path.display()
    );
    let level = |l: &quadrat::select::Level| json!({ "complexity": l.complexity, "worst": l.worst, "best": l.best });
    let mut value = json!({
        "method": "learned-active",
        "input": args.input,
        "items": file.items.len(),
        "questions": file.questions.len(),
        "asked": file.policy.questions(),
        "noise": args.noise,
        "seed": args.run.seed,
        "levels": trained.levels.iter().map(level).collect::<Vec<_>>(),
        "out": path,
    });
    roles::tell(&table_read, &columns, &mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// Plays a game.
pub fn play(args: &Ask) -> Result<Reply> {
    if let Some(path) = &args.state {
        check_place(path)?;
    }
    let (asked, table) = questions(args)?;
    let policy = policy(args, &asked)?;
    let settings = json!({
        "input": args.input,
        "name": args.name,
        "features": args.features,
        "reading": args.reading,
        "noise": args.noise,
        "questions": args.questions,
        "policy": args.policy,
        "repeat": args.repeat,
    });
    let mut session = match args.state.as_deref().filter(|path| path.exists()) {
        Some(path) => Session::resume(&*policy, saved(path, &settings)?)?,
        None => Session::start(&*policy, args.questions, Seed(args.run.seed))?,
    };
    let mut answers = Answers { given: args.answers.as_deref().map(<[String]>::iter), aside: args.run.json };
    loop {
        let likely = session.chances().into_iter().fold(0.0, f64::max);
        if likely >= args.confidence {
            break;
        }
        let Some(query) = session.ask() else { break };
        let number = session.state().replies.len() + 1;
        match answers.to(number, &asked.questions[query])? {
            Answer::Say(reply) => session.tell(query, reply)?,
            Answer::Undo => {
                session.undo();
            }
            Answer::Quit => break,
        }
        if let Some(path) = &args.state {
            let file = GameFile { settings: settings.clone(), session: session.state().clone() };
            write_json(path, &json(&file)?)?;
        }
    }
    Ok(conclusion(args, &asked, &table, &mut session))
}

fn conclusion(args: &Ask, asked: &Questions, file: &Table, session: &mut Session) -> Reply {
    let chances = session.chances();
    let guess = session.recommend();
    let most = chances.iter().copied().fold(0.0, f64::max);
    // To five digits, as policies see it.
    let tied = |z: &usize| chances[*z] >= most * (1.0 - 1e-5);
    let ties = (0..chances.len()).filter(tied).count();
    let mut order: Vec<usize> = (0..chances.len()).collect();
    let first = |z: &usize| *z == guess && tied(z);
    order.sort_by(|a, b| first(b).cmp(&first(a)).then(chances[*b].total_cmp(&chances[*a])));
    order.truncate(ties.clamp(BEST, TIED));
    if !order.contains(&guess) {
        order.push(guess);
    }
    let percent = |z: usize| format!("{:.1}%", 100.0 * chances[z]);
    let rows: Vec<Vec<String>> = order.iter().map(|z| vec![percent(*z), asked.items[*z].clone()]).collect();
    let replies = &session.state().replies;
    let spent = replies.len();
    let mut text = format!(
        "After {spent} question{} my answer is: {}\n{}",
        if spent == 1 { "" } else { "s" },
        asked.items[guess],
        table(&rows, &[0])
    );
    if ties > 1 && tied(&guess) {
        text.push_str(&format!("{ties} items are as likely as each other: the answer is drawn from them\n"));
    }
    let said = |r: &quadrat::select::Reply| {
        let word = r.reply.map_or("unknown", |y| if y > 0.5 { "yes" } else { "no" });
        json!({ "question": asked.questions[r.query], "reply": word })
    };
    let mut value = json!({
        "method": "learned-active",
        "policy": args.policy,
        "input": args.input,
        "name": asked.name,
        "items": asked.items.len(),
        "questions": asked.questions.len(),
        "noise": args.noise,
        "seed": session.state().seed,
        "asked": replies.iter().map(said).collect::<Vec<_>>(),
        "guess": asked.items[guess],
        "ties": ties,
        "best": order.iter().map(|z| json!({ "item": asked.items[*z], "chance": chances[*z] })).collect::<Vec<_>>(),
        "state": args.state,
    });
    roles::tell(file, &asked.columns, &mut text, &mut value);
    Reply::new(text, value)
}

/// The policy by name, or from a file.
fn policy(args: &Ask, asked: &Questions) -> Result<Box<dyn QueryPolicy>> {
    let at = |flip: f64| AnswerTable::new(asked.yes.view(), &[flip]);
    let (problem, rule) = match args.policy.as_str() {
        "information-gain" => (at(args.noise)?, QueryRule::InformationGain),
        "uncertainty" => (at(args.noise)?, QueryRule::Uncertainty),
        "gbs" => (at(0.0)?, QueryRule::Uncertainty),
        "soft-gbs" => (at(args.noise.max(0.25))?, QueryRule::Uncertainty),
        "halving" => (at(args.noise)?, QueryRule::Halving(args.questions)),
        "top-two" => (at(args.noise)?, QueryRule::TopTwo),
        "uniform" => (at(args.noise)?, QueryRule::Uniform),
        "design" => {
            let problem = at(args.noise)?;
            let shares = problem.design();
            (problem, QueryRule::Design(shares))
        }
        file => return learned(Path::new(file), asked),
    };
    Ok(Box::new(Classical { no_repeat: !args.repeat, ..Classical::new(&problem, rule)? }))
}

fn learned(path: &Path, asked: &Questions) -> Result<Box<dyn QueryPolicy>> {
    if !path.exists() {
        let want = "use information-gain, gbs, soft-gbs, uncertainty, halving, top-two, design or uniform, or a file that \
                    --train made";
        return Err(Error::input("--policy", format!("`{}`", path.display()), want));
    }
    let what = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let file: PolicyFile = serde_json::from_slice(&bytes).map_err(|e| Error::data(&what, None, e.to_string()))?;
    let fits = file.policy.queries() == asked.questions.len() && file.policy.answers() == asked.items.len();
    if !(fits && file.questions == asked.questions && file.items == asked.items) {
        let got = format!("a policy for {} items and {} questions", file.items.len(), file.questions.len());
        let want = "it was trained on another table or other columns: train one for this table with --train";
        return Err(Error::input(what, got, want));
    }
    Ok(Box::new(file.policy))
}

/// The game that was saved, if it is this one.
fn saved(path: &Path, settings: &Value) -> Result<SessionState> {
    let what = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let file: GameFile = serde_json::from_slice(&bytes).map_err(|e| Error::data(&what, None, e.to_string()))?;
    if file.settings != *settings {
        let want = "repeat that command to go on with it, or name another --state";
        return Err(Error::input(what, format!("a game with settings {}", file.settings), want));
    }
    Ok(file.session)
}

enum Answer {
    Say(Option<f64>),
    Undo,
    Quit,
}

impl Answer {
    fn parse(text: &str) -> Option<Answer> {
        match text.trim().to_lowercase().as_str() {
            "y" | "yes" | "1" | "true" => Some(Answer::Say(Some(1.0))),
            "n" | "no" | "0" | "false" => Some(Answer::Say(Some(0.0))),
            "?" | "don't know" => Some(Answer::Say(None)),
            "u" | "undo" => Some(Answer::Undo),
            "q" | "quit" => Some(Answer::Quit),
            _ => None,
        }
    }
}

/// Where answers come from.
struct Answers<'a> {
    given: Option<std::slice::Iter<'a, String>>,
    /// Whether questions go to standard error.
    aside: bool,
}

impl Answers<'_> {
    /// The answer to a question; the end of the answers is the end of the game.
    fn to(&mut self, number: usize, question: &str) -> Result<Answer> {
        const KEYS: &str = "answer y (yes), n (no), ? (don't know), u (take the last answer back) or q (stop)";
        if let Some(given) = &mut self.given {
            let Some(text) = given.next() else { return Ok(Answer::Quit) };
            if !self.aside {
                print(&format!("{number}. {question} {text}"));
            }
            return Answer::parse(text).ok_or_else(|| Error::input("--answers", format!("`{text}`"), KEYS));
        }
        loop {
            self.prompt(&format!("{number}. {question} [y/n/?/u/q] "));
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line).map_err(|e| Error::io("standard input", e))?;
            if read == 0 {
                self.prompt("\n");
                return Ok(Answer::Quit);
            }
            if let Some(answer) = Answer::parse(&line) {
                return Ok(answer);
            }
            self.prompt(&format!("{KEYS}\n"));
        }
    }

    /// A reader that has gone away is no error.
    fn prompt(&self, text: &str) {
        let _ = if self.aside {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
    }
}
