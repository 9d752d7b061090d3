//! The convex hull of ROC curves, and the lines of equal cost on it.

use quadrat_core::{Error, Result};

/// A corner of a convex hull of ROC points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vertex {
    /// Share of false positives.
    pub false_positive: f64,
    /// Share of true positives.
    pub true_positive: f64,
    /// Whose point it is: the curve and the point in it. `None` for calling nothing, (0, 0), or everything, (1, 1),
    /// positive.
    pub owner: Option<(usize, usize)>,
}

/// The upper convex hull of ROC points: only classifiers on it can be best for any shares of the classes and any costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Hull {
    /// Its corners from (0, 0) to (1, 1).
    pub vertices: Vec<Vertex>,
}

/// The upper hull of the points (share of false positives, share of true positives) of some curves, from (0, 0) to
/// (1, 1). Points inside it or on its edges are left out; of equal points the first curve's stays.
///
/// Errors: a share outside 0 to 1. Cost: O(n log n).
///
/// ```
/// use quadrat_robust::{iso_performance_slope, roc_convex_hull};
/// let hull = roc_convex_hull(&[vec![(0.1, 0.6), (0.5, 0.6)], vec![(0.4, 0.9)]])?;
/// let owners: Vec<_> = hull.vertices.iter().map(|v| v.owner).collect();
/// assert_eq!(owners, [None, Some((0, 0)), Some((1, 0)), None]);
/// // Positives are a fifth of the rows and missing one costs four times a false alarm: equal weight, slope 1.
/// let best = hull.best_at(iso_performance_slope(0.2, 1.0, 4.0)?);
/// assert_eq!((best.false_positive, best.true_positive), (0.1, 0.6));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn roc_convex_hull(curves: &[Vec<(f64, f64)>]) -> Result<Hull> {
    let end = |at| Vertex { false_positive: at, true_positive: at, owner: None };
    let mut points = Vec::new();
    for (curve, rates) in curves.iter().enumerate() {
        for (point, &(false_positive, true_positive)) in rates.iter().enumerate() {
            for rate in [false_positive, true_positive] {
                if !(0.0..=1.0).contains(&rate) {
                    let what = format!("ROC point {point} of curve {curve}");
                    return Err(Error::input(what, rate, "rates are shares from 0 to 1"));
                }
            }
            if (false_positive, true_positive) != (1.0, 1.0) {
                points.push(Vertex { false_positive, true_positive, owner: Some((curve, point)) });
            }
        }
    }
    // Andrew's monotone chain from the left. A point no higher than the chain's end cannot be a corner.
    points.sort_by(|a, b| {
        a.false_positive.total_cmp(&b.false_positive).then(b.true_positive.total_cmp(&a.true_positive))
    });
    let mut vertices = vec![end(0.0)];
    for point in points.into_iter().chain([end(1.0)]) {
        if point.owner.is_some() && point.true_positive <= vertices[vertices.len() - 1].true_positive {
            continue;
        }
        while vertices.len() > 1 && !turns_right(&vertices[vertices.len() - 2], &vertices[vertices.len() - 1], &point) {
            vertices.pop();
        }
        vertices.push(point);
    }
    Ok(Hull { vertices })
}

/// Whether the way from `a` over `b` to `c` bends downwards at `b`.
fn turns_right(a: &Vertex, b: &Vertex, c: &Vertex) -> bool {
    let (bx, by) = (b.false_positive - a.false_positive, b.true_positive - a.true_positive);
    let (cx, cy) = (c.false_positive - a.false_positive, c.true_positive - a.true_positive);
    bx * cy < by * cx
}

impl Hull {
    /// The area under it.
    pub fn area(&self) -> f64 {
        let trapezoid = |pair: &[Vertex]| {
            0.5 * (pair[1].false_positive - pair[0].false_positive) * (pair[1].true_positive + pair[0].true_positive)
        };
        self.vertices.windows(2).map(trapezoid).sum()
    }

    /// The corner that a line of this slope touches from above, the best classifier under the conditions the slope stands
    /// for ([`iso_performance_slope`]); of two ends of an edge with this slope, the one with fewer false positives.
    pub fn best_at(&self, slope: f64) -> Vertex {
        let height = |v: &Vertex| v.true_positive - slope * v.false_positive;
        let mut best = self.vertices[0];
        for vertex in &self.vertices {
            if height(vertex) > height(&best) {
                best = *vertex;
            }
        }
        best
    }
}

/// The slope of lines of equal expected cost in ROC space: (share of negatives * cost of a false positive) / (share of
/// positives * cost of a false negative).
///
/// Errors: a share outside (0, 1); a cost that is not finite and above 0.
pub fn iso_performance_slope(positive_share: f64, false_positive_cost: f64, false_negative_cost: f64) -> Result<f64> {
    if !(positive_share > 0.0 && positive_share < 1.0) {
        return Err(Error::input("share of positives", positive_share, "it must lie between 0 and 1"));
    }
    for cost in [false_positive_cost, false_negative_cost] {
        if !(cost > 0.0 && cost.is_finite()) {
            return Err(Error::input("cost", cost, "costs must be finite and above 0"));
        }
    }
    Ok((1.0 - positive_share) * false_positive_cost / (positive_share * false_negative_cost))
}
