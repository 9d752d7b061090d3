//! ViML: retrieval by something rich and a sentence that may be missing.
//!
//! McKee, Salamon, Sivic, Russell, "Language-Guided Music Recommendation for Video via Prompt Analogies", CVPR 2023, arXiv 2306.09327.
//! There the query is a video, the target its music. A sentence says little and is easy to learn from, so that a model which always
//! gets one neglects the video, and is lost without the sentence. Text dropout mends that: for each row anew the sentence is left out
//! before the two inputs meet, with the same zero vector that stands for a missing one later. Sentences themselves are written from
//! automatic tags ([`describe`](super::describe)).
//!
//! Left open, and chosen here: the rate of dropout (a half), how the inputs meet (the gated sum, which without a sentence is the video's
//! vector alone), networks of one layer over features that are given, Adam, the temperature (0.07, as CLIP starts; below 0.01 training
//! breaks down, which is the end of its range).

use super::{ComposedEncoder, ComposedTraining, Composer, ModalityDropout, Passes, Task, fit};
use crate::losses::symmetric_in_batch;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use quadrat_core::{Area, Card, Error, Lists, Method, Progress, Result, Seed, Settings};

/// ViML: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct LanguageGuidedMusic {
    /// How reference and sentence meet.
    #[param(default = Composer::GatedSum)]
    pub composer: Composer,
    /// Probability that a row's sentence is left out.
    #[param(default = 0.5, from = 0, to = 1)]
    pub text_dropout: f64,
    /// What cosines are divided by before the softmax.
    #[param(default = 0.07, from = 0.01)]
    pub temperature: f64,
    /// How long and how fast.
    #[param(flatten)]
    pub passes: Passes,
}

impl Method for LanguageGuidedMusic {
    const CARD: Card = Card {
        slug: "language-guided-music",
        aliases: &["viml"],
        title: "ViML: text dropout and prompt analogies for retrieval by a video and words",
        paper: "McKee, Salamon, Sivic, Russell, Language-Guided Music Recommendation for Video via Prompt Analogies, CVPR 2023, \
                arXiv 2306.09327",
        area: Area::Retrieval,
        verbs: &["retrieve train", "retrieve describe"],
        summary: "Trains an encoder of something rich and an optional sentence with symmetric InfoNCE, leaving sentences out at random; \
                  sentences can be written from tags after a few examples.",
        useful_when: "find music for a video, recommend a soundtrack, query with a missing text, optional text, multimodal query, \
                      write captions from tags, no captions to train on",
        cost: "time O(batch x (features x dims + dims^2) + batch^2 x dims) a step; memory O(features x dims)",
        params: Self::PARAMS,
    };
}

impl ComposedTraining for LanguageGuidedMusic {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn composer(&self) -> Composer {
        self.composer
    }

    fn train(
        &self,
        encoder: &mut ComposedEncoder,
        task: &Task,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<f64>> {
        let dropout = ModalityDropout::new(self.text_dropout)?;
        fit(encoder, task, (self.passes, dropout), seed, progress, &mut |batch| {
            let loss = symmetric_in_batch(batch.queries.dot(&batch.targets.t()).view(), self.temperature)?;
            Ok((loss.value, [loss.slope.dot(&batch.targets), loss.slope.t().dot(&batch.queries)]))
        })
    }
}

/// The vector of each track: the mean of its segments' vectors, of length 1. `tracks` lists the rows of each one's segments.
///
/// # Errors
/// A track without a segment, a row that is not there.
pub fn average(segments: ArrayView2<f32>, tracks: &Lists) -> Result<Array2<f32>> {
    let mut vectors = Array2::zeros((tracks.len(), segments.ncols()));
    for (track, (rows, mut vector)) in tracks.iter().zip(vectors.outer_iter_mut()).enumerate() {
        if rows.is_empty() {
            return Err(Error::input(format!("track {track} (from 0)"), "no segment", "each needs one at least"));
        }
        if let Some(row) = rows.iter().find(|row| **row as usize >= segments.nrows()) {
            return Err(Error::input(
                format!("segment of track {track} (from 0)"),
                row,
                format!("there are {} rows", segments.nrows()),
            ));
        }
        rows.iter().for_each(|row| vector += &segments.row(*row as usize));
        crate::dense::normalise(ArrayViewMut2::from(vector.view_mut().insert_axis(Axis(0))));
    }
    Ok(vectors)
}
