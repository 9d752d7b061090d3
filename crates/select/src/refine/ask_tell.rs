//! Choosing in rounds: the interface.

use quadrat_core::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A method that chooses in rounds: it is asked for rows, the user does with them whatever gives them a score (labels
/// them, trains on them), and tells the scores. The method never sees the model.
pub trait AskTell {
    /// All there is to know of a run so far. Written with serde and read back, it goes on with the very same rows, bit
    /// for bit, provided the format keeps all digits (for `serde_json`, its feature `float_roundtrip`).
    type State: Clone + Serialize + DeserializeOwned;

    /// `m` new rows.
    fn ask(&mut self, m: usize) -> Result<Vec<usize>>;
    /// One score for each of `rows`, which must have been asked for; a row told again gets its new score.
    fn tell(&mut self, rows: &[usize], scores: &[f64]) -> Result<()>;
    /// The run so far.
    fn state(&self) -> &Self::State;
    /// Goes on from a state.
    fn resume(state: Self::State) -> Result<Self>
    where
        Self: Sized;
}
