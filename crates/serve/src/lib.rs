//! Quadrat as a page in the browser: the catalogue to search and read, methods to run on one's own files, runs to compare.
//!
//! The page never computes a run itself. A run is the command line that the page shows, started as a program of its own
//! in a folder of its own: its results are the command line's to the byte, one that crashes harms nobody, and one that is
//! no longer wanted is stopped. What a verb takes comes from the command line's own definition ([`Verb`]), what a method
//! takes from its card, so that no form is written by hand.
//!
//! Everything stays on this machine: the server listens on the loopback address and serves whoever holds the secret that
//! is part of the address it prints.

mod app;
mod assets;
mod command;
mod compare;
mod field;
mod files;
mod find;
mod folder;
mod form;
mod guard;
mod layout;
mod line;
mod memory;
mod method;
mod play;
mod problem;
mod runs;
#[cfg(test)]
#[cfg(unix)]
mod tests;
mod verb;

/// The stylesheet that pages and reports share: colours by day and by night, tables, figures, bars.
pub const STYLE: &str = include_str!("../assets/style.css");

pub use app::{App, router};
pub use verb::{Verb, VerbOption};

use quadrat::{Error, Result};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// How the page is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder whose files can be inputs.
    pub folder: PathBuf,
    /// The folder of runs.
    pub runs: PathBuf,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Runs at a time.
    pub jobs: usize,
    /// Bytes of an uploaded file, at most.
    pub upload: u64,
    /// Whether options whose value is a program can be used.
    pub allow_programs: bool,
    /// The program that a run starts: this one.
    pub program: PathBuf,
}

/// Serves the page until the program is ended. `ready` is told the address to open.
///
/// # Errors
/// A folder that is not there, an address that is taken.
pub fn serve(options: Options, verbs: Vec<Verb>, ready: impl FnOnce(&str)) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::input("the server", e, "it could not be started"))?;
    runtime.block_on(async {
        let asked = std::net::SocketAddr::new(options.host, options.port);
        let taken = |e| Error::input("--port", format!("{asked} ({e})"), "choose another, or leave it out");
        let listener = tokio::net::TcpListener::bind(asked).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let app = Arc::new(App::new(Options { port: address.port(), ..options.clone() }, verbs)?);
        app.runs.work(options.jobs);
        ready(&app.guard.address(address));
        axum::serve(listener, router(app)).await.map_err(taken)
    })
}
