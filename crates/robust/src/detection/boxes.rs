//! Boxes: overlap, codes, and one box of many for the same object.

/// Left, top, right and bottom, in pixels from the image's upper left corner.
pub type Bounds = [f32; 4];

/// Area of a box, 0 where it has none.
pub fn area([left, top, right, bottom]: Bounds) -> f32 {
    (right - left).max(0.0) * (bottom - top).max(0.0)
}

/// Shared area over joint area, 0 to 1; 0 where both have no area.
pub fn iou(a: Bounds, b: Bounds) -> f32 {
    let shared = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let joint = area(a) + area(b) - shared;
    if joint > 0.0 { shared / joint } else { 0.0 }
}

/// Generalised overlap, -1 to 1: [`iou`] less the share of the smallest box around both that neither covers (Rezatofighi et
/// al. 2019).
///
/// ```
/// use quadrat_robust::detection::generalised_iou;
/// // Side by side: no overlap, but nothing between them either.
/// assert_eq!(generalised_iou([0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0]), 0.0);
/// ```
pub fn generalised_iou(a: Bounds, b: Bounds) -> f32 {
    let shared = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let joint = area(a) + area(b) - shared;
    let around = area([a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]);
    if joint > 0.0 && around > 0.0 { shared / joint - (around - joint) / around } else { 0.0 }
}

/// How much each part of a box code counts: shifts of the centre, logarithms of the sides (Girshick et al. 2014).
const WEIGHTS: [f32; 4] = [10.0, 10.0, 5.0, 5.0];

/// Sides are decoded to at most this many times the anchor's: an untrained network's logarithms can be anything.
const LARGEST: f32 = 62.5;

/// Centre and sides.
fn centred([left, top, right, bottom]: Bounds) -> [f32; 4] {
    [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top]
}

/// The code of a box beside an anchor: (10 dx / w, 10 dy / h, 5 ln(w' / w), 5 ln(h' / h)). Both must have an area.
pub fn encode(anchor: Bounds, bounds: Bounds) -> [f32; 4] {
    let ([x, y, w, h], [bx, by, bw, bh]) = (centred(anchor), centred(bounds));
    let code = [(bx - x) / w, (by - y) / h, (bw / w).ln(), (bh / h).ln()];
    std::array::from_fn(|i| WEIGHTS[i] * code[i])
}

/// The box of a code; sides at most 62.5 times the anchor's.
pub fn decode(anchor: Bounds, code: [f32; 4]) -> Bounds {
    let [x, y, w, h] = centred(anchor);
    let part: [f32; 4] = std::array::from_fn(|i| code[i] / WEIGHTS[i]);
    let (cx, cy) = (x + part[0] * w, y + part[1] * h);
    let (w, h) = (w * part[2].min(LARGEST.ln()).exp(), h * part[3].min(LARGEST.ln()).exp());
    [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0]
}

/// Which boxes stay: the highest scored first, each but those that overlap a box before it by more than `most`. Equal scores
/// keep their order.
///
/// Cost: O(boxes x boxes that stay).
pub fn suppress(bounds: &[Bounds], scores: &[f32], most: f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..bounds.len().min(scores.len())).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut kept: Vec<usize> = Vec::new();
    for i in order {
        if kept.iter().all(|k| iou(bounds[*k], bounds[i]) <= most) {
            kept.push(i);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds() -> impl Strategy<Value = Bounds> {
        (0.0f32..50.0, 0.0f32..50.0, 1.0f32..40.0, 1.0f32..40.0).prop_map(|(x, y, w, h)| [x, y, x + w, y + h])
    }

    proptest! {
        #[test]
        fn codes_come_back(anchor in bounds(), b in bounds()) {
            let back = decode(anchor, encode(anchor, b));
            prop_assert!(back.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-3), "{back:?} {b:?}");
        }

        #[test]
        fn overlaps_are_symmetric_and_in_range(a in bounds(), b in bounds()) {
            prop_assert_eq!(iou(a, b), iou(b, a));
            prop_assert!((0.0..=1.0).contains(&iou(a, b)) && generalised_iou(a, b) <= iou(a, b) + 1e-6);
            prop_assert!(generalised_iou(a, b) >= -1.0 && (iou(a, a) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn boxes_without_area_overlap_nothing() {
        for empty in [[3.0, 3.0, 3.0, 3.0], [5.0, 5.0, 4.0, 9.0]] {
            assert_eq!((iou(empty, empty), generalised_iou(empty, empty)), (0.0, 0.0));
        }
    }
}
