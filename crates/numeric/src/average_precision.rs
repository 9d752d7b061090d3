//! Mean average precision of detections, as COCO's evaluation has it.
//!
//! For each class and overlap threshold (0.50, 0.55, ..., 0.95) detections, the highest scored first, each take the unmatched
//! object of their image that they overlap most. Precision, made to fall with recall, is averaged over 101 points of recall, then
//! over thresholds and classes. Objects of another size than asked for, and boxes around crowds, are not missed when nobody
//! finds them; a detection that is matched to one of those, or unmatched and of another size, does not count. At most 100
//! detections of an image and class count. All this is pycocotools' rule, to the order of equal scores; figures are the same.

use rayon::prelude::*;

/// An object that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Its image; among equal scores, detections of images with smaller numbers come first.
    pub image: u32,
    /// Its class.
    pub class: u32,
    /// Left, top, width and height in pixels.
    pub bounds: [f64; 4],
    /// Its area in square pixels, which may be less than the box's.
    pub area: f64,
    /// Whether the box is around many objects: any number of detections may match it and then do not count.
    pub crowd: bool,
}

/// A box that was said to hold an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Its image.
    pub image: u32,
    /// Its class.
    pub class: u32,
    /// Left, top, width and height in pixels.
    pub bounds: [f64; 4],
    /// How sure that is; only the order counts.
    pub score: f64,
}

/// COCO's twelve figures and each class's; none where there is no object to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct AveragePrecision {
    /// Names and values: `AP` (mean over thresholds 0.50 to 0.95), `AP50`, `AP75`, `APs`, `APm`, `APl` (areas up to 32^2, to 96^2, and
    /// above), `AR1`, `AR10`, `AR100` (mean largest recall of as many detections an image), `ARs`, `ARm`, `ARl`.
    pub figures: [(&'static str, Option<f64>); 12],
    /// `AP` of each class.
    pub classes: Vec<Option<f64>>,
}

/// How many thresholds there are.
const THRESHOLDS: usize = 10;
/// Least overlaps of an object that is found, as `numpy.linspace` rounds them.
const LEAST: [f64; THRESHOLDS] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.899_999_999_999_999_9, 0.95];
const RECALLS: usize = 101;
/// All, small, medium, large; both ends count.
const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];
/// Detections of an image and class that count.
const MOST: [usize; 3] = [1, 10, 100];

/// Averages precision over recall, thresholds and `classes` classes (all detections' and objects' are below that).
///
/// Cost: O(detections x objects) in each image and class, shared by the threads; memory a few bytes a detection.
///
/// ```
/// use quadrat_numeric::average_precision::{Detection, Truth, average_precision};
/// let truth = Truth { image: 0, class: 0, bounds: [2.0, 2.0, 10.0, 10.0], area: 100.0, crowd: false };
/// let found = Detection { image: 0, class: 0, bounds: [2.0, 2.0, 10.0, 8.0], score: 0.9 };
/// // They overlap by 0.8: found at the seven thresholds up to that.
/// let ap = average_precision(&[truth], &[found], 1).figures[0].1;
/// assert!((ap.unwrap() - 0.7).abs() < 1e-12);
/// ```
pub fn average_precision(truth: &[Truth], found: &[Detection], classes: usize) -> AveragePrecision {
    let truth = grouped(truth, classes, |t| (t.class, t.image));
    let found = grouped(found, classes, |d| (d.class, d.image));
    let of_class = |class: usize| of_class(&truth[class], &found[class]);
    let all: Vec<[Curve; 4]> = (0..classes).into_par_iter().map(of_class).collect();
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
        (count > 0).then(|| sum / count as f64)
    };
    let precision = |area: usize, thresholds: std::ops::Range<usize>| {
        let curves = all.iter().filter(|of_class| of_class[area].objects > 0);
        mean(&mut curves.flat_map(|of_class| of_class[area].precision[thresholds.clone()].iter().copied()))
    };
    let recall = |area: usize, most: usize| {
        let curves = all.iter().filter(|of_class| of_class[area].objects > 0);
        mean(&mut curves.flat_map(|of_class| of_class[area].recall[most].iter().copied()))
    };
    let every = 0..THRESHOLDS;
    AveragePrecision {
        figures: [
            ("AP", precision(0, every.clone())),
            ("AP50", precision(0, 0..1)),
            ("AP75", precision(0, 5..6)),
            ("APs", precision(1, every.clone())),
            ("APm", precision(2, every.clone())),
            ("APl", precision(3, every)),
            ("AR1", recall(0, 0)),
            ("AR10", recall(0, 1)),
            ("AR100", recall(0, 2)),
            ("ARs", recall(1, 2)),
            ("ARm", recall(2, 2)),
            ("ARl", recall(3, 2)),
        ],
        classes: all
            .iter()
            .map(|of_class| (of_class[0].objects > 0).then(|| of_class[0].precision.iter().sum::<f64>() / 10.0))
            .collect(),
    }
}

/// Of one class and range of areas.
#[derive(Default)]
struct Curve {
    /// Objects that are to be found.
    objects: usize,
    /// Mean precision over recalls, at each threshold.
    precision: [f64; THRESHOLDS],
    /// The largest recall, by detections of an image that count and threshold.
    recall: [[f64; THRESHOLDS]; 3],
}

/// Items class by class, of each class image by image, in the items' order.
fn grouped<T: Copy>(items: &[T], classes: usize, of: impl Fn(&T) -> (u32, u32)) -> Vec<Vec<(u32, T)>> {
    let mut groups: Vec<Vec<(u32, T)>> = (0..classes).map(|_| Vec::new()).collect();
    for item in items {
        let (class, image) = of(item);
        if let Some(group) = groups.get_mut(class as usize) {
            group.push((image, *item));
        }
    }
    groups.iter_mut().for_each(|group| group.sort_by_key(|(image, _)| *image));
    groups
}

/// Whether a detection found something (1), nothing (0), or does not count (-1), at each threshold, for a range of areas.
type Outcome = [i8; THRESHOLDS];

/// A detection's score, its rank in its image, and what became of it for each range of areas.
type Ranked = (f64, usize, [Outcome; 4]);

fn of_class(truth: &[(u32, Truth)], found: &[(u32, Detection)]) -> [Curve; 4] {
    let mut ranked: Vec<Ranked> = Vec::with_capacity(found.len());
    for found in found.chunk_by(|a, b| a.0 == b.0) {
        let image = found[0].0;
        let there = truth.partition_point(|t| t.0 < image)..truth.partition_point(|t| t.0 <= image);
        of_image(&truth[there], found, &mut ranked);
    }
    // Stable: of equal scores the earlier image's, and in it the earlier detection, comes first.
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    std::array::from_fn(|area| curve(area, truth, &ranked))
}

fn outside(value: f64, area: usize) -> bool {
    value < AREAS[area][0] || value > AREAS[area][1]
}

/// Matches an image's detections of a class with its objects.
fn of_image(truth: &[(u32, Truth)], found: &[(u32, Detection)], ranked: &mut Vec<Ranked>) {
    let mut order: Vec<&Detection> = found.iter().map(|(_, d)| d).collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    order.truncate(MOST[2]);
    let overlaps: Vec<f64> = order.iter().flat_map(|d| truth.iter().map(|(_, t)| overlap(d, t))).collect();
    let first = ranked.len();
    ranked.extend(order.iter().enumerate().map(|(rank, d)| (d.score, rank, [[0; THRESHOLDS]; 4])));
    let mut matched = vec![false; truth.len()];
    for area in 0..4 {
        let ignored = |t: &Truth| t.crowd || outside(t.area, area);
        // Objects that count come first; each group in its order.
        let mut objects: Vec<usize> = (0..truth.len()).collect();
        objects.sort_by_key(|i| ignored(&truth[*i].1));
        let counted = objects.iter().filter(|i| !ignored(&truth[**i].1)).count();
        for (threshold, least) in LEAST.into_iter().enumerate() {
            matched.fill(false);
            for (rank, d) in order.iter().enumerate() {
                let overlaps = &overlaps[rank * truth.len()..(rank + 1) * truth.len()];
                let free = |i: &&usize| !matched[**i] || truth[**i].1.crowd;
                // Of equal overlaps the last one; what does not count only if nothing else fits.
                let best = |objects: &[usize]| {
                    let (mut best, mut most) = (None, least);
                    for i in objects.iter().filter(free).filter(|i| overlaps[**i] >= least) {
                        if overlaps[*i] >= most {
                            (best, most) = (Some(*i), overlaps[*i]);
                        }
                    }
                    best
                };
                let taken = best(&objects[..counted]);
                let beside = taken.is_none().then(|| best(&objects[counted..])).flatten();
                if let Some(i) = taken.or(beside) {
                    matched[i] = true;
                }
                ranked[first + rank].2[area][threshold] = match (taken, beside) {
                    (Some(_), _) => 1,
                    (None, Some(_)) => -1,
                    (None, None) if outside(d.bounds[2] * d.bounds[3], area) => -1,
                    (None, None) => 0,
                };
            }
        }
    }
}

/// Shared area over joint area; over the detection's own where the object is a crowd.
fn overlap(d: &Detection, t: &Truth) -> f64 {
    let ([dx, dy, dw, dh], [tx, ty, tw, th]) = (d.bounds, t.bounds);
    let w = (dx + dw).min(tx + tw) - dx.max(tx);
    let h = (dy + dh).min(ty + th) - dy.max(ty);
    if w <= 0.0 || h <= 0.0 {
        return 0.0;
    }
    let shared = w * h;
    shared / if t.crowd { dw * dh } else { dw * dh + tw * th - shared }
}

/// Precision and recall as detections are admitted one by one.
fn curve(area: usize, truth: &[(u32, Truth)], ranked: &[Ranked]) -> Curve {
    let objects = truth.iter().filter(|(_, t)| !t.crowd && !outside(t.area, area)).count();
    let mut curve = Curve { objects, ..Curve::default() };
    if objects == 0 {
        return curve;
    }
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(ranked.len());
    for threshold in 0..THRESHOLDS {
        for (recall, most) in curve.recall.iter_mut().zip(MOST) {
            let right = ranked.iter().filter(|(_, rank, all)| *rank < most && all[area][threshold] == 1).count();
            recall[threshold] = right as f64 / objects as f64;
        }
        points.clear();
        let (mut right, mut wrong) = (0u32, 0u32);
        for (.., all) in ranked {
            match all[area][threshold] {
                1 => right += 1,
                0 => wrong += 1,
                _ => {}
            }
            let said = f64::from(right + wrong) + f64::EPSILON;
            points.push((f64::from(right) / objects as f64, f64::from(right) / said));
        }
        let mut highest = 0.0f64;
        for (_, precision) in points.iter_mut().rev() {
            highest = highest.max(*precision);
            *precision = highest;
        }
        let mut at = 0;
        let total: f64 = (0..RECALLS)
            .map(|i| {
                let wanted = i as f64 * 0.01;
                at += points[at..].iter().take_while(|(recall, _)| *recall < wanted).count();
                points.get(at).map_or(0.0, |(_, precision)| *precision)
            })
            .sum();
        curve.precision[threshold] = total / RECALLS as f64;
    }
    curve
}
