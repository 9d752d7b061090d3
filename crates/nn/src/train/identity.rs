//! What a checkpoint belongs to, in words: a training of anything else refuses it.

use super::Trainer;
use crate::Entries;
use crate::Network;
use crate::method::TrainMethod;
use crate::parameters::Parameters;
use crate::samples::{Samples, Targets};
use crate::source::Source;
use std::collections::BTreeMap;

/// Everything that a run's bits depend on, by name. Arrays are summed.
pub(super) fn identity(
    trainer: &Trainer,
    network: &dyn Network,
    start: &Parameters,
    data: &dyn Source,
    methods: &[&dyn TrainMethod],
) -> BTreeMap<String, String> {
    // All fields by name, so that a new one cannot be forgotten.
    let Trainer { epochs, batch, rate, schedule, optimizer, loss, clip, average, patience, pieces, seed } = trainer;
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let methods: Vec<String> = methods.iter().map(|m| format!("{} {}", m.name(), m.settings())).collect();
    let network = format!(
        "{} inputs, {} outputs, {} arrays of parameters that begin as {:016x}",
        network.inputs(),
        network.outputs(),
        start.len(),
        start.fingerprint()
    );
    [
        ("seed", seed.0.to_string()),
        ("epochs", epochs.to_string()),
        ("batch", batch.to_string()),
        ("learning rate", rate.to_string()),
        ("schedule", format!("{schedule:?}")),
        ("optimiser", format!("{optimizer:?}")),
        ("loss", format!("{loss:?}")),
        ("clip", or_none(clip.map(|v| v.to_string()))),
        ("average", or_none(average.map(|v| v.to_string()))),
        ("patience", or_none(patience.map(|v| v.to_string()))),
        ("pieces", pieces.to_string()),
        ("network", network),
        ("training rows", data.told()),
        ("methods", or_none((!methods.is_empty()).then(|| methods.join(", ").trim().to_owned()))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Rows in words, with a sum over all their numbers.
pub(crate) fn rows_told(data: &Samples) -> String {
    let mut sum = Sum::default();
    data.inputs.iter().for_each(|v| sum.add(v.to_bits()));
    match &data.targets {
        Targets::Classes { labels, .. } => labels.iter().for_each(|label| sum.add(*label)),
        Targets::Values(values) => values.iter().for_each(|v| sum.add(v.to_bits())),
    }
    data.weights.iter().flatten().for_each(|v| sum.add(v.to_bits()));
    for (name, entries) in &data.others {
        name.bytes().for_each(|byte| sum.add(u32::from(byte)));
        match entries {
            Entries::Numbers(rows) => rows.iter().for_each(|v| sum.add(v.to_bits())),
            Entries::Whole(rows) => rows.iter().for_each(|n| sum.add(*n)),
        }
    }
    format!("{} of {} inputs with the sum {:016x}", data.len(), data.inputs.ncols(), sum.0)
}

/// What differs between two identities: name, then, now.
pub(crate) fn differences(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let none = "nothing".to_owned();
    let names: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let of = |all: &BTreeMap<String, String>, name: &String| all.get(name).unwrap_or(&none).clone();
    let changed = names.into_iter().filter(|name| of(then, name) != of(now, name));
    changed.map(|name| format!("{name} {}, not {}", of(then, name), of(now, name))).collect()
}

/// FNV-1a over words.
pub(crate) struct Sum(u64);

impl Default for Sum {
    fn default() -> Self {
        Sum(0xcbf2_9ce4_8422_2325)
    }
}

impl Sum {
    /// The sum of these, in hexadecimal.
    pub fn of(words: impl IntoIterator<Item = u32>) -> String {
        let mut sum = Sum::default();
        words.into_iter().for_each(|word| sum.add(word));
        format!("{:016x}", sum.0)
    }

    fn add(&mut self, bits: u32) {
        // Words instead of bytes: the high half is folded in, for a product alone never moves bits down.
        let mixed = (self.0 ^ u64::from(bits)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}
