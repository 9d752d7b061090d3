//! Networks that train on a processor in minutes, each a configuration that is saved with its weights.

mod attention;
mod convnet;
mod detector;
mod mlp;
mod resnet;
mod transformer;
mod unet;
mod vit;

pub use attention::{Feed, Norm, Style};
pub use convnet::ConvNet;
pub use detector::Detector;
pub use mlp::Mlp;
pub use resnet::ResNet;
pub use transformer::{Decoder, Output, Transformer};
pub use unet::UNet;
pub use vit::Vit;

use crate::forward::Forward;
use crate::{Input, Inputs, Network, Spec};
use burn_tensor::Tensor;
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// One of the networks here, as it is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "lowercase")]
pub enum Model {
    /// Layers of units.
    Mlp(Mlp),
    /// A few convolutions and a hidden layer.
    ConvNet(ConvNet),
    /// Pre-activation residual network.
    ResNet(ResNet),
    /// Images to images, knowing a time.
    UNet(UNet),
    /// Sequences of tokens.
    Transformer(Transformer),
    /// Images as sequences of patches.
    Vit(Vit),
    /// Images to classes and boxes of many places.
    Detector(Detector),
}

impl Model {
    fn network(&self) -> &dyn Network {
        match self {
            Model::Mlp(network) => network,
            Model::ConvNet(network) => network,
            Model::ResNet(network) => network,
            Model::UNet(network) => network,
            Model::Transformer(network) => network,
            Model::Vit(network) => network,
            Model::Detector(network) => network,
        }
    }
}

impl Model {
    /// The same network with so many outputs.
    ///
    /// # Errors
    /// One whose outputs are not the rows of a last layer.
    pub fn with_outputs(&self, outputs: usize) -> Result<Model> {
        let mut model = self.clone();
        match &mut model {
            Model::Mlp(network) => network.outputs = outputs,
            Model::ConvNet(network) => network.outputs = outputs,
            Model::ResNet(network) => network.outputs = outputs,
            Model::Vit(network) => network.outputs = outputs,
            Model::UNet(_) | Model::Transformer(_) | Model::Detector(_) => {
                return Err(Error::input("network", "one whose outputs are images, tokens or boxes", "a classifier"));
            }
        }
        Ok(model)
    }
}

impl Network for Model {
    fn inputs(&self) -> usize {
        self.network().inputs()
    }

    fn others(&self) -> Vec<Input> {
        self.network().others()
    }

    fn outputs(&self) -> usize {
        self.network().outputs()
    }

    fn parameters(&self) -> Vec<Spec> {
        self.network().parameters()
    }

    fn image(&self) -> Option<[usize; 3]> {
        self.network().image()
    }

    fn grain(&self) -> usize {
        self.network().grain()
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        self.network().forward(forward, inputs)
    }
}

/// Rows as images of `shape` = [channels, height, width].
fn images(rows: Tensor<2>, shape: [usize; 3]) -> Tensor<4> {
    let n = rows.dims()[0];
    rows.reshape([n, shape[0], shape[1], shape[2]])
}

/// Anything with a row for each sample, flattened.
fn rows<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let dims = x.dims();
    x.reshape([dims[0], dims[1..].iter().product()])
}

/// An error unless `n` is a positive multiple of `of`.
fn check_multiple(what: &str, n: usize, of: usize) -> Result<()> {
    if n == 0 || of == 0 || !n.is_multiple_of(of) {
        return Err(Error::input(what, n, format!("a positive multiple of {of}")));
    }
    Ok(())
}
