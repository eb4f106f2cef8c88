//! Images to and from other places.

mod engines;
