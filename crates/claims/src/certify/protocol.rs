//! What is asked and what is answered: one JSON object a line in each direction.

use quadrat_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a subject is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Number of the request; its answer has it too.
    pub id: u64,
    /// Where all randomness of the answer comes from; below 2^31, which every language's generators take.
    pub seed: u64,
    /// How many rows to choose; absent in requests to resamplers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<usize>,
    /// The rows, all of the same length.
    pub rows: Vec<Vec<f64>>,
    /// The class of each row.
    pub labels: Vec<String>,
}

/// What a subject answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// Of selectors: the chosen rows' numbers, from 0, in any order.
    pub rows: Vec<usize>,
    /// Of selectors: a weight for each chosen row, in the order of `rows`.
    pub weights: Option<Vec<f64>>,
    /// Of designs: how probable it is that a row is chosen, for each row of the request.
    pub inclusion: Option<Vec<f64>>,
    /// Of selectors: whether the number of rows is random, with k its mean.
    pub random_size: bool,
    /// Of resamplers: all rows, the request's in front.
    pub points: Vec<Vec<f64>>,
    /// Of resamplers: the class of each of `points`.
    pub labels: Vec<String>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With an answer.
    Answer(Answer),
    /// The subject says that it cannot be done, and why.
    Refused(String),
    /// Without either: why.
    Fault(String),
}

/// Whoever answers requests.
pub trait Subject {
    /// The answer to one request.
    ///
    /// # Errors
    /// A subject that cannot be asked at all; a job that was stopped. An answer that is absent or cannot be read is an
    /// [`Outcome::Fault`].
    fn ask(&mut self, request: &Request) -> Result<Outcome>;

    /// Starts afresh: nothing of earlier requests may be left. A closure cannot, and need not.
    fn restart(&mut self) {}
}

impl<F: FnMut(&Request) -> Outcome> Subject for F {
    fn ask(&mut self, request: &Request) -> Result<Outcome> {
        Ok(self(request))
    }
}

impl Outcome {
    /// Reads a line that answers `request`. Whatever the line holds, this ends with an outcome: what is no answer is a
    /// [`Outcome::Fault`] that quotes it.
    ///
    /// ```
    /// use quadrat_claims::certify::{Outcome, Request};
    /// let request = Request { id: 3, seed: 1, k: Some(1), rows: vec![vec![0.5]], labels: vec!["a".into()] };
    /// let Outcome::Answer(answer) = Outcome::parse(r#"{"id": 3, "rows": [0]}"#, &request) else { panic!() };
    /// assert_eq!(answer.rows, [0]);
    /// let Outcome::Fault(why) = Outcome::parse("loading model", &request) else { panic!() };
    /// assert!(why.contains("`loading model`"));
    /// ```
    pub fn parse(line: &str, request: &Request) -> Outcome {
        read(line, request).unwrap_or_else(|why| Outcome::Fault(format!("{why}, in the line {}", quote(line))))
    }
}

/// The beginning of a line, in backticks.
pub(super) fn quote(line: &str) -> String {
    let line = line.trim_end();
    let mut shown: String = line.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < line.len() {
        shown.push_str(" ...");
    }
    format!("`{shown}`")
}

fn read(line: &str, request: &Request) -> std::result::Result<Outcome, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("no JSON ({e})"))?;
    let Value::Object(object) = value else { return Err("an object is wanted".to_owned()) };
    match object.get("id") {
        Some(id) if id.as_u64() == Some(request.id) => {}
        Some(id) => return Err(format!("`id` is {}, the request's is {}", quote(&id.to_string()), request.id)),
        None => return Err(format!("`id` is missing, the request's is {}", request.id)),
    }
    if let Some(error) = object.get("error") {
        return Ok(Outcome::Refused(error.as_str().map_or_else(|| error.to_string(), str::to_owned)));
    }
    let random_size = match object.get("random_size") {
        None => false,
        Some(Value::Bool(random)) => *random,
        Some(other) => return Err(format!("`random_size` is {}; true or false", quote(&other.to_string()))),
    };
    let mut answer = Answer {
        weights: optional(&object, "weights", number)?,
        inclusion: optional(&object, "inclusion", number)?,
        random_size,
        ..Answer::default()
    };
    if request.k.is_some() {
        answer.rows = list(&object, "rows", row_number)?;
    } else {
        answer.points = list(&object, "rows", |value| {
            let row = value.as_array().ok_or("a row is a list of numbers")?;
            row.iter().map(number).collect()
        })?;
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("labels are texts, as in the request");
        answer.labels = list(&object, "labels", text)?;
    }
    Ok(Outcome::Answer(answer))
}

/// What a field's items must be.
type Read<T> = std::result::Result<T, &'static str>;

fn number(value: &Value) -> Read<f64> {
    value.as_f64().filter(|v| v.is_finite()).ok_or("finite numbers are wanted")
}

fn row_number(value: &Value) -> Read<usize> {
    value.as_u64().and_then(|v| usize::try_from(v).ok()).ok_or("row numbers are whole numbers from 0")
}

fn optional<T>(
    object: &Map<String, Value>,
    field: &str,
    item: impl Fn(&Value) -> Read<T>,
) -> std::result::Result<Option<Vec<T>>, String> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => list(object, field, item).map(Some),
    }
}

fn list<T>(
    object: &Map<String, Value>,
    field: &str,
    item: impl Fn(&Value) -> Read<T>,
) -> std::result::Result<Vec<T>, String> {
    let values = match object.get(field) {
        Some(Value::Array(values)) => values,
        Some(other) => return Err(format!("`{field}` is {}; a list is wanted", quote(&other.to_string()))),
        None => return Err(format!("`{field}` is missing")),
    };
    let each = values.iter().enumerate();
    each.map(|(i, v)| item(v).map_err(|want| format!("`{field}[{i}]` is {}; {want}", quote(&v.to_string())))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;

    fn request(k: Option<usize>) -> Request {
        Request { id: 7, seed: 1, k, rows: vec![vec![1.0, 2.0]; 3], labels: vec!["a".into(); 3] }
    }

    #[test]
    fn what_is_no_answer_is_said() {
        let deep = format!("{{\"id\": 7, \"rows\": {}", "[".repeat(100_000));
        for (line, part) in [
            ("", "no JSON"),
            ("[1]", "an object"),
            (r#"{"rows": [0]}"#, "`id` is missing"),
            (r#"{"id": "7", "rows": [0]}"#, "`id` is `\"7\"`"),
            (r#"{"id": 7}"#, "`rows` is missing"),
            (r#"{"id": 7, "rows": 0}"#, "a list is wanted"),
            (r#"{"id": 7, "rows": [0, -1]}"#, "`rows[1]` is `-1`"),
            (r#"{"id": 7, "rows": [0.5]}"#, "whole numbers from 0"),
            (r#"{"id": 7, "rows": [123456789012345678901234567890]}"#, "whole numbers from 0"),
            (r#"{"id": 7, "rows": [[[[0]]]]}"#, "whole numbers from 0"),
            (r#"{"id": 7, "rows": [0], "weights": [1e999]}"#, "no JSON"),
            (r#"{"id": 7, "rows": [0], "weights": [NaN]}"#, "no JSON"),
            (r#"{"id": 7, "rows": [0], "weights": [null]}"#, "finite numbers"),
            (r#"{"id": 7, "rows": [0], "random_size": 1}"#, "true or false"),
            (r#"{"id": 7, "rows": [0]"#, "no JSON"),
            (&deep, "no JSON"),
        ] {
            let Outcome::Fault(why) = Outcome::parse(line, &request(Some(1))) else { panic!("{line}") };
            assert!(why.contains(part) && why.len() < 500, "{line}: {why}");
        }
        for (line, part) in [
            (r#"{"id": 7, "rows": [0], "labels": ["a"]}"#, "a row is a list"),
            (r#"{"id": 7, "rows": [[0, "x"]], "labels": ["a"]}"#, "finite numbers"),
            (r#"{"id": 7, "rows": [[0, 1]], "labels": [3]}"#, "labels are texts"),
            (r#"{"id": 7, "rows": [[0, 1]]}"#, "`labels` is missing"),
        ] {
            let Outcome::Fault(why) = Outcome::parse(line, &request(None)) else { panic!("{line}") };
            assert!(why.contains(part), "{line}: {why}");
        }
        let refused = Outcome::parse(r#"{"id": 7, "error": {"code": 1}}"#, &request(None));
        assert_eq!(refused, Outcome::Refused(r#"{"code":1}"#.into()));
    }

    /// A good line with a few bytes changed or cut never panics.
    #[test]
    fn damaged_lines_are_read_to_an_outcome() {
        let odd = b"{}[]\",:0-9e.nt\xff\x00 ";
        let good = r#"{"id": 7, "rows": [0, 1], "weights": [1.5, 2e3], "inclusion": [1, 0.5, 0.5], "labels": ["a"]}"#;
        for i in 0..20_000 {
            let mut rng = Seed(1).rng(i);
            let mut bytes = good.as_bytes().to_vec();
            for _ in 0..1 + rng.below(4) {
                let at = rng.below(bytes.len());
                bytes[at] = odd[rng.below(odd.len())];
            }
            bytes.truncate(bytes.len() - rng.below(3) * rng.below(20));
            Outcome::parse(&String::from_utf8_lossy(&bytes), &request((i % 2 == 0).then_some(2)));
        }
    }
}
