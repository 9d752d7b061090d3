//! Quadrat's side of the side-by-side measurements: `quadrat-bench WORKLOAD [name=value ...]` makes the workload's data
//! from a fixed recipe (or reads the file a Python script wrote), runs it, and prints one JSON line with the workload's
//! name, its settings, seconds, peak bytes and whatever figures tell that the work was done. The Python script of the
//! same area (`bench/numeric.py` and so on) runs it in turn with the peers and records the ratios.
//!
//! Each area is one module with `pub fn workloads() -> Vec<Workload>`: pairs of a name and a function from [`Settings`]
//! to [`Figures`]. The function makes its data first and wraps only the work itself in [`measure`], so neither the time
//! nor the memory of making data counts. `threads=N` (default 2) sizes the thread pool of every workload.

mod asking;
mod bias;
mod calibration;
mod composed;
mod data;
mod decode;
mod denoise;
mod designs;
mod detection;
mod diffusion;
mod holdout;
mod impacts;
mod labels;
mod language;
mod levels;
mod masked;
mod nn_fit;
mod nn_ops;
mod nn_train;
mod npy;
mod numeric;
mod pde;
mod pretrain;
mod recon;
mod reconresnet;
mod retrieval;
mod robust;
mod score;
mod select;
mod sensitivity;
mod sobol;
mod streams;
mod tasks;
mod transport;
mod tuning;

use quadrat_core::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a workload prints: names and numbers (or words).
pub type Figures = Map<String, Value>;

/// A workload's name and what runs it.
pub type Workload = (&'static str, fn(&Settings) -> Result<Figures>);

/// The `name=value` words of the command line.
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let pair = |word: String| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(Error::input("setting", word, "write name=value")),
        };
        words.map(pair).collect::<Result<_>>().map(Settings)
    }

    /// The value given as `name=...`, or `default`.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    /// The whole number given as `name=...`, or `default`.
    pub fn number(&self, name: &str, default: usize) -> Result<usize> {
        let parse = |text: &String| text.parse().map_err(|_| Error::input(name, text, "give a whole number"));
        self.0.get(name).map_or(Ok(default), parse)
    }
}

/// Runs `work` and reports `seconds`, `peak_bytes` (the highest resident size while it ran) and `extra_bytes` (how far
/// that is above the resident size before it ran, so above the data). `cpu_seconds` is the processor time of all
/// threads: on a busy machine it says more than the clock.
pub fn measure<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Figures)> {
    // Linux lets a process reset its own high-water mark; elsewhere the mark of the whole run is reported.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = memory("VmRSS:");
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let result = work()?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let peak = memory("VmHWM:");
    let mut figures = Figures::new();
    figures.insert("seconds".into(), json!(seconds));
    figures.insert("cpu_seconds".into(), json!(cpu));
    figures.insert("peak_bytes".into(), json!(peak));
    figures.insert("extra_bytes".into(), json!(peak.saturating_sub(before)));
    Ok((result, figures))
}

/// Processor time of this process so far, from Linux's ticks of 10 ms; 0 elsewhere.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// A line of /proc/self/status, in bytes; 0 where there is no such file.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

fn run() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let wanted = words.next().unwrap_or_default();
    let settings = Settings::parse(words)?;
    let workloads: Vec<Workload> = [
        asking::workloads(),
        bias::workloads(),
        calibration::workloads(),
        composed::workloads(),
        data::workloads(),
        decode::workloads(),
        denoise::workloads(),
        designs::workloads(),
        detection::workloads(),
        diffusion::workloads(),
        holdout::workloads(),
        impacts::workloads(),
        labels::workloads(),
        masked::workloads(),
        language::workloads(),
        levels::workloads(),
        nn_fit::workloads(),
        nn_ops::workloads(),
        nn_train::workloads(),
        numeric::workloads(),
        pde::workloads(),
        pretrain::workloads(),
        recon::workloads(),
        reconresnet::workloads(),
        retrieval::workloads(),
        robust::workloads(),
        score::workloads(),
        select::workloads(),
        sensitivity::workloads(),
        sobol::workloads(),
        streams::workloads(),
        tasks::workloads(),
        transport::workloads(),
        tuning::workloads(),
    ]
    .concat();
    let Some((name, work)) = workloads.iter().find(|(name, _)| *name == wanted) else {
        let names: Vec<&str> = workloads.iter().map(|(name, _)| *name).collect();
        return Err(Error::input("workload", format!("`{wanted}`"), format!("use one of {}", names.join(", "))));
    };
    let threads = settings.number("threads", 2)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Error::input("threads", threads, e.to_string()))?;
    let mut line = Figures::new();
    line.insert("workload".into(), json!(name));
    line.insert("threads".into(), json!(threads));
    line.append(&mut pool.install(|| work(&settings))?);
    println!("{}", Value::Object(line));
    Ok(())
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quadrat-bench: {error}");
            std::process::ExitCode::from(2)
        }
    }
}
