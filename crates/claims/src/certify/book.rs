//! What is found, law by law.

use super::law::{Kind, Law};
use super::{FALSE_ALARMS, POWER};
use quadrat_core::Seed;

/// What became of a law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It holds.
    Holds,
    /// It does not.
    Broken,
    /// Another law was broken before.
    NotReached,
}

/// A law with what was found.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Item {
    /// The law.
    pub law: Law,
    /// The law in words.
    pub name: String,
    /// What became of it.
    pub status: Status,
    /// What was found, in words; of a law that a test decides the worst place.
    pub measured: String,
    /// What is allowed, in words.
    pub allowed: String,
    /// How many answers say so.
    pub repetitions: u64,
    /// Of a law that a test decides: the smallest p.
    pub p: Option<f64>,
    /// Of a law that a test decides: below which p it is broken.
    pub threshold: Option<f64>,
    /// Of a law that a test decides: the relative deviation that would have been found with probability
    /// [`POWER`](super::POWER); 0.2 is a fifth more or less than allowed.
    pub finds: Option<f64>,
    /// What to look at, where it is broken.
    pub look: Option<String>,
}

/// What [`certify`](super::certify) found.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Certificate {
    /// What the subject said it is.
    pub kind: Kind,
    /// The seed of the questions.
    pub seed: u64,
    /// How many requests were made.
    pub requests: u64,
    /// How often a correct subject is refused, at most.
    pub false_alarms: f64,
    /// How often what the items say would have been found.
    pub power: f64,
    /// All laws of the kind.
    pub items: Vec<Item>,
}

impl Certificate {
    /// Whether all laws hold.
    pub fn certified(&self) -> bool {
        self.items.iter().all(|item| item.status == Status::Holds)
    }

    /// The laws that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.status == Status::Broken)
    }
}

/// A certificate while it is made.
pub struct Book {
    pub kind: Kind,
    items: Vec<Item>,
}

/// One test of a law that several decide.
pub struct Test {
    pub p: f64,
    /// What was measured.
    pub measured: String,
}

impl Book {
    pub fn new(kind: Kind) -> Book {
        let blank = |law: &Law| Item {
            law: *law,
            name: law.name().into(),
            status: Status::NotReached,
            measured: String::new(),
            allowed: law.allowed().into(),
            repetitions: 0,
            p: None,
            threshold: None,
            finds: None,
            look: None,
        };
        Book { kind, items: kind.laws().iter().map(blank).collect() }
    }

    /// The item of a law; laws of other kinds have none.
    fn item(&mut self, law: Law) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.law == law)
    }

    /// One more answer agrees with the law.
    pub fn agrees(&mut self, law: Law) {
        if let Some(item) = self.item(law) {
            item.repetitions += 1;
        }
    }

    /// The law has been judged and holds.
    pub fn holds(&mut self, law: Law, measured: impl Into<String>) {
        if let Some(item) = self.item(law).filter(|item| item.status == Status::NotReached) {
            (item.status, item.measured) = (Status::Holds, measured.into());
        }
    }

    /// The law is broken.
    pub fn breaks(&mut self, law: Law, measured: impl Into<String>) {
        // What broke it first is the easiest to find.
        if let Some(item) = self.item(law).filter(|item| item.status != Status::Broken) {
            item.status = Status::Broken;
            item.measured = measured.into();
            item.look = Some(law.look().into());
        }
    }

    /// A law that several tests decide: the worst one counts, at a level that allows for all of the certificate.
    pub fn tests(&mut self, law: Law, tests: Vec<Test>, alpha: f64, repetitions: u64, finds: Option<f64>) {
        let Some(worst) = tests.into_iter().min_by(|a, b| a.p.total_cmp(&b.p)) else { return };
        if worst.p <= alpha {
            self.breaks(law, worst.measured);
        } else {
            self.holds(law, worst.measured);
        }
        if let Some(item) = self.item(law) {
            (item.p, item.threshold, item.repetitions, item.finds) = (Some(worst.p), Some(alpha), repetitions, finds);
        }
    }

    pub fn close(self, seed: Seed, requests: u64) -> Certificate {
        let Book { kind, items } = self;
        Certificate { kind, seed: seed.0, requests, false_alarms: FALSE_ALARMS, power: POWER, items }
    }
}
