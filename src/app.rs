//! The composition root: puts adapters, engine and face together. No logic of its own.
