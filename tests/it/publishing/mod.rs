//! Where images go, and what they say of themselves.

mod media_types;
mod metadata;
