//! Expressions in words, each with one program in a fixed style, behind which many equivalent ones hide.

use quadrat_core::{Rng, Seed};
use quadrat_language::solve::Task;

/// How a question may begin.
const QUESTIONS: [&str; 4] = ["What is", "Find", "Compute", "How much is"];

/// Ways to say each operation of two parts, and its sign.
const OPERATIONS: [(&str, [&str; 3]); 3] = [
    ("+", ["the sum of {a} and {b}", "the total of {a} and {b}", "{b} added to {a}"]),
    ("-", ["the difference of {a} and {b}", "{a} less {b}", "what is left of {a} without {b}"]),
    ("*", ["the product of {a} and {b}", "{a} times {b}", "{b} groups of {a}"]),
];

/// Sentence forms, by question and operation.
pub(super) const FORMS: usize = QUESTIONS.len() * 3 * 3;

/// Tasks with two or three operations each.
pub(super) fn draw(count: usize, seed: Seed) -> Vec<Task<f64>> {
    let one = |i: usize| {
        let mut rng = seed.rng(i as u64);
        let mut program = Vec::new();
        let operations = 2 + rng.below(2);
        let (words, _, answer) = tree(operations, &mut program, &mut rng);
        if let Some(last) = program.last_mut() {
            *last = format!("answer = {}", last.split_once("= ").map_or("", |(_, expression)| expression));
        }
        let problem = format!("{} {words} ?", QUESTIONS[rng.below(QUESTIONS.len())]);
        Task { problem, program: program.join("\n"), answer }
    };
    (0..count).map(one).collect()
}

/// A tree of so many operations: its words, the name of its value in the program, and the value.
fn tree(operations: usize, program: &mut Vec<String>, rng: &mut Rng) -> (String, String, f64) {
    if operations == 0 {
        let number = 2 + rng.below(8);
        return (number.to_string(), number.to_string(), number as f64);
    }
    let left = rng.below(operations);
    let (a, a_name, x) = tree(left, program, rng);
    let (b, b_name, y) = tree(operations - 1 - left, program, rng);
    let (sign, ways) = OPERATIONS[rng.below(OPERATIONS.len())];
    let value = match sign {
        "+" => x + y,
        "-" => x - y,
        _ => x * y,
    };
    let words = ways[rng.below(ways.len())]
        .replace("{a}", &bracketed(a, left))
        .replace("{b}", &bracketed(b, operations - 1 - left));
    let name = format!("t{}", program.len() + 1);
    program.push(format!("{name} = {a_name} {sign} {b_name}"));
    (words, name, value)
}

/// Parts that are operations themselves stand in brackets, so that a sentence has one meaning.
fn bracketed(words: String, operations: usize) -> String {
    if operations == 0 { words } else { format!("( {words} )") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_language::solve::{SolutionBuffer, StraightLine};

    #[test]
    fn references_reach_their_answers() {
        for task in draw(200, Seed(1)) {
            assert!(SolutionBuffer::seed(StraightLine::default(), &task.program, task.answer).is_ok(), "{task:?}");
        }
    }
}
