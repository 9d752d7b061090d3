//! Running programs: what a filter of solutions asks of a language, and a language that cannot do harm.

use std::hash::Hash;

/// A language whose programs are lists of statements.
pub trait Executor: Sync {
    /// What a beginning has computed, compared without regard to the names of variables.
    type State: Clone + Eq + Hash + Send + Sync + std::fmt::Debug;
    /// What a program answers.
    type Answer: Clone + Send + Sync + std::fmt::Debug;

    /// The statements of a text, one a line, without comments and with one blank between tokens, so that equal programs are equal
    /// texts.
    fn statements(&self, text: &str) -> Vec<String> {
        let code = |line: &str| tokens(line.split('#').next().unwrap_or("")).join(" ");
        text.lines().map(code).filter(|line| !line.is_empty()).collect()
    }

    /// What is known after each statement.
    ///
    /// # Errors
    /// A program that does not run.
    #[allow(clippy::type_complexity)] // The steps of one program, and why there are none.
    fn trace(&self, program: &[String]) -> Result<Vec<Step<Self::State, Self::Answer>>, Stopped>;

    /// Whether an answer is the right one.
    fn agrees(&self, answer: &Self::Answer, gold: &Self::Answer) -> bool;
}

/// Names, numbers, `**` and single other characters of a line.
pub(crate) fn tokens(line: &str) -> Vec<&str> {
    let (mut left, mut all) = (line.trim_start(), Vec::new());
    while let Some(first) = left.chars().next() {
        let length = |inside: fn(char) -> bool| left.find(|c| !inside(c)).unwrap_or(left.len());
        let end = match first {
            _ if is_digit(first) => length(is_digit),
            _ if is_word(first) => length(is_word),
            '*' if left.starts_with("**") => 2,
            _ => first.len_utf8(),
        };
        let (token, rest) = left.split_at(end);
        all.push(token);
        left = rest.trim_start();
    }
    all
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What is known after a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<S, A> {
    /// The state.
    pub state: S,
    /// The answer, once there is one.
    pub answer: Option<A>,
}

/// Why a program did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The statement, from 1.
    pub statement: usize,
    /// What was wrong.
    pub why: String,
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "statement {}: {}", self.statement, self.why)
    }
}

/// Straight-line arithmetic: statements `name = expression` over numbers, names, `+ - * / ^ ( )` and the functions `abs`, `ceil`,
/// `exp`, `floor`, `ln`, `max`, `min`, `round`, `sqrt`; the variable `answer` answers. `^` (or `**`) binds tighter than a minus
/// before it and to the right.
///
/// No loop, no file, no code of the machine's: a program can only take as long as it is, and there are limits on that, on nesting
/// and on the size of numbers.
///
/// A state is the sorted values of all variables, rounded to 30 binary digits (a relative 1e-9) so that rounding errors do not tell
/// the same values apart. Names do not count: steps that are renamed or reordered match, and so do coincidences such as 3 · 4 and
/// 10 + 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StraightLine {
    /// Most statements of a program.
    pub statements: usize,
    /// Largest absolute value.
    pub magnitude: f64,
    /// What an answer may differ from the right one by.
    pub tolerance: f64,
}

impl Default for StraightLine {
    /// 256 statements, values up to 1e15, answers to 1e-4.
    fn default() -> Self {
        StraightLine { statements: 256, magnitude: 1e15, tolerance: 1e-4 }
    }
}

/// How deep brackets may be nested.
const NESTING: usize = 64;

impl Executor for StraightLine {
    type State = Box<[u64]>;
    type Answer = f64;

    fn trace(&self, program: &[String]) -> Result<Vec<Step<Self::State, f64>>, Stopped> {
        let mut run = Run { limit: self.magnitude, variables: Vec::new(), rounded: Vec::new() };
        let mut steps = Vec::with_capacity(program.len());
        for (i, statement) in program.iter().enumerate() {
            let stopped = |why: String| Stopped { statement: i + 1, why };
            if i >= self.statements {
                return Err(stopped(format!("more than {} of them", self.statements)));
            }
            run.statement(statement).map_err(stopped)?;
            let answer = run.find("answer").map(|at| run.variables[at].1);
            steps.push(Step { state: run.rounded.clone().into(), answer });
        }
        Ok(steps)
    }

    fn agrees(&self, answer: &f64, gold: &f64) -> bool {
        (answer - gold).abs() <= self.tolerance
    }
}

/// A program under way.
struct Run<'a> {
    limit: f64,
    variables: Vec<(&'a str, f64)>,
    /// The variables' rounded values, sorted.
    rounded: Vec<u64>,
}

impl<'a> Run<'a> {
    fn find(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|(known, _)| *known == name)
    }

    /// `name = expression`.
    fn statement(&mut self, text: &'a str) -> Result<(), String> {
        let (name, expression) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`"))?;
        let name = name.trim();
        if !is_name(name) {
            return Err(format!("`{name}` is no name"));
        }
        let mut parser = Parser { text: expression, run: self, nested: 0 };
        let value = parser.sum()?;
        parser.skip();
        if !parser.text.is_empty() {
            return Err(format!("`{}` is left over", parser.text));
        }
        self.set(name, value);
        Ok(())
    }

    fn set(&mut self, name: &'a str, value: f64) {
        if let Some(at) = self.find(name) {
            let old = rounded(self.variables[at].1);
            if let Ok(place) = self.rounded.binary_search(&old) {
                self.rounded.remove(place);
            }
            self.variables[at].1 = value;
        } else {
            self.variables.push((name, value));
        }
        let new = rounded(value);
        let place = self.rounded.partition_point(|known| *known < new);
        self.rounded.insert(place, new);
    }
}

/// The bits of a value to 30 binary digits; 0 has one sign.
fn rounded(value: f64) -> u64 {
    const DROPPED: u32 = 22;
    let bits = (if value == 0.0 { 0.0 } else { value }).to_bits();
    (bits + (1 << (DROPPED - 1))) >> DROPPED
}

fn is_name(text: &str) -> bool {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(start) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Computes while it reads: sum, product, sign, power, atom.
struct Parser<'r, 'a> {
    text: &'a str,
    run: &'r Run<'a>,
    nested: usize,
}

impl<'a> Parser<'_, 'a> {
    fn skip(&mut self) {
        self.text = self.text.trim_start();
    }

    /// Takes one of these, if it comes next.
    fn take(&mut self, tokens: &[&str]) -> Option<usize> {
        self.skip();
        let found = tokens.iter().position(|token| self.text.starts_with(token))?;
        self.text = &self.text[tokens[found].len()..];
        Some(found)
    }

    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(&["+", "-"]) {
            let next = self.product()?;
            value = self.checked(if sign == 0 { value + next } else { value - next })?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.signed()?;
        while let Some(sign) = self.take(&["*", "/"]) {
            let next = self.signed()?;
            if sign == 1 && next == 0.0 {
                return Err("division by zero".into());
            }
            value = self.checked(if sign == 0 { value * next } else { value / next })?;
        }
        Ok(value)
    }

    fn signed(&mut self) -> Result<f64, String> {
        if self.take(&["-"]).is_some() {
            return Ok(-self.deeper(Self::signed)?);
        }
        let base = self.atom()?;
        match self.take(&["**", "^"]) {
            Some(_) => {
                let power = self.deeper(Self::signed)?;
                self.checked(base.powf(power))
            }
            None => Ok(base),
        }
    }

    fn atom(&mut self) -> Result<f64, String> {
        self.skip();
        if self.take(&["("]).is_some() {
            let value = self.deeper(Self::sum)?;
            return self.take(&[")"]).map(|_| value).ok_or_else(|| "a bracket is not closed".into());
        }
        if self.text.starts_with(is_digit) {
            let (digits, rest) = self.text.split_at(self.text.find(|c| !is_digit(c)).unwrap_or(self.text.len()));
            self.text = rest;
            return digits
                .parse()
                .map_err(|_| format!("`{digits}` is no number"))
                .and_then(|value| self.checked(value));
        }
        let (name, rest) = self.text.split_at(self.text.find(|c| !is_word(c)).unwrap_or(self.text.len()));
        if name.is_empty() {
            let next = self.text.chars().next().map_or("the end".to_owned(), |c| format!("`{c}`"));
            return Err(format!("{next} where a value should stand"));
        }
        self.text = rest;
        if self.take(&["("]).is_some() {
            return self.call(name);
        }
        self.run.find(name).map(|at| self.run.variables[at].1).ok_or_else(|| format!("`{name}` is not known"))
    }

    /// The arguments of a function, and its value.
    fn call(&mut self, name: &str) -> Result<f64, String> {
        let a = self.deeper(Self::sum)?;
        let b = if self.take(&[","]).is_some() { Some(self.deeper(Self::sum)?) } else { None };
        if self.take(&[")"]).is_none() {
            return Err("a bracket is not closed".into());
        }
        let value = match (name, b) {
            ("abs", None) => a.abs(),
            ("ceil", None) => a.ceil(),
            ("exp", None) => a.exp(),
            ("floor", None) => a.floor(),
            ("ln", None) => a.ln(),
            ("round", None) => a.round(),
            ("sqrt", None) => a.sqrt(),
            ("max", Some(b)) => a.max(b),
            ("min", Some(b)) => a.min(b),
            _ => return Err(format!("`{name}` is no function of so many values")),
        };
        self.checked(value)
    }

    fn deeper(&mut self, part: impl Fn(&mut Self) -> Result<f64, String>) -> Result<f64, String> {
        if self.nested == NESTING {
            return Err(format!("nested more than {NESTING} deep"));
        }
        self.nested += 1;
        let value = part(self);
        self.nested -= 1;
        value
    }

    fn checked(&self, value: f64) -> Result<f64, String> {
        match value.abs() <= self.run.limit {
            true => Ok(value),
            false => Err(format!("{value} where numbers up to {:e} are allowed", self.run.limit)),
        }
    }
}
