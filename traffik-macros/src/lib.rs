//! The attribute and the derive of `traffik`.
