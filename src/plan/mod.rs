//! Planning: detection and configuration in, a [`Plan`] out.

pub mod model;

pub use model::{Catalogue, Plan};
