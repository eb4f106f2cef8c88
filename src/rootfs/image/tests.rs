//! Images of a registry and of layouts become bases.
