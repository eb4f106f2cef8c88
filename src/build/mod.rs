//! Running the steps of a plan.

pub mod sandbox;
