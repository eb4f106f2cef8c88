//! What a layer says: one value for one key, with the place it stands at.

use super::schema::Key;
use super::{Command, Origin};

/// One statement of one layer.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// The key.
    pub(super) key: &'static Key,
    /// The text at the part of its name in capitals.
    pub(super) argument: Option<String>,
    /// What it says.
    pub(super) value: Value,
    /// Where it stands; elements of lists have their own.
    pub(super) origin: Origin,
}

/// A checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Any kind of text.
    Text(String),
    /// A switch.
    Boolean(bool),
    /// A process.
    Command(Command),
    /// A change of a list.
    List(Edit),
}

/// A change of a list: first `set`, then `remove`, then `add`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// Starts anew with these.
    pub(super) set: Option<Vec<(String, Origin)>>,
    /// Takes elements of weaker layers out.
    pub(super) remove: Vec<String>,
    /// Adds elements that are not there yet.
    pub(super) add: Vec<(String, Origin)>,
}
