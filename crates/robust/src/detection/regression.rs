//! What a box that is not right costs.

/// The loss of the boxes of the foreground.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Regression {
    /// Of codes beside anchors, number by number: d^2 / 2 beta up to a distance of beta, beyond it d - beta / 2 (Girshick
    /// 2015); the sum over 4 x foreground. RetinaNet has a beta of 0.11, a region proposal network 1/9.
    SmoothL1 {
        /// Where the square ends, above 0.
        beta: f32,
    },
    /// Of points, whose four numbers are the logarithms of the distances to the sides: 1 less the generalised overlap (Rezatofighi et al. 2019,
    /// as FCOS uses it); the sum over the foreground.
    Giou,
}

impl Regression {
    /// What the sum over so many places is multiplied by.
    pub(super) fn share(self, foreground: usize) -> f64 {
        let numbers = if self == Regression::Giou { foreground } else { 4 * foreground };
        1.0 / numbers.max(1) as f64
    }

    /// The loss of one place times `share`, and its slope at the four numbers.
    pub(super) fn of(self, numbers: [f32; 4], target: [f32; 4], share: f64, slopes: &mut [f32; 4]) -> f64 {
        let (loss, slope) = match self {
            Regression::SmoothL1 { beta } => smooth_l1(numbers, target, beta),
            Regression::Giou => giou(numbers, target),
        };
        *slopes = slope.map(|d| (share * d) as f32);
        share * loss
    }
}

fn smooth_l1(code: [f32; 4], target: [f32; 4], beta: f32) -> (f64, [f64; 4]) {
    let (mut loss, mut slope, beta) = (0.0, [0.0; 4], f64::from(beta));
    for i in 0..4 {
        let d = f64::from(code[i]) - f64::from(target[i]);
        let near = d.abs() < beta;
        loss += if near { d * d / (2.0 * beta) } else { d.abs() - beta / 2.0 };
        slope[i] = if near { d / beta } else { d.signum() };
    }
    (loss, slope)
}

/// Both boxes lie around one point, so shared sides and those of the box around both are sums of the smaller and of the larger
/// distances.
fn giou(logarithms: [f32; 4], target: [f32; 4]) -> (f64, [f64; 4]) {
    let far = logarithms.map(|z| f64::from(z).clamp(-30.0, 30.0).exp());
    let target = target.map(f64::from);
    let sides = |d: [f64; 4]| [d[0] + d[2], d[1] + d[3]];
    let [small, large] =
        [f64::min as fn(f64, f64) -> f64, f64::max].map(|of| std::array::from_fn(|i| of(far[i], target[i])));
    let [[w, h], [tw, th], [sw, sh], [cw, ch]] = [far, target, small, large].map(sides);
    let (shared, around) = (sw * sh, cw * ch);
    let joint = w * h + tw * th - shared;
    // 1 - shared / joint + 1 - joint / around.
    let loss = 2.0 - shared / joint - joint / around;
    let slope = std::array::from_fn(|i| {
        // Moving this side changes its area by the other side's length.
        let other = |sides: [f64; 2]| sides[1 - i % 2];
        let d_shared = if far[i] < target[i] { other([sw, sh]) } else { 0.0 };
        let d_around = if far[i] > target[i] { other([cw, ch]) } else { 0.0 };
        let d_joint = other([w, h]) - d_shared;
        let d = -d_shared / joint + shared * d_joint / (joint * joint) - d_joint / around
            + joint * d_around / (around * around);
        d * far[i]
    });
    (loss, slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::generalised_iou;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slopes_are_those_of_the_losses(
            z in prop::array::uniform4(-1.5f32..1.5), target in prop::array::uniform4(0.2f32..4.0), beta in 0.05f32..1.0
        ) {
            for regression in [Regression::SmoothL1 { beta }, Regression::Giou] {
                let mut slopes = [0.0; 4];
                regression.of(z, target, 1.0, &mut slopes);
                // Where a side is as far as it should be, the overlap has a kink.
                let smooth = |i: &usize| regression != Regression::Giou || (z[*i].exp() - target[*i]).abs() > 1e-2;
                for i in (0..4).filter(smooth) {
                    let at = |step: f32| {
                        let mut moved = z;
                        moved[i] += step;
                        (f64::from(moved[i]), regression.of(moved, target, 1.0, &mut [0.0; 4]))
                    };
                    let ((a, low), (b, high)) = (at(-1e-3), at(1e-3));
                    prop_assert!(((high - low) / (b - a) - f64::from(slopes[i])).abs() < 2e-2, "{regression:?} {i}");
                }
            }
        }

        #[test]
        fn distances_and_corners_give_one_overlap(z in prop::array::uniform4(-1.5f32..1.5), t in prop::array::uniform4(0.2f32..4.0)) {
            let around = |d: [f32; 4]| [-d[0], -d[1], d[2], d[3]];
            let wanted = 1.0 - generalised_iou(around(z.map(f32::exp)), around(t));
            prop_assert!((giou(z, t).0 - f64::from(wanted)).abs() < 1e-5);
        }
    }
}
