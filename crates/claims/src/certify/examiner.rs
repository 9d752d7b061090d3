//! Asking, and what is the same for every kind of subject.

use super::book::{Book, Certificate};
use super::law::Law;
use super::protocol::{Answer, Outcome, Request, Subject};
use quadrat_core::{Error, Progress, Rng, Seed, checkpoint};

/// Why an examination ends early.
pub enum Halt {
    /// A law is broken without which the others mean nothing; it stands in the book.
    Broken,
    /// The subject cannot be asked, or the user stopped the job.
    Error(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Error(error)
    }
}

pub struct Examiner<'a> {
    subject: &'a mut dyn Subject,
    progress: &'a dyn Progress,
    pub book: Book,
    /// Where the data come from.
    pub seed: Seed,
    /// What is special about the rows that are asked about, where something is.
    pub about: &'static str,
    seeds: Rng,
    requests: u64,
}

/// Seeds asked of the same rows, to see whether a seed changes anything. Of two seeds even a good subject has the same
/// answer now and then; of 32, hardly once in 2^31.
const SEEDS: usize = 32;

impl<'a> Examiner<'a> {
    pub fn new(subject: &'a mut dyn Subject, book: Book, seed: Seed, progress: &'a dyn Progress) -> Self {
        Examiner { subject, progress, book, seed, about: "", seeds: seed.stream("seeds").rng(0), requests: 0 }
    }

    pub fn finish(self, seed: Seed) -> Certificate {
        self.book.close(seed, self.requests)
    }

    /// A seed that any language's generator takes.
    pub fn new_seed(&mut self) -> u64 {
        self.seeds.next_u64() >> 33
    }

    /// How the request ended; it gets a new id.
    pub fn ask(&mut self, request: &mut Request) -> Result<Outcome, Halt> {
        checkpoint(self.progress)?;
        self.requests += 1;
        request.id = self.requests;
        self.progress.advance(1);
        Ok(self.subject.ask(request)?)
    }

    /// The answer to a request that everybody must be able to meet.
    pub fn answer(&mut self, request: &mut Request) -> Result<Answer, Halt> {
        let why = match self.ask(request)? {
            Outcome::Answer(answer) => {
                self.book.agrees(Law::Answers);
                return Ok(answer);
            }
            Outcome::Refused(why) => format!("was refused: {}", super::protocol::quote(&why)),
            Outcome::Fault(why) => format!("has no answer: {why}"),
        };
        Err(self.broken(Law::Answers, request, &why))
    }

    /// A law is broken by the answer to this request, and the examination cannot go on.
    pub fn broken(&mut self, law: Law, request: &Request, how: &str) -> Halt {
        self.book.breaks(law, format!("{} {how}", self.describe(request)));
        Halt::Broken
    }

    /// A request must have the answer that it has had before.
    pub fn same(&mut self, request: &mut Request, first: &Answer, when: &str) -> Result<(), Halt> {
        let asked = request.id;
        let again = self.answer(request)?;
        if again == *first {
            self.book.agrees(Law::SameSeed);
        } else {
            let measured = format!("{} has another answer {when} than as request {asked}", self.describe(request));
            self.book.breaks(Law::SameSeed, measured);
        }
        Ok(())
    }

    /// The same once more after all else, and after a fresh start.
    pub fn same_at_the_end(&mut self, request: &mut Request, first: &Answer) -> Result<(), Halt> {
        self.same(request, first, "later")?;
        self.subject.restart();
        self.same(request, first, "after a fresh start")?;
        self.book.holds(Law::SameSeed, "all equal");
        Ok(())
    }

    /// Some seed must have another answer.
    pub fn other_seeds(&mut self, request: &Request, first: &Answer) -> Result<(), Halt> {
        let mut request = request.clone();
        for _ in 0..SEEDS {
            request.seed = self.new_seed();
            self.book.agrees(Law::OtherSeed);
            if self.answer(&mut request)? != *first {
                self.book.holds(Law::OtherSeed, "differs");
                return Ok(());
            }
        }
        self.book.breaks(Law::OtherSeed, format!("{SEEDS} seeds have one answer"));
        Ok(())
    }

    /// A request that cannot be met must be refused; some kinds may have an answer to it.
    pub fn impossible(&mut self, mut request: Request, what: &str, may_answer: bool) -> Result<(), Halt> {
        match self.ask(&mut request)? {
            Outcome::Refused(why) => {
                self.book.agrees(Law::Impossible);
                self.book.holds(Law::Impossible, super::protocol::quote(&why));
            }
            Outcome::Answer(_) if may_answer => {
                self.book.agrees(Law::Impossible);
                self.book.holds(Law::Impossible, "answered");
            }
            Outcome::Answer(_) => self.book.breaks(Law::Impossible, format!("{what} got an answer")),
            Outcome::Fault(why) => self.book.breaks(Law::Impossible, format!("{what}: {why}")),
        }
        Ok(())
    }

    /// A request in words.
    fn describe(&self, request: &Request) -> String {
        let k = request.k.map_or_else(String::new, |k| format!(", k = {k}"));
        let about = if self.about.is_empty() { String::new() } else { format!(", {}", self.about) };
        format!("request {} ({} rows{k}{about})", request.id, request.rows.len())
    }
}
