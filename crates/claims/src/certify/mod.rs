//! Certificates: a selector, a design or a resampler that somebody else wrote, put through the identities that it must
//! fulfil whatever the data are.
//!
//! A [`Subject`] answers [`Request`]s; a closure is one, and so is a program that reads and writes lines of JSON.
//! [`certify`] asks some thousand times and judges every answer by a list of [`Law`]s. Most laws say what a single answer
//! must be like, and one bad answer breaks them. The others say what answers are like on average, and a test decides:
//!
//! - **False alarms.** All tests of a certificate together refuse a correct subject at most once in 10,000 certificates
//!   ([`FALSE_ALARMS`]), by Bonferroni's inequality over tests that hold at any number of repetitions: exact binomial
//!   tests for frequencies, Markov's inequality on betting wealth for means. No law is assumed to be normal. Unbiased
//!   weights may be as heavy as [`HEAVIEST`] times the mean one: rows that are rarer cannot be vouched for in a number of
//!   repetitions that anybody waits for, and are refused by name.
//! - **Power.** The repetitions are planned so that deviations of the size in each law are found 99 times in 100
//!   ([`POWER`]); what was reached stands in the certificate ([`Item::finds`]).
//!
//! ```
//! use quadrat_claims::certify::{Answer, Kind, Outcome, Request, certify};
//! use quadrat_core::{Seed, Silent};
//! let mut first_rows = |request: &Request| match request.k {
//!     Some(k) if k <= request.rows.len() => Outcome::Answer(Answer { rows: (0..k).collect(), ..Answer::default() }),
//!     _ => Outcome::Refused("more rows than there are".into()),
//! };
//! let certificate = certify(&mut first_rows, Kind::Selector, Seed(0), &Silent)?;
//! let broken = certificate.broken().map(|item| item.name.as_str()).collect::<Vec<_>>();
//! assert_eq!(broken, ["the order of the rows does not decide"]);
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod averages;
mod book;
mod choice;
mod examiner;
mod law;
mod material;
mod protocol;
mod resample;
mod statistics;
#[cfg(test)]
mod zoo;

pub use book::{Certificate, Item, Status};
pub use law::{Kind, Law};
pub use protocol::{Answer, Outcome, Request, Subject};

use book::Book;
use examiner::{Examiner, Halt};
use quadrat_core::{Progress, Result, Seed};

/// How often a correct subject may be refused.
pub const FALSE_ALARMS: f64 = 1e-4;

/// How often the deviations in a certificate would have been found.
pub const POWER: f64 = 0.99;

/// How many times the mean weight the weight of one row in one answer may be, and how many times the truth an estimate.
pub const HEAVIEST: f64 = 10.0;

/// Asks a subject some thousand times and judges its answers by the laws of its kind.
///
/// The same seed asks the same questions. A law that cannot be judged because an answer broke another one is
/// [`Status::NotReached`].
///
/// # Errors
/// A subject that cannot be asked at all (a program that does not start), or a job that was stopped. Answers that are
/// wrong, late or absent are no errors: they break a law.
///
/// Cost: some 1,000 to 12,000 requests of 12 rows (selectors, weights, designs), or 2,800 of 29 rows (resamplers).
pub fn certify(subject: &mut dyn Subject, kind: Kind, seed: Seed, progress: &dyn Progress) -> Result<Certificate> {
    progress.begin("asking", None);
    let mut examiner = Examiner::new(subject, Book::new(kind), seed.stream("certify"), progress);
    let halted = match kind {
        Kind::Resampler => resample::examine(&mut examiner),
        _ => choice::examine(&mut examiner),
    };
    match halted {
        Ok(()) | Err(Halt::Broken) => Ok(examiner.finish(seed)),
        Err(Halt::Error(error)) => Err(error),
    }
}
