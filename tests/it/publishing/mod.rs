//! Where images go, and what they say of themselves.

mod metadata;
