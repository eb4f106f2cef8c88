//! Images to and from other places, with real servers and other people's clients.

mod build;
mod certificates;
mod engines;
mod faults;
mod login;
mod look;
mod media_types;
mod metadata;
mod push;
mod servers;
mod tokens;
