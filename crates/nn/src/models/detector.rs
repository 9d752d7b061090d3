//! A small dense detector.

use super::{images, rows};
use crate::forward::Forward;
use crate::{Init, Inputs, Network, Role, Spec};
use burn_tensor::{Tensor, activation};
use quadrat_core::Result;
use serde::{Deserialize, Serialize};

/// Convolutions 3x3 that halve the image (`conv1`, `conv2`, …) and one that does not, each rectified; then for classes and for boxes
/// a rectified convolution 3x3 (`classes.hidden`, `boxes.hidden`) and the outputs, 1x1 (`classes.out`, `boxes.out`). Outputs of an
/// image: scores of all places (cell by cell, in a cell anchor by anchor; places x classes), then the boxes' numbers (places
/// x 4). Last weights begin near 0, so that the bias alone says what a place begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Output channels of the convolutions that halve; as many in the ones that follow as in the last.
    pub filters: Vec<usize>,
    /// Width and height in pixels of the anchors of a cell; none: a cell is one point.
    pub anchors: Vec<[f32; 2]>,
    /// Classes.
    pub classes: usize,
}

impl Detector {
    /// Convolutions of 8, 16 and 32 channels: a cell every 8 pixels.
    pub fn new(shape: [usize; 3], anchors: Vec<[f32; 2]>, classes: usize) -> Self {
        Detector { shape, filters: vec![8, 16, 32], anchors, classes }
    }

    /// Pixels from one cell to the next.
    pub fn stride(&self) -> usize {
        1 << self.filters.len()
    }

    /// Rows and columns of cells.
    pub fn cells(&self) -> [usize; 2] {
        [self.shape[1], self.shape[2]].map(|side| side.div_ceil(self.stride()))
    }

    fn each(&self) -> usize {
        self.anchors.len().max(1)
    }

    fn places(&self) -> usize {
        self.cells().iter().product::<usize>() * self.each()
    }
}

impl Network for Detector {
    fn inputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn outputs(&self) -> usize {
        self.places() * (self.classes + 4)
    }

    fn image(&self) -> Option<[usize; 3]> {
        Some(self.shape)
    }

    fn parameters(&self) -> Vec<Spec> {
        let mut specs = Vec::new();
        let mut channels = self.shape[0];
        for (i, &filters) in self.filters.iter().chain(self.filters.last()).enumerate() {
            let name = format!("conv{}", i + 1);
            specs.extend([Spec::conv(&name, channels, filters, 3), Spec::bias(&name, filters)]);
            channels = filters;
        }
        for (head, numbers) in [("classes", self.classes), ("boxes", 4)] {
            let (hidden, out, outputs) = (format!("{head}.hidden"), format!("{head}.out"), self.each() * numbers);
            specs.extend([Spec::conv(&hidden, channels, channels, 3), Spec::bias(&hidden, channels)]);
            let weight = [outputs, channels, 1, 1];
            specs.push(Spec::new(format!("{out}.weight"), &weight, Role::Weight, Init::Normal(0.01)));
            specs.push(Spec::bias(&out, outputs));
        }
        specs
    }

    fn grain(&self) -> usize {
        16
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let mut x = images(inputs.numbers(), self.shape);
        for i in 0..=self.filters.len() {
            let stride = if i < self.filters.len() { 2 } else { 1 };
            x = activation::relu(forward.conv2d(&format!("conv{}", i + 1), x, stride, 1)?);
        }
        let mut head = |name: &str| {
            let hidden = activation::relu(forward.conv2d(&format!("{name}.hidden"), x.clone(), 1, 1)?);
            let out = forward.conv2d(&format!("{name}.out"), hidden, 1, 0)?;
            // Channels last: the numbers of a place stand together.
            Ok(rows(out.permute([0, 2, 3, 1])))
        };
        Ok(Tensor::cat(vec![head("classes")?, head("boxes")?], 1))
    }
}
