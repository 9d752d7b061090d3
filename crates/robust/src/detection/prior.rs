//! The share of the foreground, and the bias at which a classifier already knows it.

use super::matching::Assignment;
use quadrat_core::{Error, Result};

/// How rare the foreground is among the places that are not ignored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Share of the foreground, f.
    pub foreground: f64,
    /// Classes, C.
    pub classes: usize,
}

impl Prior {
    /// Share of each class if all are alike, pi = f / C.
    pub fn each(&self) -> f64 {
        self.foreground / self.classes.max(1) as f64
    }
}

/// Counts the foreground of all images, without a network.
///
/// # Errors
/// No foreground anywhere; nothing but ignored places.
pub fn estimate_prior<'a>(assignments: impl IntoIterator<Item = &'a Assignment>, classes: usize) -> Result<Prior> {
    let (mut foreground, mut labelled, mut largest, mut unmatched) = (0, 0, 0.0f32, 0);
    for assignment in assignments {
        foreground += assignment.labels.iter().filter(|label| **label > 0).count();
        labelled += assignment.labels.iter().filter(|label| **label >= 0).count();
        largest = largest.max(assignment.largest_iou);
        unmatched += assignment.unmatched;
    }
    if labelled == 0 {
        return Err(Error::input("places", "all of them ignored", "foreground or background somewhere"));
    }
    if foreground == 0 {
        let got = format!("no foreground for {unmatched} objects");
        let want = match (unmatched, largest) {
            (0, _) => "at least one image with an object".to_owned(),
            (_, 0.0) => "no point lies in the middle half of any object: check scales".to_owned(),
            _ => format!("no anchor matches any object: check scales; largest IoU seen {largest:.2}"),
        };
        return Err(Error::input("places", got, want));
    }
    Ok(Prior { foreground: foreground as f64 / labelled as f64, classes })
}

/// How classes compete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// A yes or no for each class.
    Sigmoid,
    /// One of the classes or the background, which comes first.
    Softmax,
}

/// The last layer's biases at which, with weights near 0, the first loss is least: -ln((1 - p) / p) for each class that begins with probability
/// `p`, or ln(1 - C p) of the background and ln p of each class. (The paper gives the former; the latter follows in the same way.)
///
/// # Errors
/// A probability outside 0 to 1, of a softmax 0 to 1 / C.
pub fn bias(p: f64, classes: usize, head: Head) -> Result<Vec<f32>> {
    let most = if head == Head::Softmax { 1.0 / classes.max(1) as f64 } else { 1.0 };
    if !(p > 0.0 && p < most) {
        return Err(Error::input("prior", p, format!("above 0, below {most}")));
    }
    Ok(match head {
        Head::Sigmoid => vec![-((1.0 - p) / p).ln() as f32; classes],
        Head::Softmax => {
            let background = (1.0 - classes as f64 * p).ln() as f32;
            std::iter::once(background).chain(std::iter::repeat_n(p.ln() as f32, classes)).collect()
        }
    })
}
