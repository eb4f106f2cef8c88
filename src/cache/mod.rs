//! The store as people see it: what is in it, what each entry was made of, how it is kept small, and how it goes from one
//! machine to another.
//!
//! In: a [`Store`]. Out: lists and answers for `rpack cache`, and folders for `--cache-to` and `--cache-from`.

mod error;
mod explain;
mod images;
mod prune;
mod scan;
pub mod transfer;

pub use error::Error;
pub use explain::{Explained, explain};
pub use prune::{Freed, Options, prune};
pub use scan::{Entry, Listing, list};

use crate::store::Store;
