//! The runs that are known, and who is next.

use super::child::{self, Stop};
use super::record::{Record, State, now};
use crate::command::{Form, Plan};
use crate::folder::Folder;
use quadrat::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What a page shows of a run while it works.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Live {
    /// How far it is.
    pub state: State,
    /// The phase.
    pub what: String,
    /// Steps of the phase that are done.
    pub at: u64,
    /// Steps of the phase, where they can be counted.
    pub total: Option<u64>,
    /// How the phase goes.
    pub note: String,
}

impl Live {
    fn new(state: State) -> Self {
        Live { state, what: String::new(), at: 0, total: None, note: String::new() }
    }
}

/// A run that is known.
struct Known {
    record: Record,
    live: watch::Sender<Live>,
    stop: Arc<Stop>,
}

impl Known {
    fn new(record: Record) -> Self {
        Known { live: watch::Sender::new(Live::new(record.state)), stop: Arc::default(), record }
    }
}

/// All runs of a folder.
pub struct Runs {
    folder: PathBuf,
    root: PathBuf,
    program: PathBuf,
    known: Mutex<BTreeMap<u64, Known>>,
    wake: Condvar,
}

impl Runs {
    /// The runs of the folder. Those that say that they work were interrupted: nobody waits for them any more.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Folder, program: &Path) -> Result<Self> {
        let at = |e| Error::io(folder.runs(), e);
        let mut known = BTreeMap::new();
        for entry in std::fs::read_dir(folder.runs()).map_err(at)? {
            let path = entry.map_err(at)?.path();
            let Some(mut record) = Record::read(&path) else { continue };
            if path.file_name().is_none_or(|name| *name != *record.id.to_string()) {
                continue;
            }
            if record.state == State::Running {
                record.state = State::Interrupted;
                record.write(&path)?;
                let _ = std::fs::remove_file(path.join(child::PART));
            }
            known.insert(record.id, Known::new(record));
        }
        let (folder, root) = (folder.runs().to_path_buf(), folder.root().to_path_buf());
        Ok(Runs { folder, root, program: program.to_path_buf(), known: Mutex::new(known), wake: Condvar::new() })
    }

    /// Starts as many workers as runs may work at a time.
    pub fn work(self: &Arc<Self>, jobs: usize) {
        for _ in 0..jobs {
            let runs = Arc::clone(self);
            std::thread::spawn(move || {
                loop {
                    runs.work_once();
                }
            });
        }
    }

    /// The folder of a run.
    pub fn place(&self, id: u64) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Puts a run into the queue; `plan` is told its folder.
    ///
    /// # Errors
    /// What `plan` says; the folder cannot be made.
    pub fn add<E: From<Error>>(
        &self,
        form: Form,
        plan: impl FnOnce(&Path) -> std::result::Result<Plan, E>,
    ) -> std::result::Result<u64, E> {
        let mut known = self.lock();
        let mut id = known.keys().next_back().map_or(1, |last| last + 1);
        let place = loop {
            let place = self.place(id);
            match std::fs::create_dir(&place) {
                Ok(()) => break place,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => id += 1,
                Err(e) => return Err(Error::io(&place, e).into()),
            }
        };
        let record = plan(&place).and_then(|plan| {
            let record = Record::new(id, form, plan);
            record.write(&place)?;
            Ok(record)
        });
        match record {
            Ok(record) => known.insert(id, Known::new(record)),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&place);
                return Err(error);
            }
        };
        self.wake.notify_one();
        Ok(id)
    }

    /// What is known of a run.
    pub fn find(&self, id: u64) -> Option<Record> {
        self.lock().get(&id).map(|known| known.record.clone())
    }

    /// All runs, the newest first.
    pub fn all(&self) -> Vec<Record> {
        self.lock().values().rev().map(|known| known.record.clone()).collect()
    }

    /// Where to hear how far a run is.
    pub fn follow(&self, id: u64) -> Option<watch::Receiver<Live>> {
        self.lock().get(&id).map(|known| known.live.subscribe())
    }

    /// Stops a run, or takes it out of the queue. Whether there is such a run.
    pub fn cancel(&self, id: u64) -> bool {
        let mut all = self.lock();
        let Some(known) = all.get_mut(&id) else { return false };
        known.stop.ask();
        if known.record.state == State::Queued {
            known.record.state = State::Cancelled;
            known.record.ended = Some(now());
            let _ = known.record.write(&self.place(id));
            known.live.send_modify(|live| live.state = State::Cancelled);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a run and does it.
    fn work_once(&self) {
        let (mut record, live, stop) = self.next();
        let place = self.place(record.id);
        live.send_modify(|live| live.state = State::Running);
        child::run(&mut record, &self.program, &self.root, &place, &live, &stop);
        record.ended = Some(now());
        let _ = record.write(&place);
        let state = record.state;
        if let Some(known) = self.lock().get_mut(&record.id) {
            known.record = record;
        }
        live.send_modify(|live| live.state = state);
    }

    /// The oldest run that waits, which works from now on.
    fn next(&self) -> (Record, watch::Sender<Live>, Arc<Stop>) {
        let mut all = self.lock();
        loop {
            if let Some(known) = all.values_mut().find(|known| known.record.state == State::Queued) {
                known.record.state = State::Running;
                known.record.started = Some(now());
                // Before anybody hears of it: a server that is killed now has left a run that worked, not one that waits. A record
                // that cannot be written is told by the run itself, which cannot write either.
                let _ = known.record.write(&self.place(known.record.id));
                return (known.record.clone(), known.live.clone(), Arc::clone(&known.stop));
            }
            all = self.wake.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
