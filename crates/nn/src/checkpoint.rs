//! Other people's checkpoints: safetensors files in their precision, under their names.

use crate::parameters::Parameters;
use quadrat_core::{Error, Result, write_atomic_bytes};
use safetensors::tensor::{Dtype, Metadata, TensorView, serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A safetensors file of which single arrays are read: never more than one is in memory beside what is made of it.
pub(crate) struct ArrayFile {
    path: PathBuf,
    file: File,
    /// Where the arrays begin.
    start: u64,
    metadata: Metadata,
}

/// A header longer than this is none (safetensors' own bound).
const LONGEST_HEADER: u64 = 100_000_000;

impl ArrayFile {
    pub fn open(path: &Path) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let wrong = |why: String| Error::data(path.display().to_string(), None, format!("no safetensors file: {why}"));
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        if size < 8 {
            return Err(wrong(format!("it has {size} bytes")));
        }
        file.read_exact(&mut length).map_err(io)?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER.min(size - 8) {
            return Err(wrong(format!("a header of {length} bytes in a file of {size}")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| wrong(e.to_string()))?;
        let (start, promised) = (8 + length, metadata.data_len() as u64);
        if start + promised != size {
            return Err(wrong(format!("{promised} bytes of arrays are promised, {} are there", size - start)));
        }
        Ok(ArrayFile { path: path.to_owned(), file, start, metadata })
    }

    /// What stands in the header under a key.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref().and_then(|notes| notes.get(key)).map(String::as_str)
    }

    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Shape and values of an array, in single precision.
    pub fn read(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let wrong = |why: String| Error::data(self.path.display().to_string(), None, why);
        let info = self.metadata.info(name).ok_or_else(|| wrong(format!("`{name}` is missing")))?;
        let (from, to) = info.data_offsets;
        let mut bytes = vec![0; to.saturating_sub(from)];
        let place = SeekFrom::Start(self.start + from as u64);
        let io = |e| Error::io(&self.path, e);
        self.file.seek(place).and_then(|_| self.file.read_exact(&mut bytes)).map_err(io)?;
        let values: Vec<f32> = match info.dtype {
            Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F64 => bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            Dtype::BF16 => bytes.as_chunks::<2>().0.iter().map(|[a, b]| f32::from_le_bytes([0, 0, *a, *b])).collect(),
            Dtype::F16 => bytes.as_chunks::<2>().0.iter().map(|b| of_half(u16::from_le_bytes(*b))).collect(),
            other => return Err(wrong(format!("`{name}` holds {other:?}: floats of 16, 32 and 64 bits are read"))),
        };
        if values.len() != info.shape.iter().product::<usize>() {
            return Err(wrong(format!("`{name}` has {} numbers for shape {:?}", values.len(), info.shape)));
        }
        Ok((info.shape.clone(), values))
    }
}

/// The value of a half-precision number: a sign, 5 bits of exponent, 10 of fraction.
fn of_half(bits: u16) -> f32 {
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction as f32 / (1 << 24) as f32,
        31 => f32::from_bits(0xff << 23 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// What the arrays of Llama's checkpoints are called, and of those that follow it, beside ours in
/// [`Transformer::llama`](crate::Transformer::llama).
pub const LLAMA: &[(&str, &str)] = &[
    ("model.embed_tokens.weight", "tokens"),
    ("model.layers.{i}.input_layernorm.weight", "block{i+1}.norm1.scale"),
    ("model.layers.{i}.self_attn.q_proj.weight", "block{i+1}.qkv.weight"),
    ("model.layers.{i}.self_attn.k_proj.weight", "block{i+1}.qkv.weight"),
    ("model.layers.{i}.self_attn.v_proj.weight", "block{i+1}.qkv.weight"),
    ("model.layers.{i}.self_attn.o_proj.weight", "block{i+1}.join.weight"),
    ("model.layers.{i}.post_attention_layernorm.weight", "block{i+1}.norm2.scale"),
    ("model.layers.{i}.mlp.gate_proj.weight", "block{i+1}.gate.weight"),
    ("model.layers.{i}.mlp.up_proj.weight", "block{i+1}.widen.weight"),
    ("model.layers.{i}.mlp.down_proj.weight", "block{i+1}.narrow.weight"),
    ("model.norm.weight", "norm.scale"),
    ("lm_head.weight", "head.weight"),
    ("model.layers.{i}.self_attn.rotary_emb.inv_freq", ""),
];

/// The same for BERT's and [`Transformer::bert`](crate::Transformer::bert). Its pooler is not used.
pub const BERT: &[(&str, &str)] = &[
    ("embeddings.word_embeddings.weight", "tokens"),
    ("embeddings.position_embeddings.weight", "positions"),
    ("embeddings.token_type_embeddings.weight", "types"),
    ("embeddings.LayerNorm.weight", "norm.scale"),
    ("embeddings.LayerNorm.bias", "norm.shift"),
    ("encoder.layer.{i}.attention.self.query.weight", "block{i+1}.qkv.weight"),
    ("encoder.layer.{i}.attention.self.key.weight", "block{i+1}.qkv.weight"),
    ("encoder.layer.{i}.attention.self.value.weight", "block{i+1}.qkv.weight"),
    ("encoder.layer.{i}.attention.self.query.bias", "block{i+1}.qkv.bias"),
    ("encoder.layer.{i}.attention.self.key.bias", "block{i+1}.qkv.bias"),
    ("encoder.layer.{i}.attention.self.value.bias", "block{i+1}.qkv.bias"),
    ("encoder.layer.{i}.attention.output.dense.weight", "block{i+1}.join.weight"),
    ("encoder.layer.{i}.attention.output.dense.bias", "block{i+1}.join.bias"),
    ("encoder.layer.{i}.attention.output.LayerNorm.weight", "block{i+1}.norm1.scale"),
    ("encoder.layer.{i}.attention.output.LayerNorm.bias", "block{i+1}.norm1.shift"),
    ("encoder.layer.{i}.intermediate.dense.weight", "block{i+1}.widen.weight"),
    ("encoder.layer.{i}.intermediate.dense.bias", "block{i+1}.widen.bias"),
    ("encoder.layer.{i}.output.dense.weight", "block{i+1}.narrow.weight"),
    ("encoder.layer.{i}.output.dense.bias", "block{i+1}.narrow.bias"),
    ("encoder.layer.{i}.output.LayerNorm.weight", "block{i+1}.norm2.scale"),
    ("encoder.layer.{i}.output.LayerNorm.bias", "block{i+1}.norm2.shift"),
    ("embeddings.position_ids", ""),
    ("pooler.dense.weight", ""),
    ("pooler.dense.bias", ""),
];

/// Fill parameters from the safetensors files of another program, in 16, 32 or 64 bits. `names` pairs its names with ours:
/// `{i}` in both stands for a number, `{i+1}` in ours for the next one. What has several names there is one behind the other,
/// along its first axis, in the order of the list; what is called "" here is left aside.
///
/// # Errors
/// No such file or no safetensors; every array that is in no pair, that a pair needs and no file holds, or that has another
/// shape, by name. The parameters are then left as they were.
///
/// ```no_run
/// use quadrat_core::Seed;
/// use quadrat_nn::{LLAMA, Transformer, initialise, load_named};
/// let network = Transformer::llama(32_000, 2048, 288, [6, 6], 768, 6);
/// let mut parameters = initialise(&network, Seed(0))?;
/// load_named(&["model.safetensors"], LLAMA, &mut parameters)?;
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn load_named(paths: &[impl AsRef<Path>], names: &[(&str, &str)], parameters: &mut Parameters) -> Result<()> {
    // For each of ours its parts by their places in the list, with the file and name of each.
    let mut wanted: BTreeMap<String, BTreeMap<usize, (usize, String)>> = BTreeMap::new();
    let mut files = Vec::new();
    let mut unexpected = Vec::new();
    for path in paths {
        let file = ArrayFile::open(path.as_ref())?;
        for theirs in file.names() {
            match names.iter().enumerate().find_map(|(place, names)| Some((place, ours(*names, &theirs)?))) {
                Some((_, name)) if name.is_empty() => {}
                Some((place, name)) => {
                    wanted.entry(name).or_default().insert(place, (files.len(), theirs));
                }
                None => unexpected.push(theirs),
            }
        }
        files.push(file);
    }
    let refused = |got: String, want: &str| Err(Error::input("checkpoint", got, want));
    if !unexpected.is_empty() {
        return refused(
            format!("arrays that nothing is called by: {}", listed(&unexpected)),
            "pair them with \"\" to leave them aside",
        );
    }
    let foreign: Vec<String> = wanted.keys().filter(|name| !parameters.has(name)).cloned().collect();
    if !foreign.is_empty() {
        return refused(
            format!("arrays for {}", listed(&foreign)),
            "the network has no such parameters: another configuration is needed",
        );
    }
    let mut filled = parameters.clone();
    let mut missing = Vec::new();
    for parameter in filled.iter_mut() {
        let Some(parts) = wanted.get(&parameter.name) else {
            missing.push(format!("`{}`", parameter.name));
            continue;
        };
        let (mut shape, mut values): (Vec<usize>, Vec<f32>) = Default::default();
        let mut told = Vec::new();
        for (file, theirs) in parts.values() {
            let (part, numbers) = files[*file].read(theirs)?;
            told.push(format!("`{theirs}` of shape {part:?}"));
            match shape.first_mut() {
                Some(first) => *first += part.first().copied().unwrap_or_default(),
                None => shape = part,
            }
            values.extend(numbers);
        }
        if shape != parameter.shape || values.len() != shape.iter().product::<usize>() {
            let want = format!("`{}` has shape {:?}", parameter.name, parameter.shape);
            return refused(told.join(", "), &want);
        }
        parameter.set_dense(&values)?;
    }
    if !missing.is_empty() {
        return refused(
            format!("no array for {}", listed(&missing)),
            "every parameter must be there, under a name that is paired with it",
        );
    }
    *parameters = filled;
    Ok(())
}

/// Write parameters in single precision for another program, under its names: what [`load_named`] reads. What has several names
/// there is cut along its first axis into parts of so many `rows`, in the order of the list.
///
/// # Errors
/// A parameter that has no name there, or whose rows are not those of its parts; the file cannot be written.
pub fn save_named(path: &Path, names: &[(&str, &str)], rows: &[usize], parameters: &Parameters) -> Result<()> {
    let mut arrays: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for parameter in parameters.iter() {
        let named: Vec<String> = names.iter().filter_map(|pair| theirs(*pair, &parameter.name)).collect();
        let all = parameter.shape.first().copied().unwrap_or(1);
        let cuts: &[usize] = if named.len() == 1 { &[all] } else { rows };
        if named.is_empty() || cuts.len() != named.len() || cuts.iter().sum::<usize>() != all {
            let got = format!("`{}` of shape {:?} for {}", parameter.name, parameter.shape, listed(&named));
            return Err(Error::input("parameter", got, "a name for each part of its rows"));
        }
        let values = parameter.dense();
        let width = values.len() / all.max(1);
        let mut rest = &values[..];
        for (name, &rows) in named.into_iter().zip(cuts) {
            let (part, after) = rest.split_at(rows * width);
            rest = after;
            let shape = std::iter::once(rows).chain(parameter.shape.iter().skip(1).copied()).collect();
            arrays.push((name, shape, part.iter().flat_map(|value| value.to_le_bytes()).collect()));
        }
    }
    let wrong = |e: safetensors::SafeTensorError| Error::data(path.display().to_string(), None, e.to_string());
    let views: Vec<(&str, TensorView)> = arrays
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(wrong)?))
        })
        .collect::<Result<_>>()?;
    write_atomic_bytes(path, &serialize(views, None).map_err(wrong)?)
}

/// What a parameter called `name` is called there, if it is called as the second of the pair.
fn theirs((theirs, ours): (&str, &str), name: &str) -> Option<String> {
    let Some((before, after)) = ours.split_once("{i+1}") else { return (ours == name).then(|| theirs.to_owned()) };
    let number: usize = name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()?;
    Some(theirs.replace("{i}", &number.checked_sub(1)?.to_string()))
}

/// What an array called `name` is called here, if it is called as the first of the pair.
fn ours((theirs, ours): (&str, &str), name: &str) -> Option<String> {
    let Some((before, after)) = theirs.split_once("{i}") else { return (theirs == name).then(|| ours.to_owned()) };
    let number = name.strip_prefix(before)?.strip_suffix(after)?;
    let i: usize = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())??;
    Some(ours.replace("{i+1}", &(i + 1).to_string()).replace("{i}", number))
}

/// The first few of them.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let some = names.iter().take(SHOWN).cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{some} and {} more", names.len() - SHOWN) } else { some }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Transformer, initialise};
    use quadrat_core::Seed;

    #[test]
    fn halves_have_their_values() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(of_half(bits), value, "{bits:04x}");
        }
        assert!(of_half(0x7e00).is_nan() && of_half(0x8000).is_sign_negative());
    }

    #[test]
    fn names_are_bound_by_their_numbers() {
        let pair = ("layers.{i}.w", "block{i+1}.w{i}");
        assert_eq!(ours(pair, "layers.11.w").as_deref(), Some("block12.w11"));
        for other in ["layers.x.w", "layers..w", "layers.1.b", "layers.+1.w", "my.layers.1.w"] {
            assert_eq!(ours(pair, other), None, "{other}");
        }
    }

    /// A name, a shape, values.
    type Theirs = (String, Vec<usize>, Vec<f32>);

    /// Writes arrays in a precision, as another program would.
    fn write(path: &Path, arrays: &[Theirs], dtype: Dtype) {
        let bytes = |values: &[f32]| -> Vec<u8> {
            match dtype {
                Dtype::F64 => values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
                Dtype::BF16 => values.iter().flat_map(|v| v.to_le_bytes()[2..].to_vec()).collect(),
                _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            }
        };
        let arrays: Vec<_> = arrays.iter().map(|(name, shape, v)| (name, shape.clone(), bytes(v))).collect();
        let views = arrays.iter().map(|(name, shape, b)| (name, TensorView::new(dtype, shape.clone(), b).unwrap()));
        std::fs::write(path, serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
    }

    #[test]
    fn a_checkpoint_of_another_program_is_read_and_every_failure_is_named() {
        let network = Transformer::llama(7, 6, 8, [4, 2], 12, 2);
        let truth = initialise(&network, Seed(5)).unwrap();
        // Their arrays: queries, keys and values apart, in numbers that 16 bits hold.
        let mut theirs = Vec::new();
        for parameter in truth.iter() {
            let values: Vec<f32> =
                parameter.values().iter().map(|v| f32::from_bits(v.to_bits() & 0xffff_0000)).collect();
            let (name, i) = match parameter.name.strip_prefix("block") {
                Some(rest) => (format!("block{{i+1}}{}", &rest[1..]), rest[..1].parse::<usize>().unwrap() - 1),
                None => (parameter.name.clone(), 0),
            };
            let of: Vec<&str> = LLAMA.iter().filter(|pair| pair.1 == name).map(|pair| pair.0).collect();
            let rows = if of.len() == 3 { vec![8, 4, 4] } else { vec![parameter.shape[0]] };
            let (mut from, width) = (0, values.len() / parameter.shape[0]);
            for (of, rows) in of.iter().zip(rows) {
                let shape = [&[rows], &parameter.shape[1..]].concat();
                theirs.push((
                    of.replace("{i}", &i.to_string()),
                    shape,
                    values[from * width..(from + rows) * width].to_vec(),
                ));
                from += rows;
            }
        }
        let folder = std::env::temp_dir();
        let path = |n: usize| folder.join(format!("quadrat-nn-named-{}-{n}.safetensors", std::process::id()));
        let load = |paths: &[PathBuf]| {
            let mut parameters = initialise(&network, Seed(0)).unwrap();
            load_named(paths, LLAMA, &mut parameters).map(|()| parameters)
        };
        for dtype in [Dtype::F32, Dtype::F64, Dtype::BF16] {
            // In two files, as large ones are.
            write(&path(0), &theirs[..5], dtype);
            write(&path(1), &theirs[5..], dtype);
            let read = load(&[path(0), path(1)]).unwrap();
            for (found, truth) in read.iter().zip(truth.iter()) {
                let same =
                    found.values().iter().zip(truth.values()).all(|(a, b)| a.to_bits() == b.to_bits() & 0xffff_0000);
                assert!(same, "{}", truth.name);
            }
        }
        let message = |arrays: &[Theirs]| {
            write(&path(0), arrays, Dtype::F32);
            load(&[path(0)]).unwrap_err().to_string()
        };
        let with = |change: &dyn Fn(&mut Vec<Theirs>)| {
            let mut arrays = theirs.clone();
            change(&mut arrays);
            message(&arrays)
        };
        for (message, words) in [
            (with(&|all| drop(all.remove(0))), "no array for `tokens`"),
            (with(&|all| all.push(("extra.weight".into(), vec![1], vec![0.0]))), "extra.weight"),
            (
                with(&|all| all[0].1 = vec![8, 7]),
                "`model.embed_tokens.weight` of shape [8, 7]; `tokens` has shape [7, 8]",
            ),
            (with(&|all| all.retain(|array| !array.0.contains("1.self_attn.k_proj"))), "`block2.qkv.weight` has shape"),
            (
                with(&|all| all.push(("model.layers.2.mlp.up_proj.weight".into(), vec![1], vec![0.0]))),
                "block3.widen.weight",
            ),
        ] {
            assert!(message.contains(words), "{words}: {message}");
        }
        std::fs::write(path(0), [9u8, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap();
        assert!(load(&[path(0)]).unwrap_err().to_string().contains("no safetensors file"));
        (0..2).for_each(|n| std::fs::remove_file(path(n)).unwrap());
    }

    #[test]
    fn what_is_written_for_another_program_is_read_from_it() {
        let network = Transformer::llama(7, 6, 8, [4, 2], 12, 2);
        let truth = initialise(&network, Seed(5)).unwrap();
        let path = std::env::temp_dir().join(format!("quadrat-nn-save-named-{}.safetensors", std::process::id()));
        save_named(&path, LLAMA, &[8, 4, 4], &truth).unwrap();
        let mut read = initialise(&network, Seed(0)).unwrap();
        load_named(&[&path], LLAMA, &mut read).unwrap();
        assert!(read.iter().zip(truth.iter()).all(|(read, truth)| read.values() == truth.values()));
        let file = ArrayFile::open(&path).unwrap();
        assert!(file.names().iter().any(|name| name == "model.layers.1.self_attn.k_proj.weight"));
        let error = save_named(&path, LLAMA, &[8, 4, 3], &truth).unwrap_err().to_string();
        assert!(error.contains("`block1.qkv.weight`"), "{error}");
        assert!(save_named(&path, BERT, &[8, 4, 4], &truth).is_err());
        std::fs::remove_file(path).unwrap();
    }

    /// A byte changed, and the end cut off, at every place of a small file: an answer or an error, never a panic.
    #[test]
    fn damaged_files_are_no_trouble() {
        let path = std::env::temp_dir().join(format!("quadrat-nn-damaged-{}.safetensors", std::process::id()));
        let arrays = [("a".to_owned(), vec![2, 2], vec![1.0; 4]), ("b".to_owned(), vec![3], vec![2.0; 3])];
        write(&path, &arrays, Dtype::F32);
        let whole = std::fs::read(&path).unwrap();
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let mut file = ArrayFile::open(&path).ok()?;
            file.names().iter().map(|name| file.read(name).ok()).collect::<Option<Vec<_>>>()
        };
        assert_eq!(read(&whole).unwrap().len(), 2);
        for place in 0..whole.len() {
            assert!(read(&whole[..place]).is_none(), "{place}");
            for change in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] ^= change;
                read(&bytes);
            }
        }
        std::fs::remove_file(path).unwrap();
    }
}
