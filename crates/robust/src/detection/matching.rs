//! Where a detector looks, and which object each place is for.

use super::boxes::{Bounds, area, decode, encode, iou};
use quadrat_core::{Error, Result};

/// An object of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Its box.
    pub bounds: Bounds,
    /// Its class, from 0.
    pub class: u32,
    /// Whether the box is around many objects at once: places in it are neither foreground nor background.
    pub crowd: bool,
}

/// The places of an image for which a detector answers: cells row by row, in each cell its anchors in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Rows and columns of cells.
    pub cells: [usize; 2],
    /// Pixels from one cell to the next.
    pub stride: usize,
    /// Width and height of each anchor, around the cell's centre; none: one point a cell, the centre.
    pub anchors: Vec<[f32; 2]>,
}

/// What each place of one image is to learn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assignment {
    /// -1 ignored, 0 background, 1 and above a class.
    pub labels: Vec<i32>,
    /// Where the label is a class, the code of its box: [`encode`] beside an anchor; of a point how far left, top, right and
    /// bottom are, in strides. Elsewhere 0.
    pub targets: Vec<[f32; 4]>,
    /// The largest overlap of an object and an anchor.
    pub largest_iou: f32,
    /// Objects that no place is for.
    pub unmatched: usize,
}

/// Which anchors are for an object: those that overlap it by `foreground` and more; below `background` they are background,
/// between they are ignored.
///
/// ```
/// use quadrat_robust::detection::Matcher;
/// assert_eq!((Matcher::RETINANET.foreground, Matcher::RPN.background), (0.5, 0.3));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matcher {
    /// Least overlap of the foreground, above 0 to 1.
    pub foreground: f32,
    /// Least overlap that is no background, 0 to `foreground`.
    pub background: f32,
    /// Whether the best anchors of each object are foreground whatever their overlap. An anchor is then still for the object
    /// that it overlaps most, as in the authors' program.
    pub low_quality: bool,
}

impl Matcher {
    /// 0.5 and 0.4 (Lin et al. 2017).
    pub const RETINANET: Matcher = Matcher { foreground: 0.5, background: 0.4, low_quality: true };
    /// 0.7 and 0.3 (Ren et al. 2015).
    pub const RPN: Matcher = Matcher { foreground: 0.7, background: 0.3, low_quality: true };

    /// The object of each anchor and its overlap, and whether it is background (0), foreground (1) or ignored (-1).
    fn anchors(self, anchors: &[Bounds], objects: &[Object]) -> (Vec<(usize, f32)>, Vec<i32>) {
        let overlap = |anchor: Bounds, object: &Object| if object.crowd { 0.0 } else { iou(anchor, object.bounds) };
        let mut best = vec![(0, 0.0); anchors.len()];
        let mut highest = vec![0.0f32; objects.len()];
        for (best, anchor) in best.iter_mut().zip(anchors) {
            for (i, object) in objects.iter().enumerate() {
                let overlap = overlap(*anchor, object);
                highest[i] = highest[i].max(overlap);
                if overlap > best.1 {
                    *best = (i, overlap);
                }
            }
        }
        let label = |(_, overlap): &(usize, f32)| match overlap {
            overlap if *overlap >= self.foreground => 1,
            overlap if *overlap < self.background => 0,
            _ => -1,
        };
        let mut labels: Vec<i32> = best.iter().map(label).collect();
        for (i, object) in objects.iter().enumerate().filter(|(i, _)| self.low_quality && highest[*i] > 0.0) {
            for (label, anchor) in labels.iter_mut().zip(anchors) {
                if overlap(*anchor, object) == highest[i] {
                    *label = 1;
                }
            }
        }
        (best, labels)
    }
}

impl Grid {
    /// How many places there are.
    pub fn places(&self) -> usize {
        self.cells[0] * self.cells[1] * self.anchors.len().max(1)
    }

    /// The centre of a cell, and the sides of an anchor around it; of a point a square of one stride.
    fn place(&self, place: usize) -> Bounds {
        let each = self.anchors.len().max(1);
        let (cell, kind) = (place / each, place % each);
        let stride = self.stride as f32;
        let centre = |at: usize| (at as f32 + 0.5) * stride;
        let (x, y) = (centre(cell % self.cells[1]), centre(cell / self.cells[1]));
        let [w, h] = self.anchors.get(kind).copied().unwrap_or([stride; 2]);
        [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]
    }

    /// The box that a place's four numbers mean: a code beside its anchor; of a point the logarithms of how far left, top, right and
    /// bottom are, in strides.
    pub fn bounds(&self, place: usize, numbers: [f32; 4]) -> Bounds {
        let here = self.place(place);
        if !self.anchors.is_empty() {
            return decode(here, numbers);
        }
        let far = numbers.map(|z| z.min(LARGEST).exp() * self.stride as f32);
        let (x, y) = ((here[0] + here[2]) / 2.0, (here[1] + here[3]) / 2.0);
        [x - far[0], y - far[1], x + far[2], y + far[3]]
    }

    /// What each place is to learn of an image with these objects. Anchors follow the `matcher`. A point is for the object in whose
    /// middle half (of width and height) it lies, the smallest of several. Other places with their centre in a crowd are
    /// ignored.
    ///
    /// Cost: O(places x objects).
    ///
    /// # Errors
    /// A box without area or with numbers that are not finite; thresholds outside their ranges.
    pub fn assign(&self, objects: &[Object], matcher: Matcher) -> Result<Assignment> {
        let Matcher { foreground, background, .. } = matcher;
        if !(foreground > 0.0 && foreground <= 1.0 && (0.0..=foreground).contains(&background)) {
            let got = format!("foreground from {foreground}, background below {background}");
            return Err(Error::input("matcher", got, "0 to 1, the background's limit at most the foreground's"));
        }
        for (i, object) in objects.iter().enumerate() {
            if !(area(object.bounds) > 0.0 && object.bounds.iter().all(|v| v.is_finite())) {
                return Err(Error::input(format!("box {i}"), format!("{:?}", object.bounds), "a finite area above 0"));
            }
        }
        let places: Vec<Bounds> = (0..self.places()).map(|place| self.place(place)).collect();
        let (best, mut labels) = match self.anchors.is_empty() {
            true => places.iter().map(|place| point(*place, objects)).unzip(),
            false => matcher.anchors(&places, objects),
        };
        let mut assignment = Assignment { targets: vec![[0.0; 4]; places.len()], ..Assignment::default() };
        let mut met = vec![false; objects.len()];
        for (((here, (object, overlap)), label), target) in
            places.iter().zip(best).zip(&mut labels).zip(&mut assignment.targets)
        {
            assignment.largest_iou = assignment.largest_iou.max(overlap);
            if *label == 1 {
                met[object] = true;
                *label = objects[object].class as i32 + 1;
                *target = self.target(*here, objects[object].bounds);
            } else if objects.iter().any(|object| object.crowd && within(*here, object.bounds, 1.0)) {
                *label = -1;
            }
        }
        assignment.unmatched = met.iter().zip(objects).filter(|(met, object)| !**met && !object.crowd).count();
        Ok(Assignment { labels, ..assignment })
    }

    fn target(&self, here: Bounds, bounds: Bounds) -> [f32; 4] {
        if !self.anchors.is_empty() {
            return encode(here, bounds);
        }
        let (x, y) = ((here[0] + here[2]) / 2.0, (here[1] + here[3]) / 2.0);
        [x - bounds[0], y - bounds[1], bounds[2] - x, bounds[3] - y].map(|far| far / self.stride as f32)
    }
}

/// Logarithm of the most strides from a point to a side.
const LARGEST: f32 = 5.0;

/// Whether a place's centre lies in the middle part of a box, `share` of its width and height.
fn within(here: Bounds, bounds: Bounds, share: f32) -> bool {
    let inside = |low: usize| {
        let (at, middle) = ((here[low] + here[low + 2]) / 2.0, (bounds[low] + bounds[low + 2]) / 2.0);
        (at - middle).abs() <= share * (bounds[low + 2] - bounds[low]) / 2.0
    };
    inside(0) && inside(1)
}

/// The smallest object in whose middle half a point lies; no overlap is measured.
fn point(here: Bounds, objects: &[Object]) -> ((usize, f32), i32) {
    let around = objects.iter().enumerate().filter(|(_, object)| !object.crowd && within(here, object.bounds, 0.5));
    let smallest = around.min_by(|a, b| area(a.1.bounds).total_cmp(&area(b.1.bounds)));
    smallest.map_or(((0, 0.0), 0), |(i, _)| ((i, 0.0), 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object() -> impl Strategy<Value = Object> {
        (0.0f32..50.0, 0.0f32..50.0, 2.0f32..40.0, 2.0f32..40.0, 0u32..3).prop_map(|(x, y, w, h, class)| Object {
            bounds: [x, y, x + w, y + h],
            class,
            crowd: false,
        })
    }

    fn grid() -> Grid {
        let sides = [12.0f32, 20.0].iter().flat_map(|s| [[s * 0.8, s / 0.8], [*s; 2], [s / 0.8, s * 0.8]]);
        Grid { cells: [8, 8], stride: 8, anchors: sides.collect() }
    }

    proptest! {
        /// The rule in words, anchor by anchor.
        #[test]
        fn anchors_are_matched_as_the_rule_says(
            objects in prop::collection::vec(object(), 0..5), low_quality in any::<bool>(), rpn in any::<bool>()
        ) {
            let grid = grid();
            let matcher = Matcher { low_quality, ..if rpn { Matcher::RPN } else { Matcher::RETINANET } };
            let found = grid.assign(&objects, matcher).unwrap();
            for place in 0..grid.places() {
                let overlaps: Vec<f32> = objects.iter().map(|o| iou(grid.place(place), o.bounds)).collect();
                let own = overlaps.iter().copied().fold(0.0, f32::max);
                let best_of_some = objects.iter().any(|o| {
                    let of = |p| iou(grid.place(p), o.bounds);
                    let most = (0..grid.places()).map(of).fold(0.0, f32::max);
                    most > 0.0 && of(place) == most
                });
                let foreground = own >= matcher.foreground || (low_quality && best_of_some);
                let first = overlaps.iter().position(|v| *v == own);
                let label = match first {
                    Some(i) if foreground => objects[i].class as i32 + 1,
                    _ if own < matcher.background => 0,
                    _ => -1,
                };
                prop_assert_eq!(found.labels[place], label);
                if label > 0 {
                    let back = grid.bounds(place, found.targets[place]);
                    let wanted = objects[first.unwrap()].bounds;
                    prop_assert!(back.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-2));
                }
            }
        }

        #[test]
        fn points_are_for_the_smallest_object_around_them(objects in prop::collection::vec(object(), 0..5)) {
            let grid = Grid { anchors: Vec::new(), ..grid() };
            let found = grid.assign(&objects, Matcher::RETINANET).unwrap();
            for place in 0..64 {
                let (x, y) = ((place % 8) as f32 * 8.0 + 4.0, (place / 8) as f32 * 8.0 + 4.0);
                let mut around: Vec<_> = objects
                    .iter()
                    .filter(|o| {
                        let [l, t, r, b] = o.bounds;
                        (x - (l + r) / 2.0).abs() <= (r - l) / 4.0 && (y - (t + b) / 2.0).abs() <= (b - t) / 4.0
                    })
                    .collect();
                around.sort_by(|a, b| area(a.bounds).total_cmp(&area(b.bounds)));
                prop_assert_eq!(found.labels[place], around.first().map_or(0, |o| o.class as i32 + 1));
                if let Some(object) = around.first() {
                    let back = grid.bounds(place, found.targets[place].map(f32::ln));
                    prop_assert!(back.iter().zip(object.bounds).all(|(a, b)| (a - b).abs() < 1e-2));
                }
            }
        }
    }

    #[test]
    fn crowds_are_neither_and_bad_boxes_are_refused() {
        let object = |bounds, crowd| Object { bounds, class: 0, crowd };
        for grid in [grid(), Grid { anchors: Vec::new(), ..grid() }] {
            let crowd = grid.assign(&[object([0.0, 0.0, 32.0, 64.0], true)], Matcher::RETINANET).unwrap();
            let half = crowd.labels.iter().filter(|label| **label == -1).count();
            assert_eq!((half * 2, crowd.unmatched), (grid.places(), 0));
            let tiny =
                grid.assign(&[object([0.0, 0.0, 1.0, 1.0], false)], Matcher { low_quality: false, ..Matcher::RPN });
            assert_eq!(tiny.unwrap().unmatched, 1);
            for bounds in [[3.0, 3.0, 3.0, 9.0], [0.0, 0.0, f32::NAN, 1.0], [9.0, 0.0, 1.0, 1.0]] {
                assert!(grid.assign(&[object(bounds, false)], Matcher::RETINANET).is_err());
            }
            assert!(grid.assign(&[], Matcher { foreground: 0.3, ..Matcher::RETINANET }).is_err());
        }
    }
}
