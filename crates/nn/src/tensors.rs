//! From tensors to plain numbers and back, without a copy where memory is not shared.

use burn_flex::Flex;
use burn_tensor::{Device, Tensor, TensorData};

/// A flat tensor's numbers.
pub(crate) fn values_of(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap_or_default()
}

/// Change a flat tensor's numbers in place; if others hold its memory, they keep the old numbers.
pub(crate) fn update(tensor: &mut Tensor<1>, change: impl FnOnce(&mut [f32])) {
    let taken = std::mem::replace(tensor, Tensor::empty([1], &Device::flex()));
    *tensor = match taken.clone().try_into_primitive::<Flex>() {
        Ok(mut primitive) if primitive.is_contiguous() => {
            drop(taken);
            change(primitive.storage_mut::<f32>());
            Tensor::from_primitive::<Flex>(primitive)
        }
        _ => {
            let (device, shape) = (taken.device(), taken.dims());
            let mut values = values_of(taken);
            change(&mut values);
            Tensor::from_data(TensorData::new(values, shape), &device)
        }
    };
}
