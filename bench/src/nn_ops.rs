//! Operations of networks, forward and backward; peer: `bench/nn_ops.py`.

use crate::{Figures, Settings, Workload, measure};
use burn_tensor::ops::ConvOptions;
use burn_tensor::{Bool, Device, Tensor, TensorData, activation, module};
use quadrat_core::{Error, Result};
use quadrat_nn::ops::{self, Pattern};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// The workloads of network operations.
pub fn workloads() -> Vec<Workload> {
    vec![("nn-op", op)]
}

/// Uniform on [-1, 1), by a multiplicative generator: the same numbers in Python.
fn noise(n: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn leaf<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let values = TensorData::new(noise(shape.iter().product()), shape);
    Tensor::from_data(values, &Device::flex().autodiff()).require_grad()
}

/// `op=NAME by=ours|burn steps=N`: N times the operation and its gradients by all inputs, after three times unmeasured.
fn op(settings: &Settings) -> Result<Figures> {
    let (name, steps) = (settings.text("op", "tanh"), settings.number("steps", 20)?);
    let ours = settings.text("by", "ours") == "ours";
    let mut step = prepare(name, ours)?;
    (0..3).for_each(|_| step());
    // The quickest step too: on a busy machine the others wait for the processor.
    let mut best = f64::INFINITY;
    let ((), mut figures) = measure(|| {
        for _ in 0..steps {
            let start = Instant::now();
            step();
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("steps".into(), json!(steps));
    Ok(figures)
}

/// About `share` of 1024 places of `n`.
fn scattered(n: usize, share: usize) -> Vec<usize> {
    (0..n).filter(|i| i.wrapping_mul(2_654_435_761) >> 7 & 1023 < share).collect()
}

fn prepare(name: &str, ours: bool) -> Result<Box<dyn FnMut()>> {
    let back = |y: Tensor<1>| drop(y.sum().backward());
    let elementwise = move |own: fn(Tensor<4>) -> Tensor<4>, burns: fn(Tensor<4>) -> Tensor<4>| {
        let (x, f) = (leaf([64, 32, 28, 28]), if ours { own } else { burns });
        Box::new(move || back(f(x.clone()).flatten(0, 3)))
    };
    let conv = move |channels: usize, size: usize, kernel: usize| {
        let (x, w) = (leaf([64, channels, size, size]), leaf([channels, channels, kernel, kernel]));
        let (b, p) = (leaf([channels]), kernel / 2);
        Box::new(move || {
            let (x, w, b) = (x.clone(), w.clone(), Some(b.clone()));
            let y = if ours {
                ops::conv2d(x, w, b, ops::Window::new(1, p), 1)
            } else {
                module::conv2d(x, w, b, ConvOptions::new([1, 1], [p, p], [1, 1], 1))
            };
            back(y.flatten(0, 3));
        })
    };
    let linear = move |inputs: usize, kind: &str, share: usize| {
        let outputs = 1024;
        let (x, w, b) = (leaf([128, inputs]), leaf([outputs, inputs]), leaf([outputs]));
        let alive = scattered(outputs * inputs, share);
        let pattern = Arc::new(Pattern::from_indices(&alive, outputs, inputs)?);
        let (values, frozen) = (leaf([pattern.alive()]), w.clone().set_require_grad(false));
        let kind = if ours { kind.to_owned() } else { "dense".to_owned() };
        Ok::<Box<dyn FnMut()>, Error>(Box::new(move || {
            let (x, values, b) = (x.clone(), values.clone(), b.clone());
            back(
                match kind.as_str() {
                    "sparse" => ops::sparse_linear(x, values, &pattern, Some(b)),
                    "patterned" => ops::patterned_linear(x, frozen.clone(), values, &pattern, Some(b)),
                    "linear" => ops::linear(x, w.clone(), Some(b)),
                    _ => x.matmul(w.clone().transpose()) + b.unsqueeze(),
                }
                .flatten(0, 1),
            );
        }))
    };
    let sparse_conv = move |channels: usize, size: usize, share: usize| {
        let (x, w) = (leaf([64, channels, size, size]), leaf([channels, channels, 3, 3]));
        let (b, cols) = (leaf([channels]), channels * 9);
        let alive = scattered(channels * cols, share);
        let pattern = Arc::new(Pattern::from_indices(&alive, channels, cols)?);
        let values = leaf([pattern.alive()]);
        Ok::<Box<dyn FnMut()>, Error>(Box::new(move || {
            let (x, b) = (x.clone(), Some(b.clone()));
            let y = if ours {
                ops::sparse_conv2d(x, values.clone(), &pattern, [3, 3], b, ops::Window::new(1, 1))
            } else {
                module::conv2d(x, w.clone(), b, ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
            };
            back(y.flatten(0, 3));
        }))
    };
    let (kind, detail) = name.split_once(':').unwrap_or((name, "0"));
    let number =
        |text: &str| text.parse().map_err(|_| Error::input("op", name, "give a whole number behind the colon"));
    Ok(match kind {
        "tanh" => elementwise(ops::tanh, activation::tanh),
        "silu" => elementwise(ops::silu, activation::silu),
        "gelu" => elementwise(ops::gelu, activation::gelu),
        "atan" => elementwise(ops::atan, Tensor::atan),
        "conv-32" => conv(32, 28, 3),
        "conv-64" => conv(64, 14, 3),
        "conv-1x1" => conv(64, 14, 1),
        "sparse-conv-64" => sparse_conv(64, 14, number(detail)?)?,
        "linear" | "sparse" | "patterned" => linear(1024, kind, number(detail)?)?,
        "sparse-784" => linear(784, "sparse", number(detail)?)?,
        "attention" => {
            let x = leaf([16, 4, 128, 128]);
            let later = Tensor::<2, Bool>::tril_mask([128, 128], 0, &x.device()).unsqueeze::<4>();
            Box::new(move || {
                let x = x.clone();
                let p = if ours {
                    ops::attention_weights(x, 0.2, true)
                } else {
                    activation::softmax((x * 0.2).mask_fill(later.clone().expand([16, 4, 128, 128]), -1e9), 3)
                };
                back(p.square().flatten(0, 3));
            })
        }
        "group-norm" => {
            let (x, w, b) = (leaf([64, 32, 28, 28]), leaf([32]), leaf([32]));
            Box::new(move || {
                let (x, w, b) = (x.clone(), w.clone(), b.clone());
                let y = if ours { ops::group_norm(x, 8, w, b, 1e-5) } else { group_norm(x, w, b) };
                back(y.flatten(0, 3));
            })
        }
        "batch-norm" => {
            let (x, w, b) = (leaf([64, 32, 28, 28]), leaf([32]), leaf([32]));
            Box::new(move || {
                let (x, w, b) = (x.clone(), w.clone(), b.clone());
                let y = if ours {
                    ops::batch_norm(x, w, b, 1e-5).0
                } else {
                    module::batch_norm_train(x, w, b, 1e-5).output
                };
                back(y.flatten(0, 3));
            })
        }
        "layer-norm" => {
            let (x, w, b) = (leaf([2048, 128]), leaf([128]), leaf([128]));
            Box::new(move || {
                let (x, w, b) = (x.clone(), w.clone(), b.clone());
                let y = if ours { ops::layer_norm(x, w, b, 1e-5) } else { module::layer_norm(x, w, Some(b), 1e-5) };
                back(y.flatten(0, 1));
            })
        }
        "cross-entropy" => {
            let (z, s) = (leaf([4096, 100]), leaf([4096, 100]).set_require_grad(false));
            Box::new(move || {
                let (z, s) = (z.clone(), s.clone());
                back(if ours {
                    ops::softmax_cross_entropy(z, s)
                } else {
                    (activation::log_softmax(z, 1) * s).sum_dim(1).squeeze_dim::<1>(1).neg()
                });
            })
        }
        "adamw" => {
            let n = 1_000_000;
            let (mut p, g, mut m, mut v, mut step) = (noise(n), noise(n), vec![0.0; n], vec![0.0; n], 0);
            Box::new(move || {
                step += 1;
                ops::step::adamw(&mut p, &g, &mut m, &mut v, step, 1e-3, 0.9, 0.999, 1e-8, 1e-2);
            })
        }
        "sgd" => {
            let n = 1_000_000;
            let (mut p, g, mut b, mut first) = (noise(n), noise(n), vec![0.0; n], true);
            Box::new(move || {
                ops::step::sgd(&mut p, &g, &mut b, 1e-3, 0.9, true, 1e-4, first);
                first = false;
            })
        }
        other => return Err(Error::input("op", other, "see bench/nn_ops.py")),
    })
}

/// Group normalisation of eight groups as burn's module composes it.
fn group_norm(x: Tensor<4>, w: Tensor<1>, b: Tensor<1>) -> Tensor<4> {
    let shape = x.dims();
    let rows = x.reshape([0, 8, -1]);
    let rows = rows.clone() - rows.mean_dim(2);
    let variance = rows.clone().square().mean_dim(2);
    let rows = rows / (variance + 1e-5).sqrt();
    rows.reshape(shape) * w.reshape([1, 32, 1, 1]) + b.reshape([1, 32, 1, 1])
}
