use super::*;
use crate::matrix::Format;
use proptest::prelude::*;

/// A file in the making: settings and tensors as llama.cpp writes them.
#[derive(Clone, Default)]
pub(crate) struct Writer {
    settings: Vec<(String, Vec<u8>)>,
    tensors: Vec<(String, Vec<usize>, u32, Vec<u8>)>,
}

fn text(words: &str) -> Vec<u8> {
    [&(words.len() as u64).to_le_bytes(), words.as_bytes()].concat()
}

impl Writer {
    fn setting(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), [&kind.to_le_bytes(), value].concat()));
        self
    }

    pub fn u32(self, key: &str, value: u32) -> Self {
        self.setting(key, 4, &value.to_le_bytes())
    }

    pub fn f32(self, key: &str, value: f32) -> Self {
        self.setting(key, 6, &value.to_le_bytes())
    }

    pub fn flag(self, key: &str, value: bool) -> Self {
        self.setting(key, 7, &[u8::from(value)])
    }

    pub fn text(self, key: &str, value: &str) -> Self {
        self.setting(key, 8, &text(value))
    }

    pub fn texts(self, key: &str, values: &[&str]) -> Self {
        let all: Vec<u8> = values.iter().flat_map(|value| text(value)).collect();
        self.setting(key, 9, &[&8_u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes(), &all].concat())
    }

    pub fn numbers(self, key: &str, values: &[u32]) -> Self {
        let all: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.setting(key, 9, &[&4_u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes(), &all].concat())
    }

    /// A tensor of blocks that are written already; the shape is slowest first.
    pub fn tensor(mut self, name: &str, shape: &[usize], kind: u32, bytes: Vec<u8>) -> Self {
        self.tensors.retain(|(known, ..)| known != name);
        self.tensors.push((name.to_owned(), shape.to_vec(), kind, bytes));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.tensors.retain(|(known, ..)| known != name);
        self.settings.retain(|(known, ..)| known != name);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.settings.len() as u64).to_le_bytes());
        for (key, value) in &self.settings {
            file.extend([text(key), value.clone()].concat());
        }
        let mut offset = 0;
        for (name, shape, kind, bytes) in &self.tensors {
            file.extend(text(name));
            file.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|n| file.extend((*n as u64).to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend((offset as u64).to_le_bytes());
            offset += bytes.len().next_multiple_of(32);
        }
        for (_, _, _, bytes) in &self.tensors {
            file.resize(file.len().next_multiple_of(32), 0);
            file.extend(bytes);
        }
        file
    }

    /// The file, opened.
    pub fn open(&self) -> Result<Gguf> {
        opened(&self.bytes())
    }
}

/// Bytes as a file. It stays mapped when its name is gone.
pub(crate) fn opened(bytes: &[u8]) -> Result<Gguf> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("quadrat-language-{}-{number}.gguf", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let file = Gguf::open(&path);
    std::fs::remove_file(&path).unwrap();
    file
}

/// Single precision as it is.
pub(crate) fn plain(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn small() -> Writer {
    Writer::default()
        .text("general.architecture", "llama")
        .u32("answer", 42)
        .f32("half", 0.5)
        .flag("yes", true)
        .texts("tokens", &["a", "ß"])
        .tensor("first", &[2, 3], 0, plain(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
        .tensor("second", &[32], 2, [&[0, 0x3c][..], &[0x9a; 16]].concat())
}

#[test]
fn what_was_written_is_read() {
    let file = small().open().unwrap();
    assert_eq!(file.need::<&str>("general.architecture").unwrap(), "llama");
    assert_eq!((file.get::<u32>("answer"), file.get::<usize>("answer")), (Some(42), Some(42)));
    assert_eq!((file.get::<f64>("half"), file.get::<bool>("yes")), (Some(0.5), Some(true)));
    assert_eq!(file.need::<Vec<&str>>("tokens").unwrap(), ["a", "ß"]);
    assert_eq!(file.names().collect::<Vec<_>>(), ["first", "second"]);
    let mut row = [0.0; 3];
    file.matrix("first", &[2, 3]).unwrap().row(1, &mut row);
    assert_eq!(row, [4.0, 5.0, 6.0]);
    let mut row = [0.0; 32];
    file.matrix("second", &[32]).unwrap().row(0, &mut row);
    assert_eq!((row[0], row[15], row[16], row[31]), (2.0, 2.0, 1.0, 1.0));
    for (error, words) in [
        (file.need::<u32>("half").unwrap_err(), "`half` is 0.5, which is of another type"),
        (file.need::<u32>("none").unwrap_err(), "`none` is missing"),
        (file.matrix("third", &[1]).unwrap_err(), "tensor `third` is missing"),
        (
            file.matrix("first", &[3, 2]).unwrap_err(),
            "tensor `first` has shape [2, 3]; by the file's settings it has [3, 2]",
        ),
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn every_damage_is_named() {
    // The file with the first appearance of some bytes changed to others.
    let with = |from: &[u8], to: &[u8]| {
        let mut bytes = small().bytes();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let renamed = |from: &str, kind: u32, to: u32| {
        let dimensions: &[u64] = if from == "first" { &[3, 2] } else { &[32] };
        let before: Vec<u8> = dimensions.iter().flat_map(|n| n.to_le_bytes()).chain(kind.to_le_bytes()).collect();
        let mut after = before.clone();
        after[before.len() - 4..].copy_from_slice(&to.to_le_bytes());
        with(&before, &after)
    };
    let whole = small().bytes();
    for (bytes, words) in [
        (b"GGML".to_vec(), "does not begin with `GGUF`"),
        (with(&[3, 0, 0, 0], &[1, 0, 0, 0]), "version 1"),
        (with(&[3, 0, 0, 0], &[0, 0, 0, 3]), "big-endian"),
        (whole[..whole.len() - 1].to_vec(), "tensor `second` of shape [32] does not lie within"),
        (whole[..60].to_vec(), "the file ends within"),
        (
            renamed("first", 0, 10),
            "tensor `first` is quantised as Q2_K: F32, F16, BF16, Q4_0, Q4_1, Q8_0, Q4_K, Q6_K are read",
        ),
        (renamed("first", 0, 99), "tensor `first` is quantised as type 99"),
        (renamed("first", 0, 2), "rows of 3 numbers, which are no whole blocks of 32"),
        (small().u32("general.alignment", 24).bytes(), "no power of two"),
        (small().u32("general.alignment", 64).bytes(), "no multiple of the alignment 64"),
        (small().setting("odd", 13, &[]).bytes(), "`odd` is of type 13"),
        (small().setting("odd", 7, &[2]).bytes(), "`odd` is 2, where yes is 1"),
        (small().setting("odd", 9, &[9, 0, 0, 0]).bytes(), "a list of lists"),
        (small().setting("odd", 9, &[&[4, 0, 0, 0][..], &[255; 8]].concat()).bytes(), "more than there are bytes"),
        (small().setting("odd", 8, &[&[1, 0, 0, 0, 0, 0, 0, 0][..], &[255]].concat()).bytes(), "`odd` is no UTF-8"),
    ] {
        let message = opened(&bytes).unwrap_err().to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[test]
fn names_that_are_there_twice_and_tensors_over_each_other_are_refused() {
    let mut twice = small();
    twice.settings.push(twice.settings[1].clone());
    assert!(twice.open().unwrap_err().to_string().contains("setting `answer` is there twice"));
    let mut twice = small();
    twice.tensors.push(twice.tensors[0].clone());
    assert!(twice.open().unwrap_err().to_string().contains("tensor `first` is there twice"));
    // The second's offset (32, after its type) becomes the first's.
    let mut bytes = small().bytes();
    let entry = [&2_u32.to_le_bytes()[..], &32_u64.to_le_bytes()].concat();
    let at = bytes.windows(entry.len()).position(|window| window == entry).unwrap();
    bytes[at + 4] = 0;
    assert!(opened(&bytes).unwrap_err().to_string().contains("begins before the one in front of it ends"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    /// An answer or an error, and rows of whatever is left.
    #[test]
    fn damaged_files_are_no_trouble(cut in 0..=400_usize, changes in prop::collection::vec((0..400_usize, any::<u8>()), 0..4)) {
        let mut bytes = small().bytes();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        if let Ok((_, tensors)) = read(&bytes) {
            for tensor in tensors.values() {
                prop_assert!(tensor.range.end <= bytes.len() && Format::ALL.iter().any(|(f, _)| *f == tensor.format));
            }
        }
    }
}
