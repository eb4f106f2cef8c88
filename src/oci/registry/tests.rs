//! A registry in this process, and everything it may do to its clients.
