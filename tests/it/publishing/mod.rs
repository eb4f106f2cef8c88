//! Images to and from other places, with real servers and other people's clients.

mod certificates;
mod login;
mod tokens;
