//! Twenty questions. The whole game is in every request (what was answered so far), so the server keeps nothing, and a page
//! that is loaded again goes on where it was.

use super::limits::MOST_COMPARISONS;
use crate::line::typed;
use quadrat::data::Table;
use quadrat::select::{AnswerTable, Classical, QueryRule, Reply, Session, SessionState};
use quadrat::{Error, Questions, Result};
use serde::{Deserialize, Serialize};

/// Items that are shown with their chances.
const BEST: usize = 5;
/// The game ends when one item is this likely, or after this many questions: the defaults of `quadrat ask`.
const CONFIDENCE: f64 = 0.95;
const QUESTIONS: usize = 20;
const SEED: u64 = 0;

/// What was answered so far.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Played {
    /// A file below the folder, or builtin:NAME.
    pub input: String,
    /// Share of answers that may be wrong.
    noise: f64,
    /// Questions by number with 1 for yes, 0 for no and null for "don't know".
    replies: Vec<Reply>,
}

/// How the game stands.
#[derive(Debug, Serialize)]
pub struct Standing {
    /// Items that could be meant.
    items: usize,
    /// Questions that could be asked.
    questions: usize,
    /// The next question, with its number among all; none at the end.
    next: Option<Question>,
    /// What is meant, as it seems now.
    guess: String,
    /// The likeliest items with their chances.
    best: Vec<Likely>,
    /// The questions so far, with the replies.
    asked: Vec<Said>,
    /// The command line that plays the same game.
    command: String,
}

#[derive(Debug, Serialize)]
struct Question {
    query: usize,
    text: String,
}

#[derive(Debug, Serialize)]
struct Likely {
    item: String,
    chance: f64,
}

#[derive(Debug, Serialize)]
struct Said {
    text: String,
    reply: &'static str,
}

impl Played {
    /// Goes on with the game on this table.
    ///
    /// # Errors
    /// A table of which no game can be made, replies that do not fit it, a share of wrong answers out of its range.
    pub fn go_on(&self, table: &Table) -> Result<Standing> {
        let asked = Questions::of(table, None, &[])?;
        let comparisons = asked.items.len().saturating_mul(asked.items.len()).saturating_mul(asked.questions.len());
        if comparisons > MOST_COMPARISONS {
            let got = format!("{} items and {} questions", asked.items.len(), asked.questions.len());
            return Err(Error::input(table.name(), got, "that is much for a page: play it with `quadrat ask`"));
        }
        let problem = AnswerTable::new(asked.yes.view(), &[self.noise])?;
        let policy = Classical { no_repeat: true, ..Classical::new(&problem, QueryRule::InformationGain)? };
        let state = SessionState { questions: QUESTIONS, seed: SEED, replies: self.replies.clone() };
        let mut session = Session::resume(&policy, state)?;
        let chances = session.chances();
        let sure = chances.iter().any(|chance| *chance >= CONFIDENCE);
        let next = if sure { None } else { session.ask() };
        let guess = session.recommend();
        let replies = &session.state().replies;
        Ok(Standing {
            items: asked.items.len(),
            questions: asked.questions.len(),
            next: next.map(|query| Question { query, text: asked.questions[query].clone() }),
            guess: asked.items[guess].clone(),
            best: best(&chances, guess).map(|item| likely(&asked, item, chances[item])).collect(),
            asked: replies.iter().map(|reply| said(&asked, reply)).collect(),
            command: command(&self.input, self.noise, replies),
        })
    }
}

/// The likeliest items; of those that are equally likely the guess is first.
fn best(chances: &[f64], guess: usize) -> impl Iterator<Item = usize> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*b].total_cmp(&chances[*a]).then((*b == guess).cmp(&(*a == guess))));
    order.into_iter().take(BEST)
}

fn likely(asked: &Questions, item: usize, chance: f64) -> Likely {
    Likely { item: asked.items[item].clone(), chance }
}

fn said(asked: &Questions, reply: &Reply) -> Said {
    let word = match reply.reply {
        None => "don't know",
        Some(yes) if yes > 0.5 => "yes",
        Some(_) => "no",
    };
    Said { text: asked.questions[reply.query].clone(), reply: word }
}

fn command(input: &str, noise: f64, replies: &[Reply]) -> String {
    let letter = |reply: &Reply| reply.reply.map_or("?", |yes| if yes > 0.5 { "y" } else { "n" });
    let answers: Vec<&str> = replies.iter().map(letter).collect();
    let (noise, answers) = (noise.to_string(), answers.join(","));
    let words: [&str; 7] = ["ask", "--in", input, "--noise", &noise, "--answers", &answers];
    typed(if replies.is_empty() { &words[..5] } else { &words[..] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn zoo() -> Table {
        Table::open("builtin:zoo", &[]).unwrap()
    }

    fn standing(noise: f64, replies: serde_json::Value) -> Result<Standing> {
        let played = json!({ "input": "builtin:zoo", "noise": noise, "replies": replies });
        serde_json::from_value::<Played>(played).unwrap().go_on(&zoo())
    }

    #[test]
    fn a_game_ends_with_the_item_that_was_meant() {
        let asked = Questions::of(&zoo(), None, &[]).unwrap();
        let meant = asked.items.iter().position(|item| item.contains("penguin")).unwrap();
        let mut replies = Vec::new();
        let end = loop {
            let now = standing(0.05, json!(replies)).unwrap();
            assert_eq!(now.asked.len(), replies.len());
            let Some(next) = now.next else { break now };
            replies.push(json!({ "query": next.query, "reply": asked.yes[[meant, next.query]].round() }));
        };
        assert!(end.guess.contains("penguin") && end.best[0].item == end.guess, "{end:?}");
        assert!(replies.len() <= QUESTIONS && end.command.contains("--answers"), "{end:?}");
    }

    #[test]
    fn replies_that_do_not_fit_are_refused() {
        for (noise, replies) in [
            (0.5, json!([])),
            (-1.0, json!([])),
            (0.05, json!([{ "query": 99999, "reply": 1.0 }])),
            (0.05, json!([{ "query": 0, "reply": 7.0 }])),
            (0.05, json!(vec![json!({ "query": 0, "reply": null }); QUESTIONS + 1])),
        ] {
            assert!(standing(noise, replies.clone()).is_err(), "{noise} {replies}");
        }
        let unknown = standing(0.05, json!([{ "query": 0, "reply": null }])).unwrap();
        assert_eq!(unknown.asked[0].reply, "don't know");
    }
}
