//! The solutions of a task that are known: whole ones, good beginnings, and the states that they pass through.

use super::{Executor, Step};
use quadrat_core::{Error, Result, Rng};
use std::collections::HashMap;

/// A program as its statements.
type Program = Vec<String>;

/// What became of an offered program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It does not run.
    NotExecutable,
    /// It, or the part of it that leads somewhere, is longer than what is known.
    TooLong,
    /// It answers wrongly or not at all, and passes through no known state.
    NoMatch,
    /// What would be kept is known already.
    Duplicate,
    /// What would be kept is the beginning of a known program.
    Prefix,
    /// A new beginning was kept.
    Partial,
    /// A new solution was kept.
    Full,
}

/// How often each outcome has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    outcomes: [u64; 7],
    /// Beginnings that were dropped because there were too many.
    pub dropped: u64,
}

impl Counts {
    /// Programs with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// All programs offered.
    pub fn offered(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.outcomes.iter_mut().zip(other.outcomes).for_each(|(a, b)| *a += b);
        self.dropped += other.dropped;
    }
}

/// What is known of one task's solutions.
///
/// Three stores, as in the authors' program: full programs (the reference first), partial ones (the empty program first), and for
/// every state that a kept program passes through the length of the shortest beginning that reaches it. Nothing longer than what
/// is known is taken, so that useless statements cannot creep in.
///
/// ```
/// use quadrat_language::solve::{Outcome, SolutionBuffer, StraightLine};
/// let mut buffer = SolutionBuffer::seed(StraightLine::default(), "a = 3 * 4\nb = a + 5\nanswer = b / 2", 8.5)?;
/// // Another way to the same state, though what follows is wrong: the beginning is kept.
/// assert_eq!(buffer.offer("x = 4 * 3\nanswer = x"), Outcome::Partial);
/// assert_eq!(buffer.offer("x = 4 * 3\ny = 5 + x\nanswer = y / 2"), Outcome::Full);
/// assert_eq!(buffer.targets(10).len(), 2);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SolutionBuffer<E: Executor> {
    executor: E,
    gold: E::Answer,
    full: Vec<Program>,
    partial: Vec<Program>,
    /// State to the length of the shortest beginning that reaches it.
    states: HashMap<E::State, usize>,
    counts: Counts,
    cap: usize,
}

/// Partial programs that a task keeps at most, unless said otherwise.
const CAP: usize = 1000;

impl<E: Executor> SolutionBuffer<E> {
    /// The buffer of a task with its reference solution and right answer.
    ///
    /// # Errors
    /// A reference that does not run, or misses the answer.
    pub fn seed(executor: E, reference: &str, gold: E::Answer) -> Result<Self> {
        let program = executor.statements(reference);
        let want = "a solution that runs and sets `answer` to the right one";
        let steps = executor.trace(&program).map_err(|stopped| Error::input("reference", stopped, want))?;
        let at = steps.iter().position(|step| step.answer.is_some());
        let answer = at.and_then(|at| steps[at].answer.as_ref());
        let (Some(at), true) = (at, answer.is_some_and(|answer| executor.agrees(answer, &gold))) else {
            let said = answer.map_or("no answer".to_owned(), |answer| format!("{answer:?}, not {gold:?}"));
            return Err(Error::input("reference", said, want));
        };
        let (full, partial, states) = (Vec::new(), vec![Program::new()], HashMap::new());
        let mut buffer = SolutionBuffer { executor, gold, full, partial, states, counts: Counts::default(), cap: CAP };
        buffer.keep(program[..=at].to_vec(), &steps, true);
        Ok(buffer)
    }

    /// Keep at most so many partial programs, the empty one among them; the oldest are dropped.
    ///
    /// # Errors
    /// 0.
    pub fn with_cap(mut self, cap: usize) -> Result<Self> {
        if cap == 0 {
            return Err(Error::input("cap", 0, "at least 1, the empty program"));
        }
        self.cap = cap;
        self.shrink();
        Ok(self)
    }

    /// Runs a program and keeps what is new and good in it.
    pub fn offer(&mut self, text: &str) -> Outcome {
        let outcome = self.judge(self.executor.statements(text));
        self.counts.outcomes[outcome as usize] += 1;
        outcome
    }

    fn judge(&mut self, mut program: Program) -> Outcome {
        let Ok(steps) = self.executor.trace(&program) else { return Outcome::NotExecutable };
        let (mut best, mut full, mut too_long) = (0, false, false);
        for (i, step) in steps.iter().enumerate() {
            let length = i + 1;
            match &step.answer {
                Some(answer) => {
                    let right = self.executor.agrees(answer, &self.gold);
                    let shortest = self.full.iter().map(Vec::len).min().unwrap_or(usize::MAX);
                    full = right && length <= shortest;
                    too_long |= right && !full;
                    best = if full { length } else { best };
                    break;
                }
                None => match self.states.get(&step.state) {
                    Some(shortest) if length <= *shortest => best = length,
                    Some(_) => too_long = true,
                    None => (),
                },
            }
        }
        if best == 0 {
            return if too_long { Outcome::TooLong } else { Outcome::NoMatch };
        }
        program.truncate(best);
        if self.full.contains(&program) || self.partial.contains(&program) {
            return Outcome::Duplicate;
        }
        if self.full.iter().chain(&self.partial).any(|known| known.starts_with(&program)) {
            return Outcome::Prefix;
        }
        self.keep(program, &steps, full);
        if full { Outcome::Full } else { Outcome::Partial }
    }

    /// Takes a program in, in the place of the partial ones that it begins with, and the states that it passes through.
    fn keep(&mut self, program: Program, steps: &[Step<E::State, E::Answer>], full: bool) {
        self.partial.retain(|known| known.is_empty() || !program.starts_with(known));
        // The state with the answer is no state on the way.
        let on_the_way = program.len() - usize::from(full);
        for (i, step) in steps.iter().take(on_the_way).enumerate() {
            let shortest = self.states.entry(step.state.clone()).or_insert(i + 1);
            *shortest = (*shortest).min(i + 1);
        }
        if full { &mut self.full } else { &mut self.partial }.push(program);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.partial.len() > self.cap {
            self.partial.remove(1);
            self.counts.dropped += 1;
        }
    }

    /// What to learn from: full programs first, the reference at the head, then partial ones; the flag says which are full, so
    /// that only these are taught to end there.
    pub fn targets(&self, most: usize) -> Vec<(&[String], bool)> {
        let full = self.full.iter().map(|program| (&program[..], true));
        let partial = self.partial.iter().skip(1).map(|program| (&program[..], false));
        full.chain(partial).take(most).collect()
    }

    /// A beginning to go on from: one of the partial programs, the empty one among them, all alike.
    pub fn prefix(&self, rng: &mut Rng) -> &[String] {
        &self.partial[rng.below(self.partial.len())]
    }

    /// Whether a whole text is a right solution, however long.
    pub fn solves(&self, text: &str) -> bool {
        let Ok(steps) = self.executor.trace(&self.executor.statements(text)) else { return false };
        let answer = steps.iter().find_map(|step| step.answer.as_ref());
        answer.is_some_and(|answer| self.executor.agrees(answer, &self.gold))
    }

    /// Full programs known, the reference first.
    pub fn full(&self) -> &[Vec<String>] {
        &self.full
    }

    /// Partial programs known, the empty one first.
    pub fn partial(&self) -> &[Vec<String>] {
        &self.partial
    }

    /// Whether a known program passes through this state.
    pub fn knows(&self, state: &E::State) -> bool {
        self.states.contains_key(state)
    }

    /// How often each outcome has come.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
