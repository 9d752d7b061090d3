//! How an operation of ours enters burn's graph.
//!
//! burn has a trait for a custom backward pass, with a type and an implementation for every operation. All ours differ
//! only in two functions, so there is one implementation here: [`run`] takes the forward computation, which returns the
//! output and the closure that pulls its gradient back to the inputs. What the closure captures is what the graph keeps.

use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn_flex::{Flex, FlexTensor};
use burn_tensor::{DType, Shape, Tensor, TensorData};
use std::fmt;
use std::sync::Arc;

/// One input of an operation: its values, and its place in the graph when there is one.
pub(super) struct Input {
    value: FlexTensor,
    node: Option<NodeGuard>,
}

/// Takes the values out of a tensor of single precision on the CPU; `None` for any other, which burn's own operation
/// must then serve. `graph` says whether any input of the operation is on an autodiff device.
pub(super) fn take<const D: usize>(x: &Tensor<D>, graph: bool) -> Option<Input> {
    if x.dtype() != DType::F32 {
        return None;
    }
    if !graph {
        return Some(Input { value: plain(x)?, node: None });
    }
    let (value, node) = x.clone().autodiff().try_into_primitive::<Autodiff<Flex>>().ok()?.into_parts();
    Some(Input { value: value.to_contiguous(), node: Some(node) })
}

/// The same for a tensor without autodiff that takes no part in the graph.
pub(super) fn plain<const D: usize>(x: &Tensor<D>) -> Option<FlexTensor> {
    let single = x.dtype() == DType::F32;
    single.then(|| x.clone().try_into_primitive::<Flex>().ok()).flatten().map(|x| x.to_contiguous())
}

/// The values of a contiguous tensor of single precision, which all are that this module hands out.
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().unwrap_or_default()
}

/// A tensor of these values.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Gradients by the inputs that need one, from the gradient by the output.
type Pull<const N: usize> = dyn Fn(&[f32], [bool; N]) -> [Option<FlexTensor>; N] + Send + Sync;

#[derive(Clone)]
struct State<const N: usize>(Arc<Pull<N>>);

impl<const N: usize> fmt::Debug for State<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

#[derive(Debug)]
struct Custom;

impl<const N: usize> Backward<Flex, N> for Custom {
    type State = State<N>;

    fn backward(self, ops: Ops<State<N>, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let needed = ops.parents.each_ref().map(Option::is_some);
        let pulled = (ops.state.0)(values(&gradient), needed);
        for (parent, pulled) in ops.parents.into_iter().zip(pulled) {
            if let (Some(parent), Some(pulled)) = (parent, pulled) {
                gradients.register::<Flex>(parent.id, pulled);
            }
        }
    }
}

/// Runs `forward` on the inputs' values and, if any input is tracked, records the closure it returns beside the output.
pub(super) fn run<const N: usize, const D: usize, P>(
    inputs: [Input; N],
    forward: impl FnOnce([FlexTensor; N]) -> (FlexTensor, P),
) -> Tensor<D>
where
    P: Fn(&[f32], [bool; N]) -> [Option<FlexTensor>; N] + Send + Sync + 'static,
{
    let values = inputs.each_ref().map(|input| input.value.clone());
    let nodes: Vec<NodeGuard> = inputs.into_iter().filter_map(|input| input.node).collect();
    let Ok(nodes) = <[NodeGuard; N]>::try_from(nodes) else {
        return Tensor::from_primitive::<Flex>(forward(values).0);
    };
    let prepared = Custom.prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
    Tensor::from_primitive::<Autodiff<Flex>>(match prepared {
        OpsKind::Tracked(prepared) => {
            let (output, pull) = forward(values);
            prepared.finish(State(Arc::new(pull)), output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(values).0),
    })
}
