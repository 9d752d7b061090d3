//! A plain U-Net, the usual rival.

use super::network::{check, doubled, layer, slope, transposed};
use quadrat_core::Result;
use quadrat_nn::ops::Window;
use quadrat_nn::{Forward, Inputs, Network, Spec, Tensor, sigmoid};
use serde::{Deserialize, Serialize};

/// Two sizes with two and three 3 x 3 convolutions, and the large one beside the enlarged small one on the way back (Ronneberger et al.
/// 2015); normalised and rectified as [`Regularised`](super::Regularised). With 22 channels it has 87,000 parameters, as many as that one
/// with 16, one halving and four blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlainUNet {
    /// Height and width, even.
    pub shape: [usize; 2],
    /// Channels at full size; twice as many at half size.
    pub features: usize,
}

impl PlainUNet {
    /// Name, input and output channels of the convolutions.
    fn layers(&self) -> [(&'static str, usize, usize); 8] {
        let (f, g) = (self.features, 2 * self.features);
        [
            ("large1", 1, f),
            ("large2", f, f),
            ("down", f, g),
            ("small1", g, g),
            ("small2", g, g),
            ("small3", g, g),
            ("back1", g, f),
            ("back2", f, f),
        ]
    }
}

impl Network for PlainUNet {
    fn inputs(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    fn outputs(&self) -> usize {
        self.inputs()
    }

    fn image(&self) -> Option<[usize; 3]> {
        Some([1, self.shape[0], self.shape[1]])
    }

    fn parameters(&self) -> Vec<Spec> {
        let layers = self.layers().into_iter();
        let mut specs: Vec<Spec> =
            layers.flat_map(|(name, from, to)| [Spec::conv(name, from, to, 3), slope(name)]).collect();
        specs.extend([transposed("up", 2 * self.features, self.features), slope("up")]);
        specs.extend([Spec::conv("last", self.features, 1, 1), Spec::bias("last", 1)]);
        specs
    }

    fn grain(&self) -> usize {
        1
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        check(self.shape, 1)?;
        let [h, w] = self.shape;
        let x = inputs.numbers().reshape([inputs.rows(), 1, h, w]);
        let same = Window::new(1, 1);
        let x = layer(forward, "large1", x, same)?;
        let across = layer(forward, "large2", x, same)?;
        let mut x = layer(forward, "down", across.clone(), Window::new(2, 1))?;
        for name in ["small1", "small2", "small3"] {
            x = layer(forward, name, x, same)?;
        }
        let x = Tensor::cat(vec![doubled(forward, "up", x)?, across], 1);
        let x = layer(forward, "back1", x, same)?;
        let x = layer(forward, "back2", x, same)?;
        Ok(sigmoid(forward.conv2d("last", x, 1, 0)?).reshape([inputs.rows(), h * w]))
    }
}
