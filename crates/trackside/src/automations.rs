//! Automations of the configuration: which edits bring them in force, and the tests that people write beside them.
//!
//! - [`edits`]: what changes when files meet what is in force; [`stored`]: what is in force
//! - [`case`]: a test as written; [`script`]: what it means; [`rehearse`]: runs it on virtual time; [`verdict`]: what was
//!   expected against what happened

pub mod case;
pub mod edits;
pub mod rehearse;
pub mod script;
pub mod stored;
pub mod verdict;
