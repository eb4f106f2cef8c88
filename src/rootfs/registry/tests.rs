//! Registries of each kind on a local server, and what is wrong with them.
