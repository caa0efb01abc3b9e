//! Placeholder until the next file.
