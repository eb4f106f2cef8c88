//! Finished images: looking at them.

mod look;
