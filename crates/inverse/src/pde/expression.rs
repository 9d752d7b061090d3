//! Expressions as they are written in a problem file.
//!
//! Usual mathematics: `^` (or `**`) binds from right to left and tighter than a sign, so that -x^2 is −(x²) and 2^3^2 is 2⁹; log is
//! the natural logarithm, as ln is; pi and e are numbers. What is wrong is shown with its place.

#[cfg(test)]
mod tests;

use quadrat_core::{Error, Result};
use winnow::combinator::{alt, cut_err, delimited, opt, preceded, separated};
use winnow::error::{ContextError, ErrMode};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{literal, one_of, take_while};

/// What a text says, before names have a meaning. Names know where they stand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Name(String, usize),
    Call(String, usize, Vec<Expression>),
    Minus(Box<Expression>),
    /// `+`, `-`, `*`, `/` or `^`.
    Pair(char, Box<Expression>, Box<Expression>),
}

impl Expression {
    /// Reads a text; `what` is what it stands for, for the error.
    pub fn read(what: &str, text: &str) -> Result<Self> {
        if depth(text) > DEEPEST {
            return Err(Error::input(what, "a nest of brackets", format!("at most {DEEPEST} within each other")));
        }
        whole.parse(LocatingSlice::new(text)).map_err(|e| {
            let place = e.offset();
            let found = text[place..].chars().next().map_or("the end".to_owned(), |c| format!("`{c}`"));
            wrong(
                what,
                text,
                place,
                &format!("{found} here"),
                "a number, a name or a bracket where a value is due, \
                and an operator or the end after one",
            )
        })
    }

    /// The two sides of an equation.
    pub fn sides(what: &str, text: &str) -> Result<(Self, Self)> {
        let parts: Vec<&str> = text.split('=').collect();
        let [left, right] = parts[..] else {
            let got = format!("`{text}`, with {} signs of equality", parts.len() - 1);
            return Err(Error::input(what, got, "one, such as `-laplacian(u) = 1`"));
        };
        // Blanks in the place of the left side, so that places are those of the whole text.
        let right = format!("{}{right}", " ".repeat(left.len() + 1));
        Ok((Expression::read(what, left)?, Expression::read(what, &right)?))
    }
}

/// An error that points at a place of a text.
pub(crate) fn wrong(what: &str, text: &str, place: usize, got: &str, want: &str) -> Error {
    let column = text[..place.min(text.len())].chars().count();
    Error::input(what, got, format!("{want}:\n  {text}\n  {}^", " ".repeat(column)))
}

/// Brackets within each other: deeper ones would exhaust the stack.
const DEEPEST: usize = 100;

/// How deep brackets, signs and powers can be within each other in a text: a bound that is quickly found.
fn depth(text: &str) -> usize {
    let (mut open, mut run, mut most) = (0usize, 0usize, 0usize);
    for c in text.chars() {
        match c {
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            '-' | '+' | '^' | '*' => run += 1,
            _ => (),
        }
        most = most.max(open);
    }
    most.max(run / 20)
}

type Text<'a> = LocatingSlice<&'a str>;
type Parsed<T> = std::result::Result<T, ErrMode<ContextError>>;

fn whole(text: &mut Text) -> Parsed<Expression> {
    delimited(blank, sum, blank).parse_next(text)
}

fn blank(text: &mut Text) -> Parsed<()> {
    take_while(0.., char::is_whitespace).void().parse_next(text)
}

/// `part`s with operators between them, from left to right.
fn chain(text: &mut Text, operators: [char; 2], part: fn(&mut Text) -> Parsed<Expression>) -> Parsed<Expression> {
    let mut left = part(text)?;
    let operator = |text: &mut Text| delimited(blank, one_of(operators), blank).parse_next(text);
    while let Some(operator) = opt(operator).parse_next(text)? {
        left = Expression::Pair(operator, Box::new(left), Box::new(cut_err(part).parse_next(text)?));
    }
    Ok(left)
}

fn sum(text: &mut Text) -> Parsed<Expression> {
    chain(text, ['+', '-'], product)
}

fn product(text: &mut Text) -> Parsed<Expression> {
    chain(text, ['*', '/'], signed)
}

/// A sign binds less than a power: -2^2 is -4.
fn signed(text: &mut Text) -> Parsed<Expression> {
    let sign = (one_of(['-', '+']), blank).map(|(sign, ())| sign);
    match opt(sign).parse_next(text)? {
        Some('-') => Ok(Expression::Minus(Box::new(cut_err(signed).parse_next(text)?))),
        Some(_) => cut_err(signed).parse_next(text),
        None => power(text),
    }
}

/// A power binds from the right, and what is after it may have a sign: 2^-1.
fn power(text: &mut Text) -> Parsed<Expression> {
    let base = atom(text)?;
    let operator = delimited(blank, alt((literal("^"), literal("**"))), blank);
    match opt(operator).parse_next(text)? {
        Some(_) => Ok(Expression::Pair('^', Box::new(base), Box::new(cut_err(signed).parse_next(text)?))),
        None => Ok(base),
    }
}

fn atom(text: &mut Text) -> Parsed<Expression> {
    let bracket = delimited(('(', blank), cut_err(sum), (blank, cut_err(')')));
    alt((number, named, bracket)).parse_next(text)
}

fn number(text: &mut Text) -> Parsed<Expression> {
    let digits = |least: usize| take_while(least.., |c: char| c.is_ascii_digit());
    let mantissa = alt(((digits(1), opt(('.', digits(0)))).void(), ('.', digits(1)).void()));
    let exponent = opt((one_of(['e', 'E']), opt(one_of(['+', '-'])), digits(1)));
    (mantissa, exponent).take().parse_to().map(Expression::Number).parse_next(text)
}

/// A name, or a function of what stands in brackets behind one.
fn named(text: &mut Text) -> Parsed<Expression> {
    let place = text.current_token_start();
    let first = one_of(|c: char| c.is_alphabetic() || c == '_');
    let name: &str = (first, take_while(0.., |c: char| c.is_alphanumeric() || c == '_')).take().parse_next(text)?;
    let comma = (blank, ',', blank);
    let arguments = delimited(('(', blank), separated(1.., cut_err(sum), comma), (blank, cut_err(')')));
    Ok(match opt(preceded(blank, arguments)).parse_next(text)? {
        Some(arguments) => Expression::Call(name.to_owned(), place, arguments),
        None => Expression::Name(name.to_owned(), place),
    })
}
