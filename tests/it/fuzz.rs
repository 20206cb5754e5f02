//! Bytes that nobody should ever send.
