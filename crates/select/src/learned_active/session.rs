//! A game with a person: ask, tell, undo, and go on another day.

use super::{Game, QueryPolicy, check_budget};
use quadrat_core::{Error, Result, Seed};
use serde::{Deserialize, Serialize};

/// What was said to one question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The query.
    pub query: usize,
    /// The reply; `None` for "don't know".
    pub reply: Option<f64>,
}

/// All there is to know of a session, besides the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionState {
    /// Questions in all.
    pub questions: usize,
    /// Draws come from it.
    pub seed: u64,
    /// What was said so far.
    pub replies: Vec<Reply>,
}

/// A game that is played question by question.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_select::{AnswerTable, Classical, QueryRule, Session};
/// let policy = Classical::new(&AnswerTable::thresholds(7, &[0.0])?, QueryRule::InformationGain)?;
/// let mut session = Session::start(&policy, 3, Seed(1))?;
/// // The threshold is before point 5: points 5 and 6 say yes.
/// while let Some(point) = session.ask() {
///     session.tell(point, Some(if point >= 5 { 1.0 } else { 0.0 }))?;
/// }
/// assert_eq!(session.recommend(), 5);
/// assert!(session.chances()[5] > 0.99);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Session<'a> {
    game: Box<dyn Game + 'a>,
    state: SessionState,
}

impl<'a> Session<'a> {
    /// A session of `questions` questions.
    ///
    /// # Errors
    /// No questions.
    pub fn start(policy: &'a dyn QueryPolicy, questions: usize, seed: Seed) -> Result<Self> {
        Session::resume(policy, SessionState { questions, seed: seed.0, replies: Vec::new() })
    }

    /// Goes on from a state, with the policy that it was made with.
    ///
    /// # Errors
    /// No questions, more replies than questions, a reply that the policy cannot have heard.
    pub fn resume(policy: &'a dyn QueryPolicy, state: SessionState) -> Result<Self> {
        check_budget(state.questions)?;
        if state.replies.len() > state.questions {
            let want = format!("the session has {} questions", state.questions);
            return Err(Error::input("replies", state.replies.len(), want));
        }
        let mut session = Session { game: policy.start(), state };
        session.replay()?;
        Ok(session)
    }

    fn replay(&mut self) -> Result<()> {
        self.game.restart();
        self.state.replies.iter().try_for_each(|said| self.game.tell(said.query, said.reply))
    }

    /// The next query: the same until a reply is told. `None` when all questions are spent or none is left.
    pub fn ask(&mut self) -> Option<usize> {
        let at = self.state.replies.len();
        if at == self.state.questions {
            return None;
        }
        self.game.ask(&mut Seed(self.state.seed).stream("ask").rng(at as u64))
    }

    /// The reply to a query, which need not be the one asked; `None` for "don't know", which spends a question too.
    ///
    /// # Errors
    /// All questions are spent; as [`Game::tell`].
    pub fn tell(&mut self, query: usize, reply: Option<f64>) -> Result<()> {
        if self.state.replies.len() == self.state.questions {
            let want = format!("all {} questions are spent", self.state.questions);
            return Err(Error::input("reply", "one more", want));
        }
        self.game.tell(query, reply)?;
        self.state.replies.push(Reply { query, reply });
        Ok(())
    }

    /// Takes the last reply back; false when there is none.
    pub fn undo(&mut self) -> bool {
        let undone = self.state.replies.pop().is_some();
        // What was told once can be told again.
        undone && self.replay().is_ok()
    }

    /// The answer to give now.
    pub fn recommend(&mut self) -> usize {
        self.game.recommend(&mut Seed(self.state.seed).stream("recommend").rng(self.state.replies.len() as u64))
    }

    /// The chance that each answer is the best, under the policy's belief.
    pub fn chances(&mut self) -> Vec<f64> {
        self.game.chances()
    }

    /// The session so far.
    pub fn state(&self) -> &SessionState {
        &self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnswerTable, Classical, QueryRule};

    #[test]
    fn sessions_are_undone_and_resumed() {
        let policy = Classical::new(&AnswerTable::thresholds(7, &[0.1]).unwrap(), QueryRule::InformationGain).unwrap();
        let mut session = Session::start(&policy, 4, Seed(3)).unwrap();
        let first = session.ask().unwrap();
        assert_eq!(session.ask(), Some(first), "asking twice changes nothing");
        session.tell(first, Some(1.0)).unwrap();
        let (second, chances) = (session.ask(), session.chances());
        session.tell(second.unwrap(), Some(0.0)).unwrap();
        assert!(session.undo());
        assert_eq!((session.ask(), session.chances()), (second, chances.clone()));

        let text = serde_json::to_string(session.state()).unwrap();
        let mut again = Session::resume(&policy, serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!((again.ask(), again.chances()), (second, chances.clone()));
        again.tell(second.unwrap(), None).unwrap();
        assert_eq!(again.chances(), chances, "don't know says nothing");
        assert_eq!(again.state().replies.len(), 2);
        for _ in 0..2 {
            again.tell(0, Some(0.0)).unwrap();
        }
        assert_eq!(again.ask(), None);
        assert!(again.tell(0, Some(0.0)).unwrap_err().to_string().contains("all 4 questions"));
        for _ in 0..4 {
            assert!(again.undo());
        }
        assert!(!again.undo());

        assert!(Session::start(&policy, 0, Seed(0)).is_err());
        assert!(again.tell(9, Some(0.0)).is_err() && again.tell(0, Some(2.0)).is_err());
        assert!(again.state().replies.is_empty(), "what was refused is not kept");
        let reply = Reply { query: 99, reply: Some(1.0) };
        let state = SessionState { questions: 2, seed: 0, replies: vec![reply; 2] };
        assert!(Session::resume(&policy, state.clone()).is_err());
        assert!(Session::resume(&policy, SessionState { questions: 1, ..state }).is_err());
    }
}
