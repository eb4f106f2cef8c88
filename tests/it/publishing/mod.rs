//! Images to and from other places, with real servers and other people's clients.

mod build;
mod faults;
mod look;
mod push;
mod servers;
