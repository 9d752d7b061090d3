//! The hold-out set's ledger: a budget that outlives the program.
//!
//! A folder with two files. `header.json` has the mechanism as it began, the seed of its noise (from the operating
//! system's randomness) and whatever the caller wants to keep beside it. `answers.jsonl` has a line for each answer and is
//! only ever appended to. A line is written and flushed to the disk *before* its answer is given, so a kill at any point
//! can waste an answer but never give one for free. Each line ends with a SHA-256 over itself and the sum of the line
//! before (the first: over the header), so no earlier line and no setting can be changed unnoticed. What the chain
//! cannot show is that lines were cut off its end: the folder must be out of the analyst's reach, also because it holds
//! the seed. On Unix it is made for its owner alone (mode 700, files 600); elsewhere it takes its parent's permissions, and
//! whoever makes it must see to them.
//!
//! The state is not stored: opening replays all answers from the header, which checks them too. A last line without its
//! line end was torn by a kill; its answer was never given, and it is dropped. Anything else that does not fit is an
//! error. While a [`Ledger`] is open for asking it holds an exclusive lock on `answers.jsonl` (advisory on Unix; on a
//! network drive as good as that drive's locks), so two programs never spend the same budget.
//!
//! The same query (by [`Query::fingerprint`]) gets the answer on record again, free and safe, also when nothing is left.

use super::holdout::noise;
use super::{Answer, Bits, Guarantee, Mechanism, Query, QueryMechanism, Reading};
use quadrat_core::{Error, Result, Seed, write_atomic_bytes, write_atomic_folder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const VERSION: u32 = 1;
const HEADER: &str = "header.json";
const ANSWERS: &str = "answers.jsonl";

/// What a ledger begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The format of the ledger.
    pub version: u32,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Seed of all noise: who knows it can subtract the noise.
    pub seed: u64,
    /// The mechanism before the first question.
    pub mechanism: Mechanism,
    /// What the caller keeps beside it.
    pub about: serde_json::Value,
}

/// One answer on record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, counted from 0: the noise comes from this generator of the seed.
    pub n: u64,
    /// When it was given, in seconds since 1970.
    pub time: u64,
    /// What was asked, in the caller's words.
    pub what: String,
    /// The query's fingerprint.
    pub query: String,
    /// The query's range.
    pub range: (f64, f64),
    /// What the mechanism read: see [`Reading`]. Not for the analyst's eyes.
    pub mean: f64,
    /// What it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<f64>,
    /// The query's values, where the answer changed more than a count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Kept>,
    /// The answer, in the query's range.
    pub answer: Answer,
}

/// Values of a query as they are written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    /// Number of rows, and words of 64 bits.
    Bits(usize, Vec<u64>),
    Numbers(Vec<f64>),
}

impl Kept {
    fn of(values: &[f64]) -> Self {
        match Bits::from_values(values) {
            Some(bits) => Kept::Bits(bits.len(), bits.words().to_vec()),
            None => Kept::Numbers(values.to_vec()),
        }
    }

    fn values(self) -> Result<Vec<f64>> {
        match self {
            Kept::Bits(len, words) => Bits::from_words(words, len)?.values(0..len),
            Kept::Numbers(values) => Ok(values),
        }
    }
}

/// An answer, and whether it was on record already.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The answer on record.
    pub entry: Entry,
    /// Whether it was given before, so that it cost nothing now.
    pub cached: bool,
}

/// A hold-out set's ledger.
///
/// ```
/// use quadrat_estimate::adaptive_data_analysis::{Ledger, Thresholdout};
/// # let folder = std::env::temp_dir().join(format!("quadrat-doc-ledger-{}", std::process::id()));
/// Ledger::create(&folder, Thresholdout::experiment(300, 300, Some(5))?, serde_json::Value::Null)?;
/// let right: Vec<f64> = (0..600).map(|row| f64::from(row % 3 > 0)).collect();
/// let first = Ledger::open(&folder)?.ask(&right, "my first model")?;
/// let again = Ledger::open(&folder)?.ask(&right, "the same model")?;
/// assert!(!first.cached && again.cached && first.entry.answer == again.entry.answer);
/// assert_eq!(Ledger::read(&folder)?.entries().len(), 1);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    header: Header,
    mechanism: Mechanism,
    entries: Vec<Entry>,
    given: HashMap<String, usize>,
    /// The sum that the next line goes on from.
    sum: String,
    torn: bool,
    exposed: bool,
    /// False when opened for reading, and after a line could not be written whole.
    asks: bool,
}

impl Ledger {
    /// Makes the folder of a new ledger; the noise's seed is drawn from the operating system.
    ///
    /// # Errors
    /// A folder that exists and is not empty; the operating system's refusal.
    pub fn create(folder: &Path, mechanism: impl Into<Mechanism>, about: serde_json::Value) -> Result<()> {
        let Seed(seed) = secret_seed()?;
        let header = Header { version: VERSION, created: now(), seed, mechanism: mechanism.into(), about };
        let text = serde_json::to_vec(&header).map_err(|e| Error::numeric("writing JSON", e.to_string()))?;
        write_atomic_folder(folder, |folder| {
            keep_private(folder, 0o700)?;
            for (name, content) in [(HEADER, text.as_slice()), (ANSWERS, b"")] {
                write_atomic_bytes(&folder.join(name), content)?;
                keep_private(&folder.join(name), 0o600)?;
            }
            Ok(())
        })
    }

    /// Opens a ledger for asking: waits for whoever holds it, and holds it until dropped.
    ///
    /// # Errors
    /// No ledger there; one that was damaged or changed; the operating system's refusal.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::load(folder, true)
    }

    /// Opens a ledger for looking only. Others may do so at the same time.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn read(folder: &Path) -> Result<Self> {
        Self::load(folder, false)
    }

    fn load(folder: &Path, asks: bool) -> Result<Self> {
        let path = folder.join(ANSWERS);
        let at = |e| Error::io(&path, e);
        let mut file = OpenOptions::new().read(true).append(asks).open(&path).map_err(at)?;
        if asks { file.lock() } else { file.lock_shared() }.map_err(at)?;
        let (header, sum) = read_header(&folder.join(HEADER))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(at)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let torn = whole < text.len();
        if torn && asks {
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(at)?;
        }
        let mechanism = header.mechanism.clone();
        let (entries, given) = (Vec::new(), HashMap::new());
        let exposed = [folder, &folder.join(HEADER)].into_iter().all(is_open_to_others);
        let mut ledger = Ledger { path, file, header, mechanism, entries, given, sum, torn, exposed, asks };
        for (line, text) in (1..).zip(text[..whole].split_inclusive(|byte| *byte == b'\n')) {
            ledger.replay(&text[..text.len() - 1], line)?;
        }
        Ok(ledger)
    }

    /// Takes a line of the file in: its sum, its number, and that its answer follows from what came before.
    fn replay(&mut self, line: &[u8], number: u64) -> Result<()> {
        let name = self.path.display().to_string();
        let wrong = |why: String| Error::data(&name, number, why);
        let text = std::str::from_utf8(line).map_err(|e| wrong(e.to_string()))?;
        let (body, sum) = unseal(text).ok_or_else(|| wrong("not a line of a ledger".to_owned()))?;
        if sum != seal(&self.sum, &body) {
            return Err(wrong(
                "its sum does not fit: this line, an earlier one or the header was changed or damaged. If the machine \
                 lost power while this last line was written, its answer was never given: remove the line"
                    .to_owned(),
            ));
        }
        let entry: Entry = serde_json::from_str(&body).map_err(|e| wrong(format!("not an answer: {e}")))?;
        if entry.n != self.entries.len() as u64 {
            return Err(wrong(format!("answer {} where {} is next", entry.n, self.entries.len())));
        }
        let values = entry.values.clone().map_or(Ok(Vec::new()), Kept::values)?;
        let reading = Reading { mean: entry.mean, reference: entry.reference, values };
        let answer = self.mechanism.step(&reading, &mut noise(Seed(self.header.seed)).rng(entry.n))?;
        let answer = answer.in_range(entry.range);
        let (is, was) = (answer, entry.answer);
        // Another machine's logarithm may differ in the last bits.
        let near = (is.value - was.value).abs() <= 1e-6 * (entry.range.1 - entry.range.0);
        if !(near && is.source == was.source && is.spent == was.spent) {
            return Err(wrong(format!(
                "its answer {} does not follow from the seed, which gives {}; the ledger was made by another version",
                was.value, is.value
            )));
        }
        self.enter(entry, sum.to_owned());
        Ok(())
    }

    fn enter(&mut self, entry: Entry, sum: String) {
        self.given.entry(entry.query.clone()).or_insert(self.entries.len());
        self.entries.push(entry);
        self.sum = sum;
    }

    /// Answers a query and puts the answer on record first; the same query again gets the answer on record. `what` says
    /// in words what is asked.
    ///
    /// # Errors
    /// A query that does not fit; [`Error::Exhausted`]; a ledger opened for reading; the operating system's refusal, after
    /// which the ledger must be opened again.
    pub fn ask(&mut self, query: &dyn Query, what: &str) -> Result<Recorded> {
        let fingerprint = query.fingerprint()?.to_string();
        if let Some(at) = self.given.get(&fingerprint) {
            return Ok(Recorded { entry: self.entries[*at].clone(), cached: true });
        }
        if !self.asks {
            let want = "open it with `Ledger::open`";
            return Err(Error::input("ledger", "one that is open for reading, or could not be written", want));
        }
        let reading = self.mechanism.read(query)?;
        let n = self.entries.len() as u64;
        let answer = self.mechanism.step(&reading, &mut noise(Seed(self.header.seed)).rng(n))?;
        let entry = Entry {
            n,
            time: now(),
            what: what.to_owned(),
            query: fingerprint,
            range: query.range(),
            mean: reading.mean,
            reference: reading.reference,
            values: (answer.spent && !reading.values.is_empty()).then(|| Kept::of(&reading.values)),
            answer: answer.in_range(query.range()),
        };
        // Until the line is safe on the disk nothing more may be asked: the mechanism has moved on, the file has not.
        self.asks = false;
        let body = serde_json::to_string(&entry).map_err(|e| Error::numeric("writing JSON", e.to_string()))?;
        let sum = seal(&self.sum, &body);
        let at = |e| Error::io(&self.path, e);
        self.file.write_all(sealed(&body, &sum).as_bytes()).map_err(at)?;
        self.file.sync_data().map_err(at)?;
        self.asks = true;
        self.enter(entry.clone(), sum);
        Ok(Recorded { entry, cached: false })
    }

    /// What the ledger began with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The mechanism in its present state.
    pub fn mechanism(&self) -> &Mechanism {
        &self.mechanism
    }

    /// All answers on record.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many more answers are certain to be given; `None` where there is no limit.
    pub fn remaining(&self) -> Option<u64> {
        self.mechanism.remaining()
    }

    /// What every answer guarantees, for values in [0, 1].
    pub fn guarantee(&self) -> Guarantee {
        self.mechanism.guarantee()
    }

    /// Whether a torn last line was found (and, for asking, dropped).
    pub fn torn(&self) -> bool {
        self.torn
    }

    /// Whether others than its owner can read the seed, by the modes of folder and header (on Unix; else never).
    pub fn exposed(&self) -> bool {
        self.exposed
    }
}

/// A seed that nobody can know: from the operating system's randomness.
///
/// # Errors
/// The operating system has none.
pub fn secret_seed() -> Result<Seed> {
    let none = |e| Error::numeric("secret seed", format!("the operating system has no randomness: {e}"));
    getrandom::u64().map(Seed).map_err(none)
}

#[cfg(unix)]
fn keep_private(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|e| Error::io(path, e))
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o055 != 0)
}

#[cfg(not(unix))]
fn keep_private(_: &Path, _: u32) -> Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

fn read_header(path: &Path) -> Result<(Header, String)> {
    let text = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let wrong = |why: String| Error::data(path.display().to_string(), None, why);
    let header: Header = serde_json::from_slice(&text).map_err(|e| wrong(format!("not a ledger's header: {e}")))?;
    if header.version != VERSION {
        return Err(wrong(format!("a ledger of version {}; this program reads version {VERSION}", header.version)));
    }
    Ok((header, hex(Sha256::digest(&text))))
}

/// The sum of a line that comes after the one of sum `before`.
fn seal(before: &str, body: &str) -> String {
    hex(Sha256::new().chain_update(before).chain_update(body).finalize())
}

/// A line of the file: the object with its sum as the last member.
fn sealed(body: &str, sum: &str) -> String {
    format!("{},\"sum\":\"{sum}\"}}\n", body.strip_suffix('}').unwrap_or(body))
}

/// The object and the sum of a line, in the bytes that were summed.
fn unseal(line: &str) -> Option<(String, &str)> {
    let (body, rest) = line.rsplit_once(",\"sum\":\"")?;
    Some((format!("{body}}}"), rest.strip_suffix("\"}")?))
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
