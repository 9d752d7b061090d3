//! `#[derive(Settings)]` and `#[derive(Choice)]`: a parameter is said once, in the struct that the method runs with.
//!
//! The field's comment becomes the help, its attribute the default and the range; from both come `Default`, the reading of
//! typed values with its errors, the card's table, and the JSON schema. What the attributes take is told at the traits,
//! `quadrat_core::Settings` and `quadrat_core::Choice`.
//!
//! A derive of our own rather than a crate of the registry: argument parsers own the command line, whereas these values come
//! from a card that the command line, a Python signature and a web form read alike.

mod choice;
mod declared;
mod settings;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `quadrat_core::Settings` and `Default`.
#[proc_macro_derive(Settings, attributes(param))]
pub fn settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    settings::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `quadrat_core::Choice`.
#[proc_macro_derive(Choice, attributes(param))]
pub fn choice(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    choice::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
