//! `quadrat tickets`: a network pruned round by round, what that costs on its own task and on a new one.

use super::judgement::Judgement;
use super::learned::{Source, WEIGHTS, What, columns_of, complete, read_images};
use crate::args::Run;
use crate::commands::roles;
use crate::output::{Reply, count, figure, seconds, table};
use clap::Args;
use ndarray::Array2;
use quadrat::data::{Categories, Missing};
use quadrat::nn::{Model, Network, Samples, Targets, Trainer, predict, save_model};
use quadrat::numeric::metrics::stratified_split;
use quadrat::regularize::{LinearProbe, Prompt, Rewind, Ticket, TicketMaker, VisualPrompt, classes_of};
use quadrat::{Error, Progress, Result, Seed, Silent, check_vacant, write_atomic_folder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options of `quadrat tickets`.
#[derive(Args, Debug)]
pub struct Tickets {
    /// The model, whose weights are trained anew, and its training rows or images.
    #[command(flatten)]
    pub what: What,
    /// How often to prune
    #[arg(long, default_value_t = 9)]
    pub rounds: usize,
    /// Share of the surviving weights that a round removes
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub prune: f64,
    /// Epochs of each round's training
    #[arg(long, default_value_t = 30)]
    pub epochs: usize,
    /// The first learning rate
    #[arg(long, default_value_t = 1e-3)]
    pub rate: f64,
    /// Labelled rows or images of a new task, to which each state is adapted with its weights frozen: by a new linear
    /// layer (probe) and, for images, by a learnt border around them (prompt). Images smaller than the model's leave
    /// room for the border
    #[arg(long, value_name = "FILE|FOLDER")]
    pub task: Option<PathBuf>,
    /// Column of the new task's classes, for a model of tables
    #[arg(long, value_name = "COLUMN", requires = "task")]
    pub task_target: Option<String>,
    /// Side to which the new task's images are resized [default: three quarters of the model's]
    #[arg(long, value_name = "PIXELS", requires = "task")]
    pub task_size: Option<usize>,
    /// Folder for the models: `state-0` is the dense network, `state-N` the ticket after N rounds
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Share of the rows by which all is judged; they are not trained on.
const HELD: f64 = 0.2;

/// Prunes, adapts, judges.
pub fn run(args: &Tickets, progress: &dyn Progress) -> Result<Reply> {
    if let Some(out) = &args.out {
        check_vacant(out)?;
    }
    let started = Instant::now();
    let (network, _, source, seen) = args.what.open(true, progress)?;
    seen.notes.iter().for_each(|note| eprintln!("quadrat: note: {note}"));
    let seed = Seed(args.run.seed);
    let (train, test) = halves(&seen.samples, seed.stream("rows"))?;
    let task = args.task.as_ref().map(|path| new_task(args, path, &source, progress)).transpose()?;
    let steps = args.epochs * train.len().div_ceil(Trainer::default().batch);
    let maker = TicketMaker {
        rounds: args.rounds,
        rate: args.prune,
        // A twentieth of the training, as the sheet of the authors' later work says: 2 to 5%.
        rewind: Rewind::Step(steps / 20),
        ..TicketMaker::default()
    };
    let trainer = Trainer { epochs: args.epochs, rate: args.rate, seed, ..Trainer::default() };
    let tickets = maker.run(&trainer, &network, &train, progress)?;
    let mut states = Vec::new();
    for ticket in &tickets {
        let outputs = predict(&network, &ticket.parameters, test.inputs.view(), &[])?;
        let mut arms = vec![("own task", Judgement::of(&outputs, &test.targets, &source)?)];
        if let Some(task) = &task {
            arms.extend(task.adapt(&network, ticket, seed.stream("task"))?);
        }
        states.push((ticket.density, arms));
    }
    if let Some(out) = &args.out {
        let notes = crate::output::json(&source)?;
        write_atomic_folder(out, |folder| {
            tickets.iter().enumerate().try_for_each(|(n, ticket)| {
                let state = folder.join(format!("state-{n}"));
                std::fs::create_dir(&state).map_err(|e| Error::io(&state, e))?;
                save_model(&state.join(WEIGHTS), &network, &ticket.parameters, &notes)
            })
        })?;
    }
    let note = task.filter(|task| task.images.is_some() && !task.fits(&network)).map(|task| {
        let (new, old) = (task.classes.len(), network.outputs());
        format!("no prompt was learnt: it relabels the network's {old} outputs, and the new task has {new} classes")
    });
    let mut reply = reply(args, &states, [train.len(), test.len()], note, started.elapsed().as_secs_f64())?;
    if let (Source::Table(encoder), Some(table)) = (&source, &seen.table) {
        roles::tell(table, &columns_of(encoder, table, true), &mut reply.text, &mut reply.json);
    }
    Ok(reply)
}

/// Rows to train on and rows to judge by, evenly from all classes.
fn halves(samples: &Samples, seed: Seed) -> Result<(Samples, Samples)> {
    let labels = samples.labels().ok_or_else(|| Error::input("--model", "a model of numbers", "a model of classes"))?;
    let split = stratified_split(labels, HELD, seed)?;
    let part = |rows: Vec<usize>| samples.select(&rows.into_iter().map(|row| row as u32).collect::<Vec<_>>());
    Ok((part(split.train), part(split.test)))
}

/// A task that the network was not trained for.
struct Task {
    train: Samples,
    test: Samples,
    classes: Vec<String>,
    /// The same images in the size that leaves room for a border.
    images: Option<Border>,
}

/// Images that a border is learnt around.
struct Border {
    /// Channels, height and width that the model takes, and that the images have.
    source: [usize; 3],
    target: [usize; 3],
    train: Samples,
    test: Samples,
}

fn new_task(args: &Tickets, path: &Path, source: &Source, progress: &dyn Progress) -> Result<Task> {
    let seed = Seed(args.run.seed).stream("task");
    match source {
        Source::Detector(_) => Err(Error::input("--model", "a detector", "a model of rows or of classes of images")),
        Source::Images { shape, .. } => {
            let size = args.task_size.unwrap_or((3 * shape[1]).div_ceil(4));
            let (full, _) = read_images(path, Some(shape[1]))?;
            let (small, Source::Images { shape: target, classes }) = read_images(path, Some(size))? else {
                return Err(Error::input("--task", path.display(), "images"));
            };
            let ((train, test), (small_train, small_test)) = (halves(&full, seed)?, halves(&small, seed)?);
            let images = Some(Border { source: *shape, target, train: small_train, test: small_test });
            Ok(Task { train, test, classes, images })
        }
        Source::Table(encoder) => {
            let want = "name the new task's column with --task-target";
            let target = args.task_target.as_ref().ok_or_else(|| Error::input("--task-target", "nothing", want))?;
            let (table, notes) = complete(encoder, &path.display().to_string(), &args.what.reading, &[target])?;
            notes.iter().for_each(|note| eprintln!("quadrat: note: {note}"));
            let Categories { codes, names } = table.categories(target, Missing::Error)?;
            let targets = Targets::Classes { labels: codes, classes: names.len() };
            let samples = Samples::new(encoder.rows(&table, progress)?, targets);
            let (train, test) = halves(&samples, seed)?;
            Ok(Task { train, test, classes: names, images: None })
        }
    }
}

impl Task {
    /// How good a state is once it is adapted.
    fn adapt(&self, network: &Model, ticket: &Ticket, seed: Seed) -> Result<Vec<(&'static str, Judgement)>> {
        let probe = LinearProbe::fit(network, &ticket.parameters, &self.train, seed)?;
        let outputs = probe.predict(network, &ticket.parameters, self.test.inputs.view())?;
        let mut arms = vec![("new task, probe", self.judge(&outputs, &self.test)?)];
        if let Some(Border { source, target, train, test }) = self.images.as_ref().filter(|_| self.fits(network)) {
            let prompt = Prompt::new(network, *source, *target, train.outputs())?;
            let fitted = VisualPrompt::default().fit(&prompt, &ticket.parameters, train, seed, &Silent)?;
            let outputs = predict(&prompt, &fitted, test.inputs.view(), &[])?;
            arms.push(("new task, prompt", self.judge(&outputs, test)?));
        }
        Ok(arms)
    }

    fn judge(&self, outputs: &Array2<f32>, rows: &Samples) -> Result<Judgement> {
        Judgement::of_classes(outputs, classes_of(rows)?, &self.classes)
    }

    /// Whether the network has an output for each class: a prompt only relabels what there is.
    fn fits(&self, network: &Model) -> bool {
        self.classes.len() <= network.outputs()
    }
}

/// The figures that are shown of each arm.
const FIGURES: [&str; 4] = ["balanced-accuracy", "accuracy", "nll", "ece"];

fn reply(
    args: &Tickets,
    states: &[(f64, Vec<(&'static str, Judgement)>)],
    [rows, judged]: [usize; 2],
    note: Option<String>,
    took: f64,
) -> Result<Reply> {
    let head = ["state", "density", "judged on"].into_iter().chain(FIGURES).map(str::to_owned).collect();
    let mut lines: Vec<Vec<String>> = vec![head];
    for (n, (density, arms)) in states.iter().enumerate() {
        for (arm, judgement) in arms {
            let shown = FIGURES.map(|name| {
                judgement.figures.iter().find(|(other, _)| other == name).map_or_else(String::new, |(_, v)| figure(*v))
            });
            lines.push([n.to_string(), figure(*density), (*arm).to_owned()].into_iter().chain(shown).collect());
        }
    }
    let mut text = format!(
        "{} rounds on {} rows, {} held back, in {} (seed {})\n{}",
        args.rounds,
        count(rows),
        count(judged),
        seconds(took),
        args.run.seed,
        table(&lines, &[0, 1, 3, 4, 5, 6])
    );
    if let Some(note) = &note {
        text.push_str(&format!("note: {note}\n"));
    }
    if let Some(out) = &args.out {
        text.push_str(&format!("wrote {}\n", out.display()));
    }
    let states: Vec<Value> = states
        .iter()
        .map(|(density, arms)| {
            let arms: Value = arms.iter().map(|(arm, judgement)| ((*arm).to_owned(), judgement.json())).collect();
            json!({ "density": density, "judged": arms })
        })
        .collect();
    let value = json!({
        "rows": rows, "held_back": judged, "states": states, "note": note, "seconds": took, "seed": args.run.seed, "out": args.out,
    });
    Ok(Reply::new(text, value))
}
