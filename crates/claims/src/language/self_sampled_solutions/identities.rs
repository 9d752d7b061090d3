//! What must hold whatever is sampled.

use crate::Trial;
use quadrat_core::{Evidence, Result};
use quadrat_language::objective::{Group, SequenceObjective, Targets};
use quadrat_language::solve::{Executor, Outcome, SolutionBuffer, StraightLine, pass_at_k};

/// Puts them on record.
pub fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let group = Group { policy: &[-1.0, -2.5, -0.3], ..Group::default() };
    let mml = Targets::Mml.pull(&group)?;
    evidence.identity("MML of three targets", mml.loss, -0.1746107888, 1e-9);
    evidence.identity("its weight of the second", -mml.weights[1], 0.0689336529, 1e-9);
    let softer = Targets::BetaMml { beta: 0.25 }.pull(&group)?;
    evidence.identity("beta-MML at 0.25", softer.loss, -3.2291266251, 1e-9);
    evidence.identity("its weight of the second", -softer.weights[1], 0.2387635240, 1e-9);
    evidence.identity(
        "beta-MML as beta falls to 0: a third each",
        -Targets::BetaMml { beta: 1e-6 }.pull(&group)?.weights[0],
        1.0 / 3.0,
        1e-6,
    );
    evidence.identity("pass@10 of 5 in 100", pass_at_k(100, 5, 10)?, 0.4162476331, 1e-9);
    evidence.identity("pass@1 of 3 in 10", pass_at_k(10, 3, 1)?, 0.3, 1e-12);

    let language = StraightLine::default();
    let mut buffer = SolutionBuffer::seed(language, "a = 2 * 3\nb = 4 + 5\nanswer = a * b", 54.0)?;
    let swapped = buffer.offer("b = 4 + 5\na = 2 * 3\nanswer = 0") == Outcome::Partial;
    evidence.identity(
        "two independent statements swapped are a beginning that is kept",
        f64::from(u8::from(swapped)),
        1.0,
        0.0,
    );
    let lines =
        ["a = 2 * 3", "a = 3 * 2", "x = 6", "b = 4 + 5", "y = 9", "answer = a * b", "answer = x * y", "answer = 5"];
    let mut rng = trial.seed.stream("offers").rng(0);
    let mut wrong = 0;
    for _ in 0..10_000 {
        let text: Vec<&str> = (0..1 + rng.below(4)).map(|_| lines[rng.below(lines.len())]).collect();
        let text = text.join("\n");
        let new = buffer.offer(&text) == Outcome::Full;
        wrong += usize::from(new && !buffer.solves(&text));
    }
    evidence.identity("wrong answers among the solutions kept of 10,000 random programs", wrong as f64, 0.0, 0.0);
    let all: Vec<&Vec<String>> = buffer.full().iter().chain(buffer.partial()).collect();
    let begins = |program: &&Vec<String>| {
        !program.is_empty() && all.iter().filter(|other| other.starts_with(program)).count() > 1
    };
    evidence.identity(
        "kept beginnings that begin another program",
        buffer.partial().iter().filter(begins).count() as f64,
        0.0,
        0.0,
    );
    let unknown = buffer.partial().iter().filter_map(|program| language.trace(program).ok()).flatten();
    let unknown = unknown.filter(|step| !buffer.knows(&step.state)).count();
    evidence.identity("states on the way of kept beginnings that are not known", unknown as f64, 0.0, 0.0);
    Ok(())
}
